"""Queries in the server's own language, with exactly the meaning that :mod:`search.memory` gives them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

from ingest.errors import UserError
from search.ast import And, Between, Everything, Has, Is, Near, Node, Not, Or, Since, Until, Word
from search.elastic import tokens
from search.memory import ANY, TITLE_WEIGHT, epoch_ms
from search.normalise import fold

Clause = dict[str, Any]
Where = Literal["", "title_", "product_"]

_NOTHING: Final[Clause] = {"match_none": {}}
_EVERYTHING: Final[Clause] = {"match_all": {}}
COPY: Final[Clause] = {"exists": {"field": "likeness"}}
"""Not the first of its group."""
_MAX_DEPTH: Final = 28
"""The server refuses more than 30 queries in one another; one is ours, one is the leaf."""
_INTEGERS: Final = frozenset({"rating", "likes", "replies", "shares", "views"})


def compiled(node: Node) -> Clause:
    """The filter for ``node`` over what is stored now (stubs left out). Raises UserError for parentheses too deep."""
    inner = clause(node)
    if _depth(inner) > _MAX_DEPTH:
        raise UserError("查询的括号套得太深。请减少括号的层数，或拆成几个查询")
    return {"bool": {"filter": [{"term": {"live": True}}, inner]}}


def ranked(node: Node, words: Sequence[Word | Near]) -> Clause:
    """``compiled`` with :func:`search.memory.relevance` as the score: exact, as the sum of small whole numbers is."""
    query = compiled(node)
    scores: list[Clause] = []
    for word in words:
        scores.append(_scored(_contains(word, ""), 1))
        scores.append(_scored(_contains(word, "title_"), TITLE_WEIGHT - 1))
    query["bool"] |= {"should": scores, "minimum_should_match": 0}
    return query


def clause(node: Node) -> Clause:
    """One node, without the restriction to what is live."""
    match node:
        case Everything():
            return _EVERYTHING
        case And(parts):
            return _and(parts)
        case Or(parts):
            return _any([clause(part) for part in parts])
        case Not(Not(part)):
            return clause(part)
        case Not():
            return _and([node])
        case Word() | Near():
            return _contains(node, "")
        case Is():
            return _is(node)
        case Between():
            return _between(node)
        case Since(instant):
            return {"range": {"created": {"gte": epoch_ms(instant)}}}
        case Until(instant):
            return {"range": {"created": {"lt": epoch_ms(instant)}}}
        case Has(part):
            return {"term": {"has": part}}
    raise TypeError(f"not a query node: {node!r}")


def _and(parts: Iterable[Node]) -> Clause:
    """One ``bool`` for an And with its Nots and its first Or: the server counts how deep they are nested."""
    wanted: list[Clause] = []
    unwanted: list[Clause] = []
    either: list[Clause] = []
    left = list(parts)
    while left:
        part = left.pop(0)
        match part:
            case And(inner) | Not(Not(And(inner))):
                left = [*inner, *left]
            case Not(Not(inner)):
                left = [inner, *left]
            case Not(Or(inner)):
                left = [*map(Not, inner), *left]
            case Not(inner):
                unwanted.append(clause(inner))
            case Or(inner) if not either:
                either = [clause(one) for one in inner]
            case _:
                wanted.append(clause(part))
    query: Clause = {}
    if wanted:
        query["filter"] = wanted
    if unwanted:
        query["must_not"] = unwanted
    if either:
        query |= {"should": either, "minimum_should_match": 1}
    return {"bool": query} if query else _EVERYTHING


def _any(clauses: Sequence[Clause]) -> Clause:
    return {"bool": {"should": list(clauses), "minimum_should_match": 1}}


def _all(clauses: Sequence[Clause]) -> Clause:
    return clauses[0] if len(clauses) == 1 else {"bool": {"filter": list(clauses)}}


def _scored(query: Clause, score: int) -> Clause:
    return {"constant_score": {"filter": query, "boost": score}}


def _contains(node: Word | Near, where: Where) -> Clause:
    if isinstance(node, Word):
        return _word(tokens.encoded(node.text), where)
    return _near(tokens.encoded(node.first), tokens.encoded(node.second), node.distance, where)


def _word(code: str, where: Where) -> Clause:
    if not code:
        return {"exists": {"field": f"{where}chars"}}
    if len(code) == 1:
        return _term(f"{where}chars", code)
    if not _has_utf8(code):
        return _NOTHING
    return {"match_phrase": {f"{where}grams": tokens.phrase(code)}}


def _near(first: str, second: str, distance: int, where: Where) -> Clause:
    """Both words contained, by their bigrams; then, of those few, both near enough, by the characters' positions."""
    both = [_word(first, where), _word(second, where)]
    if not _has_utf8(first + second):
        return _NOTHING
    if first in second or second in first:
        # A word is near what it contains, and the server would want two of a word that is named twice.
        return _all(both[:1] if first == second else both)
    rule = {"intervals": [_interval(first), _interval(second)], "ordered": False, "max_gaps": distance}
    return _all([*both, {"intervals": {f"{where}chars": {"all_of": rule}}}])


def _interval(code: str) -> Clause:
    return {"match": {"query": tokens.chars(code), "ordered": True, "max_gaps": 0}}


def _is(node: Is) -> Clause:
    value = node.value
    match node.field:
        case "source":
            equal: Clause = {"term": {"source": value}}
            return _any([equal, {"prefix": {"source": "import:"}}]) if value == "import" else equal
        case "tag":
            return _term("tag_key", fold(value))
        case "matched" if value == ANY:
            return {"exists": {"field": "matched"}}
        case "matched":
            return _term("matched_key", fold(value))
        case "copies":
            return _copies(value)
        case "product" if node.exact:
            return _term("product", value)
        case "product":
            return _any([_word(tokens.encoded(value), "product_"), _term("product_key", value)])
        case field:
            return _term(field, value)


def _copies(value: str) -> Clause:
    if value == "no":
        return {"bool": {"must_not": [COPY]}}
    return COPY if value == "yes" else _term("likeness", value)


def _term(field: str, value: str) -> Clause:
    return {"term": {field: value}} if _has_utf8(value) else _NOTHING


def _has_utf8(text: str) -> bool:
    """False for a lone surrogate: nothing that is stored has one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _between(node: Between) -> Clause:
    bounds: dict[str, float] = {}
    whole = node.field in _INTEGERS
    if node.low is not None:
        if whole:
            bounds["gte"] = math.floor(node.low) + 1 if node.low_open else math.ceil(node.low)
        else:
            bounds["gt" if node.low_open else "gte"] = node.low
    if node.high is not None:
        if whole:
            bounds["lte"] = math.ceil(node.high) - 1 if node.high_open else math.floor(node.high)
        else:
            bounds["lt" if node.high_open else "lte"] = node.high
    if not bounds:
        return {"exists": {"field": node.field}}
    return {"range": {node.field: bounds}}


def _depth(query: Clause) -> int:
    """How many queries are nested in one another, as the server counts them."""
    inner = [one for part in query.get("bool", {}).values() if isinstance(part, list) for one in part]
    return 1 + max(map(_depth, inner), default=0)
