# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.miniecom.maintenance.plugins.plugin_utils.lasting import passing


def test_what_goes_with_a_container() -> None:
    layer, memory, volume = {"in_writable_layer": True}, {"kind": "tmpfs"}, {"kind": "volume"}
    assert passing({"storage": {"uploads": volume, "invoices": volume, "labels": volume}}) == []
    assert passing({"storage": {"uploads": layer, "invoices": layer, "labels": memory}}) == [
        "uploads, invoices lie in a container's writable layer and go with it",
        "labels lie in memory (tmpfs) and go with it",
    ]
    assert passing({}) == [], "a run that has found no shop"
