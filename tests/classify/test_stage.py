"""The stream's step: mentions in, classified mentions out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from classify.base import Classifier, Utterance
from classify.stage import classify_batch, utterance_of
from ingest.analysis import Analysis, Sentiment, classified_from_json
from ingest.errors import ContractError
from ingest.mention import Append, Matched, Mention, Raw, make_mention

CAPTURED = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)


def mention(number: int, text: str, **fields: object) -> Mention:
    return make_mention(
        native_id=str(number),
        source="jd",
        kind="review",
        raw=Raw(captured_at=CAPTURED, parser="test/1"),
        created_at=CAPTURED,
        text=text,
        **fields,
    )


def test_mentions_keep_their_order_and_their_record(classifier: Classifier) -> None:
    mentions = [mention(1, "漏水了"), mention(2, "很暖和，满意"), mention(3, "", empty_text=True, rating=5)]
    done = classify_batch(classifier, mentions)
    assert [each.id for each in done] == [each.id for each in mentions]
    assert [each.analysis.sentiment.label for each in done] == ["negative", "positive", "neutral"]
    assert done[2].analysis.flags == ("default_review",)
    assert classified_from_json(done[0].to_json()) == done[0]


def test_what_only_speaks_of_a_namesake_is_off_topic_and_what_names_a_rival_is_not(classifier: Classifier) -> None:
    text = "接口漏水，客服也不管，太差了"
    plain, namesake, rival = classify_batch(
        classifier,
        [
            mention(1, text),
            mention(2, text, matched=Matched(excluded=("岚炉镇",), about="excluded")),
            mention(3, text, matched=Matched(words=("炽源",), competitors=("炽源",), about="rival")),
        ],
    )
    assert plain.analysis.tags
    assert rival.analysis == plain.analysis
    strayed = namesake.analysis
    assert "off_topic" in strayed.flags
    assert (strayed.tags, strayed.intent, strayed.severity, strayed.severity_reason) == ((), "other", 0.0, "")
    assert strayed.sentiment == plain.analysis.sentiment


def test_spans_point_into_the_full_text(classifier: Classifier) -> None:
    said = mention(1, "刚装好很满意", title="晒单", appends=(Append(text="追评：接口漏水了"),))
    (done,) = classify_batch(classifier, [said])
    leak = next(tag for tag in done.analysis.tags if tag.tag == "产品质量/漏水渗水")
    assert leak.span is not None
    assert said.full_text[slice(*leak.span)] in ("漏水", "接口漏水")


def test_an_appended_default_review_is_read() -> None:
    said = mention(1, "", empty_text=True, appends=(Append(text="漏水了"),))
    assert utterance_of(said) == Utterance(text="漏水了")
    assert utterance_of(mention(2, "好", rating=4, likes=7)) == Utterance(text="好", rating=4, likes=7)


class Forgetful(Classifier):
    @property
    def name(self) -> str:
        return "forgetful/1"

    def analyse(self, utterances: Sequence[Utterance]) -> list[Analysis]:
        nothing = Sentiment(label="neutral", positive=0, neutral=1, negative=0)
        return [Analysis(sentiment=nothing, intent="other", severity=0, model=self.name) for _ in utterances[1:]]


def test_a_classifier_that_loses_a_text_stops_the_stage() -> None:
    with pytest.raises(ContractError, match="1 of 2"):
        classify_batch(Forgetful(), [mention(1, "好"), mention(2, "坏")])


def test_nothing_in_nothing_out(classifier: Classifier) -> None:
    assert classify_batch(classifier, []) == []
