# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a directory of backups holds, as backup_info tells it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict

from .._core.call import Call
from .._core.clock import utc_now
from .._core.plan import Report
from .._core.units import counted, format_duration, format_size
from .catalogue import Catalogue, describe_backup, read_catalogue

MAX_WARNINGS = 5


def backup_info(call: Call) -> Report:
    """Look into the directory of the options.

    Raises:
        MaintenanceError: it cannot be read.
    """
    found = read_catalogue(call.params["path"], missing_ok=True).of(call.params["database"])
    return report_of(found, utc_now())


def report_of(found: Catalogue, now: datetime) -> Report:
    """A catalogue as return values. Pure."""
    backups = [describe_backup(backup, now) for backup in reversed(found.backups)]
    verified = found.newest_verified(now)
    newest = found.newest(now)
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
        "partials": len(found.partials),
        "bytes_partials": sum(size for _path, size in found.partials),
        "other_databases": len(found.others),
        "foreign": found.foreign,
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
    if summary["restore_failed"]:
        headline += ", %d proven not to restore" % summary["restore_failed"]
    if found.implausible:
        headline += ", %d that cannot be backups" % len(found.implausible)
    warnings = ["%s does not count as a backup: %s" % (backup.path, backup.problem) for backup in found.implausible]
    return Report(headline, summary=summary, values=values, warnings=warnings[:MAX_WARNINGS])
