"""Mail texts from Jinja2 templates: one file an event type, its first line the subject, the rest the body."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, Template, TemplateError

from dovecote.errors import SettingsError
from ecom.notification.domain import LATER, News, OrderPlaced

PACKAGED = Path(__file__).parent / "templates"
EVENT_TYPES = (OrderPlaced.EVENT, *(kind.EVENT for kind in LATER))
SUBJECT = "Subject: "
# A subject is one header line; what a mail server cannot take in it is cut.
SUBJECT_CHARS_MAX = 200
# An amount beyond this is shown by its first digits rather than with all of them.
AMOUNT_MAX = Decimal(10) ** 15


class Letters:
    """Writes the mail about an event. Compiled once; the text is plain, so nothing is escaped."""

    def __init__(self, templates: Mapping[str, Template]) -> None:
        self._templates = templates
        self._globals = dict(next(iter(templates.values())).globals)

    @classmethod
    def load(cls, resource: str = "") -> Letters:
        """The packaged templates, those found in ``resource`` (a folder, also as file:…) in their place.

        Raises SettingsError where the folder is missing or a template cannot be used.
        """
        folder = Path(resource.removeprefix("file:")).expanduser()
        if resource and not folder.is_dir():
            raise SettingsError(f"app.notification.templates-resource names no folder: {resource}.")
        folders = [folder, PACKAGED] if resource else [PACKAGED]
        environment = Environment(
            loader=ChoiceLoader([FileSystemLoader(each) for each in folders]),
            undefined=StrictUndefined,
            autoescape=False,  # noqa: S701  plain text, no HTML
            keep_trailing_newline=False,
        )
        try:
            letters = cls({kind: environment.get_template(f"{kind}.txt") for kind in EVENT_TYPES})
            for kind in EVENT_TYPES:
                letters.write(kind, News(order_id="ord_example"))
        except (TemplateError, ValueError) as error:
            raise SettingsError(f"A mail template cannot be used: {type(error).__name__}: {error}.") from error
        return letters

    def write(self, event_type: str, news: News) -> tuple[str, str]:
        """Subject and body."""
        template = self._templates[event_type]
        facts = {
            **self._globals,
            "order_id": news.order_id,
            "user_id": news.user_id,
            "reason": news.reason,
            "amount": shown(news.amount, news.currency),
        }
        # What render() does, but for laying the environment's globals out anew for each mail: that was most of it.
        text = "".join(template.root_render_func(template.new_context(facts, shared=True)))
        head, _, body = text.partition("\n")
        if not head.startswith(SUBJECT):
            raise ValueError(f"the first line of the template of {event_type} must begin with {SUBJECT!r}")
        return " ".join(head.removeprefix(SUBJECT).split())[:SUBJECT_CHARS_MAX], body.strip() + "\n"


def shown(amount: str | None, currency: str | None) -> str | None:
    """An amount as a customer reads it."""
    if amount is None:
        return None
    number = f"{exact:.2f}" if (exact := Decimal(amount)) < AMOUNT_MAX else f"{exact:.2E}"
    return f"{number} {currency}" if currency else number
