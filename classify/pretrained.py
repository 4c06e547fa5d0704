"""A sequence-classification model of the Hugging Face kind: found, checked and read. Needs the extra ``torch``.

Weights come from safetensors only, and no code of a model is ever run: neither pickles nor remote code are read, and of
a hub only files of data are fetched.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from classify.label_names import meanings, shown
from classify.scorer import LABELS, Floats
from ingest.analysis import SentimentLabel
from ingest.errors import ConfigError, ModelError, ShengwenError, Unavailable

logger = logging.getLogger(__name__)

MOST_TOKENS = 512
"""A text is cut to this many tokens, or to fewer where the model takes fewer."""

_CHARACTERS_A_TOKEN = 16
"""What is cut off before tokens are counted: no token of a real text is that long."""

_BATCH_TOKENS = 4096
_HUB_ID = re.compile(r"(?P<repo>[\w-][\w.-]*/[\w-][\w.-]*)(?:@(?P<revision>[\w.-]+))?", re.ASCII)
_DATA = ["*.json", "*.safetensors", "*.txt", "*.model"]
_ARCHITECTURE = "ForSequenceClassification"


class Pretrained:
    """Sentiment probabilities of texts. Thread-safe; bounded by ``length`` tokens a text.

    The same text gets the same answer alone and in any batch, to within the rounding of 32-bit floats: texts of equal
    length go together, so none is padded.
    """

    def __init__(self, name: str, tokenizer: Any, network: Any, labels: Sequence[SentimentLabel]) -> None:
        self.name = name
        self._tokenizer = tokenizer
        self._network = network
        self._sums = np.array([[float(label == column) for column in LABELS] for label in labels])
        self._tokenizing = threading.Lock()  # a tokenizer keeps how it cuts inside of itself
        self._takes = {"input_ids", "attention_mask"} | set(inspect.signature(network.forward).parameters)
        self._rows = 32 if network.config.pad_token_id is not None else 1  # some models find the end by the padding
        self.length = self._longest()

    def probabilities(self, texts: Sequence[str]) -> Floats:
        """(n, 3), rows in the order of LABELS; equal shares where the model gives no number."""
        shares = np.full((len(texts), len(LABELS)), 1 / len(LABELS))
        inputs = self._inputs(texts)
        sizes = [len(one["input_ids"]) for one in inputs]
        order = sorted((number for number, size in enumerate(sizes) if size), key=lambda number: sizes[number])
        while order:
            size = sizes[order[0]]
            most = max(1, min(self._rows, _BATCH_TOKENS // size))
            batch = [number for number in order[:most] if sizes[number] == size]
            del order[: len(batch)]
            judged = self._judge([inputs[number] for number in batch])
            shares[batch] = np.where(np.isfinite(judged).all(axis=1, keepdims=True), judged, shares[batch])
        return shares

    def _inputs(self, texts: Sequence[str]) -> list[dict[str, list[int]]]:
        """Token numbers of each text, cut, and what else the network takes beside them."""
        if not texts:
            return []
        most = self.length * _CHARACTERS_A_TOKEN
        clean = [text[:most].encode("utf-8", "replace").decode("utf-8") for text in texts]  # no lone surrogates
        with self._tokenizing:
            found = self._tokenizer(clean, truncation=True, max_length=self.length, padding=False)
        names = [name for name in self._tokenizer.model_input_names if name in found and name in self._takes]
        return [{name: found[name][number] for name in names} for number in range(len(texts))]

    def _judge(self, inputs: Sequence[dict[str, list[int]]]) -> Floats:
        import torch

        with torch.inference_mode():
            batch = {name: torch.tensor([one[name] for one in inputs]) for name in inputs[0]}
            logits = self._network(**batch).logits.to(torch.float64)
            raw = torch.softmax(logits, -1).numpy()
        if raw.shape != (len(inputs), len(self._sums)):
            raise ModelError(f"模型 {self.name} 给出 {raw.shape} 的结果，应是 {(len(inputs), len(self._sums))}")
        shares: Floats = raw @ self._sums
        return shares

    def _longest(self) -> int:
        """Most tokens of a text, tried out: where positions begin after the padding's number, the last ones are not."""
        config = self._network.config
        said = (self._tokenizer.model_max_length, getattr(config, "max_position_embeddings", None), MOST_TOKENS)
        self.length = min(int(limit) for limit in said if isinstance(limit, int | float) and limit > 0)
        try:
            self._try_out()
        except (IndexError, RuntimeError):
            self.length -= (config.pad_token_id or 0) + 1
            self._try_out()
        return self.length

    def _try_out(self) -> None:
        for text in ("好", "好 " * self.length):
            (one,) = self._inputs([text])
            if one["input_ids"] and not np.isfinite(self._judge([one])).all():
                raise ModelError(f"模型 {self.name} 算出来的不是数：它的权重是坏的")


def load_pretrained(model: str, base: Path, labels: Mapping[str, SentimentLabel] | None = None) -> Pretrained:
    """Load a model from a folder (relative ones are seen from ``base``) or by its hub id (``owner/name``,
    ``owner/name@revision``); the folder wins.

    Raises ConfigError (no such model, labels that mean nothing), ModelError (the extra is missing, or the model cannot
    be used) or Unavailable (the hub cannot be reached and has not been before); messages are Chinese.
    """
    _need_extra()
    folder, name, version = _found(model, base)
    config = _config(folder, name)
    network = _network(folder, name, config)
    tokenizer = _tokenizer(folder, name, network)
    with _reading(name, "不能使用"):
        names = [str(config.id2label[number]) for number in range(config.num_labels)]
        told = meanings(names, labels)
        pretrained = Pretrained(f"{name}/{version or _digest(folder)}", tokenizer, network, told)
    heard = dict(zip(names, told, strict=True))
    logger.info("%s: at most %d tokens, labels %s", pretrained.name, pretrained.length, heard)
    return pretrained


def _need_extra() -> None:
    # Threads of the tokenizers do not survive the forks that start spiders; texts are short, so they gain nothing.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        import safetensors  # noqa: F401
        import torch  # noqa: F401
        from huggingface_hub.utils import disable_progress_bars
        from transformers.utils import logging as library
    except (ImportError, OSError) as error:
        raise ModelError(
            f"设置了 classify.model，要用 torch 和 transformers，但它们没有装好（{_first_line(error)}）。"
            "请运行：.venv/bin/pip install 'shengwen[torch]'；或者去掉 classify.model，用自带的模型"
        ) from error
    disable_progress_bars()
    library.disable_progress_bar()
    library.set_verbosity_error()


def _found(model: str, base: Path) -> tuple[Path, str, str]:
    """(folder, name, version) of a model; a folder's version comes from its content and is "" here."""
    folder = base / model
    with _reading(model, "的文件夹不能查看"):
        here = folder.is_dir()
    if here:
        return folder, os.fsencode(folder.resolve().name).decode("utf-8", "replace") or "model", ""
    hub = _HUB_ID.fullmatch(model)
    if hub is None:
        what = "是文件，不是文件夹" if folder.exists() else "不存在"
        raise ConfigError(
            f"设置 classify.model：模型文件夹 {folder} {what}（Hugging Face 上的模型要写成“所有者/名字”）"
        )
    repo, revision = hub["repo"], hub["revision"]
    fetched = _fetched(repo, revision, folder)
    return fetched, repo, fetched.name[:12]


def _fetched(repo: str, revision: str | None, folder: Path) -> Path:
    """The hub's copy on this machine: brought up to date, or as it is while the hub cannot be reached."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    wanted: dict[str, Any] = {"revision": revision, "allow_patterns": _DATA, "ignore_patterns": ["*/*"]}
    try:
        return Path(snapshot_download(repo, **wanted))
    except RevisionNotFoundError as error:
        raise ConfigError(f"设置 classify.model：Hugging Face 上的 {repo} 没有版本 {revision or 'main'}") from error
    except RepositoryNotFoundError as error:
        raise ConfigError(
            f"设置 classify.model：没有文件夹 {folder}，Hugging Face 上也没有可用的模型 {repo}"
            "（名字写错，或它不公开：不公开的要用环境变量 HF_TOKEN）"
        ) from error
    except Exception as error:  # connections, time-outs, refusals, a full disk: each release has its own classes
        with suppress(Exception):
            kept = Path(snapshot_download(repo, **wanted, local_files_only=True))
            logger.warning("%s could not be looked up (%s): used as it was fetched before", repo, _first_line(error))
            return kept
        raise Unavailable(
            f"没有文件夹 {folder}，从 Hugging Face 取模型 {repo} 也没有成功，本机上又没有取过的"
            f"（{_first_line(error)}）。请检查网络，或把模型下载到一个文件夹，在 classify.model 里写这个文件夹"
        ) from error


def _config(folder: Path, name: str) -> Any:
    with _reading(name, "的文件夹不能查看"):
        _look_over(folder, name)
    from transformers import AutoConfig

    with _reading(name, "的 config.json 不能使用"):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    kinds = [shown(str(kind)) for kind in config.architectures or ()]
    if kinds and not any(kind.endswith(_ARCHITECTURE) for kind in kinds):
        raise ModelError(f"模型 {name} 是 {'、'.join(kinds[:3])}，不是文本分类模型（…{_ARCHITECTURE}）")
    kind = getattr(config, "problem_type", None)
    if config.num_labels < 2 or kind in ("regression", "multi_label_classification"):
        raise ConfigError(
            f"设置 classify.model：模型 {name} 不是在几个标签里选一个"
            f"（{kind or 'regression'}，{config.num_labels} 个输出），不能当情感模型用"
        )
    return config


def _look_over(folder: Path, name: str) -> None:
    if not (folder / "config.json").is_file():
        raise ModelError(f"模型 {name} 的文件夹 {folder} 里没有 config.json，不是 Hugging Face 模型")
    if not any(folder.glob("*.safetensors")):
        others = sorted(path.name for path in folder.glob("*") if path.suffix in {".bin", ".pt", ".pth", ".h5"})
        found = f"，只有 {'、'.join(others[:5])}" if others else ""
        raise ModelError(
            f"模型 {name} 没有 safetensors 格式的权重{found}。别的格式可能藏有程序，这里不读；"
            "请换一个有 safetensors 的模型，或请发布者转换"
        )


def _network(folder: Path, name: str, config: Any) -> Any:
    from transformers import AutoModelForSequenceClassification

    with _reading(name, "读不出来"):
        network, report = AutoModelForSequenceClassification.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
        if missing := sorted(report["missing_keys"]):
            first = "、".join(shown(key) for key in missing[:3])
            raise ModelError(f"模型 {name} 缺少 {len(missing)} 组权重（{first}…）：它没有训练成文本分类模型")
        return network.float().eval()


def _tokenizer(folder: Path, name: str, network: Any) -> Any:
    from transformers import AutoTokenizer

    with _reading(name, "的分词器读不出来"):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if len(tokenizer) <= len(tokenizer.all_special_tokens):  # made up by the library for want of a file
            raise ModelError(f"模型 {name} 的分词器读不出来：文件夹里没有它的词表（tokenizer.json 或 vocab.txt）")
        words = network.get_input_embeddings().num_embeddings
    if len(tokenizer) > words:
        raise ModelError(f"模型 {name} 的分词器有 {len(tokenizer)} 个词，权重只有 {words} 个：两者不是一套")
    return tokenizer


@contextmanager
def _reading(name: str, fault: str) -> Iterator[None]:
    """Whatever a library raises over somebody's files is a model that cannot be used."""
    try:
        yield
    except ShengwenError:
        raise
    except Exception as error:
        raise ModelError(f"模型 {name} {fault}：{_first_line(error)}") from error


def _digest(folder: Path) -> str:
    """Twelve characters that stand for what the folder holds."""
    whole = hashlib.sha256()
    for path in sorted(path for pattern in _DATA for path in folder.glob(pattern) if path.is_file()):
        with path.open("rb") as file:
            whole.update(path.name.encode("utf-8", "replace") + hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:12]


def _first_line(error: BaseException) -> str:
    return shown(str(error).strip().split("\n", 1)[0], 200) or type(error).__name__
