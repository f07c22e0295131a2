# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Moments as a person reads them: what is written down in UTC is shown in the time of whoever reads it. Pure, controller side."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from typing import Optional

from ..module_utils._core.clock import parse_utc
from ..module_utils._core.units import counted

MOMENT = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
# Beyond two days a date says more than a number of hours.
NEAR = 48 * 3600


def local_moments(text: str, now: datetime, zone: Optional[tzinfo] = None) -> str:
    """A text with its moments in local time, those that are near with how far they are.

    Args:
        now: the moment of reading.
        zone: of the reader; by default this machine's.
    """
    return MOMENT.sub(lambda match: _told(match[0], now, zone), text)


def _told(text: str, now: datetime, zone: Optional[tzinfo]) -> str:
    try:
        moment = parse_utc(text)
    except ValueError:
        return text
    seconds = (moment - now).total_seconds()
    local = moment.astimezone(zone)
    shown = "%s %s" % (local.strftime("%Y-%m-%d %H:%M"), local.strftime("%Z"))
    if abs(seconds) > NEAR:
        return shown
    return "%s, %s" % (shown, "in " + span(seconds) if seconds > 0 else span(-seconds) + " ago")


def span(seconds: float) -> str:
    """A time in one unit: 45 seconds, 59 minutes, 3 hours."""
    for size, noun, until in ((1, "second", 90), (60, "minute", 90 * 60)):
        if seconds < until:
            return counted(int(round(seconds / size)), noun)
    return counted(int(round(seconds / 3600)), "hour")
