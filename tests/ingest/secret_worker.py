"""Loads an installation's secret in a process of its own."""

from __future__ import annotations

import time
from pathlib import Path

from ingest.privacy import load_secret


def load_at_once(path: str, start_at: float, answer: str) -> None:
    """Load the secret at the same moment as the others do and write it, as hex, into the file ``answer``."""
    time.sleep(max(0.0, start_at - time.time()))
    Path(answer).write_text(load_secret(Path(path)).hex(), encoding="ascii")
