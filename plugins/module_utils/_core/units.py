# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sizes and durations: one parser each for the whole collection."""

from __future__ import annotations

import re

from .errors import MaintenanceError

_SIZE = re.compile(r"^\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*$")
_SIZE_UNITS = {
    "": 1,
    "b": 1,
    "k": 1024,
    "kib": 1024,
    "kb": 1000,
    "m": 1024**2,
    "mib": 1024**2,
    "mb": 1000**2,
    "g": 1024**3,
    "gib": 1024**3,
    "gb": 1000**3,
    "t": 1024**4,
    "tib": 1024**4,
    "tb": 1000**4,
}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(w|d|h|min|m|s)?")
_DURATION_UNITS = {"w": 604800, "d": 86400, "h": 3600, "min": 60, "m": 60, "s": 1}


def parse_size(text: object) -> int:
    """Bytes of a size such as ``64MiB``, ``1.5G`` or ``4096``.

    Single letters and ``KiB``, ``MiB``... count in powers of 1024, ``kB``, ``MB``... in powers of 1000.

    Raises:
        MaintenanceError: the text is not a size.
    """
    match = _SIZE.match(str(text))
    unit = _SIZE_UNITS.get(match.group(2).lower()) if match else None
    if match is None or unit is None:
        raise MaintenanceError(
            "not a size",
            target=repr(text),
            next_step="Write a number with a unit, such as 64MiB, 1.5GiB or 4096 (bytes).",
        )
    return int(float(match.group(1)) * unit) if "." in match.group(1) else int(match.group(1)) * unit


def format_size(count: float) -> str:
    """A size for people, in powers of 1024 with one decimal: ``131.2 MiB``."""
    sign = "-" if count < 0 else ""
    value = abs(float(count))
    if value < 1024:
        return "%s%d B" % (sign, value)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024.0
        if value < 1023.95 or unit == "TiB":
            return "%s%.1f %s" % (sign, value, unit)
    raise AssertionError("unreachable")


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 log``, ``3 logs``."""
    return "%d %s%s" % (number, noun, "" if number == 1 else "s")


def parse_duration(text: object) -> float:
    """Seconds of a duration such as ``7d``, ``90m``, ``1h30m``, ``45s`` or ``20`` (seconds).

    Raises:
        MaintenanceError: the text is not a duration.
    """
    source = str(text).strip().lower()
    position, total = 0, 0.0
    while position < len(source):
        match = _DURATION_PART.match(source, position)
        if match is None or match.end() == position:
            break
        total += float(match.group(1)) * _DURATION_UNITS[match.group(2) or "s"]
        position = match.end()
        while position < len(source) and source[position] == " ":
            position += 1
    if not source or position != len(source):
        raise MaintenanceError(
            "not a duration", target=repr(text), next_step="Write numbers with units, such as 7d, 90m, 1h30m or 45s."
        )
    return total


def format_duration(seconds: float) -> str:
    """A duration for people: ``0.4 s``, ``12 s``, ``3 min 5 s``, ``2 h 10 min``, ``5 d 3 h``."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds < 10:
        return "%.1f s" % seconds
    whole = int(round(seconds))
    if whole < 60:
        return "%d s" % whole
    for size, name, smaller, smaller_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return "%d %s" % (whole // size, name) + (" %d %s" % (rest, smaller_name) if rest else "")
    raise AssertionError("unreachable")
