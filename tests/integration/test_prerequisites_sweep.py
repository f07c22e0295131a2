# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Temporary environments that interrupted runs of assess left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import yaml

from tests.support.playbooks import ROOT, run_playbook

PLAY = """\
- hosts: localhost
  connection: local
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - ansible.builtin.tempfile: {state: directory, prefix: miniecom-assess-}
      register: prerequisites_temporary_directory
      check_mode: false
    - ansible.builtin.include_role: {name: miniecom.maintenance.prerequisites, tasks_from: sweep}
"""


@pytest.mark.parametrize("check", [False, True])
def test_only_our_own_old_directories_go(tmp_path: Path, check: bool) -> None:
    place, target = tmp_path / "tmp", tmp_path / "target"
    for directory in (place, target):
        directory.mkdir()
    (target / "kept").write_text("x")
    for name in ("miniecom-assess-old", "miniecom-assess-young", "miniecom-assess-foreign", "other-old"):
        (place / name / "lib").mkdir(parents=True)
    (place / "miniecom-assess-old" / "lib" / "link").symlink_to(target)
    (place / "miniecom-assess-link").symlink_to(target)
    (place / "miniecom-assess-file").write_text("x")
    if os.geteuid() == 0:
        os.chown(place / "miniecom-assess-foreign", 65534, 65534)
    else:
        (place / "miniecom-assess-foreign" / "lib").rmdir()
        (place / "miniecom-assess-foreign").rmdir()
    for entry in (*place.iterdir(), target):
        if not entry.name.endswith("young"):
            os.utime(entry, (time.time() - 2 * 86400,) * 2, follow_symlinks=False)
    before = {entry.name for entry in place.iterdir()}
    play = tmp_path / "play.yml"
    play.write_text(PLAY)
    options = ["--check"] if check else []
    run = run_playbook(
        str(play), "localhost,", *options, log=tmp_path / "tasks.jsonl", env={"TMPDIR": str(place)}, cwd=tmp_path
    ).assert_ok()
    after = {entry.name for entry in place.iterdir() if not entry.name.startswith("ansible")}
    made = Path(run.result("tempfile")["path"]).name
    assert after - {made} == (before if check else before - {"miniecom-assess-old"})
    assert (target / "kept").exists()


def test_pip_keeps_no_cache_in_anybodys_home() -> None:
    words = yaml.safe_load((ROOT / "roles/prerequisites/vars/main.yml").read_text())["__prerequisites_pip"]
    assert "'--no-cache-dir'" in words
