"""Tags that the encoder was never trained for: told by their example sentences and their words.

Each example's clauses become vectors; the tag's direction is the one that parts their mean from the background of
clauses of all kinds, weighed by how the background spreads (linear discriminant analysis, shrunk). Five examples
suffice, because the spread is learned from thousands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from classify.clauses import split
from classify.encoder import Encoder
from classify.heads import Floats, Linear
from classify.taxonomy import Tag
from ingest.fold import fold

_SHRINK = 0.1
_RARE = 0.995
"""The share of background clauses that a tag's examples must beat before their likeness counts for it."""


class Background:
    """The whitened background: what clauses look like when nothing in particular is said."""

    def __init__(self, vectors: Floats) -> None:
        self._mean = vectors.mean(0)
        spread = np.cov(vectors.T.astype(np.float64))
        spread = (1 - _SHRINK) * spread + _SHRINK * np.eye(len(spread)) * np.trace(spread) / len(spread)
        self._inverse = np.linalg.inv(spread).astype(np.float32)
        self._vectors = vectors

    def head(self, examples: Sequence[Floats]) -> Linear:
        """A linear head with one answer for each tag; ``examples`` are the vectors (n, width) of each tag's examples.

        Its logit is 0 for a clause as like the examples as one background clause in two hundred, and 1 more for each
        step towards the examples' own mean score.
        """
        weights, biases = [], []
        for vectors in examples:
            direction = self._inverse @ (vectors.mean(0) - self._mean)
            scores = self._vectors @ direction
            edge = float(np.quantile(scores, _RARE))
            own = float(np.median(vectors @ direction))
            step = max((own - edge) / 4, 1e-3)
            weights.append(direction / step)
            biases.append(-edge / step)
        return Linear(np.array(weights, np.float32), np.array(biases, np.float32))


def example_vectors(encoder: Encoder, tag: Tag) -> Floats | None:
    """Vectors of a tag's example sentences, whole; null when it has none."""
    sentences = [*tag.examples.negative, *tag.examples.neutral, *tag.examples.positive]
    if not sentences:
        return None
    folded = [fold(sentence) for sentence in sentences]
    spans = [[(clauses[0][0], clauses[-1][1])] if (clauses := split(text)) else [] for text in folded]
    return encoder.encode(folded, spans).clauses
