# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the audits of a run have found, in the order in which to mend it: by severity, then as the shop's guide has it. Pure."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ..module_utils._core.finding import FIXED, NEW, WAIVED, priority

_HEADER = ("", "severity", "rule", "findings", "new", "step")


def by_priority(finding: Mapping[str, Any]) -> Tuple[int, int]:
    """Sorts findings of all audits as they should be mended."""
    return priority(str(finding.get("severity")), str(finding.get("rule")))


def mending_table(found: Sequence[Tuple[str, Mapping[str, Any]]]) -> List[str]:
    """A table of rules, the first to be mended first; none where there is no order to tell.

    Args:
        found: findings of audits, each with its step.
    """
    groups: Dict[Tuple[str, str, str], List[Mapping[str, Any]]] = {}
    for step, finding in sorted(found, key=lambda entry: by_priority(entry[1])):
        if finding.get("status") not in (WAIVED, FIXED):
            key = (str(finding.get("severity")), str(finding.get("rule")), step)
            groups.setdefault(key, []).append(finding)
    if len(groups) < 2:
        return []
    rows: List[Tuple[str, ...]] = [_HEADER]
    rows += [
        (str(number), severity, rule, str(len(findings)), str(sum(one.get("status") == NEW for one in findings)), step)
        for number, ((severity, rule, step), findings) in enumerate(groups.items(), 1)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    rows.insert(1, tuple("-" * width for width in widths))
    # Numbers stand to the right.
    return ["To mend, in this order:"] + [
        (
            "  "
            + "  ".join(
                cell.rjust(width) if column in (0, 3, 4) else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths))
            )
        ).rstrip()
        for row in rows
    ]
