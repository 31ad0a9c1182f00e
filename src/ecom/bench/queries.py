"""What shoppers type in a bench: words of products as often as the products have them, slips and common words too."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence

from ecom.datasets.articles import Article

# How often each kind is drawn, of a hundred. "product": one to three words that stand in one product; "chance": one to
# three words by their frequency, which need not meet anywhere; "common": a word of a third of the catalogue or so,
# alone or with another; "typo": a word of a product with a slip in it.
KINDS = {"product": 65, "chance": 10, "common": 15, "typo": 10}
COMMON = ("frzn", "grocery", "oz", "national")
TYPO_LETTERS_MIN = 5
PREFIX_LETTERS_MAX = 10
# Of the prefixes, those that begin a name; the others begin a word further on.
NAME_SHARE = 0.8
_WORD = re.compile(r"[a-z]+|\d+(?:\.\d+)?")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Shoppers:
    """Draws queries out of a catalogue; the same seed draws the same ones."""

    def __init__(self, articles: Sequence[Article], *, seed: int) -> None:
        self._articles = articles
        self._draw = random.Random(seed)  # noqa: S311 (repeatable, not secret)
        counts = Counter(word for article in articles for word in _words(article))
        self._words, self._weights = list(counts), list(counts.values())

    def queries(self, count: int) -> list[tuple[str, str]]:
        """So many kinds and queries."""
        kinds = self._draw.choices(list(KINDS), weights=list(KINDS.values()), k=count)
        return [(kind, self._query(kind)) for kind in kinds]

    def prefixes(self, count: int) -> list[tuple[str, str]]:
        """What stands in the box while a name is being typed."""
        return [("prefix", self._prefix()) for _ in range(count)]

    def _query(self, kind: str) -> str:
        many = self._draw.randint(1, 3)
        if kind == "chance":
            return " ".join(self._draw.choices(self._words, weights=self._weights, k=many))
        if kind == "common":
            common = self._draw.choice(COMMON)
            return common if many == 1 else f"{common} {self._draw.choice(_words(self._article()))}"
        words = self._neighbours(many)
        if kind == "typo":
            words = words[:2]
            longest = max(range(len(words)), key=lambda place: len(words[place]))
            words[longest] = self._slip(words[longest])
        return " ".join(words)

    def _prefix(self) -> str:
        name = self._article().name.lower()
        if self._draw.random() > NAME_SHARE:
            name = name[name.find(" ") + 1 :]
        return name[: self._draw.randint(1, PREFIX_LETTERS_MAX)].strip()

    def _article(self) -> Article:
        return self._articles[self._draw.randrange(len(self._articles))]

    def _neighbours(self, many: int) -> list[str]:
        words = _words(self._article())
        first = self._draw.randrange(max(1, len(words) - many + 1))
        return words[first : first + many]

    def _slip(self, word: str) -> str:
        """One letter missing, doubled, wrong or in its neighbour's place."""
        if len(word) < TYPO_LETTERS_MIN:
            return word
        at = self._draw.randrange(1, len(word) - 1)
        how = self._draw.randrange(4)
        if how == 0:
            return word[:at] + word[at + 1 :]
        if how == 1:
            return word[:at] + word[at] + word[at:]
        if how == 2:
            return word[:at] + self._draw.choice(_LETTERS) + word[at + 1 :]
        return word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]


def _words(article: Article) -> list[str]:
    return _WORD.findall(f"{article.name} {article.category}".lower()) or ["other"]
