# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much is tested: in ``make test`` a sample of what is alike, in ``make test-long`` all of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")
EXHAUSTIVE = os.environ.get("MINIECOM_TEST_EXHAUSTIVE") == "1"
# Of the moments at which something may be killed, make test takes each third.
STRIDE = 1 if EXHAUSTIVE else 3


def sampled(items: Sequence[Item]) -> Sequence[Item]:
    """Of things that are alike each STRIDE-th, beginning with the second; in ``make test-long`` all of them."""
    return items if EXHAUSTIVE else items[1::STRIDE]
