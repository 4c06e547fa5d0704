"""Cleaning: what a person reads stays, what steers or hides goes, and nothing takes for ever."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.text import append_text, clean, clean_html, clean_note, review_text
from ingest.default_reviews import is_default_review


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("不错&hellip;挺热", "不错…挺热"),
        ("安装<b></b>费<br/>两百", "安装费\n两百"),
        ("水温<60度 且 a<b 且 c>d", "水温<60度 且 a<b 且 c>d"),
        ("进水<b 管>出水", "进水<b 管>出水"),
        ("&lt;b&gt;原样&lt;/b&gt;", "<b>原样</b>"),
        ("一\r\n二\u2028三\x0b四", "一\n二\n三\n四"),
        ("  前　后\xa0\t中  ", "前 后 中"),
        ("一\n\n \n二", "一\n二"),
        ("售\u200b后\u202e推诿\u2066\x00\x07\ufeff\xad", "售后推诿"),
        ("\ud83d坏", "\ufffd坏"),
        ("👨\u200d🔧师傅👍\ufe0f 漏\u200d水", "👨\u200d🔧师傅👍\ufe0f 漏水"),
        ('<a href="http://x" target=_blank>来自京东iPhone客户端</a>', "来自京东iPhone客户端"),
        ("<script>alert(1)</script>", "alert(1)"),
    ],
)
def test_plain_text_loses_markup_and_keeps_what_was_typed(raw: str, read: str) -> None:
    assert clean(raw) == read


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("<p>一</p><p>二<br>三</p>", "一\n二\n三"),
        ("<ul><li>甲</li><li>乙</li></ul>尾", "甲\n乙\n尾"),
        ("<style>.a{}</style><script>x()</script><!-- 注释 -->文", "文"),
        ('图<img alt="a>b" src="x.jpg">后', "图后"),
        ('<a class="comment_img" href="x">查看图片</a>漏了', "漏了"),
        ("<x-unknown data-a='1'>字</x-unknown>", "字"),
        ("3 &lt; 5 &amp;&amp; 7", "3 < 5 && 7"),
        ("没有闭合<p", "没有闭合<p"),
    ],
)
def test_html_becomes_lines(raw: str, read: str) -> None:
    assert clean_html(raw) == read


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("好热#暖气片[话题]##装修[话题]# 真的", "好热#暖气片 #装修 真的"),
        ("泡了地板[偷笑R][哭惹R]", "泡了地板[偷笑][哭惹]"),
        ("型号[VIPR]与[doge]不动", "型号[VIPR]与[doge]不动"),
        ("#不是话题# 普通", "#不是话题# 普通"),
    ],
)
def test_note_codes_become_readable(raw: str, read: str) -> None:
    assert clean_note(raw) == read


@pytest.mark.parametrize(
    "raw",
    [
        "此用户未填写评价内容",
        "此用户没有填写评论!",
        "此用户没有填写评价内容",
        "您没有填写内容，默认好评",
        "系统默认好评",
        "评价方未及时做出评价,系统默认好评!",
        "评价方未及时做出评价，系统默认好评！",
        "用户未及时作出评价哦~",
        "此用户未及时填写评价内容",
        "此用户没有填写评价。",
        "系统默认评论",
        " 此用户没有 填写评价 。 ",
        "<b></b>此用户没有填写评价。",
    ],
)
def test_default_reviews_are_recognised_whatever_stands_around_them(raw: str) -> None:
    assert review_text(raw) == ("", True)


@pytest.mark.parametrize("raw", ["系统默认好评是假的，其实漏水", "此用户没有填写评价内容但我填了", "好评", "默认"])
def test_words_about_default_reviews_are_reviews(raw: str) -> None:
    assert review_text(raw) == (raw, False)


def test_a_blank_review_is_an_empty_one() -> None:
    assert review_text(" \u200b\n") == ("", True)


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("12天后追评：漏水", "漏水"),
        ("收货12天后追加评论 漏水", "漏水"),
        ("[用户30天后追评]漏水", "漏水"),
        ("一个月后追评:漏水", "漏水"),
        ("追评还行", "还行"),
        ("30天后还是漏水", "30天后还是漏水"),
        ("此用户没有填写评价。", ""),
    ],
)
def test_an_append_loses_its_label(raw: str, read: str) -> None:
    assert append_text(raw) == read


@given(st.text())
def test_cleaned_text_is_tidy_and_stays_the_same_when_tidied_again(raw: str) -> None:
    for cleaner in (clean, clean_html, clean_note):
        text = cleaner(raw)
        assert text == text.strip()
        assert "  " not in text
        assert "\n\n" not in text
        kinds = {unicodedata.category(c) for c in text if c not in "\n\u200d"}
        assert not kinds & {"Cc", "Cs"}
        text.encode()


@given(st.text(alphabet="<>/ab \"'=!-&;#[]话题R中", max_size=300))
def test_no_markup_soup_breaks_it(raw: str) -> None:
    for cleaner in (clean, clean_html, clean_note, append_text):
        assert len(cleaner(raw)) <= len(raw) + raw.count("#")
    is_default_review(raw)


HOSTILE = [
    "<a " * 60_000,
    '<a x="<' * 30_000,
    "<!--" * 50_000,
    "<script" * 30_000,
    "#a[" * 60_000,
    " \n" * 100_000,
    "[中" * 80_000,
    "<p" + " " * 200_000,
    "<a x" + " a" * 100_000,
    '<a class="comment_img' * 10_000,
    "&" * 200_000,
    "&#" * 100_000,
    "\\" * 200_000,
    "追" * 200_000,
    "<img " + "a='" * 60_000,
]


@pytest.mark.parametrize("evil", HOSTILE, ids=lambda text: repr(text[:8]))
def test_hostile_text_takes_linear_time(evil: str) -> None:
    started = time.process_time()
    for cleaner in (clean, clean_html, clean_note, append_text):
        cleaner(evil)
    # A quadratic pattern would need minutes for this; the bound is generous for a busy machine.
    assert time.process_time() - started < 5
