# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.ending import ending

END = "2026-11-24T05:15:00Z"


def test_nobody_waits_for_what_does_not_come() -> None:
    assert ending(END, "lift", True) == f"the shop opens by itself at {END}"
    assert ending(END, "alert", True) == f"the host alerts at {END}"
    for on_expiry in ("lift", "alert"):
        assert ending(END, on_expiry, False) == f"planned until {END}, but no timer is armed"
    assert ending("", "alert", True) == "without an end"
