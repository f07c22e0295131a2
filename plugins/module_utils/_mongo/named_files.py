# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files of its directories the shop's database names: images of products, PDFs of invoices, labels of shipments.

As the application writes them: an image as {filename, url} or as its bare URL, below /uploads/ of the API's own address; an
invoice's pdfPath as the path of a file in the directory of the invoices; a shipment's labelFilename as a bare name.
"""

from __future__ import annotations

from typing import Any, Callable, Iterator, List, Mapping, Optional, Tuple
from urllib.parse import unquote, urlsplit

from .._core.late_dataclass import dataclass
from .client import Connection
from .errors import mongo_errors

# Where the newest documents name files that are all gone, the older ones are not asked.
LIMIT = 1000
# Where no document names any, the server reads a collection to its end to say so.
SECONDS = 15
_BELOW_UPLOADS = {"$regex": "(^|/)uploads/"}
_TEXT = {"$type": "string", "$ne": ""}
_NO_TEXT = {"$in": [None, ""]}


@dataclass(frozen=True)
class Naming:
    """Where documents name the files of one directory.

    Attributes:
        field: for messages, with the collection's name.
        condition: finds the documents that name at least one.
        fields: what is read of them.
        names: the names in one document, relative to the directory.
    """

    collection: str
    field: str
    condition: Mapping[str, Any]
    fields: Tuple[str, ...]
    names: Callable[[Mapping[str, Any]], List[str]]


def _usable(name: str) -> Optional[str]:
    """A name relative to a directory, as it stands; None for what leads out of it or is none."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return None if not parts or ".." in parts or "\0" in name else "/".join(parts)


def _below(url: str, directory: str) -> Optional[str]:
    """What stands behind /directory/ in a URL or path; None where that is not in it: such a file lies elsewhere."""
    try:
        path = unquote(urlsplit(url).path)
    except ValueError:
        return None
    _before, found, rest = ("/" + path).partition("/%s/" % directory)
    return _usable(rest) if found else None


def image_names(product: Mapping[str, Any]) -> List[str]:
    """The images of a product that lie in the directory of the uploads, those on other servers left out. Pure."""
    images = product.get("images")
    names: List[Optional[str]] = []
    for image in images if isinstance(images, list) else [images]:
        if isinstance(image, str):
            names.append(_below(image, "uploads"))
        elif isinstance(image, Mapping):
            url, name = image.get("url"), image.get("filename")
            if isinstance(url, str) and url:
                names.append(_below(url, "uploads"))
            elif isinstance(name, str):
                names.append(_usable(name))
    return [name for name in names if name]


def invoice_names(invoice: Mapping[str, Any]) -> List[str]:
    """The PDF of an invoice. Pure."""
    path = invoice.get("pdfPath")
    if not isinstance(path, str):
        return []
    # Joined by the application from where its storage was at the time, which may be elsewhere by now.
    name = _usable(path.rpartition("/")[2])
    return [name] if name else []


def label_names(shipment: Mapping[str, Any]) -> List[str]:
    """The label of a shipment. Pure."""
    text = shipment.get("labelFilename")
    name = _usable(text) if isinstance(text, str) else None
    return [name] if name else []


_IMAGES = [
    {"images": _BELOW_UPLOADS},
    {"images.url": _BELOW_UPLOADS},
    {"images": {"$elemMatch": {"filename": _TEXT, "url": _NO_TEXT}}},
]
NAMINGS: Mapping[str, Naming] = {
    "uploads": Naming("products", "products.images", {"$or": _IMAGES}, ("images",), image_names),
    "invoices": Naming("invoices", "invoices.pdfPath", {"pdfPath": _TEXT}, ("pdfPath",), invoice_names),
    "labels": Naming("shipments", "shipments.labelFilename", {"labelFilename": _TEXT}, ("labelFilename",), label_names),
}


def named_files(connection: Connection, database: str, naming: Naming, limit: int = LIMIT) -> Iterator[str]:
    """Names of files as documents have them, those of the newest documents first; read as far as they are taken.

    Args:
        limit: how many documents are read at most.

    Raises:
        MaintenanceError: the server refuses, or takes longer than SECONDS.
    """
    with mongo_errors("cannot read which files the database names", "%s.%s" % (database, naming.collection)):
        found = connection.client[database][naming.collection].find(
            naming.condition,
            dict.fromkeys(naming.fields, 1),
            sort=[("_id", -1)],
            limit=limit,
            max_time_ms=SECONDS * 1000,
        )
        for document in found:
            yield from naming.names(document)
