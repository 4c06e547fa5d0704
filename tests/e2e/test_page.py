"""The pages in a real browser, on a desktop and on a phone."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from ingest.mention import Matched, Product
from shengwen.web.deps import PlatformStatus
from shengwen.web.pages import STATIC, VENDOR
from tests.factories import a_classified
from tests.shengwen.world import NOW, World, open_world, talk, tell_coverage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not all((STATIC / name).is_file() for name in VENDOR), reason="page assets are missing: run `make setup`"
    ),
]

DESKTOP, PHONE = (1280, 900), (390, 844)
LONG = "https://shop.example/" + "a" * 300
EVIL = f"<script>alert(1)</script><img src=x onerror=alert(1)> \u202e {LONG}"


@dataclass
class Site:
    """A running installation. ``noises`` are console errors, page errors, dialogs and policy violations seen."""

    world: World
    url: str
    browser: Browser
    noises: list[str] = field(default_factory=list)
    cookies: list[Any] = field(default_factory=list)

    def alert_key(self) -> str:
        return next(one.key for one in self.world.deps.reader.alerts() if one.kind == "spike")

    @contextmanager
    def visitor(self, size: tuple[int, int] = DESKTOP, *, scripts: bool = True) -> Iterator[Page]:
        """A browser of its own, without a login."""
        context: BrowserContext = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            is_mobile=size == PHONE,
            has_touch=size == PHONE,
            locale="zh-CN",
            java_script_enabled=scripts,
        )
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.on("console", lambda m: self.noises.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.noises.append(str(error)))
        page.on("dialog", lambda dialog: (self.noises.append(f"dialog {dialog.message}"), dialog.dismiss()))
        try:
            yield page
        finally:
            context.close()

    @contextmanager
    def user(self, size: tuple[int, int] = DESKTOP, *, scripts: bool = True) -> Iterator[Page]:
        """A browser that has logged in; through the form the first time, then with the cookie it was given."""
        with self.visitor(size, scripts=scripts) as page:
            page.context.add_cookies(self.cookies)
            page.goto(f"{self.url}/")
            if not self.cookies:
                page.get_by_label("密码").fill(self.world.password)
                page.get_by_role("button", name="登录").click()
                page.wait_for_url(f"{self.url}/")
                self.cookies = list(page.context.cookies())
            yield page


@pytest.fixture(scope="module")
def site(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    with open_world(tmp_path_factory.mktemp("page"), port=port, demo=True) as world:
        world.fill(talk(NOW, days=30))
        world.fill(
            [
                a_classified(
                    "neutral",
                    native_id="evil",
                    text=EVIL,
                    title=EVIL,
                    region=LONG,
                    product=Product(name=LONG),
                    captured_at=NOW,
                    intent="question",
                    tags=("运营价格/价格咨询",),
                    matched=Matched(
                        words=("岚炉", "K20-3", LONG),
                        names=("岚炉",),
                        competitors=(LONG,),
                        excluded=(EVIL,),
                        about="rival",
                    ),
                )
            ]
        )
        tell_coverage(world)
        world.platforms[:] = [
            PlatformStatus("xiaohongshu", "小红书", "stopped", "verification", LONG, NOW, needs_person=True)
        ]
        world.alerts.tick(coverage={"jd": 1.0})
        server = uvicorn.Server(uvicorn.Config(world.app, log_level="warning", ws="none"))
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium)
                try:
                    yield Site(world, f"http://127.0.0.1:{port}", browser)
                finally:
                    browser.close()
        finally:
            server.should_exit = True
            thread.join(20)
            sock.close()


@pytest.fixture(autouse=True)
def quiet(site: Site) -> Iterator[None]:
    """No test may leave an error in the console: scripts broke, or the page broke its own policy."""
    site.noises.clear()
    yield
    assert site.noises == []


def count(page: Page) -> int:
    return int(page.locator(".list-head b").first.inner_text().replace(",", ""))


def test_a_wrong_password_is_told_and_the_right_one_opens(site: Site) -> None:
    with site.visitor() as page:
        page.goto(f"{site.url}/tickets")
        expect(page).to_have_title(re.compile("登录"))
        page.get_by_label("密码").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert").first).to_contain_text("用户名或密码不对")
        assert any("401" in noise for noise in site.noises)  # the browser's own line for that answer
        site.noises.clear()
        page.get_by_label("密码").fill(site.world.password)
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{site.url}/tickets")
        page.get_by_role("button", name="退出").click()
        expect(page).to_have_url(f"{site.url}/login")


def test_search_facet_chip_and_load_more(site: Site) -> None:
    with site.user() as page:
        everything = count(page)
        page.keyboard.press("/")
        page.keyboard.type("渗水")
        page.keyboard.press("Enter")
        expect(page.locator("#hits mark").first).to_have_text("渗水")
        found = count(page)
        assert 20 < found < everything
        page.get_by_role("complementary").get_by_role("link", name="京东").click()
        expect(page.get_by_label("已选条件")).to_contain_text("来源：京东")
        narrowed = count(page)
        assert narrowed <= found
        expect(page.locator(".card")).to_have_count(20)
        page.get_by_role("link", name="加载更多").click()
        expect(page.locator(".card")).to_have_count(min(40, narrowed))
        assert "cursor" not in page.url
        page.get_by_label("已选条件").get_by_role("link").first.click()
        expect(page.locator("#q")).to_have_value("渗水")
        assert count(page) == found


def test_the_help_can_be_opened_used_and_left_by_keyboard(site: Site) -> None:
    with site.user() as page:
        page.get_by_text("写法").press("Enter")
        expect(page.get_by_role("heading", name="怎么写查询")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("heading", name="怎么写查询")).to_be_hidden()
        page.get_by_text("写法").click()
        page.get_by_role("link", name="意图:投诉 since:7d").click()
        expect(page.get_by_label("已选条件")).to_contain_text("意图：投诉")


def drawn(page: Page, which: str) -> None:
    """The chart is a canvas with something on it."""
    canvas = page.locator(f"{which} canvas")
    expect(canvas.first).to_be_visible()
    colours = canvas.first.evaluate(
        "c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size"
    )
    assert colours > 20


def test_a_day_of_the_histogram_can_be_clicked(site: Site) -> None:
    with site.user() as page:
        drawn(page, ".chart.days")
        box = page.locator(".chart.days").bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] - 30, box["y"] + box["height"] / 2)
        page.wait_for_url(re.compile("since"))
        expect(page.locator("#q")).to_have_value("since:2026-03-04 until:2026-03-04")
        assert count(page) > 20


def test_the_timeline_draws_and_an_hour_leads_to_its_mentions(site: Site) -> None:
    with site.user() as page:
        page.get_by_role("link", name="走势").click()
        page.get_by_role("link", name="24 小时").click()
        drawn(page, ".chart.timeline")
        box = page.locator(".chart.timeline").bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] - 110, box["y"] + box["height"] / 2)
        page.wait_for_url(re.compile("sentiment%3Anegative"))
        expect(page.locator(".card").first).to_contain_text("负面")


def test_an_alert_leads_to_its_reasons_and_takes_a_verdict(site: Site) -> None:
    with site.user() as page:
        page.locator("#status a").first.click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("负面激增")
        for heading in ("依据", "集中在哪里", "反面的迹象", "原话"):
            expect(page.get_by_role("heading", name=heading)).to_be_visible()
        assert page.locator(".card").count() == 20
        page.get_by_role("link", name="查看工单").click()
        page.get_by_label("备注").fill("已电话联系客户")
        page.get_by_label("状态").select_option("待整改")
        page.get_by_role("button", name="保存").first.click()
        expect(page.locator(".diary")).to_contain_text("已电话联系客户")
        expect(page.locator(".steps .now")).to_have_text("待整改")


def leaks(world: World, source: str, product: str) -> None:
    """Another batch goes wrong."""
    at = world.clock.now()
    world.fill(
        [
            a_classified(
                "negative", source=source, text=f"第{n}次送来都{word}，{word * 2}得不行", captured_at=at, created_at=at,
                intent="complaint", tags=("物流问题/破损",), product=Product(id=product, name=product), severity=7.0,
            )
            for n, word in enumerate("磕碎裂瘪弯凹断破刮脏缺漏歪斜松锈")
        ]
    )  # fmt: skip
    world.alerts.tick(coverage={"jd": 1.0, "tmall": 1.0})


def test_a_new_first_level_alert_shows_by_itself(site: Site) -> None:
    with site.user(PHONE) as page:
        before = page.title()
        shown = page.locator("#status a").count()
        leaks(site.world, "tmall", "Z90 试制品")
        expect(page.locator("#toast")).to_contain_text("新的一级预警", timeout=15_000)
        expect(page.locator("#status a")).to_have_count(shown + 1)
        assert page.title() != before
        page.locator("#toast a").click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.get_by_role("button", name="误报").click()
        expect(page.locator(".verdict")).to_have_text("误报")
        expect(page.locator("#status a")).to_have_count(shown)


def test_a_lost_connection_is_told_and_so_is_its_return(site: Site) -> None:
    with site.user() as page:
        page.context.set_offline(True)
        expect(page.locator("#offline")).to_be_visible(timeout=15_000)
        page.context.set_offline(False)
        expect(page.locator("#offline")).to_be_hidden(timeout=15_000)
        site.noises.clear()  # the browser's own lines about the network


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_a_chip_of_a_matched_word_narrows_and_is_small(site: Site, size: tuple[int, int]) -> None:
    with site.user(size) as page:
        page.goto(f"{site.url}/?q=matched:*")
        chips = page.locator(".matched").first
        expect(chips.get_by_role("link")).to_have_text(
            ["只谈竞品", "岚炉", "K20-3", re.compile("…$"), re.compile("script")]
        )
        box = chips.get_by_role("link", name="K20-3", exact=True).bounding_box()
        assert box is not None
        assert box["height"] <= 32
        chips.get_by_role("link", name="K20-3", exact=True).click()
        expect(page.locator(".list-head b").first).to_have_text("1")
        expect(page.get_by_label("已选条件")).to_contain_text("匹配词：K20-3")
        page.get_by_label("已选条件").get_by_role("link").click()
        assert count(page) > 1


def every_page(site: Site) -> Iterator[str]:
    yield from ("/", "/?q=渗水&sort=severity", "/timeline", "/timeline?span=30d", "/alerts", "/tickets", "/sources")
    yield from ("/dead-letters", "/deliveries", "/account", "/mentions/jd%3Areview%3Aevil")
    yield "/corrections/jd%3Areview%3Aevil"
    key = site.alert_key()
    detail = site.world.deps.reader.alert(key)
    assert detail is not None
    yield f"/alerts/{key}"
    yield f"/tickets/{detail.alert.ticket}"


def test_every_page_fits_a_phone(site: Site) -> None:
    with site.user(PHONE) as page:
        for path in every_page(site):
            page.goto(f"{site.url}{path}")
            widest = page.evaluate("document.documentElement.scrollWidth")
            assert widest <= 390, path
            page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, f"{path} with everything open"


def test_every_target_on_a_phone_can_be_hit_by_a_thumb(site: Site) -> None:
    with site.user(PHONE) as page:
        for path in ("/", "/tickets", "/sources"):
            page.goto(f"{site.url}{path}")
            for target in page.locator("button:visible, nav a:visible, input:visible:not([type=checkbox])").all():
                box = target.bounding_box()
                assert box is not None
                assert box["height"] >= 30, (path, target.inner_html())


def test_every_page_fits_a_desktop_and_keeps_its_policy(site: Site) -> None:
    with site.user() as page:
        page.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error('policy ' + e.violatedDirective))"
        )
        for path in every_page(site):
            page.goto(f"{site.url}{path}")
            expect(page.get_by_role("main")).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= 1280, path
            assert page.evaluate("document.querySelectorAll('script:not([src]), [style*=javascript]').length") == 0


def luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


COLOURS = """() => {
  const seen = new Map();
  const back = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/, 0\\)$|transparent/.test(colour)) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
    if (node.closest('.stars i, svg, [disabled]')) continue;
    seen.set(getComputedStyle(node).color + '|' + back(node), walker.currentNode.data.trim().slice(0, 20));
  }
  return [...seen].map(([colours, text]) => [...colours.split('|'), text]);
}"""


def test_text_stands_out_from_its_background(site: Site) -> None:
    with site.user() as page:
        for path in every_page(site):
            page.goto(f"{site.url}{path}")
            for ink, paper, text in page.evaluate(COLOURS):
                light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (path, text, ink, paper)


def test_the_pages_work_without_scripts(site: Site) -> None:
    with site.user(scripts=False) as page:
        expect(page.locator(".chart")).to_be_hidden()
        page.get_by_text("以表格查看").click()
        expect(page.locator(".as-table table")).to_be_visible()
        page.get_by_role("link", name="加载更多").click()
        expect(page).to_have_url(re.compile("cursor="))
        expect(page.locator(".card")).to_have_count(20)
        page.goto(f"{site.url}/timeline")
        page.get_by_text("以表格查看").click()
        page.get_by_role("link", name="查看").first.click()
        expect(page.locator(".card").first).to_be_visible()


def test_what_was_found_can_be_downloaded(site: Site) -> None:
    with site.user() as page:
        page.goto(f"{site.url}/?q=渗水")
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        assert re.fullmatch(r"声闻提及-20260304-\d{4}\.csv", download.value.suggested_filename)
        assert download.value.path().read_bytes().startswith(b"\xef\xbb\xbf")


def test_a_search_is_saved_under_a_name(site: Site) -> None:
    with site.user() as page:
        page.goto(f"{site.url}/?q=渗水 since:7d")
        page.get_by_text("保存现在这个").click()
        page.get_by_label("名称").fill("一周渗水")
        page.keyboard.press("Enter")
        saved = page.get_by_role("link", name="一周渗水")
        expect(saved).to_have_attribute("aria-current", "true")
        page.goto(f"{site.url}/")
        saved.click()
        expect(page.locator("#q")).to_have_value("渗水 since:7d")
        page.get_by_role("button", name="删掉 一周渗水").click()
        expect(saved).to_have_count(0)


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_a_wrong_judgement_is_corrected_counted_and_taken_back(site: Site, size: tuple[int, int]) -> None:
    native = f"fix{size[0]}"
    site.world.fill(
        [
            a_classified(
                "neutral", native_id=native, text=f"装好{size[0]}天了，晾着没烧", captured_at=NOW,
                tags=("产品质量/漏水渗水", "运营价格/性价比"),
            )
        ]
    )  # fmt: skip
    with site.user(size) as page:
        page.goto(f"{site.url}/?q=装好{size[0]}天")
        card = page.locator("article.card")
        card.get_by_role("link", name="纠正").click()
        form = card.locator("form.fix-form")
        expect(form.get_by_label("中性", exact=True)).to_be_checked()
        expect(form.get_by_label("中性", exact=True)).to_be_focused()
        form.get_by_role("link", name="取消").click()
        expect(form).to_have_count(0)
        card.get_by_role("link", name="纠正").click()
        form.locator(".pick", has_text="负面").click()
        expect(form.get_by_label("漏水渗水的情感")).to_be_visible()
        form.locator(".keep", has_text="漏水渗水").click()
        expect(form.get_by_label("漏水渗水的情感")).to_be_hidden()
        form.get_by_label("性价比的情感").select_option("positive")
        form.get_by_label("添加标签").first.select_option(label="延误")
        expect(form.get_by_label("添加标签")).to_have_count(2)
        form.get_by_label("添加标签").nth(1).select_option(label="采暖效果")
        form.get_by_label("新标签的情感").nth(1).select_option("neutral")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        for target in form.locator(
            "button:visible, .pick:visible, .keep:visible, select:visible, .button:visible"
        ).all():
            box = target.bounding_box()
            assert box is not None
            assert box["height"] >= (40 if size == PHONE else 30), target.inner_html()
        form.get_by_role("button", name="保存").click()
        expect(card.locator(".fixed")).to_contain_text("已纠正 admin")
        expect(card.locator(".senti")).to_have_text("负面")
        expect(card.locator(".tag.positive")).to_contain_text("性价比")
        expect(card.locator(".tag")).to_have_text([re.compile("性价比"), re.compile("延误"), re.compile("采暖效果")])
        expect(page).to_have_url(re.compile("/\\?q="))
        page.goto(f"{site.url}/?q=装好{size[0]}天 sentiment:negative tag:安装服务/延误")
        expect(card).to_have_count(1)
        card.get_by_role("button", name="撤销").click()
        expect(card.locator(".senti")).to_have_text("中性")
        expect(card.locator(".tag").first).to_contain_text("漏水渗水")
        page.reload()
        expect(card).to_have_count(0)


def test_a_correction_works_without_scripts(site: Site) -> None:
    with site.user(scripts=False) as page:
        page.goto(f"{site.url}/?q=渗水")
        page.locator("article.card").first.get_by_role("link", name="纠正").click()
        expect(page.get_by_role("heading", name="纠正")).to_be_visible()
        page.locator(".pick", has_text="中性").click()
        page.get_by_role("button", name="保存").click()
        expect(page.get_by_role("heading", name="一条提及")).to_be_visible()
        expect(page.locator(".fixed")).to_contain_text("已纠正")
        page.get_by_role("button", name="撤销").click()
        expect(page.locator(".fixed")).to_have_count(0)
        expect(page.locator(".senti").first).to_have_text("负面")
