"""The connection: one client, its errors mapped onto the project's tree, and what may pass tried again.

Requests that may pass (429, 503, time-outs, cut or refused connections, blocks that lift by themselves) are tried again
with exponential back-off and full jitter until ``patience`` is used up; then Retryable is raised and the stage that
asked waits with its own back-off, for as long as it takes. The client library itself never retries, so there are two
layers and no third.
"""

from __future__ import annotations

import logging
import random
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from elastic_transport import (
    ConnectionError as TransportConnectionError,
)
from elastic_transport import (
    ConnectionTimeout,
    SerializationError,
    TlsError,
)
from elasticsearch import ApiError, Elasticsearch, ElasticsearchWarning, UnsupportedProductError
from elasticsearch.serializer import OrjsonSerializer

from ingest.clock import Clock
from ingest.errors import ConfigError, ContractError, Permanent, Poison, Retryable, ShengwenError, Unavailable
from search.elastic.config import ElasticSettings

logger = logging.getLogger(__name__)

T = TypeVar("T")
BACKOFF_BASE: Final = 0.1
BACKOFF_CAP: Final = 10.0
FLOOD_WAIT: Final = 10.0
"""Seconds to wait at least while a disk is too full: the server looks again every thirty."""
SERVERS: Final = "8.19 或更新的 8.x，或 9"
"""The servers that this program speaks to."""
_TOO_OLD: Final = "media_type_header_exception"
"""What a 7.x answers to a client of 8."""
_MAY_PASS: Final = frozenset({408, 429, 500, 502, 503, 504})


class TooLarge(Poison):
    """The server takes no request of this size."""


class NotThere(Permanent):
    """An index, alias or point in time that does not exist (any more)."""


class Elastic:
    """A connection to a cluster. Thread-safe. ``call`` raises errors of the project's tree only."""

    def __init__(self, settings: ElasticSettings, clock: Clock, *, seed: int | None = None) -> None:
        warnings.filterwarnings("ignore", category=ElasticsearchWarning)  # advice for whoever runs the server
        self._clock = clock
        self._patience = settings.patience
        self._timeout = settings.timeout
        self._where = ", ".join(settings.hosts)
        self._random = random.Random(seed)  # noqa: S311  (jitter, not secrecy)
        self._closed = threading.Event()
        self.client = _client(settings)

    def call(self, action: Callable[[Elasticsearch], T], *, patience: float | None = None) -> T:
        """The answer to a request, tried again while it may pass and ``patience`` seconds are not over."""
        backoff = self.backoff(patience)
        while True:
            try:
                return self.once(action)
            except Retryable as error:
                backoff.wait(error)

    def once(self, action: Callable[[Elasticsearch], T]) -> T:
        """The answer to a request that is made once."""
        if self._closed.is_set():
            raise ContractError("the index is closed")
        try:
            return action(self.client)
        except ApiError as error:
            headers = error.meta.headers
            raise mapped(error.status_code, error_of(error.body), _seconds(headers.get("retry-after"))) from error
        except TlsError as error:
            if "CERTIFICATE_VERIFY_FAILED" in f"{error.message} {error}":  # its str() may leave the cause out
                raise ConfigError(
                    "Elasticsearch 的证书没有通过校验。请检查 index.elasticsearch.ca_file 和 hosts 里的主机名"
                ) from error
            raise self._away("TLS") from error
        except (TransportConnectionError, ConnectionTimeout, SerializationError) as error:
            raise self._away(type(error).__name__) from error
        except UnsupportedProductError as error:
            raise ConfigError("index.elasticsearch.hosts 指向的不是 Elasticsearch") from error

    def _away(self, why: str) -> Unavailable:
        return Unavailable(
            f"连不上 Elasticsearch（{self._where}）：确认它已启动，index.elasticsearch.hosts 里的地址正确（{why}）"
        )

    def backoff(self, patience: float | None = None) -> Backoff:
        """Waiting for one thing that may pass."""
        allowed = self._patience if patience is None else patience
        return Backoff(self._clock, self._random, self._closed, allowed)

    def version(self, patience: float | None = None) -> tuple[int, ...]:
        """The server's version. Servers that do not answer at their root are asked as a node.

        With ``patience`` no single request takes longer than that."""
        timeout = self._timeout if patience is None else min(self._timeout, patience)
        try:
            ask: Callable[[Elasticsearch], Any] = lambda client: client.options(request_timeout=timeout).info()  # noqa: E731
            found = self.call(ask, patience=patience)["version"]["number"]
        except (Permanent, Poison):
            nodes = self.call(lambda c: c.nodes.info(node_id="_local", filter_path="nodes.*.version"))["nodes"]
            found = next(iter(nodes.values()))["version"]
        return tuple(int(part) for part in str(found).partition("-")[0].split("."))

    def close(self) -> None:
        """Idempotent. Whoever waits for a retry is woken."""
        self._closed.set()
        self.client.close()


class Backoff:
    """Exponential, full jitter, at most as long as ``patience`` allows."""

    def __init__(self, clock: Clock, jitter: random.Random, closed: threading.Event, patience: float) -> None:
        self._clock = clock
        self._jitter = jitter
        self._closed = closed
        self._until = clock.monotonic() + patience
        self._attempt = 0

    def wait(self, error: Retryable) -> None:
        """Wait before the next attempt; raise ``error`` when patience is over."""
        seconds = self._jitter.uniform(0, min(BACKOFF_CAP, BACKOFF_BASE * 2 ** min(self._attempt, 30)))
        seconds = max(seconds, error.retry_after or 0.0)
        self._attempt += 1
        if self._clock.monotonic() + seconds > self._until:
            raise error
        logger.info("elasticsearch: %s; attempt %d, again in %.2f s", error, self._attempt, seconds)
        if self._clock.wait(seconds, self._closed):
            raise error


def mapped(status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> ShengwenError:
    """The project's error for a refused request, or for a refused item of a bulk request."""
    kind, reason = str(problem.get("type", "")), str(problem.get("reason", ""))[:300]
    said = f"Elasticsearch 没有照办（{status} {kind}: {reason}）"
    if kind == "cluster_block_exception" or "/12/" in reason or "FORBIDDEN/8" in reason:
        if "disk usage exceeded" in reason or "/12/" in reason:
            return Retryable(
                "Elasticsearch 的磁盘快满了，已停止写入。请腾出空间，之后会自动继续",
                retry_after=retry_after or FLOOD_WAIT,
            )
        if "FORBIDDEN/8" in reason:
            return Retryable("检索库正在重建，写入稍等。若没有重建在进行，请运行 shengwen reindex --restart")
        return Retryable(said, retry_after=retry_after)
    if status in _MAY_PASS:
        return Retryable(f"{said}，会自动再试", retry_after=retry_after)
    if kind == _TOO_OLD or status == 406:
        return ConfigError(f"Elasticsearch 的版本太旧，要 {SERVERS}：请升级 index.elasticsearch.hosts 上的服务器")
    if status == 401:
        return ConfigError("Elasticsearch 拒绝登录。请检查 index.elasticsearch 的 user/password 或 api_key")
    if status == 403:
        return ConfigError(f"Elasticsearch 的这个用户没有权限：{reason}")
    if status == 404:
        return NotThere(said)
    if status == 413:
        return TooLarge(said)
    return Permanent(said)


def error_of(body: Any) -> Mapping[str, Any]:
    """The error in an answer, in whatever form the server gave it; of several failed shards, the first one's."""
    error = body.get("error") if isinstance(body, Mapping) else None
    if isinstance(error, str):
        return {"reason": error}
    if not isinstance(error, Mapping):
        return {}
    causes = error.get("root_cause") or ()
    cause = next((one for one in causes if isinstance(one, Mapping)), None)
    return cause if cause is not None else error


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, min(float(header or ""), 600.0))
    except ValueError:
        return None


def _client(settings: ElasticSettings) -> Elasticsearch:
    options: dict[str, Any] = {}
    if settings.ca_file is not None:
        if not settings.ca_file.is_file():
            raise ConfigError(f"index.elasticsearch.ca_file：没有文件 {settings.ca_file}")
        options["ca_certs"] = str(settings.ca_file)
    if settings.api_key is not None:
        options["api_key"] = settings.api_key.get_secret_value()
    if settings.user is not None and settings.password is not None:
        options["basic_auth"] = (settings.user, settings.password.get_secret_value())
    return Elasticsearch(
        list(settings.hosts),
        request_timeout=settings.timeout,
        max_retries=0,
        retry_on_timeout=False,
        serializer=OrjsonSerializer(),
        **options,
    )


def chunks(items: Sequence[T], size_of: Callable[[T], int], limit: int, most: int) -> Iterator[Sequence[T]]:
    """Runs of at most ``most`` items, together no larger than ``limit``; one that is larger by itself comes alone."""
    start, size = 0, 0
    for place, item in enumerate(items):
        own = size_of(item)
        if place > start and (size + own > limit or place - start >= most):
            yield items[start:place]
            start, size = place, 0
        size += own
    if items:
        yield items[start:]
