# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which tasks a playbook has, and in which order ansible-core would run them, without running any.

``--list-tasks`` leaves out rescue and always, and heeds no ``--start-at-task``; ansible-core's own parser and iterator know all
of it. They keep state for the whole process, so that this is a program of its own: ``python -m tests.support.outline``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HOST = "sandbox"
# In the name of the task that ansible-core puts before a role that has options.
VALIDATION = " : Validating arguments "

# A task: `name` with its role's, `tags`, and `path`: the rescue and always parts that it stands in, outermost first.
Task = dict[str, Any]


def outlines(playbooks: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Read playbooks of this checkout.

    Args:
        playbooks: their names, without directory and ending.

    Returns:
        For each ``tasks`` (all of them, as they stand), ``tags`` and ``orders``: what would run when nothing fails, as a
        list of names by arguments, which are "", "--skip-tags always", "--tags TAG" and "--start-at-task NAME",
        the last for tasks that stand in a file.
    """
    environment = dict(
        os.environ,
        ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"),
        # Its warnings would stand among what is read.
        ANSIBLE_LOCALHOST_WARNING="False",
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.outline", *playbooks],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


class _Reader:
    def __init__(self) -> None:
        from ansible import context
        from ansible.inventory.manager import InventoryManager
        from ansible.module_utils.common.collections import ImmutableDict
        from ansible.parsing.dataloader import DataLoader
        from ansible.plugins.loader import init_plugin_loader
        from ansible.vars.manager import VariableManager

        context.CLIARGS = ImmutableDict(tags={"all"}, skip_tags=set(), start_at_task=None)
        init_plugin_loader([str(ROOT / "collections")])
        self.loader = DataLoader()
        self.loader.set_basedir(str(ROOT / "playbooks"))
        self.inventory = InventoryManager(loader=self.loader, sources=[str(ROOT / "inventories" / "sandbox")])
        self.variables = VariableManager(loader=self.loader, inventory=self.inventory)

    def read(self, name: str) -> dict[str, Any]:
        from ansible.playbook import Playbook

        path = str(ROOT / "playbooks" / f"{name}.yml")
        (play,) = Playbook.load(path, variable_manager=self.variables, loader=self.loader).get_plays()
        play.hosts = [HOST]
        values = self.variables.get_vars(play=play)
        tasks = [task for block in play.compile() for task in self._tasks(block, [])]
        tags = sorted({tag for task in tasks for tag in task["tags"]})
        orders = {"": self._order(play, values), "--skip-tags always": self._order(play, values, skipped=["always"])}
        for tag in [*tags, "none-of-them"]:
            orders[f"--tags {tag}"] = self._order(play, values, only=[tag])
        for title in {task["name"] for task in tasks if VALIDATION not in task["name"]}:
            orders[f"--start-at-task {title}"] = self._order(play, values, start=title)
        return {"tasks": tasks, "tags": tags, "orders": orders}

    def _tasks(self, block: Any, path: list[str]) -> Iterator[Task]:
        from ansible.playbook.block import Block

        for kind, inside in (("", block.block), ("rescue", block.rescue), ("always", block.always)):
            within = [*path, kind] if kind else path
            for task in inside:
                if isinstance(task, Block):
                    yield from self._tasks(task, within)
                elif not task.implicit:
                    yield {"name": task.get_name(), "tags": sorted(set(map(str, task.tags))), "path": within}

    def _order(
        self,
        play: Any,
        values: dict[str, Any],
        only: Iterable[str] = ("all",),
        skipped: Iterable[str] = (),
        start: str | None = None,
    ) -> list[str]:
        from ansible.executor.play_iterator import PlayIterator
        from ansible.playbook.play_context import PlayContext

        play.only_tags, play.skip_tags = frozenset(only), frozenset(skipped)
        situation = PlayContext(play=play)
        situation.start_at_task = start
        iterator = PlayIterator(
            inventory=self.inventory,
            play=play,
            play_context=situation,
            variable_manager=self.variables,
            all_vars=values,
        )
        host = self.inventory.get_host(HOST)
        order: list[str] = []
        while True:
            _state, task = iterator.get_next_task_for_host(host)
            if task is None:
                return order
            if not task.implicit and "gather_facts" not in task.action:
                order.append(task.get_name())


def main(names: list[str]) -> int:
    """Print the outlines of playbooks as JSON."""
    reader = _Reader()
    json.dump({name: reader.read(name) for name in names}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
