# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task does not need is not filled in, and what it needs is, as Ansible would have done it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.plugins.action import ActionBase

from tests.support.playbooks import run_playbook

TASKS = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    pruned: "{{ [place] }}"
  tasks:
    - miniecom.maintenance.log_prune:
        paths: "{{ nobody_knows }}"
        given: {changed: false, summary: {headline: as it was}}
    - miniecom.maintenance.backup_offsite:
        path: "{{ nobody_knows }}"
        target: "{{ '' }}"
    - miniecom.maintenance.log_prune:
        paths: "{{ pruned }}"
        patterns: ["*.{{ ending }}"]
        optional_paths: "{{ nobody_knows | default(omit) }}"
        compress_after: "{{ 3 + 4 }}d"
        given: "{{ nobody_knows | default(omit) }}"
        state_dir: "{{ place }}/state"
      vars:
        ending: log
      check_mode: true
    - miniecom.maintenance.log_prune:
        paths: "{{ nobody_knows }}"
      ignore_errors: true
    - miniecom.maintenance.log_prune:
        paths: "{{ pruned }}"
        patterns: ["{{ item }}.log"]
        state_dir: "{{ place }}/state"
      loop: [one, two]
      delegate_to: elsewhere
      check_mode: true
      no_log: true
    - miniecom.maintenance.log_prune:
        paths: "{{ nobody_knows }}"
        given: {changed: false, summary: {headline: "as it was, {{ item }}"}}
      loop: [one, two]
      register: twice
      until: twice.never | default(false)
      retries: 2
      delay: 0
      ignore_errors: true
"""


@pytest.mark.skipif(
    not hasattr(ActionBase, "finalize_task_arg"), reason="ansible-core 2.18 fills in all options itself"
)
def test_options_are_filled_in_where_they_matter(tmp_path: Path) -> None:
    playbook = tmp_path / "tasks.yml"
    playbook.write_text(TASKS)
    run = run_playbook(str(playbook), "localhost,", "-e", f"place={tmp_path}", log=tmp_path / "log").assert_ok()
    statuses = [task["status"] for task in run.tasks]
    assert statuses == ["ok", "skipped", "ok", "failed", "ok", "failed"], run.output
    ended, unconfigured, done, failed, unseen, again = (task["result"] for task in run.tasks)
    assert ended["summary"]["headline"] == "as it was" and "invocation" not in ended, "the host was not asked"
    assert "no second place" in unconfigured["reason"]
    asked = done["invocation"]["module_args"]
    assert asked["paths"] == [str(tmp_path)] and asked["patterns"] == ["*.log"] and asked["compress_after"] == "7d"
    assert not asked["optional_paths"] and asked["state_dir"] == f"{tmp_path}/state"
    assert "censored" in str(unseen) and "one.log" not in run.output
    # However often it is asked, the host is not.
    assert [one["summary"]["headline"] for one in again["results"]] == ["as it was, one", "as it was, two"]
    assert [one["attempts"] for one in again["results"]] == [2, 2]
    assert "'paths'" in failed["msg"] and "'nobody_knows' is undefined" in failed["msg"]
