"""A login at rest: encrypted, owned by one platform and one installation, and silent about what it holds."""

from __future__ import annotations

import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from crawlers.session import Session, SessionFile, cookies_of
from ingest.errors import ConfigError
from ingest.privacy import box_for

SECRET = bytes(range(32))
VALUE = "s3cr3t-of-the-account"
AT = datetime(2026, 11, 2, 3, 4, 5, tzinfo=UTC)
STATE = {"cookies": [{"name": "z_c0", "value": VALUE, "domain": ".zhihu.com", "path": "/"}], "origins": []}


@pytest.fixture
def kept(tmp_path: Path) -> SessionFile:
    return SessionFile(tmp_path / "sessions" / "zhihu.json", "zhihu", SECRET)


def test_what_is_saved_is_loaded_and_lies_encrypted_for_its_owner_only(kept: SessionFile) -> None:
    assert kept.load() is None
    kept.save(Session(STATE, AT))
    assert kept.load() == Session(STATE, AT)
    assert VALUE.encode() not in kept.path.read_bytes()
    assert b"z_c0" not in kept.path.read_bytes()
    assert kept.path.stat().st_mode & 0o077 == 0
    assert kept.path.parent.stat().st_mode & 0o077 == 0
    assert [path.name for path in kept.path.parent.iterdir()] == ["zhihu.json"]


def test_a_plain_session_of_an_older_version_is_taken_once_and_is_plain_no_more(kept: SessionFile) -> None:
    kept.path.parent.mkdir()
    kept.path.write_bytes(orjson.dumps(STATE))
    assert kept.load() == Session(STATE, None)
    assert VALUE.encode() not in kept.path.read_bytes()
    assert kept.path.stat().st_mode & 0o077 == 0
    assert kept.load() == Session(STATE, None)
    assert [path.name for path in kept.path.parent.iterdir()] == ["zhihu.json"]


def sealed(platform: str, secret: bytes = SECRET) -> bytes:
    inner = {"platform": platform, "logged_in_at": None, "state": STATE}
    token = box_for(secret, f"browser session of {platform}").encrypt(orjson.dumps(inner))
    return orjson.dumps({"format": "shengwen-session-1", "sealed": token.decode()})


def changed(data: bytes) -> bytes:
    """One character of the token is another one."""
    at = len(data) // 2
    return data[:at] + (b"A" if data[at : at + 1] != b"A" else b"B") + data[at + 1 :]


@pytest.mark.parametrize(
    "data",
    [
        sealed("zhihu", bytes(32)),
        sealed("jd"),
        sealed("zhihu")[:-40],
        changed(sealed("zhihu")),
        b'{"format": "shengwen-session-1"}',
        b'{"format": "shengwen-session-1", "sealed": 7}',
        b'{"format": "shengwen-session-1", "sealed": "\xe5\xa3\xb0"}',
        b"",
        b"[]",
        b'{"origins": []}',
        orjson.dumps(STATE)[:-9],
    ],
    ids=[
        *("another secret", "another platform's", "cut off", "changed", "no token", "a number", "no base64"),
        *("empty", "a list", "no cookies", "a plain one cut off"),
    ],
)
def test_what_cannot_be_opened_asks_for_a_new_login_and_tells_nothing(kept: SessionFile, data: bytes) -> None:
    kept.path.parent.mkdir()
    kept.path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"zhihu\.json.*重新运行 shengwen login zhihu") as raised:
        kept.load()
    assert kept.path.read_bytes() == data  # nothing was taken for plain
    assert VALUE not in "".join(traceback.format_exception(raised.value))
    error: BaseException | None = raised.value
    assert error is not None
    assert error.__cause__ is None


def test_no_representation_shows_a_cookie(kept: SessionFile) -> None:
    assert VALUE not in repr(Session(STATE, AT)) + repr(kept)
    assert "\\x00\\x01" not in repr(kept)


def test_a_login_made_during_a_run_is_not_overwritten_by_the_runs_end(kept: SessionFile) -> None:
    kept.save(Session(STATE, AT))
    loaded = kept.load()
    assert loaded is not None
    newer = {"cookies": [], "origins": []}
    assert kept.refresh(loaded, newer)
    assert kept.load() == Session(newer, AT)  # refreshed, and as old as it was
    kept.save(Session(STATE, AT.replace(day=3)))
    assert not kept.refresh(loaded, newer)
    assert kept.load() == Session(STATE, AT.replace(day=3))


def test_cookies_of_other_hosts_and_old_ones_stay_in_the_file() -> None:
    now = time.time()
    cookies = [
        {"name": "a", "value": "1", "domain": ".jd.com", "path": "/", "expires": now + 60},
        {"name": "b", "value": "2", "domain": "club.jd.com", "path": "/", "expires": -1},
        {"name": "old", "value": "3", "domain": ".jd.com", "path": "/", "expires": now - 60},
        {"name": "other", "value": "4", "domain": ".example.com", "path": "/"},
    ]
    session = Session({"cookies": cookies, "origins": []})
    assert [cookie["name"] for cookie in cookies_of(session, ["https://club.jd.com"])] == ["a", "b"]
    assert [cookie["name"] for cookie in cookies_of(session, [])] == ["a", "b", "other"]
