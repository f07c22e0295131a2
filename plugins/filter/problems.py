# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a run's result is to be alerted."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Mapping

from ansible.errors import AnsibleFilterError

from ..module_utils._core.finding import NEW, SEVERITIES
from ..plugin_utils.query import plain, select

DOCUMENTATION = r"""
name: problems
short_description: What of a run's result is to be alerted
version_added: 0.1.0
description:
  - Turns the result of M(miniecom.maintenance.maintenance_report) into the problems and the steps looked at that M(miniecom.maintenance.maintenance_alert)
    takes.
  - Without an expression these are each step that failed (severity critical) and each finding that is new (with its own severity).
  - A run that failed outside of its steps, or could not be reported at all, is a problem whatever the expression says. So is an expression that makes
    no sense; what would have been alerted without it then is.
requirements:
  - jmespath on the controller, where there is an expression
options:
  _input:
    description: The result of the report, or a mapping with C(name), C(status), C(verdict) and C(steps).
    type: dict
    required: true
  when:
    description:
      - A JMESPath expression over the result. V(true) is what there is without one; null, V(false) and empty lists are nothing.
      - Elements of C(steps) and C(findings) that it chooses are alerted, whatever their status; a step that did not fail has severity high. Text that it
        makes is alerted as it is, with severity high.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Of failures only those of backups and of the shop's health
  ansible.builtin.set_fact:
    found: "{{ report_result | miniecom.maintenance.problems(expression) }}"
  vars:
    expression: "steps[?status=='failed' && contains(['backup', 'backup age', 'health'], step)]"

- name: What took longer than an hour as well
  ansible.builtin.set_fact:
    found: "{{ report_result | miniecom.maintenance.problems(expression) }}"
  vars:
    expression: "[steps[?status=='failed'], steps[?seconds > `3600`]][]"
"""

RETURN = r"""
_value:
  description: C(problems) and C(looked_at), as M(miniecom.maintenance.maintenance_alert) takes them.
  type: dict
"""

# The row of what ends a run outside of its steps.
_RUN_ROW = "run"


def _step(step: Mapping[str, Any]) -> Dict[str, Any]:
    failed = step.get("status") == "failed"
    kind = "run" if step.get("step") == _RUN_ROW else "step"
    return {
        "kind": kind,
        "step": step.get("step", ""),
        "severity": "critical" if failed else "high",
        "text": step.get("headline") or ("failed" if failed else str(step.get("status"))),
    }


def _finding(finding: Mapping[str, Any]) -> Dict[str, Any]:
    severity = finding.get("severity")
    return {
        "kind": "finding",
        "id": finding["id"],
        "step": finding.get("step", ""),
        "severity": severity if severity in SEVERITIES else "high",
        "text": "%s: %s" % (finding.get("target"), finding.get("message")),
    }


def _usual(result: Mapping[str, Any]) -> List[Any]:
    """What is alerted where nobody says anything else."""
    failed = [step for step in result.get("steps") or [] if step.get("status") == "failed"]
    return failed + [finding for finding in result.get("findings") or [] if finding.get("status") == NEW]


def _problem(chosen: Any) -> Dict[str, Any]:
    if isinstance(chosen, Mapping) and chosen.get("id") and chosen.get("severity"):
        return _finding(chosen)
    if isinstance(chosen, Mapping) and chosen.get("step") and chosen.get("status"):
        return _step(chosen)
    text = chosen if isinstance(chosen, str) else json.dumps(chosen, sort_keys=True)
    return {"kind": "text", "severity": "high", "text": text}


def problems(result: Any, when: str = "") -> Dict[str, Any]:
    """The problems of a result, and the steps that did their work."""
    found: Dict[str, Any] = plain(result) if isinstance(result, Mapping) else {}
    expression = str(plain(when) or "").strip()
    steps = [step for step in found.get("steps") or [] if isinstance(step, Mapping)]
    told: List[Dict[str, Any]] = []
    try:
        chosen: Any = select(found, expression) if expression else True
    except AnsibleFilterError as error:
        told.append({"kind": "run", "severity": "critical", "text": "alerts_when: %s" % error})
        chosen = True
    if chosen is True:
        chosen = _usual(found)
    if chosen and not isinstance(chosen, list):
        chosen = [chosen]
    told.extend(_problem(entry) for entry in chosen or [] if entry not in (None, "", False))
    if found.get("failed") or not found.get("status"):
        text = found.get("msg") or "the run could not be reported"
        told.append({"kind": "run", "severity": "critical", "text": str(text)})
    elif found["status"] == "failed" and not any(step.get("status") == "failed" for step in steps):
        told.append({"kind": "run", "severity": "critical", "text": found.get("verdict") or "the run failed"})
    looked_at = [step["step"] for step in steps if step.get("status") in ("ok", "changed") and step.get("step")]
    return {"problems": told, "looked_at": looked_at}


class FilterModule:
    """Filter plugin."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"problems": problems}
