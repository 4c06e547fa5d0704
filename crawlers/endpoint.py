"""What every platform's parser is made of: endpoints, the answer they read, and the page they build."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from pydantic import ValidationError

from crawlers.decode import Decoded, load_json
from crawlers.payload import Page, Payload, Problem, Signal
from crawlers.reading import Reader
from ingest.draft import Draft
from ingest.errors import PayloadError
from ingest.mention import poison_from

MAX_REQUEST: Final = 200_000
"""Bytes of a posted body that are looked at for parameters."""

SAMPLE: Final = 3
"""So many records without a key that all of them should have: the platform has renamed it."""

MAX_PROBLEMS: Final = 100
"""So many broken records of a page are told one by one; the others are counted."""

MAX_RECORDS: Final = 20_000
"""No page shows as many records; what an answer holds beyond them is counted as broken, and not read."""

_NESTED: Final = ("body", "data", "360buy_param_json", "params")
"""Parameters whose value is JSON text with the real parameters inside (api.m.jd.com, mtop, the merchant APIs)."""


@dataclass(frozen=True, slots=True)
class Stop:
    """An answer that is no data: the signal and, in Chinese, why."""

    signal: Signal
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A decoded answer, ready for an endpoint's parser. ``root`` is the platform's own body, wrappers taken off."""

    payload: Payload
    decoded: Decoded
    root: Reader
    params: Mapping[str, str]
    """The request's parameters: query, posted JSON or form, and what is nested in them."""

    @property
    def captured_at(self) -> datetime:
        return self.payload.captured_at

    def param(self, *names: str) -> str | None:
        """The first of these request parameters that is not empty."""
        return next((self.params[name] for name in names if self.params.get(name)), None)

    @property
    def asked(self) -> bool:
        """Whether the request is known at all, and not only its answer."""
        return bool(self.payload.url or self.payload.request_body)

    def page_number(self, name: str, default: int | None = None) -> int | None:
        """A request's page number; ``default`` where the request is known and does not name one, else None."""
        value = self.params.get(name)
        if value is None or value == "":
            return default if self.asked else None
        return int(value) if re.fullmatch(r"\d{1,7}", value, re.ASCII) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One kind of answer.

    ``address`` is searched in ``host/path#function`` of the request. ``fits`` says whether a body has this endpoint's
    root keys (be they null), ``accepts`` the same where the address has said which endpoint it is; a body that no
    endpoint fits then means ``misfit``.
    """

    name: str
    address: re.Pattern[str] | None
    fits: Callable[[Reader], bool]
    parse: Callable[[Answer], Page]
    accepts: Callable[[Reader], bool] | None = None
    misfit: Signal = "unknown"


def _same(values: list[object]) -> object:
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """One platform: how it says stop, and its endpoints in the order in which a shape is tried.

    ``outside`` judges status, headers and redirects; ``inside`` a decoded body at one level of wrapping. ``statuses``
    are judged after the body, which may know better. ``nothing`` and ``page`` say what an empty body and HTML without
    data mean.
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    outside: Callable[[Payload], Stop | None]
    inside: Callable[[Decoded, Reader], Stop | None]
    statuses: Mapping[int, Stop] = field(default_factory=dict)
    nothing: Stop = Stop("unknown", "答复为空")
    page: Stop = Stop("unknown", "页面里没有数据")
    merge: Callable[[list[object]], object] = _same
    """Makes one body of a stream's pieces."""


@dataclass(slots=True)
class Harvest:
    """The drafts and problems of one page, in order, each id once, and what the page lacks."""

    drafts: list[Draft] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    more_problems: int = 0
    _read: int = 0
    _seen: set[tuple[str, object]] = field(default_factory=set)

    def add(self, record: Reader, build: Callable[[Reader], Draft | None]) -> Draft | None:
        """Build one record; one that breaks becomes a Problem and its neighbours stay. None when it gave nothing."""
        self._read += 1
        if self._read > MAX_RECORDS:
            self.more_problems += 1
            return None
        try:
            draft = build(record.record())
        except PayloadError as error:
            self._broke(error.field or record.path, str(error).removeprefix(f"{error.field}: "), record)
            return None
        except ValidationError as error:
            poison = poison_from(error)
            self._broke(f"{record.path}.{poison.field}", str(poison), record)
            return None
        if draft is None or (draft.kind, draft.native_id) in self._seen:
            return draft
        self._seen.add((draft.kind, draft.native_id))
        self.drafts.append(draft)
        return draft

    def _broke(self, path: str, reason: str, record: Reader) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(path, reason, record.raw()))
        else:
            self.more_problems += 1

    def add_all(self, records: Iterable[Reader], build: Callable[[Reader], Draft | None]) -> None:
        for record in records:
            self.add(record, build)

    def expect(self, where: Reader, *names: str) -> None:
        """Note the first of these keys as missing when ``where`` has none of them."""
        if not any(where.has(name) for name in names):
            self.missing.append(where[names[0]].path)

    def expect_in(self, records: Reader, *names: str) -> None:
        """The same for the records of a list: when the first :data:`SAMPLE` have none of these keys."""
        sample = [record for record in islice(records.items(), SAMPLE) if isinstance(record.value, dict)]
        if len(sample) == SAMPLE and not any(record.has(name) for record in sample for name in names):
            self.missing.append(f"{records.path}[].{names[0]}")

    def expect_next(self, promised: object, more: Mapping[str, str] | None, path: str) -> None:
        """Note ``path`` as missing when the answer promises more and does not say how to get it."""
        if promised and more is None:
            self.missing.append(path)

    def page(
        self,
        endpoint: str,
        *,
        more: Mapping[str, str] | None = None,
        total: int | None = None,
        counts: Mapping[str, int] | None = None,
        stats: Mapping[str, float | bool] | None = None,
        tags: Mapping[str, int] | None = None,
        nothing: Stop = Stop("empty", "平台说没有"),
    ) -> Page:
        """The page: ok with records, ``nothing`` without; unknown when there were records and all of them broke.

        A page of advertisements in the middle of a list is ok, too: it promises more.
        """
        outcome = Stop("ok", "") if self.drafts or (more is not None and nothing.signal == "empty") else nothing
        if self.problems and not self.drafts:
            outcome = Stop("unknown", f"一条记录也读不出来，第一处：{self.problems[0].path}")
        return Page(
            endpoint=endpoint,
            signal=outcome.signal,
            reason=outcome.reason,
            mentions=tuple(self.drafts),
            problems=tuple(self.problems),
            more_problems=self.more_problems,
            missing=tuple(self.missing),
            next=more,
            total=total,
            counts=counts or {},
            stats=stats or {},
            tags=tags or {},
        )


def claims(where: Reader, names: Mapping[str, str]) -> dict[str, int]:
    """:attr:`crawlers.payload.Page.counts` from an object's counts (claim → key), those that it states."""
    found = {claim: where.number(key) for claim, key in names.items()}
    return {claim: number for claim, number in found.items() if number is not None}


def request_params(payload: Payload) -> dict[str, str]:
    """Every parameter that the request named, outermost first; nothing when it cannot be read."""
    found: dict[str, str] = {}
    if payload.url:
        try:
            query = urlsplit(payload.url).query
        except ValueError:
            query = ""
        _take_form(query, found)
    posted = payload.request_body[:MAX_REQUEST].decode("utf-8", "replace").strip()
    if posted.startswith("{"):
        _take_json(posted, found)
    elif posted:
        _take_form(posted, found)
    return found


def _take_form(form: str, found: dict[str, str]) -> None:
    try:
        pairs = parse_qsl(form, keep_blank_values=True, max_num_fields=300)
    except ValueError:
        return
    for name, value in pairs:
        found.setdefault(name, value)
        if name in _NESTED and value.lstrip().startswith("{"):
            _take_json(value, found)


def _take_json(text: str, found: dict[str, str]) -> None:
    try:
        values = load_json(text)
    except PayloadError:
        return
    if not isinstance(values, dict):
        return
    for name, value in values.items():
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            found.setdefault(name, str(value))


def address_of(payload: Payload, params: Mapping[str, str]) -> str:
    """``host/path#function`` of a request; "" when unknown. The function is what api gateways dispatch on."""
    function = params.get("functionId") or params.get("method") or ""
    try:
        parts = urlsplit(payload.url or "")
        host = (parts.hostname or "").lower()
    except ValueError:
        return ""
    return f"{host}{parts.path}#{function}" if host or function else ""


_WALL_PATHS: Final = re.compile(r"login|/signin|/account/unhuman|/punish|risk_handler|captcha", re.IGNORECASE)


def destinations(payload: Payload) -> list[str]:
    """Where redirects led: ``host/path?query`` of the final address and of an unfollowed Location, lower-case hosts.

    Without a final address the request's own counts, if it is a wall's: a captured login page is one.
    """
    location = payload.headers.get("location") if 300 <= payload.status < 400 else None
    own = payload.url if payload.final_url is None else None
    found = []
    for address in (payload.final_url, location, own):
        try:
            parts = urlsplit(address or "")
            host = (parts.hostname or "").lower()
        except ValueError:
            continue
        if address and (address is not own or _WALL_PATHS.search(parts.path)):
            found.append(f"{host}{parts.path}?{parts.query}")
    return found
