# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests without servers share."""

from __future__ import annotations

from tests.support.made_classes import make_classes


def pytest_collection_finish() -> None:
    make_classes()
