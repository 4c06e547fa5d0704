"""Which of the brand's words a text carries. Brand, products and what they are called are configuration."""

from __future__ import annotations

import unicodedata

from pydantic import BaseModel, ConfigDict, Field

from ingest.mention import Matched


class Brand(BaseModel):
    """The brand as people write it. All words are compared after NFKC and lower-casing.

    ``words``: name, aliases, misspellings. ``products``: product names and models. ``competitors``: looked for, too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    words: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    competitors: tuple[str, ...] = ()
    max_words: int = Field(default=20, ge=1, le=100)

    @property
    def all_words(self) -> tuple[str, ...]:
        """Every word that makes a text be about this brand, its products or its rivals."""
        names = (self.name,) if self.name else ()
        return tuple(dict.fromkeys((*names, *self.words, *self.products, *self.competitors)))

    def match(self, text: str, query: str | None = None) -> Matched:
        """The words that ``text`` contains, in the order of the configuration, and the query that found it."""
        plain = unicodedata.normalize("NFKC", text).lower()
        found = [w for w in self.all_words if unicodedata.normalize("NFKC", w).lower() in plain]
        return Matched(words=tuple(found[: self.max_words]), query=query)
