"""The error tree: drawn as it is, picklable, and clear about what broke where."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from ingest import errors
from ingest.errors import Poison, QueryError, Retryable, ShengwenError

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]


def drawn() -> dict[str, str]:
    """Child to parent, as the module's docstring draws them."""
    tree: dict[str, str] = {}
    path: list[str] = []
    for branch, name in re.findall(r"^    ((?:│   |    |├── |└── )*)([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE):
        path = [*path[: len(branch) // 4], name]
        if len(path) > 1:
            tree[name] = path[-2]
    return tree


def test_the_tree_is_what_is_drawn() -> None:
    assert drawn() == {kind.__name__: kind.__mro__[1].__name__ for kind in CLASSES if kind is not ShengwenError}
    assert len(CLASSES) > 8


def test_poison_names_its_field_and_retryable_its_wait() -> None:
    assert (str(Poison("no number", field="a.b")), Poison("x", field="a").field) == ("a.b: no number", "a")
    assert (str(Poison("no number")), Poison("x").field) == ("no number", None)
    assert (Retryable("x").retry_after, Retryable("x", retry_after=3.5).retry_after) == (None, 3.5)


@pytest.mark.parametrize(
    ("suggestion", "said"), [("", "第 4 个字符处：少了括号"), ("加上“)”", "第 4 个字符处：少了括号。加上“)”")]
)
def test_a_query_error_says_where_and_what_to_do(suggestion: str, said: str) -> None:
    error = QueryError("少了括号", position=3, suggestion=suggestion)
    assert (str(error), error.position, error.suggestion) == (said, 3, suggestion)


def test_plain_errors_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(Retryable("busy", retry_after=2.0)))
    assert (type(error), str(error), error.retry_after) == (Retryable, "busy", 2.0)
