"""The classifier that ships, built from a taxonomy file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from classify.base import Classifier
from classify.taxonomy import load_taxonomy


def load_classifier(taxonomy_path: Path | None = None, brand_words: Sequence[str] = ()) -> Classifier:
    """Build the classifier. Raises ConfigError (the taxonomy file) or ModelError (the weights)."""
    from classify.linear import LinearClassifier  # numpy and the weights are read only when somebody classifies

    return LinearClassifier(load_taxonomy(taxonomy_path), brand_words=brand_words)
