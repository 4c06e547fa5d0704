"""Douyin's open platform: comments and replies below the videos of one's own account.

The account's owner grants an access token (15 days); an expired one is refreshed where ``client_key`` and
``refresh_token`` are set. The token of a refresh stays valid at the platform, so nothing of it has to be stored.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

import httpx
import orjson

from crawlers.config import Platform
from crawlers.kit import Kit
from crawlers.ledger import ListState
from crawlers.official.api import OfficialApi, Tally, Target
from crawlers.official.client import ApiRefused, Call, Refusal, text_of
from crawlers.official.config import DouyinSettings
from crawlers.payload import Payload
from ingest.errors import Unavailable

REAL: Final = "https://open.douyin.com"
COMMENTS: Final = "/item/comment/list/"
REPLIES: Final = "/item/comment/reply/list/"
VIDEOS: Final = "/api/douyin/v1/video/video_list/"
REFRESH: Final = "/oauth/refresh_token/"
PAGE: Final = 50
VIDEO_PAGE: Final = 20
EXPIRED: Final = frozenset({"10008", "2190008", "28001008"})
_TOKEN: Final = frozenset({"2190002", "28001003", "28001005", "10010", "10020"})
_GRANT: Final = frozenset({"2190003", "2190004", "2190015", "28001014", "28001018", "28001019", "10004"})
_RATE: Final = frozenset({"2190006", "28001006"})
_QUOTA: Final = frozenset({"28003017", "2190016"})
_BUSY: Final = frozenset({"2100004", "28001016", "2190001"})


class Douyin(OfficialApi):
    """One run: the account's videos, their comments, and replies where their number changed."""

    platform: ClassVar[Platform] = "douyin"
    name: ClassVar[str] = "抖音开放平台"
    settings: DouyinSettings

    def __init__(self, kit: Kit, stop: threading.Event) -> None:
        super().__init__(kit, stop)
        self._token = self.settings.access_token.get_secret_value()
        self._refreshed = False
        self._replies: dict[str, int | None] = {}

    def targets(self) -> Sequence[Target]:
        items = self.settings.items or tuple(self._own_videos())
        return [Target(_key(item), item) for item in items if self._due(item)]

    def _own_videos(self) -> Sequence[str]:
        """Item ids of the account's videos; the videos themselves are the brand's own words and are streamed too."""
        tally = Tally("本账号视频", self.kit.clock.now())
        found: dict[str, int | None] = {}
        cursor, seen = "0", set[str]()
        while cursor not in seen and len(seen) < self.settings.page_cap:
            seen.add(cursor)
            page, _ = self._ask(VIDEOS, {"cursor": cursor, "count": str(VIDEO_PAGE)}, tally)
            for draft in page.mentions:
                found[str(draft.native_id)] = draft.replies
            if page.next is None:
                break
            cursor = page.next["cursor"]
        self._replies = found
        return list(found)

    def _due(self, item: str) -> bool:
        state = self.kit.ledger.list_state(_key(item))
        if state.settled_at is None:
            return True
        count = self._replies.get(item)
        if count is not None and count != state.total:
            return True
        wait = self.settings.full_pass_hours if count is not None else self.settings.recheck_hours
        return self.kit.clock.now() - state.settled_at >= timedelta(hours=wait)

    def read(self, target: Target, tally: Tally) -> None:
        item = target.query
        state = self.kit.ledger.list_state(target.key)
        tally.window = (state.settled_at, tally.started)
        whole = state.full_at is None or self.kit.clock.now() - state.full_at >= timedelta(
            hours=self.settings.full_pass_hours
        )
        ended = self._list(COMMENTS, {"item_id": item, "sort_type": "time"}, tally, state, whole=whole)
        if ended:
            self.kit.pipeline.flush()
            self.kit.ledger.settle(target.key, self._replies.get(item), full=whole)

    def _list(
        self, path: str, asked: Mapping[str, str], tally: Tally, state: ListState, *, whole: bool, below: bool = True
    ) -> bool:
        """Read comments newest first, until the end or until all of a page was settled; false at the page cap."""
        cursor, seen = "0", set[str]()
        ids: set[str] = set()
        while cursor not in seen:
            if len(seen) >= self.settings.page_cap:
                tally.missing += 1
                return False
            seen.add(cursor)
            page, taken = self._ask(path, {**asked, "cursor": cursor, "count": str(PAGE)}, tally, state)
            if below:
                for draft in page.mentions:
                    if draft.replies:
                        self._below(asked["item_id"], str(draft.native_id), draft.replies, tally)
            fresh = set(taken.ids) - ids
            ids |= fresh
            settled = not whole and bool(taken.ids) and not taken.unsettled
            if page.next is None or settled or (taken.ids and not fresh):
                break
            cursor = page.next["cursor"]
        return True

    def _below(self, item: str, comment: str, replies: int, tally: Tally) -> None:
        key = f"official:replies={comment}"
        state = self.kit.ledger.list_state(key)
        if state.settled_run and state.total == replies:
            return
        if self._list(REPLIES, {"item_id": item, "comment_id": comment}, tally, state, whole=True, below=False):
            self.kit.pipeline.flush()
            self.kit.ledger.settle(key, replies, full=True)

    # -- requests -----------------------------------------------------------------------------------------------------

    def _ask(self, path: str, asked: Mapping[str, str], tally: Tally, since: ListState | None = None) -> Any:
        call = self._call(path, asked)
        try:
            return self.ask(call, tally, since or ListState())
        except ApiRefused as refused:
            if refused.signal != "login_required" or not self._may_refresh:
                raise
            self._refresh()
            return self.ask(call, tally, since or ListState())

    def _call(self, path: str, asked: Mapping[str, str]) -> Call:
        query = urlencode({"open_id": self.settings.open_id, **asked})

        def send() -> httpx.Request:
            # In the header, as documented, so that it is in no server's access log.
            headers = {"access-token": self._token, "Content-Type": "application/json"}
            return self.client.http.build_request("GET", f"{self.settings.url}{path}?{query}", headers=headers)

        return Call(send=send, real=f"{REAL}{path}?{urlencode(asked)}")

    @property
    def _may_refresh(self) -> bool:
        return bool(not self._refreshed and self.settings.client_key and self.settings.refresh_token.get_secret_value())

    def _refresh(self) -> None:
        """A new access token for this run. Raises what :meth:`Client.ask` does."""
        self._refreshed = True
        form = {
            "client_key": self.settings.client_key,
            "grant_type": "refresh_token",
            "refresh_token": self.settings.refresh_token.get_secret_value(),
        }

        def send() -> httpx.Request:
            return self.client.http.build_request("POST", f"{self.settings.url}{REFRESH}", data=form)

        answer = orjson.loads(self._asked_token(Call(send=send, real=f"{REAL}{REFRESH}")).body)
        data = answer.get("data")
        token = data.get("access_token") if isinstance(data, dict) else None
        if not isinstance(token, str) or not token:
            raise Unavailable(f"{self.name}：刷新 access_token 的应答里没有新的 access_token")
        self._token = token

    def _asked_token(self, call: Call) -> Payload:
        payload = self.client.ask(call)
        self.kit.audit.answered(payload, "ok")
        return payload

    def refusal(self, status: int, body: Mapping[str, Any]) -> Refusal | None:
        code, said = "", ""
        for part in ("data", "extra"):
            found = body.get(part)
            if isinstance(found, dict) and text_of(found.get("error_code")) not in ("", "0"):
                code, said = text_of(found.get("error_code")), text_of(found.get("description"))
                break
        if not code:
            return None
        if code in EXPIRED or code in _TOKEN:
            advice = (
                "授权无效或已过期：请账号主人重新授权，把新的 access_token（和 refresh_token）写进 "
                "[crawl.official.douyin]"
            )
            return Refusal("credentials", code, advice)
        if code in _GRANT:
            return Refusal(
                "permission", code, "应用没有评论权限或账号没有授权：请在抖音开放平台申请 item.comment 并重新授权"
            )
        if code in _QUOTA:
            return Refusal("quota", code)
        if code in _RATE:
            return Refusal("rate", code)
        if code in _BUSY or "繁忙" in said:
            return Refusal("busy", code)
        return Refusal("request", code, "平台不接受这个请求，请核对 items 里的 item_id，并对照开放平台的错误码说明")


def _key(item: str) -> str:
    return f"official:item={item}"[:400]
