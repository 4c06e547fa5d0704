"""``shengwen parse`` on a saved answer of every endpoint, in every form that carries one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crawlers.decode import decode
from crawlers.parse import PLATFORMS
from shengwen import cli
from tests.crawlers.golden import GOLDEN
from tests.crawlers.payloads import changed, jsonp
from tests.crawlers.payloads.douyin import DOUYIN_COMMENTS


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Any:
    monkeypatch.setenv("SHENGWEN_HOME", str(tmp_path / "home"))

    def call(*arguments: object) -> list[dict[str, Any]]:
        try:
            code = cli.run([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        told = capfdbinary.readouterr()
        assert code == 0, told.err.decode()
        assert not (tmp_path / "home").exists()
        return [json.loads(line) for line in told.out.splitlines()]

    return call


def forms(body: bytes) -> dict[str, bytes]:
    """The ways in which people save an answer."""
    value = decode(body).value
    found = {"as it came": body}
    if not isinstance(value, list):
        text = json.dumps(value, ensure_ascii=False)
        found |= {
            "json": text.encode(),
            "gbk jsonp": jsonp(value, encoding="gb18030"),
            "script": f"window.__INITIAL_STATE__={text.replace('null', 'undefined')}".encode(),
            "wrapper": json.dumps({"code": 200, "data": value}).encode(),
        }
    return found


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_answer_itself_says_what_it_is(platform: str, run: Any, tmp_path: Path) -> None:
    files: list[Path] = []
    wanted: list[tuple[str, list[str]]] = []
    for number, golden in enumerate(one for one in GOLDEN if one.platform == platform and one.by_shape):
        page = golden.read()
        ids = [f"{draft.source}:{draft.kind}:{draft.native_id}" for draft in page.mentions]
        for form, body in forms(golden.payload().body).items():
            if form == "script" and golden.endpoint.startswith("xiaohongshu.") and "page" not in golden.name:
                continue  # such a state is a page of Xiaohongshu's, and an answer of its API is none
            file = tmp_path / f"{number}-{form}.txt"
            file.write_bytes(body)
            files.append(file)
            wanted.append((golden.endpoint, ids))
    told = run("parse", platform, *files)
    assert [(line["endpoint"], [mention["id"] for mention in line["mentions"]]) for line in told] == wanted
    assert [line for line in told if line["problems"] or line["missing"]] == []


ADDRESSED = [golden for golden in GOLDEN if b"functionId" not in golden.posted]
"""All but those whose function is in the posted form, which a saved answer does not have."""


@pytest.mark.parametrize("golden", ADDRESSED, ids=lambda golden: golden.name)
def test_the_address_says_what_it_is(golden: Any, run: Any, tmp_path: Path) -> None:
    (tmp_path / "answer").write_bytes(golden.payload().body)
    (line,) = run("parse", golden.platform, tmp_path / "answer", "--url", golden.url)
    assert (line["endpoint"], line["signal"]) == (golden.endpoint, golden.read().signal)
    assert len(line["mentions"]) == len(golden.read().mentions)


def test_it_tells_what_an_answer_lacks_and_how_full_its_records_are(run: Any, tmp_path: Path) -> None:
    (tmp_path / "cut").write_text(json.dumps(changed(DOUYIN_COMMENTS, "has_more", ...)), encoding="utf-8")
    (line,) = run("parse", "douyin", tmp_path / "cut")
    assert line["missing"] == ["has_more"]
    assert (line["fill"]["author"], line["fill"]["region"], line["fill"]["record"]) == (1.0, 0.5, 1.0)
    assert [mention["author"]["by_poster"] for mention in line["mentions"]] == [False, True]
