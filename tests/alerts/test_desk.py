from __future__ import annotations

from datetime import timedelta

import pytest

from alerts.config import AlertSettings
from alerts.engine import AlertEngine
from alerts.routing import Routing
from ingest.mention import About, Matched
from tests.alerts.conftest import Room
from tests.alerts.helpers import NOW, mention


def test_a_meant_safety_word_alerts_at_once_with_a_first_level_ticket(room: Room) -> None:
    room.absorb(mention(at=NOW - timedelta(minutes=3), flags=["safety"], tags=(("产品质量/爆裂安全", "negative"),)))
    room.engine.react()
    (alert,) = room.read.open_alerts()
    assert (alert.kind, alert.level) == ("safety", "一级")
    assert len(room.outbox("alert")) == 1
    (ticket,), _ = room.read.tickets(now=NOW)
    assert (ticket.level, ticket.key) == ("一级", alert.ticket)
    assert ticket.first_response_due == NOW + timedelta(hours=2)
    assert ticket.plan_due == NOW + timedelta(hours=24)
    assert ticket.done_due == NOW + timedelta(hours=48)


def test_an_old_safety_mention_makes_a_ticket_and_wakes_nobody(room: Room) -> None:
    room.absorb(mention(at=NOW - timedelta(hours=72), collected=NOW, flags=["safety"]))
    room.tick()
    assert room.read.alerts() == []
    assert room.outbox("alert") == []
    (ticket,), _ = room.read.tickets(now=NOW)
    assert ticket.level == "一级"


def test_a_product_of_which_only_the_number_is_told_goes_by_the_name_that_others_give_it(room: Room) -> None:
    said = mention(product="720000040001", sentiment="neutral", tags=(), intent="praise")
    elsewhere = mention(source="tmall", product="720000040001", sentiment="neutral", tags=(), intent="praise")
    only_a_number = mention(product="720000040001", kind="question", flags=["safety"])
    assert said.product is not None
    room.absorb(
        elsewhere.model_copy(update={"product": said.product.model_copy(update={"name": "别处的东西"})}),
        said.model_copy(update={"product": said.product.model_copy(update={"name": "卫浴小背篓 B40"})}),
        only_a_number.model_copy(update={"product": said.product.model_copy(update={"name": None})}),
    )
    room.engine.react()
    (alert,) = room.read.open_alerts()
    assert "卫浴小背篓 B40" in alert.title
    assert "720000040001" not in alert.title
    (ticket,) = [one for one in room.read.tickets(now=NOW)[0] if one.key == alert.ticket]
    assert ticket.product == "卫浴小背篓 B40"


def test_the_second_safety_mention_of_the_same_product_joins_the_first(room: Room) -> None:
    for minutes in (50, 20):
        room.absorb(mention(at=NOW - timedelta(minutes=minutes), flags=["safety"]))
        room.engine.react()
    (alert,) = room.read.open_alerts()
    assert alert.evidence_count == 2
    assert room.read.tickets(now=NOW)[1] == 1
    assert len(room.outbox("alert")) == 1


@pytest.mark.parametrize("about", ["rival", "excluded"])
def test_what_is_only_about_a_rival_or_a_namesake_wakes_nobody_and_opens_nothing(room: Room, about: About) -> None:
    for flags in (["safety"], []):
        said = mention(flags=flags, severity=9.0, likes=50_000)
        room.absorb(said.model_copy(update={"matched": Matched(words=("炽源",), about=about)}))
    assert room.tick().raised == []
    assert room.read.tickets(now=NOW) == ([], 0)
    assert room.read.alerts() == []


@pytest.mark.parametrize("about", ["own", "none"])
def test_what_names_the_brand_or_nobody_at_all_is_heard(room: Room, about: About) -> None:
    said = mention(flags=["safety"], severity=9.0)
    room.absorb(said.model_copy(update={"matched": Matched(about=about)}))
    room.tick()
    assert room.read.tickets(now=NOW)[1] == 1


def test_a_safety_word_in_an_advertisement_or_by_the_shop_itself_is_not_meant(room: Room) -> None:
    room.absorb(mention(flags=["safety", "advertisement"]))
    room.engine.react()
    assert room.read.alerts() == []
    assert room.read.tickets(now=NOW)[1] == 0


@pytest.mark.parametrize(
    "given", [{"text": "再不处理我就打12315维权到底了，太欺负人"}, {"likes": 20_000}], ids=["words", "reach"]
)
def test_a_threat_to_reputation_is_first_level(room: Room, given: dict[str, object]) -> None:
    room.absorb(mention(**given))  # type: ignore[arg-type]
    room.engine.react()
    (alert,) = room.read.open_alerts()
    assert (alert.kind, alert.level) == ("reputation", "一级")


def test_reach_that_grows_later_is_noticed(room: Room) -> None:
    room.absorb(mention("x", captured=NOW + timedelta(minutes=1), text="一直不热，安装后没有人来看过", likes=3))
    room.engine.react()
    assert room.read.alerts() == []
    room.absorb(mention("x", captured=NOW + timedelta(minutes=9), text="一直不热，安装后没有人来看过", likes=30_000))
    room.engine.react()
    assert len(room.read.open_alerts()) == 1


@pytest.mark.parametrize(
    ("intent", "severity", "level", "department", "tags"),
    [
        ("complaint", 6.0, "二级", "物流部", (("物流问题/破损", "negative"),)),
        ("complaint", 1.0, "三级", "售后部", (("安装服务/延误", "negative"),)),
        ("suggestion", 0.0, "三级", "企划部", ()),
        ("question", 0.0, "三级", "客服部", (("运营价格/价格咨询", "neutral"),)),
        ("praise", 0.0, "三级", "人力资源部", (("表扬/表扬-安装工", "positive"),)),
    ],
)
def test_single_mentions_are_routed_by_intent_and_tag(
    room: Room, intent: str, severity: float, level: str, department: str, tags: tuple[tuple[str, str], ...]
) -> None:
    sentiment = "negative" if intent == "complaint" else "positive" if intent == "praise" else "neutral"
    room.absorb(mention(intent=intent, severity=severity, tags=tags, sentiment=sentiment))
    room.engine.react()
    (ticket,), total = room.read.tickets(now=NOW)
    assert (total, ticket.level, ticket.department) == (1, level, department)
    assert room.outbox("alert") == []


def test_a_tags_own_department_goes_first(room: Room, settings: AlertSettings) -> None:
    routing = Routing(tags={"产品质量/漏水渗水": "生产部"})
    room.absorb(mention())
    AlertEngine(room.db, settings, room.clock, routing).react()
    assert room.read.tickets(now=NOW)[0][0].department == "生产部"


def test_other_opens_nothing_and_each_complaint_of_its_own_author_is_its_own_ticket(room: Room) -> None:
    room.absorb(mention(intent="other", sentiment="neutral", tags=()), mention(), mention())
    room.engine.react()
    assert room.read.tickets(now=NOW)[1] == 2


def test_any_complaint_is_answered_within_four_hours(room: Room) -> None:
    room.absorb(mention(severity=0.5))
    room.engine.react()
    (ticket,), _ = room.read.tickets(now=NOW)
    assert ticket.level == "三级"
    assert ticket.first_response_due == NOW + timedelta(hours=4)


def test_an_edited_review_changes_its_ticket_and_opens_no_other(room: Room) -> None:
    room.absorb(mention("x", captured=NOW, text="师傅没有来，等了三天，实在说不过去"))
    room.engine.react()
    turned = mention(
        "x",
        captured=NOW + timedelta(hours=1),
        text="师傅没有来，等了三天，实在说不过去",
        appends=(("客服补偿了，现在很满意", NOW + timedelta(minutes=50)),),
        sentiment="positive",
        intent="praise",
        tags=(),
    )
    room.absorb(turned)
    room.engine.react()
    (ticket,), total = room.read.tickets(now=NOW)
    assert total == 1
    detail = room.read.ticket(ticket.key, now=NOW)
    assert detail is not None
    assert "很满意" in detail.evidence[0].text
    assert "转好评" in [event.detail for event in detail.events]


def test_an_append_that_names_a_danger_raises_an_alert(room: Room) -> None:
    room.absorb(
        mention("x", at=NOW - timedelta(days=20), captured=NOW, text="用着还可以", sentiment="neutral", tags=())
    )
    room.engine.react()
    room.absorb(
        mention(
            "x",
            at=NOW - timedelta(days=20),
            captured=NOW + timedelta(hours=1),
            text="用着还可以",
            appends=(("昨晚突然爆裂把孩子烫伤了", NOW + timedelta(minutes=30)),),
            flags=["safety"],
        )
    )
    room.clock.advance(3600)
    room.engine.react()
    assert [alert.kind for alert in room.read.open_alerts()] == ["safety"]


def test_reacting_again_does_nothing(room: Room) -> None:
    batch = [mention(), mention(flags=["safety"]), mention(intent="question", sentiment="neutral")]
    room.absorb(*batch)
    room.engine.react()
    before = [(row.key, row.body) for row in room.outbox()]
    for _ in range(3):
        room.restart()
        room.absorb(*batch)
        assert room.engine.react().handled == 0
    assert [(row.key, row.body) for row in room.outbox()] == before


def test_single_tickets_of_a_later_spike_are_linked_to_it(room: Room) -> None:
    room.past()
    room.absorb(*[mention(at=NOW - timedelta(minutes=30 - i)) for i in range(9)])
    room.engine.react()
    singles = room.read.tickets(now=NOW)[1]
    (key,) = room.tick().raised
    tickets, total = room.read.tickets(now=NOW)
    assert total == singles + 1
    assert {ticket.alert for ticket in tickets} == {key}


def test_the_desk_gets_the_agreed_json(room: Room) -> None:
    import orjson

    room.absorb(mention(likes=7))
    room.engine.react()
    (row,) = room.outbox("ticket.created")
    body = orjson.loads(orjson.loads(row.body)["payload"])
    assert (body["version"], body["type"]) == (1, "ticket.created")
    assert set(body["ticket"]) == {
        "key", "level", "title", "department", "intent", "status", "tags", "product", "region", "platform", "link",
        "text", "likes", "count", "deadlines", "evidence", "created_at",
    }  # fmt: skip
    assert set(body["ticket"]["deadlines"]) == {"first_response", "plan", "done"}
    assert set(body["ticket"]["evidence"][0]) == {"mention_id", "text", "url", "created_at"}
    assert body["ticket"]["likes"] == 7
    assert body["ticket"]["status"] == "待响应"
