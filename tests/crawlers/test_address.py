"""No token of an address gets into a reason, an exception or a log line, whoever wrote the message."""

from __future__ import annotations

import logging
import sys

import pytest

from crawlers.address import told
from crawlers.errors import FetchFailed, PlatformStopped, RobotsRefused, SourceDown
from crawlers.run import _Told

ADDRESS = "https://www.xiaohongshu.com/explore/66aa?xsec_token=SECRET%3D&note_id=66aa&xsec_source=SECRET#sid=SECRET"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (
            f"Page.goto: net::ERR_FAILED at {ADDRESS}",
            "https://www.xiaohongshu.com/explore/66aa?xsec_token=…&note_id=66aa",
        ),
        (f'navigating to "{ADDRESS}", waiting until "load"', 'waiting until "load"'),
        ("GET /explore/66aa?xsec_token=SECRET failed", "GET /explore/66aa?xsec_token=… failed"),
        ("a proxy at http://me:SECRET@proxy.example:80 refused", "http://…@proxy.example:80 refused"),
        ("HTTP 502 after 3 tries; charset=?", "HTTP 502 after 3 tries; charset=?"),
    ],
)
def test_a_message_keeps_what_says_where_and_loses_the_rest(said: str, kept: str) -> None:
    assert kept in told(said)
    assert "SECRET" not in told(said)
    assert told(told(said)) == told(said)


def test_no_exception_of_a_fetch_carries_a_token() -> None:
    said = f"Timeout 30000ms exceeded at {ADDRESS}"
    stopped = PlatformStopped("unknown", said)
    for error in (FetchFailed("Error", said), SourceDown(said), RobotsRefused(said), stopped):
        assert "SECRET" not in str(error)
        assert "/explore/66aa" in str(error)
    assert "SECRET" not in stopped.reason


def test_a_log_line_and_its_trace_carry_no_token() -> None:
    try:
        raise RuntimeError(f"Page.goto: failed at {ADDRESS}")
    except RuntimeError:
        trace = sys.exc_info()
    record = logging.LogRecord("scrapy", logging.ERROR, __file__, 1, "gave up on %s", (ADDRESS,), trace)
    line = _Told("%(message)s").format(record)
    assert "SECRET" not in line
    assert line.count("/explore/66aa") == 2


def test_a_long_hostile_message_is_read_in_linear_time() -> None:
    assert len(told("?a" * 100_000 + "://" * 50_000)) > 100_000
