"""Reads the replica to its ends over plain HTTP, as its pages' scripts do, and keeps every answer."""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx

from ingest.clock import ManualClock
from shengwen.demo.cast import TARGETS, Platform
from shengwen.demo.replica.signing import fnv1a
from shengwen.demo.server import DemoServer
from shengwen.demo.settings import platform_bases
from shengwen.demo.story import Story

START = datetime(2026, 11, 22, 6, tzinfo=UTC)
SEED = 7


PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Loading the system's certificates takes a client longer than its whole test; nothing here speaks TLS."""


def plain_client(base_url: str = "") -> httpx.Client:
    """A client for loopback."""
    return httpx.Client(timeout=10, base_url=base_url, verify=PLAIN)


@contextmanager
def serving(*, turned: bool = False) -> Iterator[tuple[DemoServer, ManualClock]]:
    """A demo at START (or two minutes after its turn) with a clock that stands still."""
    clock = ManualClock(START + timedelta(minutes=2) if turned else START)
    story = Story(SEED, START, START if turned else None)
    with DemoServer(story, clock) as demo:
        yield demo, clock


@dataclass
class Taken:
    """One answer and what was asked."""

    platform: Platform
    response: httpx.Response
    data: Any = None


@dataclass
class Visitor:
    """Calls the replica the way pages do; ``taken`` holds every data answer."""

    demo: DemoServer
    client: httpx.Client
    taken: list[Taken] = field(default_factory=list)
    seed: str = ""

    @property
    def bases(self) -> dict[str, dict[str, str]]:
        return platform_bases(self.demo.base_url)

    def open(self, url: str) -> str:
        """Open a page and remember the seed that its script signs with."""
        response = self.client.get(url)
        assert response.status_code == 200, url
        found = re.search(r'data-seed="([^"]+)"', response.text)
        assert found, url
        self.seed = found[1]
        return response.text

    def token(self, url: str) -> str:
        stamp = str(int(time.time() * 1000))
        path = httpx.URL(url).path
        return f"{self.seed}.{stamp}.{fnv1a(f'{self.seed}|{stamp}|{path}')}"

    def call(self, platform: Platform, method: str, url: str, **more: Any) -> Any:
        response = self.client.request(method, url, **more)
        taken = Taken(platform, response)
        self.taken.append(taken)
        text = response.content.decode("gb18030" if "GBK" in response.headers.get("content-type", "") else "utf-8")
        inner = re.fullmatch(r"[\w$.]+\((.*)\);?", text, re.DOTALL)
        taken.data = json.loads(inner[1] if inner else text) if text else None
        return taken.data

    # -- JD ---------------------------------------------------------------------------------------------------------

    def jd_old(self, sku: str, **query: Any) -> Any:
        base = self.bases["jd"]
        params = {"callback": "fetchJSON_comment98vv1", "productId": sku, "score": 0, "sortType": 6, "page": 0} | query
        headers = {"referer": f"{base['item.jd.com']}/{sku}.html"}
        url = f"{base['club.jd.com']}/comment/productPageComments.action"
        return self.call("jd", "GET", url, params=params, headers=headers)

    def jd_reviews(self) -> list[str]:
        ids: list[str] = []
        for sku in TARGETS.jd_skus:
            page = 0
            while True:
                data = self.jd_old(sku, page=page)
                assert len(data["comments"]) <= 10
                ids += [str(comment["id"]) for comment in data["comments"]]
                page += 1
                if page >= data["maxPage"]:
                    break
        return ids

    def jd_new(self, sku: str, page: int) -> Any:
        url = f"{self.bases['jd']['api.m.jd.com']}/client.action"
        body = json.dumps({"spuId": sku, "pageNum": page, "category": "1620;1628;9987"})
        form = {"functionId": "getCommentListPage", "body": body, "h5st": self.token(url)}
        return self.call("jd", "POST", url, data=form)

    def jd_new_reviews(self) -> list[str]:
        ids: list[str] = []
        for sku in TARGETS.jd_skus:
            self.open(f"{self.bases['jd']['item.jd.com']}/{sku}.html")
            for page in range(1, 50):
                data = self.jd_new(sku, page)
                floor = next(one for one in data["result"]["floors"] if one["mId"] == "commentlist-list")
                fresh = [card["commentInfo"]["commentId"] for card in floor["data"]]
                ids += fresh
                if not fresh:
                    break
        return ids

    def jd_first_screen(self, sku: str) -> Any:
        self.open(f"{self.bases['jd']['item.jd.com']}/{sku}.html")
        url = f"{self.bases['jd']['api.m.jd.com']}/"
        token = self.token(url.rstrip("/"))
        params = {
            "functionId": "getLegoWareDetailComment",
            "body": json.dumps({"sku": sku, "commentNum": 5}),
            "h5st": token,
        }
        return self.call("jd", "GET", url, params=params)

    def jd_questions(self) -> tuple[list[str], list[str]]:
        base, asked, told = self.bases["jd"]["question.jd.com"], [], []
        for sku in TARGETS.jd_skus:
            for page in range(1, 20):
                url = f"{base}/question/getQuestionAnswerList.action"
                questions = self.call("jd", "GET", url, params={"page": page, "productId": sku})["questionList"]
                if not questions:
                    break
                for question in questions:
                    asked.append(str(question["id"]))
                    url = f"{base}/question/getAnswerListById.action"
                    answers = self.call("jd", "GET", url, params={"page": 1, "questionId": question["id"]})["answers"]
                    assert len(answers) == question["answerCount"]
                    told += [str(answer["id"]) for answer in answers]
        return asked, told

    # -- Tmall ------------------------------------------------------------------------------------------------------

    def tmall_old(self, item_id: str, seller_id: str, **query: Any) -> Any:
        params = {"itemId": item_id, "sellerId": seller_id, "order": 1, "currentPage": 1, "callback": "jsonp12"} | query
        return self.call("tmall", "GET", f"{self.bases['tmall']['rate.tmall.com']}/list_detail_rate.htm", params=params)

    def tmall_reviews(self) -> list[str]:
        ids: list[str] = []
        for target in TARGETS.tmall_items:
            page = 1
            while True:
                detail = self.tmall_old(target.item_id, target.seller_id, currentPage=page)["rateDetail"]
                assert len(detail["rateList"]) <= 20
                ids += [str(rate["id"]) for rate in detail["rateList"]]
                if page >= detail["paginator"]["lastPage"]:
                    break
                page += 1
        return ids

    def mtop(self, api: str, data: dict[str, Any], **headers: str) -> Any:
        url = f"{self.bases['tmall']['h5api.m.tmall.com']}/h5/{api}/"
        params = {"type": "originaljson", "data": json.dumps(data), "sign": self.token(url), "appKey": "demo"}
        return self.call("tmall", "GET", url, params=params, headers=headers)

    def mtop_reviews(self, api: str, item_key: str, page_key: str) -> list[str]:
        ids: list[str] = []
        self.client.cookies.set("_m_h5_tk", "demo")
        for target in TARGETS.tmall_items:
            self.open(f"{self.bases['tmall']['detail.tmall.com']}/item.htm?id={target.item_id}")
            for page in range(1, 50):
                data = self.mtop(api, {item_key: target.item_id, page_key: page, "pageSize": 20})["data"]
                if "module" in data:
                    data = data["module"]
                ids += [rate["id"] for rate in data.get("rateList") or data.get("reviewVOList")]
                if data["hasNext"] != "true":
                    break
        return ids

    # -- Xiaohongshu ------------------------------------------------------------------------------------------------

    def xhs(self, method: str, path: str, **more: Any) -> Any:
        url = f"{self.bases['xiaohongshu']['edith.xiaohongshu.com']}/api/sns/web/{path}"
        return self.call("xiaohongshu", method, url, headers={"x-s": self.token(url), "x-t": "0"}, **more)

    def xhs_notes(self) -> dict[str, str]:
        """Note id → xsec_token."""
        found: dict[str, str] = {}
        for keyword in TARGETS.keywords:
            self.open(f"{self.bases['xiaohongshu']['www.xiaohongshu.com']}/search_result?keyword={quote(keyword)}")
            for page in range(1, 20):
                body = {"keyword": keyword, "page": page, "page_size": 20, "sort": "time_descending"}
                data = self.xhs("POST", "v1/search/notes", json=body)["data"]
                found |= {one["id"]: one["xsec_token"] for one in data["items"] if one["model_type"] == "note"}
                if not data["has_more"]:
                    break
        return found

    def xhs_comments(self, note_id: str, token: str) -> list[str]:
        ids: list[str] = []
        cursor = ""
        while True:
            query = {"note_id": note_id, "cursor": cursor, "xsec_token": token}
            data = self.xhs("GET", "v2/comment/page", params=query)["data"]
            assert len(data["comments"]) <= 10
            for root in data["comments"]:
                ids += [root["id"], *(sub["id"] for sub in root["sub_comments"])]
                sub_cursor, more = root["sub_comment_cursor"], root["sub_comment_has_more"]
                while more:
                    params = query | {"root_comment_id": root["id"], "num": 10, "cursor": sub_cursor}
                    subs = self.xhs("GET", "v2/comment/sub/page", params=params)["data"]
                    ids += [sub["id"] for sub in subs["comments"]]
                    sub_cursor, more = subs["cursor"], subs["has_more"]
            if not data["has_more"]:
                return ids
            cursor = data["cursor"]

    # -- Douyin -----------------------------------------------------------------------------------------------------

    def douyin(self, path: str, **query: Any) -> Any:
        url = f"{self.bases['douyin']['www.douyin.com']}/aweme/v1/web/{path}"
        return self.call("douyin", "GET", url, params=query | {"a_bogus": self.token(url)})

    def douyin_videos(self) -> list[str]:
        found: list[str] = []
        for keyword in TARGETS.keywords:
            self.open(f"{self.bases['douyin']['www.douyin.com']}/search/{quote(keyword)}")
            cursor = 0
            while True:
                data = self.douyin("general/search/single/", keyword=keyword, offset=cursor, count=10, sort_type=2)
                found += [card["aweme_info"]["aweme_id"] for card in data["data"] if card["type"] == 1]
                if not data["has_more"]:
                    break
                cursor = data["cursor"]
        return found

    def douyin_comments(self, aweme_id: str) -> list[str]:
        ids: list[str] = []
        cursor = 0
        while True:
            data = self.douyin("comment/list/", aweme_id=aweme_id, cursor=cursor, count=20)
            for root in data["comments"] or []:
                ids.append(root["cid"])
                at, more = 0, root["reply_comment_total"] > 0
                while more:
                    query = {"item_id": aweme_id, "comment_id": root["cid"], "cursor": at, "count": 5}
                    thread = self.douyin("comment/list/reply/", **query)
                    ids += [reply["cid"] for reply in thread["comments"]]
                    at, more = thread["cursor"], thread["has_more"] == 1
            if not data["has_more"]:
                return ids
            cursor = data["cursor"]

    # -- Zhihu ------------------------------------------------------------------------------------------------------

    def zhihu_state(self, path: str, host: str = "www.zhihu.com") -> Any:
        response = self.client.get(f"{self.bases['zhihu'][host]}{path}")
        found = re.search(r'<script id="js-initialData" type="text/json">(.*?)</script>', response.text, re.DOTALL)
        assert found
        data = json.loads(found[1])
        self.taken.append(Taken("zhihu", response, data))
        return data["initialState"]

    def zhihu_answers(self, question: str) -> list[str]:
        url: str | None = f"{self.bases['zhihu']['www.zhihu.com']}/api/v4/questions/{question}/feeds?limit=3&offset=0"
        ids: list[str] = []
        while url:
            data = self.call("zhihu", "GET", url)
            ids += [card["target"]["id"] for card in data["data"] if card["target_type"] == "answer"]
            url = None if data["paging"]["is_end"] else data["paging"]["next"]
        return ids

    def zhihu_comments(self, resource: str, native_id: str) -> list[str]:
        base = f"{self.bases['zhihu']['www.zhihu.com']}/api/v4/comment_v5"
        ids: list[str] = []
        url: str | None = f"{base}/{resource}/{native_id}/root_comment?order_by=score&limit=10&offset="
        while url:
            data = self.call("zhihu", "GET", url)
            if "error" in data:
                return []
            for root in data["data"]:
                ids += [root["id"], *(child["id"] for child in root["child_comments"])]
                offset = root["child_comment_next_offset"]
                more = f"{base}/comment/{root['id']}/child_comment?limit=2&offset={offset}" if offset else None
                while more:
                    thread = self.call("zhihu", "GET", more)
                    ids += [child["id"] for child in thread["data"]]
                    more = None if thread["paging"]["is_end"] else thread["paging"]["next"]
            url = None if data["paging"]["is_end"] else data["paging"]["next"]
        return ids
