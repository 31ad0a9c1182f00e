"""The automata read patterns as the validator does, and decide which language lies within which."""

from __future__ import annotations

from itertools import product

import jsonschema_rs
import pytest

from dovecote.contracts.compatibility.expression import UnreadableError
from dovecote.contracts.compatibility.language import Length, shortest, within

PATTERNS = (
    *(r"^a*b?$", r"a|bc", r"^(a|b)+c{2}$", r"[^a]b", r"^\w+\s\d$", r"^a{2,}$", r"(^a|b$)", r"a.c", r"^$", "", r"x$|^y"),
    *(r"^(a?b)*$", r"^a+?b$", r"^[\w.-]+@\w+$", r"^(?:ab){1,2}$", r"^x{0}$", r"^[\d.]+$", r"^\S{2}$", r"^(?<n>a|1)b"),
)
LETTERS = "abx1 \n@"


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_read_as_the_validator_reads_it(pattern: str) -> None:
    """For every string of up to three letters, being in the language is being valid."""
    valid = jsonschema_rs.Draft202012Validator({"pattern": pattern}).is_valid
    words = ["".join(letters) for length in range(4) for letters in product(LETTERS, repeat=length)]
    wrong = [word for word in words if (shortest([pattern, exactly(word)]) is not None) is not valid(word)]
    assert wrong == []


def exactly(word: str) -> str:
    """The pattern of one word alone."""
    return "^" + "".join(f"\\x{ord(letter):02x}" for letter in word) + "$"


@pytest.mark.parametrize(
    ("holds", "condition", "answer"),
    [
        (("^[a-c]$",), "^[a-z]$", True),
        (("^[a-z]$",), "^[a-c]$", False),
        (("^[0-9]+$",), "^[0-9][0-9]*$", True),
        (("^[a-z]{3}$",), Length(3, 3), True),
        ((Length(1, 50),), ".", False),
        ((Length(1, 254), "^[a-z]*$"), "^[a-z]+$", True),
        (("^(?!x)[a-z]+$",), "^[a-z]+$", True),
        (("^[a-z]+$",), "^(?!x)[a-z]+$", False),
        ((r"^(a)\1$",), "^a", False),
    ],
)
def test_one_language_lies_within_another(holds: tuple[str | Length, ...], condition: str, answer: object) -> None:
    """Whatever holds the first holds the second; what an automaton cannot read is never said to."""
    assert within(holds, condition) is answer


def test_the_shortest_string_is_found() -> None:
    """The witness of two patterns is the shortest there is, with letters that a person can read."""
    assert shortest([r"^[0-9]+(\.[0-9]+)?$"], [r"^[0-9]+(\.[0-9]{1,2})?$"]) == "0.000"
    assert shortest(["^[A-Za-z]{3}$"], ["^[A-Z]{3}$"]) == "aaa"
    assert shortest(["^a$"], ["^a"]) is None


def test_what_no_automaton_reads_is_refused() -> None:
    """A back reference, a flag and a look-around that must not hold are beyond regular expressions."""
    for pattern in (r"^(a)\1$", "(?i)a"):
        with pytest.raises(UnreadableError):
            shortest([pattern])
    with pytest.raises(UnreadableError):
        shortest(["a"], ["^(?=a)"])
