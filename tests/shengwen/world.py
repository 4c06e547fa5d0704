"""The pages over real stores, filled with invented talk about radiators through the stores' own front doors."""

from __future__ import annotations

import asyncio
import random
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import Engine

from alerts.config import AlertSettings
from alerts.coverage import CoverageStore
from alerts.engine import AlertEngine
from alerts.facts import FactStore
from alerts.outbox import send_again
from alerts.read import AlertReader
from alerts.tickets import Tickets
from classify.taxonomy import Taxonomy, load_taxonomy
from ingest.analysis import ClassifiedMention, TagOpinion
from ingest.clock import ManualClock
from ingest.coverage import Coverage
from ingest.dead_letters import DeadLetters
from ingest.log.sqlite import SqliteLog
from ingest.mention import Append, Author, Product
from ingest.privacy import Privacy
from ingest.stage import StageHealth
from ingest.state import Base, make_engine
from search.base import Delivery
from search.sqlite import SqliteIndex
from shengwen.pushing import Pushing
from shengwen.web.app import create_app
from shengwen.web.deps import PlatformStatus, TicketChange, WebDeps, WebSettings
from shengwen.web.users import ADMIN, ensure_admin
from tests.factories import a_classified

NOW = datetime(2026, 3, 4, 6, 20, tzinfo=UTC)  # a Wednesday, 14:20 in Beijing
HOST = "127.0.0.1"
SETTINGS = AlertSettings.model_validate(
    {
        "channels": [
            {
                "name": "wecom",
                "type": "wecom",
                "url": "http://127.0.0.1:9/bot",
            }
        ],
        "delivery": {"tries": 2, "ticket_tries": 2},
    }
)


class InProcess(httpx.BaseTransport):
    """Asks an ASGI application without a socket."""

    def __init__(self, app: FastAPI) -> None:
        self._inner = httpx.ASGITransport(app, raise_app_exceptions=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            answer = await self._inner.handle_async_request(request)
            return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

        return asyncio.run(ask())


@dataclass
class World:
    """One installation's stores and pages."""

    clock: ManualClock
    index: SqliteIndex
    engine: Engine
    log: SqliteLog
    letters: DeadLetters
    tickets: Tickets
    alerts: AlertEngine
    facts: FactStore
    deps: WebDeps
    app: FastAPI
    password: str
    resumed: list[str] = field(default_factory=list)
    platforms: list[PlatformStatus] = field(default_factory=list)
    health: dict[str, StageHealth] = field(default_factory=dict)

    def fill(self, mentions: Sequence[ClassifiedMention]) -> None:
        """Index mentions and let alerting see them."""
        start = self.index.counts()["indexed"]
        self.index.apply([Delivery(m, ("mentions.collected", 0, start + n)) for n, m in enumerate(mentions)])
        self.facts.absorb([(m, None) for m in mentions])

    def client(self, host: str = f"{HOST}:8700") -> httpx.Client:
        """A browser without a login."""
        return httpx.Client(transport=InProcess(self.app), base_url=f"http://{host}", follow_redirects=True)

    def logged_in(self) -> httpx.Client:
        """A browser that has logged in."""
        client = self.client()
        log_in(client, self.password)
        return client


def token_in(html: str, name: str = "csrf") -> str:
    """The value of a page's hidden field."""
    found = re.search(rf'name="{name}" value="([^"]+)"', html)
    assert found, f"the page has no {name}"
    return found[1]


def log_in(client: httpx.Client, password: str, user: str = ADMIN) -> None:
    token = token_in(client.get("/login").text, "token")
    answer = client.post("/login", data={"user": user, "password": password, "token": token})
    assert answer.status_code == 200, answer.text
    assert "/login" not in str(answer.url)


def post(client: httpx.Client, path: str, page: str = "/account", **data: Any) -> Any:
    """Post a form as the page at ``page`` would."""
    return client.post(path, data={"csrf": token_in(client.get(page).text), **data}, follow_redirects=False)


@cache
def _prepared() -> tuple[bytes, str]:
    """A state database with its tables and its user, made once; and the password."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.db"
        engine = make_engine(f"sqlite:///{path}")
        Base.metadata.create_all(engine)
        password = ensure_admin(engine, ManualClock(NOW))
        engine.dispose()
        assert password is not None
        return path.read_bytes(), password


@cache
def shipped() -> Taxonomy:
    """The taxonomy that ships."""
    return load_taxonomy()


@contextmanager
def open_world(
    folder: Path, *, url: str | None = None, now: datetime = NOW, alerts: AlertSettings = SETTINGS, **settings: Any
) -> Iterator[World]:
    """Empty stores and their pages; ``url`` names a migrated state database that is not the usual one."""
    clock = ManualClock(now)
    if url is None:
        prepared, password = _prepared()
        (folder / "state.db").write_bytes(prepared)
        engine = make_engine(f"sqlite:///{folder / 'state.db'}")
    else:
        engine = make_engine(url)
        password = ensure_admin(engine, ManualClock(NOW)) or ""
    with SqliteIndex(folder / "index.db", clock) as index, SqliteLog(folder / "log.db", clock=clock) as log:
        tickets = Tickets(engine, alerts, clock)
        desk = AlertEngine(engine, alerts, clock)
        resumed: list[str] = []
        platforms: list[PlatformStatus] = []
        health: dict[str, StageHealth] = {}
        letters = DeadLetters(log, clock)
        deps = WebDeps(
            index=index,
            reader=AlertReader(engine, alerts),
            log=log,
            letters=letters,
            engine=engine,
            clock=clock,
            settings=WebSettings(**{"brand": "暖居散热器", "session_key": bytes(range(32)), **settings}),
            decide_alert=lambda key, verdict, by: desk.decide(key, verdict, by=by),
            change_ticket=lambda change: change_ticket(tickets, change),
            send_again=lambda number, _: send_again(engine, number, clock),
            resume_source=resumed.append,
            platform_status=lambda: tuple(platforms),
            health=lambda: health,
            left_out=lambda: ("没有找到 Chromium，小红书和抖音不会采集。",),
            tags=[tag.name for tag in shipped().tags],
            pushing=Pushing(log, engine, Privacy(bytes(32)), clock),
        )
        try:
            yield World(
                clock=clock,
                index=index,
                engine=engine,
                log=log,
                letters=letters,
                tickets=tickets,
                alerts=desk,
                facts=FactStore(engine, alerts),
                deps=deps,
                app=create_app(deps),
                password=password,
                resumed=resumed,
                platforms=platforms,
                health=health,
            )
        finally:
            engine.dispose()


def change_ticket(tickets: Tickets, change: TicketChange) -> None:
    """What the shell does with a change."""
    if change.status:
        tickets.move(change.key, change.status, by=change.by, remark=change.note)
    elif change.note:
        tickets.comment(change.key, change.note, by=change.by)
    if change.root_cause is not None:
        tickets.set_root_cause(change.key, change.root_cause, by=change.by)
    if change.measure is not None:
        measure = change.measure
        tickets.set_measure(
            change.key,
            measure["what"],
            owner=measure["owner"],
            due=date.fromisoformat(measure["due"]),
            by=change.by,
        )
    if change.verification is not None:
        tickets.set_verification(change.key, change.verification, by=change.by)


_PRODUCTS = [
    ("P20", "K20 钢制柱型暖气片"),
    ("P30", "M30 铜铝复合散热器"),
    ("P8", "T8 卫浴小背篓"),
    ("P60", "N60 壁挂踢脚线"),
]
_REGIONS = ["河北", "山东", "北京", "陕西", "河南", "辽宁", "山西", None]
_SOURCES = ["jd", "jd", "jd", "tmall", "tmall", "xiaohongshu", "douyin", "zhihu", "import:400热线"]
_KIND = {"xiaohongshu": "post", "douyin": "comment", "zhihu": "answer", "import:400热线": "call"}
_TITLES = ["装修日记：客厅换暖气片", "冬天取暖到底怎么选", "新家暖气片避坑", "老房改造记录"]
_GOOD = [
    ("客厅装了一组，升温很快，半小时就暖和了。", "使用体验/采暖效果", "升温很快"),
    ("师傅上门很准时，装完还把地擦干净了。", "表扬/表扬-安装工", "师傅上门很准时"),
    ("样子简洁，跟墙面颜色很搭，家里人都说好看。", "产品质量/外观", "样子简洁"),
    ("客服耐心，问了好几个问题都一一回答。", "表扬/表扬-客服", "客服耐心"),
    ("物流比预计早到了一天，包装也很严实。", "物流问题/包装", "包装也很严实"),
]
_BAD = [
    ("用了不到两周，接口那里开始渗水，地板都泡了。", "产品质量/漏水渗水", "接口那里开始渗水"),
    ("半边热半边不热，放了气也没有用。", "产品质量/不热(温控)", "半边热半边不热"),
    ("约好上午来装，等到天黑也没人，电话也不接。", "安装服务/延误", "等到天黑也没人"),
    ("送来的时候外壳磕了一个坑，漆也掉了。", "物流问题/破损", "外壳磕了一个坑"),
    ("客服说会回电，等了三天没有任何消息。", "客服售后/响应慢", "等了三天没有任何消息"),
    ("昨天刚买今天就降了两百，申请保价还被拒。", "运营价格/价格争议", "申请保价还被拒"),
]
_PLAIN = [
    ("请问八十平的房子要买几组？", "question", "运营价格/价格咨询"),
    ("建议说明书里加一页排气的步骤图。", "suggestion", "建议/产品优化"),
    ("安装费一组一百五，先跟大家说一声。", "other", "安装服务/安装费用"),
]
_ENDS = ["第{}天来说说。", "家里是{}楼。", "这是第{}次买这个牌子。", "屋里现在{}度。", "一共装了{}组。", ""]


def talk(now: datetime, days: int = 30, per_day: int = 14, seed: int = 7) -> list[ClassifiedMention]:
    """Ordinary weeks of talk, and in the last six hours a batch of leaks on JD."""
    rng = random.Random(seed)
    mentions = [
        _one(rng, now - timedelta(days=day, minutes=rng.randint(400 if day == 0 else 0, 1439)))
        for day in range(days)
        for _ in range(rng.randint(per_day - 4, per_day + 4))
    ]
    mentions += [_one(rng, now - timedelta(minutes=rng.randint(5, 330)), leak=True) for _ in range(24)]
    return mentions


def _one(rng: random.Random, at: datetime, *, leak: bool = False) -> ClassifiedMention:
    source = "jd" if leak else rng.choice(_SOURCES)
    product = _PRODUCTS[0] if leak else rng.choice(_PRODUCTS)
    end = rng.choice(_ENDS).format(rng.randint(2, 30))
    label, intent, severity, rating = "positive", "praise", 0.0, 5
    draw = 0.9 if leak else rng.random()
    if draw < 0.68:
        say, tag, span = rng.choice(_GOOD)
    elif draw < 0.8:
        (say, intent, tag), span = rng.choice(_PLAIN), ""
        label, rating = "neutral", 4
    else:
        say, tag, span = _BAD[0] if leak else rng.choice(_BAD)
        label, intent, severity, rating = "negative", "complaint", round(rng.uniform(3, 8), 1), rng.choice([1, 1, 2])
    opening = rng.choice(["", "说句实话，", "给爸妈家买的，", "双十一囤的，", "看评价买的，"])
    title = rng.choice(_TITLES) if source in ("xiaohongshu", "zhihu") else None
    text = f"{opening}{say}{end}"
    start = text.find(span) + (len(title) + 1 if title else 0) if span else 0
    return a_classified(
        label,
        source=source,
        kind=_KIND.get(source, "review"),
        captured_at=min(at + timedelta(minutes=4), NOW) if at <= NOW else at,
        created_at=at,
        title=title,
        text=text,
        rating=rating if source in ("jd", "tmall") else None,
        rating_scale="5" if source in ("jd", "tmall") else None,
        product=Product(id=product[0], name=product[1], spec=f"{rng.choice([600, 1000, 1500])}mm 白色"),
        region=rng.choice(_REGIONS),
        likes=rng.choice([0, 0, 1, 3, 12, 150] if label == "negative" else [0, 2, 40, 15_200]),
        replies=rng.choice([None, 0, 2, 9]),
        url=f"https://shop.example/{source.partition(':')[0]}/{rng.randint(1, 10**9)}",
        author=Author(key=f"{rng.getrandbits(64):016x}"),
        appends=(Append(text="用了一个月来追评，和之前说的一样。", created_at=at + timedelta(minutes=2)),)
        if rng.random() < 0.06
        else (),
        seller_reply="您好，非常抱歉给您带来不便，我们会尽快安排师傅上门。"
        if label == "negative" and rng.random() < 0.4
        else None,
        intent=intent,
        tags=(
            TagOpinion(
                tag=tag,
                sentiment=label,
                confidence=0.93,
                span=(start, start + len(span)) if span else None,  # type: ignore[arg-type]
            ),
        ),
        severity=severity,
        severity_reason="渗水，要求处理" if leak else "",
    )


def coverage(now: datetime) -> list[Coverage]:
    """One source complete, one quiet, one that a verification page stopped."""

    def one(source: str, query: str, **fields: Any) -> Coverage:
        known = {
            "status": "complete", "planned": 60, "got": 60, "new": 12, "duplicate": 48, "pages": 6,
            "started_at": now - timedelta(minutes=31), "finished_at": now - timedelta(minutes=25),
        }  # fmt: skip
        return Coverage(source=source, query=query, **{**known, **fields})

    return [
        one("jd", "P20"),
        one("jd", "P30", new=3, duplicate=57),
        one("tmall", "P20", got=40, planned=40, new=0, duplicate=40, pages=4),
        one(
            "xiaohongshu", "暖居 暖气片", status="stopped", signal="verification", reason="出现验证页，已停止",
            planned=None, got=20, new=4, duplicate=16, pages=1,
        ),
        one("zhihu", "暖居", status="partial", reason="到达本轮预算", planned=90, got=50, new=6, duplicate=44),
    ]  # fmt: skip


def tell_coverage(world: World) -> None:
    """Let alerting know of a crawl of every source."""
    CoverageStore(world.engine).absorb(coverage(world.clock.now()))
