#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of the same name; all work is done on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: maintenance_report
short_description: End a run, show what it did, keep a copy on the controller
version_added: 0.1.0
description:
  - Collects the registered results of a run's steps, ends the run on the host with M(miniecom.maintenance.maintenance_run), writes record and
    summary into a directory of the controller, and prints one table per host.
  - It does not fail when a step failed, so that its result stays short in job logs; let a task after it fail when RV(status) is V(failed), so that a
    rescued failure still ends the run failed. The role P(miniecom.maintenance.report#role) does.
  - Works the same in check mode, where the table says would change and the host is left alone.
  - With O(lines) it only prints these lines.
  - Where the callback for standard output writes for programs, as C(json) and C(jsonl) do, nothing is printed beside it; RV(table) or RV(lines)
    has what people would read.
options:
  run_id:
    description: The run to end, as returned by M(miniecom.maintenance.maintenance_run).
    type: str
  name:
    description: What the run is called in the summary.
    type: str
    default: maintenance
  steps:
    description:
      - In order, what to show. Steps whose variable is not defined did not run and are left out.
      - A step that is deliberately left out sets its variable to C(skipped=true) with a C(reason).
    type: list
    elements: dict
    default: []
    suboptions:
      step:
        description: Title of the step.
        type: str
        required: true
      variable:
        description: Name of the variable that the step's task registered.
        type: str
        required: true
  failures:
    description:
      - What failed without registering a result, such as a role whose options are not valid, noted by the rescue of a step.
      - A failure of which the failed task's own row tells already is not told twice. Otherwise the rows of its step that have no result become
        failed ones, or its first row where each has one.
    type: list
    elements: dict
    default: []
    suboptions:
      rows:
        description: Variables of the step's rows in O(steps). What is none of them gets a row of its own at the end.
        type: list
        elements: str
      registered:
        description: Name of the variable that the task that failed registers; a mapping with such names as keys is taken, too.
        type: raw
      task:
        description: Name of the task that failed.
        type: str
      message:
        description: What it said.
        type: str
      run_id:
        description: The run in which it failed; those of another run are passed over.
        type: str
  findings:
    description:
      - Which findings to print below the table, each with severity, target, line, message and id. A waiver may name the id.
      - V(notable) prints what is new, what was mended and what is high or above, at most 20 of a step; V(all) prints known and low ones, too.
      - Relations with orphans are printed in either case. Record and copy have all of them, whatever is printed.
    type: str
    choices: [notable, all]
    default: notable
  select:
    description:
      - Which rows to show, as a JMESPath expression over RV(name), RV(status), RV(verdict), RV(steps) and RV(findings) of the result. It chooses some of
        RV(steps), or their titles, in the order in which they are to be shown. Empty shows all.
      - Steps that failed are shown whatever it chooses, and all are where it makes no sense, which is said below the table. Record, copy and result have
        all steps in any case.
      - Needs jmespath on the controller.
    type: str
    default: ""
  lines:
    description: Print these lines and do nothing else.
    type: list
    elements: str
  directory:
    description: Directory on the controller for record and summary. Without it no copy is kept.
    type: path
  keep:
    description: How many runs of a host stay in O(directory), the newest; 0 keeps all. Records on the host are another matter.
    type: int
    default: 400
  state_dir:
    description: State directory on the host.
    type: path
  log_path:
    description: Maintenance log on the host; see M(miniecom.maintenance.maintenance_run).
    type: path
attributes:
  check_mode:
    description: Whether check mode tells what would happen without changing anything.
    support: full
    details: Record and summary lie on the controller only.
  diff_mode:
    description: Whether diff mode shows what changes, or in check mode would change.
    support: none
    details: A report never counts as a change.
  idempotent:
    description: Whether a second run with nothing new reports no change.
    support: full
  platform:
    description: On which platforms the module runs.
    support: full
    platforms: linux
author:
  - miniecom.maintenance contributors (@miniecom)
seealso:
  - module: miniecom.maintenance.maintenance_run
"""

EXAMPLES = r"""
- name: End the run and show what it did
  miniecom.maintenance.maintenance_report:
    run_id: "{{ run.run_id }}"
    name: weekly maintenance
    directory: ~/.local/state/miniecom-maintenance
    steps:
      - step: backup
        variable: backup_result
      - step: compaction
        variable: mongo_maintenance_compact_result
  register: report

- name: End as failed when a step failed
  ansible.builtin.fail:
    msg: "{{ report.verdict }}"
  when: report.status == 'failed'

- name: Print some lines
  miniecom.maintenance.maintenance_report:
    lines:
      - MongoDB holds 131.2 MiB that compaction would give back.
"""

RETURN = r"""
run_id:
  description: The run.
  returned: when a run was ended
  type: str
status:
  description: V(ok) or V(failed).
  returned: when a run was ended
  type: str
verdict:
  description: How the run went, in one sentence.
  returned: when a run was ended
  type: str
steps:
  description:
    - One entry a step, with C(step), C(status), C(headline), C(bytes), C(seconds), C(findings) (new ones) and C(findings_total).
    - In the record on the controller each has C(found), too, with the lists C(findings), C(relations) and C(unused_indexes); see RV(copy).
  returned: when a run was ended
  type: list
  elements: dict
name:
  description: What the run is called.
  returned: when a run was ended
  type: str
findings:
  description:
    - The findings of all steps that are new, were mended, or are of severity high or above, at most 200, in the order in which to mend them; C(step), C(id),
      C(severity), C(status), C(target) and C(message) of each.
  returned: when a run was ended
  type: list
  elements: dict
failed_steps:
  description: Titles of the steps that failed.
  returned: when a run was ended
  type: list
  elements: str
record_path:
  description: The record on the host.
  returned: when a run was ended outside check mode
  type: str
copy:
  description: The record on the controller.
  returned: when O(directory) is set
  type: str
table:
  description: The lines of the summary, where it was not printed because a program reads the output.
  returned: when a run was ended and the callback for standard output does not write for people
  type: list
  elements: str
lines:
  description: The lines printed.
  returned: when O(lines) is set
  type: list
  elements: str
"""
