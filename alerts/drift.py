"""Schema drift: a field that a platform's records had last week and hardly have now. It breaks nothing and loses much.

Crawls count what their records have (:class:`ingest.coverage.Fill`); the counts are kept by source, endpoint and day
(Beijing). Compared are shares of records, so that busy and quiet days weigh alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import orjson
from sqlalchemy import Connection, delete, select

from alerts.tables import FieldFill, table
from alerts.upsert import upsert
from ingest.clock import BEIJING
from ingest.coverage import Coverage, Fill

KEPT_DAYS = 90
WEEK = 7
MAX_FIELDS = 100
"""Fields and paths of one endpoint that are kept; parsers know about twenty."""

FIELD_NAMES = {
    "record": "可读的记录",
    "text": "正文",
    "title": "标题",
    "time": "时间",
    "clock": "精确到分钟的时间",
    "author": "作者",
    "region": "地区",
    "rating": "评分",
    "product": "商品",
    "spec": "规格",
    "parent": "所属内容",
    "likes": "点赞数",
    "replies": "回复数",
    "shares": "分享数",
    "views": "浏览数",
    "append": "追评",
    "seller_reply": "商家回复",
    "media": "图片视频",
}
"""As users read them; JSON paths stand for themselves."""


@dataclass(frozen=True, slots=True)
class DriftRules:
    """``fall``: a share (0-1) that fell by this much is a drift; an open one is over when less than half of it is left.

    ``min_records``: fewer, now or last week, say nothing. ``recent_days``: how far back "now" may reach for them.
    """

    fall: float = 0.30
    min_records: int = 50
    recent_days: int = 3


RULES = DriftRules()


@dataclass(frozen=True, slots=True)
class DayFill:
    """What one source's endpoint gave on one Beijing day."""

    source: str
    day: date
    fill: Fill


@dataclass(frozen=True, slots=True)
class Fallen:
    """One field: the share of records that had it in the week before, and now."""

    field: str
    before: float
    now: float

    @property
    def words(self) -> str:
        return f"{FIELD_NAMES.get(self.field, self.field)}从 {self.before:.0%} 降到 {self.now:.0%}"


@dataclass(frozen=True, slots=True)
class Drift:
    """One endpoint's comparison; ``fallen`` is empty where all is as it was. ``since`` is the first day of "now"."""

    source: str
    endpoint: str
    since: date
    records: int
    fallen: tuple[Fallen, ...]

    @property
    def words(self) -> str:
        """What to tell, in Chinese."""
        fields = "；".join(one.words for one in self.fallen)
        return f"{self.endpoint} 的数据结构可能变了，有值的记录比例：{fields}（最近 {self.records} 条，与之前一周相比）"


Key = tuple[str, str]
"""Source and endpoint."""


def drifts(
    days: Sequence[DayFill], today: date, *, rules: DriftRules = RULES, opened: Mapping[Key, date] | None = None
) -> list[Drift]:
    """Compare each endpoint's newest records with those of the week before, by source and endpoint.

    "Now" are the newest days that together hold ``min_records``. Endpoints without enough records on either side are
    left out: nothing is known of them. ``opened`` names drifts that are told already and the day they began: those
    are compared with the week before *that*, however long they last, and are over only when the share is back.
    """
    found: list[Drift] = []
    by_endpoint: dict[Key, list[DayFill]] = defaultdict(list)
    for one in days:
        by_endpoint[one.source, one.fill.endpoint].append(one)
    for key, given in sorted(by_endpoint.items()):
        recent = _newest([one for one in given if today - timedelta(days=rules.recent_days) < one.day <= today], rules)
        if recent is None:
            continue
        since, now = recent
        began = (opened or {}).get(key)
        edge = min(since, began) if began is not None else since
        week = [one.fill for one in given if edge - timedelta(days=WEEK) <= one.day < edge]
        before = pooled(key[1], week)
        if _size(before) < rules.min_records:
            continue
        least = rules.fall / 2 if began is not None else rules.fall
        found.append(Drift(*key, since, _size(now), _fallen(before, now, least)))
    return found


def _newest(days: Sequence[DayFill], rules: DriftRules) -> tuple[date, Fill] | None:
    taken: list[Fill] = []
    for one in sorted(days, key=lambda given: given.day, reverse=True):
        taken.append(one.fill)
        together = pooled(one.fill.endpoint, taken)
        if _size(together) >= rules.min_records:
            return one.day, together
    return None


def _size(fill: Fill) -> int:
    return fill.records + fill.broken


def _fallen(before: Fill, now: Fill, least: float) -> tuple[Fallen, ...]:
    was, is_ = before.shares(), now.shares()
    pairs = [(name, was.get(name, _default(name)), is_.get(name)) for name in dict.fromkeys((*was, *is_))]
    # A field that is not counted any more (none could be read, or another version reads) is no news of its own.
    falls = [Fallen(name, old, new) for name, old, new in pairs if new is not None and old - new >= least - 1e-9]
    return tuple(sorted(falls, key=lambda one: (one.now - one.before, one.field)))


def _default(name: str) -> float:
    """The share of what a side does not mention: a path nobody missed was there, a field nobody counted was not."""
    return 0.0 if name in FIELD_NAMES else 1.0


def pooled(endpoint: str, fills: Sequence[Fill]) -> Fill:
    """The counts of several crawls of one endpoint, added up."""
    fields: dict[str, int] = defaultdict(int)
    lacking: dict[str, int] = defaultdict(int)
    for fill in fills:
        for name, count in fill.fields.items():
            fields[name] += count
        for path, count in fill.lacking.items():
            lacking[path] += count
    records, broken = sum(fill.records for fill in fills), sum(fill.broken for fill in fills)
    return Fill(endpoint=endpoint, records=records, broken=broken, fields=dict(fields), lacking=dict(lacking))


def keep(connection: Connection, record: Coverage) -> None:
    """Add a crawl's counts to its day. Not idempotent: the caller sees to it that a record is added once."""
    rows = table(FieldFill)
    day = record.finished_at.astimezone(BEIJING).date()
    for fill in record.fill:
        where = (rows.c.source == record.source, rows.c.endpoint == fill.endpoint, rows.c.day == day.isoformat())
        was = connection.execute(select(rows).where(*where)).mappings().first()
        both = pooled(fill.endpoint, [fill] if was is None else [_fill(dict(was)), fill])
        values = {
            "source": record.source,
            "endpoint": fill.endpoint,
            "day": day.isoformat(),
            "records": both.records,
            "broken": both.broken,
            "fields": orjson.dumps(dict(list(both.fields.items())[:MAX_FIELDS])).decode(),
            "lacking": orjson.dumps(dict(list(both.lacking.items())[:MAX_FIELDS])).decode(),
        }
        statement = upsert(connection, rows)
        changed = {c.name: statement.excluded[c.name] for c in rows.columns if not c.primary_key}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["source", "endpoint", "day"], set_=changed), values
        )
    if record.fill:
        oldest = day - timedelta(days=KEPT_DAYS)
        connection.execute(delete(rows).where(rows.c.source == record.source, rows.c.day < oldest.isoformat()))


def kept(connection: Connection, today: date, opened: Mapping[Key, date]) -> list[DayFill]:
    """What :func:`drifts` must know to compare on that day, by source, endpoint and day."""
    rows = table(FieldFill)
    oldest = min([today - timedelta(days=RULES.recent_days), *opened.values()]) - timedelta(days=WEEK)
    order = (rows.c.source, rows.c.endpoint, rows.c.day)
    return [
        DayFill(row["source"], date.fromisoformat(row["day"]), _fill(dict(row)))
        for row in connection.execute(select(rows).where(rows.c.day >= oldest.isoformat()).order_by(*order)).mappings()
    ]


def _fill(row: Mapping[str, object]) -> Fill:
    return Fill.model_validate(
        {
            "endpoint": row["endpoint"],
            "records": row["records"],
            "broken": row["broken"],
            "fields": orjson.loads(str(row["fields"])),
            "lacking": orjson.loads(str(row["lacking"])),
        }
    )


def start_of(day: date) -> datetime:
    """A Beijing day's first instant."""
    return datetime.combine(day, time(), tzinfo=BEIJING)
