# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an alert is about: problems as one run saw them, and as they stand from run to run. Plain data."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Tuple

from .._core.errors import MaintenanceError
from .._core.finding import SEVERITIES, printable
from .._core.late_dataclass import dataclass
from .._core.redaction import SECRETS

STEP, FINDING, RUN, TEXT, JOB = "step", "finding", "run", "text", "job"
KINDS = (STEP, FINDING, RUN, TEXT, JOB)
_LONGEST = 600


@dataclass(frozen=True)
class Concern:
    """One thing that somebody should know of.

    Attributes:
        kind: step (one failed, or was chosen), finding (of an audit), run (it failed outside of its steps), text (a sentence of the
            user's own choosing), job (a scheduled one failed).
        key: what makes it the same problem in another run.
        step: the step that looks for it; "" for runs, texts and jobs.
        run: name of the run that saw it.
    """

    kind: str
    key: str
    severity: str
    text: str
    step: str = ""
    run: str = ""


@dataclass(frozen=True)
class Recalled:
    """A problem that stands, as it is remembered.

    Attributes:
        since, seen: when it was first and last met.
        told: each channel that knows of it, when it was told last, and how bad it was then.
        over: when it was seen to be over, "" while it stands.
    """

    problem: Concern
    since: str
    seen: str
    told: Tuple[Tuple[str, str, str], ...] = ()
    over: str = ""


@dataclass(frozen=True)
class RunSeen:
    """The run that is told of.

    Attributes:
        status: ok or failed.
        looked_at: the steps that did their work: what one of them does not report any more is over.
        present: ids of all findings that stand, as far as the host's record tells.
        record: the record on the host.
    """

    name: str
    run_id: str
    host: str
    status: str
    verdict: str
    looked_at: Tuple[str, ...] = ()
    present: Tuple[str, ...] = ()
    record: str = ""


def line(text: object, longest: int = _LONGEST) -> str:
    """One line without secrets and control characters."""
    words = printable(" ".join(SECRETS.clean_text(str(text)).split()))
    return words if len(words) <= longest else words[: longest - 1] + "\u2026"


def read_problems(entries: Sequence[Mapping[str, Any]], run: str) -> List[Concern]:
    """The problems of a module's options, each once; secrets that are known by now are masked.

    Raises:
        MaintenanceError: one of them makes no sense.
    """
    found: Dict[str, Concern] = {}
    for entry in entries:
        kind, severity = str(entry.get("kind") or TEXT), str(entry.get("severity") or "high")
        if kind not in KINDS or severity not in SEVERITIES:
            raise MaintenanceError(
                "not a problem to alert of",
                target="kind %r, severity %r" % (kind, severity),
                next_step="Kinds: %s; severities: %s." % (", ".join(KINDS), ", ".join(SEVERITIES)),
            )
        step, text = line(entry.get("step") or ""), line(entry.get("text") or "no message")
        own = {STEP: step, RUN: run, FINDING: str(entry.get("id") or text)}.get(kind, text)
        key = "%s:%s" % (kind, line(entry.get("id") if kind == JOB else own))
        found.setdefault(key, Concern(kind, key, severity, text, step, run))
    return list(found.values())
