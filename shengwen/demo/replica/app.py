"""Puts the five platforms together: one app, one port, each real host under its own prefix.

See :mod:`shengwen.demo.settings` for the table of prefixes. Beside the platforms:

    /                      what there is, with links
    /robots.txt            and below every prefix: everything may be read
    /_switch               names of the switches; POST /_switch/{platform} sets one
    /_truth                ids that are visible now, by platform and kind
    /_pictures/{id}/{n}.svg   invented pictures
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from ingest.clock import Clock
from shengwen.demo.cast import KEYWORDS, MODELS, NAMES, PLATFORMS, ZHIHU_ARTICLES, ZHIHU_QUESTIONS, Platform
from shengwen.demo.replica import douyin, jd, tmall, xiaohongshu, zhihu
from shengwen.demo.replica.signing import Signer
from shengwen.demo.replica.switches import Switches
from shengwen.demo.replica.web import HERE, Stage, answer, page, posted_form, posted_json
from shengwen.demo.settings import LOGIN_COOKIES, LOGIN_PATHS, PREFIXES
from shengwen.demo.story import Story

_STATIC: Final = {"demo.css": "text/css", "demo.js": "text/javascript", "zhihu.js": "text/javascript"}
_LOCAL: Final = re.compile(r"/(?![/\\])[\x21-\x7e]{0,800}")


def replica_routes(story: Story, clock: Clock, switches: Switches, signer: Signer | None = None) -> list[Route]:
    """Every route of the replica, to be mounted at the root of an app."""
    stage = Stage(story, clock, signer or Signer(clock))
    shared = _Shared(stage, switches)
    made = [
        Route("/", shared.index),
        Route("/_truth", shared.truth),
        Route("/_switch", shared.switch_names),
        Route("/_switch/{platform}", shared.switch, methods=["POST"]),
        Route("/_static/{name}", shared.static),
        Route("/_pictures/{native_id}/{index}.svg", shared.picture),
    ]
    made += [Route(f"{prefix}/robots.txt", shared.robots) for prefix in ("", *_prefixes())]
    for platform in PLATFORMS:
        made += [
            Route(LOGIN_PATHS[platform], shared.login_form(platform), methods=["GET"]),
            Route(LOGIN_PATHS[platform], shared.login(platform), methods=["POST"]),
        ]
    made += [Route(path, shared.gone(site)) for path, site in _DEAD_ENDS.items()]
    for module in (jd, tmall, xiaohongshu, douyin, zhihu):
        made += module.routes(stage, switches)
    return made


_DEAD_ENDS: Final = {
    "/jd/www/": "京东",
    "/jd/cfe/privatedomain/risk_handler/03101900/": "京东验证",
    "/tmall/h5api/_____tmd_____/punish": "天猫验证",
    "/zhihu/account/unhuman": "知乎安全验证",
}
"""Where refusals redirect to."""


def _prefixes() -> list[str]:
    return [prefix for hosts in PREFIXES.values() for prefix in hosts.values()]


class _Shared:
    def __init__(self, stage: Stage, switches: Switches) -> None:
        self._stage, self._switches = stage, switches

    async def index(self, _: Request) -> Response:
        links: dict[Platform, list[tuple[str, str]]] = {
            "jd": [(f"/jd/item/{model.jd_skus[0]}.html", model.short) for model in MODELS],
            "tmall": [(f"/tmall/detail/item.htm?id={model.tmall_item}", model.short) for model in MODELS],
            "xiaohongshu": [(f"/xhs/search_result?keyword={word}", f"搜索“{word}”") for word in KEYWORDS],
            "douyin": [(f"/douyin/search/{word}", f"搜索“{word}”") for word in KEYWORDS],
            "zhihu": [(f"/zhihu/question/{number}", self._title(number)) for number in ZHIHU_QUESTIONS]
            + [(f"/zhihu/zhuanlan/p/{number}", self._title(number)) for number in ZHIHU_ARTICLES],
        }
        platforms = [
            {"name": NAMES[name], "links": [{"href": href, "text": text} for href, text in links[name]]}
            for name in PLATFORMS
        ]
        return page("index.html", seed="", platforms=platforms)

    def _title(self, native_id: str) -> str:
        found = (item.title for item in self._stage.visible("zhihu") if item.native_id == native_id)
        return next(found, native_id)

    async def truth(self, _: Request) -> Response:
        now = self._stage.clock.now()
        shown: dict[str, dict[str, list[str]]] = {name: {} for name in PLATFORMS}
        for item in self._stage.story.visible(now):
            shown[item.platform].setdefault(item.kind, []).append(item.native_id)
        return answer({"now": now.isoformat(), "platforms": shown})

    async def switch_names(self, _: Request) -> Response:
        listed: dict[str, Any] = {}
        for name in PLATFORMS:
            setting = self._switches.get(name)
            listed[name] = {"answers": self._switches.names(name), "answer": setting.answer, "login": setting.login}
        return answer(listed)

    async def switch(self, request: Request) -> Response:
        platform, body = request.path_params["platform"], await posted_json(request)
        if platform not in PLATFORMS:
            return answer({"error": "no such platform"}, status=404)
        chosen = body.get("answer")
        if chosen is not None and chosen not in self._switches.names(platform):
            return answer({"error": "no such answer", "answers": list(self._switches.names(platform))}, status=400)
        self._switches.set(platform, answer=chosen, login=bool(body.get("login", False)))
        return answer({"answer": chosen, "login": bool(body.get("login", False))})

    def login_form(self, platform: Platform) -> Any:
        """The platform's login page."""

        async def form(request: Request) -> Response:
            back = _local(request.query_params.get("redirect", ""))
            return page("login.html", seed="", name=NAMES[platform], action=LOGIN_PATHS[platform], back=back)

        return form

    def login(self, platform: Platform) -> Any:
        """Any account will do: sets the cookie and leads back."""

        async def posted(request: Request) -> Response:
            form = await posted_form(request)
            done = RedirectResponse(_local(form.get("redirect", "")), 303)
            done.set_cookie(
                LOGIN_COOKIES[platform], self._switches.session(platform), path="/", httponly=True, samesite="lax"
            )
            if platform == "douyin":
                done.set_cookie("LOGIN_STATUS", "1", path="/", samesite="lax")
            return done

        return posted

    def gone(self, site: str) -> Any:
        """A page that says nothing."""

        async def shown(_: Request) -> Response:
            return page("gone.html", seed="", site=site)

        return shown

    async def robots(self, _: Request) -> Response:
        return PlainTextResponse("User-agent: *\nAllow: /\n")

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _STATIC:
            return Response(b"", 404)
        return FileResponse(HERE / name, media_type=_STATIC[name], headers={"cache-control": "no-cache"})

    async def picture(self, request: Request) -> Response:
        digest = sha256(f"{request.path_params['native_id']}/{request.path_params['index']}".encode()).digest()
        hue, columns = digest[0] * 360 // 256, 4 + digest[1] % 6
        bars = "".join(
            f'<rect x="{14 + n * 100 / columns:.0f}" y="34" width="6" height="72" rx="3"/>' for n in range(columns)
        )
        drawn = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 128 140"><rect width="128" height="140" '
            f'fill="hsl({hue} 30% 86%)"/><g fill="hsl({hue} 25% 42%)">'
            f'<rect x="10" y="30" width="108" height="6" rx="3"/>'
            f'<rect x="10" y="104" width="108" height="6" rx="3"/>{bars}</g>'
            f'<text x="64" y="130" font-size="9" '
            f'text-anchor="middle" fill="hsl({hue} 20% 35%)">演示图片</text></svg>'
        )
        return Response(drawn, media_type="image/svg+xml", headers={"cache-control": "max-age=86400"})


def _local(path: str) -> str:
    """A path on this server, or the front page: a login never leads elsewhere."""
    return path if _LOCAL.fullmatch(path) else "/"
