"""Whatever somebody writes is only ever text: on every page, in charts, in exports."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlsplit

import httpx
import pytest

from alerts.coverage import CoverageStore
from ingest.analysis import TagOpinion
from ingest.dead_letters import letter_for_record
from ingest.errors import Poison
from ingest.log.base import Outgoing, Topics
from ingest.mention import Append, Author, Matched, Product
from ingest.stage import StageHealth
from shengwen.web.deps import PlatformStatus, TicketChange
from tests.factories import a_classified
from tests.shengwen.world import NOW, World, change_ticket, coverage, open_world, post

EVIL = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</textarea></script><svg onload=alert(1)>",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "--><iframe src=javascript:alert(1)>",
    "\u202egpj.exe\u2066\u200b",
    "z̸̡͎̪̏̄" * 50,
    "=HYPERLINK(\"http://evil.example\")",
    "漏水" * 40_000,
)  # fmt: skip
ALL = " ".join(text for text in EVIL if len(text) < 1000)


class Reader(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def assert_harmless(page: str) -> None:
    """No element, attribute or address that the templates did not write."""
    for tag, attributes in read(page).elements:
        assert tag not in ("iframe", "img", "object", "embed", "base", "style"), tag
        if tag == "script":
            assert attributes["src"].startswith("/static/")
        if tag == "svg":
            assert attributes["class"] in ("icon", "gauge", "hours")
        for name, value in attributes.items():
            assert not name.startswith("on"), name
            assert name not in ("style", "srcdoc", "formaction", "hx-on", "hx-vals"), name
            if name in ("href", "src", "action", "hx-get"):
                parts = urlsplit(value)
                assert parts.scheme in ("", "http", "https"), value[:80]
                assert parts.scheme == "" or attributes["rel"] == "noopener noreferrer"
                assert not value.startswith("//")
    # What somebody typed goes back into its box as it was; nothing else turns the reading direction.
    shown = re.sub(r'<input [^>]*value="[^"]*"', "", page)
    found = re.search("[\u202a-\u202e\u2066-\u2069\u200b]", shown)
    assert found is None, shown[max(0, found.start() - 80) : found.end()]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Every text field of everything holds something evil."""
    with open_world(tmp_path_factory.mktemp("hostile"), brand=ALL) as opened:
        opened.fill(
            [
                a_classified(
                    "negative",
                    source="import:x.y",
                    kind="call",
                    native_id=f"{number}/../../logout?{text[:60]}",
                    title=text,
                    text=text,
                    url=url,
                    product=Product(id=text[:90], name=text, spec=text),
                    region=text[:90],
                    author=Author(key=text[:90]),
                    appends=(Append(text=text),),
                    seller_reply=text,
                    matched=Matched(
                        words=(text[:90],), competitors=(text[:90],), excluded=(text[:60],), about="own", query=text
                    ),
                    intent="complaint",
                    tags=(
                        TagOpinion(
                            tag=f"组/{text[:60]}", sentiment="negative", confidence=1, span=(0, min(9, len(text)))
                        ),
                        TagOpinion(tag=text[:60], sentiment="positive", confidence=1, span=(2, 10**6)),
                    ),
                    flags=("safety",),
                    severity=9.0,
                    severity_reason=text,
                    model=text[:60],
                    captured_at=NOW,
                )
                for number, text in enumerate(EVIL)
                for url in ["javascript:alert(1)"]
            ]
        )
        records = [one.model_copy(update={"query": ALL, "reason": ALL}) for one in coverage(NOW)]
        CoverageStore(opened.engine).absorb(records)
        opened.alerts.tick(coverage={"jd": 1.0})
        opened.platforms[:] = [PlatformStatus("jd", ALL, "stopped", "blocked", ALL, NOW, needs_person=True)]
        opened.health["index"] = StageHealth("failed", last_error=ALL)
        opened.log.produce(Topics.COLLECTED, [Outgoing(ALL, ALL.encode(), {"x": "y"})])
        record = opened.log.read(Topics.COLLECTED, 0, 0, 1)[0]
        letter = letter_for_record("index", record, Poison(ALL), 1, opened.clock)
        opened.log.produce(Topics.DEAD_LETTERS, [letter])
        for ticket in opened.deps.reader.tickets(now=NOW, limit=3)[0]:
            change_ticket(opened.tickets, TicketChange(ticket.key, ALL, note=ALL, root_cause=[ALL, ALL]))
        yield opened


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[httpx.Client]:
    opened = world.logged_in()
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?q=alert",
        "/timeline?span=30d",
        "/alerts",
        "/tickets",
        "/sources",
        "/dead-letters",
        "/deliveries",
        "/account",
    ],
)
def test_no_list_lets_anything_through(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert len(answer.content) < 400_000
    assert_harmless(answer.text)


def test_no_page_of_one_thing_lets_anything_through(world: World, client: httpx.Client) -> None:
    reader = world.deps.reader
    keys = [f"/alerts/{one.key}" for one in reader.alerts()]
    keys += [f"/tickets/{one.key}" for one in reader.tickets(now=NOW)[0]]
    assert len(keys) > 5
    for path in keys:
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert_harmless(answer.text)


def test_every_mention_can_be_opened_whatever_its_id(client: httpx.Client) -> None:
    page = client.get("/").text
    links = [a["href"] for tag, a in read(page).elements if tag == "a" and a.get("class") == "when"]
    assert len(links) == len(EVIL)
    for link in links:
        assert link.count("/") == 2
        for address in (link, link.replace("/mentions/", "/corrections/")):
            answer = client.get(address)
            assert answer.status_code == 200, address
            assert_harmless(answer.text)


def test_the_words_themselves_are_shown_as_they_were_written(client: httpx.Client) -> None:
    words = "".join(read(client.get("/").text).words)
    assert "<script>alert(1)</script>" in words
    assert "{{7*7}}${7*7}<%= 7*7 %>" in words
    assert "���" not in words.replace("�gpj.exe��", "")


@pytest.mark.parametrize("text", EVIL[:9])
@pytest.mark.parametrize("path", ["/", "/timeline", "/tickets", "/login", "/no-such-page", "/sources"])
def test_what_stands_in_the_address_is_only_text(client: httpx.Client, path: str, text: str) -> None:
    parameters = {
        "q": text,
        "text": text,
        "status": text[:60],
        "next": text,
        "resumed": text,
        "span": text[:9],
        "sort": text,
    }
    answer = client.get(path, params=parameters)
    assert answer.status_code in (200, 400, 404, 422)
    assert_harmless(answer.text)


def test_chart_data_is_data(client: httpx.Client) -> None:
    page = read(client.get("/timeline", params={"span": "3d"}).text)
    chart = next(a for _, a in page.elements if "data-chart" in a)
    data = json.loads(chart["data-values"])
    assert data["alerts"]
    assert all(one["url"].startswith("/alerts/A-") for one in data["alerts"])
    assert all(len(one["title"]) <= 40 for one in data["alerts"])
    assert all(url.startswith("/?q=") for url in data["urls"])


def test_a_link_that_is_no_web_address_is_not_a_link(world: World, client: httpx.Client) -> None:
    assert "javascript:alert(1)" not in [a.get("href") for _, a in read(client.get("/").text).elements]


def test_a_spreadsheet_runs_nothing(client: httpx.Client) -> None:
    rows = list(csv.reader(io.StringIO(client.get("/export.csv").content.decode("utf-8-sig"))))
    assert len(rows) == len(EVIL) + 1
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_a_ticket_takes_only_text_from_its_form(world: World, client: httpx.Client) -> None:
    key = world.deps.reader.tickets(now=NOW)[0][0].key
    for path, data in (
        (f"/tickets/{key}", {"note": ALL[:1900]}),
        (f"/tickets/{key}/cause", {"why": [ALL[:200]], "what": ALL[:1900], "owner": "<b>", "due": "2026-03-20"}),
    ):
        assert post(client, path, **data).status_code == 303
    assert_harmless(client.get(f"/tickets/{key}").text)
    too_long = post(client, f"/tickets/{key}", note="x" * 2001)
    assert too_long.status_code == 422
    assert_harmless(too_long.text)


def test_a_saved_search_with_an_evil_name_is_only_a_name(world: World, client: httpx.Client) -> None:
    for text in EVIL[:6]:
        assert post(client, "/searches", name=text[:40], q="alert").status_code == 303
    page = client.get("/").text
    assert_harmless(page)
    assert unescape(page).count("<script>alert(1)</script>") > 1
