"""The tables of the report, each from answers that were given before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from classify.base import Classifier, Utterance
from classify.evaluation.contenders import Answer, Contender
from classify.evaluation.metrics import accuracy, crossed, macro_f1, value
from classify.evaluation.scores import (
    SentimentScore,
    flag_finding,
    intent_score,
    sentiment_score,
    tag_finding,
)
from classify.evaluation.sets import LENGTHS, MARKED, Judged, JudgedSet
from classify.evaluation.tables import Cell, Name, Table
from classify.heads import Floats, Linear, softmax
from classify.labelled import tag_names
from classify.scorer import LABELS
from classify.taxonomy import Taxonomy

Vectors = Callable[[Sequence[str]], Floats]
"""Texts to the vectors (texts, width) of an encoder."""

Answers = Mapping[tuple[str, str], Sequence[Answer]]
"""Of each set (its key) and contender (its name), in the order of the set's texts."""

_FEW = 20
_WRONG = 20
_WHOLE = 100

_SET, _WHO, _TEXTS = Name("数据集", "set"), Name("分类器", "contender"), Name("条数", "texts")
_ACCURACY, _MACRO = Name("准确率", "accuracy"), Name("宏 F1", "macro-F1")
_PRECISION, _RECALL = Name("查准", "precision"), Name("查全", "recall")
_SENTIMENT = (
    _TEXTS,
    _ACCURACY,
    _MACRO,
    Name("有好坏的", "polar texts"),
    Name("好坏准确率", "polar accuracy"),
    Name("好坏宏 F1", "polar macro-F1"),
    Name("校准误差", "ECE"),
    Name("拿不准", "unsure"),
    Name("其余准确率", "accuracy of the rest"),
)
_MARKS = {
    "safe": Name("安全事件", "safety"),
    "ad": Name("广告", "advertisement"),
    "tpl": Name("套话", "template"),
    "off": Name("跑题", "off_topic"),
    "irony": Name("反讽", "sarcasm"),
}
_KINDS = {
    "irony": Name("反讽", "irony"),
    "negation": Name("否定", "negation"),
    "mixed": Name("有褒有贬", "mixed"),
    "plain": Name("平铺直叙", "plain"),
    "long": Name("长文", "long"),
    "danger": Name("安全事件", "danger"),
    "adverts": Name("广告与跑题", "adverts"),
}
_MODES = {
    "meant": Name("真的发生", "meant"),
    "feared": Name("只是担心", "feared"),
    "denied": Name("明确没有", "denied"),
}


def what_judges(sets: Sequence[JudgedSet]) -> Table:
    """Which numbers rest on real text and which on invented."""
    kinds = {True: Name("自拟", "invented"), False: Name("真实", "real")}
    table = Table(Name("评测用的文本", "What judges"), (_SET, Name("文本", "text"), _TEXTS, Name("来历", "what it is")))
    table.rows = [(each.name, kinds[each.invented], len(each.texts), each.about) for each in sets]
    return table


def sentiment(sets: Sequence[JudgedSet], contenders: Sequence[Contender], answers: Answers) -> Table:
    """Every set and contender."""
    table = Table(Name("情感", "Sentiment"), (_SET, _WHO, *_SENTIMENT))
    seen = False
    for each, who, given in _every(sets, contenders, answers):
        saw = each.key in who.saw
        seen |= saw
        score = sentiment_score(each.texts, given, probabilities=who.probabilities)
        name = Name(f"{each.name.zh} †", f"{each.name.en} †") if saw else each.name
        table.rows.append((name, who.name, *_cells(score)))
    table.notes = [
        Name(
            "宏 F1 只算数据集里有的类别；好坏：只看有好坏的文本，正负哪边概率大；括号里是 95% 置信区间（自助法）",
            "Macro-F1 is over the labels that occur in the set. Polar: only texts that are good or bad, whichever of "
            "the two got the larger share (good when equal). ECE: expected calibration error, ten bins. In brackets: "
            "95 % bootstrap interval over texts.",
        )
    ]
    if seen:
        table.notes.append(
            Name("† 这些文本参与过它的训练或校准", "† was trained on these texts, or calibrated by them.")
        )
    return _slim(table, contenders)


def by_length(sets: Sequence[JudgedSet], contenders: Sequence[Contender], answers: Answers) -> Table:
    """Every set, cut into bands of text length; bands of a few texts are left out."""
    table = Table(
        Name("情感，按字数", "Sentiment by text length"), (_SET, Name("字数", "characters"), _WHO, *_SENTIMENT)
    )
    for each in sets:
        for low, high in LENGTHS:
            rows = [n for n, text in enumerate(each.texts) if low <= len(text.text) <= high]
            if len(rows) < _FEW:
                continue
            band = Name(f"{low}–{high}", f"{low}–{high}") if high < LENGTHS[-1][1] else Name(f"{low} 以上", f"{low}–")
            for who in contenders:
                given = answers[each.key, who.name]
                score = sentiment_score(
                    [each.texts[n] for n in rows], [given[n] for n in rows], probabilities=who.probabilities
                )
                table.rows.append((each.name, band, who.name, *_cells(score)))
    table.notes = [Name(f"不到 {_FEW} 条的不列", f"Bands of fewer than {_FEW} texts are left out.")]
    return _slim(table, contenders)


def intents(sets: Sequence[JudgedSet], contenders: Sequence[Contender], answers: Answers) -> Table:
    sides = Name("投诉/表扬宏 F1", "complaint/praise macro-F1")
    table = Table(
        Name("意图", "Intent"),
        (_SET, _WHO, _TEXTS, _ACCURACY, _MACRO, Name("投诉或表扬", "complaints and praise"), sides),
    )
    for each, who, given in _every(sets, contenders, answers):
        score = intent_score(each.texts, given)
        if score.texts:
            row = (score.texts, score.accuracy, score.macro, score.side_texts, score.sides)
            table.rows.append((each.name, who.name, *row))
    table.notes = [
        Name(
            "投诉/表扬：只看意图是投诉或表扬的文本；答了别的，就看正负哪边概率大",
            "Complaint against praise: only texts whose intent is one of the two; where another was answered, the "
            "larger of the shares of good and bad decides.",
        )
    ]
    return _slim(table, contenders)


def tags(sets: Sequence[JudgedSet], contenders: Sequence[Contender], answers: Answers, known: Sequence[str]) -> Table:
    """All tags together, with and without their sentiment."""
    table = Table(
        Name("标签（全部合计）", "Tags, all together"),
        (
            *(_SET, _WHO, Name("标签数", "tags"), _PRECISION, _RECALL, Name("微 F1", "micro-F1")),
            Name("连同情感的微 F1", "micro-F1 with sentiment"),
        ),
    )
    for each, who, given in _every(sets, contenders, answers):
        plain = tag_finding(each.texts, given, known, sentiments=False)
        if plain.support:
            signed = tag_finding(each.texts, given, known, sentiments=True)
            row = (plain.support, _value(plain.precision), _value(plain.recall), plain.f1, signed.f1)
            table.rows.append((each.name, who.name, *row))
    return _slim(table, contenders)


def each_tag(sets: Sequence[JudgedSet], who: Contender, answers: Answers, known: Sequence[str]) -> Table:
    """Every tag by itself, on real texts and on hard ones."""
    judges = [each for each in sets if each.key in ("real", "hard")]
    head = [
        Name(f"{each.name.zh}：{what.zh}", f"{each.name.en}: {what.en}")
        for each in judges
        for what in (Name("有", "there"), _PRECISION, _RECALL, Name("F1", "F1"))
    ]
    table = Table(Name("标签（逐个）", "Each tag"), (Name("标签", "tag"), *head))
    for tag in known:
        cells: list[Cell] = [tag]
        for each in judges:
            one = tag_finding(each.texts, answers[each.key, who.name], [tag], sentiments=False)
            cells += [one.support, _value(one.precision), _value(one.recall), _value(one.f1)]
        table.rows.append(cells)
    return table


def flags(sets: Sequence[JudgedSet], contenders: Sequence[Contender], answers: Answers) -> Table:
    """Safety first, then the other flags."""
    table = Table(
        Name("标记", "Flags"),
        (*(_SET, Name("标记", "flag"), _WHO), Name("有", "there"), Name("说有", "said"), _PRECISION, _RECALL),
    )
    for each in sets:
        for mark in MARKED:
            for who in contenders:
                one = flag_finding(each.texts, answers[each.key, who.name], mark)
                if one.support or one.said:
                    row = (one.support, one.said, one.precision, one.recall)
                    table.rows.append((each.name, _MARKS[mark], who.name, *row))
    return _slim(table, contenders)


def by_kind(each: JudgedSet, contenders: Sequence[Contender], answers: Answers, known: Sequence[str]) -> Table:
    """The invented hard texts, by the kind of difficulty they were written for."""
    head = (
        Name("情感准确率", "sentiment accuracy"),
        Name("情感宏 F1", "sentiment macro-F1"),
        Name("好坏宏 F1", "polar macro-F1"),
        Name("意图准确率", "intent accuracy"),
        Name("标签微 F1", "tag micro-F1"),
        Name("连同情感", "with sentiment"),
        Name("安全查准", "safety precision"),
        Name("安全查全", "safety recall"),
        Name("反讽查全", "sarcasm recall"),
        Name("广告查全", "advert recall"),
    )
    title = Name("自拟难句，按难处", "Invented hard texts by kind of difficulty")
    table = Table(title, (Name("难处", "kind"), _WHO, _TEXTS, *head))
    for kind in dict.fromkeys(text.kind for text in each.texts):
        rows = [n for n, text in enumerate(each.texts) if text.kind == kind]
        texts = [each.texts[n] for n in rows]
        for who in contenders:
            given = [answers[each.key, who.name][n] for n in rows]
            table.rows.append((_KINDS.get(kind, kind), who.name, len(rows), *_kind_cells(texts, given, known)))
    return _slim(table, contenders)


def _kind_cells(texts: Sequence[Judged], given: Sequence[Answer], known: Sequence[str]) -> list[Cell]:
    score = sentiment_score(texts, given)
    plain, signed = (tag_finding(texts, given, known, sentiments=signs) for signs in (False, True))
    safety, irony, adverts = (flag_finding(texts, given, mark) for mark in ("safe", "irony", "ad"))
    return [
        *(score.accuracy, _value(score.macro), _value(score.polar_macro)),
        intent_score(texts, given).accuracy,
        *(_value(plain.f1), _value(signed.f1)),
        *(_value(safety.precision), _value(safety.recall), _value(irony.recall), _value(adverts.recall)),
    ]


def safety_sentences(classifier: Classifier, taxonomy: Taxonomy) -> Table:
    """The taxonomy's own sentences: flagged when danger is meant, silent when it is feared or denied."""
    title = Name("标签体系里的安全例句", "Safety sentences of the taxonomy")
    table = Table(title, (Name("说的是", "danger is"), _TEXTS, Name("符合", "as meant")))
    wrong = []
    for mode, name in _MODES.items():
        sentences = [each for tag in taxonomy.tags if tag.safety for each in getattr(tag.safety, mode)]
        analyses = classifier.analyse([Utterance(sentence) for sentence in sentences])
        right = [("safety" in analysis.flags) == (mode == "meant") for analysis in analyses]
        table.rows.append((name, len(sentences), sum(right)))
        wrong += [(name, text) for text, fits in zip(sentences, right, strict=True) if not fits]
    table.notes = [
        Name(f"不符合（{name.zh}）：{text}", f"Not as meant ({name.en}): {text}") for name, text in wrong[:_WRONG]
    ]
    if len(wrong) > _WRONG:
        table.notes.append(Name(f"……还有 {len(wrong) - _WRONG} 句", f"… and {len(wrong) - _WRONG} more."))
    return table


def agreement(sets: Sequence[JudgedSet], ours: Vectors, full: Vectors, head: Linear) -> Table:
    """What quantisation changed: the INT8 encoder's vectors and FP32's, and the same sentiment head over both."""
    table = Table(
        Name("INT8 与 FP32 是否一致", "INT8 against FP32"),
        (
            *(_SET, _TEXTS, Name("余弦，平均", "cosine, mean"), Name("余弦，第 1 百分位", "cosine, 1st percentile")),
            *(Name("情感一致", "same sentiment"), Name("概率平均差", "mean difference of shares")),
            *(Name("宏 F1，INT8", "macro-F1, INT8"), Name("宏 F1，FP32", "macro-F1, FP32")),
        ),
        notes=[
            Name(
                f"同一个情感头接在两边的向量上，不带规则；只取 {_WHOLE} 字以内、两边都整条读完的文本",
                f"The same sentiment head over both encoders' vectors, without rules; texts of up to {_WHOLE} "
                "characters, which both read whole.",
            )
        ],
    )
    for each in sets:
        judged = [text for text in each.texts if len(text.text) <= _WHOLE]
        if not judged:
            continue
        pair = [encode([text.text for text in judged]) for encode in (ours, full)]
        lengths = [np.linalg.norm(vectors, axis=1) for vectors in pair]
        cosines = (pair[0] * pair[1]).sum(1) / np.maximum(lengths[0] * lengths[1], 1e-12)
        shares = [softmax(head.logits(vectors)) for vectors in pair]
        labels = [[LABELS[number] for number in rows.argmax(1)] for rows in shares]
        truth = [text.sentiment for text in judged]
        table.rows.append(
            (
                *(each.name, len(judged), float(cosines.mean()), float(np.percentile(cosines, 1))),
                *(value(crossed(*labels), accuracy), float(np.abs(shares[0] - shares[1]).mean())),
                *(value(crossed(truth, said), macro_f1) for said in labels),
            )
        )
    return table


def known_tags(taxonomy: Taxonomy) -> list[str]:
    """The tags that can be judged: of the shipped taxonomy, and still in the one in use."""
    return [name for name in tag_names() if name in taxonomy.by_name]


def _every(
    sets: Sequence[JudgedSet], contenders: Sequence[Contender], answers: Answers
) -> Iterator[tuple[JudgedSet, Contender, Sequence[Answer]]]:
    for each in sets:
        for who in contenders:
            yield each, who, answers[each.key, who.name]


def _cells(score: SentimentScore) -> Iterable[Cell]:
    return (
        *(score.texts, score.accuracy, score.macro),
        *(score.polar_texts, score.polar_accuracy, score.polar_macro),
        *(score.calibration, score.unsure, score.sure_accuracy),
    )


def _value(figure: object) -> float | None:
    found = getattr(figure, "value", None)
    return found if isinstance(found, float) else None


def _slim(table: Table, contenders: Sequence[Contender]) -> Table:
    """Without empty columns, and without the contender's when there is but one."""
    slim = table.without_empty_columns()
    if len(contenders) > 1 or _WHO not in slim.columns:
        return slim
    at = list(slim.columns).index(_WHO)
    columns = [column for n, column in enumerate(slim.columns) if n != at]
    return Table(slim.title, columns, [[c for n, c in enumerate(row) if n != at] for row in slim.rows], slim.notes)
