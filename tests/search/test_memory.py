"""The reference must be right by itself: it is what the indexes are held to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ingest.mention import Append, Author, Media, Product
from search.memory import epoch_ms, matches, near_pairs
from search.query import Near, Since, Until, parse_query
from tests.factories import CAPTURED, a_classified

SAID = a_classified(
    "negative",
    native_id="7",
    source="import:门店",
    kind="survey",
    title="K20 使用一周",
    text="暖气片一直不热，师傅说要换阀门",
    appends=[Append(text="换了还是不热")],
    rating=2,
    likes=120,
    region="山东",
    product=Product(id="1001", sku="5001", name="钢制暖气片 Ｋ20"),
    author=Author(key="abc"),
    media=[Media(type="image", url="https://example.com/1.jpg")],
    tags=("产品质量/不热", "安装服务/二次上门"),
    flags=("sarcasm",),
    intent="complaint",
    severity=6.5,
    created_at=CAPTURED - timedelta(days=3),
)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "不热",
        "k20",
        "换了 师傅 OR 没有",
        "-广告",
        '"暖气片 不热"~2',
        '"热 师"~1',
        "source:import",
        "source:import:门店",
        "kind:survey",
        "sentiment:negative intent:complaint flag:反讽",
        "tag:产品质量/不热 tag:产品质量 tag:不热 tag:二次上门",
        "product:1001 product:5001 product:k20 product:暖气片",
        'product:="钢制暖气片 Ｋ20"',
        "region:山东 author:abc id:import:门店:survey:7",
        "rating:2 rating:<=2 rating:1..3 likes:>100 severity:6.5 severity:<7",
        "-replies:0 -replies:>0",
        "since:3d until:2d",
        "has:media has:append -has:reply",
    ],
)
def test_matches(query: str) -> None:
    assert matches(parse_query(query, now=CAPTURED), SAID)


@pytest.mark.parametrize(
    "query",
    [
        "漏水",
        "一周暖气",
        "不热 广告",
        "-不热",
        '"暖气片 不热"~1',
        "source:jd",
        "source:import:店",
        "tag:热",
        "tag:产品",
        "product:=1001",
        "product:100",
        "region:山",
        "author:ab",
        "rating:>2",
        "likes:<120",
        "replies:0",
        "replies:>=0",
        "since:2d",
        "until:3d",
        "has:reply",
    ],
)
def test_does_not_match(query: str) -> None:
    assert not matches(parse_query(query, now=CAPTURED), SAID)


def test_instants_are_compared_in_whole_milliseconds() -> None:
    at = datetime(2026, 1, 5, 1, 0, 0, 1_999, tzinfo=UTC)
    said = a_classified(created_at=at)
    assert matches(Since(at.replace(microsecond=1_000)), said)
    assert not matches(Since(at.replace(microsecond=2_000)), said)
    assert not matches(Until(at.replace(microsecond=1_000)), said)
    assert matches(Until(at.replace(microsecond=2_000)), said)
    assert epoch_ms(datetime(2026, 1, 5, 1, 0, 0, 1_000, tzinfo=UTC)) % 1000 == 1
    assert epoch_ms(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1


def test_near_pairs_agree_with_trying_every_pair() -> None:
    texts = ["暖暖热暖冷热热", "abcabcab", "aaaa", "ab ba ab"]
    for text in texts:
        for first in ("暖", "热", "ab", "a", "bc", "aa"):
            for second in ("热", "冷热", "c", "ba", "aa"):
                for distance in range(5):
                    starts = [(i, j) for i in range(len(text)) for j in range(len(text))
                              if text.startswith(first, i) and text.startswith(second, j)]  # fmt: skip
                    expected = any(
                        j - i - len(first) <= distance if i <= j else i - j - len(second) <= distance for i, j in starts
                    )
                    assert bool(list(near_pairs(Near(first, second, distance), text))) == expected


def test_a_hostile_text_takes_little_time() -> None:
    said = a_classified(text="热暖" * 100_000)
    assert matches(parse_query('"热 暖"~5 NOT "热 冷"~50', now=CAPTURED), said)
