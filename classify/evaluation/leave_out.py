"""The linear model trained again without one source or category, and judged by it: text from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from classify.corpora import Corpus
from classify.evaluation.contenders import OfClassifier
from classify.evaluation.scores import sentiment_score
from classify.evaluation.sets import plain
from classify.evaluation.tables import Name, Table
from classify.linear import LinearClassifier
from classify.scorer import load_weights, save_weights
from classify.taxonomy import Taxonomy
from ingest.errors import UserError


def leave_out(data: Path, taxonomy: Taxonomy, names: Sequence[str]) -> Table:
    """One row for each of ``names``: a set, or a category of the shop reviews. Needs scikit-learn, minutes for each.

    The heads (some eighty numbers) are fitted again only without the water heaters; elsewhere they stay.
    Raises UserError for a name that is neither.
    """
    from classify.training.linear import gather, train  # scikit-learn is needed for nothing else here

    material, shipped = gather(data, taxonomy), load_weights()
    shopping = [corpus for corpus in material.corpora if corpus.name == "shopping"]
    categories = sorted({group for corpus in shopping for group in corpus.groups})
    sources = ("water_heaters", *(corpus.name for corpus in material.corpora))
    table = Table(
        Name("线性模型，留出后重新训练", "The linear model, trained again without the set"),
        (
            *(Name("留出", "left out"), Name("条数", "texts"), Name("准确率", "accuracy"), Name("宏 F1", "macro-F1")),
            *(Name("好坏宏 F1", "polar macro-F1"), Name("校准误差", "ECE")),
        ),
    )
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
            answers = OfClassifier(LinearClassifier(taxonomy, Path(folder))).answer(judged.texts)
        score = sentiment_score(plain(judged), answers)
        table.rows.append((out, score.texts, score.accuracy, score.macro, score.polar_macro, score.calibration))
    return table
