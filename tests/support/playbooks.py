# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the collection's playbooks as users do, and reads what happened."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping

ROOT = Path(__file__).resolve().parents[2]

# Actions that run on the controller alone; everything else is a module call on the host.
CONTROLLER_ACTIONS = re.compile(
    r"^(ansible\.builtin\.)?(set_fact|debug|assert|fail|include_\w+|import_\w+|validate_argument_spec|miniecom\.maintenance\.variables_info|meta|add_host|group_by)$"
)


@dataclass
class PlaybookRun:
    """One finished ansible-playbook.

    Attributes:
        tasks: every result in order: host, action, task, status, changed, result.
        recap: host to the numbers of the recap.
    """

    rc: int
    output: str
    tasks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        found = {}
        for line in self.output.rpartition("PLAY RECAP")[2].splitlines()[1:]:
            match = re.match(r"(\S+)\s*: (.*)", line)
            if match:
                found[match.group(1)] = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", match.group(2))}
        return found

    def module_calls(self, host: str) -> list[dict[str, Any]]:
        """Task results that were executed on the host; skips do not count."""
        return [
            task
            for task in self.tasks
            if task["host"] == host and task["status"] != "skipped" and not CONTROLLER_ACTIONS.match(task["action"])
        ]

    def host_calls(self, host: str) -> list[dict[str, Any]]:
        """Of those, the ones for which the host was asked: not where a task ended with what one call for several had brought."""
        return [task for task in self.module_calls(host) if not task["result"].get("given")]

    def changed(self) -> list[str]:
        return [task["task"] for task in self.tasks if task["changed"] and task["status"] == "ok"]

    def result(self, action: str, host: str | None = None) -> dict[str, Any]:
        """The last result of an action that was not skipped."""
        for task in reversed(self.tasks):
            if (
                task["action"].rsplit(".", 1)[-1] == action
                and task["status"] != "skipped"
                and host in (None, task["host"])
            ):
                return dict(task["result"])
        raise AssertionError(f"no result of {action}:\n{self.output[-4000:]}")

    def assert_ok(self) -> PlaybookRun:
        assert self.rc == 0, self.output[-8000:]
        return self


def environment(log: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment in which playbooks of this checkout run, with results logged into a file."""
    merged = dict(os.environ)
    merged.update(
        ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"),
        ANSIBLE_CALLBACK_PLUGINS=str(ROOT / "tests" / "support" / "callback_plugins"),
        ANSIBLE_CALLBACKS_ENABLED="task_log",
        ANSIBLE_NOCOLOR="1",
        # Every task with its result, for whoever reads of a test that failed.
        ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default",
        ANSIBLE_LOCALHOST_WARNING="False",
        TASK_LOG=str(log),
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    )
    merged.update(extra or {})
    return merged


def run_playbook(
    playbook: str,
    inventory: str | Path,
    *arguments: str,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    timeout: float = 600,
) -> PlaybookRun:
    """Run a playbook (a name from playbooks/, a path, or an FQCN) and read its results."""
    log.unlink(missing_ok=True)
    target = str(ROOT / "playbooks" / f"{playbook}.yml") if re.fullmatch(r"[a-z_]+", playbook) else playbook
    done = subprocess.run(
        ["ansible-playbook", "-i", str(inventory), target, *arguments],
        cwd=cwd,
        env=environment(log, env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    entries = [json.loads(line) for line in lines]
    return PlaybookRun(done.returncode, done.stdout, [entry for entry in entries if "started" not in entry])
