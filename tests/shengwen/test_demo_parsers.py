"""The project's own parsers read what the replica says: every list without a problem, every refusal for what it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import httpx
import pytest

from crawlers.parse import parse
from crawlers.payload import Page, Payload
from ingest.draft import Draft
from shengwen.demo.cast import K20, PLATFORMS, TARGETS, Platform
from shengwen.demo.items import Item
from shengwen.demo.server import DemoServer
from shengwen.demo.settings import real_url
from tests.shengwen.demo_kit import Taken, Visitor, plain_client, serving


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoServer]:
    with serving(turned=True) as (server, _):
        yield server


@pytest.fixture
def visitor(demo: DemoServer) -> Iterator[Visitor]:
    with plain_client() as client:
        yield Visitor(demo, client)
    for platform in PLATFORMS:
        demo.switches.set(platform)


def payload(demo: DemoServer, response: httpx.Response) -> Payload:
    """The answer as a spider hands it to a parser: with the addresses of the real hosts."""
    request = response.request
    headers = {name.lower(): value for name, value in response.headers.items()}
    if "location" in headers:
        absolute = str(httpx.URL(str(request.url)).join(headers["location"]))
        headers["location"] = real_url(demo.base_url, absolute)
    url = real_url(demo.base_url, str(request.url))
    return Payload(
        url=url,
        final_url=url,
        status=response.status_code,
        headers=headers,
        body=response.content,
        request_body=request.content,
        captured_at=demo.clock.now(),
    )


def read(demo: DemoServer, taken: Taken) -> Page:
    return parse(taken.platform, payload(demo, taken.response))


def drafts(demo: DemoServer, visitor: Visitor) -> dict[tuple[str, str], Draft]:
    """Everything the parsers made of what the visitor took; no answer may be unreadable."""
    found: dict[tuple[str, str], Draft] = {}
    for taken in visitor.taken:
        page = read(demo, taken)
        where = f"{page.endpoint} {taken.response.url}"
        assert page.signal in ("ok", "empty", "gone"), f"{where}: {page.signal} {page.reason}"
        assert not page.problems, f"{where}: {page.problems[:2]}"
        for draft in page.mentions:
            if not draft.partial:
                found[draft.kind, str(draft.native_id)] = draft
    return found


def expected(demo: DemoServer, platform: str, *kinds: str) -> dict[tuple[str, str], Item]:
    shown = demo.story.visible(demo.clock.now())
    return {(i.kind, i.native_id): i for i in shown if i.platform == platform and (not kinds or i.kind in kinds)}


def squeezed(text: str) -> str:
    return "".join(sign for sign in text if sign.isalnum())


def agree(draft: Draft, item: Item) -> None:
    """The draft says what the story says; a text that is a default review is empty."""
    assert draft.created_at is not None
    if draft.created_precision == "second":
        assert draft.created_at == item.created_at
    if item.mood == "default":
        assert (draft.empty_text, draft.text) == (True, "")
    elif item.platform != "zhihu":
        # Emoji codes and hashtags may be written as the parser likes; the words must be all there.
        assert set(squeezed(item.plain)[:20]) <= set(squeezed((draft.title or "") + draft.text)), item.text
    if item.score and draft.rating_scale == "5":
        assert draft.rating == item.score
    if item.append:
        assert [one.text for one in draft.appends] == [item.append.text]
    if item.seller_reply and draft.seller_reply is not None:
        assert item.seller_reply.text in draft.seller_reply


def test_jd_lists(demo: DemoServer, visitor: Visitor) -> None:
    visitor.jd_reviews()
    visitor.jd_questions()
    found, wanted = drafts(demo, visitor), expected(demo, "jd")
    assert found.keys() == wanted.keys()
    for key, item in wanted.items():
        if item.kind == "review":
            agree(found[key], item)


def test_jd_new_lists(demo: DemoServer, visitor: Visitor) -> None:
    visitor.jd_new_reviews()
    visitor.jd_first_screen(K20.jd_skus[0])
    found, wanted = drafts(demo, visitor), expected(demo, "jd", "review")
    assert wanted.keys() <= found.keys()
    for key, item in wanted.items():
        agree(found[key], item)


def test_tmall_lists(demo: DemoServer, visitor: Visitor) -> None:
    visitor.tmall_reviews()
    found, wanted = drafts(demo, visitor), expected(demo, "tmall")
    assert found.keys() == wanted.keys()
    for key, item in wanted.items():
        agree(found[key], item)


@pytest.mark.parametrize(
    ("api", "item_key", "page_key"),
    [
        ("mtop.taobao.rate.detaillist.get/6.0", "auctionNumId", "pageNo"),
        ("mtop.alibaba.review.list.for.new.pc.detail/1.0", "itemId", "pageNum"),
    ],
)
def test_tmall_mtop_lists(demo: DemoServer, visitor: Visitor, api: str, item_key: str, page_key: str) -> None:
    visitor.mtop_reviews(api, item_key, page_key)
    found, wanted = drafts(demo, visitor), expected(demo, "tmall")
    assert found.keys() == wanted.keys()
    for key, item in wanted.items():
        agree(found[key], item)
        created = found[key].created_at
        assert created is not None
        assert abs(created - item.created_at) < timedelta(days=32)


def test_xiaohongshu_lists(demo: DemoServer, visitor: Visitor) -> None:
    for note, token in visitor.xhs_notes().items():
        visitor.xhs("POST", "v1/feed", json={"source_note_id": note, "xsec_token": token})
        visitor.xhs_comments(note, token)
    found, wanted = drafts(demo, visitor), expected(demo, "xiaohongshu")
    assert found.keys() == wanted.keys()
    for key, item in wanted.items():
        agree(found[key], item)
        if item.kind == "comment":
            assert item.parent_id is not None
            assert found[key].parent_native in (f"post:{item.parent_id}", f"comment:{item.root_id}")


def test_xiaohongshu_page_state(demo: DemoServer, visitor: Visitor) -> None:
    for note, token in list(visitor.xhs_notes().items())[:5]:
        url = f"{visitor.bases['xiaohongshu']['www.xiaohongshu.com']}/explore/{note}"
        page = parse("xiaohongshu", payload(demo, visitor.client.get(url, params={"xsec_token": token})))
        assert (page.signal, [draft.native_id for draft in page.mentions]) == ("ok", [note])
        gone = parse("xiaohongshu", payload(demo, visitor.client.get(url)))
        assert gone.signal in ("gone", "empty")


def test_douyin_lists(demo: DemoServer, visitor: Visitor) -> None:
    for video in dict.fromkeys(visitor.douyin_videos()):
        visitor.douyin("aweme/detail/", aweme_id=video)
        visitor.douyin_comments(video)
    found, wanted = drafts(demo, visitor), expected(demo, "douyin")
    assert found.keys() == wanted.keys()
    for key, item in wanted.items():
        agree(found[key], item)
    assert sum(draft.is_brand for draft in found.values()) <= sum(item.author.official for item in wanted.values())


def test_zhihu_lists_and_pages(demo: DemoServer, visitor: Visitor) -> None:
    for question in TARGETS.zhihu_questions:
        visitor.zhihu_state(f"/question/{question}")
        for answer in visitor.zhihu_answers(question):
            visitor.zhihu_comments("answers", answer)
    for article in TARGETS.zhihu_articles:
        visitor.zhihu_state(f"/p/{article}", "zhuanlan.zhihu.com")
        visitor.zhihu_comments("articles", article)
    found, wanted = drafts(demo, visitor), expected(demo, "zhihu")
    assert found.keys() == wanted.keys()
    for key, item in wanted.items():
        agree(found[key], item)


def test_zhihu_search_and_open_api(demo: DemoServer, visitor: Visitor) -> None:
    base = visitor.bases["zhihu"]
    visitor.open(f"{base['www.zhihu.com']}/search?q=x")
    url = f"{base['www.zhihu.com']}/api/v4/search_v3"
    visitor.call("zhihu", "GET", url, params={"q": "岚炉", "t": "general"}, headers={"x-zse-96": visitor.token(url)})
    headers = {"authorization": "Bearer demo", "x-request-timestamp": "1"}
    url = f"{base['developer.zhihu.com']}/api/v1/content/zhihu_search"
    visitor.call("zhihu", "GET", url, params={"Query": "岚炉"}, headers=headers)
    for taken in visitor.taken:
        page = read(demo, taken)
        assert (page.signal, page.problems) == ("ok", ())
        assert page.mentions


def data_call(visitor: Visitor, platform: Platform, name: str) -> None:
    """One ordinary call of the platform that its switches refuse."""
    if platform == "jd":
        visitor.jd_old(K20.jd_skus[0])
    elif platform == "tmall":
        visitor.tmall_old(TARGETS.tmall_items[0].item_id, TARGETS.tmall_items[0].seller_id)
    elif platform == "xiaohongshu":
        visitor.xhs("GET", "v2/comment/page", params={"note_id": "0" * 24})
    elif platform == "douyin" and name == "gone":
        visitor.douyin("aweme/detail/", aweme_id="1")
    elif platform == "douyin":
        visitor.douyin("general/search/single/", keyword="岚炉")
    else:
        url = f"{visitor.bases['zhihu']['www.zhihu.com']}/api/v4/questions/{TARGETS.zhihu_questions[0]}/feeds"
        visitor.call("zhihu", "GET", url)


PAGES: dict[Platform, tuple[str, str]] = {
    "jd": ("item.jd.com", f"/{K20.jd_skus[0]}.html"),
    "tmall": ("detail.tmall.com", f"/item.htm?id={K20.tmall_item}"),
    "xiaohongshu": ("www.xiaohongshu.com", "/search_result?keyword=x"),
    "douyin": ("www.douyin.com", "/search/x"),
    "zhihu": ("www.zhihu.com", f"/question/{TARGETS.zhihu_questions[0]}"),
}


def refusals() -> list[tuple[Platform, str]]:
    from shengwen.demo.replica import douyin, jd, tmall, xiaohongshu, zhihu

    modules = (jd, tmall, xiaohongshu, douyin, zhihu)
    return [(name, answer) for name, module in zip(PLATFORMS, modules, strict=True) for answer in module.ANSWERS]


@pytest.mark.parametrize(("platform", "name"), refusals())
def test_every_refusal_is_read_as_one_of_its_signals(
    demo: DemoServer, visitor: Visitor, platform: Platform, name: str
) -> None:
    host, path = PAGES[platform]
    url = visitor.bases[platform][host] + path
    visitor.open(url)
    demo.switches.set(platform, answer=name)
    right = demo.switches.names(platform)[name]
    signals = []
    with suppress(ValueError):  # not JSON: a page, or nothing
        data_call(visitor, platform, name)
    signals.append(parse(platform, payload(demo, visitor.taken[-1].response)).signal)
    signals.append(parse(platform, payload(demo, visitor.client.get(url))).signal)
    assert set(signals) & set(right), f"{signals} is none of {right}"
