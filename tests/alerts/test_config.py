from __future__ import annotations

from typing import Any

import pytest

from alerts.config import AlertSettings, Span, load_settings
from alerts.routing import Opinion, Routing
from ingest.errors import ConfigError

BOT = {"name": "a", "type": "wecom", "url": "https://bot.example/send?key=SECRETKEY"}


def test_defaults_are_the_domains_tables() -> None:
    rules = AlertSettings()
    assert rules.service_levels["一级"].first_response == Span(hours=2)
    assert rules.service_levels["二级"].done == Span(workdays=3)
    assert rules.service_levels["三级"].plan is None
    assert rules.complaint_first_response == Span(hours=4)
    assert load_settings({}) == rules


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("4h", Span(hours=4)),
        ("1.5小时", Span(hours=1.5)),
        ("2天", Span(hours=48)),
        ("3wd", Span(workdays=3)),
        ("3个工作日", Span(workdays=3)),
    ],
)
def test_lengths_of_time_are_written_short(text: str, span: Span) -> None:
    assert load_settings({"complaint_first_response": text}).complaint_first_response == span


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"channels": [{**BOT, "type": "fax"}]}, "alerts.channels.0.type：不是可选的值"),
        ({"channels": [{**BOT, "url": "bot.example?key=SECRETKEY"}]}, "https://"),
        ({"channels": [{**BOT, "url": "http://bot.example?key=SECRETKEY"}]}, "要用 https"),
        ({"channels": [BOT, BOT]}, "重名：a"),
        ({"channels": [{**BOT, "type": "webhook"}]}, "签名密钥"),
        ({"channels": [{"name": "a", "type": "wecom"}]}, "url：没有填写"),
        ({"chanels": []}, "alerts.chanels：没有这一项"),
        ({"complaint_first_response": "soon"}, "写成 4h"),
        ({"tickets": {"max_age": "3wd"}}, "只能写小时或天"),
        ({"departments": {"研发部": {"channel": "b"}}}, "没有配置"),
        ({"service_levels": {"一级": {"first_response": "2h"}}}, "缺少 二级、三级"),
        ({"spikes": {"alpha": 0}}, "alerts.spikes.alpha：应大于 0"),
        ({"base_url": "voc"}, "base_url"),
    ],
)
def test_mistakes_are_named_in_chinese_and_show_no_secret(data: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(data)
    assert says in str(caught.value)
    assert "SECRETKEY" not in str(caught.value)
    assert "SECRETKEY" not in repr(caught.value.__cause__)


def test_secrets_do_not_show() -> None:
    rules = load_settings({"channels": [{**BOT, "secret": "HUSH"}]})
    assert "SECRETKEY" not in repr(rules) + str(rules) + rules.model_dump_json()
    assert "HUSH" not in repr(rules) + rules.model_dump_json()


def test_links_are_whole_only_with_a_base() -> None:
    assert AlertSettings().link("alerts/A-1") == "alerts/A-1"
    assert load_settings({"base_url": "https://voc.example/"}).link("alerts/A-1") == "https://voc.example/alerts/A-1"


def test_the_most_certain_negative_tag_names_the_department() -> None:
    routing = Routing()
    opinions = [
        Opinion("表扬/表扬-产品", "positive", 0.99),
        Opinion("物流问题/破损", "negative", 0.6),
        Opinion("产品质量/异响", "negative", 0.8),
    ]
    assert routing.department("complaint", opinions) == "研发部"
    assert routing.department("complaint", []) == "客服部"
    assert routing.department("praise", opinions) == "人力资源部"
    assert Routing(tags={"物流问题/破损": "包装组"}).of_tag("物流问题/破损") == "包装组"
    assert routing.of_tag("自建组/标签") is None
