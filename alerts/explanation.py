"""Why an alert was raised, as a value: kept with the incident, shown in the page, said in messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import orjson


@dataclass(frozen=True, slots=True)
class Lift:
    """A value that stands out: ``count`` in the evidence, ``lift`` = its share there over its share in the baseline."""

    value: str
    count: int
    lift: float


@dataclass(frozen=True, slots=True)
class Quote:
    """Words of a customer, masked."""

    mention_id: str
    text: str
    source: str
    created_at: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an alert was raised. ``counter`` are Chinese sentences that speak against it."""

    products: Sequence[Lift] = ()
    tags: Sequence[Lift] = ()
    regions: Sequence[Lift] = ()
    sources: Sequence[Lift] = ()
    quotes: Sequence[Quote] = ()
    counter: Sequence[str] = ()
    share: float | None = None
    share_expected: float | None = None
    share_p: float | None = None
    coverage: float | None = None


def explanation_json(explanation: Explanation) -> str:
    """As an incident keeps it."""
    return orjson.dumps(asdict(explanation)).decode()


def explanation_from_json(text: str) -> Explanation:
    """Read back what :func:`explanation_json` wrote."""
    data = orjson.loads(text)
    for name, build in (("products", Lift), ("tags", Lift), ("regions", Lift), ("sources", Lift), ("quotes", Quote)):
        data[name] = tuple(build(**part) for part in data.get(name, ()))
    data["counter"] = tuple(data.get("counter", ()))
    return Explanation(**data)
