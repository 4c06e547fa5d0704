from __future__ import annotations

from datetime import timedelta

from sqlalchemy import inspect, text

from alerts.erase import forget_author
from tests.alerts.conftest import Room
from tests.alerts.helpers import NOW, mention

WORDS = "我家那台昨晚又开始滴水，地板全泡坏了，找了五次客服"


def test_an_author_is_forgotten_everywhere_and_the_cases_stay(room: Room) -> None:
    room.past()
    batch = [mention(at=NOW - timedelta(minutes=5), text=WORDS, author="gone", flags=["safety"])]
    batch += [mention(at=NOW - timedelta(minutes=i)) for i in range(10)]
    batch += [mention(at=NOW - timedelta(minutes=40), text=WORDS + "再加一句", author="gone", product="B7")]
    room.absorb(*batch)
    room.tick()
    before = (len(room.read.alerts()), room.read.tickets(now=NOW)[1], len(room.outbox()))
    assert WORDS in everything(room)
    assert forget_author(room.db, "gone") == 2
    assert WORDS not in everything(room)
    assert "gone" not in everything(room)
    assert (len(room.read.alerts()), room.read.tickets(now=NOW)[1], len(room.outbox())) == before
    assert forget_author(room.db, "gone") == 0


def everything(room: Room) -> str:
    found = []
    with room.db.connect() as connection:
        for name in inspect(room.db).get_table_names():
            found += [repr(tuple(row)) for row in connection.execute(text(f"select * from {name}"))]
    return "\n".join(found)
