"""PostgreSQL killed, restarted, stopped in the middle of the work, full: nothing is lost or told twice, all goes on."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from traceback import format_exception

import pytest
from sqlalchemy import Connection, Engine, event, select, text
from sqlalchemy.exc import SQLAlchemyError

from alerts.config import load_settings as alert_settings
from alerts.facts import FactStore
from alerts.tables import Fact, Outbox, Ticket, table
from alerts.upsert import lock
from ingest.clock import SystemClock
from ingest.errors import ConfigError, Permanent, Poison, Retryable, ShengwenError, Unavailable
from ingest.log.base import Outgoing, Topics
from ingest.stage import StagePolicy
from ingest.state import make_engine, mapped, state_errors
from shengwen.database import migrate
from shengwen.home import Home
from shengwen.lease import Lease
from shengwen.rooms import Rooms
from shengwen.runner import StageRunner, repeat
from shengwen.settings import load_settings
from shengwen.stages import ALERT
from shengwen.worker import EXIT_PERMANENT
from tests.alerts.helpers import mention
from tests.alerts.receivers import Receiver, desk, receiver
from tests.alerts.test_several_workers import recounted, stored
from tests.faults.kit import shengwen
from tests.processes import wait_until
from tests.servers.postgres import PostgresServer, running
from tests.shengwen.world import open_world

PATIENT = StagePolicy(batch_size=10, poll_timeout=0.05, backoff_base=0.05, backoff_cap=0.3, max_attempts=500)
PASSWORD = "not-asked-for"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server to be broken."""
    with running() as opened:
        opened.make_template()
        yield opened


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    with server.database() as made:
        yield made


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    made = make_engine(url)
    yield made
    made.dispose()


class Town:
    """The alert stage, the tick under its lease, and delivery, as the service runs them; and a desk that listens."""

    def __init__(self, rooms: Rooms, desk: Receiver, tickets: dict[str, str]) -> None:
        self.rooms = rooms
        self.desk = desk
        self.tickets = tickets
        self.said = 0

    def say(self, count: int) -> None:
        """That many mentions, each of which is to become a ticket, arrive in the log."""
        now = SystemClock().now()
        batch = []
        for _ in range(count):
            at = now - timedelta(hours=3, minutes=self.said)
            one = mention(f"x{self.said}", at=at, collected=now, tags=(), sentiment="neutral")
            batch.append(Outgoing(one.id, one.to_json()))
            self.said += 1
        self.rooms.log.produce(Topics.CLASSIFIED, batch)

    def idle(self) -> bool:
        """Everything said is absorbed, and everything to be told is told."""
        if self.rooms.log.lag(Topics.CLASSIFIED, ALERT):
            return False
        try:
            with self.rooms.engine.connect() as connection:
                states = Counter(connection.scalars(select(table(Outbox).c.state)))
        except SQLAlchemyError:
            return False
        return states["delivered"] >= self.said and set(states) == {"delivered"}

    def check(self) -> None:
        """Each mention was counted once, has one ticket, and the desk heard of each ticket once."""
        engine = self.rooms.engine
        with engine.connect() as connection:
            assert len(connection.scalars(select(table(Fact).c.mention_id)).all()) == self.said
            found = connection.execute(select(table(Ticket).c.key, table(Ticket).c.mention_id)).all()
        assert len(found) == self.said
        assert len({row.mention_id for row in found}) == self.said
        assert stored(engine) == recounted(engine)
        keys = Counter(request.headers["idempotency-key"] for request in self.desk.got)
        assert set(keys.values()) == {1}, "the messages' fate was remembered while the database was away"
        assert {key for key in keys if key in {row.key for row in found}} == {row.key for row in found}


@contextmanager
def town(url: str, folder: Path) -> Iterator[Town]:
    tickets: dict[str, str] = {}
    with receiver(desk("s", time.time, tickets=tickets)) as listening:
        rules = {
            "ticket_systems": [{"name": "desk", "url": listening.url, "secret": "s"}],
            "delivery": {"lease": 60, "first_wait": 0.1},
        }
        home = Home(folder / "home")
        with Rooms(home, load_settings(home, state_url=url, alerts=alert_settings(rules))) as rooms:
            stop = threading.Event()
            runner = StageRunner(rooms, [ALERT], PATIENT)
            with Lease(rooms.engine, rooms.clock, seconds=2) as lease:
                jobs: list[tuple[Callable[[], object], float]] = [
                    (lease.only(rooms.alerting.tick), 0.2),
                    (lambda: rooms.alerting.dispatch(stop), 0.05),
                ]
                threads = [
                    threading.Thread(target=repeat, args=(job, every, stop, rooms, "job")) for job, every in jobs
                ]
                for thread in threads:
                    thread.start()
                runner.start()
                try:
                    yield Town(rooms, listening, tickets)
                finally:
                    stop.set()
                    runner.stop()
                    for thread in threads:
                        thread.join(30)
            assert runner.failed == {}


def crash(server: PostgresServer) -> None:
    server.kill()
    time.sleep(0.7)
    server.start()


def leave_and_come_back(server: PostgresServer) -> None:
    server.restart()


def stand_still(server: PostgresServer) -> None:
    server.pause()
    time.sleep(3)
    server.go_on()


@pytest.mark.parametrize("fault", [crash, leave_and_come_back, stand_still])
def test_no_alert_is_lost_or_told_twice_when_the_server_breaks(
    server: PostgresServer, url: str, tmp_path: Path, fault: Callable[[PostgresServer], None]
) -> None:
    with town(url, tmp_path) as here:
        for _ in range(2):
            here.say(60)
            heard = len(here.desk.got)
            wait_until(lambda heard=heard: len(here.desk.got) > heard, 30, "the work under way")  # type: ignore[misc]
            fault(server)
        here.say(10)
        wait_until(here.idle, 45, "the end of the work")
        here.check()


def test_a_server_that_is_away_is_a_passing_error_and_the_next_call_finds_it_again(
    server: PostgresServer, engine: Engine
) -> None:
    facts = FactStore(engine, alert_settings({}))
    lease = Lease(engine, SystemClock())
    assert lease.try_once()
    with state_errors():
        facts.absorb([(mention("one"), None)])
    server.kill()
    for call in (lambda: facts.absorb([(mention("two"), None)]), lease.try_once):
        with (
            pytest.raises(Unavailable, match=rf"连不上状态库（127\.0\.0\.1:{server.port}）：确认") as caught,
            state_errors(),
        ):
            call()
        assert PASSWORD not in "".join(format_exception(caught.value))
    assert lease.holds, "for as long as nobody else may have it"
    server.start()
    with state_errors():
        assert facts.absorb([(mention("two"), None)]).new == 1
        assert facts.absorb([(mention("one"), None)]).new == 0
    assert lease.try_once()


@pytest.fixture(scope="module")
def locked(server: PostgresServer) -> str:
    """A user who has to say a password, beside one who is turned away: the former's URL, without a database."""
    with server.connect() as admin:
        admin.execute("CREATE ROLE locked LOGIN PASSWORD 'a-word-that-fits'")
        admin.execute("CREATE ROLE outsider LOGIN")
        rules = server.folder / "data" / "pg_hba.conf"
        own = "host all locked all scram-sha-256\nhost all outsider all reject\n"
        rules.write_text(own + rules.read_text("utf-8"), "utf-8")
        admin.execute("SELECT pg_reload_conf()")
    url = f"postgresql+psycopg://locked:a-word-that-fits@127.0.0.1:{server.port}/"
    wait_until(lambda: "reject" in refused(url.replace("locked", "outsider") + "postgres"), what="the new rules")
    return url


def refused(url: str) -> str:
    """What is said of a connection that is not made."""
    made = make_engine(url)
    try:
        made.connect().close()
    except SQLAlchemyError as error:
        return str(error)
    finally:
        made.dispose()
    return ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("a-word-that-fits", "another-word"), "检查 state_url 里的用户名和密码"),
        ((":a-word-that-fits", ""), "检查 state_url 里的用户名和密码"),
        (("locked", "nobody_here"), "检查 state_url 里的用户名和密码"),
        (("locked", "outsider"), r"pg_hba\.conf"),
        (("/postgres", "/nowhere"), "检查 state_url 里的数据库名"),
    ],
)
def test_a_login_that_no_waiting_mends_is_a_setting_to_be_corrected(
    server: PostgresServer, locked: str, change: tuple[str, str], said: str
) -> None:
    url = f"{locked}postgres"
    assert refused(url) == "", "the right password opens it"
    made = make_engine(url.replace(*change))
    with pytest.raises(ConfigError, match=rf"（127\.0\.0\.1:{server.port}）.*{said}") as caught:
        migrate(made)
    made.dispose()
    assert "word" not in str(caught.value).replace("password", "")


def test_a_worker_with_a_wrong_password_ends_with_the_code_for_a_person(locked: str, tmp_path: Path) -> None:
    home = Home(tmp_path / "home").ensure()
    home.settings.write_text(f'state_url = "{locked.replace("fits", "does-not")}postgres"\n', "utf-8")
    told = shengwen(home.path, "work", "alert")
    assert told.returncode == EXIT_PERMANENT
    assert told.stderr.startswith("错误：PostgreSQL（127.0.0.1")
    assert len(told.stderr.strip().splitlines()) == 1


def test_connections_that_an_administrator_ended_are_replaced(server: PostgresServer, engine: Engine) -> None:
    with engine.connect() as held:
        held.execute(text("SELECT 1"))
        with server.connect() as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shengwen'")
        with pytest.raises(Unavailable, match="terminat"), state_errors():
            held.execute(text("SELECT 1"))
    for _ in range(3):
        with engine.connect() as again:
            assert again.execute(text("SELECT 1")).scalar() == 1


@pytest.mark.parametrize(
    ("state", "kind", "said"),
    [
        ("53100", Retryable, "磁盘已满"),
        ("53300", Retryable, "暂时不可用"),
        ("57P01", Unavailable, "暂时不可用"),
        ("57014", Retryable, "暂时不可用"),
        ("40P01", Retryable, "暂时不可用"),
        ("40001", Retryable, "暂时不可用"),
        ("55P03", Retryable, "暂时不可用"),
        ("25006", Unavailable, "暂时不可用"),
        ("58030", Retryable, "暂时不可用"),
        ("22001", Poison, "存不下"),
        ("23505", Permanent, "出错"),
        ("42501", Permanent, "出错"),
        ("XX001", Permanent, "出错"),
    ],
)
def test_the_servers_errors_are_ours_and_show_no_values(
    engine: Engine, state: str, kind: type[ShengwenError], said: str
) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'"
                f" USING ERRCODE = '{state}', DETAIL = NEW.mention_id; END $$"
            )
        )
        connection.execute(
            text("CREATE TRIGGER refuses BEFORE INSERT ON alert_facts FOR EACH ROW EXECUTE FUNCTION refuse()")
        )
    facts = FactStore(engine, alert_settings({}))
    with pytest.raises(kind, match=said) as caught, state_errors():
        facts.absorb([(mention("secret-id"), None)])
    assert type(caught.value) is kind
    assert "secret-id" not in str(caught.value)
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER refuses ON alert_facts"))
        assert connection.execute(select(table(Fact))).all() == []
    with state_errors():
        assert facts.absorb([(mention("secret-id"), None)]).new == 1


def test_a_migration_under_a_running_process_is_a_passing_error(engine: Engine) -> None:
    asked = text("SELECT * FROM leases WHERE name = :name").bindparams(name="scheduler")
    for _ in range(8):  # often enough to be prepared
        with engine.begin() as connection:
            connection.execute(asked)
    other = make_engine(engine.url.render_as_string(hide_password=False))
    with other.begin() as connection:
        connection.execute(text("ALTER TABLE leases ADD COLUMN more text"))
    other.dispose()
    with pytest.raises(Unavailable, match="cached plan"), state_errors(), engine.connect() as connection:
        connection.execute(asked)
    with engine.connect() as connection:
        connection.execute(asked)


def test_who_waits_too_long_for_a_lock_is_told_to_try_again(url: str, engine: Engine) -> None:
    hurried = make_engine(f"{url}?options=-c%20lock_timeout%3D200ms")
    with engine.begin() as holding:
        lock(holding)
        started = time.monotonic()
        with pytest.raises(Retryable, match="lock timeout"), state_errors():
            FactStore(hurried, alert_settings({})).absorb([(mention(), None)])
        assert time.monotonic() - started < 20, "the product's own time-out is 30 s"
    with state_errors():
        assert FactStore(hurried, alert_settings({})).absorb([(mention(), None)]).new == 1
    hurried.dispose()


def test_waiting_has_an_end_by_itself(engine: Engine) -> None:
    with engine.connect() as connection:
        told = {
            name: connection.execute(text(f"SHOW {name}")).scalar()
            for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        }
        info = connection.connection.driver_connection.info  # type: ignore[union-attr]
        assert {name: info.get_parameters().get(name) for name in ("connect_timeout", "keepalives")} == {
            "connect_timeout": "5", "keepalives": "1",
        }  # fmt: skip
    assert told == {
        "lock_timeout": "30s", "statement_timeout": "2min", "idle_in_transaction_session_timeout": "5min",
    }  # fmt: skip


def test_a_commit_whose_answer_was_lost_is_done_once(server: PostgresServer, engine: Engine) -> None:
    """The worst moment: the server has committed, and dies before it says so."""
    facts = FactStore(engine, alert_settings({}))

    unheard = [True]

    @event.listens_for(engine, "commit")
    def _committed_unheard(connection: Connection) -> None:
        raw = connection.connection.driver_connection
        if unheard and raw is not None:
            unheard.clear()
            raw.commit()
            raw.execute("SELECT 1")  # so that there is something to be committed when nobody answers any more
            server.kill()

    one = mention("once", sentiment="negative")
    with pytest.raises(Unavailable), state_errors():
        facts.absorb([(one, None)])
    server.start()
    with state_errors():
        assert facts.absorb([(one, None)]).unchanged == 1
    assert stored(engine) == recounted(engine)
    assert set(stored(engine).values()) == {(1, 1)}


def test_the_page_says_that_it_cannot_read_and_comes_back(server: PostgresServer, url: str, tmp_path: Path) -> None:
    with open_world(tmp_path, url=url) as world:
        client = world.logged_in()
        assert client.get("/tickets").status_code == 200
        server.kill()
        for path in ("/tickets", "/alerts", "/api/v1/alerts"):
            answer = client.get(path, follow_redirects=False)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5"), path
            assert "暂时读不到数据" in answer.text
        assert client.get("/static/page.css").status_code == 200, "what needs no database is served"
        server.start()
        assert client.get("/tickets").status_code == 200


def test_text_that_postgresql_cannot_hold_is_poison(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(SQLAlchemyError) as caught:
        connection.execute(select(table(Fact)).where(table(Fact).c.mention_id == "nul \x00 within"))
    assert isinstance(mapped(caught.value), Poison)
