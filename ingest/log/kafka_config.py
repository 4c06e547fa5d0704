"""Which log is used, and how Kafka is reached. Imports only pydantic: every command reads settings at its start."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_serializer, field_validator, model_validator

NAME: Final = r"[A-Za-z0-9._-]*"
Security = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]


class KafkaSettings(BaseModel):
    """``[log.kafka]``. Times in seconds, sizes in bytes; 0 days: for ever.

    ``prefix`` stands before the names of all topics and groups. ``partitions``: of each topic of mentions, and so how
    many workers of one stage can share its work. ``replication`` 0: what the broker gives by default.
    Passwords are shown nowhere; they may come from the environment (``SHENGWEN_LOG__KAFKA__PASSWORD``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    servers: tuple[str, ...] = ("127.0.0.1:9092",)
    prefix: str = Field(default="shengwen.", pattern=rf"^{NAME}$", max_length=100)
    partitions: int = Field(default=6, ge=1, le=1000)
    replication: int = Field(default=0, ge=0, le=100)
    retention_days: float = Field(default=30.0, ge=0)
    dead_letter_days: float = Field(default=0.0, ge=0)
    compression: Compression = "gzip"
    message_bytes: int = Field(default=8 * 1024 * 1024, ge=64 * 1024, le=64 * 1024 * 1024)

    security: Security = "PLAINTEXT"
    mechanism: Mechanism = "SCRAM-SHA-512"
    username: str = ""
    password: SecretStr = SecretStr("")
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    key_password: SecretStr = SecretStr("")
    check_hostname: bool = True

    session_timeout: float = Field(default=15.0, gt=0)
    max_poll_interval: float = Field(default=300.0, gt=0)
    request_timeout: float = Field(default=10.0, gt=0)
    delivery_timeout: float = Field(default=60.0, gt=0)

    @field_validator("servers")
    @classmethod
    def _addresses(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        if not servers:
            raise ValueError('至少写一个地址，例如 ["127.0.0.1:9092"]')
        for server in servers:
            host, colon, port = server.rpartition(":")
            if not (host and colon and port.isdigit() and 0 < int(port) < 65536 and "@" not in host):
                raise ValueError("地址要写成 主机:端口，例如 127.0.0.1:9092")
        return servers

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.sasl and not (self.username and self.password.get_secret_value()):
            raise ValueError(f"security 是 {self.security}，还要 username 和 password")
        if not self.sasl and (self.username or self.password.get_secret_value()):
            raise ValueError("有 username 或 password 时，security 应是 SASL_SSL 或 SASL_PLAINTEXT")
        if not self.ssl and (self.ca_file or self.cert_file or self.key_file):
            raise ValueError("有证书文件时，security 应是 SSL 或 SASL_SSL")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("有 key_file，还要 cert_file")
        if self.delivery_timeout < self.request_timeout:
            raise ValueError("delivery_timeout 不能比 request_timeout 短")
        return self

    @property
    def sasl(self) -> bool:
        return self.security.startswith("SASL")

    @property
    def ssl(self) -> bool:
        return self.security.endswith("SSL")

    @field_serializer("password", "key_password", when_used="json")
    def _hide(self, value: SecretStr, info: Any) -> str:
        """Shown only to who asks for it: ``model_dump_json(context={"secrets": True})``, for a child's job file."""
        wanted = isinstance(info.context, dict) and info.context.get("secrets") is True
        return value.get_secret_value() if wanted else str(value)


class LogSettings(BaseModel):
    """``[log]``. ``embedded``: one SQLite file in the home folder, for one machine. ``kafka``: see ``[log.kafka]``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: Literal["embedded", "kafka"] = "embedded"
    kafka: KafkaSettings = KafkaSettings()

    def seen_from(self, folder: Path) -> LogSettings:
        """The same with relative paths of certificates seen from ``folder``."""
        named = {name: getattr(self.kafka, name) for name in ("ca_file", "cert_file", "key_file")}
        here = {name: folder / path for name, path in named.items() if path is not None}
        return self.model_copy(update={"kafka": self.kafka.model_copy(update=here)})


__all__ = ["KafkaSettings", "LogSettings"]
