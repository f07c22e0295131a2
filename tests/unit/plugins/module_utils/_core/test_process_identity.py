# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import sys

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core import process_identity
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.process_identity import has_ended, own_identity


def identity_of(pid: int, monkeypatch: pytest.MonkeyPatch) -> str:
    with monkeypatch.context() as patch:
        patch.setattr(process_identity.os, "getpid", lambda: pid)
        return own_identity()


def test_one_that_lives_one_that_waits_to_be_collected_and_one_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_identity() and not has_ended(own_identity())
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    named = identity_of(child.pid, monkeypatch)
    assert named != own_identity() and not has_ended(named)
    child.kill()
    child.wait()
    assert has_ended(named)
    assert has_ended(own_identity() + "0"), "another process has its pid by now"


def test_what_cannot_be_known_has_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    boot, namespace, pid, start = own_identity().split()
    gone = "999999999"
    assert has_ended(f"{boot} {namespace} {gone} {start}")
    for other in ("", "nonsense", f"another {namespace} {gone} {start}", f"{boot} pid:[1] {gone} {start}"):
        assert not has_ended(other)
    assert not has_ended(f"{boot} {namespace} x {start}") and not has_ended(f"{boot} {namespace} {gone} -1")
    monkeypatch.setattr(process_identity, "read_process", lambda _pid, _proc: None)
    assert not has_ended(own_identity()) and not has_ended(f"{boot} {namespace} {pid} {start}"), "hidden by /proc"


def test_without_proc_there_is_no_name(tmp_path: object) -> None:
    assert own_identity(str(tmp_path)) == ""
