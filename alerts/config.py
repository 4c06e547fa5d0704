"""Settings of alerting: thresholds, levels, deadlines, channels, ticket systems. Defaults are DOMAIN's tables.

Addresses and secrets are :class:`pydantic.SecretStr`: a chat bot's URL *is* its password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

from ingest.analysis import Intent
from ingest.complaints import first_complaint
from ingest.errors import ConfigError

Level = Literal["一级", "二级", "三级"]
LEVELS: tuple[Level, ...] = ("一级", "二级", "三级")
RANK: Mapping[str, int] = {level: rank for rank, level in enumerate(LEVELS, start=1)}


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Span(_Settings):
    """A length of time: hours on the wall clock, or days on the Chinese working calendar. Written ``4h``, ``3wd``."""

    hours: float | None = Field(default=None, gt=0)
    workdays: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one(self) -> Span:
        if (self.hours is None) == (self.workdays is None):
            raise ValueError("写成 4h（小时）或 3wd（工作日）")
        return self


_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(h|小时|d|天|wd|个?工作日)\s*")


def _span(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _SPAN.fullmatch(value)
    if match is None:
        raise ValueError("写成 4h（小时）、2d（天）或 3wd（工作日）")
    number, unit = float(match[1]), match[2]
    if unit in ("h", "小时"):
        return {"hours": number}
    if unit in ("d", "天"):
        return {"hours": number * 24}
    return {"workdays": number}


Duration = Annotated[Span, BeforeValidator(_span)]


class SpikeSettings(_Settings):
    """When negatives are too many. ``alpha`` bounds false discoveries over all scopes judged in one tick."""

    windows_hours: tuple[int, ...] = (1, 6, 24)
    weeks: int = Field(default=8, ge=1, le=26)
    min_mentions: int = Field(default=3, ge=1)
    min_authors: int = Field(default=3, ge=1)
    min_factor: float = Field(default=1.5, ge=1)
    alpha: float = Field(default=0.001, gt=0, lt=0.5)
    watch_alpha: float = Field(default=0.05, gt=0, lt=0.5)
    share_alpha: float = Field(default=0.2, gt=0, le=1)
    """A count that is high while its share of all mentions is not even this unusual is "everything is up"."""
    min_coverage: float = Field(default=0.8, ge=0, le=1)
    learning_days: float = Field(default=7, ge=0)
    learning_min_mentions: int = Field(default=8, ge=1)
    learning_min_factor: float = Field(default=3.0, ge=1)
    cooling_hours: float = Field(default=2, gt=0)
    repeat_hours: float = Field(default=6, gt=0)
    severity_step: float = Field(default=2, gt=0)


class TicketSettings(_Settings):
    """Which mentions become tickets. Ages are event time to collection: an import of old reviews floods nobody."""

    intents: tuple[Intent, ...] = ("complaint", "suggestion", "question", "praise")
    max_age: Duration = Span(hours=7 * 24)
    safety_alert_age: Duration = Span(hours=48)
    safety_max_age: Duration = Span(hours=30 * 24)
    min_severity_second: float = Field(default=3, ge=0, le=10)
    """A complaint below this severity is 三级 (slight annoyance), otherwise 二级."""
    update_interval: Duration = Span(hours=1 / 6)
    """New evidence is told to downstream systems at most this often for one ticket."""

    @model_validator(mode="after")
    def _wall_clock(self) -> TicketSettings:
        for name in ("max_age", "safety_alert_age", "safety_max_age", "update_interval"):
            if getattr(self, name).hours is None:
                raise ValueError(f"{name} 只能写小时或天")
        return self


class ServiceLevel(_Settings):
    """How soon a ticket must be answered, planned and done; null where nothing is promised."""

    first_response: Duration
    plan: Duration | None = None
    done: Duration | None = None


def _service_levels() -> dict[Level, ServiceLevel]:
    return {
        "一级": ServiceLevel(first_response=Span(hours=2), plan=Span(hours=24), done=Span(hours=48)),
        "二级": ServiceLevel(first_response=Span(hours=4), done=Span(workdays=3)),
        "三级": ServiceLevel(first_response=Span(hours=8)),
    }


def _address(value: SecretStr) -> None:
    parts = urlsplit(value.get_secret_value())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("地址要以 https:// 开头")
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ValueError("地址要用 https（只有本机可以用 http）")


class ChannelSettings(_Settings):
    """One place that alerts are sent to. Channels are tried in the order of the list.

    ``levels``: what is sent there. ``mobiles``: who is called by name on a 一级 alert. ``keyword``: the bot's safety
    keyword, added to messages that lack it. The first is sent to; the next only when the ones before it failed.
    """

    name: str = Field(pattern=r"^[\w\-.]{1,40}$")
    type: Literal["wecom", "feishu", "dingtalk", "webhook"]
    url: SecretStr
    secret: SecretStr | None = None
    levels: tuple[Level, ...] = ("一级",)
    always: bool = False
    """Gets a copy of its own, besides standing in for the channels before it."""
    mobiles: tuple[str, ...] = ()
    keyword: str = ""

    @model_validator(mode="after")
    def _check(self) -> ChannelSettings:
        _address(self.url)
        if self.type == "webhook" and self.secret is None:
            raise ValueError("webhook 要有签名密钥 secret")
        return self


class TicketSystem(_Settings):
    """A downstream desk that gets every ticket, by our signed webhook."""

    name: str = Field(pattern=r"^[\w\-.]{1,40}$")
    url: SecretStr
    secret: SecretStr
    levels: tuple[Level, ...] = LEVELS
    alerts: bool = False
    """Whether it also gets alerts (``type: alert``)."""

    @model_validator(mode="after")
    def _check(self) -> TicketSystem:
        _address(self.url)
        return self


class Department(_Settings):
    """Who answers for tickets, who their superior (another department's name) is, and the channel that reaches them."""

    superior: str = "客服主管"
    channel: str | None = None
    mobiles: tuple[str, ...] = ()


class DeliverySettings(_Settings):
    """Retries: ``tries`` per channel, waiting ``first_wait`` · 2^n seconds (jittered), at most ``longest_wait``."""

    tries: int = Field(default=5, ge=1)
    ticket_tries: int = Field(default=20, ge=1)
    first_wait: float = Field(default=2, gt=0)
    longest_wait: float = Field(default=3600, gt=0)
    lease: float = Field(default=120, gt=0)
    timeout: float = Field(default=10, gt=0)


class AlertSettings(_Settings):
    """Everything that alerting can be told. ``base_url`` is the page's address, for links; empty where it has none."""

    base_url: str = ""
    spikes: SpikeSettings = SpikeSettings()
    tickets: TicketSettings = TicketSettings()
    service_levels: dict[Level, ServiceLevel] = Field(default_factory=_service_levels)
    complaint_first_response: Duration = Span(hours=4)
    warn_at: tuple[float, ...] = (0.5, 0.8, 1.0)
    digest_above: int = Field(default=5, ge=1)
    """More deadline notices than this for one department at once are folded into one."""
    reach_first_level: int = Field(default=10_000, ge=1)
    """likes + 2 · replies + 3 · shares + views/100 of a negative mention from which reputation is at risk."""
    reputation_words: tuple[str, ...] = (
        "12315",
        "12345",
        "曝光",
        "维权",
        "媒体",
        "记者",
        "消协",
        "消费者协会",
        "黑猫投诉",
        "工商局",
        "市监局",
        "起诉",
        "律师函",
    )
    important_authors: frozenset[str] = frozenset()
    """Author keys of high-value customers: their complaints are 一级."""
    source_silent_after: Duration = Span(hours=26)
    query_dropped_after: Duration = Span(hours=7 * 24)
    """A query crawled so long before its source's last crawl is a target that was taken away: it counts no more."""
    departments: dict[str, Department] = Field(default_factory=dict)
    channels: tuple[ChannelSettings, ...] = ()
    ticket_systems: tuple[TicketSystem, ...] = ()
    delivery: DeliverySettings = DeliverySettings()

    @model_validator(mode="after")
    def _consistent(self) -> AlertSettings:
        names = [c.name for c in self.channels] + [s.name for s in self.ticket_systems]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"渠道或工单系统重名：{'、'.join(twice)}")
        if len(",".join(names)) > 400:
            raise ValueError("渠道太多或名字太长（合计不超过 400 个字符）")
        known = {c.name for c in self.channels}
        for name, department in self.departments.items():
            if department.channel is not None and department.channel not in known:
                raise ValueError(f"部门“{name}”的渠道“{department.channel}”没有配置")
        for name in ("source_silent_after", "query_dropped_after"):
            if getattr(self, name).hours is None:
                raise ValueError(f"{name} 只能写小时或天")
        missing = [level for level in LEVELS if level not in self.service_levels]
        if missing:
            raise ValueError(f"service_levels 缺少 {'、'.join(missing)}")
        if self.base_url:
            parts = urlsplit(self.base_url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("base_url 要以 https:// 开头")
        return self

    def link(self, path: str) -> str:
        """The page's address of ``path`` (``alerts/A-…``); the bare path where no base is set."""
        return f"{self.base_url.rstrip('/')}/{path}" if self.base_url else path


def load_settings(data: Mapping[str, Any]) -> AlertSettings:
    """Settings from a parsed file's ``alerts`` part.

    Raises ConfigError (Chinese) that names the first wrong setting and never shows its value.
    """
    try:
        return AlertSettings.model_validate(dict(data))
    except ValidationError as error:
        where, said = first_complaint(error)
        raise ConfigError(f"告警设置 alerts{'.' + where if where else ''}：{said}") from None
