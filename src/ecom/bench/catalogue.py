"""The catalogue a bench searches: the data set's products, and as many times more made out of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from ecom.catalogue.importing import product
from ecom.datasets.articles import Article
from ecom.product.domain import Product

# A larger catalogue has more words, though not in proportion: each further copy coins as many as this.
COINED = 700
_MADE_SHARE = 0.5
_SYLLABLES = ("ba", "ce", "dor", "fi", "gan", "hu", "jel", "ka", "lim", "mo", "nar", "pe", "qui", "rus", "ta", "vel")
_SYLLABLES_OF_A_WORD = (2, 3, 4)


def products(articles: Sequence[Article]) -> Iterator[Product]:
    """The articles themselves."""
    return map(product, articles)


def copies(articles: Sequence[Article], *, times: int, seed: int) -> Iterator[Product]:
    """What makes the catalogue `times` as large: copies under ids of their own, of another size, and every second one
    with a coined word before its name, as of a maker.
    """
    draw = random.Random(seed)  # noqa: S311 (repeatable, not secret)
    sizes = [article.sizes[0] for article in articles if article.sizes] or ["1 CT"]
    for copy in range(1, times):
        coined = [_word(draw) for _ in range(COINED)]
        for article in articles:
            yield product(
                _varied(article, copy, draw.choice(sizes), draw.choice(coined) if draw.random() < 0.5 else "")
            )


def _varied(article: Article, copy: int, size: str, maker: str) -> Article:
    what = article.name.removesuffix(" ".join(article.sizes[0].split())).strip() if article.sizes else article.name
    name = " ".join(part for part in (maker, what, size if article.sizes else "") if part)
    return Article(
        f"{article.id}-{copy}",
        name,
        article.category,
        article.brand,
        article.price,
        article.description,
        (size,) if article.sizes else (),
        active=article.active,
    )


def _word(draw: random.Random) -> str:
    return "".join(draw.choices(_SYLLABLES, k=draw.choice(_SYLLABLES_OF_A_WORD))).upper()
