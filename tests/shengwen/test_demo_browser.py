"""The replica's pages in a real Chromium: their own scripts load everything, scroll by scroll."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from shengwen.demo.cast import BRAND, K20, TARGETS
from shengwen.demo.items import Item
from shengwen.demo.server import DemoServer
from tests.shengwen.demo_kit import serving

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoServer]:
    with serving(turned=True) as (server, _):
        yield server


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    args = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    if os.geteuid() == 0:
        args.append("--no-sandbox")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=str(chromium), args=args)
        yield made
        made.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1000, "height": 700}, locale="zh-CN")
    made = context.new_page()
    faults: list[str] = []
    made.on("pageerror", lambda error: faults.append(str(error)))
    yield made
    context.close()
    assert faults == []


def visible(demo: DemoServer, platform: str, *kinds: str) -> list[Item]:
    return [i for i in demo.story.visible(demo.clock.now()) if i.platform == platform and i.kind in kinds]


def scroll_until(page: Any, count: str, wanted: int, pane: str | None = None) -> None:
    """Scroll as a reader does until ``count`` elements are there; fails when they do not come."""
    for _ in range(60):
        if page.locator(count).count() >= wanted:
            return
        if pane:
            page.eval_on_selector(pane, "pane => { pane.scrollTop = pane.scrollHeight }")
        else:
            page.mouse.wheel(0, 3000)
        page.wait_for_timeout(60)
    raise AssertionError(f"{page.locator(count).count()} of {wanted}")


def expand_all(page: Any, words: str) -> None:
    """Press every "展开 N 条回复" until there are none."""
    button = page.locator("button.show-more:not([disabled])", has_text=re.compile(words))
    for _ in range(120):
        if page.locator("button.show-more").count() == 0:
            return
        if button.count():
            button.first.click()
        page.wait_for_timeout(20)
    raise AssertionError("buttons are left")


def busiest(items: list[Item]) -> Item:
    """The post with the most comments."""
    posts = [item for item in items if item.kind in ("post", "video")]
    return max(posts, key=lambda post: sum(item.parent_id == post.native_id for item in items))


def test_xiaohongshu_search_loads_every_note_by_scrolling(page: Any, demo: DemoServer) -> None:
    calls: list[str] = []
    page.on("response", lambda response: calls.append(response.url) if "search/notes" in response.url else None)
    page.goto(f"{demo.base_url}/xhs/search_result?keyword={quote(BRAND)}")
    wanted = {i.native_id for i in visible(demo, "xiaohongshu", "post") if BRAND in i.title + i.text}
    assert len(wanted) > 20
    scroll_until(page, "section.note-item", len(wanted))
    links = page.eval_on_selector_all("section.note-item a", "links => links.map(a => a.getAttribute('href'))")
    assert {re.split(r"[/?]", link)[3] for link in links} == wanted
    assert all("xsec_token=" in link for link in links)
    assert len(calls) == 2


def test_xiaohongshu_note_loads_every_comment_and_reply(page: Any, demo: DemoServer) -> None:
    items = visible(demo, "xiaohongshu", "post", "comment")
    note = busiest(items)
    comments = [item for item in items if item.parent_id == note.native_id]
    roots = [item for item in comments if item.root_id is None]
    assert len(roots) > 10
    page.goto(f"{demo.base_url}/xhs/search_result?keyword={quote(BRAND)}")
    link = page.locator(f"section.note-item a[href*='{note.native_id}']")
    for _ in range(40):
        if link.count():
            break
        page.mouse.wheel(0, 3000)
        page.wait_for_timeout(60)
    link.click()
    page.wait_for_url("**/explore/**")
    scroll_until(page, ".parent-comment", len(roots), ".note-scroller")
    expand_all(page, "展开 ")
    shown = page.eval_on_selector_all(".comment-item", "all => all.map(one => one.id.replace('comment-', ''))")
    assert sorted(shown) == sorted(item.native_id for item in comments)
    assert page.locator(".total").inner_text() == f"共 {len(comments)} 条评论"


def test_douyin_search_loads_every_video_by_scrolling(page: Any, demo: DemoServer) -> None:
    page.goto(f"{demo.base_url}/douyin/search/{quote(BRAND)}")
    wanted = {i.native_id for i in visible(demo, "douyin", "video") if BRAND in i.text}
    assert len(wanted) > 10
    scroll_until(page, "#cards .card", len(wanted))
    links = page.eval_on_selector_all("#cards a", "links => links.map(a => a.getAttribute('href'))")
    assert {link.rsplit("/", 1)[1] for link in links} == wanted


def test_douyin_video_loads_every_comment_and_reply(page: Any, demo: DemoServer) -> None:
    items = visible(demo, "douyin", "video", "comment")
    video = busiest(items)
    comments = [item for item in items if item.parent_id == video.native_id]
    roots = [item for item in comments if item.root_id is None]
    assert len(roots) > 20
    page.goto(f"{demo.base_url}/douyin/video/{video.native_id}")
    scroll_until(page, "#comments > .card", len(roots), "#comments")
    expand_all(page, "展开")
    assert page.locator("[data-e2e=comment-item]").count() == len(comments)


def test_jd_page_reads_gbk_and_pages_and_the_new_pane_scrolls(page: Any, demo: DemoServer) -> None:
    reviews = [item for item in visible(demo, "jd", "review") if item.model is K20]
    page.goto(f"{demo.base_url}/jd/item/{K20.jd_skus[0]}.html")
    page.wait_for_selector("#comments .card")
    newest = max(reviews, key=lambda item: (item.created_at, item.native_id))
    assert newest.text.split("\n")[0] in page.locator("#comments").inner_text()
    page.click("#next")
    page.wait_for_function("document.getElementById('page').textContent.startsWith('第 2')")
    page.click("#all")
    scroll_until(page, "#pane .card", len(reviews), "#pane")
    assert page.locator("#pane .card").count() == len(reviews)
    assert page.locator("#first .card").count() == 3


def test_tmall_page_reads_gbk_and_the_mobile_pane_passes_the_token_round(page: Any, demo: DemoServer) -> None:
    reviews = [item for item in visible(demo, "tmall", "review") if item.model is K20]
    page.goto(f"{demo.base_url}/tmall/detail/item.htm?id={K20.tmall_item}")
    page.wait_for_selector("#rates .card")
    assert page.locator("#count").inner_text() == str(len(reviews))
    page.click("#mobile")
    scroll_until(page, "#pane .card", len(reviews), "#pane")


def test_zhihu_question_loads_all_answers_and_comments_on_demand(page: Any, demo: DemoServer) -> None:
    question = TARGETS.zhihu_questions[0]
    answers = [item for item in visible(demo, "zhihu", "answer") if item.parent_id == question]
    page.goto(f"{demo.base_url}/zhihu/question/{question}")
    scroll_until(page, "#answers > .card", len(answers))
    expand_all(page, "条评论|展开|更多")
    told = {item.native_id for item in answers}
    comments = [item for item in visible(demo, "zhihu", "comment") if item.parent_id in told]
    for comment in comments:
        assert page.get_by_text(comment.plain, exact=True).count() >= 1


def test_a_refusal_is_shown_and_the_page_does_not_break(page: Any, demo: DemoServer) -> None:
    demo.switches.set("xiaohongshu", answer="verification_461")
    page.goto(f"{demo.base_url}/xhs/search_result?keyword={quote(BRAND)}")
    page.wait_for_selector(".notice")
    demo.switches.set("xiaohongshu")


def test_bots_page_shows_marks_but_no_markup(page: Any, demo: DemoServer) -> None:
    hostile = '<img src=x onerror="window.hurt=1"> **粗** <font color="warning">红</font> [链接](javascript:alert(1))'
    demo.bots.wall.add("wecom", "markdown", "<b>标题</b>", hostile)
    page.goto(f"{demo.base_url}/bots")
    bubble = page.locator(".bubble").last
    bubble.wait_for()
    assert "<img src=x" in bubble.inner_text()
    assert "<b>标题</b>" in bubble.inner_text()
    assert bubble.locator("b").inner_text() == "粗"
    assert bubble.locator(".warning").inner_text() == "红"
    assert bubble.locator("img, a").count() == 0
    assert page.evaluate("window.hurt") is None
