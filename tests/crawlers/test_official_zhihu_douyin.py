"""The official APIs of Zhihu (search) and Douyin (own videos, comments, replies)."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.alerts.receivers import Reply
from tests.crawlers.official import FakeDouyin, FakeZhihu, Said
from tests.crawlers.official_runs import NOW, world


def test_zhihu_is_searched_by_keyword_every_run(tmp_path: Path) -> None:
    said = [Said("77", NOW - timedelta(days=2), "这家暖气片升温快"), Said("78", NOW, "地暖更均匀")]
    with world(tmp_path, "zhihu", FakeZhihu, said=said) as (home, fake, server):
        keys: dict[str, Any] = {
            "url": server.url,
            "access_secret": "zhihu secret",
            "keywords": ["暖气片", "地暖", "空调"],
        }
        done = home.run(**keys)
        assert sorted(home.ids()) == ["zhihu:answer:77", "zhihu:answer:78"]
        assert [(c.query, c.status, c.got) for c in done.coverage] == [
            ("暖气片", "complete", 1), ("地暖", "complete", 1), ("空调", "complete", 0),
        ]  # fmt: skip
        assert {m.matched.query for m in home.streamed()} == {"暖气片", "地暖"}
        home.clock.advance(3600)
        assert home.run(**keys).coverage[0].duplicate == 1
        fast = {"Code": 30001, "Message": "limit", "Data": None}
        fake.trouble = lambda got: Reply(fast, headers={"Retry-After": "999"})
        home.clock.advance(3600)
        assert home.run(**keys).status == "partial"


def test_a_zhihu_search_that_gives_ten_is_searched_by_word_and_told_to_be_cut_off(tmp_path: Path) -> None:
    said = [Said(f"1{n:02}", NOW, f"暖气片第{n}天") for n in range(12)]
    said += [Said(f"2{n:02}", NOW, f"暖气片 阀门第{n}天") for n in range(4)]
    said += [Said(f"3{n:02}", NOW, f"暖气片 水管第{n}天") for n in range(11)]
    with world(tmp_path, "zhihu", FakeZhihu, said=said) as (home, _, server):
        keys: dict[str, Any] = {"url": server.url, "access_secret": "zhihu secret", "keywords": ["暖气片", "地暖"]}
        home.split_words = ["阀门", "水管", "暖气"]
        short = home.run(**keys, requests_per_day=2)
        assert (short.status, short.coverage[0].cut_off) == ("partial", ("全部",))
        home.clock.advance(86_400)
        (record, fits) = sorted(home.run(**keys).coverage, key=lambda one: one.query != "暖气片")
        assert {name.rpartition(":")[2] for name in home.ids()} == {one.id for one in (*said[:10], *said[12:26])}
        assert (record.status, record.cut_off) == ("complete", ("全部", "水管：全部"))
        assert fits.cut_off == ()
        searched = [got.query["Query"] for got in server.got]
        assert searched.count("暖气片 阀门") == 1  # the run that its quota ended had read it
        assert not any("暖气片 暖气" in one for one in searched)
        again = home.run(**keys)
        assert {one.query: one.cut_off for one in again.coverage} == {"暖气片": record.cut_off, "地暖": ()}
        assert [got.query["Query"] for got in server.got[len(searched) :]] == ["暖气片", "地暖"]


def douyin_world() -> dict[str, Any]:
    first = [Said(f"c{n}", NOW - timedelta(hours=n), f"第{n}个问题，怎么排气") for n in range(120)]
    return {
        "videos": {"@9Vw/aa==": first, "@9Vw/bb==": [Said("d1", NOW - timedelta(days=1), "漏水找谁")]},
        "replies": {"c5": [Said("r1", NOW - timedelta(hours=1), "同问"), Said("r2", NOW, "我家也是")]},
    }


def test_douyin_reads_own_videos_comments_and_replies(tmp_path: Path) -> None:
    with world(tmp_path, "douyin", FakeDouyin, **douyin_world()) as (home, fake, server):
        keys: dict[str, Any] = {"url": server.url, "open_id": "open-1", "access_token": "dy-token"}
        done = home.run(**keys)
        assert (done.status, fake.refused) == ("complete", [])
        kinds = Counter(m.kind for m in home.streamed())
        assert kinds == {"video": 2, "comment": 120 + 1 + 2}
        by_id = {m.id: m for m in home.streamed()}
        assert by_id["douyin:comment:r1"].parent_id == "douyin:comment:c5"
        assert by_id["douyin:comment:d1"].parent_id == "douyin:video:@9Vw/bb=="
        assert by_id["douyin:video:@9Vw/bb=="].author.is_brand

        asked = len(server.got)
        home.clock.advance(3600)
        home.run(**keys)
        assert len(server.got) - asked == 1  # the list of videos: no count has changed

        fake.videos["@9Vw/bb=="].append(Said("d2", NOW + timedelta(minutes=5), "师傅什么时候来"))
        home.clock.advance(3600)
        asked = len(server.got)
        home.run(**keys)
        assert (len(server.got) - asked, home.ids()["douyin:comment:d2"]) == (2, 1)
        assert set(home.ids().values()) == {1}


def test_douyin_looks_again_at_a_video_that_comes_of_age(tmp_path: Path) -> None:
    """An edited comment changes no count: only the ladder finds it, and reads as deep as it says."""
    with world(tmp_path, "douyin", FakeDouyin, **douyin_world()) as (home, fake, server):
        keys: dict[str, Any] = {"url": server.url, "open_id": "open-1", "access_token": "dy-token"}
        fake.born = NOW - timedelta(days=3)
        home.run(**keys)
        edited = fake.videos["@9Vw/aa=="][30]
        edited.text += "（更新：还是没人来）"
        for _day in range(3):
            home.clock.advance(24 * 3600)
            home.run(**keys)
        assert home.ids()[f"douyin:comment:{edited.id}"] == 1  # between two ages of the ladder
        home.clock.advance(24 * 3600 + 60)
        asked = len(server.got)
        home.run(**keys)
        assert home.ids()[f"douyin:comment:{edited.id}"] == 2
        assert len(server.got) - asked > 1
        asked = len(server.got)
        home.clock.advance(3600)
        home.run(**keys)
        assert len(server.got) - asked == 1


def test_douyins_expired_token_is_refreshed_once_where_that_is_allowed(tmp_path: Path) -> None:
    with world(tmp_path, "douyin", FakeDouyin, **douyin_world(), expired=True) as (home, _fake, server):
        keys: dict[str, Any] = {
            "url": server.url,
            "open_id": "open-1",
            "access_token": "dy-token",
            "items": ["@9Vw/bb=="],
        }
        done = home.run(**keys, client_key="ck", refresh_token="rft.1")
        assert (done.status, home.ids()["douyin:comment:d1"]) == ("complete", 1)
        assert [got.path.partition("?")[0] for got in server.got] == [
            "/item/comment/list/", "/oauth/refresh_token/", "/item/comment/list/",
        ]  # fmt: skip
