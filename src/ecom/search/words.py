"""How text becomes words, the same way for what is indexed and what is asked. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

WORD_CHARACTERS_MAX = 64
"""A longer run of letters is no word that anyone types; only its beginning counts."""

# Letters that do not decompose into a base letter and a mark; casefold has done ß and the capitals.
_LIGATURES = str.maketrans({"ø": "o", "ł": "l", "æ": "ae", "œ": "oe", "đ": "d", "\u0131": "i", "þ": "th", "ð": "d"})
# An apostrophe joins (mcdonald's is one word); everything else that is no letter or digit parts. 12OZ is two words,
# 3.5 is one.
_APOSTROPHES = re.compile(r"(?<=\w)['\u2019`](?=\w)")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+")
_CACHED_WORDS = 65_536
_CACHED_TEXTS = 16_384
# What a plural in -es leaves behind that its singular has not: dishe, boxe, glasse, potatoe.
_SILENT_E = ("she", "che", "xe", "sse", "zze", "oe")


def fold(text: str) -> str:
    """The text without case, accents and ligatures: what PostgreSQL's unaccent does, and full-width forms as well."""
    if text.isascii():
        return text.lower()
    spread = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in spread if not unicodedata.combining(each)).casefold().translate(_LIGATURES)


@lru_cache(maxsize=_CACHED_TEXTS)
def tokens(text: str) -> tuple[str, ...]:
    """The words of a text in their order, folded: runs of letters and numbers."""
    found = _TOKEN.findall(_APOSTROPHES.sub("", fold(text)))
    return tuple(word[:WORD_CHARACTERS_MAX] for word in found)


@lru_cache(maxsize=_CACHED_WORDS)
def stem(word: str) -> str:
    """The word without its plural.

    Harman's S-stemmer ("How effective is suffixing?", JASIS 42, 1991), and what it leaves apart brought together:
    cookies and cookie, dishes and dish, potatoes and potato.
    """
    if len(word) < 4 or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4 and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith("s") and not word.endswith(("us", "ss")):
        word = word[:-1]
    if len(word) > 3:
        if word.endswith("ie"):
            return word[:-2] + "y"
        if word.endswith(_SILENT_E):
            return word[:-1]
    return word


@lru_cache(maxsize=_CACHED_WORDS)
def abbreviation(word: str) -> str:
    """The word as labels shorten it, without vowels and doubled letters (frozen, frzn; supply, sply); or nothing."""
    if len(word) < 5 or not word.isascii() or not word.isalpha():
        return ""
    short = word[0]
    for letter in word[1:]:
        if letter not in "aeiou" and letter != short[-1]:
            short += letter
    return short if 3 <= len(short) < len(word) else ""


def stems(words: Iterable[str]) -> tuple[str, ...]:
    """The words without their plurals."""
    return tuple(map(stem, words))
