"""Official APIs from settings to whole runs: keys, jobs, the pages behind them, the command."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from crawlers.audit import read_audit
from crawlers.config import CrawlSettings
from crawlers.launch import run_spider
from crawlers.official.client import retry_after
from crawlers.official.config import OfficialSettings, TopSettings
from crawlers.run import Job, load_job, run
from ingest.clock import Clock, ManualClock, SystemClock
from ingest.errors import ConfigError
from ingest.log.base import Topics
from ingest.log.sqlite import SqliteLog
from ingest.mention import mention_from_json
from ingest.state import Base, make_engine
from tests.alerts.receivers import Got, Reply, receiver
from tests.crawlers.official import FakeJos, FakeTop
from tests.crawlers.official_runs import FAST, NOW, jos_keys, reviews, top_keys, world
from tests.crawlers.replica import running_replica


def test_keys_are_all_or_none_and_secrets_show_nowhere(tmp_path: Path) -> None:
    from shengwen.home import Home
    from shengwen.settings import load_settings

    with pytest.raises(ConfigError, match=r"official.jos.*还缺 app_secret、access_token") as caught:
        load_settings(Home(tmp_path), crawl={"official": {"jos": {"app_key": "k-123456"}}})
    assert "k-123456" not in str(caught.value)
    for elsewhere in (
        "http://relay.example/top",
        "http://localhost:80@evil.example/",
        "http://127.0.0.1:80@evil.example/",
        "http://localhost.evil.example/",
        "https://user:word@relay.example/",
        "https://",
        "ftp://localhost/",
        "http://[::1",
    ):
        with pytest.raises(ConfigError, match=r"official\.top\.url") as caught:
            load_settings(Home(tmp_path), crawl={"official": {"top": {"url": elsewhere}}})
        assert "word" not in str(caught.value)
    for good in ("https://relay.example/top", "http://localhost:8080/x", "http://[::1]:9/", "http://127.0.0.1:9"):
        assert TopSettings(url=good).url == good.rstrip("/")
    crawl = CrawlSettings.model_validate({"official": {"zhihu": {"access_secret": "hush-hush", "keywords": ["暖气"]}}})
    assert crawl.official_of("zhihu") == "zhihu"
    assert crawl.official_of("jd") is None
    assert crawl.official_of("xiaohongshu") is None
    for shown in (repr(crawl), str(crawl.model_dump()), crawl.model_dump_json()):
        assert "hush-hush" not in shown
    off = CrawlSettings.model_validate(
        {"official": {"zhihu": {"access_secret": "x", "keywords": ["暖气"], "enabled": False}}}
    )
    assert off.official_of("zhihu") is None
    half = CrawlSettings.model_validate({"official": {"zhihu": {"access_secret": "x", "enabled": False}}})
    assert half.official_of("zhihu") is None


def test_secrets_also_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from shengwen.crawling import in_browser, planned
    from shengwen.home import Home as Folder
    from shengwen.settings import load_settings

    (tmp_path / "shengwen.toml").write_text(
        '[crawl.official.douyin]\nopen_id = "open-1"\n[crawl.official.jos]\napp_key = "k"\napp_secret = "s"\n'
    )
    monkeypatch.setenv("SHENGWEN_CRAWL__OFFICIAL__DOUYIN__ACCESS_TOKEN", "from-outside")
    monkeypatch.setenv("SHENGWEN_CRAWL__OFFICIAL__JOS__ACCESS_TOKEN", "t")
    settings = load_settings(Folder(tmp_path))
    assert settings.crawl.official.douyin.access_token.get_secret_value() == "from-outside"
    assert planned(settings) == ["jd", "douyin"]
    assert not in_browser(settings, "douyin")
    assert in_browser(settings, "xiaohongshu")
    monkeypatch.delenv("SHENGWEN_CRAWL__OFFICIAL__JOS__ACCESS_TOKEN")
    with pytest.raises(ConfigError, match=r"crawl\.official\.jos：还缺 access_token"):
        load_settings(Folder(tmp_path))


def job_in(path: Path, **official: Any) -> Job:
    engine = make_engine(f"sqlite:///{path / 'state.db'}")
    Base.metadata.create_all(engine)
    engine.dispose()
    return Job(
        crawl=CrawlSettings.model_validate({"official": official}),
        log_path=path / "log.db",
        state_url=f"sqlite:///{path / 'state.db'}",
        secret_path=path / "secret.key",
    )


def test_a_job_carries_the_secrets_only_when_asked_to(tmp_path: Path) -> None:
    job = job_in(tmp_path, jos={"app_key": "k", "app_secret": "hush", "access_token": "hushhush"})
    assert "hush" not in job.model_dump_json() + repr(job)
    (tmp_path / "job.json").write_text(job.to_json(), encoding="utf-8")
    assert load_job(tmp_path / "job.json") == job
    assert isinstance(job.crawl.official, OfficialSettings)


def test_a_configured_api_is_read_by_the_same_child_process_and_no_page_without_targets(tmp_path: Path) -> None:
    clock: Clock = SystemClock()
    said = reviews(60, every=timedelta(hours=5), until=clock.now())
    with receiver(FakeJos(clock, said=said)) as server:
        job = job_in(tmp_path, jos=FAST | jos_keys(server))
        report = run_spider("jd", job, 60)
        assert report.report is not None, report.log_tail
        assert (report.status, report.exit_code, report.report.coverage[0].new) == ("complete", 0, 60)
        again = run("jd", job)  # and in this process: no reactor is needed
        assert (again.status, again.coverage[0].new, again.coverage[0].duplicate > 0) == ("complete", 0, True)
        wrong = job_in(tmp_path, jos=FAST | jos_keys(server, access_token="old"))
        assert (run("jd", wrong).exit_code, run("jd", wrong).status) == (3, "stopped")
    with SqliteLog(tmp_path / "log.db") as log:
        streamed = [orjson.loads(record.value)["id"] for record in log.read(Topics.COLLECTED, 0, 0, 1000)]
    assert Counter(streamed) == Counter({f"jd:review:{one.id}": 1 for one in said})


def test_the_api_comes_first_and_then_the_pages_of_what_it_does_not_give(tmp_path: Path) -> None:
    """One's own product: reviews by JOS, questions from the page. A rival's: both from the page."""
    clock: Clock = SystemClock()
    said = reviews(20, every=timedelta(hours=5), until=clock.now())
    with running_replica() as replica, receiver(FakeJos(clock, said=said)) as server:
        here = replica.settings("jd")
        own, rival = here["targets"][0]["sku"], here["targets"][1]["sku"]
        here |= {"pause": [0, 0], "targets": here["targets"][:2]}
        crawl = CrawlSettings.model_validate({"jd": here, "official": {"jos": FAST | jos_keys(server, skus=[own])}})
        job = job_in(tmp_path).model_copy(update={"crawl": crawl})
        report = run_spider("jd", job, 300)
        assert report.report is not None, report.log_tail
        assert (report.status, report.exit_code) == ("complete", 0)
        assert [record.query for record in report.report.coverage] == [own, f"sku={own}", f"sku={rival}"]
    with SqliteLog(tmp_path / "log.db") as log:
        streamed = [mention_from_json(record.value) for record in log.read(Topics.COLLECTED, 0, 0, 100_000)]
    products: dict[str, set[str]] = {}
    for mention in streamed:
        if mention.raw.parser == "jd.getVenderCommentsForJos":
            continue
        page = (mention.raw.url or "").partition("roductId=")[2].partition("&")[0]
        products.setdefault(mention.kind, set()).add(page)
    assert products["review"] == {rival}
    assert products["question"] == {own, rival}
    assert {f"jd:review:{one.id}" for one in said} <= {mention.id for mention in streamed}
    why = {line.fields["why"] for line in read_audit(tmp_path / "audit", ["jd"], clock.now() - timedelta(days=1))}
    assert {"official_api", "robots_allowed"} <= why


def test_a_refused_api_leaves_the_pages_alone(tmp_path: Path) -> None:
    clock: Clock = SystemClock()
    with receiver(FakeJos(clock)) as server:
        crawl = {"targets": [{"sku": "1"}], "bases": {"club.jd.com": server.url}}
        job = job_in(tmp_path, jos=FAST | jos_keys(server, access_token="old"))
        settings = CrawlSettings.model_validate({"jd": crawl, "official": job.crawl.official})
        report = run("jd", job.model_copy(update={"crawl": settings}))
        assert (report.status, len(report.coverage)) == ("stopped", 1)
        assert not [got for got in server.got if "productPageComments" in got.path]


def test_what_records_lack_is_counted_and_told(tmp_path: Path) -> None:
    """A platform that drops a field breaks nothing; only its share of records falls."""
    with world(tmp_path, "jos", FakeJos, said=reviews(6, every=timedelta(days=1))) as (home, fake, server):
        assert home.run(**jos_keys(server)).status == "complete"
        (fill,) = home.coverage()[0].fill
        assert (fill.endpoint, fill.records, fill.fields["rating"]) == (
            "jd.getVenderCommentsForJos",
            fill.fields["text"],
            fill.records,
        )
    (tmp_path / "top").mkdir()
    with world(tmp_path / "top", "top", FakeTop, said=reviews(3, every=timedelta(days=1))) as (home, fake, server):
        answer = fake.answer

        def short(got: Got) -> Reply:
            body: Any = answer(got).body
            body["traderates_get_response"].pop("has_next")
            return Reply(body)

        fake.trouble = short
        done = home.run(**top_keys(server))
        assert (done.status, "has_next" in done.reason) == ("partial", True)
        (fill,) = home.coverage()[0].fill
        assert list(fill.lacking.values()) == [fill.records]


def test_sigterm_ends_an_api_run_cleanly(tmp_path: Path) -> None:
    clock: Clock = SystemClock()
    fake = FakeJos(clock, said=reviews(400, every=timedelta(hours=4), until=clock.now()))
    stop = threading.Event()
    with receiver(fake) as server:
        fake.trouble = lambda got: stop.set() if len(server.got) == 2 else None
        job = job_in(tmp_path, jos=FAST | jos_keys(server, requests_per_minute=60))
        report = run_spider("jd", job, 60, stop=stop)
        assert report.report is not None, report.log_tail
        assert (report.status, report.exit_code, report.report.reason) == ("partial", 0, "被要求停下，下一次接着采")
        assert report.report.coverage[0].got > 0


def test_the_command_reads_a_configured_api(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from shengwen.cli import run as shengwen

    clock: Clock = SystemClock()
    with receiver(FakeJos(clock, said=reviews(3, every=timedelta(hours=4), until=clock.now()))) as server:
        home = tmp_path / "home"
        home.mkdir()
        (home / "shengwen.toml").write_text(f'[crawl.official.jos]\nurl = "{server.url}"\napp_key = "jos-key"\n')
        assert shengwen(["--home", str(home), "crawl", "jd", "--once"]) == 1
        assert "还缺 app_secret、access_token" in capfd.readouterr().err
        monkeypatch.setenv("SHENGWEN_CRAWL__OFFICIAL__JOS__APP_SECRET", "jos secret")
        monkeypatch.setenv("SHENGWEN_CRAWL__OFFICIAL__JOS__ACCESS_TOKEN", "jos-token")
        assert shengwen(["--home", str(home), "crawl", "jd", "--once"]) == 0
        assert "京东：完成，读到 3 条，新 3 条" in capfd.readouterr().out
        monkeypatch.setenv("SHENGWEN_CRAWL__OFFICIAL__JOS__ACCESS_TOKEN", "old")
        with pytest.raises(SystemExit):
            shengwen(["--home", str(home), "crawl", "jd", "--once"])
        assert "重新授权" in capfd.readouterr().out


def test_retry_after_is_read_as_seconds_or_date() -> None:
    clock = ManualClock(NOW)
    assert retry_after("7", clock) == 7.0
    assert retry_after("Wed, 04 Mar 2026 06:21:00 GMT", clock) == 60.0
    assert retry_after("Wed, 04 Mar 2026 06:00:00 GMT", clock) == 0.0
    assert [retry_after(value, clock) for value in (None, "", "soon", "-3", "²", "9" * 20)] == [None] * 6
