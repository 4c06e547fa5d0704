"""The network in torch: an encoder of the Hugging Face kind and its heads over texts and clauses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModel

TEXT_HEADS = {"sentiment": 3, "intent": 5, "marks": 6, "topic": 35}
CLAUSE_HEADS = {"clause_sentiment": 3, "tags": 45, "danger": 1}


@dataclass(slots=True)
class Batch:
    """Padded token numbers (B, T) and, for pooling, clause rows: text number, first and last token + 1 of each."""

    ids: Tensor
    mask: Tensor
    owners: Tensor
    firsts: Tensor
    lasts: Tensor


class Network(nn.Module):
    """Token states, their mean over each text and each clause, and a linear head for each task."""

    def __init__(self, encoder: nn.Module, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict({name: nn.Linear(width, size) for name, size in (TEXT_HEADS | CLAUSE_HEADS).items()})
        for head in self.heads.values():
            nn.init.normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Logits by head, and the vectors ``text`` (B, width) and ``clause`` (clauses, width)."""
        states = self.encoder(input_ids=batch.ids, attention_mask=batch.mask).last_hidden_state
        masked = states * batch.mask[:, :, None].to(states.dtype)
        text = masked.sum(1) / batch.mask.sum(1, keepdim=True)
        found = {"text": text} | {name: self.heads[name](text) for name in TEXT_HEADS}
        if len(batch.owners):
            # One matrix product: the gradient of indexing would run on a single core.
            clause = _shares(batch) @ masked.flatten(0, 1)
            found |= {"clause": clause} | {name: self.heads[name](clause) for name in CLAUSE_HEADS}
        return found


def _shares(batch: Batch) -> Tensor:
    """(clauses, B * T): which tokens each clause is the mean of."""
    texts, tokens = batch.ids.shape
    places = torch.arange(tokens)
    inside = (places >= batch.firsts[:, None]) & (places < batch.lasts[:, None])
    own = inside.float() / inside.sum(1, keepdim=True).clamp(min=1)
    shares = torch.zeros((len(own), texts, tokens))
    shares[torch.arange(len(own)), batch.owners] = own
    return shares.flatten(1)


def pretrained(folder: Path, layers: int | None = None) -> Network:
    """A network over a Hugging Face directory; ``layers`` keeps that many, evenly spaced, the last among them."""
    encoder = AutoModel.from_pretrained(
        folder, dtype=torch.float32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    encoder.pooler = None
    if layers is not None:
        thin(encoder, layers)
    return Network(encoder, encoder.config.hidden_size)


def thin(encoder: nn.Module, layers: int) -> None:
    """Keep ``layers`` of the encoder's layers, evenly spaced, the last among them."""
    kept = encoder.encoder.layer
    step = len(kept) / layers
    encoder.encoder.layer = nn.ModuleList([kept[round((n + 1) * step) - 1] for n in range(layers)])
    encoder.config.num_hidden_layers = layers
