# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which rows of a summary are shown, chosen with JMESPath. Pure, controller side."""

from __future__ import annotations

from typing import Any, List, Mapping, Sequence, Tuple

from ansible.errors import AnsibleFilterError

from .query import select
from .step_report import Step


def chosen_rows(steps: Sequence[Step], result: Mapping[str, Any], expression: str) -> Tuple[List[Step], str]:
    """The rows to show, and what is to be said of that, "" when nothing is.

    A step that failed is shown whatever is chosen, and everything is where the expression makes no sense: a slip in it must
    hide nothing.

    Args:
        result: what the expression is about; its ``steps`` are those of the rows.
        expression: chooses some of the ``steps``, or their titles; "" chooses all.
    """
    if not expression.strip():
        return list(steps), ""
    try:
        titles = _titles(select(result, expression))
    except (AnsibleFilterError, ValueError) as error:
        return list(steps), "report_select chooses nothing: %s" % error
    rows = {step.step: step for step in steps}
    shown = [rows[title] for title in dict.fromkeys(titles) if title in rows]
    shown += [step for step in steps if step.status == "failed" and step not in shown]
    return shown, "%d of %d steps are shown (report_select)" % (len(shown), len(steps))


def _titles(answer: Any) -> List[str]:
    """Raises ValueError: these are no steps."""
    found = []
    for entry in answer if isinstance(answer, list) else [answer]:
        title = entry.get("step") if isinstance(entry, Mapping) else entry
        if isinstance(title, str):
            found.append(title)
        elif entry not in (None, False):
            raise ValueError("it answers with %.60r, and not with steps or their titles" % (entry,))
    return found
