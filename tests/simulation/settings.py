"""The shop's configuration in a simulation: everything as in production, but for how long things last."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

TIMEOUT = timedelta(seconds=40)
ENVIRON: Mapping[str, str] = {
    "APP_ORDER_PRICING": "client",
    "APP_SAGA_PAYMENTTIMEOUT": "PT40S",
    "APP_INVENTORY_RESERVATIONTTL": "PT60S",
    "APP_INVENTORY_RESERVATIONEXPIRYSCANDELAY": "PT15S",
    "APP_NOTIFICATION_PROVIDER": "smtp",
    "APP_NOTIFICATION_MAXRETRY": "50",
    "APP_NOTIFICATION_RETRYDELAY": "PT5S",
}
HASTY: Mapping[str, str] = {"APP_INVENTORY_RESERVATIONTTL": "PT12S"}
