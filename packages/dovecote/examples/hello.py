"""A whole service: it greets, says so, and hears itself. Run it with DATABASE_URL and KAFKA (host:port) set."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from dovecote import Aggregate, Blueprint, Contracts, Delivery, Event, Handlers, Service, Sql, Transaction
from dovecote.migrate import migrate
from dovecote.settings import App, Settings

HERE = Path(__file__).parent
GREET = Sql("""INSERT INTO person AS p (name, greeted, heard) VALUES ($1, 1, 0)
               ON CONFLICT (name) DO UPDATE SET greeted = p.greeted + 1 RETURNING greeted""")
HEAR = Sql("UPDATE person SET heard = heard + 1 WHERE name = $1")
handlers, heard = Handlers(), asyncio.Event()


class Greeted(Event, frozen=True):
    EVENT = "hello.greeted.v1"
    name: str


@handlers.on(Greeted)
async def hear(tx: Transaction, greetings: Sequence[Delivery[Greeted]]) -> None:
    for greeting in greetings:
        await tx.execute(HEAR, greeting.event.name)
    heard.set()


async def main(url: str, kafka: str) -> None:
    hello = Blueprint("hello-service", "hello", HERE / "migrations", Settings(App(), 0, "", {}), handlers)
    await asyncio.to_thread(migrate, url, schema=hello.schema, folders=[hello.migrations])
    service = Service(hello, database_url=url, bootstrap=kafka, contracts=Contracts.load(HERE / "contracts"))
    await service.start()
    async with service.database.transaction() as tx:  # the change and the event commit together, or not at all
        times = await tx.fetchval(GREET, "world")
        tx.publish(Greeted(name="world"), of=Aggregate("person", "world", times))
    await heard.wait()
    await service.stop()  # finishes the batch in hand
    print(f"Greeted the world, {times} in all, and heard of it.")


asyncio.run(main(os.environ["DATABASE_URL"], os.environ["KAFKA"]))
