# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import sys

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core import heap

BLOCKS = """
from ansible_collections.miniecom.maintenance.plugins.module_utils._core import heap
def resident():
    with open("/proc/self/statm") as status:
        return int(status.read().split()[1]) * 4096
assert heap.give_large_blocks_back()
kept, before = [], resident()
for _round in range(8):
    block = b"x" * (16 * 1024 * 1024)
    kept.append(b"y" * (100 * 1024))  # where the next one would have to begin
    del block
print(resident() - before)
"""


def test_what_was_large_is_given_back() -> None:
    # In a process of its own: it is a setting for the whole of it.
    done = subprocess.run([sys.executable, "-c", BLOCKS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 4 * 1024 * 1024


def test_a_c_library_without_the_setting_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda name: object())
    assert heap.give_large_blocks_back() is False
