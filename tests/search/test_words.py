"""Text becomes words the same way for what is indexed and what is asked."""

from __future__ import annotations

import pytest

from ecom.search.spelling import one_slip_away, slips, slips_max
from ecom.search.words import abbreviation, fold, stem, tokens


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Crème BRÛLÉE", "creme brulee"),
        ("Straße", "strasse"),
        ("Øresund Łódź Æble œuvre", "oresund lodz aeble oeuvre"),
        ("\u0130stanbul \u0131l\u0131k", "istanbul ilik"),
        ("\uff26\uff35\uff2c\uff2c \ufb01sh", "full fish"),
        ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
    ],
)
def test_case_accents_and_ligatures_make_no_difference(text: str, folded: str) -> None:
    """What unaccent does, and full-width letters as well."""
    assert fold(text) == folded


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("FRZN PIZZA/PREMIUM 12OZ", ("frzn", "pizza", "premium", "12", "oz")),
        ("McDonald's 3.5 LB", ("mcdonalds", "3.5", "lb")),
        ("a_b-c,d", ("a", "b", "c", "d")),
        ("' OR 1=1; --", ("or", "1", "1")),
        ("& | ! : * \\ ' \"", ()),
        ("\ud800 \0", ()),
        ("東京 ラーメン", ("東京", "ラーメン")),
        ("x" * 100, ("x" * 64,)),
    ],
)
def test_words_are_runs_of_letters_and_numbers(text: str, words: tuple[str, ...]) -> None:
    """Whatever else stands between them only parts them; a lone surrogate is no letter."""
    assert tokens(text) == words


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("cookie", "cookies"),
        ("berry", "berries"),
        ("dish", "dishes"),
        ("box", "boxes"),
        ("potato", "potatoes"),
        ("cheese", "cheeses"),
        ("pie", "pies"),
        ("egg", "eggs"),
        ("glass", "glasses"),
        ("shoe", "shoes"),
        ("peach", "peaches"),
    ],
)
def test_one_and_many_are_the_same_word(one: str, many: str) -> None:
    """A plural is indexed and asked as its singular."""
    assert stem(one) == stem(many)


@pytest.mark.parametrize(("left", "right"), [("gas", "gate"), ("12", "12s"), ("citrus", "citru"), ("glass", "glas")])
def test_different_words_stay_different(left: str, right: str) -> None:
    """What is no plural is left alone."""
    assert stem(left) != stem(right)


@pytest.mark.parametrize(
    ("word", "short"),
    [("frozen", "frzn"), ("supply", "sply"), ("dressing", "drsng"), ("water", "wtr"), ("oil", ""), ("4711", "")],
)
def test_labels_leave_out_vowels(word: str, short: str) -> None:
    """The abbreviation of a word as packagers write it; short words have none."""
    assert abbreviation(word) == short


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [
        ("cheese", "chese", 1),
        ("milk", "mlik", 1),
        ("pizza", "pizza", 0),
        ("yoghurt", "yogurt", 1),
        ("chocolate", "choclatte", 2),
        ("ca", "abc", 3),
        ("frozen", "cheese", 3),
    ],
)
def test_slips_are_letters_left_out_added_changed_or_swapped(left: str, right: str, distance: int) -> None:
    """The distance is the same both ways, and no more than one above the most that is asked for."""
    assert slips(left, right, 2) == distance
    assert slips(right, left, 2) == distance


def test_one_slip_away_is_what_is_one_slip_away() -> None:
    """Every word made by one slip has that distance; a short word allows one, a number and a stub none."""
    made = one_slip_away("milk")
    assert {"mlik", "ilk", "milks", "silk"} <= made
    assert "milk" not in made
    assert all(slips("milk", each, 2) == 1 for each in made)
    assert [slips_max(word) for word in ("ab", "12345", "pizza", "cheese")] == [0, 0, 1, 2]
