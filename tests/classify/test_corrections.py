"""What people corrected: stored once a mention, applied to what it was said of, erased with its author."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, inspect, text

from classify.agreement import agreement, corrections_report
from classify.base import Classifier, Utterance
from classify.corrections import CORRECTED, Corrections
from ingest.analysis import Analysis, TagOpinion
from ingest.clock import ManualClock
from ingest.errors import Permanent
from ingest.mention import Append, Author
from ingest.state import make_engine
from tests.factories import CAPTURED, a_classified, an_analysis

HOT, LEAK, SLOW = "使用体验/采暖效果", "产品质量/漏水渗水", "物流问题/延迟"


@pytest.fixture
def engine(state_url: str) -> Iterator[Engine]:
    made = make_engine(state_url)
    yield made
    made.dispose()


@pytest.fixture
def corrections(engine: Engine, clock: ManualClock) -> Corrections:
    return Corrections(engine, clock)


def opinion(tag: str, sentiment: str = "negative", span: tuple[int, int] | None = None) -> TagOpinion:
    return TagOpinion.model_validate({"tag": tag, "sentiment": sentiment, "confidence": 0.4, "span": span})


def test_a_correction_comes_back_as_it_was_made(corrections: Corrections, clock: ManualClock) -> None:
    mention = a_classified("positive", text="热得很，就是等了半个月", rating=4, tags=(HOT,), model="m/1")
    made = corrections.put(mention, sentiment="negative", tags=[opinion(SLOW, span=(4, 11))], by="lin")
    assert corrections.get([mention.id, "jd:review:other"]) == {mention.id: made}
    assert corrections.all() == [made]
    assert (made.text, made.rating, made.default_review, made.source) == (mention.full_text, 4, False, "jd")
    assert (made.made_at, made.made_by) == (clock.now(), "lin")
    assert (made.sentiment, made.tags) == (
        "negative",
        (TagOpinion(tag=SLOW, sentiment="negative", confidence=1, span=(4, 11)),),
    )
    assert made.before == mention.analysis
    assert made.utterance == Utterance(mention.full_text, 4)


def test_a_new_correction_replaces_the_old_and_keeps_what_the_model_said(
    corrections: Corrections, clock: ManualClock
) -> None:
    mention = a_classified("positive", tags=(HOT,))
    first = corrections.put(mention, sentiment="negative", tags=None, by="lin")
    shown = corrections.applied([mention])[0]
    assert shown.analysis.sentiment.label == "negative"
    clock.advance(60)
    second = corrections.put(shown, sentiment="neutral", tags=[], by="wang")
    assert corrections.all() == [second]
    assert second.before == first.before == mention.analysis
    assert corrections.applied([shown])[0].analysis.sentiment.label == "neutral"


def test_what_is_taken_back_is_gone(corrections: Corrections) -> None:
    mention = a_classified()
    made = corrections.put(mention, sentiment="negative", tags=None, by="lin")
    assert corrections.remove(mention.id) == made
    assert corrections.remove(mention.id) is None
    assert corrections.all() == []
    assert corrections.applied([mention]) == [mention]


def test_applying_is_certain_leaves_the_rest_and_twice_is_once(corrections: Corrections) -> None:
    mention = a_classified("neutral", intent="question", tags=(HOT,), flags=("unsure", "sarcasm"))
    made = corrections.put(mention, sentiment="negative", tags=None, by="lin")
    right = made.apply(mention.analysis)
    assert right.sentiment.model_dump() == {"label": "negative", "positive": 0, "neutral": 0, "negative": 1}
    assert (right.intent, right.tags, right.flags) == ("question", mention.analysis.tags, ("sarcasm",))
    assert right.model == mention.analysis.model + CORRECTED
    assert made.apply(right) == right
    newer = an_analysis("positive", tags=(LEAK,), model="test/2")
    assert made.apply(newer).tags == newer.tags, "what was not corrected is the newer model's"


def test_an_earlier_correction_leaves_no_trace_in_a_later_one(corrections: Corrections) -> None:
    mention = a_classified("neutral", tags=(HOT,))
    first = corrections.put(mention, sentiment=None, tags=[opinion(LEAK)], by="lin")
    second = corrections.put(mention, sentiment="positive", tags=None, by="lin")
    assert second.apply(first.apply(mention.analysis)).tags == mention.analysis.tags


@pytest.mark.parametrize(("flags", "severity"), [((), 0.0), (("safety",), 6.0)])
def test_no_blame_no_severity_unless_somebody_is_in_danger(
    corrections: Corrections, flags: tuple[str, ...], severity: float
) -> None:
    mention = a_classified("negative", tags=(LEAK,), flags=flags, severity_reason="漏水")
    made = corrections.put(mention, sentiment="positive", tags=[opinion(HOT, "positive")], by="lin")
    assert made.wanted.severity == severity
    assert bool(made.wanted.severity_reason) == bool(severity)
    blamed = corrections.put(mention, sentiment="positive", tags=None, by="lin")
    assert blamed.wanted.severity == 6.0, "one tag still holds blame"


def test_a_correction_holds_for_the_words_it_was_made_for(corrections: Corrections) -> None:
    mention = a_classified("negative", native_id="7", text="一般")
    corrections.put(mention, sentiment="neutral", tags=None, by="lin")
    again = a_classified("negative", native_id="7", text="一般", likes=9, captured_at=CAPTURED + timedelta(days=1))
    assert corrections.applied([again])[0].analysis.sentiment.label == "neutral"
    more = a_classified("negative", native_id="7", text="一般", appends=(Append(text="漏水了，地板全泡了"),))
    assert corrections.applied([more]) == [more]
    other = a_classified("negative", native_id="8", text="一般")
    assert corrections.applied([other, again])[0] is other


def test_a_batch_is_looked_up_once_by_an_index(corrections: Corrections, engine: Engine) -> None:
    batch = [a_classified("positive") for _ in range(300)]
    corrections.put(batch[7], sentiment="negative", tags=None, by="lin")
    asked: list[str] = []
    listen = lambda *given: asked.append(given[2])  # noqa: E731
    event.listen(engine, "before_cursor_execute", listen)
    done = corrections.applied(batch)
    event.remove(engine, "before_cursor_execute", listen)
    assert [m.analysis.sentiment.label for m in done].count("negative") == 1
    assert len([statement for statement in asked if statement.startswith("SELECT")]) == 1
    with engine.connect() as connection:
        postgresql = engine.dialect.name == "postgresql"
        if postgresql:
            connection.execute(text("SET LOCAL enable_seqscan = off"))  # of an empty table it would read the whole
        how = "EXPLAIN" if postgresql else "EXPLAIN QUERY PLAN"
        plan = connection.execute(text(f"{how} SELECT * FROM corrections WHERE mention_id IN ('a', 'b')"))
        assert ("Index" if postgresql else "USING INDEX") in str(plan.all())


def test_an_authors_corrections_are_erased_with_all_they_hold(corrections: Corrections, engine: Engine) -> None:
    words = "我家地板全泡坏了"
    mine = a_classified("negative", text=words, author=Author(key="gone"))
    other = a_classified("negative", author=Author(key="stays"))
    for mention in (mine, other):
        corrections.put(mention, sentiment="neutral", tags=None, by="lin")
    assert corrections.erase("gone") == 1
    assert corrections.erase("gone") == 0
    assert [one.mention_id for one in corrections.all()] == [other.id]
    with engine.connect() as connection:
        assert words not in str(connection.execute(text("SELECT * FROM corrections")).all())
    assert "corrections" in inspect(engine).get_table_names()


def test_retention_erases_by_source_and_by_when_it_was_said(corrections: Corrections) -> None:
    old = a_classified(created_at=CAPTURED - timedelta(days=400))
    new = a_classified()
    elsewhere = a_classified(source="tmall", created_at=CAPTURED - timedelta(days=400))
    for mention in (old, new, elsewhere):
        corrections.put(mention, sentiment="negative", tags=None, by="lin")
    assert corrections.delete_before("jd", CAPTURED - timedelta(days=365)) == 1
    assert {one.mention_id for one in corrections.all()} == {new.id, elsewhere.id}


def test_a_line_of_the_export_says_what_is_right_and_what_was_said(corrections: Corrections) -> None:
    mention = a_classified("neutral", tags=(HOT,), author=Author(key="secret-key"), model="m/1")
    made = corrections.put(mention, sentiment="negative", tags=None, by="lin")
    line = made.to_json()
    assert b"\n" not in line
    assert b"secret-key" not in line
    told = json.loads(line)
    assert (told["text"], told["sentiment"], told["tags"]) == (mention.full_text, "negative", None)
    assert told["before"] == {
        "model": "m/1", "sentiment": "neutral", "tags": [{"tag": HOT, "sentiment": "neutral", "span": None}],
    }  # fmt: skip


def test_a_broken_database_is_told_without_what_was_to_be_stored(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "state.db").write_bytes(b"no database at all " * 300)
    engine = make_engine(f"sqlite:///{tmp_path / 'state.db'}")
    with pytest.raises(Permanent) as told:
        Corrections(engine, clock).put(a_classified(text="不可外传"), sentiment="negative", tags=None, by="lin")
    assert "不可外传" not in str(told.value)
    engine.dispose()


class Says(Classifier):
    """Answers by a table."""

    name = "says/1"

    def __init__(self, answers: dict[str, Analysis]) -> None:
        self._answers = answers

    def analyse(self, utterances: object) -> list[Analysis]:
        return [self._answers[one.text] for one in utterances]  # type: ignore[attr-defined]


def test_the_report_compares_then_and_now_by_hand_counted_figures(corrections: Corrections) -> None:
    one = a_classified("positive", text="甲", tags=(HOT,))
    two = a_classified("negative", text="乙\x1b[31m", tags=(LEAK, SLOW))
    corrections.put(one, sentiment="negative", tags=[opinion(LEAK)], by="lin")  # sentiment and its one tag were wrong
    corrections.put(two, sentiment=None, tags=[opinion(LEAK)], by="lin")  # one tag too many
    now = Says({"甲": an_analysis("negative", tags=(LEAK,)), "乙\x1b[31m": an_analysis("neutral", tags=(LEAK,))})
    report = corrections_report(now, corrections.all())
    assert (report.model, report.corrections) == ("says/1", 2)
    assert (report.before.sentiment, report.before.precision, report.before.recall) == (0.5, 1 / 3, 0.5)
    assert (report.now.sentiment, report.now.precision, report.now.recall) == (0.5, 0.5, 0.5)
    assert [wrong.correction.text for wrong in report.wrong] == ["乙\x1b[31m"]
    lines = list(report.lines())
    assert lines[0] == "人工纠正 2 条，分类器 says/1"
    assert lines[1] == "纠正时：情感一致 50.0%，标签（连同情感）查准 33.3%，查全 50.0%"
    assert "应为 负面，产品质量/漏水渗水（负面）；判为 中性，产品质量/漏水渗水（中性）" in lines[-1]
    assert "\x1b" not in "".join(lines)


def test_without_corrections_the_report_is_short_and_divides_by_nothing() -> None:
    report = corrections_report(Says({}), [])
    assert list(report.lines()) == ["人工纠正 0 条，分类器 says/1"]
    bare = an_analysis("neutral")
    assert agreement([bare], [bare]).precision is None
