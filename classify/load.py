"""The classifier that the settings ask for, built from a taxonomy file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from classify.base import Classifier
from classify.taxonomy import load_taxonomy
from ingest.analysis import SentimentLabel
from ingest.errors import ConfigError


def load_classifier(
    taxonomy_path: Path | None = None,
    brand_words: Sequence[str] = (),
    *,
    model: str = "",
    labels: Mapping[str, SentimentLabel] | None = None,
    base: Path | None = None,
) -> Classifier:
    """Build the classifier: the shipped one, or with ``model`` one over a Hugging Face model.

    ``base``: the home, where heads fitted to its corrections lie. ``model``: a folder, relative ones seen from
    ``base``, or a hub id. ``labels``: what its labels mean, where their names do not tell. Raises ConfigError (the
    taxonomy file, the model's name, its labels), ModelError (weights that cannot be used, an extra that is not
    installed) or Unavailable (the hub).
    """
    taxonomy = load_taxonomy(taxonomy_path)
    if model.strip():
        from classify.pipeline import PipelineClassifier  # torch is imported only for who asked for a model

        return PipelineClassifier(taxonomy, model.strip(), base or Path(), brand_words, labels)
    if labels:
        raise ConfigError("设置 classify.labels 只和 classify.model 一起有用：请写明 classify.model，或去掉 labels")
    from classify import refit  # the runtime and the weights are read only when somebody classifies
    from classify.encoder import Encoder
    from classify.transformer import TransformerClassifier

    encoder = Encoder()
    heads = None if base is None else refit.load(encoder, base)
    return TransformerClassifier(taxonomy, brand_words=brand_words, heads=heads, encoder=encoder)
