# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The moments that are written down: one format for all of them, in UTC."""

from __future__ import annotations

from datetime import datetime, timezone

_TEXT = "%Y-%m-%dT%H:%M:%SZ"
_COMPACT = "%Y%m%dT%H%M%SZ"


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


def format_utc(moment: datetime) -> str:
    """A moment as it is written down: ``2026-11-28T21:37:20Z``, whole seconds. Without a zone it is local time."""
    return moment.astimezone(timezone.utc).strftime(_TEXT)


def parse_utc(text: str) -> datetime:
    """The moment of a text as `format_utc` writes it.

    Raises:
        ValueError: it is none.
    """
    return datetime.strptime(text, _TEXT).replace(tzinfo=timezone.utc)


def compact_utc(moment: datetime) -> str:
    """A moment as a part of a name, sorting as it came: ``20261128T213720Z``."""
    return moment.astimezone(timezone.utc).strftime(_COMPACT)


def seconds_between(started: str, ended: str) -> float:
    """Seconds between two written moments, never negative; 0 when one of them is none."""
    try:
        return max((parse_utc(ended) - parse_utc(started)).total_seconds(), 0.0)
    except ValueError:
        return 0.0
