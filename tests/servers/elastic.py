"""A real Elasticsearch on loopback: Elastic's own bare server from Maven, started on first use, stopped at the end."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Final

import pytest
from elasticsearch import Elasticsearch

from search.elastic.config import ElasticSettings
from tests.servers.base import (
    ServerProcess,
    cache_folder,
    free_port,
    give_away,
    java,
    maven,
    missing,
    scratch,
    unprivileged,
)

ARTIFACT: Final = "org.elasticsearch.distribution.integ-test-zip:elasticsearch:{version}:zip"
CURRENT: Final = "8.19.0"
NEXT: Final = "9.2.0"
JAVA: Final = {"8": 17, "9": 21}
HEAP: Final = "512m"
PASSWORD: Final = "only-for-tests-on-loopback"


def archive(version: str) -> Path:
    """The distribution's zip in the cache. A cut download never gets there: it is looked at, then moved."""
    known = cache_folder() / "elasticsearch" / f"elasticsearch-{version}.zip"
    if known.exists() and zipfile.is_zipfile(known):
        return known
    known.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=known.parent) as folder:
        wanted = f"-Dartifact={ARTIFACT.format(version=version)}"
        maven("Elasticsearch", "dependency:copy", wanted, f"-DoutputDirectory={folder}", folder=Path(folder))
        found = [*Path(folder).glob("*.zip")]
        if not found or zipfile.ZipFile(found[0]).testzip() is not None:
            missing("Elasticsearch", f"{version} did not come down whole")
        found[0].replace(known)
    return known


def unpack(version: str, folder: Path) -> Path:
    """The distribution in a folder, files as executable as they were packed."""
    with zipfile.ZipFile(archive(version)) as packed:
        for info in packed.infolist():
            written = Path(packed.extract(info, folder))
            if mode := (info.external_attr >> 16) & 0o777:
                written.chmod(mode | 0o600)
    return folder / f"elasticsearch-{version}"


class ElasticServer:
    """One node. ``secured``: nobody gets in without ``elastic`` and :data:`PASSWORD`. ``measured``: it is to be fast in
    the long run; else it is up sooner, with half the compiling."""

    running: ClassVar[set[int]] = set()
    """Process ids of nodes that a fixture is about to stop."""

    def __init__(self, version: str = CURRENT, *, secured: bool = False, measured: bool = False) -> None:
        needed = JAVA[version.partition(".")[0]]
        home = java(needed)
        if home is None:
            # Debian's newest Java may be too old for the next version: told in the summary, no failure.
            missing(f"Elasticsearch {version}", f"no Java {needed} or later is installed", optional=version != CURRENT)
        self.version = version
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = scratch("elasticsearch")
        self._secured = secured
        root = unpack(version, self._folder)
        self._env = {
            "ES_JAVA_HOME": str(home),
            "ES_JAVA_OPTS": f"-Xms{HEAP} -Xmx{HEAP}" + ("" if measured else " -XX:TieredStopAtLevel=1"),
            "HOME": str(self._folder),
            "ES_TMPDIR": str(self._folder / "tmp"),
        }
        (self._folder / "tmp").mkdir()
        (root / "config" / "elasticsearch.yml").write_text(
            "\n".join(
                (
                    "cluster.name: shengwen-tests",
                    "node.name: one",
                    "discovery.type: single-node",
                    "network.host: 127.0.0.1",
                    f"http.port: {self.port}",
                    f"transport.port: {free_port()}",
                    f"xpack.security.enabled: {str(secured).lower()}",
                    "node.store.allow_mmap: false",
                    "cluster.routing.allocation.disk.threshold_enabled: false",
                )
            )
        )
        give_away(self._folder)
        if secured:
            self._keystore(root, "create")
            self._keystore(root, "add", "--stdin", "--force", "bootstrap.password", told=PASSWORD)
        self.process = ServerProcess(
            [root / "bin" / "elasticsearch"],
            self._folder / "server.log",
            self._answers,
            env=self._env,
            up_within=110.0,
            cwd=self._folder,
            **unprivileged(),
        )

    def start(self) -> None:
        try:
            self.process.start()
        except BaseException:
            self.close()
            raise
        self.running.add(self.process.pid)

    def restart(self, meanwhile: Callable[[], None] | None = None) -> None:
        """``kill -9``, and up again with the same data."""
        self.kill()
        if meanwhile is not None:
            meanwhile()
        self.start()

    def kill(self) -> None:
        self.running.discard(self.process.pid)
        self.process.kill()

    def pause(self) -> None:
        self.process.pause()

    def go_on(self) -> None:
        self.process.go_on()

    def settings(self, prefix: str, **fields: object) -> ElasticSettings:
        return ElasticSettings.model_validate({"hosts": (self.url,), "prefix": prefix, **fields})

    def client(self) -> Elasticsearch:
        return Elasticsearch(self.url, request_timeout=60)

    def clean(self, prefix: str) -> None:
        """Delete everything of a prefix."""
        with self.client() as client:
            names = list(client.indices.get(index=f"{prefix}-*", filter_path="*.aliases").body)
            if names:
                client.indices.delete(index=names)
            with suppress(Exception):
                client.indices.delete_index_template(name=f"{prefix}-mentions")

    def close(self) -> None:
        with suppress(AssertionError):  # it never started
            self.running.discard(self.process.pid)
        self.process.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=5s", timeout=10):
                return True
        except urllib.error.HTTPError as error:
            return self._secured and error.code == 401
        except OSError:
            return False

    def _keystore(self, root: Path, *arguments: str, told: str = "") -> None:
        subprocess.run(
            [root / "bin" / "elasticsearch-keystore", *arguments],
            input=told, text=True, capture_output=True, check=True, timeout=60,
            env={**os.environ, **self._env}, cwd=self._folder, **unprivileged(),
        )  # fmt: skip


_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def elastic_server() -> Iterator[ElasticServer]:
    """The node that all tests share; tests keep apart by their prefixes."""
    server = ElasticServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def elastic_prefix(elastic_server: ElasticServer) -> Iterator[str]:
    """A prefix of one's own; what is called by it is deleted afterwards."""
    prefix = f"t{next(_numbers)}"
    yield prefix
    elastic_server.clean(prefix)
