"""The query language: text in, one AST out (see DESIGN.md)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a parsed query."""
