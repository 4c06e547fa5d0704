"""What kind of text it is, beside what it says: empty, filled in by the platform, advertising, copied, off topic."""

from __future__ import annotations

import re
import unicodedata

from classify.lexicon import Lexicon
from classify.reading import Reading
from classify.taxonomy import Taxonomy
from classify.words import Words, masked
from ingest.fold import fold

_NOISE = re.compile(r"[\W_]+")
_SYMBOLS = ("So", "Sk", "Sm", "Sc")
_SHORTEST_LOOP = 12
_LOOP_SHARE = 0.34
_DRIFTED = 15
_ADVERT_WEAK = 4


def is_empty(folded: str) -> bool:
    """Nothing that could be an opinion: no letter, no digit, no emoji."""
    return not any(char.isalnum() or unicodedata.category(char) in _SYMBOLS for char in folded)


class FlagRules:
    """Flags that the words of a text decide.

    Without ``brand_words`` no word makes a text off topic; what the encoder finds to be about no goods or service at
    all is flagged all the same, by the classifier.
    """

    def __init__(self, taxonomy: Taxonomy, lexicon: Lexicon, words: Words, brand_words: tuple[str, ...]) -> None:
        self._defaults = tuple(_NOISE.sub("", fold(phrase)) for phrase in lexicon.default_reviews)
        self._on_topic = {words.add(word) for word in (*brand_words, *taxonomy.product.words)} if brand_words else set()
        self._lookalikes = {words.add(word) for word in taxonomy.product.lookalikes}

    def is_default(self, reading: Reading) -> bool:
        """The platform's own sentence, and nothing of the customer's beside it."""
        if reading.utterance.default_review:
            return True
        bare = _NOISE.sub("", reading.folded[:200])
        return len(bare) < 60 and any(phrase in bare and len(bare) <= len(phrase) + 6 for phrase in self._defaults)

    def is_template(self, reading: Reading) -> bool:
        """Copied or typed to fill the box: a stock phrase, or a few characters over and over."""
        if reading.has("flags.template"):
            return True
        bare = _NOISE.sub("", reading.folded[:2000])
        if len(bare) < _SHORTEST_LOOP:
            return len(bare) >= 6 and len(set(bare)) == 1
        pairs = {bare[i : i + 2] for i in range(len(bare) - 1)}
        return len(pairs) / (len(bare) - 1) < _LOOP_SHARE and len(bare) < 300

    def is_advert(self, reading: Reading, negative: float) -> bool:
        """Somebody sells, or was paid to praise. A customer who complains of a promised rebate does neither."""
        if negative >= 0.5 or reading.has("demand.action"):
            return False
        strong, weak = reading.count("flags.advert_strong"), reading.count("flags.advert_weak")
        return strong > 0 or (weak >= _ADVERT_WEAK and not re.search(r"[我俺咱]|给力|不错|满意", reading.folded))

    def is_off_topic(self, reading: Reading, tagged: bool) -> bool:
        """Found by a brand word, but about something else. A rated text is a review, and on topic by its place.

        With a tag, or shorter than 15 characters, it is off topic only if it names a product's look-alike.
        """
        if not self._on_topic or reading.utterance.rating is not None:
            return False
        named = lookalike = False
        for clause in reading.clauses:
            masks = [hit for word in self._lookalikes & clause.words.keys() for hit in clause.words[word]]
            lookalike = lookalike or bool(masks)
            for word in self._on_topic & clause.words.keys():
                for hit in clause.words[word]:
                    named = named or not masked(hit, masks)
        return not named and (lookalike or (not tagged and len(_NOISE.sub("", reading.folded)) >= _DRIFTED))

    @staticmethod
    def is_sarcasm(reading: Reading, negatives: list[float]) -> bool:
        """Loud praise beside a plain misery, with no 但是 between: 质量真好，用了三天就漏水.

        ``negatives`` is the weight of blame in each clause, 0-1.
        """
        clauses = reading.clauses
        for number, clause in enumerate(clauses):
            if not clause.has("flags.sarcasm") or len(clauses) > 12:
                continue
            for other in (number - 1, number + 1, number + 2):
                if 0 <= other < len(clauses) and negatives[other] >= 0.75 and negatives[number] < 0.75:
                    turns = range(min(number, other) + 1, max(number, other) + 1)
                    if not any(clauses[between].has("turn.but") for between in turns):
                        return True
        return False
