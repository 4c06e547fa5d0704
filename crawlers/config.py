"""What to crawl, where and how politely: plain data with courteous defaults.

The shell fills it from its settings file; a spider run reads it from its job. Everything here is checked once, and a
bad setting raises ConfigError in Chinese that names the setting.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from crawlers.hours import quiet_spans, span
from crawlers.official.config import Api, OfficialSettings
from ingest.errors import ConfigError

Platform = Literal["jd", "tmall", "xiaohongshu", "douyin", "zhihu"]
PLATFORMS: Final[tuple[Platform, ...]] = get_args(Platform)

USER_AGENT: Final = "Shengwen/0.1 (customer voice collector; obeys robots.txt)"
"""What plain HTTP requests call themselves; a browser keeps its own name."""

TARGET_FIELDS: Final[Mapping[Platform, tuple[tuple[str, ...], ...]]] = {
    "jd": (("sku",),),
    "tmall": (("item_id", "seller_id"), ("item_id",)),
    "xiaohongshu": (("keyword",),),
    "douyin": (("keyword",),),
    "zhihu": (("question_id",), ("article_id",), ("keyword",)),
}
"""By platform, which fields a target has; where there are several kinds of target, one of these sets."""

OFFICIAL: Final[Mapping[Platform, Api]] = {"jd": "jos", "tmall": "top", "zhihu": "zhihu", "douyin": "douyin"}
"""By platform, its official API."""

MAX_SPLIT_WORDS: Final = 20

_ID = re.compile(r"[0-9]{1,24}")
_MAX_PAUSE = 3600.0
_MAX_EVERY = 30 * 86_400.0


def _as_text(value: Any) -> Any:
    # TOML writes ids as integers as readily as texts; a float has lost digits and is refused by the str check.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _native_id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError("编号只能是数字")
    return value


def _keyword(value: str) -> str:
    value = value.strip()
    if not 1 <= len(value) <= 60 or any(ord(c) < 32 for c in value):
        raise ValueError("关键词应为 1 到 60 个字，且不含控制字符")
    return value


def _base_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("应为 http:// 或 https:// 开头的地址，不带参数")
    return value.rstrip("/")


def _pause(value: tuple[float, float]) -> tuple[float, float]:
    low, high = value
    if not 0 <= low <= high <= _MAX_PAUSE:
        raise ValueError(f"应为 [最短, 最长] 秒，0 ≤ 最短 ≤ 最长 ≤ {_MAX_PAUSE:.0f}")
    return value


def _span(value: str) -> str:
    span(value)
    return value.strip()


def _spans(value: tuple[str, ...]) -> tuple[str, ...]:
    quiet_spans(value)
    return value


def _ladder(value: tuple[float, ...]) -> tuple[float, ...]:
    if any(hours <= 0 for hours in value) or any(one >= other for one, other in pairwise(value)):
        raise ValueError("应为从小到大的小时数，都大于 0，例如 [1, 6, 24]")
    return value


def _every(value: tuple[float, float]) -> tuple[float, float]:
    if not 0 < value[0] <= value[1] <= _MAX_EVERY:
        raise ValueError("应为 [最短, 最长] 秒，0 < 最短 ≤ 最长 ≤ 30 天")
    return value


NumericId = Annotated[str, BeforeValidator(_as_text), AfterValidator(_native_id)]
Keyword = Annotated[str, AfterValidator(_keyword)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
Pause = Annotated[tuple[float, float], AfterValidator(_pause)]
Ladder = Annotated[tuple[float, ...], AfterValidator(_ladder)]
Every = Annotated[tuple[float, float], AfterValidator(_every)]
QuietHours = Annotated[tuple[Annotated[str, AfterValidator(_span)], ...], AfterValidator(_spans)]


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(_Plain):
    """One thing to crawl; which fields are needed depends on the platform (:data:`TARGET_FIELDS`)."""

    sku: NumericId | None = None
    item_id: NumericId | None = None
    seller_id: NumericId | None = None
    keyword: Keyword | None = None
    question_id: NumericId | None = None
    article_id: NumericId | None = None

    @property
    def fields(self) -> dict[str, str]:
        """The fields that are set."""
        return self.model_dump(exclude_none=True)

    @property
    def in_browser(self) -> bool:
        """Whether a browser is needed, whatever is set: searches answer only to the page's own script everywhere."""
        return self.keyword is not None

    @property
    def key(self) -> str:
        """What names this target for ever: ``sku=100012``, ``keyword=暖气``."""
        return "&".join(f"{name}={value}" for name, value in sorted(self.fields.items()))

    def need(self, name: str) -> str:
        """A field that validation promised."""
        value = self.fields.get(name)
        if value is None:
            raise ConfigError(f"采集目标 {self.key or '（空）'} 缺少 {name}")
        return value


class PlatformSettings(_Plain):
    """How one platform is crawled.

    * ``bases``: real host → base URL where it answers; a host that is not named is ``https://<host>``.
    * ``pause``: seconds between two pages, drawn evenly from [min, max].
    * ``page_cap``: most pages of one list (a product's reviews, a video's comments) in one pass.
    * ``pages_per_run``, ``requests_per_hour`` and ``pages_per_day`` (Beijing days): budgets; a run that spends one
      ends as ``partial`` and the next goes on. The hour's and the day's hold across runs and processes.
    * ``quiet_hours``: spans of the Beijing day ("23:30-07:00") in which no request begins. A run that meets one ends as
      ``partial``; the schedule starts none. They are for pages; an official API has its own daily quota.
    * ``revisit_hours``: the ladder by which what is known is looked at again for edits, 追评 and new comments, less and
      less often (:mod:`crawlers.revisit`); empty: never.
    * ``full_pass_hours``: what is older than the ladder is found again only by reading a list to its end; this often.
    * ``crawl_every``: the shortest and the longest interval between two looks at a target, seconds
      (:mod:`crawlers.heat`); null: from ``schedule.crawl_every`` to six times that.
    * ``split_words``: a search that is cut off however it is filtered is searched again with each of these words beside
      the keyword (:mod:`crawlers.search_parts`); null: none, or what the caller knows better.
    * ``questions``: read a product's questions and answers as well, where they answer plain requests (JD).
    * ``pages_per_context``: after so many pages the browser's context is made anew, with the same session, as pages
      leave memory behind.
    * ``storage_state``: file of a browser session that a person logged in by hand (:mod:`crawlers.session`), or null.
    * ``obey_robots`` false needs ``robots_reason``: the agreement or permission that allows it.
    """

    enabled: bool = True
    bases: dict[str, BaseUrl] = {}
    targets: tuple[Target, ...] = ()
    pause: Pause = (3.0, 8.0)
    page_cap: int = Field(default=100, ge=1, le=1000)
    pages_per_run: int = Field(default=300, ge=1, le=100_000)
    requests_per_hour: int = Field(default=400, ge=1, le=100_000)
    pages_per_day: int = Field(default=3000, ge=1, le=10_000_000)
    quiet_hours: QuietHours = ()
    revisit_hours: Ladder = (1.0, 6.0, 24.0, 72.0, 168.0, 720.0)
    full_pass_hours: float = Field(default=720.0, ge=0)
    crawl_every: Every | None = None
    timeout: float = Field(default=30.0, gt=0, le=600)
    max_bytes: int = Field(default=8 * 1024 * 1024, ge=1024)
    split_words: Annotated[tuple[Keyword, ...] | None, Field(max_length=MAX_SPLIT_WORDS)] = None
    questions: bool = True
    pages_per_context: int = Field(default=40, ge=1)
    storage_state: str | None = None
    obey_robots: bool = True
    robots_reason: str = ""

    def words_beside(self, keyword: str) -> list[str]:
        """The words that split the search for ``keyword``: those that are not in it already."""
        return [word for word in self.split_words or () if word not in keyword]

    @model_validator(mode="after")
    def _reason_given(self) -> Self:
        if not self.obey_robots and not self.robots_reason.strip():
            raise ValueError("关闭 obey_robots 必须在 robots_reason 写明依据（例如平台书面许可）")
        return self

    def in_browser(self, *, logged_in: bool) -> bool:
        """Whether all targets are read in a browser. ``logged_in``: a person's session is kept."""
        return False

    def url(self, host: str, path: str) -> str:
        """Where ``path`` (with its query) of the real ``host`` answers."""
        return self.bases.get(host, f"https://{host}") + path

    def real(self, url: str) -> str:
        """The real address of one that :meth:`url` made; any other address is returned as it is."""
        best = max(
            (item for item in self.bases.items() if url == item[1] or url.startswith((item[1] + "/", item[1] + "?"))),
            key=lambda item: len(item[1]),
            default=None,
        )
        return url if best is None else f"https://{best[0]}{url[len(best[1]) :]}"


class ReaderSettings(PlatformSettings):
    """A platform that is read in the browser: slower, and searches are read to their end daily, because an old post
    may have new comments."""

    pause: Pause = (4.0, 10.0)
    pages_per_day: int = Field(default=1500, ge=1, le=10_000_000)
    full_pass_hours: float = Field(default=24.0, ge=0)

    def in_browser(self, *, logged_in: bool) -> bool:
        return True


class ShopSettings(PlatformSettings):
    """A shop. Its old lists answer plain requests, as far as they still answer; its pages, which show the new lists,
    are read in the browser, and want a login.

    ``way``: "http" the old lists, "browser" the pages; null: the pages once somebody has logged in. Without a login the
    pages show next to nothing, and one plain request a page costs the shop least; who logs in does so to be shown more.
    """

    way: Literal["http", "browser"] | None = None

    def in_browser(self, *, logged_in: bool) -> bool:
        return self.way == "browser" or (self.way is None and logged_in)


class CrawlSettings(_Plain):
    """All platforms. ``chromium`` is the browser's path, null to look for one. A platform left out has no targets.

    ``official``: APIs that are used instead of pages once their keys are there. ``audit_days``: how long the audit's
    lines are kept (:mod:`crawlers.audit`).
    """

    user_agent: str = USER_AGENT
    chromium: str | None = None
    audit_days: int = Field(default=90, ge=1, le=3650)
    jd: ShopSettings = ShopSettings()
    tmall: ShopSettings = ShopSettings()
    xiaohongshu: ReaderSettings = ReaderSettings()
    douyin: ReaderSettings = ReaderSettings()
    zhihu: PlatformSettings = PlatformSettings()
    official: OfficialSettings = OfficialSettings()

    @model_validator(mode="after")
    def _targets_fit(self) -> Self:
        for platform in PLATFORMS:
            allowed = TARGET_FIELDS[platform]
            for number, target in enumerate(self.of(platform).targets, 1):
                if not any(set(target.fields) == set(fields) for fields in allowed):
                    wanted = "，或者 ".join("、".join(fields) for fields in allowed)
                    raise ValueError(f"{platform} 的第 {number} 个采集目标应当填写 {wanted}")
        return self

    @property
    def platforms(self) -> Mapping[Platform, PlatformSettings]:
        """All of them."""
        return {platform: self.of(platform) for platform in PLATFORMS}

    def of(self, platform: Platform) -> PlatformSettings:
        """One platform's settings."""
        settings: PlatformSettings = getattr(self, platform)
        return settings

    def official_of(self, platform: Platform) -> Api | None:
        """The platform's official API when it is configured: then it is read instead of the pages."""
        api = OFFICIAL.get(platform)
        return api if api is not None and self.of(platform).enabled and self.official.of(api).active else None
