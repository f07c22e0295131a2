# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judging relation after relation: the work of mongo_orphans."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Callable, List

from .._core.call import Call
from .._core.clock import utc_now
from .._core.errors import MaintenanceError
from .._core.plan import Report
from .._core.units import parse_duration
from .client import connect
from .orphans import OrphanFinder, RelationFindings, suspicion
from .relations import SHOP_RELATIONS, expand_relations, parse_relation


def every_half_minute(action: Callable[[], None]) -> Callable[[], None]:
    """The action, for calling it as often as one likes."""
    last = [time.monotonic()]

    def call() -> None:
        if time.monotonic() - last[0] > 30:
            last[0] = time.monotonic()
            action()

    return call


def search_orphans(call: Call) -> Report:
    """All that mongo_orphans tells.

    Raises:
        MaintenanceError: the server refuses or cannot be reached, or an option makes no sense.
    """
    params = call.params
    own = params["relations"] is not None
    relations = [parse_relation(entry) for entry in params["relations"]] if own else list(SHOP_RELATIONS)
    try:
        cutoff = utc_now() - timedelta(seconds=parse_duration(params["min_age"]))
    except OverflowError:
        raise MaintenanceError(
            "that is longer ago than there are dates",
            target=repr(params["min_age"]),
            next_step="Give a shorter min_age.",
        ) from None
    with connect(params) as connection:
        database = connection.client[connection.require_database(params["database"])]
        finder = OrphanFinder(database, cutoff, max(0, params["samples"]), every_half_minute(call.run.renew))
        findings = [finder.find(relation) for relation in expand_relations(relations, sorted(finder.collections))]
    warnings = [text for text in map(suspicion, findings) if text]
    if own:
        # The shop's own list names collections that a shop may not use; a list that somebody wrote should be right.
        warnings += [
            "%s is not judged: %s" % (entry.relation.name, entry.reason) for entry in findings if not entry.judged
        ]
    return orphan_report(findings, warnings)


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
