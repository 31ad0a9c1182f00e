"""`ecom contracts show`, `example`, `documents`: an event in the terminal, a payload to send, the generated pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dovecote.errors import DovecoteError

if TYPE_CHECKING:
    from dovecote.contracts.sheet import Facts, Sheet

WIDTH = 150
"""Columns where no terminal says how many there are."""

Event = Annotated[str, typer.Argument(help="The event, such as order.created.v1.")]


def register(contracts: typer.Typer) -> None:
    contracts.command()(show)
    contracts.command()(example)
    contracts.command()(documents)


def show(
    event: Event,
    as_json: Annotated[bool, typer.Option("--json", help="Print the contract as one JSON object.")] = False,
) -> None:
    """Show an event: who says it, who hears it, its fields, an example, its history."""
    sheet = _sheet(event)
    if as_json:
        _print_json(sheet)
    else:
        _print(sheet)


def example(
    event: Event,
    name: Annotated[str | None, typer.Option(help="Which golden example; full where it is not said.")] = None,
    envelope: Annotated[
        bool, typer.Option("--envelope", help="The whole Kafka value, on one line, with a new eventId.")
    ] = False,
    key: Annotated[bool, typer.Option("--key", help="With --envelope: the Kafka key and a tab before it.")] = False,
) -> None:
    """Print a valid payload, or with --envelope the whole Kafka value, to be piped into `kcat -P`."""
    from datetime import UTC, datetime

    import msgspec

    from dovecote.contracts.message import value
    from dovecote.ids import new_trace_id, uuid7

    sheet = _sheet(event)
    if key and not envelope:
        raise _refused("--key goes before a whole Kafka value; add --envelope")
    try:
        _, payload = sheet.example(name)
        now = datetime.now(UTC)
        line = value(event, sheet.producer, payload, event_id=uuid7(now), at=now, trace_id=new_trace_id())
        if not envelope:
            typer.echo(msgspec.json.format(payload, indent=2))
        else:
            typer.echo(f"{_key(sheet, payload)}\t".encode() + line if key else line)
    except DovecoteError as error:
        raise _refused(str(error)) from error


def documents(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 where a document is stale.")] = False,
    to: Annotated[Path | None, typer.Option(help="The folder of the documents; docs where it is not said.")] = None,
) -> None:
    """Write docs/events.md and docs/asyncapi.json from the contracts and the live handlers."""
    from ecom.contracts.documents import COMMAND, DOCS
    from ecom.contracts.documents import documents as made

    try:
        texts = made(_facts())
    except DovecoteError as error:
        raise _refused(str(error)) from error
    folder = to or DOCS
    stale = [name for name, text in texts.items() if _read(folder / name) != text]
    for name in texts:
        if name in stale and not check:
            _write(folder / name, texts[name])
        state = "fresh" if name not in stale else f"stale: run {COMMAND}" if check else "written"
        typer.echo(f"{folder.name}/{name}  {state}")
    raise typer.Exit(1 if stale and check else 0)


def _facts() -> Facts:
    from ecom.cli import logs
    from ecom.contracts.documents import facts

    logs.set_up("WARNING")
    return facts()


def _sheet(event: str) -> Sheet:
    try:
        return _facts().sheet(event)
    except DovecoteError as error:
        raise _refused(str(error)) from error


def _refused(why: str) -> typer.Exit:
    typer.echo(f"ecom contracts: {why}", err=True)
    return typer.Exit(1)


def _key(sheet: Sheet, payload: bytes) -> str:
    """The Kafka key of a payload, as the registry says."""
    import msgspec

    from dovecote.errors import ContractError

    if sheet.key is None:
        raise ContractError(f"The registry does not say which field is the key of {sheet.event}.")
    fields = msgspec.json.decode(payload)
    if not isinstance(fields, dict) or not isinstance(fields.get(sheet.key), str):
        raise ContractError(f"The example of {sheet.event} has no text {sheet.key}, which is to be the key.")
    return str(fields[sheet.key])


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _refused(f"{path} cannot be written: {error.strerror}") from error


def _print_json(sheet: Sheet) -> None:
    import msgspec

    contract = {
        "event": sheet.event,
        "about": sheet.about,
        "aliasOf": sheet.alias_of,
        "producer": sheet.producer,
        "hearers": [
            {
                "service": one.service,
                "registered": one.is_registered,
                "handles": one.handles,
                "reads": sorted(one.reads),
            }
            for one in sheet.hearers
        ],
        "topic": sheet.topic,
        "key": sheet.key,
        "schemaFile": sheet.schema_file,
        "schema": sheet.schema,
        "examples": {name: msgspec.Raw(payload) for name, payload in sheet.examples.items()},
        "history": [{"version": step.version, "what": step.what} for step in sheet.history],
        "older": sheet.older,
        "newer": sheet.newer,
    }
    typer.echo(msgspec.json.format(msgspec.json.encode(contract), indent=2))


def _print(sheet: Sheet) -> None:
    from rich.console import Console
    from rich.syntax import Syntax
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    console.print(Text(sheet.event, style="bold"), Text(sheet.about), sep="\n")
    facts = Table.grid(padding=(0, 2))
    for label, text in _lines(sheet):
        facts.add_row(Text(label, style="dim"), Text(text))
    console.print(facts)
    fields = Table("field", "type", "required", "bounds", "meaning", "read by")
    for one in sheet.fields:
        readers = ", ".join(name.removesuffix("-service") for name in sheet.readers_of(one.path))
        cells = (one.path, one.type, "yes" if one.required else "", one.bounds.replace("`", ""), one.meaning, readers)
        fields.add_row(*map(Text, cells))
    console.print(fields)
    if sheet.examples:
        name, payload = sheet.example()
        console.print(Text(f"{name}.json", style="dim"))
        console.print(Syntax(payload.decode(errors="replace").strip(), "json", background_color="default"))


def _lines(sheet: Sheet) -> Iterator[tuple[str, str]]:
    """What stands above the fields."""
    if sheet.alias_of is not None:
        yield "second name of", f"{sheet.alias_of}: accepted, and never written here"
    yield "says it", sheet.producer if sheet.alias_of is None else "nobody here"
    yield "hear it", ", ".join(map(str, sheet.hearers)) or "nobody"
    yield "topic", sheet.topic
    yield "key", sheet.key or "not said"
    yield "schema", sheet.schema_file
    yield "examples", ", ".join(sheet.examples) or f"none: examples/{sheet.event}/ has no file"
    yield "history", sheet.past
    if sheet.older is not None:
        yield "follows", sheet.older
    if sheet.newer is not None:
        yield "followed by", f"{sheet.newer}: new code uses that one"
