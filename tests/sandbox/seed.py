# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shop's data, with every kind of reference as the application stores it, and the truth about its orphans.

Every ``_id`` is an ObjectId, but most references are hex strings. Some are ObjectIds, one field holds both, and some
are null, absent, empty or a literal such as ``guest``. The only documents whose reference points nowhere are those
that a hard-deleted product leaves behind; ``stray`` adds one to each relation, for tests.
"""

from __future__ import annotations

import base64
import json
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from bson import ObjectId

from tests.sandbox.shopfiles import IMAGES, PAGES

if TYPE_CHECKING:
    from pymongo.database import Database

Document = dict[str, Any]

OBJECT_ID = "objectid"
HEX = "hex_string"
MIXED = "mixed"


@dataclass(frozen=True)
class Relation:
    """One reference of the shop's data model.

    field: ``items[].productId`` is the field of each element of an array.
    form: how the application stores it.
    optional: null and absent are ordinary.
    literals: values that stand for nothing.
    """

    collection: str
    field: str
    references: str
    form: str = HEX
    optional: bool = False
    literals: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.collection}.{self.field}"


RELATIONS = (
    Relation("orders", "userId", "users", optional=True),
    Relation("orders", "items[].productId", "products"),
    Relation("carts", "userId", "users", optional=True),
    Relation("carts", "items[].productId", "products"),
    Relation("sessions", "userId", "users"),
    Relation("addresses", "userId", "users"),
    Relation("wishlists", "userId", "users"),
    Relation("wishlists", "items[].productId", "products"),
    Relation("reviews", "userId", "users"),
    Relation("reviews", "productId", "products"),
    Relation("payments", "orderId", "orders"),
    Relation("refunds", "orderId", "orders"),
    Relation("refunds", "paymentId", "payments", optional=True, literals=("",)),
    Relation("shipments", "orderId", "orders"),
    Relation("invoices", "orderId", "orders"),
    Relation("coupon_usage", "couponId", "coupons", OBJECT_ID),
    Relation("coupon_usage", "orderId", "orders"),
    Relation("coupon_usage", "userId", "users", literals=("guest",)),
    Relation("loyalty_accounts", "userId", "users"),
    Relation("loyalty_transactions", "userId", "users"),
    Relation("loyalty_transactions", "orderId", "orders", optional=True, literals=("",)),
    Relation("price_alerts", "userId", "users"),
    Relation("price_alerts", "productId", "products"),
    Relation("support_tickets", "userId", "users"),
    Relation("product_questions", "userId", "users"),
    Relation("product_questions", "productId", "products"),
    Relation("two_factor_secrets", "userId", "users"),
    Relation("inventory", "productId", "products", OBJECT_ID),
    Relation("user_roles", "userId", "users", MIXED),
    Relation("user_roles", "roleId", "roles", OBJECT_ID),
    Relation("products", "categoryId", "categories", optional=True),
    Relation("categories", "parentId", "categories", optional=True),
)

# Collections of the shop that no relation touches; a few documents each.
OTHERS = (
    "analytics_events banners blog_posts contact_messages counters email_templates faqs gift_cards "
    "inventory_movements media newsletter_subscribers notifications pages permissions shipping_zones tax_rates "
    "webhook_events"
).split()
# Two of them are as some of a real shop's are: one with a rule for its documents, one with a collation.
RULED, COLLATED = "banners", "blog_posts"


@dataclass
class ShopFacts:
    """What seed_shop() put into a database.

    counts: documents by collection.
    orphans: relation name -> the orphans: ``_id`` of the document, or ``(_id, reference)`` of an array's element.
        Every relation of RELATIONS has a key, most with an empty set.
    guest_orders: ``_id`` of orders without a user; never orphans.
    deleted_products: ``_id`` of the products that were deleted for good.
    secrets: values in the data that may be shown nowhere.
    """

    counts: dict[str, int] = field(default_factory=dict)
    orphans: dict[str, set[Any]] = field(default_factory=dict)
    guest_orders: set[ObjectId] = field(default_factory=set)
    deleted_products: list[ObjectId] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)

    @property
    def orphaned_documents(self) -> int:
        """Documents and array elements whose reference points nowhere."""
        return sum(len(found) for found in self.orphans.values())


class _Maker:
    """Makes documents; the same numbers give the same documents."""

    def __init__(self, rng_seed: int, now: datetime) -> None:
        self.rng = random.Random(rng_seed)
        self.now = now.replace(microsecond=0)

    def when(self, newest_days: float = 3, oldest_days: float = 300) -> datetime:
        return self.now - timedelta(days=self.rng.uniform(newest_days, oldest_days))

    def new_id(self, moment: datetime | None = None) -> ObjectId:
        seconds = int((moment or self.when()).timestamp())
        return ObjectId(seconds.to_bytes(4, "big") + self.rng.randbytes(8))

    def documents(self, number: int, build: Any) -> list[Document]:
        made = []
        for position in range(number):
            moment = self.when()
            made.append({"_id": self.new_id(moment), **build(position), "createdAt": moment, "updatedAt": moment})
        return made

    def pick(self, documents: list[Document]) -> str:
        """The hex string of some document's ``_id``: how the application refers to it."""
        return str(self.rng.choice(documents)["_id"])


def seed_shop(
    database: Database[Any],
    *,
    users: int = 60,
    orders: int = 150,
    products: int | None = None,
    rng_seed: int = 1,
    stray: bool = False,
    now: datetime | None = None,
) -> ShopFacts:
    """Fill an empty database with a small shop.

    users, orders, products: how many; at least 10 of each. Products default to a third of the orders.
    rng_seed: the same seed (and ``now``) gives the same data.
    stray: beside what deleted products leave, put one orphan into every relation that had none.
    now: the newest document is three days older, so that no rule about young documents hides an orphan.
    Returns the facts, with the exact set of orphans of every relation.
    """
    make = _Maker(rng_seed, now or datetime.now(timezone.utc))
    shop = _collections(make, max(users, 10), max(orders, 10), max(products or orders // 3, 10))
    facts = ShopFacts(orphans={relation.name: set() for relation in RELATIONS})
    facts.guest_orders = {order["_id"] for order in shop["orders"] if order["userId"] is None}
    facts.secrets = _settings(make, shop)
    _delete_products(make, shop, facts)
    if stray:
        _add_strays(make, shop, facts)
    database.create_collection(COLLATED, collation={"locale": "en", "strength": 2})
    for name, documents in shop.items():
        if documents:
            database[name].insert_many(documents, ordered=False)
        facts.counts[name] = len(documents)
    _indexes(database)
    return facts


def _collections(make: _Maker, users: int, orders: int, products: int) -> dict[str, list[Document]]:
    rng = make.rng
    shop: dict[str, list[Document]] = {}

    shop["roles"] = make.documents(3, lambda n: {"name": ["admin", "staff", "customer"][n]})
    shop["users"] = make.documents(
        users,
        lambda n: {
            "email": f"customer{n}@example.org",
            "name": f"Customer {n}",
            "passwordHash": f"$2b$10${rng.randbytes(24).hex()}",
        },
    )
    # The application stores the user of a role as a string, the seed script of the shop as an ObjectId.
    shop["user_roles"] = [
        {
            "_id": make.new_id(),
            "userId": user["_id"] if position % 3 == 0 else str(user["_id"]),
            "roleId": shop["roles"][0 if position < 2 else 2]["_id"],
        }
        for position, user in enumerate(shop["users"])
    ]

    shop["categories"] = make.documents(6, lambda n: {"name": f"Category {n}", "slug": f"category-{n}"})
    for position, category in enumerate(shop["categories"]):
        if position >= 3:  # a subcategory; the first has null, the others lack the field
            category["parentId"] = str(shop["categories"][position - 3]["_id"])
        elif position == 0:
            category["parentId"] = None
    shop["products"] = make.documents(products, lambda n: _product(n, make, shop["categories"]))
    shop["inventory"] = [
        {"_id": make.new_id(), "productId": product["_id"], "stock": rng.randrange(100), "reserved": 0}
        for product in shop["products"]
    ]

    shop["orders"] = make.documents(orders, lambda n: _order(n, make, shop["users"], shop["products"]))
    # A Razorpay order has no payment until the customer confirms it.
    paid = [order for order in shop["orders"] if order["status"] != "awaiting_payment"]
    shop["payments"] = [
        {"_id": make.new_id(), "orderId": str(order["_id"]), "amount": order["total"], "provider": order["provider"]}
        for order in paid
    ]
    shop["refunds"] = [
        {
            "_id": make.new_id(),
            "orderId": payment["orderId"],
            "paymentId": "" if position % 2 else str(payment["_id"]),
            "amount": payment["amount"],
        }
        for position, payment in enumerate(shop["payments"][::20])
    ]
    shop["shipments"] = [
        {
            "_id": make.new_id(),
            "orderId": str(order["_id"]),
            "carrier": "Delhivery",
            "status": "delivered",
            "labelFilename": f"LBL-{position:06d}.pdf" if position < PAGES else None,
        }
        for position, order in enumerate(paid[::2])
    ]
    shop["invoices"] = [
        {
            "_id": make.new_id(),
            "orderId": str(order["_id"]),
            "number": f"INV-{position:06d}",
            # Of the others no PDF could be made.
            "pdfPath": f"storage/invoices/INV-{position:06d}.pdf" if position < PAGES else None,
        }
        for position, order in enumerate(paid)
    ]

    shop["coupons"] = make.documents(5, lambda n: {"code": f"HANDMADE{n}0", "percent": n * 5})
    shop["coupon_usage"] = [
        {
            "_id": make.new_id(),
            "couponId": rng.choice(shop["coupons"])["_id"],
            "orderId": str(order["_id"]),
            "userId": order["userId"] or "guest",
        }
        for order in shop["orders"][::5]
    ]
    shop["loyalty_accounts"] = [
        {"_id": make.new_id(), "userId": str(user["_id"]), "points": rng.randrange(500)} for user in shop["users"][::2]
    ]
    shop["loyalty_transactions"] = [
        {
            "_id": make.new_id(),
            "userId": account["userId"],
            "orderId": "" if position % 3 == 0 else make.pick(shop["orders"]),
            "points": 10,
        }
        for position, account in enumerate(shop["loyalty_accounts"])
    ]

    def of_users(step: int, build: Any) -> list[Document]:
        return [{"_id": make.new_id(), "userId": str(user["_id"]), **build()} for user in shop["users"][::step]]

    def items(number: int) -> list[Document]:
        chosen = rng.sample(shop["products"], min(number, len(shop["products"])))
        return [{"productId": str(product["_id"]), "quantity": rng.randrange(1, 4)} for product in chosen]

    def product_reference() -> Document:
        return {"productId": make.pick(shop["products"]), "text": "Is it washable?"}

    shop["carts"] = of_users(3, lambda: {"items": items(2)})
    shop["carts"] += make.documents(6, lambda n: {"userId": None, "sessionId": f"guest-{n}", "items": items(1)})
    shop["wishlists"] = of_users(4, lambda: {"items": items(3)})
    shop["sessions"] = of_users(
        1, lambda: {"token": rng.randbytes(16).hex(), "expiresAt": make.now + timedelta(days=rng.uniform(20, 40))}
    )
    shop["addresses"] = of_users(1, lambda: {"line1": f"{rng.randrange(1, 99)} Market Road", "city": "Pune"})
    shop["reviews"] = of_users(2, lambda: {**product_reference(), "rating": rng.randrange(1, 6)})
    shop["price_alerts"] = of_users(6, lambda: {**product_reference(), "below": rng.randrange(100, 900)})
    shop["product_questions"] = of_users(5, product_reference)
    shop["support_tickets"] = of_users(7, lambda: {"subject": "Where is my parcel?", "status": "open"})
    shop["two_factor_secrets"] = of_users(9, lambda: {"secret": base64.b32encode(rng.randbytes(20)).decode()})
    shop["audit_logs"] = make.documents(
        40, lambda n: {"actor": make.pick(shop["users"]), "action": "product.update", "ip": f"203.0.113.{n}"}
    )
    for name in OTHERS:
        shop[name] = make.documents(3, lambda n, name=name: {"name": f"{name} {n}", "active": True})
    return shop


def _image(number: int) -> Any:
    """An image of a product, as the application has written it over the years."""
    url = f"/uploads/products/bowl-{number % IMAGES}.jpg"
    return url if number % 2 else {"filename": url.rpartition("/")[2], "url": url, "alt": f"Bowl {number}"}


def _product(number: int, make: _Maker, categories: list[Document]) -> Document:
    product: Document = {
        "name": f"Handmade bowl {number}",
        "description": "Thrown and glazed by hand.",
        "price": make.rng.randrange(100, 5000),
        "images": [_image(number)],
    }
    if number % 5 == 1:
        product["categoryId"] = None
    elif number % 5 != 2:  # and a few lack the field
        product["categoryId"] = make.pick(categories)
    return product


def _order(number: int, make: _Maker, users: list[Document], products: list[Document]) -> Document:
    chosen = make.rng.sample(products, make.rng.randrange(1, 4))
    items = [{"productId": str(p["_id"]), "name": p["name"], "price": p["price"], "quantity": 1} for p in chosen]
    guest = number % 4 == 0
    order: Document = {
        "orderNumber": f"HH-{number:06d}",
        "userId": None if guest else make.pick(users),
        "items": items,
        "total": sum(product["price"] for product in chosen),
        "provider": "razorpay" if number % 3 else "cod",
        "status": "awaiting_payment" if number % 12 == 1 else "paid",
    }
    if guest:
        order["guestEmail"] = f"guest{number}@example.net"
    return order


def _settings(make: _Maker, shop: dict[str, list[Document]]) -> list[str]:
    """The shop's settings; returns the secrets among them."""
    site = {
        "siteName": "Handmade Harmony",
        "currency": "INR",
        "maintenance": {"enabled": False, "message": "We'll be right back", "whitelistIps": []},
        "seo": {"title": "Handmade Harmony – gifts made by hand"},
    }
    platform = {"maintenance": {"enabled": True, "message": "nothing reads this"}}
    secrets = {"SMTP_PASS": make.rng.randbytes(12).hex(), "RAZORPAY_KEY_SECRET": make.rng.randbytes(12).hex()}
    shop["settings"] = [
        {"_id": make.new_id(), "key": "site", "value": json.dumps(site, ensure_ascii=False), "type": "json"},
        {"_id": make.new_id(), "key": "platform", "value": json.dumps(platform), "type": "json"},
        {"_id": make.new_id(), "key": "SMTP_HOST", "value": "localhost", "type": "string"},
        *({"_id": make.new_id(), "key": key, "value": value, "type": "string"} for key, value in secrets.items()),
    ]
    return list(secrets.values())


def _delete_products(make: _Maker, shop: dict[str, list[Document]], facts: ShopFacts) -> None:
    """Delete three products for good, as the application does: inventory, cart and wishlist entries stay behind.

    One of them was ordered once, and the order keeps its line. Nobody has reviewed them or set an alert.
    """
    gone = make.rng.sample(shop["products"], 3)
    facts.deleted_products = [product["_id"] for product in gone]
    kept = [product for product in shop["products"] if product not in gone]
    shop["products"] = kept
    lost = {str(identity) for identity in facts.deleted_products}
    for name in ("reviews", "price_alerts", "product_questions"):
        for document in shop[name]:
            if document["productId"] in lost:
                document["productId"] = make.pick(kept)
    ordered = [item for order in shop["orders"] for item in order["items"] if item["productId"] in lost]
    for item in ordered[1:]:
        item["productId"] = make.pick(kept)
    if not ordered:
        shop["orders"][0]["items"][0]["productId"] = str(facts.deleted_products[0])
    # Whatever the draw was, each place holds at least one of them.
    for name in ("carts", "wishlists"):
        items = shop[name][0]["items"]
        if not any(item["productId"] in lost for item in items):
            items.append({"productId": str(facts.deleted_products[0]), "quantity": 1})
    for item in shop["inventory"]:
        if item["productId"] in facts.deleted_products:
            facts.orphans["inventory.productId"].add(item["_id"])
    for name in ("orders", "carts", "wishlists"):
        for document in shop[name]:
            for item in document["items"]:
                if item["productId"] in lost:
                    facts.orphans[f"{name}.items[].productId"].add((document["_id"], item["productId"]))


def _add_strays(make: _Maker, shop: dict[str, list[Document]], facts: ShopFacts) -> None:
    """Point one document of each relation that has no orphan at nothing; a mixed one gets both forms."""
    for relation in RELATIONS:
        if facts.orphans[relation.name]:
            continue
        forms = {HEX: [HEX], OBJECT_ID: [OBJECT_ID], MIXED: [HEX, OBJECT_ID]}[relation.form]
        for position, form in enumerate(forms):
            document = shop[relation.collection][-1 - position]
            nowhere = make.new_id()
            document[relation.field] = nowhere if form == OBJECT_ID else str(nowhere)
            facts.orphans[relation.name].add(document["_id"])
            facts.guest_orders.discard(document["_id"])


def _indexes(database: Database[Any]) -> None:
    database.users.create_index("email", unique=True)
    database.products.create_index([("name", "text"), ("description", "text")])
    database.products.create_index("categoryId")
    database.orders.create_index("orderNumber", unique=True)
    database.orders.create_index([("userId", 1), ("createdAt", -1)])
    database.sessions.create_index("expiresAt", expireAfterSeconds=0)
    database.audit_logs.create_index("createdAt", expireAfterSeconds=365 * 24 * 3600)
    database.payments.create_index("orderId")
    database.carts.create_index("userId")
    database.settings.create_index("key", unique=True)
    # A rule that came later than one of the documents: a restore that minds it would lose that one.
    database[RULED].update_one({}, {"$unset": {"active": ""}})
    rule = {"$jsonSchema": {"required": ["active"], "properties": {"active": {"bsonType": "bool"}}}}
    database.command("collMod", RULED, validator=rule)
    # An index with the simple collation, on a collection that has another.
    database[COLLATED].create_index("name", collation={"locale": "simple"})


def delete_products(database: Database[Any], number: int = 1) -> list[ObjectId]:
    """Delete products for good, as the application does: what refers to them stays behind."""
    stocked = database.inventory.distinct("productId")
    gone = [one["_id"] for one in database.products.find({"_id": {"$in": stocked}}, {"_id": 1}).limit(number)]
    database.products.delete_many({"_id": {"$in": gone}})
    return gone


def add_reclaimable(
    database: Database[Any], megabytes: int = 200, *, rng_seed: int = 1, now: datetime | None = None
) -> int:
    """Let collections grow as years of business do and delete two thirds again; return the bytes of what was deleted.

    The deletion is followed by a checkpoint: before it the server does not count the space as free.
    megabytes: how much is written, as documents of 16 KiB that no compression shrinks.
    """
    make = _Maker(rng_seed, now or datetime.now(timezone.utc))
    shares = {"audit_logs": 0.5, "analytics_events": 0.3, "sessions": 0.2}
    size = 16 * 1024
    users = [str(user["_id"]) for user in database.users.find({}, {"_id": 1}).limit(50)] or [str(make.new_id())]
    marks: dict[str, list[ObjectId]] = {name: [] for name in shares}
    for name, share in shares.items():
        number = int(megabytes * 1024 * 1024 * share / size)
        for start in range(0, number, 200):
            documents = []
            for position in range(start, min(start + 200, number)):
                # Oldest first, as they would have come over the year.
                moment = make.now - timedelta(days=300 - 290 * position / number)
                body = base64.b64encode(make.rng.randbytes(size * 3 // 4 - 128)).decode()
                marks[name].append(make.new_id(moment))
                documents.append({"_id": marks[name][-1], **_grown(name, make, moment, users, body)})
            database[name].insert_many(documents, ordered=False)
    # What never was on disk would leave no space there.
    database.client.admin.command("fsync")
    deleted = 0
    for name, ids in marks.items():
        oldest = sorted(ids)[: len(ids) * 2 // 3]
        deleted += database[name].delete_many({"_id": {"$in": oldest}}).deleted_count * size
    database.client.admin.command("fsync")
    return deleted


def _grown(name: str, make: _Maker, moment: datetime, users: list[str], body: str) -> Document:
    user = make.rng.choice(users)
    if name == "audit_logs":
        return {"actor": user, "action": "product.update", "before": body, "createdAt": moment}
    if name == "sessions":
        return {"userId": user, "token": body[:32], "data": body, "expiresAt": make.now + timedelta(days=30)}
    return {"name": "page_view", "path": "/products", "payload": body, "createdAt": moment}
