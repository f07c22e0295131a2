#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: maintenance_run
short_description: Begin and end a maintenance run
version_added: 0.1.0
description:
  - A run is what one playbook does on one host. It holds the host's lease, so that no second run works beside it, and it has a record.
  - V(begun) takes the lease and returns the run's id, which every other module of the run is given as C(run_id). A live run is never disturbed,
    however long it takes. A run that died (nothing of it works, and no sign of life for 30 minutes or the host was booted since) is taken
    over, what it left half-done is cleared away, and both are told.
  - V(ended) writes the record, adds an entry to the host's maintenance log, clears away what modules of the run may have left behind, and gives
    the lease back. It belongs into the C(always) part of a play. Ending a run twice does no harm.
  - Needs only Python's standard library. Leftovers that lie in Docker or MongoDB need their libraries; where these are missing at the beginning
    of a run, they are cleared away at its end.
options:
  state:
    description: Begin or end a run.
    type: str
    choices: [begun, ended]
    required: true
  name:
    description: What the run is called in lease, record and log.
    type: str
    default: maintenance
  owner:
    description: Who runs it, a person or a job. By default the user that the module runs as, or that called C(sudo).
    type: str
  shop:
    description:
      - With O(state=begun), the shop's directory. Where the run before was one of another shop that is still there, a warning says so, because two shops
        on one host need a O(state_dir) each.
    type: path
  takeover:
    description:
      - Take over a run that you know is dead, without waiting for half an hour of silence.
      - A module that works at this moment is left alone nevertheless.
    type: bool
    default: false
  takeover_own:
    description:
      - Take over a run of the same O(owner) at once, if none of its modules works. Whoever has stopped a run of theirs need not wait for half an hour of
        silence.
    type: bool
    default: false
  status:
    description: With O(state=ended), how the run went.
    type: str
    choices: [ok, failed]
    default: ok
  steps:
    description: With O(state=ended), what the run did, for record and log. Each with C(step), C(status), C(headline), C(bytes), C(seconds) and C(findings).
    type: list
    elements: dict
    default: []
  log_path:
    description: The maintenance log, Markdown. The default is C(maintenance-log.md) in O(state_dir). Its directory must exist.
    type: path
  keep_days:
    description: Records older than this many days are removed when a run ends.
    type: int
    default: 400
  docker_timeout:
    description: Seconds to wait for an answer of a Docker Engine, when a container was left behind.
    type: int
    default: 30
    aliases: [timeout]
attributes:
  check_mode:
    description: Whether check mode tells what would happen without changing anything.
    support: full
    details: Returns a run id that begins with C(check-), warns of a live run, and writes nothing.
  diff_mode:
    description: Whether diff mode shows what changes, or in check mode would change.
    support: none
    details: Lease and record never count as a change.
  idempotent:
    description: Whether a second run with nothing new reports no change.
    support: full
    details: Never reports a change.
  platform:
    description: On which platforms the module runs.
    support: full
    platforms: linux
extends_documentation_fragment:
  - miniecom.maintenance.run
author:
  - miniecom.maintenance contributors (@miniecom)
seealso:
  - module: miniecom.maintenance.context_info
  - module: miniecom.maintenance.maintenance_report
"""

EXAMPLES = r"""
- name: Work as one run
  block:
    - name: Begin
      miniecom.maintenance.maintenance_run:
        state: begun
        name: weekly maintenance
        owner: "{{ lookup('ansible.builtin.env', 'USER') }}"
      register: run

    - name: Compact what is worth it
      miniecom.maintenance.mongo_compact:
        env_file: /opt/miniecom/.env
        run_id: "{{ run.run_id }}"
  always:
    - name: End
      miniecom.maintenance.maintenance_run:
        state: ended
        run_id: "{{ run.run_id }}"
        status: "{{ 'failed' if ansible_failed_task is defined else 'ok' }}"
      when: run.run_id is defined

- name: Take over a run whose controller is known to be gone
  miniecom.maintenance.maintenance_run:
    state: begun
    name: weekly maintenance
    takeover: true

- name: Keep the log where the shop's people look for it
  miniecom.maintenance.maintenance_run:
    state: ended
    run_id: "{{ run.run_id }}"
    log_path: /opt/miniecom/storage/logs/maintenance-log.md
"""

RETURN = r"""
run_id:
  description: The run.
  returned: success
  type: str
  sample: 20261124T031500Z-ab12cd
started:
  description: When it began, in UTC.
  returned: success
  type: str
  sample: "2026-11-24T03:15:00Z"
begun_in:
  description: With O(state=begun), the directory in which the run's record grows.
  returned: success, not in check mode
  type: str
replaced:
  description: The dead run that was taken over, with C(run_id), C(name), C(owner), C(started) and the C(reason).
  returned: when one was
  type: dict
lease:
  description: The run that holds the host, with C(run_id), C(name), C(owner), C(started) and C(renewed).
  returned: when another one does
  type: dict
cleaned:
  description: Leftovers that were cleared away, or in check mode would be, one sentence each.
  returned: success
  type: list
  elements: str
unsettled:
  description: What a killed run has left half way in a database and this one cannot bring to its end, why, and what does; one sentence each.
  returned: when there is any
  type: list
  elements: str
record:
  description: The record. C(run_id), C(name), C(owner), C(started), C(ended), C(seconds), C(status), C(steps) and the first 200 C(events), with their number.
  returned: with O(state=ended)
  type: dict
record_path:
  description: The record on the host; all events lie beside it in the file of the same name with the extension C(.jsonl).
  returned: with O(state=ended), outside check mode
  type: str
log_path:
  description: The maintenance log.
  returned: with O(state=ended), outside check mode
  type: str
summary:
  description: C(headline) and C(seconds).
  returned: success
  type: dict
  sample: {"headline": "begun 20261124T031500Z-ab12cd; took over a dead run of alice", "seconds": 0.02}
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run_outside
from ..module_utils._operations.run import begin_or_end

SPEC = (
    ArgumentSpec(
        {
            "state": {"type": "str", "choices": ["begun", "ended"], "required": True},
            "name": {"type": "str", "default": "maintenance"},
            "owner": {"type": "str"},
            "shop": {"type": "path"},
            "takeover": {"type": "bool", "default": False},
            "takeover_own": {"type": "bool", "default": False},
            "status": {"type": "str", "choices": ["ok", "failed"], "default": "ok"},
            "steps": {"type": "list", "elements": "dict", "default": []},
            "log_path": {"type": "path"},
            "keep_days": {"type": "int", "default": 400},
            "docker_timeout": {"type": "int", "default": 30, "aliases": ["timeout"]},
        },
        required_if=[("state", "ended", ["run_id"])],
    )
    + RUN_ARGUMENTS
)


def main() -> None:
    run_outside(begin_or_end, SPEC)


if __name__ == "__main__":
    main()
