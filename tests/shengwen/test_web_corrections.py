"""纠正 on the page: the form, what it stores, what it shows, whom it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from classify.corrections import Corrections
from ingest.analysis import TagOpinion
from search.query import parse_query
from tests.factories import a_classified
from tests.shengwen.world import NOW, World, open_world, token_in

LEAK, WARM = "产品质量/漏水渗水", "使用体验/采暖效果"
ID = "import:ab:call:a/b?&1"
"""An id that an address must quote."""
PATH = "/corrections/import%3Aab%3Acall%3Aa%2Fb%3F%261"
HX = {"HX-Request": "true"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        text = "接口渗水，屋里倒是暖和"
        opened.fill(
            [
                a_classified(
                    "negative", source="import:ab", kind="call", native_id="a/b?&1", text=text, captured_at=NOW,
                    tags=(
                        TagOpinion(tag=LEAK, sentiment="negative", confidence=0.8, span=(0, 4)),
                        TagOpinion(tag=WARM, sentiment="positive", confidence=0.7),
                    ),
                ),
                a_classified("positive", native_id="2", text="很好", captured_at=NOW),
            ]
        )  # fmt: skip
        yield opened


@pytest.fixture
def client(world: World) -> Iterator[httpx.Client]:
    opened = world.logged_in()
    yield opened
    opened.close()


def save(client: httpx.Client, *, hx: bool = False, **data: Any) -> httpx.Response:
    """What the form sends when nothing was touched, and what is said otherwise."""
    known: dict[str, Any] = {
        "csrf": token_in(client.get("/account").text),
        "do": "save",
        "sentiment": "negative",
        "keep": ["0", "1"],
        "tag": [LEAK, WARM],
        "tag_sentiment": ["negative", "positive"],
        "add": [""],
        "add_sentiment": ["negative"],
    }
    return client.post(PATH, data=known | data, headers=HX if hx else {}, follow_redirects=False)


def stored(world: World) -> list[tuple[str | None, list[tuple[str, str, Any]] | None, str]]:
    return [
        (one.sentiment, None if one.tags is None else [(t.tag, t.sentiment, t.span) for t in one.tags], one.made_by)
        for one in Corrections(world.engine, world.clock).all()
    ]


def found(world: World, query: str) -> int:
    return world.index.search(parse_query(query, now=NOW)).total


def test_every_card_offers_the_form_and_the_form_knows_the_card(client: httpx.Client) -> None:
    page = client.get("/").text
    links = [unescape(one) for one in re.findall(r'<a class="fix" href="([^"]+)"', page)]
    assert PATH in links
    assert len(links) == 2
    part = client.get(PATH, headers=HX).text
    assert "<html" not in part
    assert 'hx-post="' + PATH.replace("&", "&amp;") in part
    whole = client.get(PATH).text
    assert "<html" in whole
    assert "hx-post" not in whole.split("fix-form", 1)[1].split(">", 1)[0]
    for form in (part, whole):
        assert re.findall(r'name="tag" value="([^"]+)"', form) == [LEAK, WARM]
        assert re.search(r'value="negative" checked', form)
        assert form.count('name="keep"') == 2
        assert '<optgroup label="产品质量">' in form
        assert f'<option value="{LEAK}">漏水渗水</option>' in form


def test_a_correction_is_stored_shown_and_searched_at_once(world: World, client: httpx.Client) -> None:
    answer = save(
        client, sentiment="neutral", keep=["1"], add=["物流问题/延迟", ""], add_sentiment=["negative", "positive"]
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == PATH.replace("/corrections/", "/mentions/")
    right = [(WARM, "positive", None), ("物流问题/延迟", "negative", None)]
    assert stored(world) == [("neutral", right, "admin")]
    page = client.get(answer.headers["location"]).text
    assert re.search(r"<b>已纠正</b> admin", page)
    assert "原判" in page
    assert found(world, f"sentiment:neutral tag:{WARM} tag:物流问题/延迟") == 1
    assert found(world, f"tag:{LEAK}") == found(world, "sentiment:negative") == 0
    listed = client.get("/", params={"q": "sentiment:neutral"}).text
    assert 'class="senti neutral"' in listed
    assert "已纠正" in listed
    facet = re.search(r'<span>延迟</span><span class="n">(\d+)</span>', client.get("/").text)
    assert facet
    assert facet[1] == "1"


def test_a_tag_that_stays_keeps_its_words(world: World, client: httpx.Client) -> None:
    save(client, tag_sentiment=["neutral", "positive"])
    assert stored(world) == [(None, [(LEAK, "neutral", (0, 4)), (WARM, "positive", None)], "admin")]


def test_with_scripts_the_card_comes_back_corrected_and_can_be_undone(world: World, client: httpx.Client) -> None:
    card = save(client, hx=True, sentiment="positive").text
    assert "<html" not in card
    assert card.count("<article") == 1
    assert 'class="senti positive"' in card
    assert "撤销" in card
    assert "撤销纠正" in client.get(PATH, headers=HX).text
    undone = save(client, hx=True, do="undo").text
    assert 'class="senti negative"' in undone
    assert "已纠正" not in undone
    assert stored(world) == []
    assert found(world, f"sentiment:negative tag:{LEAK}") == 1


def test_a_correction_that_the_index_does_not_know_yet_shows_all_the_same(world: World, client: httpx.Client) -> None:
    hit = world.index.get(ID)
    assert hit is not None
    Corrections(world.engine, world.clock).put(hit.mention, sentiment="positive", tags=None, by="lin")
    page = client.get("/", params={"q": "渗水"}).text
    assert 'class="senti positive"' in page
    assert re.search(r"<b>已纠正</b> lin", page)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"sentiment": "wonderful"}, "情感只能是负面、中性或正面"),
        ({"add": ["产品质量/不存在"]}, "标签体系里没有“产品质量/不存在”"),
        ({"add": ["<script>"]}, "标签体系里没有“&lt;script&gt;”"),
        ({"tag_sentiment": ["negative"]}, "表单不完整"),
        ({"tag": ["a", "b"], "keep": ["0"]}, "标签体系里没有“a”"),
        ({"seen": "0000"}, "有了新的版本"),
    ],
)
def test_what_does_not_fit_is_told_in_the_form(
    world: World, client: httpx.Client, data: dict[str, Any], told: str
) -> None:
    plain = save(client, **data)
    assert plain.status_code == 400
    assert told in plain.text
    part = save(client, hx=True, **data)
    assert told in part.text
    assert (part.headers["hx-retarget"], part.headers["hx-reswap"]) == ("this", "outerHTML")
    assert stored(world) == []
    assert found(world, f"sentiment:negative tag:{LEAK}") == 1


def test_a_mention_that_is_not_there_is_not_found(client: httpx.Client) -> None:
    token = token_in(client.get("/account").text)
    assert client.get("/corrections/jd%3Areview%3Anone").status_code == 404
    answer = client.post("/corrections/jd%3Areview%3Anone", data={"csrf": token, "do": "save", "sentiment": "neutral"})
    assert answer.status_code == 404
    assert client.post(PATH, data={"csrf": token, "do": "burn"}).status_code == 422


def test_nobody_corrects_without_a_login_or_the_forms_token(world: World, client: httpx.Client) -> None:
    assert save(client, csrf="wrong").status_code == 403
    assert save(client, csrf="").status_code == 403
    answer = client.post(PATH, data={"do": "undo"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    with world.client() as stranger:
        assert "/login" in str(stranger.get(PATH).url)
        answer = stranger.post(PATH, data={"do": "save", "sentiment": "positive"}, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert stored(world) == []
