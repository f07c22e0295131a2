# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of its directories a document names, in every form that the application has written."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.named_files import (
    NAMINGS,
    image_names,
    invoice_names,
    label_names,
)


@pytest.mark.parametrize(
    ("images", "names"),
    [
        ([{"filename": "17_ab.jpg", "url": "http://shop:3001/uploads/17_ab.jpg", "alt": "Bowl"}], ["17_ab.jpg"]),
        (["/uploads/products/bowl-1.jpg"], ["products/bowl-1.jpg"]),
        (["uploads/bowl.jpg", "/api/uploads/cup.jpg?v=2"], ["bowl.jpg", "cup.jpg"]),
        (["https://shop.example/uploads/Sch%C3%BCssel%20(1).jpg"], ["Schüssel (1).jpg"]),
        ([{"filename": "old.jpg"}, {"filename": "older.jpg", "url": ""}], ["old.jpg", "older.jpg"]),
        # On another server, or among the files of the frontend: not in the directory of the uploads.
        ([{"filename": "bowl.jpg", "url": "https://cdn.example/bowl.jpg"}, "https://cdn.example/a.jpg"], []),
        (["/images/placeholder.png", "", None, 7, {}], []),
        (["/uploads/", "/uploads/../../etc/passwd", {"filename": "../../.env"}], []),
        ("/uploads/one.jpg", ["one.jpg"]),
        (None, []),
    ],
)
def test_images_of_a_product(images: Any, names: list[str]) -> None:
    assert image_names({"images": images}) == names


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("storage/invoices/INV-1.pdf", ["INV-1.pdf"]),
        ("/app/storage/invoices/INV-2.pdf", ["INV-2.pdf"]),
        (None, []),  # no PDF could be made
        ("", []),
    ],
)
def test_the_pdf_of_an_invoice(path: Any, names: list[str]) -> None:
    assert invoice_names({"pdfPath": path}) == names


def test_the_label_of_a_shipment() -> None:
    assert label_names({"labelFilename": "AWB_1.pdf"}) == ["AWB_1.pdf"]
    assert label_names({"labelFilename": None}) == label_names({}) == label_names({"labelFilename": "../x"}) == []


PART = st.sampled_from(
    ["uploads", "..", ".", "", "a.jpg", "b c.jpg", "%2e%2e", "%2Fetc", "invoices", "\0", "http:", "[x"]
)
TEXT = st.lists(PART, min_size=1, max_size=5).map("/".join)
IMAGE = TEXT | st.fixed_dictionaries({}, optional={"url": TEXT, "filename": TEXT | st.none()})
DOCUMENT = st.fixed_dictionaries(
    {}, optional={"images": st.lists(IMAGE, max_size=3) | st.none(), "pdfPath": TEXT, "labelFilename": TEXT}
)


def test_no_document_leads_out_of_the_directory() -> None:
    reached: Counter[str] = Counter()

    # Chance alone may name nothing of a kind.
    @example({"images": ["uploads/a.jpg"], "pdfPath": "invoices/a.jpg", "labelFilename": "a.jpg"})
    @given(DOCUMENT)
    def check(document: dict[str, Any]) -> None:
        for kind, naming in NAMINGS.items():
            for name in naming.names(document):
                reached[kind] += 1
                path = os.path.normpath(os.path.join("/directory", name))
                assert path.startswith("/directory/") and "\0" not in name

    check()
    assert set(reached) == set(NAMINGS)
