"""Kafka's settings, what its errors come to, its topics, logins and certificates, on a real broker."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import errors as kafka_errors
from kafka.admin import KafkaAdminClient, ScramMechanism, UserScramCredentialUpsertion
from pydantic import ValidationError

from ingest.clock import ManualClock
from ingest.errors import ConfigError, ContractError, NotAssigned, Permanent, Poison, Retryable, Unavailable
from ingest.headers import stamped
from ingest.log.base import Outgoing, Topics
from ingest.log.kafka import KafkaLog
from ingest.log.kafka_config import KafkaSettings, LogSettings
from ingest.log.kafka_connect import connection
from ingest.log.kafka_errors import as_ours
from ingest.log.kafka_topics import CHECKPOINTS, Found, Wanted, problems, wanted
from ingest.log.opening import open_log
from ingest.log.sqlite import SqliteLog
from tests.contract.log_suite import after, numbered, values
from tests.servers.kafka import PASSWORD, SOCKETS_OF_ITS_OWN, USER, KafkaServer

pytestmark = [pytest.mark.usefixtures("quiet_sockets"), pytest.mark.filterwarnings(SOCKETS_OF_ITS_OWN)]
TOPIC = Topics.COLLECTED


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"servers": []}, "至少写一个地址"),
        ({"servers": ["broker"]}, "主机:端口"),
        ({"servers": ["broker:0"]}, "主机:端口"),
        ({"servers": ["user:secret@broker:9092"]}, "主机:端口"),
        ({"security": "SASL_SSL"}, "username 和 password"),
        ({"username": "u", "password": "p"}, "SASL_SSL"),
        ({"ca_file": "ca.pem"}, "SSL 或 SASL_SSL"),
        ({"security": "SSL", "key_file": "k.pem"}, "cert_file"),
        ({"request_timeout": 30, "delivery_timeout": 20}, "delivery_timeout"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        KafkaSettings(**given)


def test_settings_show_no_password() -> None:
    settings = KafkaSettings(security="SASL_SSL", username="u", password=PASSWORD, key_password=PASSWORD)
    told = LogSettings(kafka=settings)
    for shown in (repr(settings), str(told), told.model_dump_json(), repr(told.model_dump())):
        assert PASSWORD not in shown
    with pytest.raises(ValidationError) as refused:
        KafkaSettings(username="u", password=PASSWORD)
    assert PASSWORD not in str(refused.value)


def test_a_child_that_is_told_the_settings_can_use_them() -> None:
    told = LogSettings(kafka=KafkaSettings(security="SASL_SSL", username="u", password=PASSWORD))
    back = LogSettings.model_validate_json(told.model_dump_json(context={"secrets": True}))
    assert back == told
    assert back.kafka.password.get_secret_value() == PASSWORD


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_login_is_told_to_the_client(mechanism: Any) -> None:
    told = connection(
        KafkaSettings(security="SASL_PLAINTEXT", mechanism=mechanism, username="u", password="p", request_timeout=4)
    )
    assert (told["sasl_mechanism"], told["sasl_plain_username"], told["sasl_plain_password"]) == (mechanism, "u", "p")
    assert (told["security_protocol"], told["request_timeout_ms"], "ssl_context" in told) == (
        "SASL_PLAINTEXT", 4000, False,
    )  # fmt: skip


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ca_file"):
        connection(KafkaSettings(security="SSL", ca_file=tmp_path / "none.pem"))
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match="cert_file"):
        connection(KafkaSettings(security="SSL", cert_file=tmp_path / "bad.pem"))


def test_paths_of_certificates_are_seen_from_the_home(tmp_path: Path) -> None:
    log = LogSettings(kafka=KafkaSettings(security="SSL", ca_file="ca.pem", cert_file=Path("/etc/own.pem")))
    seen = log.seen_from(tmp_path).kafka
    assert (seen.ca_file, seen.cert_file, seen.key_file) == (tmp_path / "ca.pem", Path("/etc/own.pem"), None)


def test_the_embedded_log_is_what_is_opened_when_nothing_is_said(tmp_path: Path) -> None:
    with open_log(LogSettings(), tmp_path / "log.db") as log:
        assert isinstance(log, SqliteLog)


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (kafka_errors.KafkaTimeoutError(), Unavailable),
        (kafka_errors.NodeNotReadyError(), Unavailable),
        (kafka_errors.KafkaConnectionError(), Unavailable),
        (kafka_errors.RequestTimedOutError(), Unavailable),
        (kafka_errors.CoordinatorNotAvailableError(), Unavailable),
        (kafka_errors.IllegalStateError("Producer is closed forcefully."), Unavailable),
        (kafka_errors.IllegalStateError("KafkaProducer already closed!"), Unavailable),
        (kafka_errors.IllegalStateError("Subscription required"), Permanent),
        (kafka_errors.NotEnoughReplicasError(), Retryable),
        (kafka_errors.NotLeaderForPartitionError(), Retryable),
        (kafka_errors.SaslAuthenticationFailedError(), ConfigError),
        (kafka_errors.TopicAuthorizationFailedError(), ConfigError),
        (kafka_errors.GroupAuthorizationFailedError(), ConfigError),
        (kafka_errors.UnknownTopicOrPartitionError(), ConfigError),
        (kafka_errors.MessageSizeTooLargeError(), Poison),
        (kafka_errors.UnsupportedVersionError(), ConfigError),
        (kafka_errors.KafkaError(), Permanent),
    ],
)
def test_errors_of_the_client_come_onto_our_tree(theirs: Exception, ours: type[Exception]) -> None:
    settings = KafkaSettings(security="SASL_SSL", username="u", password=PASSWORD)
    said = as_ours(theirs, settings, "producing")
    assert type(said) is ours
    assert PASSWORD not in str(said)
    if ours is Unavailable:
        assert all(part in str(said) for part in ("确认", "log.kafka.servers", "127.0.0.1:9092"))


def test_a_broker_that_is_not_there_is_unavailable_soon_and_leaves_nothing_behind() -> None:
    with socket.socket() as taken:  # bound, not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = KafkaSettings(servers=(address,), request_timeout=1.0, delivery_timeout=2.0)
        before = threading.active_count()
        started = time.monotonic()
        with pytest.raises(Unavailable, match=address):
            KafkaLog(settings)
        with KafkaLog(settings, check=False) as log:
            with pytest.raises(Unavailable):
                log.produce(TOPIC, numbered(1))
            with pytest.raises(Unavailable):
                log.consumer(TOPIC, "g")
            with pytest.raises(Unavailable):
                log.end_offsets(TOPIC)
        assert time.monotonic() - started < 120
        deadline = time.monotonic() + 30
        while threading.active_count() > before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert threading.active_count() == before


# -- topics ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def log(kafka: KafkaServer, clock: ManualClock) -> Iterator[KafkaLog]:
    with KafkaLog(kafka.settings(), clock=clock, check=False) as opened:
        opened.create_topics()
        yield opened


def test_missing_topics_are_named_with_the_command_that_makes_them(kafka: KafkaServer) -> None:
    settings = kafka.settings()
    with pytest.raises(ConfigError, match=rf"{settings.prefix}mentions\.collected：运行 shengwen topics create"):
        KafkaLog(settings)


def test_topics_are_made_as_the_settings_say_and_only_once(kafka: KafkaServer) -> None:
    settings = kafka.settings(partitions=4, retention_days=2)
    with KafkaLog(settings, check=False) as log:
        assert set(log.create_topics()) == {settings.prefix + name for name in (*Topics.ALL, CHECKPOINTS)}
        assert log.create_topics() == []
        found = log.check_topics()
    kept = found[settings.prefix + TOPIC]
    assert (kept.partitions, kept.policy, kept.retention_ms) == (4, "delete", 2 * 86_400_000)
    letters = found[settings.prefix + Topics.DEAD_LETTERS]
    assert (letters.partitions, letters.policy, letters.retention_ms) == (1, "delete", -1)
    marks = found[settings.prefix + CHECKPOINTS]
    assert (marks.partitions, marks.policy) == (1, "compact")


def test_a_broker_that_does_not_know_a_topics_setting_is_too_old(
    kafka: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wanted, "configs", lambda *_: {"message.timestamp.unheard.of.ms": "1"})
    with (
        KafkaLog(kafka.settings(), check=False) as log,
        pytest.raises(ConfigError, match=r"Kafka 3\.7 或更新"),
    ):
        log.create_topics()


def test_more_partitions_wanted_than_there_are_is_said_and_nothing_grows(kafka: KafkaServer) -> None:
    settings = kafka.settings(partitions=1)
    more = settings.model_copy(update={"partitions": 5})
    with KafkaLog(settings, check=False) as log:
        log.create_topics()
    with KafkaLog(more, check=False) as log:
        assert log.create_topics() == []
        with pytest.raises(ConfigError, match="只有 1 个分区，设置里是 5"):
            log.check_topics()


@pytest.mark.parametrize(
    ("topic", "wrong", "said"),
    [
        (TOPIC, {"policy": "compact"}, "cleanup.policy 是 compact，应是 delete"),
        (CHECKPOINTS, {"policy": "delete"}, "cleanup.policy 是 delete，应是 compact"),
        (CHECKPOINTS, {"policy": "compact,delete"}, "应是 compact"),
        (Topics.DEAD_LETTERS, {"partitions": 3}, "只能是 1 个"),
        (Topics.DEAD_LETTERS, {"retention_ms": 86_400_000}, "会在 1 天后删除"),
        (Topics.CLASSIFIED, {"partitions": 9}, "分区数要一样多，现在是 6、9"),
        (TOPIC, {"message_bytes": 1_048_588}, "max.message.bytes"),
    ],
)
def test_a_topic_that_is_wrong_is_told(topic: str, wrong: dict[str, Any], said: str) -> None:
    settings = KafkaSettings()
    wants = wanted(settings)
    right = {w.name: Found(w.partitions, 1, w.policy, int(w.retention_ms), settings.message_bytes) for w in wants}
    assert problems(settings, wants, right) == []
    from dataclasses import replace

    bad = {**right, settings.prefix + topic: replace(right[settings.prefix + topic], **wrong)}
    (told,) = problems(settings, wants, bad)
    assert said in told


# -- records -----------------------------------------------------------------------------------------------------------


def test_a_record_larger_than_the_limit_is_poison_and_its_neighbours_are_not_written(log: KafkaLog) -> None:
    huge = Outgoing("huge", bytes(log.settings.message_bytes))
    with pytest.raises(Poison, match="huge"):
        log.produce(TOPIC, [*numbered(3), huge], checkpoint=("import", "1"))
    assert sum(log.end_offsets(TOPIC).values()) == 0
    assert log.checkpoint("import") is None


def test_checkpoints_are_asked_for_many_at_once(log: KafkaLog, clock: ManualClock) -> None:
    log.produce(TOPIC, [], checkpoint=("a", "1"))
    log.produce(TOPIC, [], checkpoint=("b", "2"))
    assert log.checkpoints(["a", "b", "c"]) == {"a": "1", "b": "2"}
    with KafkaLog(log.settings, clock=clock) as other:
        other.produce(TOPIC, [], checkpoint=("a", "3"))
    assert log.checkpoints(["a", "c"]) == {"a": "3"}


def test_stamps_follow_a_record(log: KafkaLog) -> None:
    log.produce(TOPIC, [Outgoing("k", b"v", stamped())])
    (record,) = [r for part in range(3) for r in log.read(TOPIC, part, 0, 9)]
    assert record.headers["schema"] == "1"
    assert stamped({"x": "y"}, after=record) == {"schema": "1", "trace": record.headers["trace"], "x": "y"}
    assert stamped()["trace"] != stamped()["trace"]


def test_what_was_deleted_before_it_was_read_is_told(log: KafkaLog, caplog: pytest.LogCaptureFixture) -> None:
    log.produce(TOPIC, numbered(10))
    with log.consumer(TOPIC, "slow") as consumer:
        found: list[Any] = []
        while len(found) < 4:
            found += consumer.poll(4 - len(found), 5.0)
        consumer.commit(after(found))
    (part,) = {record.partition for record in found}
    place = log._places(TOPIC)[part]
    log._ask("trimming", lambda admin: admin.delete_records({place: 7}))
    with caplog.at_level(logging.ERROR), log.consumer(TOPIC, "slow") as consumer:
        rest: list[Any] = []
        while len(rest) < 3:
            rest += consumer.poll(10, 5.0)
    assert values(rest) == [b"7", b"8", b"9"]
    assert "lost 3 records" in caplog.text


def test_a_member_that_lost_a_partition_while_it_worked_commits_only_what_it_kept(log: KafkaLog) -> None:
    log.produce(TOPIC, [Outgoing(f"k{n}", b"v") for n in range(60)])
    with log.consumer(TOPIC, "g") as one:
        held: list[Any] = []
        while len(held) < 60:
            held += one.poll(60 - len(held), 5.0)
        positions = after(held)
        assert set(positions) == {0, 1, 2}
        with log.consumer(TOPIC, "g") as two:  # joins while the first one works and does not poll
            deadline = time.monotonic() + 90
            got: list[Any] = []
            while not (two.assigned and got) and time.monotonic() < deadline:
                got += two.poll(10, 0.2)
            taken = set(two.assigned)
            assert taken
            assert taken < {0, 1, 2}
            with pytest.raises(NotAssigned) as refused:
                one.commit(positions)
            assert refused.value.partitions == taken
            assert sum(log.committed(TOPIC, "g").values()) == 0, "all or nothing"
            kept = {part: offset for part, offset in positions.items() if part not in taken}
            one.commit(kept)
            assert {part: end for part, end in log.committed(TOPIC, "g").items() if end} == kept
            assert min(record.offset for record in got) == 0, "the new owner starts at the last commit"
            with pytest.raises(ContractError):
                two.commit(kept)


# -- logins and certificates -------------------------------------------------------------------------------------------


def served(settings: KafkaSettings) -> None:
    with KafkaLog(settings, check=False) as log:
        log.create_topics()
        log.produce(TOPIC, numbered(3), checkpoint=("c", "1"))
        with log.consumer(TOPIC, "g") as consumer:
            found: list[Any] = []
            while len(found) < 3:
                found += consumer.poll(3, 5.0)
            consumer.commit(after(found))
        assert log.lag(TOPIC, "g") == 0


def test_a_password_opens_the_log(kafka: KafkaServer) -> None:
    served(kafka.with_password(mechanism="PLAIN"))


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_scrambled_password_opens_the_log(kafka: KafkaServer, mechanism: str) -> None:
    kind = ScramMechanism[mechanism.replace("-", "_")]
    with KafkaAdminClient(bootstrap_servers=kafka.address) as admin:
        admin.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, kind, PASSWORD, iterations=4096)])
    served(kafka.with_password(mechanism=mechanism))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_wrong_password_is_a_setting_to_mend_and_is_shown_nowhere(
    kafka: KafkaServer, mechanism: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = "another-word-that-no-log-may-hold"
    settings = kafka.with_password(mechanism=mechanism, password=wrong, request_timeout=3.0)
    with caplog.at_level(logging.DEBUG), pytest.raises(ConfigError, match="不接受登录") as refused:
        KafkaLog(settings)
    assert wrong not in str(refused.value)
    assert wrong not in caplog.text


def test_a_certificate_opens_the_log(kafka: KafkaServer) -> None:
    served(kafka.with_certificate())


def test_a_server_that_nobody_vouches_for_is_not_spoken_to(kafka: KafkaServer) -> None:
    with pytest.raises(ConfigError, match="ca_file"):
        KafkaLog(kafka.with_certificate(ca_file=None, request_timeout=2.0))


def test_a_compression_that_is_not_installed_is_a_setting_to_mend(kafka: KafkaServer) -> None:
    with KafkaLog(kafka.settings(compression="snappy"), check=False) as log:
        log.create_topics()
        with pytest.raises(ConfigError, match="compression"):
            log.produce(TOPIC, numbered(1))
