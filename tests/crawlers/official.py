"""The four platforms' official APIs on loopback, as strict as documented: they check every signature by themselves."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import orjson

from ingest.clock import BEIJING, Clock
from tests.alerts.receivers import Got, Reply

CLOCK = "%Y-%m-%d %H:%M:%S"
JOS_ROOT = "jingdong_pop_PopCommentJsfService_getVenderCommentsForJos_responce"


@dataclass
class Said:
    """One review or comment that a fake platform holds."""

    id: str
    at: datetime
    text: str
    stars: int = 5


def form_of(got: Got) -> dict[str, str]:
    pairs = parse_qs(got.body.decode(), keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in pairs.values())
    return {name: values[0] for name, values in pairs.items()}


def written(text: str) -> datetime:
    return datetime.strptime(text, CLOCK).replace(tzinfo=BEIJING)


@dataclass
class Fake:
    """``trouble`` is asked first: what it returns is the answer, so that a test can break one request."""

    clock: Clock
    said: list[Said] = field(default_factory=list)
    trouble: Callable[[Got], Reply | None] = lambda got: None
    refused: list[str] = field(default_factory=list)

    def __call__(self, got: Got) -> Reply:
        return self.trouble(got) or self.answer(got)

    def answer(self, got: Got) -> Reply:
        raise NotImplementedError

    def no(self, why: str, body: dict[str, Any]) -> Reply:
        self.refused.append(why)
        return Reply(body)


@dataclass
class FakeJos(Fake):
    """getVenderCommentsForJos: pages from 1, at most 50, a window of at most ``longest`` days."""

    key: str = "jos-key"
    secret: str = "jos secret"
    token: str = "jos-token"
    longest: int = 30
    windows: list[tuple[datetime, datetime, int]] = field(default_factory=list)

    def answer(self, got: Got) -> Reply:
        form = form_of(got)
        given = form.pop("sign")
        plain = self.secret + "".join(k + form[k] for k in sorted(form)) + self.secret
        if hashlib.md5(plain.encode()).hexdigest().upper() != given:
            return self._error("12", "无效签名", "Invalid Signature")
        if abs(written(form["timestamp"]) - self.clock.now()) > timedelta(minutes=6):
            return self._error("8", "非法的时间戳参数", "Invalid Timestamp")
        if form["access_token"] != self.token:
            return self._error("19", "access_token已过期", "access_token expired")
        assert (form["app_key"], form["v"], form["format"], form["sign_method"]) == (self.key, "2.0", "json", "md5")
        asked = orjson.loads(form["360buy_param_json"])
        since, until = written(asked["beginTime"]), written(asked["endTime"])
        if until - since > timedelta(days=self.longest) or asked["pageSize"] > 50:
            return self._error("43", "参数不合法", "parameter error")
        self.windows.append((since, until, asked["page"]))
        fits = sorted((one for one in self.said if since <= one.at < until), key=lambda one: one.at, reverse=True)
        size = asked["pageSize"]
        page = fits[(asked["page"] - 1) * size : asked["page"] * size]
        return Reply({JOS_ROOT: {"code": "0", "comments": [self._review(one) for one in page], "totalItem": len(fits)}})

    def _review(self, one: Said) -> dict[str, Any]:
        return {
            "commentId": one.id,
            "skuid": "100012",
            "skuName": "岚炉 K20 钢制暖气片",
            "content": one.text,
            "creationTime": int(one.at.timestamp() * 1000),
            "score": one.stars,
            "nickName": "山***彡",
            "usefulCount": 1,
            "replyCount": 0,
            "replies": [],
            "images": [],
        }

    def _error(self, code: str, chinese: str, english: str) -> Reply:
        return self.no(code, {"error_response": {"code": code, "zh_desc": chinese, "en_desc": english}})


@dataclass
class FakeTop(Fake):
    """taobao.traderates.get: 180 days, pages 1 to ``pages``, at most 150 each."""

    key: str = "12345678"
    secret: str = "top secret"
    session: str = "top-session"
    pages: int = 200
    size: int = 150
    """Smaller than asked for makes many pages of few."""
    appended: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    """追评 by order line."""
    feeds: list[str] = field(default_factory=list)
    """Order lines whose feed was asked."""

    def answer(self, got: Got) -> Reply:
        form = form_of(got)
        given = form.pop("sign")
        plain = "".join(k + form[k] for k in sorted(form)).encode()
        method, key = form["sign_method"], self.secret.encode()
        right = {
            "md5": lambda: hashlib.md5(key + plain + key).hexdigest(),
            "hmac": lambda: hmac.new(key, plain, "md5").hexdigest(),
            "hmac-sha256": lambda: hmac.new(key, plain, "sha256").hexdigest(),
        }[method]()
        if right.upper() != given:
            return self._error(25, "Invalid signature")
        if form["session"] != self.session:
            return self._error(27, "Invalid session", "sessionkey-not-generate-by-appkey")
        assert form["app_key"] == self.key
        if form["method"] == "tmall.traderate.feeds.get":
            return self._feed(form["child_trade_id"])
        assert (form["method"], form["role"], form["rate_type"]) == ("taobao.traderates.get", "buyer", "get")
        since, until, page = written(form["start_date"]), written(form["end_date"]), int(form["page_no"])
        if self.clock.now() - since > timedelta(days=180) or page > self.pages or int(form["page_size"]) > 150:
            return self._error(41, "Invalid arguments", "isv.invalid-parameter")
        fits = sorted((one for one in self.said if since <= one.at < until), key=lambda one: one.at, reverse=True)
        part = fits[(page - 1) * self.size : page * self.size]
        rates = {"trade_rate": [self._rate(one) for one in part]}
        more = page * self.size < len(fits)
        return Reply({"traderates_get_response": {"trade_rates": rates, "has_next": more}})

    def _feed(self, line: str) -> Reply:
        self.feeds.append(line)
        (one,) = (each for each in self.said if each.id == line)
        text, at = self.appended.get(line, ("", None))
        if at is not None and at > self.clock.now():
            text, at = "", None
        info = {
            "user_nick": "买***家", "content": one.text, "comment_time": one.at.astimezone(BEIJING).strftime(CLOCK),
            "tags": [], "has_negtv": False, "append_content": text, "append_tags": [], "append_has_negtv": bool(text),
            "append_time": at.astimezone(BEIJING).strftime(CLOCK) if at else None,
        }  # fmt: skip
        return Reply({"tmall_traderate_feeds_get_response": {"tmall_rate_info": info}})

    def _rate(self, one: Said) -> dict[str, Any]:
        return {
            "tid": int(one.id), "oid": int(one.id), "role": "buyer", "nick": "买***家", "num_iid": 778899,
            "result": {5: "good", 3: "neutral", 1: "bad"}[one.stars],
            "created": one.at.astimezone(BEIJING).strftime(CLOCK), "item_title": "岚炉 K20", "content": one.text,
        }  # fmt: skip

    def _error(self, code: int, msg: str, sub: str = "") -> Reply:
        return self.no(str(code), {"error_response": {"code": code, "msg": msg, "sub_code": sub, "sub_msg": ""}})


@dataclass
class FakeZhihu(Fake):
    """zhihu_search: a bearer secret and a fresh timestamp, at most ten results."""

    secret: str = "zhihu secret"

    def answer(self, got: Got) -> Reply:
        assert got.path.startswith("/api/v1/content/zhihu_search?")
        fresh = abs(int(got.headers["x-request-timestamp"]) - self.clock.now().timestamp()) < 300
        if got.headers["authorization"] != f"Bearer {self.secret}" or not fresh:
            return self.no("20001", {"Code": 20001, "Message": "auth failed", "Data": None})
        word, count = got.query["Query"], int(got.query["Count"])
        assert count <= 10
        items = [
            {
                "Title": "暖气片怎么选 - 知乎",
                "ContentType": "Answer",
                "ContentID": "-1",
                "ContentText": one.text,
                "Url": f"https://www.zhihu.com/question/500/answer/{one.id}?utm_medium=openapi_platform",
                "VoteUpCount": 3,
                "CommentCount": 0,
                "AuthorName": "住老房的人",
                "EditTime": int(one.at.timestamp()),
            }
            for one in self.said
            if all(part in one.text for part in word.split())
        ]
        data: dict[str, Any] = {"HasMore": False, "Items": items[:count]}
        return Reply({"Code": 0, "Message": "ok", "Data": data if items else data | {"EmptyReason": "没有结果"}})


@dataclass
class FakeDouyin(Fake):
    """Own videos, comments and replies; ``token`` may be expired, ``refreshes`` to what a refresh gives."""

    open_id: str = "open-1"
    token: str = "dy-token"
    expired: bool = False
    fresh_token: str = "dy-token-2"
    videos: dict[str, list[Said]] = field(default_factory=dict)
    replies: dict[str, list[Said]] = field(default_factory=dict)
    born: datetime = field(init=False)
    """When the videos were put up."""

    def __post_init__(self) -> None:
        self.born = self.clock.now() - timedelta(days=3, hours=5)

    def answer(self, got: Got) -> Reply:
        path = got.path.partition("?")[0]
        if path == "/oauth/refresh_token/":
            form = form_of(got)
            assert form == {"client_key": "ck", "grant_type": "refresh_token", "refresh_token": "rft.1"}
            self.token, self.expired = self.fresh_token, False
            return Reply({"data": {"access_token": self.token, "error_code": 0, "expires_in": "1296000"}})
        assert self.token not in got.path, "no token in an address"
        if got.headers["access-token"] != self.token or self.expired:
            return self.no("2190008", {"data": {"error_code": 2190008, "description": "access_token过期,请刷新"}})
        assert got.query["open_id"] == self.open_id
        start, count = int(got.query["cursor"]), int(got.query["count"])
        if path.endswith("/video_list/"):
            found = [self._video(item) for item in self.videos]
        elif path == "/item/comment/reply/list/":
            found = [self._comment(one) for one in self.replies.get(got.query["comment_id"], [])]
        else:
            assert path == "/item/comment/list/"
            assert count <= 50
            held = sorted(self.videos[got.query["item_id"]], key=lambda one: one.at, reverse=True)
            found = [self._comment(one) for one in held]
        part = found[start : start + count]
        more = start + count < len(found)
        data = {"error_code": 0, "description": "", "list": part, "has_more": more, "cursor": start + len(part)}
        return Reply({"data": data, "extra": {"error_code": 0, "logid": "1", "now": 1}})

    def _video(self, item: str) -> dict[str, Any]:
        held = self.videos[item]
        below = sum(len(self.replies.get(one.id, [])) for one in held)
        return {
            "item_id": item,
            "title": "岚炉教你给暖气片排气",
            "create_time": int(self.born.timestamp()),
            "share_url": "https://www.iesdouyin.com/share/video/1/",
            "statistics": {"comment_count": len(held) + below, "digg_count": 9, "play_count": 100},
        }

    def _comment(self, one: Said) -> dict[str, Any]:
        return {
            "comment_id": one.id, "comment_user_id": f"user-{one.id}", "content": one.text, "digg_count": 2,
            "create_time": int(one.at.timestamp()), "reply_comment_total": len(self.replies.get(one.id, [])),
        }  # fmt: skip
