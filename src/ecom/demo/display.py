"""What a person sees: bars while the shop works, tables when it is done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ecom.audit.finding import Finding
from ecom.demo.report import Percentiles, Report

_COLOURS = {
    "CONFIRMED": "green",
    "FAILED": "red",
    "TIMED_OUT": "yellow",
    "CANCELLED": "magenta",
    "PAYMENT_PENDING": "bold red",
}
_BAR = 24


class Display:
    """The run on a console; on one that is no terminal only finished lines appear."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextlib.contextmanager
    def step(self, doing: str, done: str) -> Iterator[None]:
        """One step without a number: a spinner while it lasts, a line when it is done."""
        with self.waiting(doing):
            yield
        self.tick(done)

    @contextlib.contextmanager
    def waiting(self, doing: str) -> Iterator[None]:
        """A spinner."""
        with self.console.status(doing):
            yield

    def tick(self, what: str, *, well: bool = True) -> None:
        """A line that says that something is so, or that it is not."""
        self.say(f"[green]✓[/] {what}" if well else f"[red]✗[/] {what}: no, and nothing moves any more")

    @contextlib.contextmanager
    def orders(self, placing: int, found: int) -> Iterator[Orders]:
        """The two bars of the run: placed, and final."""
        with self._progress() as progress:
            yield Orders(progress, placing, found)

    @contextlib.contextmanager
    def bar(self, doing: str, total: int) -> Iterator[Callable[[int], None]]:
        """One bar; what it gives is told how many are done."""
        with self._progress() as progress:
            task = progress.add_task(doing, total=total)
            yield lambda done: progress.update(task, completed=done)

    def _progress(self) -> Progress:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        return Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)

    def say(self, line: str) -> None:
        """A line that stays."""
        self.console.print(line, highlight=False)

    def summary(self, report: Report) -> None:
        """All that was found out, on one screen."""
        self.console.print()
        self.console.print(_states(report))
        self.console.print(_events(report))
        self.console.print(_times(report))
        self.console.print(
            f"  {report.orders_per_s:,.0f} orders a second. All times are the database's clock, from the transaction"
            "\n  that stored an order to the one that decided it.\n",
            style="dim",
            highlight=False,
        )
        self.console.print(_verdict(report))


class Orders:
    """The bars, and who moves them."""

    def __init__(self, progress: Progress, placing: int, found: int) -> None:
        self._progress = progress
        self._placed = progress.add_task("Placing orders over HTTP", total=placing)
        self._final = progress.add_task("Orders that are final", total=placing + found)

    def placed(self) -> None:
        """One more order is in."""
        self._progress.advance(self._placed)

    def look(self, orders: int, waiting: int) -> None:
        """How many orders there are in the shop, and how many of them are open."""
        self._progress.update(self._final, completed=orders - waiting)


def _states(report: Report) -> Table:
    table = Table("state", "reason", "orders", "", title="Orders", title_justify="left", box=box.SIMPLE_HEAD)
    table.columns[2].justify = "right"
    for status, reason, orders in report.reasons:
        bar = "█" * max(round(_BAR * orders / max(report.orders, 1)), 1)
        colour = _COLOURS.get(status, "white")
        table.add_row(Text(status, colour), reason.lower().replace("_", " "), f"{orders:,}", Text(bar, colour))
    return table


def _events(report: Report) -> Table:
    table = Table("event", "sent", title="Events", title_justify="left", box=box.SIMPLE_HEAD)
    table.columns[1].justify = "right"
    for event_type, events in sorted(report.events.items()):
        table.add_row(event_type, f"{events:,}")
    return table


def _times(report: Report) -> Table:
    table = Table("from order to", "p50", "p95", "p99", title="Time", title_justify="left", box=box.SIMPLE_HEAD)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, times in (("CONFIRMED", report.latency_ms), ("any end", report.latency_ms_all)):
        table.add_row(name, *_milliseconds(times))
    return table


def _milliseconds(times: Percentiles | None) -> tuple[str, str, str]:
    if times is None:
        return "-", "-", "-"
    p50, p95, p99 = (f"{value:,.0f} ms" for value in (times.p50, times.p95, times.p99))
    return p50, p95, p99


def _verdict(report: Report) -> Panel:
    unfinished = report.orders - report.final
    if report.is_good:
        text = f"All {report.orders:,} orders are final, and orders, money, stock and events agree to the last cent."
        return Panel(Text(text), title="Audit: clean", border_style="green")
    lines: list[Text] = [Text(f"{unfinished:,} orders are not final.")] if unfinished else []
    lines += [_found(finding) for finding in report.findings]
    return Panel(Group(*lines), title=f"Audit: {report.audit}", border_style="red")


def _found(finding: Finding) -> Text:
    head = f"{finding.invariant}: {finding.what} ({finding.count})"
    return Text("\n  ".join((head, *finding.rows)))
