"""Composes shop reviews out of the text bank: praise, mild blame in praise, blame, sarcasm, defaults, 追评, answers."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from shengwen.demo.cast import B40, Model
from shengwen.demo.items import Mood
from shengwen.demo.people import Person
from shengwen.demo.phrases import ENDINGS, Deck, Slots, bank, lines, topic_of

Shop = Literal["jd", "tmall"]

_KINDS: Final[dict[str, float]] = {
    "praise": 46,
    "mixed": 13,
    "blame": 15,
    "short": 7,
    "default": 9,
    "sarcasm": 2.5,
    "suggestion": 4,
    "question": 2,
    "rival": 2,
    "false_alarm": 2.5,
}
_PRAISED: Final = {"heat": 5, "look": 3, "make": 3, "install": 4, "ship": 3, "service": 3, "value": 3, "use": 2}
_BLAMED: Final = {
    "heat": 3,
    "look": 1.5,
    "leak": 0.8,
    "noise": 2,
    "paint": 2,
    "size": 2,
    "make": 2,
    "delay": 2,
    "attitude": 2,
    "sloppy": 2,
    "fee": 3,
    "revisit": 1,
    "ship_bad": 4,
    "service_bad": 4,
    "price": 3,
    "use": 1.5,
}


@dataclass(frozen=True, slots=True)
class Words:
    """A review in words. ``append`` and ``reply`` are empty when there is none."""

    text: str
    score: int
    mood: Mood
    append: str = ""
    reply: str = ""


class Composer:
    """Writes reviews for one shop; deals lines so that the same sentence rarely comes twice."""

    def __init__(self, shop: Shop, rng: Random) -> None:
        self._rng = rng
        words = bank("reviews")
        self._praise = {name: Deck(lines(text), rng) for name, text in words["praise"].items()}
        self._blame = {name: Deck(lines(text), rng) for name, text in words["blame"].items()}
        self._frame = {name: Deck(lines(text), rng) for name, text in words["frame"].items() if name != "safety"}
        self._single = {name: Deck(lines(words[name]["lines"]), rng) for name in ("sarcasm", "suggestion", "question")}
        self._short = {name: Deck(lines(words["short"][name]), rng) for name in ("praise", "blame")}
        self._default = Deck(lines(words["short"]["default" if shop == "jd" else "tmall_default"]), rng)
        self._append = {name: Deck(lines(words["append"][name]), rng) for name in ("good", "bad")}
        self._seller = {name: Deck(lines(words["seller"][name]), rng) for name in ("good", "bad")}
        self._seen: set[str] = set()

    def compose(self, model: Model, person: Person) -> Words:
        """One review of one product by one buyer."""
        kind = self._rng.choices(list(_KINDS), list(_KINDS.values()))[0]
        slots = Slots(self._rng, person, model.code)
        if kind == "default":
            return Words(self._default.deal(), 5, "default")
        text, score, mood = self._text(kind, model)
        text = self._once(slots.fill(text))
        good = score >= 4
        append = reply = ""
        if self._rng.random() < (0.09 if good else 0.2):
            append = slots.fill(self._append["good" if good and self._rng.random() < 0.6 else "bad"].deal())
        if self._rng.random() < (0.12 if good else 0.6):
            reply = self._seller["good" if good else "bad"].deal()
        return Words(text, score, mood, append, reply)

    def safety(self, which: int, model: Model, person: Person) -> Words:
        """A review that tells of a real safety event (烫伤, 漏电); there are two."""
        text = lines(bank("reviews")["frame"]["safety"])[which]
        return Words(Slots(self._rng, person, model.code).fill(text), 1, "blame", reply=self._seller["bad"].deal())

    def _once(self, text: str) -> str:
        while text in self._seen:
            text += self._rng.choice(ENDINGS)
        self._seen.add(text)
        return text

    def _text(self, kind: str, model: Model) -> tuple[str, int, Mood]:
        rng = self._rng
        if kind == "praise":
            return self._frames(self._praises(model, rng.choice((1, 2, 2, 3, 3, 4))), "closing_good"), 5, "praise"
        if kind == "mixed":
            topic, mild = topic_of(self._frame["but_mild"].deal())
            but = self._frame["but"].deal() + mild
            body = "，".join([*self._praises(model, rng.choice((1, 2)), but_not=topic), but])
            return self._frames([body], None), rng.choice((4, 4, 5, 3)), "mixed"
        if kind == "blame":
            return self._blames(model), rng.choice((1, 1, 1, 2, 2, 3)), "blame"
        if kind == "short":
            good = rng.random() < 0.8
            return self._short["praise" if good else "blame"].deal(), 5 if good else 2, "praise" if good else "blame"
        if kind == "sarcasm":
            return self._single["sarcasm"].deal(), rng.choice((1, 1, 5)), "blame"
        if kind == "suggestion":
            return "，".join([*self._praises(model, 1), self._single["suggestion"].deal()]), 4, "suggestion"
        if kind == "question":
            return "，".join([*self._praises(model, 1), self._single["question"].deal()]), 5, "question"
        return self._frame[kind].deal() + "。" + self._praises(model, 1)[0], 5, "praise"

    def _praises(self, model: Model, count: int, *, but_not: str = "") -> list[str]:
        decks = dict(_PRAISED) | ({"b40": 6} if model is B40 else {})
        decks.pop(but_not, None)
        chosen: list[str] = []
        while len(chosen) < count:
            name = self._rng.choices(list(decks), list(decks.values()))[0]
            del decks[name]
            chosen.append(self._praise[name].deal())
        return chosen

    def _blames(self, model: Model) -> str:
        names = self._rng.choices(list(_BLAMED), list(_BLAMED.values()), k=self._rng.choice((1, 1, 1, 2)))
        body = [self._blame[name].deal() for name in dict.fromkeys(names)]
        if self._rng.random() < 0.25:
            return self._frame["mixed_turn"].deal() + "。".join(body) + "。"
        return self._frames(body, "closing_bad")

    def _frames(self, body: list[str], closing: str | None) -> str:
        rng = self._rng
        text = "，".join(body) if len(body) < 3 or rng.random() < 0.5 else "。".join(body)
        if rng.random() < 0.45:
            text = self._frame["opening"].deal() + text
        if text[-1] not in "。！？~😊👍":
            text += rng.choice(("。", "。", "！", ""))
        if closing and rng.random() < 0.5:
            text += ("" if text[-1] in "。！？" else "，") + self._frame[closing].deal()
        return text
