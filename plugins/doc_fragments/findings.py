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
      - A finding that was there at the baseline and has become more severe counts as V(new). It stays V(new) until it is mended, waived or taken into the
        baseline by O(update_baseline).
      - What a rule finds that no earlier audit of the host had, as after an upgrade of this collection, is told as V(new) with C(new_rule=true),
        fails nothing, and is V(known) from then on. A warning names what would have failed.
    type: str
    choices: [low, medium, high, critical, never]
    default: high
  fail_for:
    description:
      - Which findings at or above O(fail_on) make the module fail, V(new) ones, or V(all) that are not waived, also at the first audit.
    type: str
    choices: [new, all]
    default: new
  waivers:
    description:
      - Findings that may stand for a while, beside those that M(miniecom.maintenance.finding_waiver) has written down on the host.
      - An expired waiver no longer covers anything and is itself a finding of severity V(medium). What it covered is V(new) then.
      - Each names what it covers by O(waivers[].fingerprint), or by globs for O(waivers[].target), O(waivers[].rule) or both.
      - One that names a rule or a finding that there is not is told in a warning, with the nearest name.
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
