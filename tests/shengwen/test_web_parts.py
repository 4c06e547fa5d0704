"""The parts that pages are made of: wording, query edits, marked passages, histograms."""

from __future__ import annotations

import html
import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.analysis import TagOpinion
from ingest.mention import Append
from search.ast import And, Everything, Node
from search.base import Hit
from search.query import parse_query
from shengwen.web.cards import Mark, make_card, passage
from shengwen.web.facets import bars, day_bounds
from shengwen.web.present import ago, clean, count, duration, exact, p_value, rate, short, web_url
from shengwen.web.querytext import added, chips, without_fields
from tests.factories import a_classified

NOW = datetime(2026, 3, 4, 6, 20, tzinfo=UTC)  # 14:20 in Beijing


def tree(text: str) -> Node:
    return parse_query(text, now=NOW)


def parts(node: Node) -> tuple[Node, ...]:
    return node.parts if isinstance(node, And) else () if node == Everything() else (node,)


FILTERS = (
    "source:jd", "来源:天猫", "-sentiment:negative", "NOT tag:产品质量", 'tag:"产品质量/不热(温控)"', "since:7d",
    "until:今天",
    "likes:>=100", "评分:1..2", "has:追评", 'product:="K20 暖气片"', "source:jd,tmall",
)  # fmt: skip
WORDS = ("漏水", '"a b"', '"暖气 不热"~5', "(安装 OR 师傅)", "-广告", "NOT (a source:zhihu)", "k20")


@st.composite
def conjunctions(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A query of words and filters side by side, some joined by AND, and its filters in order."""
    chosen = draw(st.lists(st.sampled_from(FILTERS + WORDS), min_size=1, max_size=6, unique=True))
    text = chosen[0]
    for piece in chosen[1:]:
        text += draw(st.sampled_from([" ", "  ", " AND ", " 与 "])) + piece
    return text, [piece for piece in chosen if piece in FILTERS]


@given(conjunctions())
def test_every_filter_is_a_chip_and_taking_it_out_leaves_the_rest(query: tuple[str, list[str]]) -> None:
    text, filters = query
    found = chips(text, now=NOW)
    assert [chip.text for chip in found] == filters
    for chip in found:
        without = list(parts(tree(text)))
        without.remove(tree(chip.text))
        assert list(parts(tree(chip.without))) == without


@given(conjunctions(), st.sampled_from(FILTERS))
def test_an_added_filter_narrows_and_comes_out_again(query: tuple[str, list[str]], filter_text: str) -> None:
    text, _ = query
    more = added(text, filter_text)
    assert parts(tree(more)) == (*parts(tree(text)), *parts(tree(filter_text)))
    assert tree(chips(more, now=NOW)[-1].without) == tree(text)


@pytest.mark.parametrize("text", ["a OR b", "a 或 source:jd", "漏水 source:jd OR 渗水"])
def test_a_filter_added_to_alternatives_holds_for_all_of_them(text: str) -> None:
    assert tree(added(text, "source:tmall")) == And((tree(text), tree("source:tmall")))
    assert chips(text, now=NOW) == ()


@given(st.text(alphabet='漏 ()-"~:：|orANDOR与或非sourcejd<>=0,', max_size=40))
def test_edits_of_any_text_whatever_do_not_fail(text: str) -> None:
    chips(text, now=NOW)
    added(text, "source:jd")
    without_fields(text, ("since",))


def test_chips_read_as_chinese() -> None:
    text = "source:jd,小红书 情感:负面 -意图:咨询 since:7d until:2026-01-31 likes:>=100 has:回复 产品:K20"
    assert [chip.label for chip in chips(text, now=NOW)] == [
        "来源：京东、小红书", "情感：负面", "不含 意图：咨询", "近 7 天", "到 2026-01-31", "点赞 >=100",
        "有商家回复", "产品：K20",
    ]  # fmt: skip


def plain(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


@st.composite
def marked_texts(draw: st.DrawFn) -> tuple[str, list[Mark]]:
    text = draw(st.text(alphabet="漏水<>&\"' \n\u202e\x00a", max_size=60))
    spans = st.tuples(st.integers(-3, 65), st.integers(-3, 65), st.sampled_from(["hit", "negative", "positive"]))
    return text, [Mark(min(a, b), max(a, b), kind, "漏<水>") for a, b, kind in draw(st.lists(spans, max_size=6))]


@given(marked_texts())
def test_marks_never_change_the_words(case: tuple[str, list[Mark]]) -> None:
    text, marks = case
    made = passage(text, marks)
    assert plain(made.html) == clean(text)
    assert not made.cut
    tags = set(re.findall(r"<[^>]*>", made.html))
    assert {re.sub(r' title="[^"<>]*"', "", tag) for tag in tags} <= {
        "<mark>", "</mark>", "</span>", '<span class="op op-negative">', '<span class="op op-positive">',
    }  # fmt: skip


@given(marked_texts(), st.integers(1, 30))
def test_a_cut_passage_is_a_piece_of_the_text_with_the_first_hit_in_it(
    case: tuple[str, list[Mark]], limit: int
) -> None:
    text, marks = case
    made = passage(text, marks, limit=limit)
    shown = plain(made.html)
    body = shown.removeprefix("…").removesuffix("…")
    assert len(body) <= limit
    assert body in clean(text)
    assert made.cut == (len(text) > limit)


def test_a_hit_far_down_a_long_text_is_shown() -> None:
    text = "长" * 5000 + "漏水" + "长" * 5000
    made = passage(text, [Mark(5000, 5002, "hit")], limit=320)
    assert "<mark>漏水</mark>" in made.html
    assert len(plain(made.html)) == 322


def test_opinions_are_underlined_in_the_field_they_lie_in() -> None:
    mention = a_classified(
        "negative",
        source="zhihu",
        kind="answer",
        title="求助",
        text="接口渗水",
        appends=(Append(text="换了还是渗水"),),
        tags=(
            TagOpinion(tag="产品质量/漏水渗水", sentiment="negative", confidence=0.9, span=(5, 7)),
            TagOpinion(tag="客服售后/维修", sentiment="negative", confidence=0.9, span=(8, 14)),
        ),
    )
    assert mention.full_text == "求助\n接口渗水\n换了还是渗水"
    card = make_card(Hit(mention))
    assert card.title is not None
    assert "<span" not in card.title.html
    assert card.text.html == '接口<span class="op op-negative" title="漏水渗水">渗水</span>'
    assert card.appends[0].html == '<span class="op op-negative" title="维修">换了还是渗水</span>'


@given(st.dictionaries(st.dates(date(2020, 1, 1), date(2026, 3, 4)), st.integers(1, 50), max_size=12))
def test_the_histogram_counts_everything_once_and_has_no_gaps(days: dict[date, int]) -> None:
    by_day = {day.isoformat(): {"negative": n, "positive": 1} for day, n in days.items()}
    shown = bars(by_day)
    assert sum(bar.counts["negative"] for bar in shown) == sum(days.values())
    assert sum(bar.counts["positive"] for bar in shown) == len(days)
    for bar, following in pairwise(shown):
        assert date.fromisoformat(following.first) - date.fromisoformat(bar.last) == timedelta(days=1)
    assert len(shown) <= 121
    for day, n in days.items():
        assert any(bar.first <= day.isoformat() <= bar.last and bar.counts["negative"] >= n for bar in shown)


def test_the_histogram_spans_what_was_asked_for() -> None:
    shown = bars({"2026-03-02": {"negative": 1}}, *day_bounds(tree("漏水 since:7d"), NOW))
    assert (shown[0].first, shown[-1].last, len(shown)) == ("2026-02-25", "2026-03-04", 8)
    assert day_bounds(tree("since:2026-02-01 until:2026-02-28"), NOW) == (date(2026, 2, 1), date(2026, 2, 28))
    assert day_bounds(tree("漏水"), NOW) == (None, None)
    assert bars({}) == []


@pytest.mark.parametrize(
    ("passed", "precision", "said"),
    [
        (timedelta(seconds=20), "second", "刚刚"),
        (timedelta(minutes=59), "second", "59 分钟前"),
        (timedelta(hours=11, minutes=59), "second", "11 小时前"),
        (timedelta(hours=14), "second", "今天 00:20"),
        (timedelta(hours=15), "second", "昨天 23:20"),
        (timedelta(days=2), "second", "前天 14:20"),
        (timedelta(days=20), "second", "2 月 12 日 14:20"),
        (timedelta(days=100), "second", "2025-11-24 14:20"),
        (timedelta(hours=3), "day", "今天"),
        (timedelta(hours=15), "day", "昨天"),
        (timedelta(days=20), "day", "2 月 12 日"),
        (timedelta(days=20), "month", "2026-02"),
        (-timedelta(hours=20), "second", "明天 10:20"),
        (-timedelta(minutes=5), "second", "今天 14:25"),
    ],
)
def test_how_long_ago_is_said_in_beijings_days(passed: timedelta, precision: str, said: str) -> None:
    assert ago(NOW - passed, NOW, precision) == said


def test_an_exact_time_reaches_as_far_as_it_is_known() -> None:
    at = datetime(2026, 1, 4, 17, 5, 9, tzinfo=UTC)
    assert exact(at) == "2026-01-05 01:05:09（北京时间）"
    assert exact(at, "minute") == "2026-01-05 01:05（北京时间）"
    assert exact(at, "hour") == "2026-01-05 01 时（北京时间）"
    assert (exact(at, "day"), exact(at, "month"), exact(None)) == ("2026-01-05", "2026-01", "—")


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(seconds=30), "不到 1 分"),
        (timedelta(minutes=5, seconds=59), "5 分"),
        (timedelta(hours=2), "2 小时"),
        (-timedelta(hours=2, minutes=5), "2 小时 5 分"),
        (timedelta(days=3), "3 天"),
        (timedelta(days=1, hours=3, minutes=50), "1 天 3 小时"),
    ],
)
def test_lengths_of_time_name_their_two_largest_units(span: timedelta, said: str) -> None:
    assert duration(span) == said


def test_numbers_read_as_people_write_them() -> None:
    assert [count(n) for n in (0, 999, 1234, 15_000, 20_000, None)] == ["0", "999", "1,234", "1.5万", "2万", "—"]
    assert count(15_000, approximate=True) == "约 1.5万"
    assert [p_value(p) for p in (1e-9, 0.0031, 0.04)] == ["p < 0.0001", "p = 0.0031", "p = 0.04"]
    assert [rate(n) for n in (0.0, 0.04, 0.1, 4.25, 10)] == ["不到 0.1", "不到 0.1", " 0.1", " 4.2", " 10"]


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://item.jd.com/1.html", True),
        ("http://shop.example", True),
        (" https://shop.example ", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        ("java\x00script:alert(1)", False),
        ("data:text/html,<script>", False),
        ("//shop.example", False),
        ("https://", False),
        ("https://[broken", False),
        ("https://shop.example/\u202egnp.exe", False),
        (None, False),
    ],
)
def test_only_web_addresses_become_links(url: str | None, safe: bool) -> None:
    assert (web_url(url) is not None) == safe


@given(st.text(max_size=200))
def test_cleaned_text_keeps_its_length_and_hides_no_direction(text: str) -> None:
    made = clean(text)
    assert len(made) == len(text)
    assert not re.search("[\x00-\x08\u202a-\u202e\u2066-\u2069\u200b\ufeff]", made)
    assert len(short(text, 20)) <= 20
    assert "\n" not in short(text, 20)
