"""``shengwen parse`` over what the five platforms' replicas answer: a line a file, read by content alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shengwen import cli
from shengwen.demo.cast import K20, PLATFORMS, TARGETS, Platform
from shengwen.demo.items import Item
from shengwen.demo.server import DemoServer
from tests.shengwen.demo_kit import Visitor, plain_client, serving

Out = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoServer]:
    with serving() as (server, _):
        yield server


def items(demo: DemoServer, platform: Platform, *kinds: str) -> list[Item]:
    shown = demo.story.visible(demo.clock.now())
    return [item for item in shown if item.platform == platform and item.kind in kinds]


def visit(visitor: Visitor, demo: DemoServer, platform: Platform) -> None:
    """Ask for a little of everything that a spider asks for."""
    if platform == "jd":
        visitor.jd_old(K20.jd_skus[0])
        visitor.jd_first_screen(K20.jd_skus[0])
        visitor.jd_new(K20.jd_skus[0], 1)
        visitor.jd_questions()
    elif platform == "tmall":
        target = TARGETS.tmall_items[0]
        visitor.tmall_old(target.item_id, target.seller_id)
        visitor.mtop_reviews("mtop.taobao.rate.detaillist.get/6.0", "auctionNumId", "pageNo")
    elif platform == "xiaohongshu":
        note, token = next(iter(visitor.xhs_notes().items()))
        visitor.xhs("POST", "v1/feed", json={"source_note_id": note, "xsec_token": token})
        visitor.xhs_comments(note, token)
    elif platform == "douyin":
        visitor.douyin_videos()
        visitor.douyin_comments(items(demo, "douyin", "video")[0].native_id)
    else:
        question = TARGETS.zhihu_questions[0]
        visitor.zhihu_state(f"/question/{question}")
        visitor.zhihu_state(f"/p/{TARGETS.zhihu_articles[0]}", "zhuanlan.zhihu.com")
        visitor.zhihu_answers(question)
        for answer in items(demo, "zhihu", "answer")[:4]:
            visitor.zhihu_comments("answers", answer.native_id)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_answer_of_a_platform_is_one_line_that_says_ok(
    demo: DemoServer, tmp_path: Path, capsys: Out, platform: Platform
) -> None:
    with plain_client() as client:
        visitor = Visitor(demo, client)
        visit(visitor, demo, platform)
    files = []
    for number, taken in enumerate(visitor.taken):
        if taken.response.status_code == 200:
            files.append(tmp_path / f"{number}.body")
            files[-1].write_bytes(taken.response.content)
    home = tmp_path / "home"
    assert cli.run(["--home", str(home), "parse", platform, *map(str, files)]) == 0
    told: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["file"] for line in told] == [file.name for file in files]
    odd = [(line["file"], line["signal"], line["reason"]) for line in told if line["signal"] not in ("ok", "empty")]
    assert odd == []
    assert not any(line["problems"] for line in told)
    assert sum(line["signal"] == "ok" for line in told) >= 2
    for line in told:
        assert bool(line["mentions"]) == (line["signal"] == "ok"), line["file"]
    mentions = [mention for line in told for mention in line["mentions"]]
    # JD shows an answer or two below a question before it tells their numbers.
    mentions = [m for m in mentions if not (m["source"] == "jd" and m["kind"] == "answer" and "-" in m["id"])]
    known = {item.native_id for item in items(demo, platform, *{m["kind"] for m in mentions})}
    assert {mention["id"].rpartition(":")[2] for mention in mentions} <= known
    assert {mention["source"] for mention in mentions} == {platform}
    assert not home.exists(), "parse touches nothing"
