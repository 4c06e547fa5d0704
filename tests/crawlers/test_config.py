"""Crawl settings: courteous by default, and a wrong one is named in Chinese."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crawlers.config import PLATFORMS, CrawlSettings, PlatformSettings, Target
from crawlers.settings import scrapy_settings
from ingest.errors import ConfigError
from shengwen.home import Home
from shengwen.settings import load_settings


def test_the_defaults_are_courteous() -> None:
    settings = CrawlSettings()
    for platform in PLATFORMS:
        here = settings.of(platform)
        assert here.obey_robots
        assert here.pause[0] >= 3
        assert here.targets == ()
    assert "Mozilla" not in settings.user_agent
    given = CrawlSettings.model_validate({"douyin": {"targets": [{"keyword": "暖气"}]}}).douyin
    assert given.pause == settings.douyin.pause > settings.jd.pause


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"jd": {"pause": [5, 2]}}, "jd.pause"),
        ({"jd": {"pause": [-1, 2]}}, "jd.pause"),
        ({"jd": {"page_cap": 0}}, "jd.page_cap"),
        ({"jd": {"page_cap": "many"}}, "jd.page_cap"),
        ({"jd": {"speed": 3}}, "jd.speed"),
        ({"jd": {"targets": [{"keyword": "暖气"}]}}, "sku"),
        ({"tmall": {"targets": [{"item_id": "1"}]}}, "seller_id"),
        ({"jd": {"targets": [{"sku": "10/../admin"}]}}, "sku"),
        ({"jd": {"targets": [{"sku": 1.5}]}}, "sku"),
        ({"xiaohongshu": {"targets": [{"keyword": "  "}]}}, "keyword"),
        ({"zhihu": {"targets": [{"question_id": "1", "article_id": "2"}]}}, "question_id"),
        ({"zhihu": {"bases": {"www.zhihu.com": "ftp://x"}}}, "bases"),
        ({"zhihu": {"obey_robots": False}}, "robots_reason"),
        ({"weibo": {}}, "weibo"),
    ],
)
def test_a_wrong_setting_is_named_in_chinese(tmp_path: Path, data: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_settings(Home(tmp_path), crawl=data)
    message = str(raised.value)
    assert named in message
    assert message.startswith("设置 crawl")
    assert "类型或取值不对" not in message
    assert not any(word in message for word in ("Input", "should", "error", "Field"))


def test_targets_have_a_key_for_ever_and_ids_may_be_written_as_numbers() -> None:
    settings = CrawlSettings.model_validate(
        {
            "jd": {"targets": [{"sku": 100012}]},
            "tmall": {"targets": [{"seller_id": "2", "item_id": "1"}]},
            "zhihu": {"targets": [{"question_id": 1}, {"article_id": 2}]},
        }
    )
    assert settings.jd.targets[0].key == "sku=100012"
    assert settings.tmall.targets[0].key == "item_id=1&seller_id=2"
    assert [target.key for target in settings.zhihu.targets] == ["question_id=1", "article_id=2"]
    with pytest.raises(ConfigError, match="sku"):
        Target(keyword="暖气").need("sku")


def test_bases_map_there_and_back() -> None:
    here = PlatformSettings(
        bases={
            "www.xiaohongshu.com": "http://127.0.0.1:9/xhs",
            "edith.xiaohongshu.com": "http://127.0.0.1:9/xhs/edith/",
        }
    )
    assert here.url("www.xiaohongshu.com", "/explore/1?a=b") == "http://127.0.0.1:9/xhs/explore/1?a=b"
    assert here.url("other.example.com", "/x") == "https://other.example.com/x"
    for host in ("www.xiaohongshu.com", "edith.xiaohongshu.com"):
        assert here.real(here.url(host, "/api?x=1")) == f"https://{host}/api?x=1"
    assert here.real("http://127.0.0.1:9/xhsother") == "http://127.0.0.1:9/xhsother"
    assert here.real("https://elsewhere.example.com/") == "https://elsewhere.example.com/"


def test_a_shop_is_read_in_the_browser_as_set_or_once_somebody_has_logged_in() -> None:
    plain = CrawlSettings.model_validate({"jd": {}}).jd
    assert (plain.in_browser(logged_in=False), plain.in_browser(logged_in=True)) == (False, True)
    http, browser = (CrawlSettings.model_validate({"jd": {"way": way}}).jd for way in ("http", "browser"))
    assert not http.in_browser(logged_in=True)
    assert browser.in_browser(logged_in=False)


def test_in_the_browser_a_product_of_tmall_needs_no_seller() -> None:
    there = {"way": "browser", "targets": [{"item_id": "1"}]}
    assert CrawlSettings.model_validate({"tmall": there}).tmall.targets[0].key == "item_id=1"


def test_a_spiders_cookies_ask_nobody_which_domains_are_public(monkeypatch: pytest.MonkeyPatch) -> None:
    from scrapy.downloadermiddlewares import cookies

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setenv("TLDEXTRACT_CACHE", "")
    monkeypatch.setattr("socket.socket.connect", refuse)
    scrapy_settings(CrawlSettings(), "zhihu")
    assert cookies._split_domain.suffix_list_urls == ()
    assert [cookies._is_public_domain(name) for name in ("com.cn", "www.zhihu.com")] == [True, False]
