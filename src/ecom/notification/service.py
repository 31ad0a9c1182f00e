"""The notification service put together: settings, texts, handlers, the mail worker, jobs, routes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from dovecote.errors import SettingsError
from dovecote.intents import Worker
from dovecote.service import Blueprint
from dovecote.settings import App, Group, Settings, load
from ecom.notification import http
from ecom.notification.domain import Patience
from ecom.notification.handlers import hears
from ecom.notification.jobs import jobs
from ecom.notification.letters import Letters
from ecom.notification.smtp import MailServer, Postman
from ecom.notification.worker import Outcome, log_worker, smtp_worker
from ecom.web.built import Built

NAME = "notification-service"
SCHEMA = "notification_service"
HERE = Path(__file__).parent


# Mails with one intent. Over SMTP a crash may repeat only the mails that were under way, so each has its own; a log
# takes many at a time.
TOGETHER = {"log": 200, "smtp": 1}


class NotificationSettings(Group, frozen=True, kw_only=True):
    """``app.notification``: how mail leaves, how often it is tried, which texts. All but three keys are (+)."""

    provider: Literal["log", "smtp"] = "log"
    max_retry: Annotated[int, Meta(ge=1, le=100)] = 3
    templates_resource: str = ""
    retry_delay: timedelta = timedelta(seconds=30)
    sender: str = "no-reply@example.local"
    smtp_connections: Annotated[int, Meta(ge=1, le=64)] = 4
    waiting_max: timedelta = timedelta(hours=1)


class NotificationApp(App, frozen=True, kw_only=True):
    """``app`` of the notification service."""

    notification: NotificationSettings = NotificationSettings()


def build(environ: Mapping[str, str], *, postman: Postman | None = None) -> Built:
    """The service as its configuration wants it; nothing runs yet. Raises SettingsError.

    ``postman`` takes the place of one for the configured mail server.
    """
    settings = load(NotificationApp, service="notification", yaml=HERE / "application.yml", environ=environ)
    own, cleanup = settings.app.notification, settings.app.cleanup
    letters = Letters.load(own.templates_resource)
    blueprint = Blueprint(
        name=NAME,
        schema=SCHEMA,
        migrations=HERE / "migrations",
        settings=settings,
        handlers=hears(letters, together=TOGETHER[own.provider]),
        workers=(_worker(settings, postman),),
        jobs=jobs(
            letters,
            waiting_max=own.waiting_max,
            memory=cleanup.dedup_retention,
            cleanup_every=cleanup.fixed_delay,
        ),
    )
    return Built(blueprint=blueprint, routes=http.routes)


def _worker(settings: Settings[NotificationApp], postman: Postman | None) -> Worker[Outcome]:
    own = settings.app.notification
    patience = Patience(tries_max=own.max_retry, first_delay=own.retry_delay)
    if own.provider == "log":
        return log_worker(patience)
    return smtp_worker(postman or Postman(_server(settings)), patience)


def _server(settings: Settings[NotificationApp]) -> MailServer:
    root, own = settings.root, settings.app.notification
    try:
        port = int(root["spring.mail.port"])
    except ValueError as error:
        raise SettingsError(f"spring.mail.port is not a number: {root['spring.mail.port']!r}.") from error
    return MailServer(
        host=str(root["spring.mail.host"]),
        port=port,
        username=str(root["spring.mail.username"]),
        password=str(root["spring.mail.password"]),
        sender=own.sender,
        connections_max=own.smtp_connections,
    )
