"""Measure the classifier: ``python -m classify.evaluate --data DIR``; ``--leave-out NAME`` retrains without it.

Figures on other people's sets are over texts that training never saw (one in twenty by hash). With ``--leave-out`` a
whole source, category or the water heaters' labels are kept from training (needs scikit-learn and some minutes).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from classify.base import Classifier, Utterance
from classify.corpora import Corpus, held_back, read_corpora, read_examples, read_unlabelled, read_water_heaters
from classify.linear import LinearClassifier
from classify.scorer import load_weights, save_weights
from classify.taxonomy import Taxonomy, load_taxonomy
from ingest.analysis import Analysis
from ingest.errors import UserError

LENGTHS = ((0, 10), (11, 30), (31, 80), (81, 1_000_000))
_BINS = 10
_SPEED_TEXTS = 10_000


@dataclass(frozen=True, slots=True)
class Score:
    """``macro_f1`` is over the labels that occur in the set; ``error`` is the expected calibration error."""

    texts: int
    accuracy: float
    macro_f1: float
    error: float


def score(truth: Sequence[str], analyses: Sequence[Analysis]) -> Score:
    """Compare overall sentiments with the truth."""
    said = [analysis.sentiment.label for analysis in analyses]
    right = np.array([a == b for a, b in zip(truth, said, strict=True)])
    sure = np.array([max(a.sentiment.negative, a.sentiment.neutral, a.sentiment.positive) for a in analyses])
    bins = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    error = sum(
        abs(right[bins == b].mean() - sure[bins == b].mean()) * (bins == b).mean()
        for b in range(_BINS)
        if (bins == b).any()
    )
    return Score(len(truth), float(right.mean()), macro_f1(truth, said), float(error))


def macro_f1(truth: Sequence[str], said: Sequence[str]) -> float:
    """Mean F1 over the labels that occur in the truth."""
    shares = []
    for label in sorted(set(truth)):
        hit = sum(a == label == b for a, b in zip(truth, said, strict=True))
        shares.append(2 * hit / (sum(a == label for a in truth) + sum(b == label for b in said)))
    return float(np.mean(shares))


def analyse(classifier: Classifier, texts: Sequence[str]) -> list[Analysis]:
    return classifier.analyse([Utterance(text) for text in texts])


def held_back_table(classifier: Classifier, data: Path) -> None:
    """Every set, whole and by length, over its held-back texts; and the water heaters, whose labels the heads saw."""
    _row("数据集", "条数", "准确率", "宏F1", "校准误差")
    for corpus in (*read_corpora(data), read_water_heaters(data)):
        kept = corpus.name == "water_heaters"
        part = corpus.where([kept or held_back(text) for text in corpus.texts])
        if not part.texts:
            continue
        analyses = analyse(classifier, part.texts)
        _score_row(corpus.name + ("*" if kept else ""), score(part.labels, analyses))
        for low, high in LENGTHS:
            rows = [i for i, text in enumerate(part.texts) if low <= len(text) <= high]
            if len(rows) >= 20:
                named = f"  {low}-{high} 字" if high < 1_000_000 else f"  {low} 字以上"
                _score_row(named, score([part.labels[i] for i in rows], [analyses[i] for i in rows]))
    _say("* 标签参与过校准，不是域外成绩；域外成绩看 --leave-out")


def own_table(classifier: Classifier) -> None:
    """Our own hard sentences (invented, and read while the rules were written: a lower bound on what is covered)."""
    examples = read_examples("hard")
    analyses = analyse(classifier, [example["text"] for example in examples])
    truth = [example["sentiment"] for example in examples]
    _row("自拟难句", "条数", "准确率", "宏F1", "校准误差")
    _score_row("情感", score(truth, analyses))
    intents = [example["intent"] for example in examples]
    said = [analysis.intent for analysis in analyses]
    right = float(np.mean([a == b for a, b in zip(intents, said, strict=True)]))
    _row("意图", str(len(examples)), f"{right:.3f}", f"{macro_f1(intents, said):.3f}", "")
    flags = float(
        np.mean(
            [sorted(e["flags"]) == sorted(set(a.flags) - {"unsure"}) for e, a in zip(examples, analyses, strict=True)]
        )
    )
    _row("标记", str(len(examples)), f"{flags:.3f}", "", "")
    found = missed = extra = 0
    for example, analysis in zip(examples, analyses, strict=True):
        if "tags" in example:
            wanted = set(example["tags"].items())
            given = {(tag.tag, tag.sentiment) for tag in analysis.tags}
            found, missed, extra = (
                found + len(wanted & given),
                missed + len(wanted - given),
                extra + len(given - wanted),
            )
    _say(f"标签（连同情感）：查准 {found / (found + extra):.3f}，查全 {found / (found + missed):.3f}")


def safety_table(classifier: Classifier, taxonomy: Taxonomy) -> list[str]:
    """The taxonomy's own safety sentences: flagged when meant, silent when feared or denied. Returns the wrong ones."""
    wrong = []
    total = 0
    for tag in taxonomy.tags:
        if tag.safety is None:
            continue
        for mode, sentences in (
            ("meant", tag.safety.meant),
            ("feared", tag.safety.feared),
            ("denied", tag.safety.denied),
        ):
            for sentence, analysis in zip(sentences, analyse(classifier, sentences), strict=True):
                total += 1
                if ("safety" in analysis.flags) != (mode == "meant"):
                    wrong.append(f"{tag.name}（{mode}）：{sentence}")
    _say(f"安全词例句：{total - len(wrong)}/{total} 符合")
    for line in wrong:
        _say(f"  不符合 {line}")
    return wrong


def speed_table(classifier: Classifier, data: Path) -> None:
    """Texts a second on one thread over real reviews, in batches and one by one."""
    texts = [Utterance(text) for text in read_unlabelled(data)[:_SPEED_TEXTS]]
    if not texts:
        return
    lengths = sorted(len(text.text) for text in texts)
    classifier.analyse(texts[:100])
    began = time.perf_counter()
    classifier.analyse(texts)
    batch = len(texts) / (time.perf_counter() - began)
    few = texts[:1000]
    began = time.perf_counter()
    for text in few:
        classifier.analyse([text])
    single = len(few) / (time.perf_counter() - began)
    _say(f"速度：成批 {batch:,.0f} 条/秒，逐条 {single:,.0f} 条/秒（单线程，字数中位数 {lengths[len(lengths) // 2]}）")


def leave_out_table(data: Path, taxonomy: Taxonomy, weights: Path | None, names: Sequence[str]) -> None:
    """Retrain without one source, or one category, and judge by it: what to expect of text from elsewhere.

    The heads (some eighty numbers) are refitted only without the water heaters; elsewhere they stay.
    """
    from classify.train import gather, train  # scikit-learn is needed for nothing else here

    material, shipped = gather(data, taxonomy), load_weights(weights)
    shopping = [corpus for corpus in material.corpora if corpus.name == "shopping"]
    categories = sorted({group for corpus in shopping for group in corpus.groups})
    sources = ("water_heaters", *(corpus.name for corpus in material.corpora))
    _row("留出", "条数", "准确率", "宏F1", "校准误差")
    for out in names:
        judged: Corpus | None
        if out == "water_heaters":
            rest, judged = replace(material, water_heaters=None), material.water_heaters
        elif out in categories:
            judged = shopping[0].where([group == out for group in shopping[0].groups])
            kept = shopping[0].where([group != out for group in shopping[0].groups])
            rest = replace(material, corpora=tuple(kept if c.name == "shopping" else c for c in material.corpora))
        else:
            judged = next((corpus for corpus in material.corpora if corpus.name == out), None)
            rest = replace(material, corpora=tuple(c for c in material.corpora if c.name != out))
        if judged is None:
            raise UserError(f"没有叫“{out}”的数据集或品类，可选：{'、'.join((*sources, *categories))}")
        heads = None if out == "water_heaters" else shipped
        with TemporaryDirectory() as folder:
            save_weights(train(rest, taxonomy, heads=heads, log=lambda _: None), Path(folder))
            analyses = analyse(LinearClassifier(taxonomy, Path(folder)), judged.texts)
        _score_row(out, score(judged.labels, analyses))
        polar = [i for i, label in enumerate(judged.labels) if label != "neutral"]
        if len(polar) < len(judged.labels) or out in categories:
            found = [analyses[i].sentiment for i in polar]
            sides = ["positive" if each.positive >= each.negative else "negative" for each in found]
            truth = [judged.labels[i] for i in polar]
            right = float(np.mean([a == b for a, b in zip(truth, sides, strict=True)]))
            _row("  只分正负", str(len(polar)), f"{right:.3f}", f"{macro_f1(truth, sides):.3f}", "")


def _score_row(name: str, found: Score) -> None:
    _row(name, str(found.texts), f"{found.accuracy:.3f}", f"{found.macro_f1:.3f}", f"{found.error:.3f}")


def _row(*cells: str) -> None:
    widths = (18, 8, 8, 8, 8)
    padded = []
    for cell, width in zip(cells, widths, strict=True):
        wide = sum(2 if ord(char) > 0x2E7F else 1 for char in cell)
        padded.append(cell + " " * max(width - wide, 0))
    _say("  ".join(padded).rstrip())


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m classify.evaluate", description="衡量分类器")
    parser.add_argument("--data", type=Path, help="评测数据的文件夹；不写只测自拟句子")
    parser.add_argument("--weights", type=Path, help="权重的文件夹，默认自带的")
    parser.add_argument("--taxonomy", type=Path, help="标签体系文件，默认自带的")
    parser.add_argument(
        "--leave-out",
        nargs="+",
        default=[],
        metavar="名字",
        help="逐个留出数据集或品类重新训练，测域外成绩（每个一两分钟）",
    )
    given = parser.parse_args(arguments)
    try:
        taxonomy = load_taxonomy(given.taxonomy)
        began = time.perf_counter()
        classifier = LinearClassifier(taxonomy, given.weights)
        _say(f"{classifier.name}，装载 {time.perf_counter() - began:.2f} 秒，标签 {len(taxonomy.tags)} 个")
        own_table(classifier)
        safety_table(classifier, taxonomy)
        if given.data is not None:
            held_back_table(classifier, given.data)
            speed_table(classifier, given.data)
            if given.leave_out:
                leave_out_table(given.data, taxonomy, given.weights, given.leave_out)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
