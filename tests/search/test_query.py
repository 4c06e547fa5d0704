from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import QueryError
from search.query import (
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_NODES,
    And,
    Between,
    Everything,
    Has,
    Is,
    Near,
    Node,
    Not,
    Or,
    Since,
    Until,
    Word,
    parse_query,
    positive_words,
)

NOW = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)  # 09:00 on a Monday in Beijing


def parse(text: str) -> Node:
    return parse_query(text, now=NOW)


def beijing(*ymdh: int) -> datetime:
    year, month, day, *hour = ymdh
    return datetime(year, month, day, *hour, tzinfo=UTC) - timedelta(hours=8)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", Everything()),
        (" \u3000\n", Everything()),
        ("漏水", Word("漏水")),
        ("漏水 师傅", And((Word("漏水"), Word("师傅")))),
        ("漏水 AND 师傅", And((Word("漏水"), Word("师傅")))),
        ("漏水 OR 师傅 安装", Or((Word("漏水"), And((Word("师傅"), Word("安装")))))),
        ("(漏水 OR 师傅) 安装", And((Or((Word("漏水"), Word("师傅"))), Word("安装")))),
        ("漏水 NOT 广告", And((Word("漏水"), Not(Word("广告"))))),
        ("漏水 AND NOT 广告", And((Word("漏水"), Not(Word("广告"))))),
        ("漏水 -广告 -(a b)", And((Word("漏水"), Not(Word("广告")), Not(And((Word("a"), Word("b"))))))),
        ("NOT a b", And((Not(Word("a")), Word("b")))),
        ("a 与 b 或 非 c", Or((And((Word("a"), Word("b"))), Not(Word("c"))))),
        ("与众不同 或许 非常", And((Word("与众不同"), Word("或许"), Word("非常")))),
        ("and or not", And((Word("and"), Word("or"), Word("not")))),
        ("（a OR b）－c", And((Or((Word("a"), Word("b"))), Not(Word("c"))))),
        ("((a))", Word("a")),
        ("K20-3", Word("K20-3")),
        ("12:30", Word("12:30")),
        (":)x", None),
        ('"a OR (b"', Word("a OR (b")),
        ("“a：b”", Word("a：b")),
        ("＂他说“好”＂", Word("他说“好”")),
        (r'"a\"b\\c\d"', Word('a"b\\c\\d')),
        ('K20"不热"', And((Word("K20"), Word("不热")))),
        ('"暖气 不热"~5', Near("暖气", "不热", 5)),
        ("“暖气　不热”～０", Near("暖气", "不热", 0)),
        ("source:jd", Is("source", "jd")),
        ("来源：京东", Is("source", "jd")),
        ("SOURCE:JD", Is("source", "jd")),
        ("source:jd,天猫、douyin", Or((Is("source", "jd"), Is("source", "tmall"), Is("source", "douyin")))),
        ("source:import:门店", Is("source", "import:门店")),
        ("情感:负面", Is("sentiment", "negative")),
        ("sentiment:Negative", Is("sentiment", "negative")),
        ("tag:产品质量/焊缝", Is("tag", "产品质量/焊缝")),
        ('tag:"a,b"', Is("tag", "a,b")),
        ("product:K20,3", Is("product", "K20,3")),
        ('product:="K20 x"', Is("product", "K20 x", exact=True)),
        ("-flag:广告", Not(Is("flag", "advertisement"))),
        ("about:own,rival", Or((Is("about", "own"), Is("about", "rival")))),
        ("关于：竞品", Is("about", "rival")),
        ("-关于:同名", Not(Is("about", "excluded"))),
        ("matched:K20-3", Is("matched", "K20-3")),
        ("匹配词:岚炉,炽源", Or((Is("matched", "岚炉"), Is("matched", "炽源")))),
        ("matched:*", Is("matched", "*")),
        ('matched:"a,b"', Is("matched", "a,b")),
        ("rating:3", Between("rating", 3, 3)),
        ("rating:=3", Between("rating", 3, 3)),
        ("点赞：＞＝１００", Between("likes", low=100)),
        ("likes:≥1.5万", Between("likes", low=15_000)),
        ("likes:>1w", Between("likes", low=10_000, low_open=True)),
        ("severity:<7.5", Between("severity", high=7.5, high_open=True)),
        ("rating:1..2", Between("rating", 1, 2)),
        ("rating:..2", Between("rating", high=2)),
        ("rating:4..", Between("rating", low=4)),
        ("has:media,append", Or((Has("media"), Has("append")))),
        ("含:追评", Has("append")),
        ("since:7d", Since(NOW - timedelta(days=7))),
        ("since:24h", Since(NOW - timedelta(hours=24))),
        ("since:2w", Since(NOW - timedelta(weeks=2))),
        ("since:3天前", Since(NOW - timedelta(days=3))),
        ("since:今天", Since(beijing(2026, 1, 5))),
        ("until:昨天", Until(beijing(2026, 1, 5))),
        ("until:7d", Until(NOW - timedelta(days=7))),
        ("since:2025-12-01", Since(beijing(2025, 12, 1))),
        ("since:2025年12月1日", Since(beijing(2025, 12, 1))),
        ("until:2025/12/31", Until(beijing(2026, 1, 1))),
        ("until:2025-12", Until(beijing(2026, 1, 1))),
        ("since:本周", Since(beijing(2026, 1, 5))),
        ("until:上周", Until(beijing(2026, 1, 5))),
        ("since:上月 until:上月", And((Since(beijing(2025, 12, 1)), Until(beijing(2026, 1, 1))))),
        ("since:2026-01-05T08:30", Since(datetime(2026, 1, 5, 0, 30, tzinfo=UTC))),
        ("since:2026-01-05T08:30:00Z", Since(datetime(2026, 1, 5, 8, 30, tzinfo=UTC))),
    ],
)
def test_a_query_means_this_tree(text: str, tree: Node | None) -> None:
    if tree is None:
        with pytest.raises(QueryError):
            parse(text)
        return
    assert parse(text) == tree
    assert parse(str(parse(text))) == tree


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("漏水 sorce:jd", 3, "是不是 source"),
        ("情敢:负面", 0, "是不是 情"),
        ("http://x.cn", 0, "加引号"),
        ("source:京冬", 7, "是不是 京东"),
        ("source:jd,tmal", 10, "是不是 tmall"),
        ("source:", 7, "缺一个值"),
        ("about:竞争", 6, "是不是 竞争对手"),
        ("matched:", 8, "缺一个值"),
        ("tag:,", 4, "缺一个值"),
        ('tag:""', 4, "没有内容"),
        ('漏水 "没有闭合', 3, "引号没有闭合"),
        ("(漏水", 0, "括号没有闭合"),
        ("漏水)", 2, "多出来一个右括号"),
        ("a ()", 3, "缺一个词"),
        ("a OR", 4, '写成 "OR"'),
        ("AND a", 0, "前面缺一个词"),
        ("a 或 或 b", 4, "前面缺一个词"),
        ("NOT", 3, "没有写完"),
        ("a - b", 2, "减号"),
        ("a -", 2, "减号"),
        ("rating:很高", 7, "不是数字"),
        ("likes:-5", 6, "不是数字"),
        ("likes:99999999999", 6, "太大"),
        ("rating:5..1", 7, "起点大于终点"),
        ("rating:..", 7, "不是数字"),
        ("source:>jd", 7, "不能比较大小"),
        ("since:去年夏天", 6, "看不懂的时间"),
        ("since:2026-02-30", 6, "看不懂的时间"),
        ("since:>7d", 7, "看不懂的时间"),
        ("since:99999d", 6, "看不懂的时间"),
        ("since:0001-01-01", 6, "看不懂的时间"),
        ("since:9999-12-31T23:59:59-12:00", 6, "看不懂的时间"),
        ('"a"~5', 0, "两个词"),
        ('"a b c"~5', 0, "两个词"),
        ('"a b"~', 5, "最多相隔几个字"),
        ('"a b"~51', 5, "最多 50"),
        ("x" * (MAX_LENGTH + 1), MAX_LENGTH, "太长"),
        (" ".join("x" * (MAX_NODES + 1)), 2 * MAX_NODES, "太复杂"),
        ("-" * (MAX_NODES + 5) + "a", MAX_NODES, "太复杂"),
        ("source:" + ",".join(["jd"] * (MAX_NODES + 1)), 0, "太复杂"),
        ("(" * (MAX_DEPTH + 1) + "a", MAX_DEPTH, "层"),
    ],
)
def test_a_mistake_is_explained_in_chinese_with_its_place(text: str, position: int, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert caught.value.position == position
    assert says in str(caught.value)
    assert f"第 {position + 1} 个字符处" in str(caught.value)
    assert len(str(caught.value)) < 500


OPERATORS = ["AND", "OR", "NOT", "与", "或", "非", *'()（）"“”＂~～-－:：,=<>≥.\\ \u3000']
FIELDS = ["source:", "likes:", "since:", "tag:", "has:", "product:=", "jd", "7d", "1..3", ">=", "今天", "2026-01-05"]
OTHERS = ["漏水", "K20", "99999999", "1.5万", "~5", "\x00", "\ud800", "😀", "٣"]
PIECES = st.lists(st.sampled_from([*OPERATORS, *FIELDS, *OTHERS]), max_size=25)


@given(st.one_of(st.text(max_size=60), PIECES.map("".join), PIECES.map(" ".join)))
def test_any_text_is_a_tree_or_a_query_error_and_trees_print_as_themselves(text: str) -> None:
    try:
        tree = parse(text)
    except QueryError as mistake:
        place = mistake.position
    else:
        assert parse(str(tree)) == tree
        return
    assert 0 <= place <= len(text)


WORDS = st.text(min_size=1, max_size=8)
NEAR_WORDS = WORDS.filter(lambda text: not any(char.isspace() for char in text))
VALUES = WORDS.filter(lambda text: not text.isspace())
LEAVES: st.SearchStrategy[Node] = st.one_of(
    st.builds(Word, WORDS),
    st.builds(Near, NEAR_WORDS, NEAR_WORDS, st.integers(0, 50)),
    st.builds(Is, st.sampled_from(["tag", "product", "region", "author", "id"]), VALUES),
    st.builds(Is, st.just("product"), VALUES, st.just(True)),
    st.builds(Is, st.just("source"), st.sampled_from(["jd", "import", "import:门店"])),
    st.builds(lambda low, more: Between("likes", low, low + more), st.integers(0, 999), st.integers(0, 999)),
    st.builds(lambda n: Between("severity", low=n / 10_000, low_open=True), st.integers(0, 100_000)),
    st.builds(Has, st.sampled_from(["media", "append", "reply"])),
    st.builds(lambda seconds: Since(NOW - timedelta(seconds=seconds)), st.floats(0, 1e9)),
)


def _several(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[tuple[Node, ...]]:
    return st.lists(nodes, min_size=2, max_size=3).map(tuple)


def _flat(kind: type[And] | type[Or], parts: tuple[Node, ...]) -> Node:
    return kind(tuple(inner for part in parts for inner in (part.children() if isinstance(part, kind) else (part,))))


TREES = st.recursive(
    LEAVES,
    lambda nodes: st.one_of(
        st.builds(Not, nodes),
        _several(nodes).map(lambda parts: _flat(And, parts)),
        _several(nodes).map(lambda parts: _flat(Or, parts)),
    ),
    max_leaves=12,
)


@given(TREES)
def test_every_tree_prints_as_a_query_that_means_it(tree: Node) -> None:
    assert parse(str(tree)) == tree


def test_positive_words_are_those_that_a_match_rests_on() -> None:
    words = list(positive_words(parse('a -b NOT (c OR -d) "e f"~2 source:jd')))
    assert words == [Word("a"), Word("d"), Near("e", "f", 2)]
