# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How full the disks are, what fills them and when they will be full: the work of disk_usage_info."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Tuple

from .._core import dotenv
from .._core.call import Call
from .._core.clock import utc_now
from .._core.errors import MaintenanceError, from_os_error
from .._core.finding import printable
from .._core.forecast import Forecast, forecast
from .._core.plan import Report
from .._core.units import format_size, parse_duration
from .._core.walker import outermost
from . import disk
from .usage import biggest

DEFAULTS = {"warn": ("DISK_WARN_PCT", 80.0), "critical": ("DISK_CRITICAL_PCT", 90.0)}


def thresholds(params: Mapping[str, Any], settings: Mapping[str, str]) -> Dict[str, Any]:
    """The two thresholds and where they came from. Pure.

    Raises:
        MaintenanceError: one is no percentage, or they are in the wrong order.
    """
    found: Dict[str, Any] = {}
    for name, (key, default) in DEFAULTS.items():
        value, source = params[name], "option"
        if value is None and settings.get(key, "").strip():
            source = key
            try:
                value = float(settings[key].strip().rstrip("%"))
            except ValueError as error:
                raise MaintenanceError(
                    "not a percentage",
                    target="%s=%s" % (key, settings[key]),
                    next_step="Correct it in the environment file.",
                ) from error
        elif value is None:
            value, source = default, "default"
        if not 0 < value <= 100:
            raise MaintenanceError(
                "not a percentage", target="%s: %s" % (name, value), next_step="Give a number above 0 and up to 100."
            )
        found[name], found[name + "_from"] = float(value), source
    if found["warn"] > found["critical"]:
        raise MaintenanceError(
            "the threshold for a warning is above the critical one",
            target="warn %(warn)g (%(warn_from)s), critical %(critical)g (%(critical_from)s)" % found,
            next_step="Set warn and critical so that warn is the lower one.",
        )
    return found


def describe_file_system(
    system: disk.FileSystem, limits: Mapping[str, Any], byte: Forecast, inode: Forecast
) -> Dict[str, Any]:
    """One file system as it is returned. Pure."""
    inodes = system.percent_inodes_used
    status = disk.worst(
        disk.judge_usage(used, limits["warn"], limits["critical"]) for used in (system.percent_used, inodes)
    )
    known = [days for days in (byte.days_until_full, inode.days_until_full) if days is not None]
    return {
        "mount_point": printable(system.mount_point),
        "paths": [printable(path) for path in system.paths],
        "status": status,
        "reason": "%.1f %% of bytes%s in use"
        % (system.percent_used, "" if inodes is None else ", %.1f %% of inodes" % inodes),
        "bytes_total": system.bytes_total,
        "bytes_used": system.bytes_used,
        "bytes_available": system.bytes_available,
        "percent_used": system.percent_used,
        "inodes_total": system.inodes_total,
        "inodes_used": system.inodes_used,
        "percent_inodes_used": inodes,
        "days_until_full": round(min(known), 1) if known else None,
        "forecast": {
            "bytes_per_day": None if byte.per_day is None else int(byte.per_day),
            "inodes_per_day": None if inode.per_day is None else round(inode.per_day, 1),
            "samples": byte.samples,
            "span_days": byte.span_days,
            "reason": "" if known else byte.reason,
        },
    }


def disk_headline(systems: List[Dict[str, Any]], status: str) -> Tuple[str, Dict[str, Any]]:
    """One sentence on the file system that needs attention first, and that file system. Pure."""
    first = max(
        systems,
        key=lambda item: (
            disk.STATUSES.index(item["status"]),
            max(item["percent_used"], item["percent_inodes_used"] or 0.0),
        ),
    )
    text = "%s: %s is %.1f %% full, %s available" % (
        status,
        first["mount_point"],
        first["percent_used"],
        format_size(first["bytes_available"]),
    )
    if (first["percent_inodes_used"] or 0.0) > first["percent_used"]:
        text = "%s: %s has %.1f %% of its inodes in use" % (status, first["mount_point"], first["percent_inodes_used"])
    filling = [item for item in systems if item["days_until_full"] is not None]
    if filling:
        soonest = min(filling, key=lambda item: item["days_until_full"])
        place = "" if soonest is first else "%s " % soonest["mount_point"]
        text += ", %sfull in %d days" % (place, soonest["days_until_full"])
    elif first["forecast"]["bytes_per_day"] is not None:
        text += ", not filling"
    else:
        text += ", days until full not known yet (%s)" % first["forecast"]["reason"]
    return text, first


def read_disk_usage(call: Call) -> Report:
    """All that disk_usage_info tells; a real run keeps its measurement.

    Raises:
        MaintenanceError: an option makes no sense, or a file system does not answer.
    """
    params = call.params
    warnings: List[str] = []
    settings: Dict[str, str] = {}
    if params["env_file"] and (params["warn"] is None or params["critical"] is None):
        try:
            settings = dotenv.load(params["env_file"])
        except MaintenanceError as error:
            warnings.append("%s The built-in thresholds are used." % error)
    limits = thresholds(params, settings)
    seconds = parse_duration(params["time_limit"])
    if not params["paths"]:
        raise MaintenanceError("no paths to measure", next_step="Set paths.")
    now = utc_now()
    systems = disk.measure_file_systems(params["paths"])
    history = disk.History(call.run.state_dir)
    known = history.load()
    described = []
    for system in systems:
        past = known.get(system.mount_point, []) + [disk.Sample(now, system.bytes_used, system.inodes_used)]
        byte = forecast([(item.at, item.bytes_used) for item in past], system.bytes_available, now)
        inode = Forecast(None, None, 0, 0.0)
        if system.inodes_total:
            left = system.inodes_total - system.inodes_used
            inode = forecast([(item.at, item.inodes_used) for item in past], left, now)
        described.append(describe_file_system(system, limits, byte, inode))
    largest, entries = _largest_directories(params, seconds, warnings)
    if not call.check:
        try:
            history.add(systems, now)
        except disk.HistoryFull as error:
            warnings.append("this measurement is not kept: %s" % error)
    status = disk.worst(item["status"] for item in described)
    text, first = disk_headline(described, status)
    days = [item["days_until_full"] for item in described if item["days_until_full"] is not None]
    return Report(
        text,
        summary={
            "status": status,
            "percent_used": first["percent_used"],
            "percent_inodes_used": first["percent_inodes_used"],
            "bytes_available": first["bytes_available"],
            "days_until_full": min(days) if days else None,
            "entries": entries,
        },
        values={"status": status, "filesystems": described, "largest": largest, "thresholds": limits},
        warnings=warnings,
    )


def _largest_directories(
    params: Mapping[str, Any], seconds: float, warnings: List[str]
) -> Tuple[List[Dict[str, Any]], int]:
    if params["largest"] <= 0:
        return [], 0
    roots = [path for path in outermost(params["paths"]) if disk.existing_parent(path) == path]
    found, entries = [], 0
    for root in roots:
        try:
            usage = biggest(root, params["largest"], seconds / max(1, len(roots)))
        except OSError as error:
            warnings.append(str(from_os_error("cannot look for big directories", error, target=printable(root))))
            continue
        entries += usage.entries
        found += usage.largest
        if not usage.complete:
            warnings.append("the search for big directories below %s ran out of time (time_limit)" % printable(root))
        if usage.unreadable:
            warnings.append("%d directories below %s could not be read" % (usage.unreadable, printable(root)))
    found.sort(key=lambda item: (-item.allocated, item.path))
    return [item.as_dict() for item in found[: params["largest"]]], entries
