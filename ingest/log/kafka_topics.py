"""Topics as the settings want them: made, listed, and compared with what the broker has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from kafka import KafkaAdminClient, errors
from kafka.admin import ConfigResource, ConfigResourceType

from ingest.errors import ConfigError
from ingest.log.base import Topics
from ingest.log.kafka_config import KafkaSettings

CHECKPOINTS: Final = "checkpoints"
"""Beside the log's own topics: what :meth:`EventLog.checkpoint` reads. Compacted, one partition."""
SAME: Final = (Topics.COLLECTED, Topics.CLASSIFIED)
"""One mention lies in the partition of the same number of both, so what was collected in order is indexed in order."""
OLDEST_SERVER: Final = "3.7"
"""The first one that surely has ``message.timestamp.after.max.ms`` (KIP-937)."""
_DAY_MS: Final = 86_400_000
_FOR_EVER: Final = "-1"
_ANY_TIME: Final = str(2**63 - 1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it should be."""

    topic: str
    name: str
    partitions: int
    policy: str
    retention_ms: str

    def configs(self, settings: KafkaSettings) -> dict[str, str]:
        return {
            "cleanup.policy": self.policy,
            "retention.ms": self.retention_ms,
            "retention.bytes": _FOR_EVER,
            "max.message.bytes": str(settings.message_bytes),
            # Records carry the time of our clock, which the broker's need not agree with.
            "message.timestamp.type": "CreateTime",
            "message.timestamp.after.max.ms": _ANY_TIME,
        }


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as the broker has it. ``retention_ms`` -1: for ever."""

    partitions: int
    replication: int
    policy: str
    retention_ms: int
    message_bytes: int


def wanted(settings: KafkaSettings, topics: Iterable[str] = Topics.ALL) -> list[Wanted]:
    """What the settings ask for.

    Dead letters have one partition, so that a letter's closing always comes after it, and are not compacted: the
    account of what was ever parked is read from them. Checkpoints are one partition and nothing but compacted.
    """
    found = []
    for topic in topics:
        letters = topic == Topics.DEAD_LETTERS
        days = settings.dead_letter_days if letters else settings.retention_days
        retention = str(round(days * _DAY_MS)) if days else _FOR_EVER
        found.append(Wanted(topic, settings.prefix + topic, 1 if letters else settings.partitions, "delete", retention))
    found.append(Wanted(CHECKPOINTS, settings.prefix + CHECKPOINTS, 1, "compact", _FOR_EVER))
    return found


def describe(admin: KafkaAdminClient, names: list[str]) -> Mapping[str, Found]:
    """Those topics that are there. Raises kafka-python's errors."""
    present = {
        topic["name"]: topic["partitions"]
        for topic in admin.describe_topics(names)
        if not _failed(topic, errors.UnknownTopicOrPartitionError)
    }
    if not present:
        return {}
    answer = admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in present], config_filter="all"
    )
    configs: Mapping[str, Mapping[str, Any]] = answer["topic"]
    return {
        name: Found(
            partitions=len(partitions),
            replication=min((len(one["replica_nodes"]) for one in partitions), default=0),
            policy=_value(configs[name], "cleanup.policy"),
            retention_ms=int(_value(configs[name], "retention.ms")),
            message_bytes=int(_value(configs[name], "max.message.bytes")),
        )
        for name, partitions in present.items()
    }


def problems(settings: KafkaSettings, wants: Iterable[Wanted], found: Mapping[str, Found]) -> list[str]:
    """What must not stay so, in Chinese; each says what to do."""
    said = []
    for want in wants:
        have = found.get(want.name)
        if have is None:
            said.append(f"没有主题 {want.name}：运行 shengwen topics create")
            continue
        if have.partitions < want.partitions:
            said.append(
                f"主题 {want.name} 只有 {have.partitions} 个分区，设置里是 {want.partitions}："
                "改小 log.kafka.partitions，或在处理完积压、停下服务后用 Kafka 的工具增加分区"
            )
        if want.partitions == 1 and have.partitions > 1:
            said.append(
                f"主题 {want.name} 有 {have.partitions} 个分区，只能是 1 个：请删除后用 shengwen topics create 重建"
            )
        policies = {part.strip() for part in have.policy.split(",")}
        if policies != {want.policy}:
            said.append(f"主题 {want.name} 的 cleanup.policy 是 {have.policy}，应是 {want.policy}：请用 Kafka 的工具改")
        if want.retention_ms == _FOR_EVER and have.retention_ms >= 0 and want.policy == "delete":
            days = f"{have.retention_ms / _DAY_MS:g}"
            said.append(f"主题 {want.name} 会在 {days} 天后删除内容，设置里是永久保留：请把 retention.ms 改成 -1")
        if have.message_bytes < settings.message_bytes:
            said.append(
                f"主题 {want.name} 的 max.message.bytes 是 {have.message_bytes}，"
                f"比 log.kafka.message_bytes（{settings.message_bytes}）小：请改成一致"
            )
    flow = {want.name: found[want.name].partitions for want in wants if want.topic in SAME and want.name in found}
    if len(set(flow.values())) > 1:
        said.append(f"主题 {'、'.join(flow)} 的分区数要一样多，现在是 {'、'.join(map(str, flow.values()))}")
    return said


def check(admin: KafkaAdminClient, settings: KafkaSettings, wants: list[Wanted]) -> Mapping[str, Found]:
    """The topics as they are. Raises ConfigError (Chinese) naming everything that is wrong with them."""
    found = describe(admin, [want.name for want in wants])
    if said := problems(settings, wants, found):
        raise ConfigError("Kafka 的主题不合用：\n" + "\n".join(f"  {one}" for one in said))
    return found


def create(admin: KafkaAdminClient, settings: KafkaSettings, wants: list[Wanted]) -> list[str]:
    """Make those that are missing, touch none that is there; the names of the new ones."""
    present = describe(admin, [want.name for want in wants])
    missing = [want for want in wants if want.name not in present]
    if missing:
        asked = {
            want.name: {
                "num_partitions": want.partitions,
                "replication_factor": settings.replication or -1,
                "configs": want.configs(settings),
            }
            for want in missing
        }
        try:
            _create(admin, asked)
        except errors.InvalidReplicationFactorError as error:
            raise ConfigError(f"log.kafka.replication 是 {settings.replication}，比 Kafka 的节点多：请改小") from error
        except errors.InvalidConfigurationError as error:
            raise ConfigError(
                f"Kafka 不接受主题的设置：要 Kafka {OLDEST_SERVER} 或更新的版本；版本够新时，检查 log.kafka 里的"
                " message_bytes、retention_days 和 dead_letter_days"
            ) from error
        admin.wait_for_topics([want.name for want in missing])
    return [want.name for want in missing]


def _create(admin: KafkaAdminClient, asked: Mapping[str, Any]) -> None:
    try:
        admin.create_topics(dict(asked))
    except errors.TopicAlreadyExistsError:  # somebody else is creating them, too
        for name in set(asked) - set(describe(admin, list(asked))):
            with suppress(errors.TopicAlreadyExistsError):
                admin.create_topics({name: asked[name]})


def _failed(answer: Mapping[str, Any], expected: type[errors.BrokerResponseError]) -> bool:
    """Whether the answer says ``expected``. Raises any other error that it says."""
    code = answer.get("error_code", 0)
    if code == 0:
        return False
    if code == expected.errno:
        return True
    raise errors.for_code(code)(str(answer.get("name", "")))


def _value(configs: Mapping[str, Any], key: str) -> str:
    found = configs[key]
    return str(found["value"] if isinstance(found, Mapping) else found)


__all__ = ["CHECKPOINTS", "Found", "Wanted", "check", "create", "describe", "problems", "wanted"]
