"""kafka-python's errors on our tree. Nothing here says a password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from kafka import errors

from ingest.errors import ConfigError, Permanent, Poison, Retryable, ShengwenError, Unavailable
from ingest.log.kafka_config import KafkaSettings

_AWAY: Final = (
    errors.KafkaTimeoutError,
    errors.KafkaConnectionError,
    errors.NodeNotReadyError,
    errors.RequestTimedOutError,
    errors.BrokerNotAvailableError,
    errors.CoordinatorNotAvailableError,
    errors.MetadataEmptyBrokerList,
    errors.Cancelled,
)
_REFUSED: Final = (
    errors.SaslAuthenticationFailedError,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
    errors.SecurityDisabledError,
)
_TOO_LARGE: Final = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)


@contextmanager
def mapped(settings: KafkaSettings, what: str) -> Iterator[None]:
    """kafka-python's errors as ours; ``what`` was being done, in Chinese."""
    try:
        yield
    except ShengwenError:
        raise
    except errors.KafkaError as error:
        raise as_ours(error, settings, what) from error
    except (OSError, RuntimeError) as error:  # a socket's own, or the client's loop that ended
        raise _away(settings, what, type(error).__name__) from error


def as_ours(error: BaseException, settings: KafkaSettings, what: str) -> ShengwenError:
    """One error on the tree. Broker's texts are kept out where they may quote what was sent."""
    name = type(error).__name__
    if isinstance(error, _REFUSED):
        return ConfigError(
            f"Kafka（{where(settings)}）不接受登录（{name}）：检查 log.kafka 的 security、mechanism、用户名和密码"
        )
    if isinstance(error, errors.KafkaConnectionError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ConfigError(f"Kafka（{where(settings)}）的证书通不过检查：检查 log.kafka.ca_file 和服务器地址")
    if isinstance(error, errors.AuthorizationError):
        return ConfigError(
            f"Kafka 用户 {settings.username or '（未登录）'} 没有权限（{what}：{name}）："
            f"请管理员给它主题和消费组 {settings.prefix}* 的读、写、查看权限"
        )
    if isinstance(error, errors.UnknownTopicOrPartitionError):
        return ConfigError(f"Kafka 里没有要用的主题（{what}）：运行 shengwen topics create 建立，topics check 检查")
    if isinstance(error, _TOO_LARGE):
        return Poison(f"记录太大，Kafka 或 log.kafka.message_bytes 不允许（{what}）")
    if isinstance(error, errors.KafkaConfigurationError | errors.UnsupportedVersionError):
        return ConfigError(f"[log.kafka] 的设置和这台 Kafka 不合（{what}：{name}）")
    if isinstance(error, _AWAY) or _closed_by_another(error):
        return _away(settings, what, name)
    if getattr(error, "retriable", False):
        return Retryable(f"Kafka（{where(settings)}）暂时做不到，会自动再试（{what}：{name}）")
    return Permanent(f"Kafka（{where(settings)}）出错，要人处理，请看它的日志（{what}：{name}）")


def _away(settings: KafkaSettings, what: str, name: str) -> Unavailable:
    return Unavailable(
        f"连不上 Kafka（{where(settings)}）：确认它已启动，log.kafka.servers 里的地址正确（{what}：{name}）"
    )


def _closed_by_another(error: BaseException) -> bool:
    """Another thread's records failed, and with them the producer that both used; the next call has a new one."""
    return isinstance(error, errors.IllegalStateError) and "closed" in str(error)


def where(settings: KafkaSettings) -> str:
    """The brokers' addresses as set."""
    return ", ".join(settings.servers)


__all__ = ["as_ours", "mapped", "where"]
