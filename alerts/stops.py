"""A source that stopped and waits for a person: told once for each stop, with what the person must do.

Whether a source stands still is known by who collects it; it is read in the transaction that tells, and a stop is
named by its source and its moment. So no restart, second process or ``kill -9`` tells it again, and a source that
is resumed and stops anew is told anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select, update

from alerts.config import AlertSettings
from alerts.incidents import Incidents
from alerts.messages import local
from alerts.routing import Routing
from alerts.scopes import source_name
from alerts.tables import Incident, table

KIND: Final = "stop"

_WHY: Final = {
    "login_required": "登录已失效",
    "verification": "平台要求验证",
    "throttled": "平台嫌请求太多",
    "blocked": "平台拒绝访问",
    "unknown": "应答看不懂",
}
_ADVICE: Final = {
    "login_required": "请由人运行 shengwen login {source} 登录一次",
    "verification": "请由人运行 shengwen login {source}，在打开的窗口里完成平台要求的验证",
    "throttled": "请先歇几个小时，再放长 pause 或调小 requests_per_hour",
    "blocked": "请先歇一天以上，并确认账号、网络正常，且可以在那里采集",
    "unknown": "请在自己的浏览器里看一眼这个平台：可能是被拦，也可能是改版，要更新解析代码",
}
_OLD_LISTS: Final = re.compile(r"^(jd\.(productPageComments|getQuestion|getAnswer)|tmall\.list_detail_rate)")
"""Lists of shops that are read by plain requests; their pages show more to who has logged in."""
_IN_BROWSER: Final = (
    "不登录的普通请求读不到时，可改在浏览器里读商品页：由人运行 shengwen login {source} 登录一次，"
    "以后会像读者一样打开页面、翻看评价"
)
_OFFICIAL: Final = re.compile(r"[^:：（]*开放平台[（：]")
"""How the refusals of official APIs begin: with the API's name. A parser's word begins with its endpoint's."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A source that stands still since ``at`` (UTC). ``signal`` as in coverage; ``reason`` is the collector's own word.

    ``login_at``: when a person last logged in there, where that is known; ``login_lost``: that login has ended.
    """

    source: str
    signal: str
    reason: str
    at: datetime
    login_at: datetime | None = None
    login_lost: bool = False

    @property
    def problem(self) -> str:
        return "\x1f".join((KIND, self.source, self.at.isoformat()))

    @property
    def title(self) -> str:
        why = _WHY.get(self.signal, self.signal)
        if self.signal == "login_required" and not self.login_lost:
            why = "平台要求登录" if not self._says_what_to_do else "密钥或授权无效"
        return f"采集已停：{source_name(self.source)}（{why}）"

    @property
    def words(self) -> tuple[str, ...]:
        """What to tell beside the title: why, how old the login was, what the person must do. In Chinese."""
        said = [f"平台的接口这样回答：{self.reason}"] if self._says_what_to_do else []
        if self.login_lost and self.login_at is not None:
            said.append(f"上次登录在 {local(self.login_at)}")
        if _OLD_LISTS.search(self.reason):
            said.append(_IN_BROWSER.format(source=self.source))
        advice = "请按上面说的处理" if self._says_what_to_do else _ADVICE.get(self.signal, "请看一眼这个平台")
        return (*said, f"{advice.format(source=self.source)}，再在“来源”页按“恢复”；在那之前不会再请求它")

    @property
    def _says_what_to_do(self) -> bool:
        """An official API's refusals are explained, with advice; a parser only says what it met."""
        return _OFFICIAL.match(self.reason) is not None


Standing = Callable[[Connection], Sequence[Stop]]
"""Reads all sources that stand still."""


def none_stands(_: Connection) -> Sequence[Stop]:
    """For who collects nothing."""
    return ()


@dataclass(frozen=True, slots=True)
class Told:
    """``raised``: keys of new alerts. ``excused``: sources whose silence is explained by a stop, now or lately."""

    raised: Sequence[str]
    excused: frozenset[str]


def tell(
    connection: Connection, settings: AlertSettings, routing: Routing, now: datetime, stops: Sequence[Stop]
) -> Told:
    """Raise one second-level alert for each stop that has none; close those of sources that were resumed.

    A resumed source has as long to be heard again as any other before it counts as silent.
    """
    rows = table(Incident)
    grace = timedelta(hours=settings.source_silent_after.hours or 0)
    known = {row.problem: row for row in connection.execute(select(rows).where(rows.c.kind == KIND))}
    standing = {stop.problem: stop for stop in stops}
    excused = {stop.source for stop in stops}
    for problem, row in known.items():
        if problem in standing:
            continue
        if row.calm_since is None:
            closed = {"state": "closed", "closed_at": row.closed_at or now, "calm_since": now}
            connection.execute(update(rows).where(rows.c.id == row.id).values(**closed))
        if row.calm_since is None or now - row.calm_since < grace:
            excused.add(problem.split("\x1f")[1])
    desk = Incidents(connection, settings, routing, now)
    fresh = [stop for problem, stop in sorted(standing.items()) if problem not in known]
    raised = [desk.raise_stop(stop.problem, stop.title, stop.words, stop.at) for stop in fresh]
    return Told(raised, frozenset(excused))
