"""The words of the language that turn, deny, fear, ask and demand; read from ``lexicon.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from classify.words import Words

KINDS: Final = (
    "turn.but",
    "unreal.feared",
    "unreal.feared_not",
    "unreal.near",
    "unreal.question",
    "unreal.hope",
    "unreal.unknown",
    "unreal.claimed",
    "polar.positive",
    "polar.negative",
    "polar.mild",
    "polar.strong",
    "polar.again",
    "demand.action",
    "demand.escalation",
    "demand.not_escalation",
    "suggest.cues",
    "suggest.not",
    "ask.cues",
    "ask.strong",
    "ask.rhetorical",
    "ask.not",
    "ask.accusing",
    "flags.advert_strong",
    "flags.advert_weak",
    "flags.template",
    "flags.sarcasm",
)
"""Lists of the file that are looked for in every text, as ``section.list``."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """``kinds[n]`` names the lists that word number ``n`` belongs to; the rest are plain lists."""

    kinds: dict[int, tuple[str, ...]]
    negators: tuple[str, ...]
    fillers: tuple[str, ...]
    negator_lookalikes: tuple[str, ...]
    default_reviews: tuple[str, ...]


@cache
def _file() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(files("classify").joinpath("lexicon.toml").read_text("utf-8"))


def load_lexicon(words: Words) -> Lexicon:
    """Add the lexicon's words to ``words`` and say what each of them is."""
    lists = _file()
    kinds: dict[int, list[str]] = {}
    for kind in KINDS:
        section, name = kind.split(".")
        for word in lists[section][name]:
            found = kinds.setdefault(words.add(word), [])
            if kind not in found:
                found.append(kind)
    negation = lists["negation"]
    return Lexicon(
        kinds={number: tuple(names) for number, names in kinds.items()},
        negators=tuple(negation["negators"]),
        fillers=tuple(negation["fillers"]),
        negator_lookalikes=tuple(negation["lookalikes"]),
        default_reviews=tuple(lists["flags"]["default_review"]),
    )
