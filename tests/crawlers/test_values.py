"""Counts, instants, provinces and addresses as platforms write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.values import Count, Moment, days_after, https_url, id_time, province, read_count, read_moment, read_share

CAPTURED = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)
"""Monday, 09:00 in Beijing."""


@pytest.mark.parametrize(
    ("raw", "value", "approximate"),
    [
        (0, 0, False),
        (2816, 2816, False),
        ("3703", 3703, False),
        ("1,234", 1234, False),
        ("３０", 30, False),
        (45.0, 45, False),
        ("1.5万", 15000, True),
        ("1.1万", 11000, True),
        ("14万+", 140000, True),
        ("10万+", 100000, True),
        ("2000+", 2000, True),
        ("1.25亿", 125_000_000, True),
        ("1.2w", 12000, True),
        ("3k", 3000, True),
        ("共 23 条评论", 23, False),
        ("2个回答", 2, False),
        ("95%", None, False),
        ("赞", None, False),
        ("", None, False),
        (None, None, False),
        (True, None, False),
        (-1, None, False),
        (1.5, None, False),
        ([], None, False),
        ({}, None, False),
        ("1e9", None, False),
        (10**18, None, False),
        ("9" * 30, None, False),
        (float("inf"), None, False),
        (float("nan"), None, False),
        ("1.2.3", None, False),
    ],
)
def test_counts_are_read_with_their_roundness(raw: Any, value: int | None, approximate: bool) -> None:
    assert read_count(raw) == Count(value, approximate)


@pytest.mark.parametrize(
    ("raw", "share"),
    [
        ("95%", 0.95), ("９５％", 0.95), ("98.5%", 0.985), (0.98, 0.98), (98, 0.98), (1, 1.0), ("0.98", 0.98), (0, 0.0),
        (101, None), ("120%", None), (-1, None), ("", None), (None, None), (True, None), ("很高", None), ({}, None),
        (float("nan"), None),
    ],
)  # fmt: skip
def test_shares_are_read_however_they_are_written(raw: Any, share: float | None) -> None:
    assert read_share(raw) == share


def beijing(text: str) -> datetime:
    return (datetime.fromisoformat(text) - timedelta(hours=8)).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("raw", "at", "precision"),
    [
        (1721178828, "2024-07-17 09:13:48", "second"),
        (1721178828000, "2024-07-17 09:13:48", "second"),
        ("1721178828", "2024-07-17 09:13:48", "second"),
        ("1721178828000", "2024-07-17 09:13:48", "second"),
        (1721178828.0, "2024-07-17 09:13:48", "second"),
        ("2017-08-08 00:44:24", "2017-08-08 00:44:24", "second"),
        ("2017/8/8 0:44", "2017-08-08 00:44:00", "minute"),
        ("2024年5月3日", "2024-05-03 00:00:00", "day"),
        ("2024年5月3日已购：K20", "2024-05-03 00:00:00", "day"),
        ("2019-08-21", "2019-08-21 00:00:00", "day"),
        ("2024-05", "2024-05-01 00:00:00", "month"),
        ("2024年5月", "2024-05-01 00:00:00", "month"),
        ("2024-05-03T10:00:00Z", "2024-05-03 18:00:00", "second"),
        ("2024-05-03T10:00:00+09:00", "2024-05-03 09:00:00", "second"),
        ("2个月前", "2025-11-05 00:00:00", "month"),
        ("11个月前", "2025-02-05 00:00:00", "month"),
        ("半年前", "2025-07-05 00:00:00", "month"),
        ("1年前", "2025-01-05 00:00:00", "month"),
        ("2周前", "2025-12-22 00:00:00", "month"),
        ("3天前", "2026-01-02 00:00:00", "day"),
        ("3小时前", "2026-01-05 06:00:00", "hour"),
        ("半小时前", "2026-01-05 08:30:00", "minute"),
        ("5分钟前", "2026-01-05 08:55:00", "minute"),
        ("10秒前", "2026-01-05 08:59:50", "second"),
        ("刚刚", "2026-01-05 09:00:00", "minute"),
        ("今天 08:30", "2026-01-05 08:30:00", "minute"),
        ("昨天 20:11", "2026-01-04 20:11:00", "minute"),
        ("昨天", "2026-01-04 00:00:00", "day"),
        ("前天 07:00", "2026-01-03 07:00:00", "minute"),
        ("01-02", "2026-01-02 00:00:00", "day"),
        ("05-29", "2025-05-29 00:00:00", "day"),
        ("12月31日 23:59", "2025-12-31 23:59:00", "minute"),
        ("02-29", "2024-02-29 00:00:00", "day"),
        ("编辑于 2025-08-23 广东", "2025-08-23 00:00:00", "day"),
        ("发布于 昨天 20:11", "2026-01-04 20:11:00", "minute"),
    ],
)
def test_instants_are_read_with_their_precision(raw: Any, at: str, precision: str) -> None:
    assert read_moment(raw, CAPTURED) == Moment(beijing(at), precision)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "",
        0,
        "0",
        True,
        -5,
        [],
        {},
        "很久以前",
        "20190821",
        "2024-13-01",
        "2024-02-30",
        "99999年前",
        "13-40",
        "0000-01-01",
        "1850-01-01",
        "2150-01-01 00:00:00",
        12345,
        1e300,
        float("nan"),
        float("inf"),
        10**40,
        "2024-05-03 25:00:00",
        "9" * 17,
    ],
)
def test_what_is_no_date_is_refused_by_value_error_alone(raw: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_moment(raw, CAPTURED)


@given(
    st.one_of(
        st.text(), st.integers(), st.floats(), st.text(alphabet="0123456789-:/年月日天前昨 半个小时分", max_size=25)
    )
)
def test_any_value_is_a_moment_or_a_value_error(raw: Any) -> None:
    try:
        moment = read_moment(raw, CAPTURED)
    except ValueError:
        return
    assert moment.at.tzinfo is UTC
    assert 2000 <= moment.at.year < 2100


@given(st.one_of(st.text(), st.integers(), st.floats(), st.text(alphabet="0123456789.万亿+千wk,条共", max_size=20)))
def test_any_value_is_a_count_that_can_be_stored(raw: Any) -> None:
    value = read_count(raw).value
    assert value is None or 0 <= value <= 10**15


def test_appends_are_counted_in_days() -> None:
    base = Moment(CAPTURED, "second")
    assert days_after(base, "12") == CAPTURED + timedelta(days=12)
    assert days_after(base, 0) == CAPTURED
    for unknown in (None, "", "soon", 10**12):
        assert days_after(base, unknown) is None


def test_an_ids_first_digits_are_its_time() -> None:
    assert id_time("66696f98000000001c0123ab") == Moment(datetime(2024, 6, 12, 9, 51, 20, tzinfo=UTC), "day")
    for broken in ("", "66696f98", "zz696f98000000001c0123ab", "00000000000000001c0123ab"):
        with pytest.raises(ValueError, match=r"."):
            id_time(broken)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("广东", "广东"),
        ("IP 属地广东", "广东"),
        ("IP属地：山东", "山东"),
        ("广东省深圳市", "广东"),
        ("中国香港", "香港"),
        ("内蒙古自治区", "内蒙古"),
        ("来自北京", "北京"),
        ("广西壮族自治区", "广西"),
        ("美国", None),
        ("未知", None),
        ("", None),
        (None, None),
        (86, None),
        ("广" * 99, None),
    ],
)
def test_regions_are_provinces_or_nothing(raw: Any, name: str | None) -> None:
    assert province(raw) == name


@pytest.mark.parametrize(
    ("raw", "url"),
    [
        ("//img30.360buyimg.com/a.jpg", "https://img30.360buyimg.com/a.jpg"),
        ("http://sns.xhscdn.com/a!b_1", "https://sns.xhscdn.com/a!b_1"),
        (
            "https://p3.douyinpic.com/c.jpeg?x-expires=1&x-sig=a%3D",
            "https://p3.douyinpic.com/c.jpeg?x-expires=1&x-sig=a%3D",
        ),
        ("jfs/t1/a.jpg", None),
        ("javascript:alert(1)", None),
        ("https://", None),
        ("https://a b", None),
        ("//", None),
        ("", None),
        ('https://a.com/"><script>', None),
        ("https://a.com/" + "x" * 3000, None),
        (None, None),
        (7, None),
        ("data:image/png;x", None),
    ],
)
def test_media_addresses_get_a_scheme_or_are_left_out(raw: Any, url: str | None) -> None:
    assert https_url(raw) == url
