"""Tags that nobody trained for: a taxonomy file of a few words and five sentences each, judged on text from elsewhere.

Topics of two public sets become tags: of the car forum (a text may have several topics) and of cosmetics reviews. Half
of each set's texts, by hash, gives the example sentences; the other half judges.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from classify.base import Classifier, Utterance
from classify.corpora import read_topic_texts
from classify.evaluation.metrics import bootstrap, f1, found, precision, recall, value
from classify.evaluation.tables import Name, Table
from classify.scorer import LABELS

Make = Callable[[Path], Classifier]
"""Builds a classifier from a taxonomy file, as :func:`classify.load.load_classifier` does."""

_SENTENCES = 5
_SHORTEST, _LONGEST = 6, 60
_FEW = 10


@dataclass(frozen=True, slots=True)
class Topics:
    """A public set and the words we give to its topics; a topic without words here is left out."""

    key: str
    name: Name
    group: str
    product: tuple[str, ...]
    words: Mapping[str, tuple[str, ...]]


CARS = Topics(
    "cars",
    Name("汽车论坛的 10 个话题", "the 10 topics of a car forum"),
    "汽车",
    ("车",),
    {
        "动力": ("动力", "发动机", "提速", "加速", "马力", "变速箱", "涡轮", "扭矩", "油门"),
        "价格": ("价格", "优惠", "多少钱", "便宜", "贵", "落地", "报价", "降价"),
        "油耗": ("油耗", "费油", "省油", "百公里", "多少油", "个油"),
        "操控": ("操控", "方向盘", "转向", "底盘", "过弯", "悬挂", "四驱"),
        "舒适性": ("舒适", "噪音", "异响", "座椅", "隔音", "减震", "颠", "空调"),
        "配置": ("配置", "导航", "天窗", "顶配", "低配", "倒车影像", "音响"),
        "安全性": ("安全", "刹车", "气囊", "碰撞", "钢板", "召回"),
        "内饰": ("内饰", "中控", "塑料感", "做工", "仪表"),
        "外观": ("外观", "外形", "颜值", "好看", "难看", "车漆", "前脸"),
        "空间": ("空间", "后排", "后备箱", "宽敞", "拥挤", "腿部"),
    },
)

COSMETICS = Topics(
    "cosmetics",
    Name("美妆评论的品类", "the categories of cosmetics reviews"),
    "美妆",
    ("面膜", "面霜", "洗面奶", "隔离", "口红", "护肤"),
    {
        "整体": ("不错", "很好", "好用", "满意", "喜欢", "一般", "回购"),
        "使用体验": ("质地", "清爽", "油腻", "吸收", "推开", "温和", "刺激", "舒服"),
        "功效": ("保湿", "补水", "美白", "控油", "效果", "去黑头", "滋润", "祛痘"),
        "价格": ("价格", "便宜", "实惠", "划算", "性价比", "贵", "优惠"),
        "物流": ("物流", "快递", "发货", "送货", "到货"),
        "气味": ("味道", "气味", "香味", "好闻", "难闻"),
        "包装": ("包装", "瓶子", "盒子", "漏", "破损"),
        "真伪": ("正品", "假货", "真假", "真伪", "专柜"),
        "服务": ("服务", "客服", "态度", "卖家"),
        "成分": ("成分", "酒精", "添加", "防腐剂", "天然"),
        "尺寸": ("大小", "容量", "小瓶", "分量", "尺寸"),
        "新鲜度": ("日期", "新鲜", "过期", "保质期"),
    },
)


def new_tags(data: Path, make: Make, linear: Make | None = None) -> list[Table]:
    """F1 of each new tag on the half that gave no examples: with sentences, with words only, and the linear model's.

    No table for a set that is not under ``data``.
    """
    return [table for topics in (CARS, COSMETICS) if (table := _table(data, topics, make, linear)) is not None]


def taxonomy_file(topics: Topics, examples: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """The TOML a user would write: each topic's words, and ``examples`` (sentence, sentiment) by topic."""
    lines = ["[product]", f"words = {_list(topics.product)}", "", "[[group]]", f'name = "{topics.group}"']
    for topic, words in topics.words.items():
        lines += ["", "[[tag]]", f'name = "{topics.group}/{topic}"', f"words = {_list(words)}", "plain = true"]
        if examples.get(topic):
            lines.append("[tag.examples]")
            for label in LABELS:
                lines.append(f"{label} = {_list([text for text, sign in examples[topic] if sign == label])}")
    return "\n".join(lines) + "\n"


def _table(data: Path, topics: Topics, make: Make, linear: Make | None) -> Table | None:
    signs: dict[str, dict[str, str]] = {}
    for text, topic, sign in read_topic_texts(data, topics.key):
        signs.setdefault(text, {})[topic] = sign
    if not signs:
        return None
    examples = _examples(topics, signs)
    judged = [text for text in signs if not _teaches(text)]
    truth = [frozenset(signs[text]) & topics.words.keys() for text in judged]
    ours = _said(topics, make, judged, examples)
    bare = _said(topics, make, judged, {})
    other = None if linear is None else _said(topics, linear, judged, examples)
    table = Table(
        Name(f"新标签，没有训练过：{topics.name.zh}", f"New tags without training: {topics.name.en}"),
        (
            *(Name("标签", "tag"), Name("有", "there"), Name("查准", "precision"), Name("查全", "recall")),
            *(Name("F1", "F1"), Name("只有词，F1", "words only, F1"), Name("线性模型，F1", "linear model, F1")),
        ),
    )
    every = Name("合计（微平均）", "all (micro)")
    groups: list[tuple[str | Name, frozenset[str]]] = [(topic, frozenset([topic])) for topic in topics.words]
    for name, kept in (*groups, (every, frozenset(topics.words))):
        wanted = [each & kept for each in truth]
        if sum(map(len, wanted)) < _FEW:
            continue
        rows, words = (found(wanted, [each & kept for each in said]) for said in (ours, bare))
        rival = None if other is None else value(found(wanted, [each & kept for each in other]), f1)
        measured = (value(rows, precision), value(rows, recall), bootstrap(rows, f1), value(words, f1), rival)
        table.rows.append((name, sum(map(len, wanted)), *measured))
    table.notes = [
        Name(
            f"{len(judged):,} 条；每个标签几个词、{_SENTENCES} 句例句（取自另一半文本）；不足 {_FEW} 条的标签不列",
            f"{len(judged):,} texts judge. Each tag has a few words and {_SENTENCES} example sentences from the other "
            f"half; tags of fewer than {_FEW} texts are left out.",
        )
    ]
    return table.without_empty_columns()


def _examples(topics: Topics, signs: Mapping[str, Mapping[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """Short texts of one topic only, the first ones by hash."""
    chosen: dict[str, list[tuple[str, str]]] = {topic: [] for topic in topics.words}
    for text in sorted(filter(_teaches, signs), key=_digest):
        topic, sign = next(iter(signs[text].items()))
        fits = len(signs[text]) == 1 and _SHORTEST <= len(text) <= _LONGEST and topic in chosen
        if fits and len(chosen[topic]) < _SENTENCES:
            chosen[topic].append((text, sign))
    return chosen


def _said(
    topics: Topics, make: Make, texts: Sequence[str], examples: Mapping[str, Sequence[tuple[str, str]]]
) -> list[frozenset[str]]:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "taxonomy.toml"
        file.write_text(taxonomy_file(topics, examples), "utf-8")
        classifier = make(file)
    analyses = classifier.analyse([Utterance(text) for text in texts])
    return [frozenset(tag.tag.partition("/")[2] for tag in analysis.tags) for analysis in analyses]


def _list(words: Sequence[str]) -> str:
    """A TOML array; JSON writes the same but for one control character."""
    return json.dumps(words, ensure_ascii=False).replace("\x7f", " ")


def _teaches(text: str) -> bool:
    return _digest(text)[3] % 2 == 0


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
