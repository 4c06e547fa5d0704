"""The faults, each with what a spider can still get and how it must count it, whatever the platform.

Reach: ``all`` · ``hole`` this page's records are lost, and all that follow where pages are not asked for by number ·
``gap`` only this page's, whatever the list · ``after`` the page is
read, what follows it in the list cannot be reached · ``before`` neither this page nor what follows it · ``stop`` the
platform is left at once.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal

from tests.crawlers.courses import Course
from tests.crawlers.trouble import RESET, Answered, Spoil, Turn, endless, once

Reach = Literal["all", "hole", "gap", "after", "before", "stop"]

MAX_BYTES = 400_000
"""A spider's limit in these tests; the largest good answer is a tenth of it."""
BOMB = 64 * 1024 * 1024
"""Bytes in a bomb that is small on the wire."""


@dataclass(frozen=True, slots=True)
class Fault:
    """``make`` gives what is sent, for one list. ``says`` must be found in status, signal and reason of the target's
    coverage. ``whole``: every page of the list is touched, not only the one in the middle. ``lost``: records of the
    page that cannot be read: dead letters."""

    name: str
    reach: Reach
    says: str
    make: Callable[[Course], Spoil]
    whole: bool = False
    lost: tuple[int, ...] = ()
    slow: bool = False
    wire: bool = False
    """A fault of the transport, below what a platform says."""
    where: Mapping[str, Reach] = field(default_factory=dict, hash=False)
    """Lists where it means something else."""

    def reach_in(self, course: str) -> Reach:
        return self.where.get(course, self.reach)

    mild: bool = False
    """The platform's own word for an end, or for something that is gone."""

    def believed_in(self, course: str) -> bool:
        """Whether the spider must take it for the list's end: what is behind it is found by the next full pass."""
        return (self.mild or course in self.where) and self.reach_in(course) == "before"

    def told_in(self, course: str) -> str:
        """A pattern for status, signal and reasons."""
        return "complete|partial" if course in self.where else self.says


# -- broken on the wire ---------------------------------------------------------------------------------------------


def _half(turn: Turn) -> Iterable[bytes]:
    return (turn.good.head(), turn.good.body[: len(turn.good.body) // 2])


def _reset(turn: Turn) -> Iterable[bytes]:
    return (turn.good.head(), turn.good.body[:20], RESET)


def _chunked(turn: Turn, *pieces: bytes) -> Iterable[bytes]:
    return (turn.good.headed(Transfer_Encoding="chunked").head(length=False), *pieces)


def _cut_chunk(turn: Turn) -> Iterable[bytes]:
    half = turn.good.body[: len(turn.good.body) // 2]
    return _chunked(turn, f"{len(turn.good.body):x}\r\n".encode(), half)


def _no_last_chunk(turn: Turn) -> Iterable[bytes]:
    body = turn.good.body
    return _chunked(turn, f"{len(body):x}\r\n".encode(), body, b"\r\n")


def _bad_chunk(turn: Turn) -> Iterable[bytes]:
    return _chunked(turn, b"zz\r\n", turn.good.body, b"\r\n0\r\n\r\n")


def _packed(turn: Turn, coding: str, body: bytes) -> Answered:
    return replace(turn.good.headed(Content_Encoding=coding), body=body)


@cache
def _packed_zeros() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = bytes(1024 * 1024)
    return b"".join(packer.compress(piece) for _ in range(BOMB // len(piece))) + packer.flush()


def _bomb(turn: Turn) -> Answered:
    return _packed(turn, "gzip", _packed_zeros())


def _endless(turn: Turn) -> Iterator[bytes]:
    head = turn.good.headed(Transfer_Encoding="chunked").head(length=False)
    return endless(turn.over, head, b"4000\r\n" + b" " * 0x4000 + b"\r\n")


def _drip(turn: Turn) -> Iterator[bytes]:
    head = replace(turn.good, body=bytes(100_000)).head()
    return endless(turn.over, head, b" ", pause=0.2)


def _silent(turn: Turn) -> Iterator[bytes]:
    turn.over.wait(30)
    yield b""


def _endless_header(turn: Turn) -> Iterator[bytes]:
    return endless(turn.over, b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 0x4000)


def _transport() -> Iterator[Fault]:
    def hole(name: str, spoil: Spoil, *, slow: bool = False, says: str = "partial|failed") -> Fault:
        return Fault(name, "hole", says, lambda _: spoil, slow=slow, wire=True)

    def well(name: str, spoil: Spoil) -> Fault:
        return Fault(name, "all", "complete", lambda _: spoil, wire=True)

    yield hole("half_body", _half)
    yield hole("reset", _reset)
    yield hole("no_answer", lambda _: ())
    yield hole("cut_chunk", _cut_chunk)
    yield hole("no_last_chunk", _no_last_chunk)
    yield hole("bad_chunk", _bad_chunk)
    yield hole("gzip_bomb", _bomb, says="too_large")
    yield hole("endless", _endless, says="too_large")
    yield hole("long_length", lambda turn: (replace(turn.good, body=bytes(10**6)).head(), b"{"), says="too_large")
    yield hole("no_number_length", lambda turn: (turn.good.headed(Content_Length="many").head(length=False), b"{}"))
    yield hole("not_http", lambda _: (b"SSH-2.0-OpenSSH_9.6\r\n\r\n",))
    yield hole("endless_header", _endless_header)
    yield hole("bad_deflate", lambda turn: _packed(turn, "deflate", b"\xff" * 300))
    yield hole("silent", _silent, slow=True)
    yield hole("drip", _drip, slow=True)
    yield well("half_body_once", once(_half))
    yield well("reset_once", once(_reset))
    yield well("no_answer_once", once(lambda _: ()))
    yield well("gzip", lambda turn: _packed(turn, "gzip", gzip.compress(turn.good.body)))
    yield well("deflate", lambda turn: _packed(turn, "deflate", zlib.compress(turn.good.body)))
    yield well("chunked", lambda turn: _chunked(turn, *_split(turn.good.body), b"0\r\n\r\n"))
    yield well("many_headers", lambda turn: turn.good.headed(**{f"X-{n}": "y" * 40 for n in range(80)}))


def _split(body: bytes) -> Iterator[bytes]:
    for begin in range(0, len(body), 1000):
        piece = body[begin : begin + 1000]
        yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


# -- an answer that is no data --------------------------------------------------------------------------------------


def _said(body: bytes | str, kind: str = "application/json", status: int = 200, **headers: str) -> Spoil:
    raw = body.encode() if isinstance(body, str) else body
    named = (("Content-Type", kind), *((name.replace("_", "-"), value) for name, value in headers.items()))
    return lambda _: Answered(raw, status, named)


def _circle(turn: Turn) -> Answered:
    return Answered(b"", 302, (("Location", turn.asked.target),))


def _stops() -> Iterator[Fault]:
    def stop(name: str, spoil: Spoil) -> Fault:
        return Fault(name, "stop", "stopped (unknown|blocked|throttled|verification|login_required)", lambda _: spoil)

    page = "<!doctype html><html><head><title>页面</title></head><body>系统繁忙，请稍后再试</body></html>"
    yield stop("short_length", lambda turn: replace(turn.good, body=turn.good.body[: len(turn.good.body) // 2]))
    yield stop("bad_gzip", lambda turn: _packed(turn, "gzip", b"\x1f\x8b\x08\x00" + b"nonsense" * 40))
    yield stop("html", _said(page, "text/html"))
    yield stop("html_as_json", _said(page))
    yield stop("nothing", _said(b""))
    yield stop("no_content", lambda _: (b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",))
    yield stop("null", _said("null"))
    yield stop("empty_object", _said("{}"))
    yield stop("other_object", _said('{"hello": "world"}'))
    yield stop("list", _said("[1, 2]"))
    yield stop("deep", _said("[" * 5_000 + "]" * 5_000))
    yield stop("noise", _said(bytes(range(128, 256)) * 20, "application/octet-stream"))
    yield stop("redirect_circle", _circle)
    yield stop("redirect_away", _said(b"", status=302, Location="https://example.com/ads"))
    yield stop("not_modified", _said(b"", status=304))
    for status in (400, 403, 429):
        yield stop(f"http_{status}", _said(b"", status=status))


def _failing_servers() -> Iterator[Fault]:
    """A gateway's trouble is nobody's refusal: the page is lost for this run, and no person is called."""
    gateway = "<html><head><title>Bad Gateway</title></head><body>nginx</body></html>"
    for status, body in ((500, b""), (502, gateway.encode()), (503, b"upstream error"), (504, b"")):
        yield Fault(f"http_{status}", "hole", f"http_{status}", _everywhere(_said(body, "text/html", status)))
    later = _said(b"", status=503, Retry_After="3600")
    yield Fault("http_503_later", "hole", "http_503", _everywhere(later))
    yield Fault("http_502_once", "all", "complete", _everywhere(once(_said(gateway, "text/html", 502))))


def _everywhere(spoil: Spoil) -> Callable[[Course], Spoil]:
    """The same for every list."""
    return lambda _: spoil


# -- data, but not as they should be --------------------------------------------------------------------------------


def _edit(change: Callable[[list[Any]], None]) -> Callable[[Course], Spoil]:
    """A page with its records changed in place."""

    def make(course: Course) -> Spoil:
        def spoil(turn: Turn) -> Answered:
            data = turn.good.data
            change(course.records(data))
            return turn.good.saying(data)

        return spoil

    return make


def _without_what_may_lack(course: Course) -> Spoil:
    def change(records: list[Any]) -> None:
        for record in records:
            record.update({name: None for name in course.optional if name in record})

    return _edit(change)(course)


def _two_nulls(records: list[Any]) -> None:
    records[1] = records[4] = None


def _twice(records: list[Any]) -> None:
    records.extend(json.loads(json.dumps(records)))


def _odd_ids(course: Course) -> Spoil:
    def change(records: list[Any]) -> None:
        for n, wrong in ((2, 1.5e18), (5, None), (6, {"a": 1})):
            _holder(records[n], course.native_id)[course.native_id] = wrong

    return _edit(change)(course)


def _holder(record: Any, number: str) -> Any:
    return record["target"] if number not in record or "target" in record else record


def _claims(value: Any) -> Callable[[Course], Spoil]:
    def make(course: Course) -> Spoil:
        def spoil(turn: Turn) -> Answered:
            data = turn.good.data
            course.claim(data, value)
            return turn.good.saying(data)

        return spoil

    return make


def _remembering(decide: Callable[[Course, Turn, int, dict[int, list[Any]]], Answered]) -> Callable[[Course], Spoil]:
    """A fault that knows the good records of the pages before."""

    def make(course: Course) -> Spoil:
        pages: dict[int, list[Any]] = {}

        def spoil(turn: Turn) -> Answered:
            index = course.index(turn.asked.params)
            found = course.records(turn.good.data)
            if index not in pages:
                pages[index] = found
            return decide(course, turn, index, pages)

        return spoil

    return make


MIDDLE = 1
"""The page in the middle, from 0."""


def _stuck(course: Course, turn: Turn, index: int, pages: dict[int, list[Any]]) -> Answered:
    data = turn.good.data
    if index >= MIDDLE:
        course.records(data)[:] = pages[MIDDLE - 1]
        course.promise(data, turn.asked.params)
    return turn.good.saying(data)


def _shifted(course: Course, turn: Turn, index: int, pages: dict[int, list[Any]]) -> Answered:
    """Three newer ones came on top while the list was read: all that follow slide down."""
    data = turn.good.data
    if index >= MIDDLE and pages.get(index - 1):
        records = course.records(data)
        last = not pages[index] or len(pages[index]) < len(pages[0])
        records[:] = pages[index - 1][-3:] + (pages[index] if last else pages[index][:-3])
    return turn.good.saying(data)


def _never_ends(course: Course, turn: Turn, index: int, pages: dict[int, list[Any]]) -> Answered:
    """The last page comes for ever, and each promises another one."""
    data = turn.good.data
    if not pages[index]:
        course.records(data)[:] = pages[max(n for n in pages if pages[n])]
    course.promise(data, turn.asked.params)
    return turn.good.saying(data)


def _loops(course: Course) -> Spoil:
    def spoil(turn: Turn) -> Answered:
        data = turn.good.data
        assert course.loop is not None
        course.loop(data)
        return turn.good.saying(data)

    return spoil


def _lost_way(turn: Turn) -> Answered:
    """Zhihu promises more and does not say how to get it."""
    return turn.good.saying(turn.good.data | {"paging": {"is_end": False, "next": ""}})


def _charset(turn: Turn) -> Answered:
    """The header names one, the body is in the other."""
    other = "utf-8" if turn.good.charset == "gb18030" else "gb18030"
    return replace(turn.good, body=turn.good.body.decode(turn.good.charset).encode(other))


def _content() -> Iterator[Fault]:
    def well(name: str, make: Callable[[Course], Spoil], *, whole: bool = False) -> Fault:
        return Fault(name, "all", "complete|partial", make, whole)

    yield well("wrong_charset", lambda _: _charset)
    yield well("byte_order_mark", lambda _: lambda turn: replace(turn.good, body=_marked(turn.good)))
    yield well("no_content_type", lambda _: lambda turn: replace(turn.good, headers=()))
    yield well("charset_nonsense", lambda _: lambda turn: turn.good.headed(Content_Type="text/html; charset=klingon"))
    yield well("null_fields", _without_what_may_lack)
    yield Fault("two_nulls", "all", "complete|partial", _edit(_two_nulls), lost=(1, 4))
    yield Fault("odd_ids", "all", "complete|partial", _odd_ids, lost=(2, 5, 6))
    yield Fault("all_nulls", "stop", "stopped unknown", _edit(lambda records: records.__setitem__(
        slice(None), [None] * len(records))))  # fmt: skip
    # What JD documents as the end; and Zhihu says itself where it goes on.
    jd: dict[str, Reach] = {"jd questions": "before", "jd answers": "before"}
    zhihu: dict[str, Reach] = {f"zhihu {name}": "gap" for name in ("answers", "comments", "replies")}
    yield Fault("empty_page", "stop", "stopped unknown", _edit(list.clear), where=jd | zhihu)
    yield well("twice_in_a_page", _edit(_twice))
    yield well("claims_few", _claims(3), whole=True)
    yield well("claims_many", _claims(99_999), whole=True)
    yield well("claims_text", _claims("10万+"), whole=True)
    yield well("claims_nonsense", _claims({"a": -1}), whole=True)
    yield well("shifted", _remembering(_shifted), whole=True)
    yield well("never_ends", _remembering(_never_ends), whole=True)
    yield Fault("stuck", "before", "complete|partial", _remembering(_stuck), whole=True)
    # Tmall's pages go by number: one that tells a wrong number does not mislead.
    yield Fault("lost_way", "after", "partial .*缺少 paging.next", lambda _: _lost_way)
    yield Fault("points_back", "after", "complete|partial", _loops, where={"tmall reviews": "all"})


def _marked(good: Answered) -> bytes:
    mark = "\ufeff".encode(good.charset)
    return mark + good.body


FAULTS: tuple[Fault, ...] = (*_transport(), *_failing_servers(), *_stops(), *_content())
