"""Who is judged: our classifiers, and rivals that know sentiment only.

snownlp and cnsenti (the extra ``rivals``), torch and transformers are imported only when their contender is made.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np

from classify.base import Classifier, Utterance
from classify.encoder import HEADS, WINDOW, shipped
from classify.heads import Floats, Linear, softmax
from classify.scorer import LABELS
from ingest.analysis import Analysis, SentimentLabel
from ingest.errors import UserError
from ingest.fold import fold


@dataclass(frozen=True, slots=True)
class Answer:
    """What a contender says of one text. ``shares`` stand in the order of ``LABELS``; ``analysis`` if there is one."""

    label: SentimentLabel
    shares: tuple[float, float, float]
    analysis: Analysis | None = None

    @property
    def confidence(self) -> float:
        return self.shares[LABELS.index(self.label)]

    @property
    def pole(self) -> SentimentLabel:
        """Good or bad, whichever gets more; good when both get the same."""
        return "negative" if self.shares[0] > self.shares[2] else "positive"


class Contender(ABC):
    """Answers for texts, in order. ``saw``: keys of sets whose texts it was trained on.

    ``probabilities``: whether its shares claim to be probabilities, so that calibration can be asked of them.
    """

    name: str
    saw: frozenset[str] = frozenset()
    probabilities = True

    @abstractmethod
    def answer(self, texts: Sequence[str]) -> list[Answer]: ...


class OfClassifier(Contender):
    """Any classifier of ours."""

    def __init__(self, classifier: Classifier, name: str | None = None, saw: frozenset[str] = frozenset()) -> None:
        self.name = name or classifier.name
        self.saw = saw
        self._classifier = classifier

    def answer(self, texts: Sequence[str]) -> list[Answer]:
        analyses = self._classifier.analyse([Utterance(text) for text in texts])
        return [_of(analysis) for analysis in analyses]


class SnowNlp(Contender):
    """snownlp's naive Bayes over words: a share of good, never neutral."""

    def __init__(self) -> None:
        try:
            from snownlp import sentiment
        except ImportError as error:
            raise _missing("snownlp") from error
        self.name = "snownlp"
        self._share = sentiment.classify

    def answer(self, texts: Sequence[str]) -> list[Answer]:
        return [self._answer(text) for text in texts]

    def _answer(self, text: str) -> Answer:
        good = min(max(float(self._share(text)), 0.0), 1.0)
        return Answer("positive" if good >= 0.5 else "negative", (1 - good, 0.0, good))


class Lexicon(Contender):
    """cnsenti's HowNet word lists, counted: the side with more words; as many of both, or none, is neutral."""

    probabilities = False

    def __init__(self) -> None:
        try:
            import cnsenti
            import jieba
        except ImportError as error:
            raise _missing("cnsenti") from error
        jieba.setLogLevel(60)  # it announces on stderr where it caches its dictionary
        self.name = "cnsenti"
        self._count = cnsenti.Sentiment().sentiment_count

    def answer(self, texts: Sequence[str]) -> list[Answer]:
        return [self._answer(text) for text in texts]

    def _answer(self, text: str) -> Answer:
        counted = self._count(text)
        good, bad = int(counted["pos"]), int(counted["neg"])
        if good == bad:
            return Answer("neutral", (0.0, 1.0, 0.0))
        shares = (bad / (good + bad), 0.0, good / (good + bad))
        return Answer("positive" if good > bad else "negative", shares)


class Fp32(Contender):
    """The encoder before it became INT8, in a pipeline of transformers with torch, its sentiment head alone on top.

    ``folder`` is a Hugging Face directory of the encoder (config.json, model.safetensors, tokenizer.json), with the
    heads in ``heads.npz`` (``sentiment.weight`` (3, width), ``sentiment.bias`` (3)), else those of the shipped encoder.
    It reads the first 128 tokens of a text. Raises UserError when torch or the folder's files are missing.
    """

    def __init__(self, folder: Path, batch: int = 32) -> None:
        self.name = "FP32"
        self.head = _head(folder)
        self._batch = batch
        self._pipeline = _pipeline(folder)

    def answer(self, texts: Sequence[str]) -> list[Answer]:
        shares = softmax(self.head.logits(self.vectors(texts))).tolist()
        return [Answer(LABELS[int(np.argmax(row))], (row[0], row[1], row[2])) for row in shares]

    def vectors(self, texts: Sequence[str]) -> Floats:
        """Means of token states, (texts, width)."""
        width = self.head.weight.shape[1]
        found = self._pipeline([fold(text) for text in texts], batch_size=self._batch) if texts else []
        return np.array(found, np.float32).reshape(-1, width)


def rivals() -> list[Contender]:
    """Those of the extra ``rivals``. Raises UserError when they are not installed."""
    return [SnowNlp(), Lexicon()]


def _of(analysis: Analysis) -> Answer:
    said = analysis.sentiment
    return Answer(said.label, (said.negative, said.neutral, said.positive), analysis)


def _missing(package: str) -> UserError:
    return UserError(
        f"对比需要 {package}，请先安装：pip install --no-deps --require-hashes -r requirements-rivals.lock"
    )


def _pipeline(folder: Path) -> Any:
    try:
        import torch
        from transformers import AutoModel, PreTrainedTokenizerFast
        from transformers.pipelines import Pipeline
        from transformers.utils import logging
    except ImportError as error:
        raise UserError("FP32 对比需要 torch 和 transformers，请先安装 requirements-torch.lock 里的包") from error
    logging.set_verbosity_error()  # it reports a pooler that nobody uses
    logging.disable_progress_bar()

    class Means(Pipeline):  # type: ignore[misc]
        """Like feature-extraction, but the mean over each text's own tokens instead of padded states."""

        def _sanitize_parameters(self, **given: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
            return {}, {}, {}

        def preprocess(self, text: str) -> Any:
            return self.tokenizer(text, truncation=True, max_length=WINDOW, return_tensors="pt")

        def _forward(self, inputs: Any) -> dict[str, Any]:
            states = self.model(**inputs).last_hidden_state
            mask = inputs["attention_mask"][:, :, None].to(states.dtype)
            return {"means": (states * mask).sum(1) / mask.sum(1).clamp(min=1)}

        def postprocess(self, outputs: dict[str, Any]) -> Any:
            return outputs["means"][0].numpy()

    model = AutoModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(model.config.pad_token_id)
    return Means(model=model, tokenizer=tokenizer, device=torch.device("cpu"))


def _head(folder: Path) -> Linear:
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} 不是 Hugging Face 格式的模型文件夹（没有 config.json）")
    place: Traversable = folder / HEADS
    if not place.is_file():
        place = shipped().joinpath(HEADS)
    try:
        with place.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return Linear(*(arrays[f"sentiment.{part}"].astype(np.float32) for part in ("weight", "bias")))
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"读不到情感分类头 {place}：{error}") from error


def manifests() -> list[dict[str, Any]]:
    """What the shipped folders of weights say of themselves: ``name`` and ``sha256``, of one file or by file."""
    root = files("classify").joinpath("weights")
    places = [root, *sorted((each for each in root.iterdir() if each.is_dir()), key=lambda each: each.name)]
    found = [place.joinpath("manifest.json") for place in places]
    return [json.loads(file.read_bytes()) for file in found if file.is_file()]
