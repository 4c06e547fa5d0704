"""One good answer of every endpoint that the parsers know, and what must be read from it.

What must be read stands in ``golden.json``, which a person has compared with the answers. After a change that is
meant, ``python -m tests.crawlers.golden`` writes it anew; its difference is what to look at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from crawlers.fill import fill_of
from crawlers.payload import Page, Payload
from tests.crawlers.payloads import jsonp, payload, read
from tests.crawlers.payloads import rest as r
from tests.crawlers.payloads.douyin import (
    AWEME_ID,
    DOUYIN_AWEME,
    DOUYIN_COMMENTS,
    DOUYIN_COMMENTS_URL,
    DOUYIN_SEARCH,
    DOUYIN_SEARCH_URL,
)
from tests.crawlers.payloads.jd import JD_LEGO, JD_OLD, JD_OLD_URL
from tests.crawlers.payloads.tmall import MTOP_DETAIL, MTOP_NEW_PC, TMALL_OLD, TMALL_OLD_URL
from tests.crawlers.payloads.xiaohongshu import (
    NOTE_ID,
    XHS_APP_COMMENTS,
    XHS_APP_SEARCH,
    XHS_COMMENTS,
    XHS_COMMENTS_URL,
    XHS_FEED,
    XHS_SEARCH,
    XHS_SEARCH_URL,
    XHS_STATE,
    xhs_page,
)
from tests.crawlers.payloads.zhihu import (
    ZHIHU_ANSWER,
    ZHIHU_COMMENTS,
    ZHIHU_COMMENTS_URL,
    ZHIHU_FEEDS,
    ZHIHU_FEEDS_URL,
    ZHIHU_OFFICIAL,
    ZHIHU_SEARCH,
    ZHIHU_STATE,
    zhihu_page,
)

EXPECTED = Path(__file__).with_name("golden.json")

_MTOP = "https://h5api.m.tmall.com/h5/mtop"
_TOP = "https://eco.taobao.com/router/rest?v=2.0&format=json&method="
_XHS = "https://edith.xiaohongshu.com/api/sns/web"
_DOUYIN = "https://www.douyin.com/aweme/v1/web"
_OPEN = "https://open.douyin.com"
_ZHIHU = "https://www.zhihu.com/api/v4"


@dataclass(frozen=True)
class Golden:
    """``by_shape`` is false where only the request tells what an answer is, or what it is about."""

    name: str
    platform: str
    endpoint: str
    body: Any
    url: str
    posted: bytes = b""
    by_shape: bool = True

    def payload(self) -> Payload:
        return payload(self.body, self.url, request_body=self.posted)

    def read(self) -> Page:
        return read(self.platform, self.body, self.url, request_body=self.posted)


def _all() -> tuple[Golden, ...]:
    jd, tmall, xhs, douyin, zhihu = "jd", "tmall", "xiaohongshu", "douyin", "zhihu"
    gateway = "https://api.m.jd.com/?appid=item-v3&functionId="
    paged = "&body=%7B%22productId%22%3A100099001%2C%22page%22%3A0%7D"
    lego = {**JD_LEGO, "goodCnt": "604", "badCnt": "15", "defaultGoodCountText": r.JD_DEFAULT_GOOD}
    list_form = b"functionId=getCommentListPage&body=%7B%22pageNum%22%3A%221%22%2C%22spuId%22%3A%221%22%7D"
    new_pc = "?data=%7B%22itemId%22%3A%226100200300%22%2C%22pageNum%22%3A1%7D"
    merchant = "https://api.jd.com/routerjson?method=jingdong.pop.PopCommentJsfService.getVenderCommentsForJos"
    detail = {"status_code": 0, "aweme_detail": DOUYIN_AWEME}
    return (
        Golden("jd old list", jd, "jd.productPageComments", jsonp(JD_OLD), JD_OLD_URL.format(page=0)),
        Golden("jd sku list", jd, "jd.productPageComments", jsonp(JD_OLD),
               "https://club.jd.com/comment/skuProductPageComments.action?callback=c&productId=100099001&page=0"),
        Golden("jd folded", jd, "jd.productPageComments", {n: v for n, v in JD_OLD.items() if n != "maxPage"},
               "https://club.jd.com/comment/getProductPageFoldComments.action?productId=100099001&page=0",
               by_shape=False),
        Golden("jd list of 2015", jd, "jd.productPageComments", JD_OLD,
               "https://club.jd.com/productpage/p-100099001-s-0-t-3-p-0.html"),
        Golden("jd gateway", jd, "jd.productPageComments", JD_OLD, f"{gateway}pc_club_productPageComments{paged}"),
        Golden("jd first screen", jd, "jd.getLegoWareDetailComment", lego, f"{gateway}getLegoWareDetailComment"),
        Golden("jd new list", jd, "jd.getCommentListPage", r.JD_LIST_PAGE, "https://api.m.jd.com/client.action",
               posted=list_form),
        Golden("jd questions", jd, "jd.getQuestionAnswerList", jsonp(r.JD_QUESTIONS, callback="jQuery1_2"),
               "https://question.jd.com/question/getQuestionAnswerList.action?page=1&productId=100099001"),
        Golden("jd answers", jd, "jd.getAnswerListById", r.JD_ANSWERS,
               "https://question.jd.com/question/getAnswerListById.action?page=1&questionId=57628904", by_shape=False),
        Golden("jd merchant", jd, "jd.getVenderCommentsForJos", r.JD_MERCHANT, merchant,
               posted=b"360buy_param_json=%7B%22page%22%3A1%2C%22pageSize%22%3A2%7D"),
        Golden("jd summaries", jd, "jd.productCommentSummaries", r.JD_SUMMARIES,
               "https://club.jd.com/comment/productCommentSummaries.action?referenceIds=100099001"),
        Golden("jd ware", jd, "jd.pc_detailpage_wareBusiness", {"code": "0", "productAttributeVO": {"attributes": []}},
               f"{gateway}pc_detailpage_wareBusiness"),
        Golden("tmall old list", tmall, "tmall.list_detail_rate", jsonp(TMALL_OLD, callback="jsonp928"),
               TMALL_OLD_URL.format(page=1)),
        Golden("tmall c2c", tmall, "tmall.feedRateList", jsonp(r.TMALL_FEED_RATES, callback="jsonp_reviews_list"),
               "https://rate.taobao.com/feedRateList.htm?auctionNumId=6100200301&userNumId=2&currentPageNum=1"),
        Golden("tmall tag clouds", tmall, "tmall.listTagClouds", r.TMALL_TAG_CLOUDS,
               "https://rate.tmall.com/listTagClouds.htm?itemId=6100200300"),
        Golden("tmall mtop 6.0", tmall, "tmall.rate.detaillist.get",
               jsonp(MTOP_DETAIL, callback="mtopjsonp12", encoding="utf-8"),
               f"{_MTOP}.taobao.rate.detaillist.get/6.0/?data=%7B%22pageNo%22%3A1%7D"),
        Golden("tmall mtop 3.0", tmall, "tmall.wdetail.getitemrates", r.MTOP_ITEM_RATES,
               f"{_MTOP}.wdetail.getitemrates/3.0/?data=%7B%22pageNo%22%3A1%7D"),
        Golden("tmall new pc", tmall, "tmall.review.list.for.new.pc.detail", MTOP_NEW_PC,
               f"{_MTOP}.alibaba.review.list.for.new.pc.detail/1.0/{new_pc}"),
        Golden("tmall questions", tmall, "tmall.social.feed.aggregate", r.TMALL_QUESTIONS,
               f"{_MTOP}.taobao.social.feed.aggregate/2.0/?data=%7B%22pageNum%22%3A1%7D"),
        Golden("tmall question", tmall, "tmall.social.ugc.post.detail", r.TMALL_QUESTION,
               f"{_MTOP}.taobao.social.ugc.post.detail/1.0/"),
        Golden("top rates", tmall, "tmall.traderates.get", r.TOP_RATES, f"{_TOP}taobao.traderates.get",
               posted=b"page_no=1&page_size=40"),
        Golden("top feed", tmall, "tmall.traderate.feeds.get", r.TOP_FEED,
               f"{_TOP}tmall.traderate.feeds.get&child_trade_id=2100000000002", by_shape=False),
        Golden("top item tags", tmall, "tmall.traderate.itemtags.get", r.TOP_ITEM_TAGS,
               f"{_TOP}tmall.traderate.itemtags.get"),
        Golden("xhs search", xhs, "xiaohongshu.search.notes", XHS_SEARCH, XHS_SEARCH_URL, posted=b'{"page":1}'),
        Golden("xhs search v2", xhs, "xiaohongshu.search.notes", XHS_SEARCH, f"{_XHS}/v2/search/notes",
               posted=b'{"page":1}'),
        Golden("xhs abroad", xhs, "xiaohongshu.comment.page", XHS_COMMENTS,
               f"https://webapi.rednote.com/api/sns/web/v2/comment/page?note_id={NOTE_ID}&cursor="),
        Golden("xhs feed", xhs, "xiaohongshu.feed", XHS_FEED, f"{_XHS}/v1/feed"),
        Golden("xhs comments", xhs, "xiaohongshu.comment.page", XHS_COMMENTS,
               XHS_COMMENTS_URL.format(note=NOTE_ID, cursor="")),
        Golden("xhs replies", xhs, "xiaohongshu.comment.sub.page", r.XHS_REPLIES,
               f"{_XHS}/v2/comment/sub/page?note_id={NOTE_ID}&root_comment_id=6697190c000000001f00aa01&cursor="),
        Golden("xhs profile", xhs, "xiaohongshu.user.posted", r.XHS_PROFILE, f"{_XHS}/v1/user_posted?user_id=5f00aa"),
        Golden("xhs collection", xhs, "xiaohongshu.user.posted", r.XHS_PROFILE, f"{_XHS}/v2/note/collect/page?num=30"),
        Golden("xhs note page", xhs, "xiaohongshu.note.page", xhs_page(XHS_STATE),
               f"https://www.xiaohongshu.com/explore/{NOTE_ID}?xsec_token=T"),
        Golden("xhs list page", xhs, "xiaohongshu.list.page", xhs_page(r.XHS_LIST_STATE),
               "https://www.xiaohongshu.com/search_result?keyword=x"),
        Golden("xhs app search", xhs, "xiaohongshu.app.search", XHS_APP_SEARCH, "https://third.party/search"),
        Golden("xhs app comments", xhs, "xiaohongshu.app.comments", XHS_APP_COMMENTS, "https://third.party/comments"),
        Golden("douyin search", douyin, "douyin.search", DOUYIN_SEARCH, DOUYIN_SEARCH_URL.format(offset=0)),
        Golden("douyin note page", douyin, "douyin.video.page", r.render_page(r.DOUYIN_RENDER),
               f"https://www.douyin.com/note/{AWEME_ID}"),
        Golden("douyin stream", douyin, "douyin.search", r.DOUYIN_STREAM, f"{_DOUYIN}/general/search/stream/?offset=0"),
        Golden("douyin video tab", douyin, "douyin.search", r.DOUYIN_VIDEO_TAB, f"{_DOUYIN}/search/item/?offset=0"),
        Golden("douyin app search", douyin, "douyin.search", r.DOUYIN_APP_SEARCH, "https://third.party/search"),
        Golden("douyin detail", douyin, "douyin.aweme.detail", detail, f"{_DOUYIN}/aweme/detail/?aweme_id={AWEME_ID}"),
        Golden("douyin comments", douyin, "douyin.comment.list", DOUYIN_COMMENTS, DOUYIN_COMMENTS_URL.format(cursor=0)),
        Golden("douyin replies", douyin, "douyin.comment.list.reply", r.DOUYIN_REPLIES,
               f"{_DOUYIN}/comment/list/reply/?item_id={AWEME_ID}&comment_id=7603286382429717300&cursor=0"),
        Golden("douyin video page", douyin, "douyin.video.page", r.render_page(r.DOUYIN_RENDER),
               f"https://www.douyin.com/video/{AWEME_ID}"),
        Golden("douyin open comments", douyin, "douyin.open.item.comment.list", r.DOUYIN_OPEN_COMMENTS,
               f"{_OPEN}/item/comment/list/?open_id=o&item_id=%40a%2Fb%3D&cursor=0&count=20"),
        Golden("douyin open replies", douyin, "douyin.open.item.comment.list", r.DOUYIN_OPEN_COMMENTS,
               f"{_OPEN}/item/comment/reply/list/?open_id=o&item_id=%40a%2Fb%3D&comment_id=%40root&cursor=0"),
        Golden("douyin open videos", douyin, "douyin.open.video.search", r.DOUYIN_OPEN_VIDEOS,
               f"{_OPEN}/video/search/?open_id=o&keyword=x&cursor=0", by_shape=False),
        Golden("douyin own videos", douyin, "douyin.open.video.list", r.DOUYIN_OPEN_VIDEOS,
               f"{_OPEN}/video/list/?open_id=o&cursor=0&count=20"),
        Golden("zhihu search", zhihu, "zhihu.search_v3", ZHIHU_SEARCH, f"{_ZHIHU}/search_v3?t=general&offset=0"),
        Golden("zhihu feeds", zhihu, "zhihu.question.feeds", ZHIHU_FEEDS, ZHIHU_FEEDS_URL),
        Golden("zhihu answers", zhihu, "zhihu.question.feeds", {"data": [ZHIHU_ANSWER], "paging": {"is_end": True}},
               f"{_ZHIHU}/questions/510000001/answers"),
        Golden("zhihu answer", zhihu, "zhihu.item", ZHIHU_ANSWER, f"{_ZHIHU}/answers/3190000001"),
        Golden("zhihu article", zhihu, "zhihu.item", r.ZHIHU_ARTICLE, f"{_ZHIHU}/articles/700000001"),
        Golden("zhihu comments", zhihu, "zhihu.comment_v5.root", ZHIHU_COMMENTS, ZHIHU_COMMENTS_URL.format(offset="")),
        Golden("zhihu replies", zhihu, "zhihu.comment_v5.child", r.ZHIHU_CHILDREN,
               f"{_ZHIHU}/comment_v5/comment/10447279921/child_comment?order_by=ts&limit=20&offset="),
        Golden("zhihu legacy comments", zhihu, "zhihu.comment_v5.root", r.ZHIHU_LEGACY,
               f"{_ZHIHU}/answers/3190000001/root_comments?limit=20&offset=0"),
        Golden("zhihu page", zhihu, "zhihu.page", zhihu_page(ZHIHU_STATE), "https://www.zhihu.com/question/510000001"),
        Golden("zhihu article comments", zhihu, "zhihu.comment_v5.root", ZHIHU_COMMENTS,
               f"{_ZHIHU}/comment_v5/articles/700000001/root_comment?order_by=score&limit=20&offset="),
        Golden("zhihu official", zhihu, "zhihu.openapi.search", ZHIHU_OFFICIAL,
               "https://developer.zhihu.com/api/v1/content/zhihu_search?Query=x&Count=10"),
        Golden("zhihu hot list", zhihu, "zhihu.openapi.hot_list", r.ZHIHU_HOT,
               "https://developer.zhihu.com/api/v1/content/hot_list?Limit=30", by_shape=False),
    )  # fmt: skip


GOLDEN = _all()


def told(page: Page) -> dict[str, Any]:
    """A page as JSON, without what is empty: easy to read, easy to compare."""
    fill = fill_of(page)
    found = {
        "endpoint": page.endpoint,
        "signal": page.signal,
        "next": dict(page.next) if page.next else None,
        "total": page.total,
        "counts": dict(page.counts),
        "stats": dict(page.stats),
        "tags": dict(page.tags),
        "missing": list(page.missing),
        "problems": [f"{problem.path}: {problem.reason}" for problem in page.problems],
        "fill": {name: count for name, count in fill.fields.items() if count} if fill else {},
        "mentions": [_kept(asdict(draft)) for draft in page.mentions],
    }
    whole: dict[str, Any] = json.loads(json.dumps(_kept(found), default=_plain))
    return whole


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json", exclude_none=True) if isinstance(value, BaseModel) else value.isoformat()


def _kept(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if (value == 0 and value is not False) or value}


def write() -> None:
    pages = {golden.name: told(golden.read()) for golden in GOLDEN}
    EXPECTED.write_text(json.dumps(pages, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
