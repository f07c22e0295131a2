# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether what the shop's customers gave it would outlive its container: said alike by whoever looks. Pure, controller side."""

from __future__ import annotations

from typing import Any, List, Mapping

FILES = ("uploads", "invoices", "labels")


def passing(context: Mapping[str, Any]) -> List[str]:
    """What goes with a container of the application when that is recreated, in a sentence without an end each.

    Args:
        context: as context_info returns it.
    """
    storage = context.get("storage") or {}
    places = {name: storage.get(name) or {} for name in FILES}
    told = []
    for lost, where in (
        ([name for name, place in places.items() if place.get("in_writable_layer")], "a container's writable layer"),
        ([name for name, place in places.items() if place.get("kind") == "tmpfs"], "memory (tmpfs)"),
    ):
        if lost:
            told.append("%s lie in %s and go with it" % (", ".join(lost), where))
    return told
