"""The taxonomy file: what ships, what a user may add, and what a user is told when it does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from classify.base import Utterance
from classify.load import load_classifier
from classify.taxonomy import load_taxonomy, parse_taxonomy
from ingest.errors import ConfigError
from shengwen.routing import routing_from

SHIPPED = {
    "产品质量": "焊缝 漏水渗水 不热 异响 掉漆生锈 尺寸接口 规格容量 外观 材质做工 真伪 爆裂安全",
    "安装服务": "延误 师傅态度 施工不规范 乱收费 安装费用 二次上门",
    "物流问题": "破损 延迟 错发漏发 配送上楼 快递态度 包装",
    "客服售后": "响应慢 态度差 推诿 误导承诺 退换货 维修 发票保修",
    "运营价格": "价格咨询 价格争议 活动规则 赠品 性价比",
    "使用体验": "采暖效果 能耗 除尘清洁 说明书",
    "表扬": "表扬-产品 表扬-安装工 表扬-客服 表扬-物流",
    "建议": "产品优化 服务升级",
}

COFFEE = """
[product]
words = ["咖啡机"]

[[group]]
name = "冲煮"
department = "研发部"

[[tag]]
name = "冲煮/萃取"
department = "品控部"
words = ["萃取", "油脂"]
negative = ["酸涩", "没有油脂"]
[tag.examples]
negative = ["打出来的咖啡寡淡如水", "压力上不去，半天滴一点"]
positive = ["打出来的咖啡醇厚香浓"]
"""


def test_the_shipped_taxonomy_is_the_business_as_it_is() -> None:
    taxonomy = load_taxonomy()
    assert {tag.name for tag in taxonomy.tags} == {f"{g}/{t}" for g, tags in SHIPPED.items() for t in tags.split()}


def test_every_shipped_tag_has_examples_and_a_department() -> None:
    taxonomy = load_taxonomy()
    for tag in taxonomy.tags:
        examples = tag.examples
        assert len({*examples.negative, *examples.neutral, *examples.positive}) >= 5, tag.name
        assert routing_from(taxonomy).of_tag(tag.name)


@pytest.mark.parametrize(
    ("tag", "department"),
    [
        ("产品质量/不热", "研发部"),
        ("产品质量/焊缝", "生产部"),
        ("安装服务/延误", "售后部"),
        ("客服售后/响应慢", "客服部"),
        ("客服售后/维修", "售后部"),
        ("物流问题/破损", "物流部"),
        ("运营价格/赠品", "市场部"),
        ("表扬/表扬-客服", "人力资源部"),
        ("建议/产品优化", "企划部"),
        ("没有/这个", None),
    ],
)
def test_departments(tag: str, department: str | None) -> None:
    assert routing_from(load_taxonomy()).of_tag(tag) == department


def test_a_taxonomy_of_another_trade_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "coffee.toml"
    path.write_text(COFFEE, "utf-8")
    classifier = load_classifier(path)
    first, second, third = classifier.analyse(
        [Utterance("喝起来又酸涩又苦"), Utterance("暖气漏水了"), Utterance("打出来的咖啡真是寡淡如水啊")]
    )
    assert [(tag.tag, tag.sentiment) for tag in first.tags] == [("冲煮/萃取", "negative")]
    assert second.tags == ()
    assert [(tag.tag, tag.sentiment) for tag in third.tags] == [("冲煮/萃取", "negative")]
    assert routing_from(load_taxonomy(path)).of_tag("冲煮/萃取") == "品控部"


def test_a_tag_added_to_the_shipped_taxonomy_works_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "more.toml"
    added = '[[tag]]\nname = "产品质量/遥控器"\nwords = ["遥控器"]\nnegative = ["遥控~失灵|没反应"]\n'
    path.write_text("extends = true\n" + added, "utf-8")
    classifier = load_classifier(path)
    first, second = classifier.analyse([Utterance("遥控器按了没反应，漏水也没人管"), Utterance("遥控器没有失灵过")])
    assert {"产品质量/遥控器", "产品质量/漏水渗水"} <= {tag.tag for tag in first.tags if tag.sentiment == "negative"}
    assert ("产品质量/遥控器", "positive") in {(tag.tag, tag.sentiment) for tag in second.tags}
    assert "产品质量/遥控器" not in {tag.tag for tag in load_classifier().analyse([Utterance("遥控器失灵")])[0].tags}


def test_a_tag_named_again_replaces_the_shipped_one() -> None:
    taxonomy = parse_taxonomy(
        'extends = true\n[[tag]]\nname = "产品质量/异响"\nwords = ["轰鸣"]\ndepartment = "声学组"\n'
    )
    assert taxonomy.by_name["产品质量/异响"].words == ("轰鸣",)
    assert routing_from(taxonomy).of_tag("产品质量/异响") == "声学组"
    assert len(taxonomy.tags) == len(load_taxonomy().tags)


def test_safety_words_of_an_added_tag_are_minded(tmp_path: Path) -> None:
    path = tmp_path / "more.toml"
    path.write_text(COFFEE + '[tag.safety]\nwords = ["炸壶"]\nnot = ["炸壶味"]\n', "utf-8")
    classifier = load_classifier(path)
    flags = [
        set(a.flags) - {"unsure"}
        for a in classifier.analyse([Utterance(t) for t in ("早上炸壶了", "怕炸壶", "炸壶味糖")])
    ]
    assert flags == [{"safety"}, set(), set()]


GROUP = '[[group]]\nname = "甲"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[tag", "不是合法的 TOML"),
        ("", "tag 没有写"),
        (GROUP + '[[tag]]\nwords = ["子"]\n', "第 1 个标签的 name 没有写"),
        (GROUP + '[[tag]]\nname = "丑"\nwords = ["子"]\n', "“丑”的 name 写法不对"),
        (GROUP + '[[tag]]\nname = "甲/丑"\n', "“甲/丑”没有词"),
        (GROUP + '[[tag]]\nname = "甲/丑"\nwords = ["子~"]\n', "“子~”里 ~ 或 | 的一边是空的"),
        (GROUP + '[[tag]]\nname = "甲/丑"\nwords = "子"\n', "“甲/丑”的 words 要写成方括号里的列表"),
        (GROUP + '[[tag]]\nname = "甲/丑"\nword = ["子"]\n', "“甲/丑”的 word 不认识这一项"),
        (GROUP + '[[tag]]\nname = "甲/丑"\nwords = ["子"]\nseverity = 11\n', "“甲/丑”的 severity 不能大于 10"),
        (GROUP + '[[tag]]\nname = "甲/丑"\nwords = ["子"]\nwhen_positive = "甲/寅"\n', "没有的标签“甲/寅”"),
        (GROUP + '[[tag]]\nname = "乙/丑"\nwords = ["子"]\n', "组“乙”没有声明"),
        (GROUP + '[[tag]]\nname = "甲/丑"\nwords = ["子"]\n' * 2, "“甲/丑”写了两遍"),
        (GROUP + '[tag]\nname = "甲/丑"\n', "[[tag]]"),
        ('tag = ["甲/丑"]\n' + GROUP, "[[tag]]"),
        ('extends = "yes"\n', "extends"),
        (
            '[[group]]\nname = "甲"\nsuggestion = "甲/寅"\n[[tag]]\nname = "甲/丑"\nwords = ["子"]\n',
            "组“甲”的 suggestion",
        ),
    ],
)
def test_a_wrong_entry_is_named_in_chinese(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_taxonomy(text)
    assert said in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"没有\.toml"):
        load_taxonomy(tmp_path / "没有.toml")
    (tmp_path / "gbk.toml").write_bytes("标签".encode("gb18030"))
    with pytest.raises(ConfigError, match="UTF-8"):
        load_taxonomy(tmp_path / "gbk.toml")
    (tmp_path / "big.toml").write_bytes(b"#" * 4_000_001)
    with pytest.raises(ConfigError, match="太大"):
        load_taxonomy(tmp_path / "big.toml")


def test_the_shipped_safety_sentences_hold() -> None:
    classifier = load_classifier()
    for tag in load_taxonomy().tags:
        if tag.safety is not None:
            for mode in ("meant", "feared", "denied"):
                for sentence in getattr(tag.safety, mode):
                    flagged = "safety" in classifier.analyse([Utterance(sentence)])[0].flags
                    assert flagged == (mode == "meant"), sentence
