# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which fields refer to which collections: the shop's own data model as data, and the option `relations`."""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, List, Mapping, Sequence, Tuple

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass

ID_FORMS = ("objectid", "hex_string")
IGNORED = ("", "guest")
# Where mongo_orphans puts archived documents: never looked at as data of the shop.
ARCHIVE_SUFFIX = "__orphans"

# Records of the business and of who did what: only named ones are ever moved. Also those of last year (orders_2025, old_orders) and
# those that a library has named (couponusages, auditlogs): of too many it is only said that they have to be named.
BUSINESS_RECORDS = (
    "order*",
    "payment*",
    "refund*",
    "invoice*",
    "shipment*",
    "*[_.-]orders",
    "*[_.-]payments",
    "*[_.-]refunds",
    "*[_.-]invoices",
    "*[_.-]shipments",
    "coupon*usage*",
    "coupon*redemption*",
    "loyalty*",
    "audit*",
    "admin*audit*",
)

_PART = r"[^\s.$\[\]\x00]+(?:\[\])?"
_FIELD = re.compile(r"^%s(?:\.%s)*\Z" % (_PART, _PART))
# What the server takes as a name, blanks and line ends too.
_COLLECTION = re.compile(r"^[^$\x00]+\Z")


@dataclass(frozen=True)
class Relation:
    """One field that refers to documents of a collection.

    Attributes:
        collection: holds the references; may be a pattern such as ``loyalty_*``.
        field: its path; ``items[].productId`` is a field of each element of a list.
        references: the collection referred to.
        key: the field there that is referred to.
        optional: null and absent are ordinary.
        id_forms: spellings of one and the same id that are taken as equal.
        ignore: text that stands for no reference.
        action: report or archive, what becomes of its orphans.
    """

    collection: str
    field: str
    references: str
    key: str = "_id"
    optional: bool = True
    id_forms: Tuple[str, ...] = ID_FORMS
    ignore: Tuple[str, ...] = IGNORED
    action: str = "report"

    @property
    def name(self) -> str:
        return "%s.%s" % (self.collection, self.field)

    @property
    def path(self) -> str:
        """The field as the server's query language has it."""
        return self.field.replace("[]", "")

    @property
    def unit(self) -> str:
        """What one orphan is: a document, or an element of a list in it."""
        return "element" if "[]" in self.field else "document"

    @property
    def lists(self) -> Tuple[str, ...]:
        """Paths of the lists on the way to the field, outermost first."""
        parts = self.field.split(".")
        found = []
        for position, part in enumerate(parts):
            if part.endswith("[]"):
                found.append(".".join(parts[: position + 1]).replace("[]", ""))
        return tuple(found)


# Every reference of the shop's data model. None counts as an orphan for being absent: guests order, too. Most references
# are text although each _id is an ObjectId, a few are ObjectIds, user_roles.userId holds both. audit_logs.objectId is left
# out: it points to anything.
SHOP_RELATIONS: Tuple[Relation, ...] = (
    Relation("orders", "userId", "users"),
    Relation("orders", "items[].productId", "products"),
    Relation("orders", "invoiceId", "invoices"),
    Relation("carts", "userId", "users"),
    Relation("carts", "items[].productId", "products"),
    Relation("sessions", "userId", "users"),
    Relation("addresses", "userId", "users"),
    Relation("wishlists", "userId", "users"),
    Relation("wishlists", "items[].productId", "products"),
    Relation("reviews", "userId", "users"),
    Relation("reviews", "productId", "products"),
    Relation("reviews", "adminReply.repliedBy", "users"),
    # Not the other way round: an order without a payment only waits to be paid.
    Relation("payments", "orderId", "orders"),
    Relation("refunds", "orderId", "orders"),
    Relation("refunds", "paymentId", "payments"),
    Relation("refunds", "initiatedBy", "users"),
    Relation("shipments", "orderId", "orders"),
    Relation("invoices", "orderId", "orders"),
    Relation("coupon_usage", "couponId", "coupons"),
    Relation("coupon_usage", "orderId", "orders"),
    Relation("coupon_usage", "userId", "users"),
    Relation("loyalty_*", "userId", "users"),
    Relation("loyalty_*", "orderId", "orders"),
    Relation("price_alerts", "userId", "users"),
    Relation("price_alerts", "productId", "products"),
    Relation("support_tickets", "userId", "users"),
    Relation("support_ticket_replies", "ticketId", "support_tickets"),
    Relation("support_ticket_replies", "userId", "users"),
    Relation("product_questions", "userId", "users"),
    Relation("product_questions", "productId", "products"),
    Relation("product_answers", "questionId", "product_questions"),
    Relation("product_answers", "userId", "users"),
    Relation("recently_viewed", "userId", "users"),
    Relation("recently_viewed", "productId", "products"),
    Relation("two_factor_secrets", "userId", "users"),
    Relation("inventory", "productId", "products"),
    Relation("user_roles", "userId", "users"),
    Relation("user_roles", "roleId", "roles"),
    Relation("user_roles", "assignedBy", "users"),
    Relation("admin_audit", "adminId", "users"),
    Relation("jobs", "payload.webhookEventId", "webhook_events"),
    Relation("products", "categoryId", "categories"),
    Relation("products", "categoryIds[]", "categories"),
    Relation("categories", "parentId", "categories"),
)


def parse_relation(entry: Mapping[str, Any], action: str = "report") -> Relation:
    """One entry of the option `relations`.

    Args:
        action: what becomes of its orphans where the entry says nothing.

    Raises:
        MaintenanceError: it makes no sense.
    """
    field = str(entry["field"])
    if entry.get("unit") == "element" and "[]" not in field:
        # items.productId with unit element: the list is all but the last part, or the field itself.
        head, dot, tail = field.rpartition(".")
        field = "%s[].%s" % (head, tail) if dot else "%s[]" % field
    relation = Relation(
        str(entry["collection"]),
        field,
        str(entry["references"]),
        str(entry.get("key") or "_id"),
        True if entry.get("optional") is None else bool(entry["optional"]),
        tuple(entry.get("id_forms") or ID_FORMS),
        tuple(IGNORED if entry.get("ignore") is None else entry["ignore"]),
        str(entry.get("action") or action),
    )
    wrong = ""
    if not _FIELD.match(relation.field) or not _FIELD.match(relation.key) or "[]" in relation.key:
        wrong = "field and key are paths such as userId or items[].productId"
    elif not _COLLECTION.match(relation.collection) or not _COLLECTION.match(relation.references):
        wrong = "collection and references are names of collections"
    elif relation.collection.startswith("system.") or relation.references.startswith("system."):
        wrong = "a collection that begins with system. is the server's own; of time-series name what they are called"
    elif "*" in relation.references or "?" in relation.references:
        wrong = "references names one collection, without wildcards"
    elif relation.collection.endswith(ARCHIVE_SUFFIX) or relation.references.endswith(ARCHIVE_SUFFIX):
        wrong = "a collection that ends with %s is an archive, whose documents refer to nothing" % ARCHIVE_SUFFIX
    elif entry.get("unit") == "document" and relation.unit == "element":
        wrong = "a field with [] counts elements, unit cannot be document"
    if wrong:
        raise MaintenanceError(
            "this relation makes no sense: %s" % wrong, target=relation.name, next_step="Correct it."
        )
    return relation


def is_business_record(collection: str) -> bool:
    """Whether a collection holds records that the business must keep. Pure."""
    return any(fnmatchcase(collection.lower(), pattern) for pattern in BUSINESS_RECORDS)


def expand_relations(relations: Sequence[Relation], collections: Sequence[str]) -> List[Relation]:
    """The relations with patterns replaced by the collections that exist; a pattern that meets none stays, and what a collection
    is called is none. Pure."""
    expanded: List[Relation] = []
    for relation in relations:
        if relation.collection in collections or not re.search(r"[*?]", relation.collection):
            expanded.append(relation)
            continue
        names = [
            name
            for name in sorted(collections)
            if fnmatchcase(name, relation.collection)
            and not name.endswith(ARCHIVE_SUFFIX)
            and not name.startswith("system.")
        ]
        expanded.extend([replace(relation, collection=name) for name in names] or [relation])
    return expanded
