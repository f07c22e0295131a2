# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How maintenance ends, in words. Pure."""

from __future__ import annotations


def ending(expires: str, on_expiry: str, timer: bool) -> str:
    """What happens when the time is over; whoever reads "until" would rely on the shop being open then.

    Args:
        expires: when, in UTC; empty for no end.
        on_expiry: what the timer does then, "lift" or "alert".
        timer: whether there is one on the host.
    """
    if not expires:
        return "without an end"
    if not timer:
        return "planned until %s, but no timer is armed" % expires
    return "the shop opens by itself at %s" % expires if on_expiry == "lift" else "the host alerts at %s" % expires
