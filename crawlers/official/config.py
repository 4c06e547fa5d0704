"""Which official APIs are used, with which keys and how much of their quotas.

An API counts as configured when all of its keys are there; it is then asked first, and then the pages of the platform's
targets are read, where it has any. Secrets never show in a dump or a message, except in a job for the run's own process
(:func:`revealed`).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    SerializationInfo,
    field_serializer,
    model_validator,
)

Api = Literal["jos", "top", "zhihu", "douyin"]

_REVEAL: Final = "secrets"
_HERE: Final = frozenset({"127.0.0.1", "localhost", "::1"})

revealed: Final[dict[str, Any]] = {_REVEAL: True}
"""Serialization context that writes secrets out: for the file, readable by its owner only, that a run is given."""


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _word(value: str) -> str:
    value = value.strip()
    if not 1 <= len(value) <= 200 or any(ord(c) < 33 for c in value):
        raise ValueError("应为 1 到 200 个字符，不含空白和控制字符")
    return value


def _phrase(value: str) -> str:
    value = value.strip()
    if not 1 <= len(value) <= 60 or any(ord(c) < 32 for c in value):
        raise ValueError("关键词应为 1 到 60 个字，且不含控制字符")
    return value


def _address(value: str) -> str:
    try:
        parts = urlsplit(value)
        named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        named = False
    if not named or parts.scheme not in ("https", "http") or (parts.scheme == "http" and parts.hostname not in _HERE):
        raise ValueError("应为 https:// 开头的地址（密钥不走明文，本机除外）")
    if "@" in parts.netloc or "\\" in value:
        raise ValueError("地址里不要写用户名和密码")
    return value.rstrip("/")


Id = Annotated[str, BeforeValidator(_as_text), AfterValidator(_word)]
Phrase = Annotated[str, AfterValidator(_phrase)]
Address = Annotated[str, AfterValidator(_address)]
NO_SECRET: Final = SecretStr("")


class ApiSettings(BaseModel):
    """What all APIs share.

    * ``url``: where the API answers; another one is a relay of one's own.
    * ``requests_per_minute`` and ``requests_per_day``: our share of the app's quota; the day (Beijing's) holds across
      runs. A run that spends it ends as ``partial`` and the next day goes on.
    * ``tries``: how often one request is made when the server or the network fails.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    NEEDED: ClassVar[tuple[str, ...]] = ()

    enabled: bool = True
    requests_per_minute: int = Field(default=60, ge=1, le=6000)
    requests_per_day: int = Field(default=5000, ge=1, le=10_000_000)
    timeout: float = Field(default=30.0, gt=0, le=600)
    max_bytes: int = Field(default=8 * 1024 * 1024, ge=1024)
    tries: int = Field(default=4, ge=1, le=10)

    @field_serializer("*", mode="wrap", when_used="json")
    def _secrets(self, value: Any, write: Any, info: SerializationInfo) -> Any:
        if isinstance(value, SecretStr) and info.context and info.context.get(_REVEAL):
            return value.get_secret_value()
        return write(value)

    @property
    def given(self) -> list[str]:
        """Which of the needed keys are there."""
        return [name for name in self.NEEDED if _filled(getattr(self, name))]

    @property
    def active(self) -> bool:
        """Whether the API is to be used."""
        return self.enabled and len(self.given) == len(self.NEEDED)

    @model_validator(mode="after")
    def _all_or_none(self) -> ApiSettings:
        missing = [name for name in self.NEEDED if name not in self.given]
        if self.enabled and self.given and missing:
            raise ValueError(f"还缺 {'、'.join(missing)}；要么填齐，要么 enabled = false")
        return self


def _filled(value: Any) -> bool:
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


class WindowedSettings(ApiSettings):
    """An API that is asked by windows of creation time.

    ``history_days``: how far back the first run reads; ``window_days``: the longest window asked at once;
    ``overlap_hours``: what is read again before the last window's end, for what arrives late; ``full_pass_hours``: how
    often the whole history is read again, for late edits, appends and replies.
    """

    history_days: float = Field(default=180.0, gt=0, le=3650)
    window_days: float = Field(default=7.0, gt=0, le=366)
    overlap_hours: float = Field(default=24.0, ge=0, le=24 * 30)
    full_pass_hours: float = Field(default=168.0, ge=1)


class JosSettings(WindowedSettings):
    """JD's merchant API: the reviews of one's own shop (京东商家开放平台).

    ``skus``: only these; of a target that is among them the pages are read for questions alone.
    """

    NEEDED: ClassVar[tuple[str, ...]] = ("app_key", "app_secret", "access_token")

    url: Address = "https://api.jd.com/routerjson"
    app_key: str = ""
    app_secret: SecretStr = NO_SECRET
    access_token: SecretStr = NO_SECRET
    skus: tuple[Id, ...] = ()


class TopSettings(WindowedSettings):
    """Taobao's open platform: what buyers wrote on one's own trades (淘宝开放平台). It keeps 180 days.

    ``appends``: ask for 追评, too, one call a review (:mod:`crawlers.official.appends`).
    """

    NEEDED: ClassVar[tuple[str, ...]] = ("app_key", "app_secret", "session")

    url: Address = "https://eco.taobao.com/router/rest"
    app_key: str = ""
    app_secret: SecretStr = NO_SECRET
    session: SecretStr = NO_SECRET
    sign_method: Literal["md5", "hmac", "hmac-sha256"] = "hmac-sha256"
    appends: bool = True
    history_days: float = Field(default=179.0, gt=0, le=180)


class ZhihuSettings(ApiSettings):
    """Zhihu's data open platform: search by keyword, at most ten results a question, no pages."""

    NEEDED: ClassVar[tuple[str, ...]] = ("access_secret", "keywords")

    url: Address = "https://developer.zhihu.com"
    access_secret: SecretStr = NO_SECRET
    keywords: tuple[Phrase, ...] = ()
    requests_per_minute: int = Field(default=20, ge=1, le=6000)
    requests_per_day: int = Field(default=1000, ge=1, le=10_000_000)


class DouyinSettings(ApiSettings):
    """Douyin's open platform: comments below the videos of one's own account.

    ``items``: videos by item id; none: those of the account's list. With ``client_key`` and ``refresh_token`` an
    expired access token is refreshed. ``recheck_hours``: when a video without a comment count is read again.
    """

    NEEDED: ClassVar[tuple[str, ...]] = ("open_id", "access_token")

    url: Address = "https://open.douyin.com"
    open_id: str = ""
    access_token: SecretStr = NO_SECRET
    client_key: str = ""
    refresh_token: SecretStr = NO_SECRET
    items: tuple[Id, ...] = ()
    page_cap: int = Field(default=200, ge=1, le=10_000)
    recheck_hours: float = Field(default=6.0, ge=0)
    full_pass_hours: float = Field(default=168.0, ge=1)


class OfficialSettings(BaseModel):
    """All official APIs; those without keys are off."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    jos: JosSettings = JosSettings()
    top: TopSettings = TopSettings()
    zhihu: ZhihuSettings = ZhihuSettings()
    douyin: DouyinSettings = DouyinSettings()

    def of(self, api: Api) -> ApiSettings:
        """One API's settings."""
        settings: ApiSettings = getattr(self, api)
        return settings
