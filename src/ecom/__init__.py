"""A shop of services that meet only in their events; built on dovecote."""
