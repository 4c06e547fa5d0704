"""What is said, in Chinese, and the webhook's JSON. Everything that a message shows is decided here, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from alerts.channels.base import Message, MessageType
from alerts.config import AlertSettings
from alerts.explanation import Explanation, Lift
from alerts.scopes import source_name
from ingest.clock import BEIJING

VERSION = 1
INTENTS = {"complaint": "投诉", "suggestion": "建议", "question": "咨询", "praise": "表扬", "other": "其他"}


def local(instant: datetime) -> str:
    """An instant as users read it: Beijing, to the minute."""
    return instant.astimezone(BEIJING).strftime("%m-%d %H:%M")


def iso(instant: datetime | None) -> str | None:
    """ISO 8601 in UTC."""
    return instant.isoformat() if instant is not None else None


def number(value: float) -> str:
    """A count for people: no more digits than matter."""
    if value >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def lifts(values: Sequence[Lift]) -> str:
    """``K20 ×6（常态的 12 倍）、…``"""
    shown = []
    for lift in values[:3]:
        times = f"（常态的 {number(lift.lift)} 倍）" if lift.lift >= 1.5 else ""
        shown.append(f"{lift.value} ×{lift.count}{times}")
    return "、".join(shown)


def alert_lines(incident: Mapping[str, Any], explanation: Explanation) -> list[str]:
    """The paragraphs of an alert: numbers, what stands out, quotes, what speaks against it."""
    lines = []
    if incident["kind"] == "spike":
        lines.append(
            f"近 {incident['window_hours']} 小时 {number(incident['observed'])} 条负面，"
            f"预期 {number(incident['expected'])} 条（95% 区间 {number(incident['low'])}–{number(incident['high'])}），"
            f"{incident['test']}，p={incident['p']:.1g}，严重度 {number(incident['severity'])}/10"
        )
    elif incident["kind"] == "silence":
        lines.append("这个来源没有在采集：现在的安静不代表没有问题")
    elif incident["kind"] == "stop":
        lines.append("这个来源停着等人处理：现在的安静不代表没有问题")
    elif incident["kind"] == "drift":
        lines.append("这个来源的应答少了以前有的内容：采集在继续，但读到的不完整，请检查解析")
    else:
        lines.append(f"{number(incident['observed'])} 条相关内容，严重度 {number(incident['severity'])}/10")
    for name, values in (
        ("产品", explanation.products),
        ("标签", explanation.tags),
        ("地区", explanation.regions),
        ("来源", explanation.sources),
    ):
        if values:
            lines.append(f"{name}：{lifts(values)}")
    lines.append(f"开始于 {local(incident['started_at'])}")
    lines += [f"> {source_name(q.source)}：{q.text}" for q in explanation.quotes]
    if explanation.counter:
        lines.append(f"请注意：{'；'.join(explanation.counter)}")
    return lines


def alert_message(
    incident: Mapping[str, Any], explanation: Explanation, scope: str, told: int, settings: AlertSettings
) -> Message:
    """The alert for the ``told``-th time (1 is the first)."""
    link = settings.link(f"alerts/{incident['key']}")
    key = f"{incident['key']}:{told}"
    title = incident["title"] if told == 1 else f"{incident['title']}（第 {told} 次通报）"
    payload = {
        "version": VERSION,
        "type": "alert",
        "alert": {
            "key": incident["key"],
            "level": incident["level"],
            "title": incident["title"],
            "scope": scope,
            "observed": incident["observed"],
            "expected": incident["expected"],
            "interval": [incident["low"], incident["high"]],
            "test": incident["test"],
            "severity": incident["severity"],
            "started_at": iso(incident["started_at"]),
            "tags": [lift.value for lift in explanation.tags],
            "products": [lift.value for lift in explanation.products],
            "quotes": [quote.text for quote in explanation.quotes],
            "link": link,
        },
    }
    return _message("alert", key, incident["level"], title, alert_lines(incident, explanation), link, payload)


def ticket_message(
    ticket: Mapping[str, Any], evidence: Sequence[Mapping[str, Any]], settings: AlertSettings, *, created: bool
) -> Message:
    """A ticket as downstream systems get it; ``evidence`` newest first (at most 50 are sent)."""
    kind: MessageType = "ticket.created" if created else "ticket.updated"
    body = {
        "key": ticket["key"],
        "level": ticket["level"],
        "title": ticket["title"],
        "department": ticket["department"],
        "intent": ticket["intent"],
        "status": ticket["status"],
        "tags": orjson.loads(ticket["tags"]),
        "product": ticket["product"],
        "region": ticket["region"],
        "platform": ticket["platform"],
        "link": ticket["link"],
        "text": ticket["text"],
        "likes": ticket["likes"],
        "count": ticket["count"],
        "deadlines": {
            "first_response": iso(ticket["first_response_due"]),
            "plan": iso(ticket["plan_due"]),
            "done": iso(ticket["done_due"]),
        },
        "evidence": [
            {"mention_id": e["mention_id"], "text": e["text"], "url": e["url"], "created_at": iso(e["created_at"])}
            for e in evidence[:50]
        ],
        "created_at": iso(ticket["created_at"]),
    }
    link = settings.link(f"tickets/{ticket['key']}")
    key = ticket["key"] if created else f"{ticket['key']}:{ticket['version']}"
    return _message(
        kind, key, ticket["level"], ticket["title"], [], link, {"version": VERSION, "type": kind, "ticket": body}
    )


def notice_message(
    key: str, level: str, title: str, lines: Sequence[str], path: str, mobiles: Sequence[str], settings: AlertSettings
) -> Message:
    """A deadline warning. As a webhook its type is ``notice``."""
    link = settings.link(path)
    payload = {
        "version": VERSION,
        "type": "notice",
        "notice": {"key": key, "level": level, "title": title, "lines": list(lines), "link": link},
    }
    return _message("notice", key, level, title, lines, link, payload, tuple(mobiles))


def _message(
    kind: MessageType,
    key: str,
    level: str,
    title: str,
    lines: Sequence[str],
    link: str,
    payload: Mapping[str, Any],
    mobiles: tuple[str, ...] = (),
) -> Message:
    return Message(
        key=key,
        type=kind,
        level=level,
        title=title,
        lines=tuple(lines),
        link=link,
        payload=orjson.dumps(payload).decode(),
        mobiles=mobiles,
    )
