"""The registry: any platform's payload → a :class:`crawlers.payload.Page`.

Stop signals come first, also where they look like success. Then the endpoint is found by the request's address or,
without one (or when the body does not fit it), by the shape of the body itself, with wrappers of third parties (the
platform's body under ``data``) taken off.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from crawlers.decode import Decoded, decode, load_json
from crawlers.douyin.parser import DOUYIN
from crawlers.endpoint import Answer, Endpoint, Platform, Stop, address_of, request_params
from crawlers.jd.parser import JD
from crawlers.payload import STOP_SIGNALS, Page, Payload
from crawlers.reading import Reader
from crawlers.tmall.parser import TMALL
from crawlers.xiaohongshu.parser import XIAOHONGSHU
from crawlers.zhihu.parser import ZHIHU
from ingest.errors import PayloadError, UserError

logger = logging.getLogger(__name__)

_PARSERS: Final = {platform.name: platform for platform in (JD, TMALL, XIAOHONGSHU, DOUYIN, ZHIHU)}

PLATFORMS: Final = tuple(_PARSERS)
"""Names that :func:`parse` knows."""

MAX_WRAPPERS: Final = 3

_STATIC: Final = re.compile(
    r"\.(?:m?js|css|map|png|jpe?g|gif|webp|avif|svg|ico|woff2?|ttf|mp[34]|m4a|m3u8|ts|wasm)$", re.IGNORECASE
)

_STATUSES: Final = {
    401: Stop("login_required", "HTTP 401"),
    403: Stop("blocked", "HTTP 403"),
    429: Stop("throttled", "HTTP 429"),
    503: Stop("throttled", "HTTP 503"),
}


FAULTS: Final = frozenset({500, 502, 503, 504})
"""Statuses by which a server, or a gateway before it, says that it failed; by themselves they ask for no person."""


def server_failed(platform: str, payload: Payload) -> bool:
    """Whether an answer is a server's failure and nothing else: its body holds none of the platform's own words."""
    return payload.status in FAULTS and parse(platform, payload).reason == f"HTTP {payload.status}"


def parse(platform: str, payload: Payload) -> Page:
    """Read one payload. Never raises on what came from outside: signal and problems tell.

    Raises UserError for a platform that is not in :data:`PLATFORMS`.
    """
    known = _PARSERS.get(platform)
    if known is None:
        raise UserError(f"没有叫“{platform}”的平台，可用的有：{'、'.join(PLATFORMS)}")
    try:
        return _parse(known, payload)
    except Exception as error:  # the promise above: a fault of ours must not take a spider or an import down
        logger.exception("parser fault on a %s payload, sha256 %s", platform, payload.sha256)
        return Page(endpoint="unknown", signal="unknown", reason=f"解析程序出错：{type(error).__name__}")


def walled(platform: str, payload: Payload) -> bool:
    """Whether status, headers or redirects alone say that it is a wall: nothing of the body is needed."""
    known = _PARSERS[platform]
    return known.outside(payload) is not None or payload.status in known.statuses or payload.status in _STATUSES


def concerns(platform: str, payload: Payload, page: Page) -> bool:
    """Whether an answer that a page happened to load says anything of what is collected: some parser claims it, or it
    is a wall. A platform's scripts, beacons and unrelated data do not, whatever they look like."""
    if page.endpoint != "unknown":
        return True
    if page.signal not in STOP_SIGNALS or page.signal == "unknown" or _STATIC.search(_path(payload.url)):
        return False
    known = _PARSERS[platform]
    return page.reason not in (known.nothing.reason, known.page.reason)


def _path(url: str | None) -> str:
    try:
        return urlsplit(url or "").path
    except ValueError:
        return ""


def _parse(platform: Platform, payload: Payload) -> Page:
    params = request_params(payload)
    addressed = _by_address(platform, address_of(payload, params))
    name = addressed.name if addressed else "unknown"
    stop = platform.outside(payload)
    if stop is not None:
        return _stopped(name, stop)
    refused = _refusal_by_status(platform, payload)
    try:
        decoded = decode(payload.body, payload.headers)
    except PayloadError as error:
        return _stopped(name, refused or Stop("unknown", str(error)))
    if decoded.replaced:
        logger.info("%s: %d characters were no %s", name, decoded.replaced, decoded.charset)
    levels = list(_levels(platform, decoded))
    for level in levels:
        stop = platform.inside(decoded, level)
        if stop is not None:
            # A status says more than a body that is only known not to be a success.
            return _stopped(name, refused if refused and stop.signal == "unknown" else stop)
        if any(endpoint.fits(level) for endpoint in platform.endpoints):
            break  # a deeper level is this endpoint's own data, no envelope
    if refused is not None:
        return _stopped(name, refused)
    candidates = [(addressed, addressed.accepts or addressed.fits, level) for level in levels] if addressed else []
    candidates += [(endpoint, endpoint.fits, level) for level in levels for endpoint in platform.endpoints]
    for endpoint, fits, level in candidates:
        if fits(level):
            return endpoint.parse(Answer(payload, decoded, level, params))
    return _stopped(name, _no_data(platform, decoded, addressed))


def _by_address(platform: Platform, address: str) -> Endpoint | None:
    if not address:
        return None
    return next((e for e in platform.endpoints if e.address is not None and e.address.search(address)), None)


def _levels(platform: Platform, decoded: Decoded) -> Iterator[Reader]:
    """The body and what is under ``data`` inside it, outermost first."""
    value = decoded.value
    if decoded.form == "stream" and isinstance(value, list):
        value = platform.merge(value)
    level = Reader(value)
    yield level
    for _ in range(MAX_WRAPPERS):
        level = level["data"]
        if isinstance(level.value, str) and level.value.lstrip().startswith("{"):
            try:
                level = Reader(load_json(level.value), level.path)
            except PayloadError:
                return
        if not isinstance(level.value, dict):
            return
        yield level


def _refusal_by_status(platform: Platform, payload: Payload) -> Stop | None:
    status = payload.status
    if status < 400:
        return Stop("unknown", f"HTTP {status}，没有跟随的跳转") if 300 <= status < 400 else None
    known = platform.statuses.get(status) or _STATUSES.get(status)
    return known or Stop("unknown", f"HTTP {status}")


def _no_data(platform: Platform, decoded: Decoded, addressed: Endpoint | None) -> Stop:
    if decoded.form == "empty" or decoded.value == "":
        return platform.nothing
    if decoded.form == "html" and not decoded.state:
        return platform.page
    if addressed is not None:
        return Stop(addressed.misfit, "答复里缺少这个接口的根字段")
    return Stop("unknown", "认不出答复的结构")


def _stopped(endpoint: str, stop: Stop) -> Page:
    return Page(endpoint=endpoint, signal=stop.signal, reason=stop.reason)
