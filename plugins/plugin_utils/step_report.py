# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the registered results of a run's steps to the table that a person reads. Pure, controller side."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Mapping, Sequence

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.units import format_size

HEADLINE_WIDTH = 76


@dataclass(frozen=True)
class Step:
    """One row of the summary.

    Attributes:
        status: ok, changed, would (check mode, something would change), skipped or failed.
        headline: one sentence about what was done, found or went wrong.
        bytes: freed or written, as the headline says; None where bytes mean nothing.
        seconds: duration of the module on the host; None where it is not known.
        findings: new findings; None for steps that look for none.
    """

    step: str
    status: str
    headline: str
    bytes: int | None = None
    seconds: float | None = None
    findings: int | None = None

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def _number(value: Any, kind: type) -> Any:
    try:
        return None if value is None else kind(value)
    except (TypeError, ValueError):
        return None


def step_of(name: str, result: Mapping[str, Any], check: bool) -> Step:
    """The row for one registered result.

    Args:
        name: the step's title.
        result: what the task registered. A step that was deliberately left out registers ``skipped`` with a ``reason``.
        check: the run is in check mode.
    """
    if isinstance(result.get("results"), (list, tuple)):
        return _looped(name, result, check)
    summary = result.get("summary")
    summary = summary if isinstance(summary, Mapping) else {}
    headline = str(summary.get("headline") or "")
    if result.get("unreachable"):
        status, headline = "failed", "unreachable: " + str(result.get("msg", ""))
    elif result.get("failed"):
        status, headline = "failed", str(result.get("msg") or headline or "failed without a message")
    elif result.get("skipped"):
        status, headline = "skipped", str(result.get("reason") or result.get("skip_reason") or "")
    elif result.get("changed"):
        status = "would" if check else "changed"
    else:
        status = "ok"
    return Step(
        name,
        status,
        " ".join(headline.split()),
        _number(summary.get("bytes"), int),
        _number(summary.get("seconds"), float),
        _number(summary.get("findings"), int),
    )


# The worst of several results decides.
_WORST_FIRST = ("failed", "would", "changed", "ok", "skipped")


def _looped(name: str, result: Mapping[str, Any], check: bool) -> Step:
    """One row for a task with a loop."""
    steps = [step_of(name, item, check) for item in result["results"]]
    if not steps:
        return Step(name, "skipped", "nothing to do")

    def total(values: Sequence[Any]) -> Any:
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    return Step(
        name,
        min((step.status for step in steps), key=_WORST_FIRST.index),
        "; ".join(step.headline for step in steps if step.headline),
        total([step.bytes for step in steps]),
        total([step.seconds for step in steps]),
        total([step.findings for step in steps]),
    )


def collect(wanted: Sequence[Mapping[str, str]], variables: Mapping[str, Any], check: bool) -> List[Step]:
    """The rows of all steps that ran or were deliberately left out.

    Args:
        wanted: in order, ``step`` (a title) and ``variable`` (the name under which its task registered).
        variables: the host's variables.
    """
    steps = []
    for entry in wanted:
        result = variables.get(entry["variable"])
        if isinstance(result, Mapping) and result:
            steps.append(step_of(entry["step"], result, check))
    return steps


def _cells(step: Step, check: bool) -> List[str]:
    shown = {"would": "WOULD", "failed": "FAILED"}.get(step.status, step.status)
    return [
        step.step,
        shown,
        "-" if step.bytes is None else format_size(step.bytes),
        "-" if step.seconds is None else "%.1f" % step.seconds,
        "-" if step.findings is None else str(step.findings),
    ]


def table(steps: Sequence[Step], title: str, check: bool, footer: Sequence[str] = ()) -> str:
    """The summary as text: aligned columns, headlines wrapped, no line much over 120 columns."""
    header = ["step", "result", "bytes", "seconds", "findings"]
    rows = [_cells(step, check) for step in steps]
    widths = [max(len(row[column]) for row in [header] + rows) for column in range(len(header))]
    right = {2, 3, 4}

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(widths[column]) if column in right else cell.ljust(widths[column])
            for column, cell in enumerate(cells)
        )

    indent = " " * (sum(widths) + 2 * len(widths))
    lines = [title, "", line(header) + "  what", line(["-" * width for width in widths]) + "  " + "-" * 4]
    for step, cells in zip(steps, rows):
        wrapped = textwrap.wrap(step.headline, HEADLINE_WIDTH) or [""]
        lines.append((line(cells) + "  " + wrapped[0]).rstrip())
        lines.extend((indent + more) for more in wrapped[1:6])
    lines.append("")
    lines.extend(footer)
    return "\n".join(lines)


def verdict(steps: Sequence[Step], check: bool) -> str:
    """One sentence: how the run went."""
    failed = [step.step for step in steps if step.status == "failed"]
    changed = sum(step.status in ("changed", "would") for step in steps)
    if failed:
        return "%d of %d steps failed: %s" % (len(failed), len(steps), ", ".join(failed))
    if check:
        return "%d of %d steps would change something; nothing was changed" % (changed, len(steps))
    return "all %d steps ended well, %d of them changed something" % (len(steps), changed)
