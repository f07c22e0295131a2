# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The maintenance log of a host: Markdown for people, a heading for each day and a point for each thing done. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, List, Mapping, Sequence

from .units import format_duration

TITLE = "# Maintenance Log"
_LONGEST = 300
# The end of a failure's message says what to do: it is cut only where no person would read on.
_LONGEST_FAILURE = 4000


def _line(text: object, longest: int = _LONGEST) -> str:
    """One line of plain text, whatever a module's sentence holds."""
    words = " ".join(str(text).split())
    return words if len(words) <= longest else words[: longest - 1] + "…"


def _count(step: Mapping[str, Any]) -> int:
    """How many findings a step has, known and new."""
    counts = [step.get(key) for key in ("findings", "findings_total")]
    return max([int(str(count)) for count in counts if str(count).isdecimal()] or [0])


def _title(step: Mapping[str, Any]) -> str:
    name = _line(step.get("step") or "step")
    return name[:1].upper() + name[1:]


def entry(
    name: str,
    run_id: str,
    owner: str,
    status: str,
    seconds: float,
    steps: Sequence[Mapping[str, Any]],
    notes: Sequence[str] = (),
) -> List[str]:
    """The points of one run: the run itself, what was changed, found or went wrong, and in one line what had nothing to do.

    Args:
        seconds: how long the run took.
        steps: as maintenance_run takes them, each with step, status, headline, findings.
        notes: further points, such as a run that was taken over.
    """
    title = _line(name)
    lines = [
        "- %s: %s, %d step%s in %s (run %s%s)"
        % (
            title[:1].upper() + title[1:],
            "**failed**" if status == "failed" else status,
            len(steps),
            "" if len(steps) == 1 else "s",
            format_duration(max(seconds, 0)),
            run_id,
            " by " + _line(owner) if owner else "",
        )
    ]
    lines.extend("- " + _line(note) for note in notes)
    quiet: List[str] = []
    for step in steps:
        state, headline = str(step.get("status") or ""), _line(step.get("headline") or "")
        if state == "failed":
            message = _line(step.get("headline") or "no message", _LONGEST_FAILURE)
            lines.append("- **%s failed**: %s" % (_title(step), message))
        elif state in ("changed", "would"):
            lines.append("- %s: %s" % (_title(step), headline or state))
        elif _count(step):
            lines.append("- %s: %s" % (_title(step), headline or "%d found" % _count(step)))
        elif state == "skipped" and headline:
            lines.append("- %s skipped: %s" % (_title(step), headline))
        else:
            quiet.append(_line(step.get("step") or "step"))
    if quiet:
        lines.append("- Nothing to do: " + ", ".join(quiet))
    return lines


def append(text: str, moment: datetime, lines: Sequence[str], run_id: str) -> str:
    """The log with a run's points under the heading of its day; unchanged when the run stands in it already.

    What people wrote stays as it is. The newest day is the last one, as in the guide's template.
    """
    if re.search(r"\(run %s\b" % re.escape(run_id), text):
        return text
    heading = "## " + moment.strftime("%Y-%m-%d")
    body = text.rstrip("\n")
    if not body.strip():
        body = TITLE
    headings = re.findall(r"^## .*$", body, re.MULTILINE)
    if not headings or headings[-1].strip() != heading:
        body += "\n\n" + heading
    return body + "\n" + "\n".join(lines) + "\n"
