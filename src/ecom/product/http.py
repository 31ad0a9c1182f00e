"""The product service's HTTP: bodies, their bounds, and which question goes where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from dovecote import ids
from dovecote.database import Database
from dovecote.gather import Gather
from ecom.contracts.money import plain
from ecom.product import catalogue, list_store, store
from ecom.product.catalogue import Edit
from ecom.product.domain import Product, Stored, Unfit, check, has_control, is_product_id
from ecom.product.list_store import ORDERS, Filter
from ecom.web.correlation import cause_of
from ecom.web.problems import Problem

SIZE_DEFAULT = 20
SIZE_MAX = 200
SKIPPED_MAX = 1_000_000
TEXT_MAX = 200


class ProductBody(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a POST or PUT; null says the same as a field left out."""

    name: str
    category: str
    brand: str
    price: Decimal
    description: str | None = None
    currency: str | None = None
    colors: tuple[str, ...] | None = None
    sizes: tuple[str, ...] | None = None
    image_urls: tuple[str, ...] | None = None
    active: bool | None = None


class ProductAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """A product as clients see it."""

    id: str
    name: str
    description: str | None
    category: str
    brand: str
    price: Decimal
    currency: str | None
    colors: tuple[str, ...]
    sizes: tuple[str, ...]
    image_urls: tuple[str, ...]
    active: bool
    version: int
    created_at: datetime
    updated_at: datetime


class PageAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """One page of a list."""

    content: list[ProductAnswer]
    total_elements: int
    total_pages: int
    number: int
    size: int
    first: bool
    last: bool


class FollowingAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """Products behind an id, without a count of the others; ``next`` is where to go on, null at the end."""

    content: list[ProductAnswer]
    size: int
    first: bool
    last: bool
    next: str | None


def routes(database: Database) -> list[HTTPRouteHandler]:
    """The handlers, bound to the service's database; writes that arrive together share a transaction."""

    async def create_together(edits: Sequence[Edit]) -> Sequence[Stored]:
        async with database.transaction() as tx:
            return await catalogue.create(tx, edits)

    async def replace_together(edits: Sequence[Edit]) -> Sequence[Stored | None]:
        async with database.transaction() as tx:
            return await catalogue.replace(tx, edits)

    creating: Gather[Edit, Stored] = Gather(create_together)
    replacing: Gather[Edit, Stored | None] = Gather(replace_together)

    @post("/api/products", summary="Make a product")
    async def create(data: JSONBody[ProductBody], request: Request[Any, Any, Any]) -> ProductAnswer:
        """The id is made here; it is the product's SKU, too."""
        product = _product(f"prd_{ids.uuid7(database.now)}", data)
        return answer(await creating(Edit(product, cause_of(request))))

    @put("/api/products/{product_id:str}", summary="Replace a product")
    async def put_product(
        product_id: FromPath[str], data: JSONBody[ProductBody], request: Request[Any, Any, Any]
    ) -> ProductAnswer:
        """Every field is replaced; a PUT of what is there already changes nothing."""
        product = _product(_known(product_id), data)
        stored = await replacing(Edit(product, cause_of(request)))
        if stored is None:
            raise _unknown(product_id)
        return answer(stored)

    @get("/api/products", summary="Products, by page or one after the other")
    async def show_list(
        category: FromQuery[str | None] = None,
        brand: FromQuery[str | None] = None,
        q: FromQuery[str | None] = None,
        page: Annotated[int, QueryParameter(ge=0, le=SKIPPED_MAX)] = 0,
        size: Annotated[int, QueryParameter(ge=1, le=SIZE_MAX)] = SIZE_DEFAULT,
        # Litestar names a wrong parameter by its Python name, so this one is the client's.
        sortBy: FromQuery[str | None] = None,  # noqa: N803
        direction: FromQuery[str | None] = None,
        after: FromQuery[str | None] = None,
    ) -> PageAnswer | FollowingAnswer:
        """By name unless said otherwise; with ``after`` (empty to begin) by id, each part as fast as the first."""
        wanted = Filter(_text("category", category), _text("brand", brand), _text("q", q))
        if after is not None:
            if page or sortBy:
                raise _wrong("after", "it goes by id; leave page and sortBy out")
            return await _following(database, wanted, _text("after", after) or "", size)
        if page * size > SKIPPED_MAX:
            raise _wrong("page", f"a page starts at most {SKIPPED_MAX} products in; go on with after=")
        order, is_down = _order(sortBy or "name"), _is_down(direction or "asc")
        found = await list_store.page(database, wanted, order=order, is_down=is_down, number=page, size=size)
        pages = -(-found.total // size)
        return PageAnswer(
            content=[answer(each) for each in found.content],
            total_elements=found.total,
            total_pages=pages,
            number=page,
            size=size,
            first=page == 0,
            last=page >= pages - 1,
        )

    @get("/api/products/{product_id:str}", summary="One product")
    async def show(product_id: FromPath[str]) -> ProductAnswer:
        """The product as it stands."""
        stored = await store.find(database, _known(product_id))
        if stored is None:
            raise _unknown(product_id)
        return answer(stored)

    @delete("/api/products/{product_id:str}", status_code=204, summary="Delete a product")
    async def remove(product_id: FromPath[str], request: Request[Any, Any, Any]) -> None:
        """It is gone for everybody; its id may be used again."""
        async with database.transaction() as tx:
            removed = await catalogue.remove(tx, [_known(product_id)], because=cause_of(request))
        if not removed:
            raise _unknown(product_id)

    return [create, put_product, show_list, show, remove]


def answer(stored: Stored) -> ProductAnswer:
    """A product as clients see it."""
    product = stored.product
    return ProductAnswer(
        id=product.id,
        name=product.name,
        description=product.description,
        category=product.category,
        brand=product.brand,
        price=product.price,
        currency=product.currency,
        colors=product.colors,
        sizes=product.sizes,
        image_urls=product.image_urls,
        active=product.active,
        version=stored.version,
        created_at=stored.created_at,
        updated_at=stored.updated_at,
    )


async def _following(database: Database, wanted: Filter, after: str, size: int) -> FollowingAnswer:
    found = await list_store.following(database, wanted, after=after, limit=size + 1)
    is_last = len(found) <= size
    content = [answer(each) for each in found[:size]]
    return FollowingAnswer(content, size, first=not after, last=is_last, next=None if is_last else content[-1].id)


def _text(field: str, given: str | None) -> str | None:
    """A filter's text; an empty one filters nothing."""
    if not given:
        return None
    if len(given) > TEXT_MAX:
        raise _wrong(field, f"more than {TEXT_MAX} characters")
    if has_control(given):
        raise _wrong(field, "a control character is in it")
    return given


def _order(given: str) -> str:
    if given not in ORDERS:
        raise _wrong("sortBy", f"products are sorted by {', '.join(ORDERS)}")
    return given


def _is_down(given: str) -> bool:
    if given.lower() not in {"asc", "desc"}:
        raise _wrong("direction", "it is asc or desc")
    return given.lower() == "desc"


def _product(product_id: str, body: ProductBody) -> Product:
    """What a body asks for; raises Problem naming the first field that cannot be."""
    product = Product(
        id=product_id,
        name=body.name,
        category=body.category,
        brand=body.brand,
        price=body.price,
        description=body.description,
        currency=body.currency.upper() if body.currency else None,
        colors=body.colors or (),
        sizes=body.sizes or (),
        image_urls=body.image_urls or (),
        active=body.active is not False,
    )
    try:
        check(product)
    except Unfit as unfit:
        raise _wrong(unfit.field, unfit.sentence) from unfit
    return replace(product, price=plain(product.price))


def _known(product_id: str) -> str:
    """The id of a path, where a product could have it."""
    if not is_product_id(product_id):
        raise _unknown(product_id)
    return product_id


def _unknown(product_id: str) -> Problem:
    return Problem(404, "PRODUCT_UNKNOWN", f"There is no product {product_id[:60]}.")


def _wrong(field: str, sentence: str) -> Problem:
    return Problem(400, "VALIDATION_FAILED", f"{field}: {sentence}.", field=field)
