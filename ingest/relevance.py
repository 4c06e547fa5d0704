"""The brand file: what the brand, its products and its rivals are called, and what only looks like them.

What a text carries of it is found by :class:`ingest.wordfinder.WordFinder`; this module says what that means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ingest.draft import Draft
from ingest.mention import About, Matched
from ingest.wordfinder import Found, WordFinder, plain

MAX_WORDS: Final = 2_000
"""Most words in a brand file."""
MAX_LENGTH: Final = 60
"""Longest of them, in characters."""

_PLACED: Final = frozenset({"review", "survey", "call"})
"""Kinds that are about a product by where they stand, whatever they compare it with."""


class Called(BaseModel):
    """A product or a rival: its name, and the models or other names it goes by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    models: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        return (self.name, *self.models)


def _called(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _second_words(value: Any) -> Any:
    return dict.fromkeys(value, ()) if isinstance(value, list | tuple) else value


_Role = Literal["name", "product", "rival", "exclude", "context", "unsure"]
_NAME: Final[_Role] = "name"
_PRODUCT: Final[_Role] = "product"
_RIVAL: Final[_Role] = "rival"
_EXCLUDE: Final[_Role] = "exclude"
_CONTEXT: Final[_Role] = "context"
_UNSURE: Final[_Role] = "unsure"
_HIDES: Final[tuple[_Role, ...]] = (_NAME, _PRODUCT, _RIVAL, _EXCLUDE)
_HIDDEN_IN: Final[Mapping[_Role, tuple[_Role, ...]]] = {
    _NAME: (_RIVAL, _EXCLUDE),
    _PRODUCT: (_PRODUCT, _RIVAL, _EXCLUDE),
    _RIVAL: (_NAME, _PRODUCT, _EXCLUDE),
    _EXCLUDE: (_NAME, _PRODUCT, _RIVAL),
    _CONTEXT: (_EXCLUDE, _UNSURE),
}
"""What a word is no occurrence in, when it is a part of it."""


@dataclass(frozen=True, slots=True)
class _Read:
    """The words that count in one text, in the order of the settings."""

    names: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    @property
    def own(self) -> bool:
        return bool(self.names or self.products)

    @property
    def any(self) -> bool:
        return self.own or bool(self.rivals)


OneCalled = Annotated[Called, BeforeValidator(_called)]


class Brand(BaseModel):
    """The brand as people write it.

    ``aliases``, ``misspellings``: other names. ``products``, ``competitors``: a name, or a name with ``models``.
    ``exclude``: words that mark a namesake (a place, a dish). A name inside such a word is none, and where such a word
    stands, names elsewhere in the text need a second word. ``ambiguous``: words (of those above) that always need a
    second word: one of the list given with them (of ``context``, where none is given), or any word that needs none.

    Words are compared by :func:`ingest.wordfinder.plain`: full-width, traditional and capital letters are as good as
    their plain forms, and in models (``K20-3``) spaces and hyphens do not count. Letters and digits end where they end:
    ``A6`` is not in ``A60``. The key ``words`` of older settings is taken for ``aliases``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="", max_length=MAX_LENGTH)
    aliases: tuple[str, ...] = ()
    misspellings: tuple[str, ...] = ()
    products: tuple[OneCalled, ...] = ()
    competitors: tuple[OneCalled, ...] = ()
    exclude: tuple[str, ...] = ()
    ambiguous: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_second_words)] = Field(default_factory=dict)
    context: tuple[str, ...] = ()
    max_words: int = Field(default=20, ge=1, le=100)

    @model_validator(mode="before")
    @classmethod
    def _older(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "words" in data:
            older = data["words"]
            if not isinstance(older, list | tuple):
                raise ValueError("words 改名为 aliases，应为列表")
            data = {name: value for name, value in data.items() if name != "words"}
            data["aliases"] = (*older, *data.get("aliases", ()))
        return data

    @model_validator(mode="after")
    def _words_fit(self) -> Self:
        everything = [*self.all_words, *self.exclude, *self.context]
        everything += [word for second in self.ambiguous.values() for word in second]
        if len(everything) > MAX_WORDS:
            raise ValueError(f"一共有 {len(everything)} 个词，最多 {MAX_WORDS} 个")
        for word in (*everything, *self.ambiguous):
            if len(word) > MAX_LENGTH:
                raise ValueError(f"“{word[:20]}…”太长，最多 {MAX_LENGTH} 个字")
            if not any(char.isalnum() for char in plain(word)):
                raise ValueError(f"“{word}”里没有文字或数字")
        sides = {"品牌、产品": (*self.names, *self.product_words), "competitors": self.rivals, "exclude": self.exclude}
        seen: dict[str, str] = {}
        for side, words in sides.items():
            for word in words:
                if seen.setdefault(plain(word), side) != side:
                    raise ValueError(f"“{word}”既写在{seen[plain(word)]}里，又写在 {side} 里，只能算一种")
        self._ambiguous_fit()
        return self

    def _ambiguous_fit(self) -> None:
        known = {plain(word) for word in self.all_words}
        unsure = {plain(word) for word in self.ambiguous}
        for word, second in self.ambiguous.items():
            if plain(word) not in known:
                raise ValueError(f"ambiguous 里的“{word}”不是品牌、产品或竞品的叫法，请也写进 aliases 或 products")
            if not (second or self.context or known - unsure):
                raise ValueError(f"“{word}”要有第二个词才算数，请在 context 写上常和它一起出现的词")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What the brand itself is called."""
        return _distinct((*((self.name,) if self.name else ()), *self.aliases, *self.misspellings))

    @cached_property
    def product_words(self) -> tuple[str, ...]:
        return _distinct(word for product in self.products for word in product.words)

    @cached_property
    def rivals(self) -> tuple[str, ...]:
        """What competitors are called."""
        return _distinct(word for rival in self.competitors for word in rival.words)

    @cached_property
    def all_words(self) -> tuple[str, ...]:
        """Every word that makes a text be about this brand, its products or its rivals."""
        return _distinct((*self.names, *self.product_words, *self.rivals))

    def match(self, draft: Draft, query: str | None = None) -> Matched:
        """What a draft carries of the brand file, and whom it is about; ``query`` is what found it.

        Looked for in the title, the text and the appends; the name of the product it stands under is a second word
        and may tell whom it is about, but is not a match. A review is about what it stands under, and a reply about
        what it answers: a rival's name is only a comparison there, unless the search that found it was for the rival.
        """
        text = "\n".join([draft.title or "", draft.text, *(append.text for append in draft.appends)])
        place = self._read_place(draft.product.name) if draft.product and draft.product.name else _Read()
        found = self._read(text, beside=place.any)
        about = _about(found, place)
        if not place.rivals and (
            (draft.kind in _PLACED and about in ("rival", "excluded"))
            or (draft.parent_native is not None and about == "rival" and not self._sought_rival(query))
        ):
            about = "none"
        return self._matched(found, about, query)

    def match_text(self, text: str, query: str | None = None) -> Matched:
        """As :meth:`match`, of a text that stands by itself."""
        found = self._read(text)
        return self._matched(found, _about(found, _Read()), query)

    def _sought_rival(self, query: str | None) -> bool:
        sought = self._read(query or "")
        return bool(sought.rivals) and not sought.own

    def _matched(self, found: _Read, about: About, query: str | None) -> Matched:
        most = self.max_words
        return Matched(
            words=(*found.names, *found.products, *found.rivals)[:most],
            names=found.names[:most],
            products=found.products[:most],
            competitors=found.rivals[:most],
            excluded=found.excluded[:most],
            about=about,
            query=query,
        )

    @cached_property
    def _keys(self) -> tuple[tuple[_Role, str], ...]:
        """Every word that is looked for, with what it stands for."""
        context = _distinct((*self.context, *(word for second in self.ambiguous.values() for word in second)))
        by_role: dict[_Role, tuple[str, ...]] = {
            _NAME: self.names,
            _PRODUCT: self.product_words,
            _RIVAL: self.rivals,
            _EXCLUDE: _distinct(self.exclude),
            _CONTEXT: context,
        }
        return tuple((role, word) for role, words in by_role.items() for word in words)

    @cached_property
    def _finder(self) -> WordFinder:
        return WordFinder(word for _, word in self._keys)

    @cached_property
    def _seconds(self) -> Mapping[str, frozenset[str]]:
        """Ambiguous word -> its second words, all of them in plain form."""
        common = frozenset(map(plain, self.context))
        return {plain(word): frozenset(map(plain, second)) or common for word, second in self.ambiguous.items()}

    @cached_property
    def _read_place(self) -> Callable[[str], _Read]:
        """As :meth:`_read`, of a product's name: all reviews of a list stand under the same few."""
        return lru_cache(maxsize=256)(self._read)

    def _read(self, text: str, *, beside: bool = False) -> _Read:
        """The words that count in ``text``; ``beside``: a word that is sure stands next to it."""
        found = self._finder.find(text)
        if not found:  # most texts
            return _Read()
        standing = self._standing(found)
        excluded = frozenset(word for role, word in standing if role == _EXCLUDE)
        contexts = frozenset(plain(word) for role, word in standing if role == _CONTEXT)
        counted = {(role, word) for role, word in standing if role in (_NAME, _PRODUCT, _RIVAL)}
        # A namesake in the text makes every name of the brand one that needs a second word.
        sure = {
            (role, word)
            for role, word in counted
            if plain(word) not in self._seconds and not (excluded and role == _NAME)
        }
        common = frozenset(map(plain, self.context))
        if not (sure or beside):
            counted = {(role, word) for role, word in counted if contexts & self._seconds.get(plain(word), common)}

        def of(role: _Role, words: Sequence[str]) -> tuple[str, ...]:
            return tuple(word for word in words if (role, word) in counted)

        return _Read(
            names=of(_NAME, self.names),
            products=of(_PRODUCT, self.product_words),
            rivals=of(_RIVAL, self.rivals),
            excluded=tuple(word for word in _distinct(self.exclude) if word in excluded),
        )

    def _standing(self, found: Sequence[Found]) -> set[tuple[_Role, str]]:
        """What stands for itself somewhere, and not everywhere as a part of a longer word that means something else.

        A name within a rival's or a namesake's, a product within another product's: ``K20`` is not in ``K20-3``.
        """
        furthest = dict.fromkeys((*_HIDES, _UNSURE), 0)
        standing: set[tuple[_Role, str]] = set()
        for _, end, number in sorted(found, key=lambda one: (one.start, -one.end)):
            role, word = self._keys[number]
            if all(end > furthest[other] for other in _HIDDEN_IN[role]):
                standing.add((role, word))
            if role in _HIDES:
                furthest[role] = max(furthest[role], end)
                if plain(word) in self._seconds:
                    furthest[_UNSURE] = max(furthest[_UNSURE], end)
        return standing


def _about(found: _Read, place: _Read) -> About:
    if found.own or place.own:
        return "own"
    if found.rivals or place.rivals:
        return "rival"
    return "excluded" if found.excluded else "none"


def _distinct(words: Iterable[str]) -> tuple[str, ...]:
    """Each word once, the first way it is written."""
    return tuple({plain(word): word for word in reversed([*words])}.values())[::-1]
