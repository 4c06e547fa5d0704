"""What judges the classifier is judged by hand: small cases counted on paper, and the report over what ships."""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections.abc import Sequence
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from classify.base import Utterance
from classify.evaluation import sections
from classify.evaluation.__main__ import main
from classify.evaluation.contenders import Answer, OfClassifier
from classify.evaluation.metrics import (
    Counts,
    Figure,
    accuracy,
    bootstrap,
    calibration_error,
    crossed,
    f1,
    found,
    macro_f1,
    marked,
    precision,
    recall,
    value,
)
from classify.evaluation.new_tags import CARS, COSMETICS, new_tags, taxonomy_file
from classify.evaluation.report import contest_of, report
from classify.evaluation.scores import flag_finding, intent_score, sentiment_score, side, tag_finding
from classify.evaluation.sets import HOTELS, LEFT_OUT, Judged, JudgedSet, own_sets, real_sets
from classify.evaluation.tables import Name, Table, in_markdown, on_terminal
from classify.heads import Linear
from classify.labelled import invented
from classify.linear import LinearClassifier
from classify.load import load_classifier
from classify.taxonomy import load_taxonomy
from classify.training import material
from ingest.analysis import Analysis, Flag, Intent, Sentiment, TagOpinion
from ingest.clock import ManualClock

# -- metrics -----------------------------------------------------------------------------------------------------------


def test_macro_f1_is_the_mean_over_labels_that_are_there() -> None:
    rows = crossed(["+", "+", "-"], ["+", "-", "-"])  # F1 of + is 2/3, of - is 2/3
    assert value(rows, macro_f1) == pytest.approx(2 / 3)
    assert value(rows, accuracy) == pytest.approx(2 / 3)


def test_a_label_that_is_only_said_counts_through_what_it_takes_away() -> None:
    rows = crossed(["+", "+", "-"], ["+", "0", "-"])  # + 2/3, - 1; 0 has no F1 of its own
    assert value(rows, macro_f1) == pytest.approx(5 / 6)


def test_precision_recall_and_f1_are_micro_averaged() -> None:
    truth = [frozenset("ab"), frozenset("c"), frozenset[str]()]
    said = [frozenset("a"), frozenset("cd"), frozenset("e")]  # 2 hits, 2 too many, 1 missed
    rows = found(truth, said)
    assert rows.tolist() == [[1, 0, 1], [1, 1, 0], [0, 1, 0]]
    assert value(rows, precision) == pytest.approx(2 / 4)
    assert value(rows, recall) == pytest.approx(2 / 3)
    assert value(rows, f1) == pytest.approx(4 / 7)


def test_what_was_never_said_has_no_precision() -> None:
    rows = marked([True, False], [False, False])
    assert value(rows, precision) is None
    assert bootstrap(rows, precision) is None
    assert value(rows, recall) == 0.0
    assert bootstrap(marked([], []), recall) is None


def test_calibration_error_weighs_bins_by_their_texts() -> None:
    # three of four right at .95, one of one right at .55: 4/5 * .2 + 1/5 * .45
    error = calibration_error([0.95, 0.95, 0.95, 0.95, 0.55], [True, True, True, False, True])
    assert error == pytest.approx(0.25)
    assert calibration_error([1.0, 1.0], [True, True]) == 0.0
    assert calibration_error([], []) is None


def test_the_interval_is_that_of_resampled_texts() -> None:
    chance = random.Random(3)
    truth = [chance.choice("+-0") for _ in range(300)]
    said = [label if chance.random() < 0.7 else chance.choice("+-0") for label in truth]
    figure = bootstrap(crossed(truth, said), macro_f1, draws=4000)
    plain = []
    for _ in range(1000):
        drawn = [chance.randrange(len(truth)) for _ in truth]
        plain.append(value(crossed([truth[n] for n in drawn], [said[n] for n in drawn]), macro_f1))
    low, high = np.percentile(np.array(plain), (2.5, 97.5))
    assert figure is not None
    assert figure.low < figure.value < figure.high
    assert (figure.low, figure.high) == pytest.approx((low, high), abs=0.012)


def test_more_texts_make_the_interval_narrower_and_the_same_texts_the_same() -> None:
    rows = marked([True] * 20, [True] * 15 + [False] * 5)
    few, many = bootstrap(rows, recall), bootstrap(np.tile(rows, (20, 1)), recall)
    assert few == bootstrap(rows, recall)
    assert few is not None
    assert many is not None
    assert many.value == few.value == 0.75
    assert many.high - many.low < (few.high - few.low) / 2
    assert bootstrap(marked([True] * 9, [True] * 9), recall) == Figure(1.0, 1.0, 1.0)


def test_resampling_ten_thousand_texts_draws_sums_of_them() -> None:
    seen: list[Counts] = []

    def sums(drawn: Counts) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        seen.append(drawn)
        return drawn[:, 0].astype(np.float64)

    rows = np.array([[1, 0]] * 4000 + [[0, 1]] * 6000)
    bootstrap(rows, sums)
    assert (seen[-1].sum(1) == 10_000).all()
    assert seen[-1][:, 0].mean() == pytest.approx(4000, abs=20)


# -- scores ------------------------------------------------------------------------------------------------------------


def said(
    shares: tuple[float, float, float],
    intent: Intent = "other",
    tags: Sequence[tuple[str, str]] = (),
    flags: tuple[Flag, ...] = (),
) -> Answer:
    """An answer with these shares of negative, neutral and positive; the largest is its label."""
    label = ("negative", "neutral", "positive")[int(np.argmax(shares))]
    analysis = Analysis.model_validate(
        {
            "sentiment": {"label": label, **dict(zip(("negative", "neutral", "positive"), shares, strict=True))},
            "intent": intent,
            "tags": [{"tag": tag, "sentiment": sign, "confidence": 1} for tag, sign in tags],
            "flags": flags,
            "severity": 0,
            "model": "by hand",
        }
    )
    return Answer(analysis.sentiment.label, shares, analysis)


BAD, PLAIN, GOOD = (0.8, 0.1, 0.1), (0.3, 0.5, 0.2), (0.05, 0.05, 0.9)


def test_sentiment_is_scored_in_three_classes_and_in_two() -> None:
    texts = [Judged("a", "negative"), Judged("b", "negative"), Judged("c", "positive"), Judged("d", "neutral")]
    score = sentiment_score(texts, [said(BAD), said(PLAIN), said(GOOD), said(GOOD)])
    assert (score.texts, score.accuracy) == (4, 0.5)
    assert score.macro is not None
    assert score.macro.value == pytest.approx((2 / 3 + 0 + 2 / 3) / 3)
    assert (score.polar_texts, score.polar_accuracy) == (3, 1.0)  # PLAIN leans to negative
    assert score.polar_macro == Figure(1.0, 1.0, 1.0)


def test_a_tie_between_good_and_bad_counts_as_good() -> None:
    assert Answer("neutral", (0.0, 1.0, 0.0)).pole == "positive"
    assert Answer("neutral", (0.2, 0.7, 0.1)).pole == "negative"


def test_confidence_is_the_share_of_what_was_said() -> None:
    assert Answer("neutral", (0.5, 0.3, 0.2)).confidence == 0.3


def test_the_unsure_are_counted_and_left_aside() -> None:
    texts = [Judged("a", "negative"), Judged("b", "positive"), Judged("c", "positive"), Judged("d", "positive")]
    answers = [said(BAD), said(GOOD), said(BAD), said(BAD, flags=("unsure",))]
    score = sentiment_score(texts, answers)
    assert score.unsure == 0.25
    assert score.sure_accuracy == pytest.approx(2 / 3)


def test_rivals_without_flags_or_probabilities_are_not_asked_for_them() -> None:
    score = sentiment_score([Judged("a", "negative")], [Answer("negative", (1, 0, 0))], probabilities=False)
    assert (score.unsure, score.sure_accuracy, score.calibration) == (None, None, None)
    assert score.accuracy == 1.0


def test_complaint_against_praise_asks_the_sentiment_when_the_intent_is_neither() -> None:
    def of(intent: Intent, shares: tuple[float, float, float]) -> str:
        analysis = said(shares, intent).analysis
        assert analysis is not None
        return side(analysis)

    assert of("complaint", GOOD) == "complaint"
    assert of("praise", BAD) == "praise"
    assert of("question", BAD) == "complaint"
    assert of("other", GOOD) == "praise"
    assert of("other", (0.0, 1.0, 0.0)) == "praise"


def test_intents_are_scored_over_texts_whose_intent_is_known() -> None:
    texts = [
        *(Judged("a", "negative", "complaint"), Judged("b", "positive", "praise"), Judged("c", "neutral", "question")),
        Judged("d", "neutral"),
    ]
    answers = [said(BAD, "question"), said(GOOD, "praise"), said(PLAIN, "question"), said(PLAIN, "other")]
    score = intent_score(texts, answers)
    assert (score.texts, score.accuracy) == (3, pytest.approx(2 / 3))
    assert score.macro is not None
    assert score.macro.value == pytest.approx((0 + 1 + 2 / 3) / 3)
    assert (score.side_texts, score.sides) == (2, Figure(1.0, 1.0, 1.0))


def test_tags_are_scored_with_and_without_their_sentiment_among_those_known() -> None:
    texts = [
        Judged("a", "negative", tags=frozenset({("g/x", "negative"), ("g/y", "positive")})),
        Judged("b", "negative", tags=None),
    ]
    answers = [
        said(BAD, tags=[("g/x", "positive"), ("g/z", "negative"), ("h/new", "negative")]),
        said(BAD, tags=[("g/x", "negative")]),
    ]
    plain = tag_finding(texts, answers, ["g/x", "g/y", "g/z"], sentiments=False)
    assert (plain.support, plain.said) == (2, 2)
    assert plain.f1 is not None
    assert plain.f1.value == pytest.approx(0.5)
    signed = tag_finding(texts, answers, ["g/x", "g/y", "g/z"], sentiments=True)
    assert signed.f1 is not None
    assert signed.f1.value == 0.0
    one = tag_finding(texts, answers, ["g/x"], sentiments=False)
    assert one.precision == one.recall == Figure(1.0, 1.0, 1.0)


def test_flags_are_found_by_the_marks_that_mean_them() -> None:
    texts = [
        *(Judged("a", "negative", marks=frozenset({"safe"})), Judged("b", "negative", marks=frozenset({"safe"}))),
        *(Judged("c", "negative", marks=frozenset({"fear"})), Judged("d", "negative")),
    ]
    answers = [said(BAD, flags=("safety",)), said(BAD), said(BAD, flags=("safety",)), said(BAD, flags=("safety",))]
    safety = flag_finding(texts, answers, "safe")
    assert (safety.support, safety.said) == (2, 2)
    assert safety.precision is not None
    assert safety.recall is not None
    assert (safety.precision.value, safety.recall.value) == (0.5, 0.5)


# -- sets --------------------------------------------------------------------------------------------------------------


def test_no_text_that_judges_is_among_the_training_examples() -> None:
    trained = {each.text for each in invented() if not each.source.startswith("test")}
    judges = {each.key: {text.text for text in each.texts} for each in own_sets()}
    assert len(judges["hard"]) > 250
    assert len(judges["older"]) > 100
    assert trained & (judges["hard"] | judges["older"]) == set()


def test_hard_texts_stand_under_their_kinds() -> None:
    texts = own_sets()[0].texts
    kinds = list(dict.fromkeys(text.kind for text in texts))
    assert {"irony", "negation", "mixed", "plain", "long"} <= set(kinds)
    changes = sum(a.kind != b.kind for a, b in pairwise(texts))
    assert changes == len(kinds) - 1
    ironic = [text for text in texts if text.kind == "irony"]
    assert sum("irony" in (text.marks or ()) for text in ironic) > len(ironic) / 2


def test_the_category_left_out_is_the_one_that_training_shows_last() -> None:
    assert material.LEFT_OUT == (LEFT_OUT,)


def shop(folder: Path) -> Path:
    """Shop reviews, car posts and cosmetics reviews in the shape of the real files, all invented."""
    rows = {
        "sentiment/shopping": ["text\tlabel\tcategory"],
        "topic/car_opinions": ["text\ttopic\tsentiment"],
        "topic/cosmetics_aspects": ["text\tcategory\tpolarity\taspect\topinion"],
    }
    for number in range(300):
        rows["sentiment/shopping"] += [f"书不错，第{number}本\tpositive\t书籍", f"房间太吵{number}晚\tnegative\t酒店"]
    for number in range(60):
        rows["topic/car_opinions"] += [f"第{number}次加速，动力很足\t动力\t1", f"{number}个油，油耗太高\t油耗\t-1"]
        rows["topic/car_opinions"] += [f"动力{number}分，油耗也{number}分\t{topic}\t0" for topic in ("动力", "油耗")]
        rows["topic/cosmetics_aspects"] += [f"味道好闻，用到第{number}瓶\t气味\t正面\t味道\t好闻"]
    for name, lines in rows.items():
        path = folder / f"{name}.tsv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(path, "wt", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    return folder


def test_what_judges_was_neither_trained_on_nor_joined_on(tmp_path: Path) -> None:
    sets = {each.key: each for each in real_sets(shop(tmp_path))}
    judged = {text.text for text in sets["shopping"].texts}
    assert 0 < len(judged) < 40
    assert {text.text for text in sets[HOTELS].texts} == {text for text in judged if "房间" in text} != set()
    assert not any(each.invented for each in sets.values())
    judged = {text.text for each in sets.values() for text in each.texts}
    trained = {example.text for example in material.public_examples(tmp_path, everything=True)}
    joined = {example.text for example in material.joining_examples(tmp_path)}
    assert len(trained) > len(joined) > 0
    assert judged.isdisjoint(trained | joined)
    assert trained.isdisjoint(joined)


def test_the_category_left_out_comes_only_with_everything(tmp_path: Path) -> None:
    folder = shop(tmp_path)
    assert not any("房间" in each.text for each in material.public_examples(folder))
    assert any("房间" in each.text for each in material.public_examples(folder, everything=True))


def test_a_part_of_a_set_is_chosen_by_hash() -> None:
    texts = tuple(Judged(str(number), "neutral") for number in range(50))
    whole = JudgedSet("x", Name("甲", "x"), Name("乙", "y"), True, texts)
    part = whole.at_most(10)
    assert len(part.texts) == 10
    assert set(part.texts) < set(texts)
    assert part.texts != texts[:10]
    assert JudgedSet("x", whole.name, whole.about, True, texts[::-1]).at_most(10).texts == part.texts
    assert whole.at_most(None) is whole


# -- new tags ----------------------------------------------------------------------------------------------------------


def test_the_file_of_new_tags_is_one_that_loads_whatever_the_sentences(tmp_path: Path) -> None:
    nasty = [('他说"好"\\\t\x7f\n还有\U0001f600', "positive"), ("不行", "negative")]
    file = tmp_path / "taxonomy.toml"
    for topics in (CARS, COSMETICS):
        file.write_text(taxonomy_file(topics, {next(iter(topics.words)): nasty}), "utf-8")
        taxonomy = load_taxonomy(file)
        assert [tag.name for tag in taxonomy.tags] == [f"{topics.group}/{topic}" for topic in topics.words]
        assert taxonomy.tags[0].examples.positive == ('他说"好"\\\t \n还有\U0001f600',)
        assert taxonomy.tags[0].examples.negative == ("不行",)
        assert not taxonomy.tags[1].examples.positive


def test_new_tags_are_taught_by_one_half_and_judged_by_the_other(tmp_path: Path) -> None:
    made: list[Path] = []
    taught: list[set[str]] = []

    def make(file: Path) -> LinearClassifier:
        taxonomy = load_taxonomy(file)
        made.append(file)
        examples = [tag.examples for tag in taxonomy.tags]
        taught.append({text for each in examples for text in (*each.negative, *each.neutral, *each.positive)})
        return LinearClassifier(taxonomy)

    cars, cosmetics = new_tags(shop(tmp_path), make, make)
    assert [len(each) for each in taught] == [10, 0, 10, 5, 0, 5]
    assert not any(file.exists() for file in made)
    rows = {row[0]: row for row in cars.rows if isinstance(row[0], str)}
    assert set(rows) == {"动力", "油耗"}
    support, right, all_found, measured, words, linear = rows["动力"][1:]
    assert isinstance(support, int)
    assert 30 < support < 90
    assert isinstance(measured, Figure)
    assert (right, all_found, measured.value, words, linear) == (1.0, 1.0, 1.0, 1.0, 1.0)
    assert not any("动力" in text and "油耗" in text for text in taught[0])
    assert [row[0] for row in cosmetics.rows if isinstance(row[0], str)] == ["气味"]


# -- tables ------------------------------------------------------------------------------------------------------------


def test_tables_are_chinese_on_the_terminal_and_english_in_the_document() -> None:
    table = Table(Name("甲", "First"), (Name("名", "name"), Name("数", "number"), Name("空", "nothing")))
    table.rows = [("a|b", 1234, None), (Name("合计", "all"), Figure(0.5, 0.25, 1.0), None), ("c", 0.0625, None)]
    table.notes = [Name("注", "A note.")]
    slim = table.without_empty_columns()
    assert on_terminal(slim).splitlines() == [
        "== 甲",
        "名" + " " * 19 + "数",
        "a|b" + " " * 15 + "1,234",
        "合计  .500 (.250–1.000)",
        "c" + " " * 18 + ".062",
        "  注",
    ]
    assert in_markdown(slim).splitlines() == [
        "## First",
        "",
        "| name | number |",
        "| :-- | --: |",
        "| a\\|b | 1,234 |",
        "| all | .500 (.250–1.000) |",
        "| c | .062 |",
        "",
        "A note.",
    ]


# -- the report --------------------------------------------------------------------------------------------------------


def test_the_shipped_classifier_is_reported_on_without_foreign_data() -> None:
    lines: list[str] = []
    report(contest_of(load_classifier(), load_taxonomy()), lines.append)
    titles = [line.splitlines()[0].removeprefix("== ") for line in lines]
    assert titles[:2] == ["评测用的文本", "情感"]
    assert {"意图", "标签（全部合计）", "标记", "自拟难句，按难处", "标签体系里的安全例句"} <= set(titles)
    shown = "\n".join(lines)
    assert "自拟难句" in shown
    assert "真实" not in shown
    safety = next(line for line in lines if "安全例句" in line)
    assert "不符合" not in safety


def test_a_taxonomy_of_other_tags_is_judged_by_its_own_safety_sentences(tmp_path: Path) -> None:
    file = tmp_path / "taxonomy.toml"
    file.write_text(
        '[[group]]\nname = "车"\n[[tag]]\nname = "车/起火"\nwords = ["起火"]\n'
        '[tag.safety]\nwords = ["起火"]\nmeant = ["发动机起火了"]\nfeared = ["真的起火了，烧没了"]\n',
        "utf-8",
    )
    lines: list[str] = []
    report(contest_of(load_classifier(file), load_taxonomy(file)), lines.append)
    shown = "\n".join(lines)
    assert "不符合（只是担心）：真的起火了，烧没了" in shown
    assert "标签（全部合计）" not in shown


def test_the_document_says_when_how_and_what_and_names_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "evaluation.md"
    data = shop(tmp_path / "data")
    assert main(["--data", str(data), "--most", "40", "--write", str(kept)], ManualClock()) == 0
    assert "新标签" in capsys.readouterr().out
    text = kept.read_text("utf-8")
    assert "Written on 2026-01-05 by `python -m classify.evaluation --data DIR --most 40 --write FILE`" in text
    assert load_classifier().name in text
    digest = json.loads(files("classify").joinpath("weights", "manifest.json").read_bytes())["sha256"]
    assert digest in text
    assert "| invented hard texts | invented | 40 |" in text
    assert "| hotel reviews | real |" in text
    assert str(tmp_path) not in text
    assert not any("\u4e00" <= char <= "\u9fff" for line in text.splitlines() if line[:2] != "| " for char in line)


def test_wrong_wishes_are_answered_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path)]) == 2
    assert "没有找到训练数据" in capsys.readouterr().err
    assert main(["--leave-out", "jd_clauses"]) == 2
    assert "--data" in capsys.readouterr().err
    assert main(["--fp32", str(tmp_path)]) == 2
    assert "config.json" in capsys.readouterr().err


def test_absent_rivals_are_named_with_the_way_to_install_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "snownlp", None)
    assert main(["--rivals"]) == 2
    assert "requirements-rivals.lock" in capsys.readouterr().err
    assert (Path(__file__).resolve().parents[2] / "requirements-rivals.lock").is_file()


# -- rivals ------------------------------------------------------------------------------------------------------------


def test_a_classifier_of_ours_answers_with_its_analysis() -> None:
    classifier = load_classifier()
    who = OfClassifier(classifier)
    answer = who.answer(["太差了，漏水还没人管"])[0]
    analysis = classifier.analyse([Utterance("太差了，漏水还没人管")])[0]
    assert answer.analysis == analysis
    assert answer.pole == answer.label == "negative"
    assert sum(answer.shares) == pytest.approx(1, abs=0.001)


def test_agreement_is_that_of_vectors_under_one_head() -> None:
    texts = (Judged("好", "positive"), Judged("差", "negative"), Judged("长" * 101, "neutral"))
    judged = JudgedSet("x", Name("甲", "x"), Name("乙", "y"), True, texts)
    head = Linear(np.array([[1, 0], [0, 0], [0, 1]], np.float32), np.array([0, -9, 0], np.float32))
    full = {"好": [0.0, 1.0], "差": [1.0, 0.0]}
    ours = {"好": [0.0, 2.0], "差": [0.6, 0.8]}

    def of(table: dict[str, list[float]]) -> sections.Vectors:
        return lambda said: np.array([table[text] for text in said], np.float32)

    row = sections.agreement([judged], of(ours), of(full), head).rows[0]
    assert row[1:3] == (2, pytest.approx(0.8))
    assert (row[4], row[7]) == (0.5, 1.0)
    assert row[6] == pytest.approx((2 / 3 + 0) / 2)
    same = sections.agreement([judged], of(full), of(full), head).rows[0]
    assert same[2:6] == (1.0, 1.0, 1.0, 0.0)


def test_a_neutral_sentiment_of_nothing_is_scored(classifier: LinearClassifier) -> None:
    answer = OfClassifier(classifier).answer([""])[0]
    assert answer.analysis is not None
    assert answer.analysis.sentiment == Sentiment(label="neutral", positive=0, neutral=1, negative=0)
    assert (answer.label, answer.pole, answer.confidence) == ("neutral", "positive", 1.0)


def test_tags_of_an_analysis_are_counted_once(classifier: LinearClassifier) -> None:
    opinion = TagOpinion(tag="g/x", sentiment="negative", confidence=0.5)
    analysis = classifier.analyse([Utterance("漏水")])[0].model_copy(update={"tags": (opinion, opinion)})
    answer = Answer("negative", (1.0, 0.0, 0.0), analysis)
    judged = Judged("漏水", "negative", tags=frozenset({("g/x", "negative")}))
    finding = tag_finding([judged], [answer], ["g/x"], sentiments=True)
    assert (finding.support, finding.said, finding.f1) == (1, 1, Figure(1.0, 1.0, 1.0))
