"""提及: what a marketer does with the page, over a real index."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import openpyxl
import pytest

from ingest.clock import BEIJING
from ingest.mention import Matched
from search.query import parse_query
from tests.factories import a_classified
from tests.shengwen.world import NOW, World, open_world, post, talk


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("mentions")) as opened:
        opened.fill(talk(NOW, days=30))
        yield opened


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[httpx.Client]:
    opened = world.logged_in()
    yield opened
    opened.close()


def ids(page: str) -> list[str]:
    """The mentions on a page, in order."""
    return [unquote(unescape(one)) for one in re.findall(r'<a class="when" href="/mentions/([^"]+)"', page)]


def total(page: str) -> int:
    found = re.search(r"<b>([\d,]+)</b> 条提及", page)
    assert found
    return int(found[1].replace(",", ""))


def matching(world: World, query: str) -> list[Any]:
    return list(world.deps.index.scan(parse_query(query, now=NOW)))


def link(page: str, label: str) -> str:
    """Where the choice of this label leads."""
    found = re.search(rf'<a href="([^"]+)"[^>]*><span>{re.escape(label)}</span>', page)
    assert found, label
    return unescape(found[1])


def test_without_a_query_the_newest_come_first(world: World, client: httpx.Client) -> None:
    page = client.get("/").text
    newest = sorted(matching(world, ""), key=lambda m: m.created_at, reverse=True)
    assert total(page) == len(newest)
    assert ids(page) == [mention.id for mention in newest[:20]]


def test_a_query_finds_and_marks_the_words(world: World, client: httpx.Client) -> None:
    page = client.get("/", params={"q": "渗水"}).text
    assert total(page) == len(matching(world, "渗水")) > 20
    assert len(re.findall("<mark>(?:<span[^>]*>)?渗水(?:</span>)?</mark>", page)) == 20
    assert 'value="渗水"' in page


def test_a_wrong_query_is_explained_with_its_place(client: httpx.Client) -> None:
    answer = client.get("/", params={"q": "漏水 sourse:jd"})
    assert answer.status_code == 400
    assert "第 4 个字符处" in answer.text
    assert "是不是 source" in answer.text
    assert '漏水 <mark class="wrong">s</mark>ourse:jd' in answer.text
    assert 'value="漏水 sourse:jd"' in answer.text  # to be mended, not typed again
    assert "加载更多" not in answer.text


def test_matched_words_are_chips_and_whom_it_is_about_is_a_facet(tmp_path: Path) -> None:
    own = Matched(words=("岚炉", "K20-3"), names=("岚炉",), products=("K20-3",), about="own")
    rival = Matched(words=("炽源 <b>",), competitors=("炽源 <b>",), about="rival")
    namesake = Matched(excluded=("岚炉镇",), about="excluded")
    with open_world(tmp_path) as world:
        world.fill(
            [
                a_classified("negative", native_id=str(n), text="很好", matched=matched, captured_at=NOW)
                for n, matched in enumerate((own, rival, namesake, Matched()))
            ]
        )
        with closing(world.logged_in()) as client:
            page = client.get("/").text
            assert page.count('class="matched"') == 3
            assert page.count("只谈竞品</a>") == page.count("只谈同名的别的东西</a>") == 1
            assert "炽源 &lt;b&gt;</a>" in page
            assert "<b>炽源" not in page
            chip = re.search(r'<a class="word" href="([^"]+)" title="产品">K20-3</a>', page)
            assert chip
            assert ids(client.get(unescape(chip[1])).text) == ["jd:review:0"]
            for label, found in (("竞品", "1"), ("没有提到", "3"), ("岚炉镇", "2"), ("炽源 &lt;b&gt;", "1")):
                narrowed = client.get(link(page, label)).text
                assert ids(narrowed) == [f"jd:review:{found}"]
                assert 'aria-label="已选条件"' in narrowed
            assert "匹配词：任意一个" in client.get("/", params={"q": "matched:*"}).text
            whole = client.get("/mentions/jd:review:1").text
            assert "竞品（不计入预警和工单）" in whole
            rows = list(csv.DictReader(io.StringIO(client.get("/export.csv", params={"q": "关于:竞品"}).text)))
            assert [(row["谈的是"], row["匹配词"]) for row in rows] == [("竞品", "炽源 <b>")]


def test_where_nothing_is_known_of_the_brand_no_facet_says_so(world: World, client: httpx.Client) -> None:
    page = client.get("/").text
    assert "谈的是" not in page
    assert 'class="matched"' not in page


def test_loading_more_shows_everything_once_and_in_order(world: World, client: httpx.Client) -> None:
    page = client.get("/", params={"q": "情感:负面", "sort": "severity"}).text
    seen = ids(page)
    while found := re.search(r'hx-get="([^"]+)"[^>]*>加载更多', page):
        page = client.get(unescape(found[1])).text
        assert "<html" not in page
        seen += ids(page)
    wanted = matching(world, "情感:负面")
    assert len(seen) == len(set(seen)) == len(wanted)
    severity = {mention.id: mention.analysis.severity for mention in wanted}
    assert [severity[one] for one in seen] == sorted(severity.values(), reverse=True)


def test_without_scripts_loading_more_is_a_page_of_its_own(client: httpx.Client) -> None:
    first = client.get("/").text
    following = re.search(r'<a class="more" href="([^"]+)"', first)
    assert following
    second = client.get(unescape(following[1])).text
    assert "<html" in second
    assert not set(ids(first)) & set(ids(second))


@pytest.mark.parametrize(
    ("label", "query"),
    [
        ("负面", "sentiment:negative"),
        ("小红书", "source:xiaohongshu"),
        ("导入·400热线", 'source:"import:400热线"'),
        ("投诉", "intent:complaint"),
        ("漏水渗水", "tag:产品质量/漏水渗水"),
        ("不热(温控)", 'tag:"产品质量/不热(温控)"'),
        ("K20 钢制柱型暖气片", 'product:="K20 钢制柱型暖气片"'),
        ("河北", "region:河北"),
    ],
)
def test_a_facet_counts_exactly_what_its_click_shows(
    world: World, client: httpx.Client, label: str, query: str
) -> None:
    page = client.get("/").text
    counted = re.search(rf'<span>{re.escape(label)}</span><span class="n">([\d,]+)</span>', page)
    assert counted
    clicked = client.get(link(page, label)).text
    assert total(clicked) == int(counted[1]) == len(matching(world, query)) > 0
    assert total(client.get(link(clicked, label)).text) == total(page)  # a second click takes it out


def test_filters_add_up_and_come_off_one_by_one(world: World, client: httpx.Client) -> None:
    page = client.get("/", params={"q": "漏水 OR 渗水"}).text
    for label in ("京东", "负面"):
        page = client.get(link(page, label)).text
    assert total(page) == len(matching(world, "(漏水 OR 渗水) source:jd sentiment:negative"))
    chips = re.findall(r'<a href="([^"]+)" title="去掉这个条件">([^<]+)<', page)
    assert [text for _, text in chips] == ["来源：京东", "情感：负面"]
    page = client.get(unescape(chips[0][0])).text
    assert total(page) == len(matching(world, "(漏水 OR 渗水) sentiment:negative"))


def test_a_preset_takes_the_place_of_another(world: World, client: httpx.Client) -> None:
    page = client.get("/", params={"q": "渗水 since:30d"}).text
    preset = re.search(r'<a href="([^"]+)">近 7 天</a>', page)
    assert preset
    answer = client.get(unescape(preset[1]))
    assert answer.url.params["q"] == "渗水 since:7d"
    assert total(answer.text) == len(matching(world, "渗水 since:7d"))


def test_the_histogram_shows_every_mention_on_its_day(world: World, client: httpx.Client) -> None:
    page = client.get("/", params={"q": "来源:京东"}).text
    data = re.search(r'data-values="([^"]+)"', page)
    address = re.search(r'data-url="([^"]+)"', page)
    assert data
    assert address
    bars = json.loads(unescape(data[1]))
    days = Counter(m.created_at.astimezone(BEIJING).date().isoformat() for m in matching(world, "来源:京东"))
    assert {
        bar["first"]: bar["negative"] + bar["neutral"] + bar["positive"] for bar in bars if days[bar["first"]]
    } == days
    busiest, count = days.most_common(1)[0]
    clicked = unescape(address[1]).replace("__FIRST__", busiest).replace("__LAST__", busiest)
    assert total(client.get(clicked).text) == count


def test_a_card_says_what_it_knows(world: World, client: httpx.Client) -> None:
    mention = next(m for m in matching(world, "渗水 has:回复 since:1d") if m.likes)
    card = client.get("/", params={"q": f'id:"{mention.id}"'}).text
    assert total(card) == 1
    for piece in (
        ">京东<", ">负面<", ">投诉<", 'aria-label="', "商家回复", mention.product.name, mention.product.spec,
        "漏水渗水", mention.region or "京东", f"赞 {mention.likes}",
        f'href="{mention.url}" rel="noopener noreferrer" target="_blank"',
        '<span class="op op-negative" title="漏水渗水">接口那里开始渗水</span>',
    ):  # fmt: skip
        assert piece in card, piece


def test_the_mentions_own_page_shows_all_of_it(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        text = "开头" + "很长" * 3000 + "结尾"
        parent = a_classified("neutral", source="zhihu", kind="question", native_id="q/1?x#y", text="哪个牌子好？")
        answer = a_classified(
            "negative", source="zhihu", kind="answer", native_id="a 2", text=text, parent_id=parent.id, severity=7.0
        )
        world.fill([parent, answer])
        client = world.logged_in()
        page = client.get("/", params={"q": "开头"}).text
        assert "全文" in page
        assert "结尾" not in page
        address = re.search(r'<a class="when" href="([^"]+)"', page)
        assert address
        own = client.get(unescape(address[1])).text
        assert "结尾" in own
        assert "哪个牌子好？" in own
        followed = re.findall(r'<a class="when" href="([^"]+)"', own)
        assert "哪个牌子好？" in client.get(unescape(followed[1])).text
        assert client.get("/mentions/zhihu:answer:gone").status_code == 404


def test_a_mention_that_came_more_than_once_says_so(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        mention = a_classified("neutral", text="同一条")
        world.fill([mention])
        world.fill([mention])
        assert "收到 2 次" in world.logged_in().get("/").text


def test_a_csv_holds_every_row_found(world: World, client: httpx.Client) -> None:
    answer = client.get("/export.csv", params={"q": "情感:负面"})
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["编号"] for row in rows] == [m.id for m in matching(world, "情感:负面")]
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]


def test_an_xlsx_and_json_lines_hold_the_same(world: World, client: httpx.Client) -> None:
    wanted = [m.id for m in matching(world, "渗水")]
    book = openpyxl.load_workbook(io.BytesIO(client.get("/export.xlsx", params={"q": "渗水"}).content), read_only=True)
    assert [row[0] for row in book.worksheets[0].iter_rows(min_row=2, values_only=True)] == wanted
    book.close()
    lines = client.get("/export.jsonl", params={"q": "渗水"}).text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == wanted


def test_an_export_leaves_no_file_behind(client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert client.get("/export.xlsx", params={"q": "渗水"}).status_code == 200
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["/export.exe", "/export.csv?q=((", "/export."])
def test_a_strange_export_is_refused(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code in (400, 404, 422)


def test_a_saved_search_stays_relative_and_can_be_dropped(world: World) -> None:
    client = world.logged_in()
    saved = post(client, "/searches", "/account", name="本周 漏水", q="渗水 since:7d", sort="severity")
    assert saved.status_code == 303
    page = client.get("/").text
    assert client.get(link(page, "本周 漏水")).url.params == httpx.QueryParams(
        {"q": "渗水 since:7d", "sort": "severity"}
    )
    post(client, "/searches", "/account", name="本周  漏水", q="渗水 since:14d", sort="newest")
    page = client.get("/").text
    assert client.get(link(page, "本周 漏水")).url.params["q"] == "渗水 since:14d"
    number = re.search(r"/searches/(\d+)/delete", page)
    assert number
    post(client, f"/searches/{number[1]}/delete", "/account")
    assert "本周 漏水" not in client.get("/").text


@pytest.mark.parametrize(("name", "query"), [("", "渗水"), ("x" * 41, "渗水"), ("坏的", "((")])
def test_a_search_that_cannot_be_saved_says_why(world: World, name: str, query: str) -> None:
    answer = post(world.logged_in(), "/searches", "/account", name=name, q=query)
    assert answer.status_code == 400


def test_the_api_pages_through_the_same_results(world: World, client: httpx.Client) -> None:
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        found = client.get("/api/v1/search", params={"q": "渗水", "limit": 7, "cursor": cursor}).json()
        assert found["total"] == len(matching(world, "渗水"))
        seen += [mention["id"] for mention in found["mentions"]]
        cursor = found["cursor"]
    assert seen == [m.id for m in matching(world, "渗水")]
    assert found["mentions"][0]["analysis"]["sentiment"]["label"] == "negative"


def test_the_api_explains_a_wrong_query_and_a_wrong_limit(client: httpx.Client) -> None:
    wrong = client.get("/api/v1/search", params={"q": "漏水 sourse:jd"})
    assert wrong.status_code == 400
    assert wrong.json()["position"] == 3
    assert "source" in wrong.json()["suggestion"]
    assert client.get("/api/v1/search", params={"limit": 100_000}).status_code == 422


def test_a_forged_cursor_is_a_mistake_not_a_crash(client: httpx.Client) -> None:
    for path in ("/fragments/mentions", "/api/v1/search", "/"):
        answer = client.get(path, params={"cursor": "bm90IGEgY3Vyc29y"})
        assert answer.status_code == 400, path


def test_an_empty_installation_says_what_to_do(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        client = world.logged_in()
        assert "还没有收到任何提及" in client.get("/").text
        assert client.get("/timeline").status_code == 200
        assert "没有进行中的预警" in client.get("/alerts").text
        assert "没有符合条件的工单" in client.get("/tickets").text


def test_the_timeline_counts_the_negatives_of_each_hour_and_source(world: World, client: httpx.Client) -> None:
    page = client.get("/timeline", params={"span": "3d"}).text
    data = re.search(r'data-values="([^"]+)"', page)
    assert data
    chart = json.loads(unescape(data[1]))
    wanted: Counter[tuple[str, str]] = Counter()
    for mention in matching(world, "情感:负面"):
        local = mention.created_at.astimezone(BEIJING)
        if mention.created_at >= NOW.replace(minute=0) + timedelta(hours=1) - timedelta(days=3):
            wanted[mention.source, local.strftime("%Y-%m-%d %H:00")] += 1
    shown = {
        (series["source"], start): count
        for series in chart["series"]
        for start, count in zip(chart["starts"], series["counts"], strict=True)
        if count
    }
    assert shown == wanted
    assert len(chart["starts"]) == 72
    (_, hour), count = wanted.most_common(1)[0]
    at = chart["starts"].index(hour)
    assert total(client.get(chart["urls"][at]).text) == sum(series["counts"][at] for series in chart["series"]) >= count


@pytest.mark.parametrize(("span", "steps"), [("1d", 24), ("7d", 168), ("30d", 30), ("365d", 365), ("nonsense", 168)])
def test_the_timeline_has_the_steps_it_promises(client: httpx.Client, span: str, steps: int) -> None:
    data = re.search(r'data-values="([^"]+)"', client.get("/timeline", params={"span": span}).text)
    assert data
    assert len(json.loads(unescape(data[1]))["starts"]) == steps


def test_the_timeline_can_be_narrowed_by_a_query(world: World, client: httpx.Client) -> None:
    page = client.get("/timeline", params={"span": "30d", "q": "tag:物流问题"}).text
    shown = re.search(r"负面 <b>(\d+)</b> 条", page)
    assert shown
    since = NOW.astimezone(BEIJING).replace(hour=0, minute=0) - timedelta(days=29)
    wanted = [m for m in matching(world, "tag:物流问题 情感:负面") if m.created_at >= since]
    assert int(shown[1]) == len(wanted) > 0
    assert client.get("/timeline", params={"q": "(("}).status_code == 400


def test_copies_are_merged_on_demand_and_counted_both_ways(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        copied = [
            a_classified(
                native_id=n,
                text="暖气片漏水，客服一直不回复",
                captured_at=NOW,
                created_at=NOW - timedelta(hours=n),
            ).model_copy(update={"group": "jd:review:24", "likeness": None if n == 24 else "exact"})
            for n in range(1, 25)
        ]
        lone = [
            a_classified(
                native_id=100 + n,
                text=f"第{n}组装好了，没有漏水",
                captured_at=NOW,
                created_at=NOW - timedelta(days=2, hours=n),
            )
            for n in range(30)
        ]
        world.fill([*copied, *lone])
        client = world.logged_in()
        page = client.get("/", params={"q": "漏水", "sort": "newest"}).text
        assert total(page) == 54
        assert "组</p>" not in page
        assert page.count(">照抄</a>") == 20
        switch = re.search(r'<a class="switch" role="switch" aria-checked="false" href="([^"]+)"', page)
        assert switch
        page = client.get(unescape(switch[1])).text
        assert re.search(r"<b>54</b> 条提及，合并为 <b>31</b> 组", page)
        assert ids(page) == ["jd:review:1", *(f"jd:review:{100 + n}" for n in range(19))]
        rest = re.search(r'href="([^"]+)"[^>]*>另有 23 条相似</a>', page)
        assert rest
        more = re.search(r'class="more" href="([^"]+)" hx-get="([^"]+)"', page)
        assert more
        for address in more.groups():
            assert ids(client.get(unescape(address)).text) == [f"jd:review:{100 + n}" for n in range(19, 30)]
        assert total(client.get(unescape(rest[1])).text) == 24
        # Whatever is clicked next, the switch stays as it is.
        older = re.search(r'<a href="([^"]+)"[^>]*>最早</a>', page)
        assert older
        assert 'aria-checked="true"' in client.get(unescape(older[1])).text
        client.close()


def test_a_query_for_copies_becomes_a_chip_in_chinese(world: World, client: httpx.Client) -> None:
    page = client.get("/", params={"q": "相似:照抄 group:jd:review:1"}).text
    assert "相似：照抄" in page
    assert "相似组：jd:review:1" in page
    assert total(page) == len(matching(world, "copies:exact group:jd:review:1"))
