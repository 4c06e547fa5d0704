"""Mutated answers of every endpoint, for as long as one likes: ``python -m tests.fuzz.parsers --seconds 60``.

Promised is, for any bytes: a Page and never a crash; every draft sound; a refusal or an unknown shape with a reason;
bounded time and memory. A seed gives the same answers again, so a failure is repeated with ``--seed N --first N``.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from crawlers.decode import decode
from crawlers.fill import fill_of
from crawlers.parse import parse
from crawlers.payload import Page, Payload
from ingest.errors import PayloadError, Poison
from ingest.mention import Raw
from ingest.privacy import Privacy
from tests.crawlers.golden import GOLDEN, Golden

MAX_SECONDS = 5.0
"""For one answer of some kilobytes. It takes milliseconds: this tells a loop that grows from a busy machine."""
PRIVACY = Privacy(b"fuzzing: not an installation, thirty-two bytes")
STATUSES = (200,) * 60 + (0, 301, 400, 403, 404, 461, 500, 599)
HEADERS: tuple[dict[str, str], ...] = (
    {},
    {},
    {"content-type": "text/html; charset=GBK"},
    {"content-type": "application/json;charset=utf-8"},
    {"location": "https://passport.jd.com/new/login.aspx"},
    {"location": "http://[::"},
)
SCRAPS = (
    b"{", b"}", b"[", b"]", b'"', b"\\", b"\\u", b"\\ud83d", b",", b":", b"(", b")", b"undefined", b"void 0", b"NaN",
    b"1e999", b"-", b"null", b"<script>", b"</script>", b"<!--", b"window.__INITIAL_STATE__=", b"data:", b"%7B",
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe5", b"\x81", "\u202e".encode(), "追评".encode("gbk"), b"0x", b"/**/",
    b"\r\n1f\r\n",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 7.603286382429717e18, 10**40, -(10**40), 1e308, "", " ", "0", "1.5万", "95%",
    "2000+", "undefined", "null", "1e9", "2个月前", "昨天 20:11", "05-29", "9999-99-99", "0000-00-00 00:00",
    "\x00\u202e",
    "\ud83d", "<b>" * 30, "&#x110000;", "http://[", "//a.b/c", "x" * 3000, [], {}, [None], [[]], [1], {"id": {}},
    {"data": {}}, {"list": []}, [{"content": []}], "SUCCESS::", {"error": {"code": 40352}}, "{\"a\":1}",
)  # fmt: skip


def any_json(chance: random.Random, depth: int = 0) -> Any:
    """A value of any shape, of the words that payloads use."""
    if depth > 4 or chance.random() < 0.4:
        return copy.deepcopy(chance.choice(VALUES))
    if chance.random() < 0.5:
        return [any_json(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(WORDS): any_json(chance, depth + 1) for _ in range(chance.randrange(6))}


def _words() -> tuple[str, ...]:
    found: set[str] = set()
    for golden in GOLDEN:
        body = golden.payload().body
        for _, container, key in places(decode(body).value):
            if isinstance(container, dict):
                found.add(key)
    return tuple(sorted(found))


def places(value: Any, depth: int = 0) -> Iterator[tuple[int, Any, Any]]:
    """Every (depth, container, key) inside."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield depth, value, key
        yield from places(inner, depth + 1)


WORDS = _words()


def mutated(golden: Golden, chance: random.Random) -> bytes:
    """The golden answer with values, structure or bytes changed."""
    body = golden.payload().body
    if chance.random() < 0.7:
        value = copy.deepcopy(decode(body).value)
        for _ in range(chance.choice((1, 1, 1, 2, 4, 8))):
            _change(value, chance)
        body = _written(value, golden, chance)
    if chance.random() < 0.3:
        body = _garbled(body, chance)
    return body


def _change(value: Any, chance: random.Random) -> None:
    found = list(places(value))
    if not found:
        return
    _, node, key = chance.choice(found)
    kind = chance.randrange(7)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, dict):
        node[chance.choice(WORDS)] = node.pop(key)
    elif kind == 2 and isinstance(node, list):
        node.extend(copy.deepcopy(node[key]) for _ in range(chance.choice((1, 3, 40))))
    elif kind == 3:
        node[key] = [node[key]]
    elif kind == 4:
        _, other, name = chance.choice(found)
        node[key] = copy.deepcopy(other.get(name) if isinstance(other, dict) else None)
    elif kind == 5:
        node[key] = any_json(chance)
    else:
        node[key] = copy.deepcopy(chance.choice(VALUES))


def _written(value: Any, golden: Golden, chance: random.Random) -> bytes:
    """As JSON in one of the forms that carry it."""
    text = json.dumps(value, ensure_ascii=chance.random() < 0.5)
    form = chance.randrange(8)
    if form == 0:
        text = f"cb_{chance.randrange(99)}({text});"
    elif form == 1:
        text = f"<html><script>window.__INITIAL_STATE__={text.replace('null', 'undefined')}</script></html>"
    elif form == 2:
        text = f'<script id="js-initialData" type="text/json">{text}</script>'
    elif form == 3:
        text = json.dumps({"code": 200, "data": text if chance.random() < 0.3 else value})
    elif form == 4:
        text = f"{text}\r\n{text}"
    elif form == 5 and golden.platform == "douyin":
        text = f'<script id="RENDER_DATA">{text}</script>'
    return text.encode(chance.choice(("utf-8", "utf-8", "gb18030", "utf-16")), "replace")


def _garbled(body: bytes, chance: random.Random) -> bytes:
    garbled = bytearray(body)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        at = chance.randrange(len(garbled) + 1)
        kind = chance.randrange(5)
        if kind == 0 and garbled:
            garbled[min(at, len(garbled) - 1)] = chance.randrange(256)
        elif kind == 1:
            garbled[at:at] = chance.choice(SCRAPS)
        elif kind == 2:
            del garbled[at : at + chance.choice((1, 3, 50))]
        elif kind == 3:
            garbled[at:at] = garbled[at : at + 30] * chance.choice((1, 2, 50))
        else:
            garbled[at:at] = chance.choice(SCRAPS) * chance.choice((1, 5, 300))
    return bytes(garbled[: chance.randrange(len(garbled) + 1)] if chance.random() < 0.2 else garbled)


def case(number: int, seed: int) -> tuple[Golden, Payload]:
    """The ``number``-th answer of a seed."""
    chance = random.Random(f"{seed}:{number}")
    golden = chance.choice(GOLDEN)
    body = chance.randbytes(chance.randrange(400)) if chance.random() < 0.02 else mutated(golden, chance)
    url = golden.url if chance.random() < 0.6 else None if chance.random() < 0.7 else chance.choice(GOLDEN).url
    payload = Payload(
        url=url,
        status=chance.choice(STATUSES),
        headers=chance.choice(HEADERS),
        body=body,
        captured_at=golden.payload().captured_at,
        request_body=golden.posted if chance.random() < 0.7 else chance.randbytes(30),
    )
    return golden, payload


def faults(page: Page) -> list[str]:
    """What a page must never be."""
    found = []
    if page.reason.startswith("parser fault"):
        found.append(page.reason)
    if page.signal != "ok" and not page.reason:
        found.append(f"{page.signal} without a reason")
    if page.mentions and page.signal not in ("ok", "login_required"):
        found.append(f"records behind {page.signal}")
    for draft in page.mentions:
        if not isinstance(draft.native_id, str) or not draft.native_id:
            found.append(f"an id that is no text: {draft.native_id!r}")
        if draft.created_at is not None and draft.created_at.utcoffset() is None:
            found.append("a time without a zone")
        if draft.parent_native == f"{draft.kind}:{draft.native_id}":
            found.append("its own parent")
        if draft.empty_text and draft.text:
            found.append("an empty text with words")
    for problem in page.problems:
        if not problem.path or not problem.reason:
            found.append("a problem without path or reason")
        json.loads(problem.raw)
    fill = fill_of(page)
    if fill is not None and not all(0 <= share <= 1 for share in fill.shares().values()):
        found.append("a share outside 0-1")
    return found


def run(number: int, seed: int) -> tuple[str, list[str], float]:
    """Parse one answer: its signal, what is wrong, seconds of processor time."""
    golden, payload = case(number, seed)
    started = time.process_time()
    page = parse(golden.platform, payload)
    took = time.process_time() - started
    wrong = faults(page)
    if took > MAX_SECONDS:
        wrong.append(f"{took:.1f} s for {len(payload.body)} bytes")
    with suppress(PayloadError):  # the one error that a decoder may raise
        decode(payload.body, payload.headers)
    raw = Raw(url=None, captured_at=payload.captured_at, sha256=payload.sha256, parser=page.endpoint)
    for draft in page.mentions:
        with suppress(Poison):  # a field that is no mention's, named
            PRIVACY.seal(draft, raw)
    return page.signal, wrong, took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    until, number, failures, slowest = time.monotonic() + options.seconds, options.first, 0, 0.0
    signals: Counter[str] = Counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while time.monotonic() < until:
        signal, wrong, took = run(number, options.seed)
        signals[signal] += 1
        slowest = max(slowest, took)
        if wrong:
            failures += 1
            sys.stdout.write(f"--seed {options.seed} --first {number}: {'; '.join(wrong)}\n")
        number += 1
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    told = ", ".join(f"{signal} {count}" for signal, count in signals.most_common())
    sys.stdout.write(
        f"seed {options.seed}: {number - options.first} answers, {failures} failures; {told}; "
        f"slowest {slowest * 1000:.0f} ms; memory grew by {grown // 1024} MiB\n"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
