# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of letters alone, which look much like names."""

from __future__ import annotations

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_rules import QUOTED_KEY
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_values import is_secret

CODE = "/srv/shop/backend/src/payments.js"


@pytest.mark.parametrize("value", ["rVPBtaNrTAwp" + "nWyUPWrFYjuT", "qZmXbTfLwQaR" + "vYcKdHsJgNeP"])
def test_a_random_key_needs_no_digit(value: str) -> None:
    assert is_secret(QUOTED_KEY, CODE, value)


@pytest.mark.parametrize(
    "value",
    [
        "showResetFormOfTheCustomer",
        "getJWTFromURLOrHeaderLine",
        "customeraddressofshop",
    ],
)
def test_a_name_is_none(value: str) -> None:
    assert not is_secret(QUOTED_KEY, CODE, value)
