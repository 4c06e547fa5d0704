from __future__ import annotations

import random
from datetime import timedelta

from alerts.facts import FactStore
from ingest.copies import Copies
from tests.alerts.conftest import Room, burst
from tests.alerts.helpers import NOW, mention, praise


def test_a_spike_over_many_scopes_is_one_incident_with_one_ticket_named_by_the_scope_that_explains_it(
    room: Room,
) -> None:
    room.past()
    room.absorb(*burst(9, product="K20", tags=(("产品质量/漏水渗水", "negative"),), intent="other"))
    report = room.tick()
    assert report.firing > 1
    (alert,) = room.read.open_alerts()
    assert alert.level == "一级"
    assert alert.kind == "spike"
    assert alert.observed == 9
    assert alert.expected < 1
    assert alert.interval[0] <= alert.expected <= alert.interval[1]
    assert "漏水渗水" in alert.title
    tickets, total = room.read.tickets(now=NOW)
    assert total == 1
    assert tickets[0].key == alert.ticket
    assert tickets[0].department == "研发部"
    assert tickets[0].count == 9
    detail = room.read.alert(alert.key)
    assert detail is not None
    assert len(detail.mention_ids) == 9
    assert len(detail.explanation.quotes) == 3
    assert detail.explanation.tags[0].value == "产品质量/漏水渗水"
    assert len(room.outbox("alert")) == 1
    assert len(room.outbox("ticket.created")) == 1


def test_a_second_tick_and_a_restart_tell_nobody_again(room: Room) -> None:
    room.past()
    room.absorb(*burst(9, intent="other"))
    room.tick()
    for _ in range(5):
        room.clock.advance(60)
        room.restart()
        room.tick()
    assert len(room.outbox("alert")) == 1
    assert len(room.read.open_alerts()) == 1
    assert {state.state for state in room.read.states()} >= {"firing"}


def test_later_mentions_of_the_problem_become_evidence_not_tickets(room: Room) -> None:
    room.past()
    room.absorb(*burst(9, intent="other"))
    room.tick()
    room.clock.advance(600)
    now = room.clock.now()
    room.absorb(*[mention(at=now - timedelta(minutes=i), intent="complaint") for i in range(3)])
    room.tick()
    _, total = room.read.tickets(now=now)
    assert total == 1
    (alert,) = room.read.open_alerts()
    assert alert.evidence_count == 12
    assert len(room.outbox("alert")) == 1


def test_more_is_said_when_a_new_source_joins(room: Room) -> None:
    room.past()
    room.past(source="douyin")
    room.absorb(*burst(9, intent="other"))
    room.tick()
    room.clock.advance(300)
    now = room.clock.now()
    room.absorb(*[mention(at=now - timedelta(minutes=i), source="douyin", intent="other") for i in range(4)])
    room.tick()
    assert len(room.read.open_alerts()) == 1
    assert [row.key.rsplit(":", 1)[1] for row in room.outbox("alert")] == ["1", "2"]


def test_more_is_said_after_six_hours_only_with_more_evidence(room: Room) -> None:
    room.past()
    room.absorb(*burst(9, intent="other"))
    room.tick()
    for hour in range(1, 12):
        room.clock.jump(NOW + timedelta(hours=hour))
        if hour in (2, 8):
            room.absorb(mention(at=room.clock.now() - timedelta(minutes=5), intent="other"))
        room.tick()
    assert len(room.outbox("alert")) == 2


def test_a_calm_scope_cools_and_closes_and_a_new_spike_is_a_new_incident(room: Room) -> None:
    room.past()
    room.absorb(*burst(9, intent="other"))
    room.tick()
    seen = []
    for hour in range(1, 40):
        room.clock.jump(NOW + timedelta(hours=hour))
        room.tick()
        seen.append(next(alert.state for alert in room.read.alerts()))
    assert seen[0] == "firing"
    assert "cooling" in seen
    assert seen[-1] == "closed"
    assert seen == sorted(seen, key=["firing", "cooling", "closed"].index)
    room.clock.jump(NOW + timedelta(days=5))
    room.absorb(*burst(9, now=room.clock.now(), intent="other"))
    room.tick()
    assert len(room.read.alerts()) == 2


def test_two_unrelated_problems_are_two_incidents(room: Room) -> None:
    room.past()
    room.past(product="B7", tags=(("物流问题/破损", "negative"),), source="douyin")
    room.absorb(*burst(12, product="K20", tags=(("产品质量/漏水渗水", "negative"),), intent="other"))
    room.absorb(*burst(12, product="B7", tags=(("物流问题/破损", "negative"),), source="douyin", intent="other"))
    room.tick()
    alerts = room.read.open_alerts()
    assert len(alerts) == 2
    assert {alert.observed for alert in alerts} == {12}


def test_one_author_posting_forty_times_is_no_spike(room: Room) -> None:
    room.past()
    room.absorb(*burst(40, author="angry", intent="other"))
    assert room.tick().raised == []


def test_one_text_posted_by_forty_accounts_is_no_spike(room: Room) -> None:
    """As the classify stage has told their group."""
    room.past()
    text = "这家的暖气片用了三天就漏水，客服推来推去没有人管，大家千万不要买"
    said = [m for i in range(20) for m in burst(1, text=f"{text}{i}", intent="other")]
    room.absorb(*Copies(room.db, room.clock).grouped(said))
    assert room.tick().raised == []


def test_advertisements_templates_and_empty_reviews_are_no_negatives(room: Room) -> None:
    room.past()
    for flag in ("advertisement", "template", "empty", "default_review"):
        room.absorb(*burst(10, flags=[flag], intent="other"))
    report = room.tick()
    assert report.raised == []


def test_everything_up_on_a_campaign_day_is_no_incident(room: Room) -> None:
    room.past(per_day=6)
    quiet = burst(6, before=timedelta(minutes=50), intent="other", tags=())
    busy = [praise(at=NOW - timedelta(minutes=i % 55)) for i in range(80)]
    room.absorb(*quiet, *busy)
    assert room.tick().raised == []


def test_a_back_fill_is_counted_and_pages_nobody(room: Room) -> None:
    room.past()
    old = [mention(at=NOW - timedelta(days=3, minutes=i), collected=NOW) for i in range(30)]
    room.absorb(*old)
    report = room.tick()
    assert report.raised == []
    assert room.read.open_alerts() == []
    assert room.outbox("alert") == []


def test_an_import_of_old_reviews_opens_no_tickets(room: Room) -> None:
    room.absorb(*[mention(at=NOW - timedelta(days=30 + i), collected=NOW) for i in range(50)])
    room.tick()
    assert room.read.tickets(now=NOW)[1] == 0


def test_a_first_crawl_spread_over_the_day_is_no_spike(room: Room) -> None:
    room.absorb(*[mention(at=NOW - timedelta(minutes=15 * i), collected=NOW, intent="other") for i in range(90)])
    assert room.tick().raised == []


def test_a_new_source_does_not_lift_everything(room: Room) -> None:
    room.past(per_day=2)
    room.absorb(
        *[mention(at=NOW - timedelta(minutes=20 * i), collected=NOW, source="zhihu", intent="other") for i in range(60)]
    )
    assert room.tick().raised == []


def test_a_burst_on_an_empty_installation_is_seen(room: Room) -> None:
    room.absorb(*burst(12, intent="other"))
    assert len(room.tick().raised) == 1


def test_blind_is_unknown_and_does_not_close_a_fire(room: Room) -> None:
    room.past()
    report = room.tick({"jd": 0.3})
    assert report.unknown == 1
    assert [state.state for state in room.read.states()] == ["unknown"]
    room.absorb(*burst(9, intent="other"))
    room.tick({"jd": 1.0})
    room.clock.jump(NOW + timedelta(hours=30))
    room.tick({"jd": 0.0})
    assert [alert.state for alert in room.read.open_alerts()] != []
    assert "firing" in {state.state for state in room.read.states()}


def test_low_coverage_scales_the_expectation(room: Room) -> None:
    room.past(weeks=4, per_day=20)
    half = burst(6, intent="other")
    room.absorb(*half)
    complete = room.tick({"jd": 1.0})
    assert complete.raised == []
    expected = {s.label: s.expected for s in room.read.states()}
    room.tick({"jd": 0.5})
    scaled = {s.label: s.expected for s in room.read.states()}
    assert all(scaled[label] < expected[label] for label in expected if label in scaled)


def test_clock_jumps_raise_no_storm(room: Room) -> None:
    room.past()
    room.absorb(*burst(9, intent="other"))
    room.tick()
    told = len(room.outbox("alert"))
    for jump in (timedelta(hours=1), timedelta(hours=-1), timedelta(days=1), timedelta(days=-1), timedelta(0)):
        room.clock.jump(NOW + jump)
        room.tick()
    assert len(room.outbox("alert")) == told
    assert len(room.read.alerts()) == 1


def test_events_from_the_future_wait_for_their_time(room: Room) -> None:
    room.past()
    room.absorb(*[mention(at=NOW + timedelta(hours=20), collected=NOW, intent="other") for _ in range(10)])
    assert room.tick().raised == []


def test_a_dismissed_alert_is_closed_and_not_told_again(room: Room) -> None:
    room.past()
    room.absorb(*burst(9, intent="other"))
    (key,) = room.tick().raised
    room.engine.decide(key, "dismissed", by="主管")
    room.clock.advance(120)
    room.absorb(*burst(1, now=room.clock.now(), before=timedelta(minutes=1), source="tmall", intent="other"))
    room.tick()
    assert len(room.outbox("alert")) == 1


def test_a_confirmed_incident_is_no_baseline(room: Room) -> None:
    def second(confirm: bool) -> float:
        room.past(weeks=4)
        week = NOW - timedelta(days=7)
        room.clock.jump(week)
        room.absorb(*burst(60, now=week, before=timedelta(minutes=59), intent="other"))
        (key,) = room.tick().raised
        if confirm:
            room.engine.decide(key, "confirmed", by="主管")
        room.clock.jump(NOW)
        room.absorb(*burst(9, intent="other"))
        room.tick()
        return min(alert.expected for alert in room.read.open_alerts())

    assert second(True) < 1


def test_duplicates_and_shuffled_revisions_leave_the_same_store(room: Room) -> None:
    rng = random.Random(7)
    stream = []
    for i in range(60):
        at = NOW - timedelta(minutes=7 * i)
        for version in range(3):
            bad = (i + version) % 2 == 0
            stream.append(
                mention(
                    f"m{i}",
                    at=at,
                    captured=NOW + timedelta(minutes=version),
                    text=f"第{i}条第{version}版",
                    author=f"w{i}",
                    product=f"K{(i + version) % 3}",
                    sentiment="negative" if bad else "positive",
                    tags=(("产品质量/异响", "negative" if bad else "positive"),),
                    intent="complaint" if bad else "other",
                )
            )
    room.absorb(*stream)
    first = _everything(room)
    rng.shuffle(stream)
    for start in range(0, len(stream), 17):
        room.absorb(*stream[start : start + 17])
    assert _everything(room) == first
    twice = FactStore(room.db, room.settings)
    assert twice.absorb([(m, None) for m in stream]).unchanged == len(stream)


def _everything(room: Room) -> object:
    from sqlalchemy import select

    from alerts.tables import Bucket, Fact, Scope, table

    buckets, scopes = table(Bucket), table(Scope)
    with room.db.connect() as connection:
        cells = connection.execute(
            select(scopes.c.key, buckets.c.bucket, buckets.c.total, buckets.c.negative)
            .join(scopes, scopes.c.id == buckets.c.scope_id)
            .where(buckets.c.total != 0)
            .order_by(scopes.c.key, buckets.c.bucket)
        ).all()
        facts = connection.execute(
            select(table(Fact).c.mention_id, table(Fact).c.revision, table(Fact).c.product).order_by(
                table(Fact).c.mention_id
            )
        ).all()
    return [tuple(cell) for cell in cells], [tuple(fact) for fact in facts]
