"""Embedded PostgreSQL and Apache Kafka for one machine, and the processes that one shop starts beside them."""

from ecom.local.home import Home, home_path
from ecom.local.servers import Servers, joined_servers, servers

__all__ = ["Home", "Servers", "home_path", "joined_servers", "servers"]
