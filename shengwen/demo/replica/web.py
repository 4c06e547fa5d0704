"""How the replica answers: pages, JSON, JSONP in the platform's charset, and the context every endpoint shares."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from ingest.clock import BEIJING, Clock
from shengwen.demo.cast import INVENTED, Platform
from shengwen.demo.items import Item
from shengwen.demo.replica.signing import Signer
from shengwen.demo.story import Story

HERE: Final = Path(__file__).parent
_CALLBACK: Final = re.compile(r"[A-Za-z_$][\w$.]{0,63}")
MAX_FORM: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Stage:
    """What endpoints work on: the story, the time, and the page's signatures."""

    story: Story
    clock: Clock
    signer: Signer

    def visible(self, platform: Platform) -> list[Item]:
        """What the platform shows now, newest first."""
        shown = [item for item in self.story.visible(self.clock.now()) if item.platform == platform]
        shown.reverse()
        return shown


@cache
def environment() -> Environment:
    """The page templates beside this module; everything is escaped."""
    made = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    made.globals["invented"] = INVENTED
    return made


def page(template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **context: Any) -> Response:
    """An HTML page from a template."""
    body = environment().get_template(template).render(**context)
    return Response(body, status, dict(headers or {}), media_type="text/html")


def answer(data: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON in UTF-8."""
    more = {"content-type": "application/json; charset=utf-8"} | dict(headers or {})
    return Response(orjson.dumps(data), status, more)


def jsonp(request: Request, data: Any, *, charset: str = "utf-8", closing: str = ";") -> Response:
    """JSON inside the request's ``callback``, or plain when it has none. ``charset`` "GBK" is written as gb18030."""
    name = request.query_params.get("callback", "")
    text = orjson.dumps(data).decode()
    if _CALLBACK.fullmatch(name):
        text = f"{name}({text}){closing}"
        kind = "application/javascript"
    else:
        kind = "application/json"
    # GB 18030 is a superset of GBK; a browser reads "GBK" with the same decoder, emoji included.
    body = text.encode("gb18030" if charset == "GBK" else charset)
    return Response(body, headers={"content-type": f"{kind};charset={charset}"})


def number(request: Request, name: str, default: int, *, low: int = 0, high: int = 10_000) -> int:
    """A query parameter as a whole number within bounds; the default when it is none."""
    return bounded(request.query_params.get(name), default, low=low, high=high)


def bounded(raw: object, default: int, *, low: int = 0, high: int = 10_000) -> int:
    """A number from outside within bounds; the default when it is none."""
    text = str(raw)
    if not re.fullmatch(r"-?\d{1,9}", text, re.ASCII):
        return default
    return max(low, min(high, int(text)))


async def posted_json(request: Request) -> dict[str, Any]:
    """The JSON object in a request's body; empty when it is none or too large."""
    body = await request.body()
    if len(body) > MAX_FORM:
        return {}
    return as_object(body)


async def posted_form(request: Request) -> dict[str, str]:
    """The fields of a urlencoded body, each once; empty when it is too large or no text."""
    body = await request.body()
    if len(body) > MAX_FORM:
        return {}
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def as_object(raw: bytes | str) -> dict[str, Any]:
    """A JSON object, or an empty one."""
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return data if isinstance(data, dict) else {}


def beijing(at: datetime, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """An instant as the shops write it."""
    return at.astimezone(BEIJING).strftime(form)


def seconds(at: datetime) -> int:
    return int(at.timestamp())


def millis(at: datetime) -> int:
    return int(at.timestamp()) * 1000


def under(items: Iterable[Item], parent: str, *, roots: bool = True) -> list[Item]:
    """The root comments (or all) that hang under a post, in the order given."""
    return [item for item in items if item.parent_id == parent and not (roots and item.root_id)]


def replies(items: Iterable[Item], root: str) -> list[Item]:
    """The replies under a root comment, oldest first."""
    return sorted((item for item in items if item.root_id == root), key=lambda item: (item.created_at, item.native_id))


def find(items: Iterable[Item], native_id: str, *kinds: str) -> Item | None:
    """The item of one of these kinds with this id."""
    return next((item for item in items if item.native_id == native_id and item.kind in kinds), None)


def says(items: Iterable[Item], keyword: str) -> list[Item]:
    """Items whose title or text contains every word of the keyword."""
    words = keyword.lower().split()
    return [item for item in items if words and all(word in (item.title + item.text).lower() for word in words)]


def after(items: Sequence[Item], cursor: str) -> Sequence[Item]:
    """What follows the item that a cursor names; all for an empty or unknown cursor."""
    for index, item in enumerate(items):
        if item.native_id == cursor:
            return items[index + 1 :]
    return items


def picture(item: Item, index: int) -> str:
    """Path of an invented picture (a small SVG made on the fly)."""
    return f"/_pictures/{item.native_id}/{index}.svg"
