"""Settings of the index on Elasticsearch: ``[index.elasticsearch]``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator


def _host(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("要写成 http://主机:端口 或 https://主机:端口")
    if parts.username is not None or parts.password is not None:
        raise ValueError("地址里不要写用户名和密码，请写在 user 和 password")
    return url.rstrip("/") if parts.port else f"{url.rstrip('/')}:{9200 if parts.scheme == 'http' else 443}"


class ElasticSettings(BaseModel):
    """Where the servers are, how to log in, how the indices are laid out. Times in seconds.

    Every index, alias and template is called ``prefix-…``, so several installations may share a cluster. ``user`` with
    ``password``, or ``api_key`` (the encoded form); with neither, none is sent. ``ca_file`` checks the servers'
    certificates against a certification authority of one's own. ``shards`` (by source, else 1) hold from the next
    ``shengwen reindex`` on; ``replicas`` null lets the cluster keep one copy as soon as there is a second node.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hosts: tuple[Annotated[str, AfterValidator(_host)], ...] = Field(default=("http://127.0.0.1:9200",), min_length=1)
    prefix: str = Field(default="shengwen", pattern=r"^[a-z][a-z0-9_]{0,39}$")
    ca_file: Path | None = None
    user: str | None = None
    password: SecretStr | None = None
    api_key: SecretStr | None = None
    shards: dict[str, Annotated[int, Field(ge=1, le=64)]] = Field(default_factory=dict)
    replicas: int | None = Field(default=None, ge=0, le=10)
    timeout: float = Field(default=30, gt=0, le=600)
    patience: float = Field(default=20, ge=0, le=600)
    """How long a request is tried again by itself before whoever asked is told to come again later."""
    bulk_bytes: int = Field(default=8 * 1024 * 1024, ge=64 * 1024, le=90 * 1024 * 1024)

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.api_key is not None and (self.user is not None or self.password is not None):
            raise ValueError("api_key 和 user/password 只能用一种")
        if (self.user is None) != (self.password is None):
            raise ValueError("user 和 password 要一起写")
        return self
