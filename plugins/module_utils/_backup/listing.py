# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a directory of backups holds, as backup_info tells it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, Mapping, Optional

from .._core.call import Call
from .._core.clock import parse_utc, utc_now
from .._core.plan import Report
from .._core.units import counted, format_duration, format_size
from .catalogue import Catalogue, describe_backup, read_catalogue
from .offsite_ledger import LedgerEntry, newest_entry

MAX_WARNINGS = 5


def backup_info(call: Call) -> Report:
    """Look into the directory of the options.

    Raises:
        MaintenanceError: it cannot be read.
    """
    path, database = call.params["path"], call.params["database"]
    found = read_catalogue(path, missing_ok=True).of(database)
    return report_of(found, utc_now(), newest_entry(call.run.state_dir, path, database or ""))


def report_of(found: Catalogue, now: datetime, offsite: Optional[LedgerEntry] = None) -> Report:
    """A catalogue as return values. Pure.

    Args:
        offsite: what is known of the copies at a second place.
    """
    backups = [describe_backup(backup, now) for backup in reversed(found.backups)]
    verified = found.newest_verified(now)
    newest = found.newest(now)
    restored = found.newest_restored(now)
    summary: Dict[str, Any] = {
        "backups": len(backups),
        "verified": sum(1 for backup in found.backups if backup.verified),
        "restore_tested": sum(
            1 for backup in found.backups if backup.verification is not None and backup.verification.restore_tested
        ),
        "restore_failed": sum(1 for backup in found.backups if backup.restore_failed),
        "implausible": len(found.implausible),
        "bytes": sum(backup.size for backup in found.backups),
        "age_hours": None,
        "newest_age_hours": None,
        "restore_tested_days": None,
        "partials": len(found.partials),
        "bytes_partials": sum(size for _path, size in found.partials),
        "other_databases": len(found.others),
        "foreign": found.foreign,
        "offsite_age_hours": None,
    }
    values: Dict[str, Any] = {"backups": backups}
    headline = "there is no backup"
    if backups:
        headline = "%s (%s), none of them verified" % (counted(len(backups), "backup"), format_size(summary["bytes"]))
    if newest is not None:
        values["newest"] = describe_backup(newest, now)
        summary["newest_age_hours"] = values["newest"]["age_hours"]
    if verified is not None:
        values["newest_verified"] = describe_backup(verified, now)
        summary["age_hours"] = values["newest_verified"]["age_hours"]
        headline = "%s (%s), the newest verified one is %s old" % (
            counted(len(backups), "backup"),
            format_size(summary["bytes"]),
            format_duration(max(0.0, verified.age_seconds(now))),
        )
    if restored is not None:
        values["last_verified"] = describe_backup(restored, now)
        summary["restore_tested_days"] = round(
            _seconds_since(values["last_verified"]["restore_tested"], now) / 86400, 1
        )
    if verified is not None:
        headline += ", %s" % _proof(values.get("last_verified"), values["newest_verified"], now)
    if summary["restore_failed"]:
        headline += ", %d proven not to restore" % summary["restore_failed"]
    if found.implausible:
        headline += ", %d that cannot be backups" % len(found.implausible)
    if offsite is not None:
        values["offsite"] = offsite.describe(now)
        summary["offsite_age_hours"] = values["offsite"]["age_hours"]
        age = offsite.age_seconds(now)
        told = "there is no copy off the host"
        if age is not None:
            told = "the newest copy off the host is %s old" % format_duration(max(0.0, age))
            if offsite.looked:
                # The place is not asked: it may be gone since.
                told += ", as seen there %s ago" % format_duration(_seconds_since(offsite.looked, now))
        headline += "; " + told
    warnings = ["%s does not count as a backup: %s" % (backup.path, backup.problem) for backup in found.implausible]
    return Report(headline, summary=summary, values=values, warnings=warnings[:MAX_WARNINGS])


def _seconds_since(text: str, now: datetime) -> float:
    return max(0.0, (now - parse_utc(text)).total_seconds())


def _proof(proven: Optional[Mapping[str, Any]], newest: Mapping[str, Any], now: datetime) -> str:
    """What is known of restoring: of the newest verified backup, or else of an older one."""
    if proven is None:
        return "of none a restore was tested"
    ago = format_duration(_seconds_since(proven["restore_tested"], now))
    which = "it" if proven["name"] == newest["name"] else proven["name"]
    took = " in %s" % format_duration(proven["restore_seconds"]) if proven["restore_seconds"] else ""
    return "%s was restored%s in a test %s ago" % (which, took, ago)
