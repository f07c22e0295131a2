# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from urllib.parse import quote_plus

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.redaction import MASK, Redactor

# One of letters only may be a word, and then part of a path: test_sabotage_redaction.py.
SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=30).filter(
    lambda text: not text.isalpha()
)


@given(SECRETS, st.text(max_size=30), st.text(max_size=30))
def test_a_long_secret_is_masked_wherever_it_stands(secret: str, before: str, after: str) -> None:
    redactor = Redactor()
    redactor.register(secret)
    cleaned = redactor.clean({"list": [before + secret + after], before + secret: (secret,)})
    assert secret not in repr(cleaned).replace(MASK, "") or secret in MASK


@given(SECRETS)
def test_the_password_of_a_uri_is_masked_however_it_is_spelt(secret: str) -> None:
    redactor = Redactor()
    redactor.register(secret)
    assert quote_plus(secret) not in redactor.clean_text(f"mongodb://admin:{quote_plus(secret)}@mongo/shop")


def test_a_short_password_is_masked_in_a_uri_only() -> None:
    redactor = Redactor()
    redactor.register_uri("mongodb://admin:app@mongo:27017/shop")
    text = redactor.clean_text("/opt/app: mongodb://admin:app@mongo:27017/shop")
    assert text == f"/opt/app: mongodb://admin:{MASK}@mongo:27017/shop"


def test_a_password_with_an_at_sign_is_masked_whole() -> None:
    redactor = Redactor()
    assert "ss" not in redactor.clean_text("mongodb://admin:p@ss@host/db").replace(MASK, "")


def test_numbers_and_none_stay_what_they_are() -> None:
    redactor = Redactor()
    redactor.register("12345678")
    assert redactor.clean({"a": 12345678, "b": None, "c": True}) == {"a": 12345678, "b": None, "c": True}
