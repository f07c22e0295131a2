# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of every module that returns findings."""

from __future__ import annotations


class ModuleDocFragment:
    """Threshold, waivers, baseline and SARIF."""

    DOCUMENTATION = r"""
options:
  fail_on:
    description:
      - The module fails when there is a V(new) finding of this severity or above. V(never) never does.
      - The first audit of a place sets its baseline and does not fail; V(known) and V(waived) findings never do.
      - A finding that was there at the baseline and has become more severe counts as V(new).
    type: str
    choices: [low, medium, high, critical, never]
    default: high
  waivers:
    description:
      - Findings that may stand for a while. An expired waiver no longer covers anything and is itself a finding of severity V(medium).
      - Each names what it covers by O(waivers[].fingerprint), or by globs for O(waivers[].target), O(waivers[].rule) or both.
    type: list
    elements: dict
    default: []
    suboptions:
      fingerprint:
        description: The C(fingerprint) or C(id) of the finding.
        type: str
      target:
        description: Glob for the C(target) of findings.
        type: str
      rule:
        description: Glob for the C(rule) of findings.
        type: str
      reason:
        description: Why it may stand.
        type: str
        required: true
      expires:
        description: The last day on which it may, as in V(2027-03-31).
        type: str
        required: true
  update_baseline:
    description:
      - Take everything found now as known from now on.
      - The baseline lies under O(state_dir), in C(baselines), and is not written in check mode.
    type: bool
    default: false
  sarif:
    description:
      - File on the host to write the findings to, as SARIF 2.1.0. Its directory must exist.
      - It is replaced in one step and only when its content changes, which then counts as a change. Not written in check mode.
    type: path
"""
