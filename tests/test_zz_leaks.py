"""Run last (see conftest.py): what the other tests left behind in this process."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.log.sqlite import SqliteLog
from tests.processes import Nursery
from tests.servers.elastic import ElasticServer
from tests.servers.kafka import KafkaServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def left_threads() -> list[str]:
    """Threads that keep the process from ending."""
    return [t.name for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]


def left_children() -> list[str]:
    """Command lines of child processes, zombies among them, but for what a fixture is about to close."""
    found = []
    for listing in Path("/proc/self/task").glob("*/children"):
        for pid in listing.read_text().split():
            if int(pid) not in Nursery.open_now | KafkaServer.running | ElasticServer.running:
                command = Path(f"/proc/{pid}/cmdline")
                words = command.read_bytes() if command.exists() else b""
                found.append(f"{pid}: {words.replace(bytes(1), b' ').decode(errors='replace')}")
    return found


def left_files() -> list[str]:
    """Open database, write-ahead and lock files, deleted ones among them."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(link)
        except OSError:  # the listing's own descriptor
            continue
        name = target.removesuffix(" (deleted)")
        if name.endswith((".db", ".db-wal", ".db-shm", ".sqlite", ".sqlite3")) or ".groups/" in name:
            found.append(target)
    return found


def settled(left: Callable[[], list[str]]) -> list[str]:
    """What is still left after the collector ran and a short grace for what is just ending."""
    deadline = time.monotonic() + 3.0
    while True:
        gc.collect()
        found = left()
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def test_no_thread_is_left() -> None:
    assert settled(left_threads) == []


def test_no_child_process_is_left() -> None:
    assert settled(left_children) == []


def test_no_database_is_left_open() -> None:
    assert settled(left_files) == []


def test_the_looks_would_find_something(tmp_path: Path) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="left behind")
    thread.start()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with SqliteLog(tmp_path / "log.db") as log, log.consumer("mentions.collected", "g"):
        try:
            assert left_threads() == ["left behind"]
            assert len(left_children()) == 1
            assert {Path(name).suffix for name in left_files()} >= {".db", ".db-wal"}
            assert any(".groups/" in name for name in left_files())
        finally:
            stop.set()
            thread.join()
            child.communicate(b"\n")
