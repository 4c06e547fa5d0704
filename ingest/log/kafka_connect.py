"""Clients of kafka-python, made from the settings."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from weakref import WeakSet

from kafka import errors
from kafka.net.compat import KafkaNetClient

from ingest.errors import ConfigError, Unavailable
from ingest.log.kafka_config import KafkaSettings
from ingest.log.kafka_errors import as_ours, mapped

T = TypeVar("T")

# At DEBUG it logs what it sends: passwords among it. At ERROR it logs every attempt while a broker is away, which is
# told once where it matters, so it is heard only by who wants to hear much.
_heard = logging.getLogger().isEnabledFor(logging.INFO)
logging.getLogger("kafka").setLevel(logging.INFO if _heard else logging.CRITICAL)


def connected(settings: KafkaSettings, make: Callable[..., T], **more: Any) -> T:
    """A client that has reached a broker. Raises Unavailable, and ConfigError for what the broker refused.

    kafka-python tries a refused login again until its time is up and then says that nobody was there; and a constructor
    that fails leaves its thread and sockets behind. So the network client is watched while it is made.
    """
    watches: list[_Watch] = []

    def network(**options: Any) -> KafkaNetClient:
        watches.append(_Watch(KafkaNetClient(**options)))
        return watches[-1].client

    try:
        with mapped(settings, "连接"):
            made = make(**connection(settings), kafka_client=network, **more)
    except BaseException as error:
        for watch in watches:
            with suppress(errors.KafkaError, OSError, RuntimeError):
                watch.client.close()
        for why in (why for watch in watches for why in watch.failures):
            said = as_ours(why, settings, "连接")
            if isinstance(error, Unavailable) and isinstance(said, ConfigError):
                raise said from None  # the chain would only say that time was up
        raise
    for watch in watches:
        watch.end()
    return made


class _Watch:
    """Remembers why connections of a network client failed."""

    def __init__(self, client: KafkaNetClient) -> None:
        self.client = client
        self.failures: list[BaseException] = []
        self._seen: WeakSet[Any] = WeakSet()
        self._connect = client._manager.get_connection
        client._manager.get_connection = self._get

    def _get(self, *arguments: Any, **more: Any) -> Any:
        found = self._connect(*arguments, **more)
        if found not in self._seen:
            self._seen.add(found)
            found.init_future.add_errback(partial(self._failed, found))
        return found

    def _failed(self, made: Any, error: BaseException) -> None:
        spoke = made.broker_version_data is not None
        if made.sasl_enabled and spoke and isinstance(error, errors.KafkaConnectionError):
            # The broker spoke, and hung up on the login. kafka-python drops an answer that comes with the hanging up.
            error = errors.SaslAuthenticationFailedError()
        self.failures.append(error)

    def end(self) -> None:
        self.client._manager.get_connection = self._connect


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """What producer, consumer and admin client share. Raises ConfigError for a file that cannot be used."""
    timeout = round(settings.request_timeout * 1000)
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.servers),
        "client_id": "shengwen",
        "security_protocol": settings.security,
        "request_timeout_ms": timeout,
        "bootstrap_timeout_ms": timeout,
        "reconnect_backoff_ms": 100,
        "reconnect_backoff_max_ms": 2000,
    }
    if settings.sasl:
        options |= {
            "sasl_mechanism": settings.mechanism,
            "sasl_plain_username": settings.username,
            "sasl_plain_password": settings.password.get_secret_value(),
        }
    if settings.ssl:
        options["ssl_context"] = _tls(settings)
    return options


def _tls(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"log.kafka.ca_file：读不了 {settings.ca_file}（{_reason(error)}）") from error
    context.check_hostname = settings.check_hostname
    if settings.cert_file is not None:
        secret = settings.key_password.get_secret_value()
        try:
            # Without a password a protected key must be an error, not a question on the terminal.
            context.load_cert_chain(settings.cert_file, settings.key_file, lambda: secret)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"log.kafka.cert_file、key_file 或 key_password：读不了证书（{_reason(error)}）"
            ) from error
    return context


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


__all__ = ["connected", "connection"]
