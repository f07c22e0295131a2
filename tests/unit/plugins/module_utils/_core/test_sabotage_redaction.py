# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A password that is an ordinary word must neither be shown nor garble paths and keys that the next step needs."""

from __future__ import annotations

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.redaction import MASK, Redactor


@pytest.fixture
def weak() -> Redactor:
    redactor = Redactor()
    redactor.register("miniecom")
    redactor.register("collections")
    return redactor


@pytest.mark.parametrize(
    "text",
    [
        "/opt/miniecom/storage/backups/20261124_000000.tar.gz",
        "miniecom.maintenance.weekly",
        "miniecom-api",
        "my_miniecom",
    ],
)
def test_paths_and_names_stay(weak: Redactor, text: str) -> None:
    assert weak.clean_text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "miniecom",
        "password=miniecom",
        "auth failed for 'miniecom'.",
        "it is miniecom.",
        "root:miniecom@host",
        '"miniecom"',
    ],
)
def test_the_word_alone_is_masked(weak: Redactor, text: str) -> None:
    assert "miniecom" not in weak.clean_text(text) and MASK in weak.clean_text(text)


def test_keys_of_a_result_stay(weak: Redactor) -> None:
    assert weak.clean({"collections": 3, "note": "collections"}) == {"collections": 3, "note": MASK}
