"""Settings: ``shengwen.toml`` in the home folder, over it the environment (``SHENGWEN_WEB__PORT=8800``).

Everything has a default: a home without the file works.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from alerts.config import AlertSettings
from crawlers.config import CrawlSettings
from ingest.analysis import SentimentLabel
from ingest.complaints import first_complaint
from ingest.errors import ConfigError
from ingest.log.kafka_config import LogSettings
from ingest.relevance import Brand
from search.elastic.config import ElasticSettings
from shengwen.home import Home


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WebSection(Section):
    """The page. ``public`` must be set before it may bind to anything but loopback."""

    host: str = "127.0.0.1"
    port: int = Field(default=8700, ge=0, le=65535)
    public: bool = False
    hosts: tuple[str, ...] = ()
    """Names under which a public page is reached (checked against the Host header)."""


class ClassifySection(Section):
    """``taxonomy``: a file that replaces the shipped one; a relative path is seen from the home folder.

    ``model``: a Hugging Face model whose sentiment replaces the shipped one's ("": none): a folder, seen from the home
    folder, or a hub id. ``labels``: label of that model → sentiment, where its names do not tell.
    """

    taxonomy: Path | None = None
    model: str = ""
    labels: dict[str, SentimentLabel] = Field(default_factory=dict)


class ScheduleSection(Section):
    """How often things happen, in seconds. ``retention_days``: how long records are kept (see ``retain``)."""

    crawl_every: float = Field(default=3600, gt=0)
    tick_every: float = Field(default=2, gt=0)
    log_days: float = Field(default=14, gt=0)
    facts_days: float = Field(default=180, ge=60)
    """How long alerting and the spiders remember single mentions (counts stay); eight weeks are the baseline."""
    retention_days: dict[str, int] = Field(default_factory=dict)


class IndexSection(Section):
    """Where mentions are searched: a file in the home folder, or Elasticsearch 8 or 9."""

    backend: Literal["embedded", "elasticsearch"] = "embedded"
    elasticsearch: ElasticSettings = ElasticSettings()


class Settings(BaseSettings):
    """All settings. Unknown keys are refused, so a typing error is no silent default."""

    model_config = SettingsConfigDict(
        env_prefix="SHENGWEN_", env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )
    toml_file: ClassVar[Path | None] = None

    brand: Brand = Brand()
    web: WebSection = WebSection()
    classify: ClassifySection = ClassifySection()
    crawl: CrawlSettings = CrawlSettings()
    alerts: AlertSettings = AlertSettings()
    schedule: ScheduleSection = ScheduleSection()
    log: LogSettings = LogSettings()
    index: IndexSection = IndexSection()
    state_url: SecretStr | None = None
    """Null: ``state.db`` in the home folder. Else ``postgresql+psycopg://user:password@host:port/database``."""
    secret_file: Path | None = None
    """Null: ``secret.key`` in the home folder. Processes on several machines must be given the same one."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        if cls.toml_file is not None:
            sources.append(TomlConfigSettingsSource(settings_cls, toml_file=cls.toml_file))
        return tuple(sources)


def load_settings(home: Home, **overrides: Any) -> Settings:
    """Read the settings of a home. Raises ConfigError (Chinese), naming the setting and never showing its value."""

    class OfHome(Settings):
        toml_file: ClassVar[Path | None] = home.settings if home.settings.exists() else None

    try:
        return OfHome(**overrides)
    except ValidationError as error:
        where, said = first_complaint(error)
        raise ConfigError(f"设置 {where}：{said}（{home.settings.name} 或环境变量）") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{home.settings} 不是有效的 TOML：{error}") from None


def state_url(home: Home, settings: Settings) -> str:
    """The state database's URL."""
    return f"sqlite:///{home.state}" if settings.state_url is None else settings.state_url.get_secret_value()


def secret_path(home: Home, settings: Settings) -> Path:
    """Where the installation's secret lies; a relative path is seen from the home folder."""
    return home.secret if settings.secret_file is None else home.path / settings.secret_file


def log_settings(home: Home, settings: Settings) -> LogSettings:
    """Which log is used; relative paths are seen from the home folder."""
    return settings.log.seen_from(home.path)


LOOPBACK: tuple[str, ...] = ("127.0.0.1", "::1", "localhost")


def check_bind(web: WebSection) -> Literal[True]:
    """Raises ConfigError when the page would be open to others without the operator having said so."""
    if web.host not in LOOPBACK and not web.public:
        raise ConfigError(f"web.host 是 {web.host}，别的机器也能访问；确实要这样，请同时设置 web.public = true")
    return True
