"""Words of danger that are meant: not feared, not denied, not a figure of speech."""

from __future__ import annotations

from dataclasses import dataclass

from classify.modality import Modality
from classify.reading import Clause, Reader, Reading
from classify.tags import bind
from classify.taxonomy import Taxonomy
from classify.words import Hit, Pattern, masked, parse_pattern


@dataclass(frozen=True, slots=True)
class Danger:
    """A word of danger at ``[start, end)`` and how it is said."""

    word: str
    modality: Modality
    start: int
    end: int


class SafetyRules:
    """The taxonomy's words of danger, compiled over the reader's words."""

    def __init__(self, taxonomy: Taxonomy, reader: Reader) -> None:
        self._reader = reader
        self._patterns: dict[int, list[Pattern]] = {}
        self._excluded: set[int] = set()
        for tag in taxonomy.tags:
            if tag.safety is None:
                continue
            for entry in tag.safety.words:
                pattern = parse_pattern(entry, reader.words)
                for anchor in pattern.anchor:
                    self._patterns.setdefault(anchor, []).append(pattern)
            for entry in (*tag.excluded, *tag.safety.excluded):
                if "~" not in entry:
                    self._excluded |= parse_pattern(entry, reader.words).anchor

    def dangers(self, reading: Reading) -> list[Danger]:
        """Every word of danger in a text, in order of appearance."""
        found = []
        for clause in reading.clauses:
            anchors = self._patterns.keys() & clause.words.keys()
            if not anchors:
                continue
            masks = [hit for word in self._excluded & clause.words.keys() for hit in clause.words[word]]
            for word in anchors:
                for hit in clause.words[word]:
                    danger = self._danger(self._patterns[word], hit, reading, clause, masks)
                    if danger is not None:
                        found.append(danger)
        return sorted(found, key=lambda danger: (danger.start, danger.end))

    def _danger(
        self, patterns: list[Pattern], hit: Hit, reading: Reading, clause: Clause, masks: list[Hit]
    ) -> Danger | None:
        if masked(hit, masks):
            return None
        for pattern in patterns:
            bound = bind(pattern, hit, clause.words, masks)
            if bound is not None:
                says = bound[-1] if bound else hit
                start = min(part.start for part in (hit, *bound))
                end = max(part.end for part in (hit, *bound))
                text = reading.utterance.text[start:end]
                return Danger(text, self._reader.modality(reading, clause, says), start, end)
        return None
