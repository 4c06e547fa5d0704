"""Whatever mixture of good and broken records a list holds: each good one is read, each broken one is named."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawlers.fill import fill_of
from tests.crawlers.golden import GOLDEN
from tests.crawlers.payloads import changed, read
from tests.crawlers.payloads import rest as r
from tests.crawlers.payloads.douyin import DOUYIN_COMMENTS, DOUYIN_COMMENTS_URL
from tests.crawlers.payloads.jd import JD_LEGO, JD_OLD, JD_OLD_URL
from tests.crawlers.payloads.tmall import MTOP_DETAIL, MTOP_NEW_PC, TMALL_OLD, TMALL_OLD_URL
from tests.crawlers.payloads.xiaohongshu import NOTE_ID, XHS_COMMENTS, XHS_COMMENTS_URL, XHS_SEARCH, XHS_SEARCH_URL
from tests.crawlers.payloads.zhihu import ZHIHU_COMMENTS, ZHIHU_COMMENTS_URL, ZHIHU_FEEDS, ZHIHU_FEEDS_URL


@dataclass(frozen=True)
class Listed:
    """A list of records in an answer: where it is, and where a record holds its id and its time."""

    platform: str
    body: Any
    url: str
    rows: str
    id: str
    time: str
    inner: tuple[str, ...] = ()
    """Lists of further records inside a record."""

    def answer(self, number: int, broken: dict[int, str]) -> Any:
        """``number`` copies of the first record under ids of their own; some of them broken."""
        first = self.body
        for part in self.rows.split("."):
            first = first[part]
        first = first[0]
        for name in self.inner:
            first = changed(first, name, [])
        made = []
        for place in range(number):
            record = changed(first, self.id, self.native(place))
            where = {"id": self.id, "time": self.time}.get(broken.get(place, ""))
            made.append("no record" if broken.get(place) == "kind" else record)
            if where is not None:
                made[-1] = changed(record, where, {"not": "this"})
        return changed(self.body, self.rows, made)

    def native(self, place: int) -> Any:
        return f"66696f98000000001c{place:06x}" if self.platform == "xiaohongshu" else 10_000_000_000 + place


LISTS = (
    Listed("jd", {**JD_LEGO, "questionList": []}, "https://api.m.jd.com/?functionId=getLegoWareDetailComment",
           "commentInfoList", "commentId", "commentDate"),
    Listed("jd", JD_OLD, JD_OLD_URL.format(page=0), "comments", "id", "creationTime"),
    Listed("tmall", TMALL_OLD, TMALL_OLD_URL.format(page=1), "rateDetail.rateList", "id", "rateDate"),
    Listed("tmall", MTOP_DETAIL, "https://h5api.m.tmall.com/h5/mtop.taobao.rate.detaillist.get/6.0/", "data.rateList",
           "id", "feedbackDate"),
    Listed("tmall", MTOP_NEW_PC, "https://h5api.m.tmall.com/h5/mtop.alibaba.review.list.for.new.pc.detail/1.0/",
           "data.module.reviewVOList", "id", "reviewDate"),
    Listed("tmall", r.TMALL_FEED_RATES, "https://rate.taobao.com/feedRateList.htm?currentPageNum=1", "comments",
           "rateId", "date"),
    Listed("xiaohongshu", XHS_SEARCH, XHS_SEARCH_URL, "data.items", "id", ""),
    Listed("xiaohongshu", XHS_COMMENTS, XHS_COMMENTS_URL.format(note=NOTE_ID, cursor=""), "data.comments", "id",
           "create_time", ("sub_comments",)),
    Listed("douyin", DOUYIN_COMMENTS, DOUYIN_COMMENTS_URL.format(cursor=0), "comments", "cid", "create_time",
           ("reply_comment",)),
    Listed("douyin", r.DOUYIN_VIDEO_TAB, "https://www.douyin.com/aweme/v1/web/search/item/?offset=0", "data",
           "aweme_id", "create_time"),
    Listed("zhihu", ZHIHU_COMMENTS, ZHIHU_COMMENTS_URL.format(offset=""), "data", "id", "created_time",
           ("child_comments",)),
    Listed("zhihu", ZHIHU_FEEDS, ZHIHU_FEEDS_URL, "data", "target.id", "target.created_time"),
)  # fmt: skip


@pytest.mark.parametrize("listed", LISTS, ids=lambda one: f"{one.platform} {one.rows}")
@settings(max_examples=25)
@given(data=st.data())
def test_good_records_are_read_and_broken_ones_are_named(listed: Listed, data: st.DataObject) -> None:
    number = data.draw(st.integers(1, 12))
    ways = ["id", "kind"] + ["time"] * bool(listed.time)
    broken = data.draw(st.dictionaries(st.integers(0, number - 1), st.sampled_from(ways), max_size=number))
    page = read(listed.platform, listed.answer(number, broken), listed.url)
    good = [str(listed.native(place)) for place in range(number) if place not in broken]
    assert [draft.native_id for draft in page.mentions] == good
    assert page.signal == ("ok" if good else "unknown")
    assert len(page.problems) == len(broken)
    at = sorted(int(problem.path.split("[")[1].split("]")[0]) for problem in page.problems)
    assert at == sorted(broken)
    assert all(problem.path.startswith(listed.rows) for problem in page.problems)
    fill = fill_of(page)
    assert fill is not None
    assert (fill.records, fill.broken) == (len(good), len(broken))


@settings(max_examples=150)
@given(golden=st.sampled_from([golden for golden in GOLDEN if isinstance(golden.body, dict)]), data=st.data())
def test_what_nobody_knows_of_changes_nothing(golden: Any, data: st.DataObject) -> None:
    """A key that a platform adds anywhere is no reason to read anything else differently."""
    body = copy.deepcopy(golden.body)
    nodes = [body]
    for node in nodes:
        nodes += [inner for inner in _inside(node) if isinstance(inner, dict)]
    added = data.draw(st.sampled_from([None, 0, "x", [], {}, [{"id": 1}], {"list": [1]}]))
    for node in data.draw(st.lists(st.sampled_from(range(len(nodes))), max_size=5)):
        if nodes[node]:  # an empty object may stand for "nothing", as an append without words does
            nodes[node]["zz_brandNew"] = added
    page = read(golden.platform, body, golden.url, request_body=golden.posted)
    assert (page.endpoint, page.mentions, page.next) == (golden.endpoint, golden.read().mentions, golden.read().next)
    assert (page.problems, page.missing) == ((), ())


def _inside(node: Any) -> list[Any]:
    found = list(node.values()) if isinstance(node, dict) else list(node)
    return found + [inner for one in found if isinstance(one, list) for inner in _inside(one)]
