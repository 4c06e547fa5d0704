"""The real Apache Kafka: one node in KRaft mode, from Maven's jars, on ports of its own."""

from __future__ import annotations

import fcntl
import gc
import shutil
import socket
import subprocess
import tempfile
import uuid
import warnings
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest

from ingest.log.kafka_config import KafkaSettings
from tests.servers.base import ServerProcess, cache_folder, free_port, java, maven, missing, scratch
from tests.servers.papers import issue_papers

VERSION: Final = "4.1.1"
JAVA: Final = 17
USER: Final = "voice"
PASSWORD: Final = "a-word-that-no-log-may-hold"
SOCKETS_OF_ITS_OWN: Final = "ignore:unclosed <s:ResourceWarning"
"""A filter of warnings: kafka-python leaves the sockets of connections that failed to the collector."""
_MODULES: Final = "org.apache.kafka.common.security"
_POM: Final = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>shengwen.tests</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"""
_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},SASL://127.0.0.1:{sasl},TLS://127.0.0.1:{tls},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL://127.0.0.1:{sasl},TLS://127.0.0.1:{tls}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,CONTROLLER:PLAINTEXT
listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config={plain} required user_{user}="{password}";
listener.name.sasl.scram-sha-256.sasl.jaas.config={scram} required;
listener.name.sasl.scram-sha-512.sasl.jaas.config={scram} required;
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.keystore.location={papers}/server.pem
listener.name.tls.ssl.truststore.type=PEM
listener.name.tls.ssl.truststore.location={papers}/ca.pem
listener.name.tls.ssl.client.auth=required
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.segment.delete.delay.ms=1000
"""


def jars() -> Path:
    """The folder of Kafka's jars, downloaded once. Half a download is none: the folder appears whole or not at all."""
    folder = cache_folder() / f"kafka-{VERSION}"
    if java(JAVA) is None:
        missing("Kafka", f"no Java {JAVA} or later")
    with (cache_folder() / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _download(folder)
    return folder


def _download(folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="kafka-", dir=cache_folder()) as temporary:
        (Path(temporary) / "pom.xml").write_text(_POM, encoding="utf-8")
        maven("Kafka", "dependency:copy-dependencies", "-DoutputDirectory=lib", folder=Path(temporary))
        (Path(temporary) / "lib").rename(folder)


class KafkaServer:
    """One broker with an empty data folder. ``restart`` keeps port and data."""

    running: ClassVar[set[int]] = set()
    """Pids of brokers that a fixture will still stop: no leaks."""

    def __init__(self) -> None:
        self._jars = jars()
        home = java(JAVA)
        assert home is not None
        self._java = home / "bin" / "java"
        self.folder = scratch("kafka")
        self.port, self._controller, self._sasl, self._tls = (free_port() for _ in range(4))
        self.address = f"127.0.0.1:{self.port}"
        self._pids: set[int] = set()
        self._properties = self.folder / "server.properties"
        self._properties.write_text(
            _PROPERTIES.format(
                port=self.port, sasl=self._sasl, tls=self._tls, controller=self._controller,
                data=self.folder / "data", papers=self.folder, user=USER, password=PASSWORD,
                plain=f"{_MODULES}.plain.PlainLoginModule", scram=f"{_MODULES}.scram.ScramLoginModule",
            ),
            encoding="utf-8",
        )  # fmt: skip
        issue_papers(self.folder)
        self._process = ServerProcess(
            [
                self._java, "-Xmx512m", "-Xms256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-cp", f"{self._jars}/*", "kafka.Kafka", self._properties,
            ],
            self.folder / "server.log",
            self._answers,
            cwd=self.folder,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        """Format the data folder the first time, and wait until the broker listens."""
        if not (self.folder / "data").exists():
            cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            subprocess.run(
                [
                    self._java, "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{self._jars}/*",
                    "kafka.tools.StorageTool", "format", "--standalone", "-t", cluster, "-c", self._properties,
                ],
                check=True, capture_output=True, cwd=self.folder, timeout=120,
            )  # fmt: skip
        self._process.start()
        self._pids.add(self.pid)
        self.running.add(self.pid)

    def bring_back(self) -> None:
        """Start it again if it is not there or asleep."""
        self._process.go_on()
        if not self._process.alive():
            self.start()

    def restart(self) -> None:
        """An orderly stop and a start."""
        self.running.discard(self.pid)
        self._process.stop()
        self.start()

    def kill(self) -> None:
        """``kill -9``; :meth:`start` brings it back with the data that it had."""
        self.running.discard(self.pid)
        self._process.kill()

    def pause(self) -> None:
        self._process.pause()

    def go_on(self) -> None:
        self._process.go_on()

    def settings(self, **more: Any) -> KafkaSettings:
        """How this broker is reached: quick to notice a dead member, names of its own for whoever asks."""
        quick = {
            "servers": (self.address,),
            "prefix": f"t{uuid.uuid4().hex[:8]}.",
            "partitions": 3,
            "session_timeout": 3.0,
        }
        return KafkaSettings(**{**quick, "retention_days": 0.0, **more})

    def with_password(self, **more: Any) -> KafkaSettings:
        """Settings for the listener that wants a login."""
        known = {"servers": (f"127.0.0.1:{self._sasl}",), "security": "SASL_PLAINTEXT", "username": USER}
        return self.settings(**{**known, "password": PASSWORD, **more})

    def with_certificate(self, **more: Any) -> KafkaSettings:
        """Settings for the listener that wants a certificate and shows one."""
        papers = {"ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "client.key"}
        return self.settings(
            **{
                "servers": (f"127.0.0.1:{self._tls}",),
                "security": "SSL",
                **{name: self.folder / file for name, file in papers.items()},
                **more,
            }
        )

    def close(self) -> None:
        """Stop for good and remove the data."""
        self.running -= self._pids
        self._process.kill()  # its data goes with it: an orderly end would only take longer
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False


@pytest.fixture
def quiet_sockets() -> Iterator[None]:
    """See :data:`SOCKETS_OF_ITS_OWN`: they are collected before the next test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="session")
def _kafka_of_the_run() -> Iterator[KafkaServer]:
    server = KafkaServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def kafka(_kafka_of_the_run: KafkaServer) -> KafkaServer:
    """The run's broker, started when it is first asked for. Who stops or kills it starts it again; a test that failed
    in between takes no other one down with it."""
    _kafka_of_the_run.bring_back()
    return _kafka_of_the_run
