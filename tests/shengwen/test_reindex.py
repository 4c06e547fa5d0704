"""The settings choose the index; ``shengwen reindex`` builds it anew, from itself or from the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.log.base import Outgoing, Topics
from search.elastic.index import ElasticIndex
from search.sqlite import SqliteIndex
from shengwen.cli import run
from shengwen.commands.doctor import examine
from shengwen.home import Home
from shengwen.rooms import Rooms
from shengwen.stages import INDEX, build_stage
from tests.factories import a_classified
from tests.servers.elastic import ElasticServer


@pytest.fixture
def home(tmp_path: Path, elastic_server: ElasticServer, elastic_prefix: str) -> Home:
    home = Home(tmp_path / "home").ensure()
    home.settings.write_text(
        '[index]\nbackend = "elasticsearch"\n[index.elasticsearch]\n'
        f'hosts = ["{elastic_server.url}"]\nprefix = "{elastic_prefix}"\nshards = {{ jd = 2 }}\n'
    )
    return home


def fill(home: Home, count: int) -> None:
    with Rooms(home) as rooms:
        mentions = [a_classified(native_id=n, text="暖气不热") for n in range(count)]
        records = [Outgoing(m.id, m.to_json(), {"origin": f"0:{n}"}) for n, m in enumerate(mentions)]
        rooms.log.produce(Topics.CLASSIFIED, records)
        assert build_stage(INDEX, rooms).drain() == count


def test_an_index_on_elasticsearch_is_filled_and_built_anew(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    fill(home, 12)
    with Rooms(home) as rooms:
        assert isinstance(rooms.index, ElasticIndex)
        assert rooms.index.counts()["documents"] == 12
    assert run(["--home", str(home.path), "reindex"]) == 0
    assert "jd：12 条" in capsys.readouterr().out
    assert run(["--home", str(home.path), "reindex", "--from-log", "--yes"]) == 0
    assert "检索库现有 12 条" in capsys.readouterr().out
    assert run(["--home", str(home.path), "search", "不热", "--json", "--limit", "0"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 12
    [check] = [check for check in examine(home)["checks"] if check["name"] == "检索库"]
    assert check["ok"]
    assert "Elasticsearch 8." in check["detail"]


def test_the_log_is_not_told_from_while_another_process_reads_it(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(home, 3)
    with Rooms(home) as rooms:
        with rooms.log.consumer(Topics.CLASSIFIED, INDEX) as other:
            other.poll(1, 0.0)
            assert run(["--home", str(home.path), "reindex", "--from-log", "--yes"]) == 1
        assert "先停下" in capsys.readouterr().err
        assert rooms.index.counts()["documents"] == 3


def test_an_embedded_index_needs_no_rebuilding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = Home(tmp_path / "home").ensure()
    with Rooms(home) as rooms:
        assert isinstance(rooms.index, SqliteIndex)
    assert run(["--home", str(home.path), "reindex"]) == 1
    assert "内嵌" in capsys.readouterr().err
