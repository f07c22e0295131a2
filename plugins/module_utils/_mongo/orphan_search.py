# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the relations came to, for the report of mongo_orphans."""

from __future__ import annotations

import time
from typing import Callable, List

from .._core.plan import Report
from .orphans import RelationFindings


def every_half_minute(action: Callable[[], None]) -> Callable[[], None]:
    """The action, for calling it as often as one likes."""
    last = [time.monotonic()]

    def call() -> None:
        if time.monotonic() - last[0] > 30:
            last[0] = time.monotonic()
            action()

    return call


def orphan_report(findings: List[RelationFindings], warnings: List[str]) -> Report:
    """What the relations came to, and the few numbers a person wants. Pure."""
    judged = [entry for entry in findings if entry.judged]
    orphans = sum(entry.orphans for entry in judged)
    concerned = [entry.as_dict() for entry in findings if entry.orphans]
    skipped = len(findings) - len(judged)
    headline = "no orphans in %d relations" % len(judged)
    if orphans:
        headline = "%d orphan%s in %d of %d relations" % (
            orphans,
            "" if orphans == 1 else "s",
            len(concerned),
            len(judged),
        )
    malformed = sum(entry.malformed for entry in judged)
    if malformed:
        headline += ", %d malformed reference%s" % (malformed, "" if malformed == 1 else "s")
    if skipped:
        headline += ", %d not judged" % skipped
    return Report(
        headline,
        summary={
            "orphans": orphans,
            "documents": sum(entry.documents for entry in judged),
            "malformed": malformed,
            "relations_judged": len(judged),
            "relations_not_judged": skipped,
        },
        values={"relations": [entry.as_dict() for entry in findings]},
        record={
            key: found
            for key, found in (
                ("relations", concerned),
                ("malformed_references", [entry.as_dict() for entry in findings if entry.malformed]),
            )
            if found
        },
        warnings=warnings,
    )
