"""Mail texts: packaged ones for every event heard, a user's own in their place, refused at start where unusable."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from dovecote.errors import SettingsError
from ecom.notification.domain import News
from ecom.notification.letters import EVENT_TYPES, Letters, shown


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_every_event_has_its_letter(letters: Letters, kind: str) -> None:
    """Each heard event has a subject and a body that name the order, with and without optional facts."""
    full = News(order_id="ord_1", user_id=1, reason="DECLINED", amount=Decimal("12.5"), currency="EUR")
    for news in (full, News(order_id="ord_1")):
        subject, body = letters.write(kind, news)
        assert "ord_1" in subject
        assert "ord_1" in body
        assert body.endswith("\n")
        assert "None" not in body


def test_a_subject_is_one_line(letters: Letters) -> None:
    """An order id with line breaks cannot add a header, and a long one is cut."""
    subject, _ = letters.write("order.confirmed.v1", News(order_id="a\r\nBcc: x@y " + "z" * 400))
    assert "\n" not in subject
    assert "\r" not in subject
    assert len(subject) <= 200


def test_own_templates_come_first(tmp_path: Path) -> None:
    """A folder may replace one letter; the rest stay the packaged ones."""
    (tmp_path / "order.confirmed.v1.txt").write_text("Subject: Hi {{ user_id }}\n\nBody {{ order_id }}")
    letters = Letters.load(f"file:{tmp_path}")
    assert letters.write("order.confirmed.v1", News(order_id="o", user_id=3)) == ("Hi 3", "Body o\n")
    assert "authorized" in letters.write("payment.authorized.v1", News(order_id="o"))[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [("No subject\n\nBody", "Subject: "), ("Subject: {{ nobody }}", "nobody"), ("Subject: {% if %}", "Syntax")],
)
def test_a_template_that_cannot_be_used_is_refused_at_start(tmp_path: Path, text: str, says: str) -> None:
    """A missing subject, an unknown name and a syntax error are found before any order is."""
    (tmp_path / "order.confirmed.v1.txt").write_text(text)
    with pytest.raises(SettingsError, match=says):
        Letters.load(str(tmp_path))


def test_a_missing_folder_is_refused_at_start() -> None:
    """templates-resource that names no folder is an error of the settings."""
    with pytest.raises(SettingsError, match="templates-resource"):
        Letters.load("/nowhere/at/all")


def test_amounts_as_customers_read_them() -> None:
    """Two decimals and the currency; what is no sane amount is shown in bounded space."""
    assert shown("12.5", "EUR") == "12.50 EUR"
    assert shown("12.5", None) == "12.50"
    assert shown(None, "EUR") is None
    assert shown("1" + "0" * 400, "EUR") == "1.00E+400 EUR"
