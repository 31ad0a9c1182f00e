"""A page of all events for people, in Markdown: who tells whom what, every field, an example, the history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from dovecote.contracts.fields import Field, fields
from dovecote.contracts.message import ENVELOPE, HEADERS, sample
from dovecote.contracts.sheet import Facts, Sheet
from dovecote.errors import ContractError

NOBODY = "nobody"


def page(facts: Facts, *, title: str, about: str, folder: str) -> str:
    """The page. ``about`` opens it, in Markdown; ``folder`` is the link from the page to the registry's folder.

    Raises ContractError for contracts that the check would refuse.
    """
    sheets = facts.sheets()
    by_producer: dict[str, list[Sheet]] = {}
    for sheet in sheets:
        by_producer.setdefault(sheet.producer, []).append(sheet)
    lines = [f"# {title}", "", about.strip(), "", *_index(by_producer), *_flow(by_producer), *_message(sheets)]
    for producer, said in by_producer.items():
        lines += [f"## What {producer} says", ""]
        for sheet in said:
            lines += _event(sheet, facts.partitions, folder)
    return "\n".join(lines).rstrip() + "\n"


def _index(by_producer: dict[str, list[Sheet]]) -> Iterator[str]:
    yield from ("## Index", "")
    for producer, said in by_producer.items():
        yield from (f"**{producer}** says", "")
        yield from _table(
            ("event", "which means", "heard by"),
            ((_link(sheet.event), sheet.about, _names(one.service for one in sheet.hearers)) for sheet in said),
        )


def _flow(by_producer: dict[str, list[Sheet]]) -> Iterator[str]:
    """A square of services: what the one at the left tells the one above."""
    hearing = {one.service for said in by_producer.values() for sheet in said for one in sheet.hearers}
    columns = [name for name in by_producer if name in hearing] + sorted(hearing - by_producer.keys())
    yield from ("## Who tells whom", "", "At the left who says it, above who hears it.", "")
    rows = []
    for producer, said in by_producer.items():
        cells = [
            "<br>".join(_link(sheet.event) for sheet in said if column in {one.service for one in sheet.hearers})
            for column in columns
        ]
        if any(cells):
            rows.append((f"**{_short(producer)}**", *cells))
    yield from _table(("", *map(_short, columns)), rows)


def _message(sheets: Sequence[Sheet]) -> Iterator[str]:
    yield from ("## What stands on Kafka", "", f"{ENVELOPE['description']} What an event says is its `payload`.", "")
    yield from _table(("field of the value", "type", "bounds", "meaning"), map(_plain, fields(ENVELOPE)))
    yield from (f"Headers: {HEADERS['description'][0].lower()}{HEADERS['description'][1:]}", "")
    yield from _table(("header", "type", "bounds", "meaning"), map(_plain, fields(HEADERS)))
    shown = next((sheet for sheet in sheets if sheet.examples), None)
    if shown is not None:
        name, payload = shown.example()
        yield from (f"A whole value, of {_link(shown.event)}:", "")
        yield from _json(shown, name, sample(shown.event, shown.producer, name, payload))


def _plain(field: Field) -> tuple[str, ...]:
    return (f"`{field.path}`", field.type, field.bounds, field.meaning)


def _event(sheet: Sheet, partitions: int | None, folder: str) -> Iterator[str]:
    yield from (f'<a id="{sheet.event}"></a>', "", f"### {sheet.event}", "")
    yield from (sheet.about, "") if sheet.about else ()
    yield from (f"- {line}" for line in _facts(sheet, partitions, folder))
    yield ""
    yield from _table(
        ("field", "type", "required", "bounds", "meaning", "read by"),
        (
            (
                f"`{field.path}`",
                field.type,
                "yes" if field.required else "",
                field.bounds,
                field.meaning,
                ", ".join(map(_short, sheet.readers_of(field.path))),
            )
            for field in sheet.fields
        ),
    )
    if sheet.examples:
        name, payload = sheet.example()
        yield from _json(sheet, name, payload)
    yield from ("[Back to the index](#index)", "")


def _facts(sheet: Sheet, partitions: int | None, folder: str) -> Iterator[str]:
    """The lines above the table of fields."""
    if sheet.alias_of is not None:
        yield f"**A second name** of {_link(sheet.alias_of)}: accepted, and never written here"
    yield f"**Says it:** {sheet.producer}" if sheet.alias_of is None else "**Says it:** nobody here"
    yield f"**Hear it:** {', '.join(map(str, sheet.hearers)) or NOBODY}"
    many = f", {partitions} partitions where it is made by us" if partitions is not None else ""
    yield f"**Topic:** `{sheet.topic}`{many}"
    yield f"**Key:** `{sheet.key}`; events of one key stay in order" if sheet.key else "**Key:** not said"
    yield f"**Schema:** [{sheet.schema_file}]({folder}/{sheet.schema_file})"
    links = [f"[{name}]({folder}/examples/{sheet.event}/{name}.json)" for name in sheet.examples]
    yield f"**Examples:** {', '.join(links) or 'none yet'}"
    beside = [f"follows {_link(sheet.older)}"] if sheet.older else []
    beside += [f"**followed by {_link(sheet.newer)}**: new code uses that one"] if sheet.newer else []
    yield "**History:** " + "; ".join([*beside, sheet.past])


def _json(sheet: Sheet, name: str, payload: bytes) -> Iterator[str]:
    try:
        text = msgspec.json.format(payload, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError(f"examples/{sheet.event}/{name}.json is no JSON: {error}.") from error
    yield from ("```json", text.strip(), "```", "")


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield from (_row(headings), _row(["---"] * len(headings)))
    yield from map(_row, rows)
    yield ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(' '.join(cell.replace('|', chr(92) + '|').split()) for cell in cells)} |"


def _link(event: str) -> str:
    return f"[{event}](#{event})"


def _names(services: Iterable[str]) -> str:
    return ", ".join(map(_short, services)) or NOBODY


def _short(service: str) -> str:
    return service.removesuffix("-service")
