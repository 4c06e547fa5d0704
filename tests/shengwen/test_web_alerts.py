"""预警, 工单, 来源: what a customer-service lead sees and does, over a real alert engine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from alerts.channels.registry import make_channels
from alerts.coverage import CoverageStore
from alerts.outbox import Dispatcher
from alerts.read import AlertView, TicketView
from ingest.coverage import Coverage, Fill
from ingest.dead_letters import letter_for_payload, letter_for_record
from ingest.errors import PayloadError, Poison
from ingest.log.base import Outgoing, Topics
from ingest.stage import StageHealth
from shengwen.web.deps import PlatformStatus
from shengwen.web.views_alerts import gauge
from shengwen.web.views_tickets import deadlines, moves, next_deadline
from tests.factories import a_classified
from tests.shengwen.world import NOW, SETTINGS, World, open_world, post, talk, tell_coverage


@pytest.fixture
def world(tmp_path: Path, state_url: str) -> Iterator[World]:
    with open_world(tmp_path, url=state_url) as opened:
        yield opened


@pytest.fixture(scope="module")
def spiking(tmp_path_factory: pytest.TempPathFactory, module_state_url: str) -> Iterator[World]:
    """A month of talk, then a batch of leaks: one 一级 alert. Tests change it only where that shows nowhere else."""
    with open_world(tmp_path_factory.mktemp("spiking"), url=module_state_url) as opened:
        opened.fill(talk(NOW, days=30))
        tell_coverage(opened)
        opened.alerts.tick(coverage={"jd": 1.0})
        yield opened


@pytest.fixture(scope="module")
def client(spiking: World) -> Iterator[httpx.Client]:
    opened = spiking.logged_in()
    yield opened
    opened.close()


def the_spike(world: World) -> AlertView:
    return next(one for one in world.deps.reader.alerts() if one.kind == "spike")


def complain(world: World, native: str = "1", text: str = "接口渗水，要求上门处理") -> str:
    """Open a ticket by a complaint of its own; its key."""
    mention = a_classified(
        "negative",
        native_id=native,
        text=text,
        intent="complaint",
        tags=("产品质量/漏水渗水",),
        captured_at=world.clock.now(),
        created_at=world.clock.now() - timedelta(minutes=10),
        severity=6.0,
    )
    world.fill([mention])
    world.alerts.tick(coverage={"jd": 1.0})
    return world.deps.reader.tickets_of([mention.id])[mention.id]


def test_an_open_first_level_alert_stands_on_every_page(spiking: World, client: httpx.Client) -> None:
    spike = the_spike(spiking)
    assert spike.level == "一级"
    for path in ("/", "/timeline", "/alerts", "/tickets", "/sources", "/no-such-page"):
        page = client.get(path).text
        assert 'class="bar urgent"' in page
        assert f'data-alert="{spike.key}"' in page
        assert "未结束的预警：</span>2<" in page


def test_the_list_says_how_far_from_normal_it_is(spiking: World, client: httpx.Client) -> None:
    spike = the_spike(spiking)
    page = client.get("/alerts").text
    assert f"负面 <b>{spike.observed:.0f}</b> 条" in page
    assert spike.title in page
    assert page.index(spike.title) < page.index("来源中断：小红书")  # 一级 before 二级


def test_the_alert_shows_its_reasons_and_what_speaks_against_it(spiking: World, client: httpx.Client) -> None:
    spike = the_spike(spiking)
    detail = spiking.deps.reader.alert(spike.key)
    assert detail is not None
    page = unescape(client.get(f"/alerts/{spike.key}").text)
    for piece in (
        spike.title, spike.test, "p < 0.0001", f"{spike.window_hours} 小时", "95% 区间", "产品质量/漏水渗水", "河",
        f"证据（{spike.evidence_count} 条", *detail.explanation.counter, *(q.text for q in detail.explanation.quotes),
        *(lift.value for lift in detail.explanation.products),
    ):  # fmt: skip
        assert piece in page, piece
    assert page.count('<article class="card">') == min(20, spike.evidence_count)
    assert f"/tickets/{spike.ticket}" in page
    assert "<svg" in page


def test_its_number_can_be_clicked_to_the_mentions_it_counts(spiking: World, client: httpx.Client) -> None:
    spike = the_spike(spiking)
    page = client.get(f"/alerts/{spike.key}").text
    address = re.search(r'<a class="button" href="(/\?[^"]+)">查看这些提及', page)
    assert address
    found = client.get(unescape(address[1])).text
    shown = re.search(r"<b>([\d,]+)</b> 条提及", found)
    assert shown
    detail = spiking.deps.reader.alert(spike.key)
    assert detail is not None
    assert int(shown[1]) >= len(detail.mention_ids) > 10


def test_a_silent_source_is_an_alert_without_numbers(spiking: World, client: httpx.Client) -> None:
    silence = next(one for one in spiking.deps.reader.alerts() if one.kind == "silence")
    page = client.get(f"/alerts/{silence.key}").text
    assert "没有带回内容" in page
    assert '<svg class="gauge"' not in page
    assert gauge(silence) is None


def test_a_source_whose_records_lost_a_field_is_an_alert_that_names_the_field(world: World) -> None:
    store = CoverageStore(world.engine)
    for days, region in ((3, 190), (2, 188), (0, 2)):
        at = world.clock.now() - timedelta(days=days)
        fill = Fill(endpoint="douyin.comment.list", records=200, fields={"text": 199, "region": region})
        store.absorb(
            [Coverage(source="douyin", query="暖居", status="complete", started_at=at, finished_at=at, fill=(fill,))]
        )
    world.alerts.tick(coverage={"douyin": 1.0})
    drift = next(one for one in world.deps.reader.alerts() if one.kind == "drift")
    with closing(world.logged_in()) as client:
        shown = client.get("/alerts").text
        assert "数据结构变化：抖音" in shown
        page = unescape(client.get(f"/alerts/{drift.key}").text)
    assert "地区从 94% 降到 1%" in page
    assert "douyin.comment.list" in page
    assert "读到的不完整" in page
    assert gauge(drift) is None


def test_the_gauge_stays_inside_its_drawing(spiking: World) -> None:
    drawn = gauge(the_spike(spiking))
    assert drawn is not None
    assert 0 <= drawn.low <= drawn.expected <= drawn.observed <= 600
    assert drawn.high <= 600


def test_a_verdict_takes_the_bar_away_and_stays(world: World) -> None:
    world.fill(talk(NOW, days=12, per_day=6))
    world.alerts.tick(coverage={"jd": 1.0})
    client, spike = world.logged_in(), the_spike(world)
    assert 'class="bar urgent"' in client.get("/fragments/status").text
    answer = post(client, f"/alerts/{spike.key}/verdict", verdict="confirmed")
    assert answer.headers["location"] == f"/alerts/{spike.key}"
    page = client.get(f"/alerts/{spike.key}").text
    assert "已确认" in page
    assert 'class="bar urgent"' not in page
    post(client, f"/alerts/{spike.key}/verdict", verdict="dismissed")
    assert "误报" in client.get(f"/alerts/{spike.key}").text
    assert spike.title in client.get("/alerts").text  # among the closed ones
    assert world.deps.reader.open_alerts() == []


@pytest.mark.parametrize(("key", "verdict", "status"), [("A-none", "confirmed", 404), ("A-none", "maybe", 422)])
def test_a_verdict_on_nothing_is_refused(client: httpx.Client, key: str, verdict: str, status: int) -> None:
    assert post(client, f"/alerts/{key}/verdict", verdict=verdict).status_code == status


def test_the_polled_fragment_is_small_and_swaps_the_badge(spiking: World, client: httpx.Client) -> None:
    answer = client.get("/fragments/status")
    assert len(answer.content) < 4_000
    assert 'hx-swap-oob="true"' in answer.text
    assert the_spike(spiking).key in answer.text


def fail_to_deliver(world: World) -> None:
    """Run the dispatcher until a message has tried everything in vain."""
    channels = make_channels(SETTINGS, world.clock)
    try:
        dispatcher = Dispatcher(world.engine, channels, world.clock, SETTINGS.delivery)
        for _ in range(20):
            dispatcher.run_once()
            world.clock.advance(3600)
            if world.deps.reader.outbox_failures():
                break
    finally:
        for channel in channels.values():
            channel.close()


def spike(world: World) -> None:
    world.fill(talk(NOW, days=12, per_day=6))
    world.alerts.tick(coverage={"jd": 1.0})


def test_a_message_that_nobody_got_shows_red_everywhere_and_can_be_sent_again(world: World) -> None:
    spike(world)
    client = world.logged_in()
    assert 'class="bar failed"' not in client.get("/").text
    fail_to_deliver(world)
    page = client.get("/").text
    assert 'class="bar failed"' in page
    assert "1 条通知" in page
    listed = client.get("/deliveries").text
    assert "没有送达的" in listed
    assert '<b class="state failed">失败</b>' in listed
    assert "失败" in client.get(f"/alerts/{the_spike(world).key}").text
    (failed,) = world.deps.reader.outbox_failures()
    assert client.post(f"/deliveries/{failed.id}/again").status_code == 403  # without the form's token
    assert world.deps.reader.outbox_failures()
    assert f'action="/deliveries/{failed.id}/again"' in client.get(f"/alerts/{the_spike(world).key}").text
    answer = post(client, f"/deliveries/{failed.id}/again")
    assert (answer.status_code, answer.headers["location"]) == (303, "/deliveries?again=true")
    shown = client.get(answer.headers["location"]).text
    assert "已经排队" in shown
    assert "再发一次</button>" not in shown
    assert not world.deps.reader.outbox_failures()
    (queued,) = [one for one in world.deps.reader.deliveries() if one.id == failed.id]
    assert (queued.state, queued.key) == ("pending", failed.key)
    assert post(client, f"/deliveries/{failed.id}/again").status_code == 400  # it is under way


def test_a_failed_message_stays_in_the_list_when_the_red_bar_is_gone(world: World) -> None:
    spike(world)
    fail_to_deliver(world)
    world.clock.advance(49 * 3600)
    client = world.logged_in()
    assert 'class="bar failed"' not in client.get("/").text  # the list keeps it
    assert "没有送达的" in client.get("/deliveries").text


def test_tickets_are_listed_with_the_most_pressing_first(spiking: World, client: httpx.Client) -> None:
    page = client.get("/tickets").text
    total = sum(spiking.deps.reader.ticket_counts().values())
    assert f"<b>{total}</b> 张工单" in page
    levels = re.findall(r'<article class="ticket-row">\s*<div class="meta"><span class="level \w+">(\w+)</span>', page)
    assert len(levels) == 30
    assert levels == sorted(levels, key=lambda level: "一二三".index(level[0]))
    assert "首次响应 还剩 2 小时" in page


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"level": "一级"}, lambda t: t.level == "一级"),
        ({"intent": "question"}, lambda t: t.intent == "question"),
        ({"department": "物流部"}, lambda t: t.department == "物流部"),
        ({"text": "磕了一个坑"}, lambda t: "磕了一个坑" in t.text),
        ({"status": "待响应", "level": "二级"}, lambda t: t.level == "二级"),
        ({"status": "已闭环"}, lambda t: False),
        ({"overdue": "1"}, lambda t: False),
    ],
)
def test_tickets_can_be_filtered(
    spiking: World, client: httpx.Client, filters: dict[str, str], expected: object
) -> None:
    everything, _ = spiking.deps.reader.tickets(now=NOW, limit=1000)
    wanted = sum(map(expected, everything))  # type: ignore[call-overload]
    shown = re.search(r"<b>(\d+)</b> 张工单", client.get("/tickets", params=filters).text)
    assert shown
    assert int(shown[1]) == wanted


def test_pages_of_tickets_hold_each_once(spiking: World, client: httpx.Client) -> None:
    keys: list[str] = []
    address: str | None = "/tickets?status=all"
    while address:
        page = client.get(address).text
        keys += re.findall(r'<h3><a href="/tickets/([^"]+)"', page)
        later = re.search(r'<a class="button" href="([^"]+)">下一页', page)
        address = unescape(later[1]) if later else None
    assert len(keys) == len(set(keys)) == sum(spiking.deps.reader.ticket_counts().values())


def test_a_ticket_can_be_worked_on_to_its_end(world: World) -> None:
    key = complain(world)
    client = world.logged_in()
    for status in ("待整改", "整改中", "已完成", "效果验证中", "已闭环"):
        page = client.get(f"/tickets/{key}").text
        assert f"<option>{status}</option>" in page
        answer = post(client, f"/tickets/{key}", status=status, note=f"做了{status}的事")
        assert answer.headers["location"] == f"/tickets/{key}"
    page = client.get(f"/tickets/{key}").text
    assert page.count("做了") == 5
    assert '<li class="now" aria-current="step">已闭环</li>' in page
    assert re.findall(r"<option>(\S+)</option>", page) == ["重新打开"]
    assert "没有符合条件的工单" in client.get("/tickets").text
    assert key in client.get("/tickets?status=all").text


def test_a_step_that_is_not_allowed_is_explained(world: World) -> None:
    key = complain(world)
    client = world.logged_in()
    answer = post(client, f"/tickets/{key}", status="已闭环")
    assert answer.status_code == 400
    assert "不能改成" in answer.text
    assert post(client, f"/tickets/{key}", status="随便").status_code == 400
    assert post(client, "/tickets/T-none", status="待整改").status_code == 404


def test_root_cause_and_measure_are_kept(world: World) -> None:
    key = complain(world)
    client = world.logged_in()
    whys = ["焊缝有砂眼", "焊机电流不稳", "没有点检"]
    answer = post(
        client, f"/tickets/{key}/cause", why=[*whys, "", ""], what="每班点检焊机", owner="王工", due="2026-03-20"
    )
    assert answer.status_code == 303
    page = client.get(f"/tickets/{key}").text
    for piece in (*(f'value="{why}"' for why in whys), "每班点检焊机", 'value="王工"', 'value="2026-03-20"'):
        assert piece in page
    assert post(client, f"/tickets/{key}/cause", what="x", owner="y", due="三月").status_code == 400


def test_how_an_improvement_worked_is_told_once_it_is_done(world: World) -> None:
    key = complain(world)
    client = world.logged_in()
    assert "效果验证</h2>" not in client.get(f"/tickets/{key}").text
    for status in ("待整改", "整改中", "已完成"):
        assert post(client, f"/tickets/{key}", status=status).status_code == 303
    assert f'action="/tickets/{key}/verification"' in client.get(f"/tickets/{key}").text
    for wrong in ({"verdict": "fine"}, {"verdict": "better", "before": "多"}, {"verdict": "better", "after": "nan"}):
        assert post(client, f"/tickets/{key}/verification", **wrong).status_code in (400, 422)
    assert "变好了</dd>" not in client.get(f"/tickets/{key}").text
    answer = post(client, f"/tickets/{key}/verification", verdict="better", before="3.2", after="0.4")
    assert answer.status_code == 303
    page = client.get(f"/tickets/{key}").text
    for piece in ("<dt>结论</dt><dd>变好了</dd>", "<dt>整改前</dt><dd>3.2</dd>", "<dt>整改后</dt><dd>0.4</dd>"):
        assert piece in page


def test_deadlines_turn_orange_and_red(world: World) -> None:
    key = complain(world)
    client = world.logged_in()

    def shown() -> str:
        found = re.search(r'<span class="due (\w+)">([^<]+)</span>', client.get("/tickets").text)
        assert found
        return f"{found[1]} {found[2]}"

    assert shown() == "running 首次响应 还剩 4 小时"
    world.clock.advance(3.25 * 3600)
    assert shown() == "warn 首次响应 还剩 45 分"
    world.clock.advance(3600)
    assert shown() == "overdue 首次响应 超时 15 分"
    assert "1</b> 张工单" in client.get("/tickets?overdue=1").text
    post(client, f"/tickets/{key}", status="待整改")
    assert shown().startswith("running 整改完成 还剩")
    assert "晚了 15 分" in client.get(f"/tickets/{key}").text


def a_ticket(**fields: object) -> TicketView:
    known: dict[str, object] = {
        "key": "T-1", "level": "二级", "title": "", "department": "", "intent": "complaint", "status": "待响应",
        "tags": (), "product": None, "region": None, "platform": "jd", "link": None, "text": "", "likes": 0, "count": 1,
        "created_at": NOW, "updated_at": NOW, "first_response_due": NOW + timedelta(hours=4), "plan_due": None,
        "done_due": None, "responded_at": None, "planned_at": None, "done_at": None, "closed_at": None,
        "mention_id": None, "alert": None,
    }  # fmt: skip
    return TicketView(**{**known, **fields})  # type: ignore[arg-type]


def test_only_the_clocks_that_a_ticket_has_are_shown() -> None:
    ticket = a_ticket(responded_at=NOW + timedelta(hours=1), done_due=NOW + timedelta(days=3))
    assert [(one.name, one.state) for one in deadlines(ticket, NOW)] == [
        ("first_response", "done"),
        ("done", "running"),
    ]
    following = next_deadline(ticket, NOW)
    assert following is not None
    assert following.name == "done"
    assert next_deadline(a_ticket(closed_at=NOW), NOW) is None
    odd = a_ticket(first_response_due=NOW)
    assert deadlines(odd, NOW - timedelta(seconds=1))[0].state == "warn"


def test_only_a_complaint_has_to_go_all_the_way() -> None:
    assert moves(a_ticket()) == ["待整改", "整改中"]
    assert moves(a_ticket(intent="question")) == ["待整改", "整改中", "已闭环"]
    assert moves(a_ticket(status="重新打开")) == ["待整改", "整改中", "已完成"]


def test_a_mention_links_to_its_ticket(world: World) -> None:
    key = complain(world)
    client = world.logged_in()
    assert f'href="/tickets/{key}"' in client.get("/").text
    assert "/mentions/jd%3Areview%3A1" in client.get(f"/tickets/{key}").text


def test_quiet_silent_and_stopped_sources_are_told_apart(world: World) -> None:
    tell_coverage(world)
    world.platforms[:] = [
        PlatformStatus("jd", "京东", "running"),
        PlatformStatus("tmall", "天猫", "waiting"),
        PlatformStatus("xiaohongshu", "小红书", "stopped", "verification", "出现验证页", NOW, needs_person=True),
        PlatformStatus("douyin", "抖音", "off", reason="没有配置目标"),
    ]
    page = world.logged_in().get("/sources").text
    shown = re.findall(r'<h2>([^<]+)</h2>\s*<span class="verdict-pill (\w+)">([^<]+)<', page)
    assert shown == [
        ("小红书", "person", "需要人工"),
        ("知乎", "partial", "不完整"),
        ("京东", "ok", "正常"),
        ("天猫", "quiet", "无新内容"),
        ("抖音", "off", "未启用"),
    ]
    assert page.count(">恢复</button>") == 1
    assert "shengwen login xiaohongshu" in page
    assert "没有找到 Chromium" in page


def test_the_hours_of_a_week_tell_quiet_from_silent_and_compare_with_last_week(world: World) -> None:
    store, top = CoverageStore(world.engine), NOW.replace(minute=0)

    def told(query: str, ago: timedelta, status: str = "complete", **given: Any) -> Coverage:
        end = top - ago - timedelta(minutes=20)
        return Coverage.model_validate(
            {"source": "jd", "query": query, "status": status, "started_at": end, "finished_at": end} | given
        )

    fill = Fill(endpoint="jd.productPageComments", records=40, fields={"text": 38})
    store.absorb(
        [
            told("sku=1", timedelta(days=7), got=9, new=9),
            told("sku=1", timedelta(hours=30), "stopped", reason="滑块 <b>验证</b>"),
            told("sku=1", timedelta(hours=3), got=40, fill=(fill,)),
            told("sku=1", timedelta(0), got=40, planned=44, new=3, unreached=120, fill=(fill,)),
            told("暖气片", timedelta(0), "partial", reason="a budget", cut_off=("图文（半年内的看全了）", "<b>全部")),
        ]
    )
    world.platforms[:] = [
        PlatformStatus("jd", "京东", "waiting", next_run=NOW, next_why="约每小时 3 条新的"),
        PlatformStatus("zhihu", "知乎", "waiting"),
    ]
    page = world.logged_in().get("/sources").text
    cells = re.findall(r'<rect class="(\w+)', page)
    assert {look: cells.count(look) for look in ("new", "quiet", "silent")} == {"new": 1, "quiet": 1, "silent": 1}
    assert "上一个整点小时新增 3 条（上周同一小时 9 条）" in page
    assert "滑块 &lt;b&gt;验证&lt;/b&gt;" in page
    assert "120 条，各种排序和筛选都没有给出" in page
    assert "暖气片：搜索没有看全，分开搜过，仍被平台截断的有 2 部分（图文（半年内的看全了），&lt;b&gt;全部）" in page
    assert page.count("搜索没有看全") == 1
    assert "约每小时 3 条新的" in page
    assert 'data-label="缺">4<' in page
    assert "正文 95%" in page
    assert "还没有看过。" in page  # zhihu


def test_a_source_that_only_its_records_know_can_be_silent(world: World) -> None:
    tell_coverage(world)
    page = world.logged_in().get("/sources").text
    assert '<span class="verdict-pill silent">失声</span>' in page


def test_resuming_a_source_asks_the_shell(world: World) -> None:
    world.platforms[:] = [PlatformStatus("xiaohongshu", "小红书", "stopped", needs_person=True)]
    client = world.logged_in()
    assert "已恢复" in client.get(post(client, "/sources/resume", source="xiaohongshu").headers["location"]).text
    assert world.resumed == ["xiaohongshu"]
    assert post(client, "/sources/resume", source="../etc").status_code == 404
    assert world.resumed == ["xiaohongshu"]


def test_stages_show_health_and_lag_wherever_they_run(world: World) -> None:
    world.log.produce(Topics.COLLECTED, [Outgoing(f"jd:review:{n}", b"{}") for n in range(3)])
    world.health["index"] = StageHealth("failed", 10, 1, 2, "磁盘已满", NOW)
    page = world.logged_in().get("/sources").text
    rows = re.findall(r"<tr[^>]*><td data-label=\"环节\">([^<]+)</td>.*?待处理\">([^<]+)<", page)
    assert dict(rows) == {"分析": "3", "入库": "0", "预警": "0", "采集记录": "0"}
    assert "磁盘已满" in page
    assert "已停止（出错）" in page
    lag = re.findall(r"<tr><td data-label=\"主题\"><code>([^<]+)</code></td>.*?>([^<]+)</td>.*?积压\">([^<]+)<", page)
    assert lag == [
        ("mentions.collected", "分析", "3"), ("mentions.classified", "入库", "0"), ("mentions.classified", "预警", "0"),
        ("crawl.coverage", "采集记录", "0"),
    ]  # fmt: skip


def test_metrics_tell_lag_and_health_to_who_may_know(world: World) -> None:
    world.log.produce(Topics.COLLECTED, [Outgoing(f"jd:review:{n}", b"{}") for n in range(3)])
    world.health["index"] = StageHealth("failed", 10, 1, 2, "a secret", NOW)
    assert world.client().get("/metrics").status_code == 401
    answer = world.client().get("/metrics", auth=("admin", world.password))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = answer.text.splitlines()
    assert 'shengwen_lag{topic="mentions.collected",group="classify"} 3' in lines
    assert 'shengwen_stage_state{stage="index",state="failed"} 1' in lines
    assert 'shengwen_stage_state{stage="index",state="running"} 0' in lines
    assert 'shengwen_stage_records_total{stage="index"} 10' in lines
    assert "a secret" not in answer.text


def test_health_is_told_to_a_supervisor_without_a_login(world: World) -> None:
    assert (world.client().get("/healthz").status_code, world.client().get("/healthz").json()["ok"]) == (200, True)
    world.health["index"] = StageHealth("failed", last_error="a secret")
    answer = world.client().get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"ok": False, "failed": ["index"]})


def test_dead_letters_show_masked_payloads_and_keep_sealed_ones_shut(world: World) -> None:
    broken = PayloadError("is not a number", field="comments.3.score")
    sealed = letter_for_payload("jd", b"SEALED-BYTES", b"13800138000", broken, world.clock, {})
    world.log.produce(Topics.COLLECTED, [Outgoing("jd:review:9", b'{"text": "<b>masked</b>"}')])
    record = world.log.read(Topics.COLLECTED, 0, 0, 1)[0]
    open_letter = letter_for_record("classify", record, Poison("an instant needs a time zone"), 1, world.clock)
    world.log.produce(Topics.DEAD_LETTERS, [sealed, open_letter])
    client = world.logged_in()
    page = client.get("/dead-letters").text
    assert "comments.3.score" in page
    assert "内容已加密" in page
    assert "SEALED-BYTES" not in page
    assert "13800138000" not in page
    assert "&lt;b&gt;masked&lt;/b&gt;" in page
    assert page.count(">重放</button>") == 1
    assert post(client, "/dead-letters/replay", letter=open_letter.key).status_code == 303
    assert world.log.end_offsets(Topics.COLLECTED)[0] == 2
    refused = post(client, "/dead-letters/replay", letter=sealed.key)
    assert refused.status_code == 400
    assert "重新解析" in refused.text
    assert post(client, "/dead-letters/replay", letter="none").status_code == 400


def test_the_api_tells_alerts_and_tickets(spiking: World, client: httpx.Client) -> None:
    spike = the_spike(spiking)
    listed = client.get("/api/v1/alerts").json()["alerts"]
    assert [one["key"] for one in listed] == [one.key for one in spiking.deps.reader.open_alerts()]
    one = client.get(f"/api/v1/alerts/{spike.key}").json()
    assert one["alert"]["interval"] == list(spike.interval)
    assert len(one["mention_ids"]) == spike.evidence_count
    page = client.get("/api/v1/tickets", params={"limit": 5, "level": "二级"}).json()
    assert len(page["tickets"]) == 5
    assert {t["level"] for t in page["tickets"]} == {"二级"}
    following = client.get("/api/v1/tickets", params={"limit": 5, "offset": 5, "level": "二级"}).json()["tickets"]
    assert not {t["key"] for t in following} & {t["key"] for t in page["tickets"]}
    detail = client.get(f"/api/v1/tickets/{spike.ticket}").json()
    assert len(detail["evidence"]) == spike.evidence_count
    assert datetime.fromisoformat(detail["ticket"]["created_at"]).tzinfo == UTC
    for path in ("/api/v1/alerts/none", "/api/v1/tickets/none"):
        assert client.get(path).status_code == 404
        assert "error" in client.get(path).json()


def test_the_timeline_marks_alerts_where_they_began(spiking: World, client: httpx.Client) -> None:
    page = client.get("/timeline", params={"span": "1d"}).text
    spike = the_spike(spiking)
    assert f"/alerts/{spike.key}" in page
    values = re.search(r'data-values="([^"]+)"', page)
    assert values
    chart = httpx.Response(200, content=unescape(values[1])).json()
    marked = next(one for one in chart["alerts"] if one["url"] == f"/alerts/{spike.key}")
    start = datetime.strptime(chart["starts"][marked["at"]] + " +0800", "%Y-%m-%d %H:%M %z")
    assert start <= spike.started_at < start + timedelta(hours=1)
