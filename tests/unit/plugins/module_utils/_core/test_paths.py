# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.paths import lies_below


@pytest.mark.parametrize(
    ("path", "top", "below"),
    [
        ("/srv/shop", "/srv/shop", True),
        ("/srv/shop/a/b", "/srv/shop", True),
        ("/srv/shop/a", "/srv/shop/", True),
        ("/srv/shop2", "/srv/shop", False),
        ("/srv/shop.old/a", "/srv/shop", False),
        ("/srv", "/srv/shop", False),
        ("/srv", "/", True),
    ],
)
def test_only_whole_names_count(path: str, top: str, below: bool) -> None:
    assert lies_below(path, top) is below
