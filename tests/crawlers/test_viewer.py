"""Whose account read it is not kept in what is parked, and what is parked is still read the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crawlers.viewer import without_viewer
from tests.crawlers.payloads import payload, read
from tests.crawlers.payloads.douyin import DOUYIN_COMMENTS
from tests.crawlers.payloads.xiaohongshu import NOTE_ID, XHS_COMMENTS, XHS_COMMENTS_URL, XHS_STATE, xhs_page

VIEWER = "viewer-own-account"
PAGE = f"https://www.xiaohongshu.com/explore/{NOTE_ID}"


@pytest.mark.parametrize(
    ("body", "url"),
    [
        (XHS_COMMENTS, XHS_COMMENTS_URL.format(note=NOTE_ID, cursor="")),
        ({"code": 200, "data": XHS_COMMENTS}, None),
        (xhs_page(XHS_STATE), PAGE),
        (XHS_STATE, None),
    ],
)
def test_the_viewers_account_is_dropped_and_the_rest_reads_the_same(body: Any, url: str | None) -> None:
    broken = payload(body, url)
    assert VIEWER.encode() in broken.body
    kept = without_viewer("xiaohongshu", broken)
    assert VIEWER.encode() not in kept
    before, after = read("xiaohongshu", body, url), read("xiaohongshu", kept, url)
    assert before.mentions
    assert (after.endpoint, after.mentions, after.problems) == (before.endpoint, before.mentions, before.problems)


def test_what_names_no_viewer_is_parked_as_it_came() -> None:
    for platform, body in (
        ("xiaohongshu", json.dumps(XHS_COMMENTS["data"]["comments"]).encode()),
        ("xiaohongshu", b"{broken"),
        ("xiaohongshu", b""),
        ("douyin", json.dumps(DOUYIN_COMMENTS).encode()),
    ):
        assert without_viewer(platform, payload(body)) == body
