"""Tiny models of the real architectures, made on the spot: random weights, a vocabulary of their own, real files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

TWO = ("负面", "正面")
THREE = ("消极", "中性", "积极")
STARS = ("1 star", "2 stars", "3 stars", "4 stars", "5 stars")
LENGTH = 64

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CHARACTERS = sorted(set("漏水不热很满意暖气师傅态度差安装费贵还没有要多少钱好坏了的第号，。！？0123456789abcxyz"))
WORDS = len(SPECIAL) + len(CHARACTERS)


def tokenizer(more: Sequence[str] = (), **other: Any) -> PreTrainedTokenizerFast:
    """Cuts into single characters, as Chinese BERT does."""
    words = {word: number for number, word in enumerate((*SPECIAL, *CHARACTERS, *more))}
    made = Tokenizer(WordPiece(words, unk_token="[UNK]"))
    made.normalizer = BertNormalizer()
    made.pre_tokenizer = BertPreTokenizer()
    made.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", words["[CLS]"]), ("[SEP]", words["[SEP]"])],
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=made, **(names | {"model_max_length": LENGTH} | other))


def named(labels: Sequence[str]) -> dict[str, Any]:
    return {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
        "num_labels": len(labels),
    }


def config(labels: Sequence[str], **other: Any) -> BertConfig:
    sizes = {
        "vocab_size": WORDS,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": LENGTH,
    }
    return BertConfig(**(sizes | named(labels) | other))


def lively(network: Any, seed: int = 7) -> Any:
    """Random weights large enough for texts to differ by more than rounding."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for name, weight in network.named_parameters():
            if weight.dim() == 2 and "embeddings" not in name:
                weight.normal_(std=0.3)
            elif "word_embeddings" in name or name.endswith("wte.weight"):
                weight.normal_()
            elif weight.dim() == 2:  # the library drew it without our seed: another model in each run
                weight.normal_(std=0.02)
    return network.eval()


def make(folder: Path, labels: Sequence[str], **other: Any) -> Path:
    """A whole model in ``folder``, weights as safetensors."""
    lively(BertForSequenceClassification(config(labels, **other))).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder
