"""Cuts a query into tokens. Full-width punctuation is as good as ASCII; quoted text is taken as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from unicodedata import normalize

from ingest.errors import QueryError
from search.ast import OPERATORS

TokenKind = Literal["(", ")", "and", "or", "not", "word", "quoted", "near", "field"]

_OPEN = "(（"
_CLOSE = ")）"
_COLON = ":："
_MINUS = "-－"
_TILDE = "~～"
_STRAIGHT = '"＂'
_CURLY = "“”"
_QUOTES = _STRAIGHT + _CURLY
_FIELD_NAME = re.compile(r"(?=\D)\w+")
_COMPARISON = re.compile("[>＞<＜]?[=＝]|[>＞<＜≥≤]")
_COMPARISONS = {"≥": ">=", "≤": "<="}
_DISTANCE = re.compile(r"\d{1,9}")


@dataclass(frozen=True, slots=True)
class Token:
    """``position`` is where it starts in the query. For a field: its name as typed, the comparison (">=", "=" or
    ""), the value, where the value starts, and whether it was quoted. For a proximity: ``distance``."""

    kind: TokenKind
    text: str
    position: int
    name: str = ""
    comparison: str = ""
    value_at: int = 0
    quoted: bool = False
    distance: int = 0


class Lexer:
    """One pass over one query. Raises QueryError for an unclosed quote, a lone minus, a bad distance."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def tokens(self) -> Iterator[Token]:
        text = self._text
        while self._at < len(text):
            start = self._at
            char = text[start]
            if char.isspace():
                self._at += 1
            elif char in _OPEN or char in _CLOSE:
                self._at += 1
                yield Token("(" if char in _OPEN else ")", char, start)
            elif char in _MINUS:
                self._at += 1
                if self._at == len(text) or text[self._at].isspace() or text[self._at] in _CLOSE:
                    raise QueryError("减号后面没有要排除的词", position=start, suggestion="写成 -词，或给减号加上引号")
                yield Token("not", char, start)
            elif char in _QUOTES:
                yield self._quoted_or_near()
            else:
                yield self._word_or_field()

    def _quoted(self) -> str:
        start = self._at
        closing = _STRAIGHT if self._text[start] in _STRAIGHT else _CURLY
        out: list[str] = []
        self._at += 1
        while self._at < len(self._text):
            char = self._text[self._at]
            self._at += 1
            if char == "\\" and self._text[self._at : self._at + 1] in ("\\", *_QUOTES):
                out.append(self._text[self._at])
                self._at += 1
            elif char in closing:
                if not out:
                    raise QueryError("引号里没有内容", position=start, suggestion="请在引号里写上要找的词")
                return "".join(out)
            else:
                out.append(char)
        raise QueryError("引号没有闭合", position=start, suggestion="请在短语末尾补上引号")

    def _quoted_or_near(self) -> Token:
        start = self._at
        phrase = self._quoted()
        if self._at == len(self._text) or self._text[self._at] not in _TILDE:
            return Token("quoted", phrase, start)
        tilde = self._at
        number = _DISTANCE.match(self._text, tilde + 1)
        if number is None:
            raise QueryError("“~”后面要写最多相隔几个字", position=tilde, suggestion='例如 "暖气 不热"~5')
        self._at = number.end()
        return Token("near", phrase, start, distance=int(number.group()), value_at=tilde)

    def _run(self) -> str:
        """Up to the next white space, bracket or quote."""
        start = self._at
        while self._at < len(self._text):
            char = self._text[self._at]
            if char.isspace() or char in _OPEN or char in _CLOSE or char in _QUOTES:
                break
            self._at += 1
        return self._text[start : self._at]

    def _word_or_field(self) -> Token:
        start = self._at
        name = _FIELD_NAME.match(self._text, start)
        if name and name.end() < len(self._text) and self._text[name.end()] in _COLON:
            return self._field(name.group(), start, name.end() + 1)
        word = self._run()
        operator = OPERATORS.get(normalize("NFKC", word))
        kind: TokenKind = "word"
        if operator == "and":
            kind = "and"
        elif operator == "or":
            kind = "or"
        elif operator == "not":
            kind = "not"
        return Token(kind, word, start)

    def _field(self, name: str, start: int, value_at: int) -> Token:
        self._at = value_at
        found = _COMPARISON.match(self._text, value_at)
        comparison = ""
        if found:
            comparison = _COMPARISONS.get(found.group()) or normalize("NFKC", found.group())
            self._at = found.end()
        value_at = self._at
        quoted = self._at < len(self._text) and self._text[self._at] in _QUOTES
        value = self._quoted() if quoted else self._run()
        return Token("field", value, start, name=name, comparison=comparison, value_at=value_at, quoted=quoted)
