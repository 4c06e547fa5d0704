from __future__ import annotations

from datetime import date, timedelta

import orjson
import pytest

from alerts.config import load_settings
from alerts.read import TicketFilter
from ingest.errors import UserError
from tests.alerts.conftest import CHANNELS, Room
from tests.alerts.helpers import NOW, mention


def opened(room: Room, **given: object) -> str:
    room.absorb(mention(**given))  # type: ignore[arg-type]
    room.engine.react()
    return max(room.read.tickets(now=room.clock.now())[0], key=lambda t: t.created_at).key


def test_the_life_of_a_ticket(room: Room) -> None:
    key = opened(room)
    for hours, status in (
        (1, "待整改"),
        (2, "整改中"),
        (20, "已完成"),
        (30, "效果验证中"),
        (90, "已闭环"),
        (99, "重新打开"),
    ):
        room.clock.jump(NOW + timedelta(hours=hours))
        room.tickets.move(key, status, by="李工")
    detail = room.read.ticket(key, now=room.clock.now())
    assert detail is not None
    assert detail.ticket.status == "重新打开"
    assert detail.ticket.responded_at == NOW + timedelta(hours=1)
    assert detail.ticket.planned_at == NOW + timedelta(hours=2)
    assert detail.ticket.done_at is None
    assert detail.ticket.done_due is not None
    assert detail.ticket.done_due > NOW + timedelta(hours=99)
    assert [event.detail for event in detail.events if event.what == "状态"][-1] == "已闭环 → 重新打开"
    assert len(room.outbox("ticket.updated")) == 6


def test_steps_cannot_be_skipped_and_the_message_says_what_can_be_done(room: Room) -> None:
    key = opened(room)
    with pytest.raises(UserError, match="待整改、整改中"):
        room.tickets.move(key, "已闭环", by="李工")
    with pytest.raises(UserError, match="没有工单"):
        room.tickets.move("T-none", "待整改", by="李工")


def test_the_same_status_twice_is_no_change(room: Room) -> None:
    key = opened(room)
    room.tickets.respond(key, by="desk")
    sent = len(room.outbox())
    room.tickets.respond(key, by="desk")
    assert len(room.outbox()) == sent


def test_a_question_is_closed_by_service_itself(room: Room) -> None:
    key = opened(room, intent="question", sentiment="neutral", tags=())
    room.tickets.move(key, "已闭环", by="客服")
    assert room.read.tickets(TicketFilter(open_only=True), now=NOW)[1] == 0


def test_root_cause_measure_and_verification_are_kept(room: Room) -> None:
    key = opened(room)
    room.tickets.set_root_cause(key, ["接口松", "垫圈薄", "供应商换料"], by="李工")
    room.tickets.set_measure(key, "换回原垫圈", owner="王工", due=date(2026, 4, 1), by="李工")
    room.tickets.set_verification(key, {"verdict": "better", "before": 3.2, "after": 0.4}, by="系统")
    detail = room.read.ticket(key, now=NOW)
    assert detail is not None
    assert detail.root_cause == ("接口松", "垫圈薄", "供应商换料")
    assert detail.measure == {"what": "换回原垫圈", "owner": "王工", "due": "2026-04-01"}
    assert detail.verification is not None
    assert detail.verification["verdict"] == "better"
    with pytest.raises(UserError):
        room.tickets.set_root_cause(key, [" "], by="李工")


def test_warnings_come_once_at_each_step_and_the_superior_hears_when_it_is_late(room: Room) -> None:
    opened(room)  # 二级: first answer in 4 h
    said = []
    for minute in range(0, 6 * 60, 10):
        room.clock.jump(NOW + timedelta(minutes=minute))
        room.tickets.due_steps()
        room.tickets.due_steps()
        said.append(len(room.outbox("notice")))
    notices = [row for row in room.outbox("notice") if ":first_response:" in row.key]
    assert [row.key.split(":")[2] for row in notices] == ["50%", "80%", "100%", "督办"]
    times = [10 * step for step in range(1, len(said)) if said[step] > said[step - 1]]
    assert times[:3] == [120, 200, 240]
    assert "督办：研发部" in notices[-1].title


def test_answering_stops_the_clock(room: Room) -> None:
    key = opened(room)
    room.clock.advance(3600)
    room.tickets.respond(key, by="客服")
    room.clock.advance(6 * 3600)
    room.tickets.due_steps()
    assert [row for row in room.outbox("notice") if ":first_response:" in row.key] == []


def test_after_a_long_stop_only_the_latest_step_is_told(room: Room) -> None:
    opened(room)
    room.clock.advance(5 * 3600)
    room.tickets.due_steps()
    keys = [row.key.split(":")[2] for row in room.outbox("notice")]
    assert keys == ["100%", "督办"]


def test_many_at_once_are_folded_into_one_message(room: Room) -> None:
    room.absorb(*[mention() for _ in range(40)])
    room.engine.react()
    room.clock.jump(NOW + timedelta(days=1))
    assert room.tickets.due_steps() == 80
    assert len(room.outbox("notice")) == 2
    room.clock.jump(NOW)
    assert room.tickets.due_steps() == 0
    room.clock.jump(NOW + timedelta(days=1, minutes=1))
    assert room.tickets.due_steps() == 0


def test_a_reopened_ticket_is_warned_about_anew(room: Room) -> None:
    key = opened(room)
    for status in ("整改中", "已完成", "重新打开"):
        room.tickets.move(key, status, by="李工")
    room.clock.jump(NOW + timedelta(days=9))
    room.tickets.due_steps()
    assert [row.key.split(":")[1:] for row in room.outbox("notice")] == [["done", "100%", "1"], ["done", "督办", "1"]]


def test_new_evidence_is_told_at_most_every_ten_minutes(room: Room) -> None:
    room.absorb(mention(flags=["safety"]))
    room.engine.react()
    for _ in range(30):
        room.clock.advance(60)
        room.absorb(mention(at=room.clock.now(), flags=["safety"]))
        room.tick()
    updates = room.outbox("ticket.updated")
    assert 2 <= len(updates) <= 4
    room.clock.advance(600)
    room.tick()
    last = orjson.loads(orjson.loads(room.outbox("ticket.updated")[-1].body)["payload"])["ticket"]
    assert last["count"] == 31
    assert len(last["evidence"]) == 31


def test_a_department_hears_on_its_own_channel_and_its_superior_on_theirs(room: Room) -> None:
    rules = {
        **CHANNELS,
        "channels": [
            {"name": "boss", "type": "wecom", "url": "https://bot.example/a", "levels": ["一级"]},
            {"name": "rd", "type": "feishu", "url": "https://bot.example/b", "levels": []},
        ],
        "departments": {
            "研发部": {"superior": "总工", "channel": "rd"},
            "总工": {"channel": "boss", "mobiles": ["13800001111"]},
        },
    }
    room.settings = load_settings(rules)
    room.restart()
    opened(room)
    room.clock.advance(5 * 3600)
    room.tickets.due_steps()
    assert {row.key.split(":")[2]: row.route for row in room.outbox("notice")} == {"100%": "rd,boss", "督办": "boss"}


def test_filters(room: Room) -> None:
    opened(room, text="法兰盘一直滴水，找谁都不管，气人")
    opened(room, intent="praise", sentiment="positive", tags=())
    find = room.read.tickets
    assert find(TicketFilter(intents=["praise"]), now=NOW)[1] == 1
    assert find(TicketFilter(levels=["二级"]), now=NOW)[1] == 1
    assert find(TicketFilter(text="法兰盘"), now=NOW)[1] == 1
    assert find(TicketFilter(text="100%"), now=NOW)[1] == 0
    assert find(TicketFilter(overdue=True), now=NOW)[1] == 0
    assert find(TicketFilter(overdue=True), now=NOW + timedelta(hours=5))[1] == 1
    assert find(TicketFilter(departments=["研发部"], statuses=["待响应"]), now=NOW)[1] == 1
    assert sum(room.read.ticket_counts().values()) == 2
