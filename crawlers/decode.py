"""Bytes of a platform's answer → one JSON value, whatever wraps it.

Read are: plain JSON; JSONP with any callback name, comments before it and junk behind it; an object literal with
bare ``undefined``; ``"key": …`` without its outer braces; HTML or a script that carries a state
(``window.__INITIAL_STATE__``, ``js-initialData``, URL-encoded ``RENDER_DATA``), or such a state alone; and a stream of
JSON pieces with length lines or ``data:`` between them.

What comes from outside is bounded first: :data:`MAX_BODY` bytes, :data:`MAX_DEPTH` levels.
"""

from __future__ import annotations

import contextlib
import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote

from ingest.errors import PayloadError

MAX_BODY: Final = 20_000_000
"""Bytes; the largest real answers are a few megabytes."""

MAX_DEPTH: Final = 100
"""Levels of nesting; real answers stay below 30."""

MAX_PIECES: Final = 2_000
"""JSON values in one stream."""

Form = Literal["json", "jsonp", "html", "script", "stream", "text", "empty"]
State = Literal["", "__INITIAL_STATE__", "js-initialData", "RENDER_DATA"]


@dataclass(frozen=True, slots=True)
class Decoded:
    """``value`` is what JSON gave: None for ``text``, ``empty`` and HTML without a state, a list for ``stream``.

    ``text`` is the whole body as text, ``charset`` how it was read, ``replaced`` how many characters could not be.
    ``state`` names the embedded state that ``value`` came from.
    """

    form: Form
    value: object
    text: str
    charset: str = "utf-8"
    replaced: int = 0
    state: State = ""


def decode(body: bytes, headers: Mapping[str, str] | None = None) -> Decoded:
    """Read an answer's body. Raises PayloadError when it is too large, too deep or broken JSON."""
    if len(body) > MAX_BODY:
        raise PayloadError(f"{len(body)} 字节，超过最多读的 {MAX_BODY} 字节", field="body")
    text, charset, replaced = decode_text(body, (headers or {}).get("content-type", ""))
    form, value, state = _read(text)
    return Decoded(form, value, text, charset, replaced, state)


def load_json(text: str) -> object:
    """A JSON object or list inside a text (a query parameter, a posted form). Raises PayloadError."""
    return _load_at(text.strip(_BLANK), 0)


def decode_text(body: bytes, content_type: str = "") -> tuple[str, str, int]:
    """Bytes → (text, charset used, characters replaced by U+FFFD).

    The label is a hint, not a fact: JD and Tmall have sent GBK labelled UTF-8 and the other way round.
    """
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _counted(body, "utf-16")
    label = re.search(r"charset\s*=\s*[\"']?([\w-]{1,40})", content_type, re.IGNORECASE)
    chinese = label is not None and label[1].lower().replace("-", "").replace("_", "") in ("gbk", "gb2312", "gb18030")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return _decode_broken(body)
    if chinese and _TWO_BYTES_ONLY.fullmatch(text) and not text.isascii():
        # Valid as both: Chinese in UTF-8 takes three bytes, so text of two-byte characters alone is GBK as labelled.
        with contextlib.suppress(UnicodeDecodeError):  # not GBK after all: the label was wrong, UTF-8 it is
            return body.decode("gb18030"), "gb18030", 0
    return text, "utf-8", 0


_TWO_BYTES_ONLY: Final = re.compile("[\x00-\u07ff]*")
_THREE_BYTES: Final = re.compile("[\u0800-\ufffc\U00010000-\U0010ffff]")


def _decode_broken(body: bytes) -> tuple[str, str, int]:
    # A cut or damaged UTF-8 body can be valid gb18030 by chance and would come out as mojibake: count before choosing.
    text = body.decode("utf-8-sig", "replace")
    broken = text.count("\ufffd")
    if len(_THREE_BYTES.findall(text)) >= 4 * broken:
        return text, "utf-8", broken
    return _counted(body, "gb18030")


def _counted(body: bytes, charset: str) -> tuple[str, str, int]:
    text = body.decode(charset, "replace")
    return text, charset, text.count("\ufffd")


_BLANK: Final = " \t\r\n\x00\ufeff"
_CALLBACK: Final = re.compile(
    r"(?:[\s;]|/\*.*?\*/)*+(?:typeof\s+[\w$.]++\s*===?\s*['\"]function['\"]\s*&&\s*)?(?:try\s*\{\s*)?"
    r"[A-Za-z_$][\w$.\[\]]{0,200}+\s*+\(",
    re.DOTALL,
)
_BARE_KEY: Final = re.compile(r'"[\w$]{1,60}"\s*+:')
_STREAM_GLUE: Final = re.compile(r"[\s;,]*+(?:[0-9a-fA-F]{1,8}\s++|(?:(?:event|id|retry):[^\n{]{0,100}\n|data:)\s*+)*+")
_ASSIGNED: Final = re.compile(r"(?:(?:var|let|const)\s++)?[A-Za-z_$][\w$.]{0,100}+\s*+=\s*+(?=[{\[])")
_STATE_ASSIGNED: Final = re.compile(r"(?:window|self|globalThis)\s*\.\s*__INITIAL_STATE__\s*=\s*")


def _read(text: str) -> tuple[Form, object, State]:
    body = text.strip(_BLANK)
    if not body:
        return "empty", None, ""
    if body[0] == "<":
        return _read_html(body)
    if body.startswith("%7B"):
        body = unquote(body)
        return "script", _load_at(body, 0), "RENDER_DATA"
    if body[0] in "{[":
        whole = _whole(body, 0)
        end = _end_of_value(body, 0) if whole is None else whole[1]
        if body[end:].strip(_BLANK + ";"):
            return "stream", _read_stream(body), ""
        return "json", _load(body[:end]) if whole is None else whole[0], ""
    if _BARE_KEY.match(body):
        closed = "{" + body.rstrip(";") + "}"
        return "json", _load(closed[: _end_of_value(closed, 0)]), ""
    assigned = _STATE_ASSIGNED.match(body)
    if assigned is not None:
        return "script", _load_at(body, assigned.end()), "__INITIAL_STATE__"
    assigned = _ASSIGNED.match(body)
    if assigned is not None:
        return "script", _load_at(body, assigned.end()), ""
    called = _CALLBACK.match(body)
    if called is not None:
        jsonp = _read_jsonp(body, called.end())
        if jsonp is not None:
            return "jsonp", jsonp[0], ""
    glue = _STREAM_GLUE.match(body)
    if glue is not None and glue.end() and body[glue.end() : glue.end() + 1] == "{":
        return "stream", _read_stream(body), ""
    try:
        return "json", _DECODER.decode(body), ""
    except ValueError:
        return "text", None, ""


def _read_jsonp(body: str, start: int) -> tuple[object] | None:
    """The argument of the call that begins before ``start``, or None when it is no JSON (then it was prose)."""
    while start < len(body) and body[start] in _BLANK:
        start += 1
    if body[start : start + 1] in ("{", "["):
        return (_load_at(body, start),)
    if _BARE_KEY.match(body, start):
        inside = "{" + body[start : body.rfind(")")] + "}"
        return (_load_at(inside, 0),)
    inside = body[start : body.rfind(")")].strip(_BLANK) if ")" in body[start:] else ""
    if not inside:
        return (None,)
    try:
        return (_DECODER.decode(inside),)
    except ValueError:
        return None


def _read_html(page: str) -> tuple[Form, object, State]:
    found = _STATE_ASSIGNED.search(page)
    if found is not None and page[found.end() : found.end() + 1] in ("{", "["):
        return "html", _load_at(page, found.end()), "__INITIAL_STATE__"
    inside = _script_by_id(page, "js-initialData")
    if inside is not None:
        inside = html.unescape(inside) if inside.startswith("{&quot;") else inside
        return "html", _load_at(inside, 0), "js-initialData"
    inside = _script_by_id(page, "RENDER_DATA")
    if inside is not None:
        return "html", _load_at(unquote(inside) if inside.startswith("%") else inside, 0), "RENDER_DATA"
    return "html", None, ""


def _script_by_id(page: str, name: str) -> str | None:
    """The content of ``<script id="name">``, or None. Plain searches, as a pattern could be made to run for ever."""
    at = page.find(name)
    for _ in range(20):
        if at < 0:
            return None
        opened = page.rfind("<", max(0, at - 500), at)
        closed = page.find(">", at, at + 500)
        if opened >= 0 and closed >= 0 and page[opened : opened + 7].lower() == "<script":
            end = page.find("</script", closed)
            return page[closed + 1 : end if end >= 0 else len(page)].strip(_BLANK)
        at = page.find(name, at + len(name))
    return None


def _read_stream(body: str) -> list[object]:
    """The values of a stream; a last piece that was cut off is left out, a first piece that is broken is an error."""
    values: list[object] = []
    at = 0
    while len(values) < MAX_PIECES:
        glue = _STREAM_GLUE.match(body, at)
        at = glue.end() if glue is not None else at
        if body[at : at + 1] not in ("{", "["):
            break
        try:
            end = _end_of_value(body, at)
            values.append(_load(body[at:end]))
        except PayloadError:
            if not values:
                raise
            break
        at = end
    if at < len(body) and not values:
        raise PayloadError("不是 JSON，也不是一串 JSON", field="body")
    return values


_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]', re.DOTALL)
_UNDEFINED: Final = re.compile(r'("[^"\\]*+(?:\\.[^"\\]*+)*+"?)|\b(?:undefined|void 0)\b', re.DOTALL)


def _end_of_value(text: str, start: int) -> int:
    """Where the object or list that begins at ``start`` ends. Raises PayloadError when it is too deep or never ends."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        first = token[0][0]
        if first == '"':
            continue
        if first in "{[":
            depth += 1
            if depth > MAX_DEPTH:
                raise PayloadError(f"嵌套超过 {MAX_DEPTH} 层", field="body")
        else:
            depth -= 1
            if depth <= 0:
                return token.end()
    raise PayloadError("JSON 没有结尾（答复被截断）", field="body")


def _load_at(text: str, start: int) -> object:
    if text[start : start + 1] not in ("{", "["):
        raise PayloadError("页面内嵌的数据不是 JSON 对象", field="body")
    whole = _whole(text, start)
    return _load(text[start : _end_of_value(text, start)]) if whole is None else whole[0]


def _whole(text: str, start: int) -> tuple[object, int] | None:
    """The value at ``start`` and its end, for JSON that is as it should be: nearly all of it. None for any other, which
    the slow way either reads or names the fault of."""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    layer = [value]
    for _ in range(MAX_DEPTH):
        layer = [
            child
            for node in layer
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not layer:
            return value, end
    return None


def _load(text: str) -> object:
    try:
        return _DECODER.decode(text)
    except ValueError as error:
        if "undefined" not in text and "void 0" not in text:
            raise PayloadError(f"JSON 在第 {getattr(error, 'pos', None)} 个字符处损坏", field="body") from error
    try:
        return _DECODER.decode(_UNDEFINED.sub(lambda m: m[1] or "null", text))
    except ValueError as error:
        raise PayloadError(f"JSON 在第 {getattr(error, 'pos', None)} 个字符处损坏", field="body") from error


def _integer(digits: str) -> int | float:
    # No id or count is longer; a million digits would take quadratic time. A float is refused wherever an id is read.
    return int(digits) if len(digits) <= 30 else _fraction(digits)


def _fraction(digits: str) -> float:
    return max(-1e308, min(1e308, float(digits)))  # never infinite: it could not be written as JSON again


_DECODER: Final = json.JSONDecoder(
    parse_int=_integer, parse_float=_fraction, parse_constant=lambda _name: None, strict=False
)
