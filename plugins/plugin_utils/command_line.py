# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person asked for: the playbooks, tags, variables and hosts that stand in the command."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Dict, FrozenSet, Iterator, List, Tuple

from ansible import context
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook import Playbook
from ansible.playbook.block import Block
from ansible.utils.collection_loader._collection_finder import _get_collection_playbook_path
from ansible.utils.vars import load_extra_vars
from ansible.vars.manager import VariableManager

from .known_names import COLLECTION


@dataclass(frozen=True)
class Command:
    """A call of ansible-playbook.

    Attributes:
        playbooks: paths of the playbooks.
        ours: they are this collection's, one and all.
        tags: the tags chosen and those skipped.
        limit: the pattern of --limit; empty without one.
        variables: names and values given with -e.
    """

    playbooks: Tuple[str, ...]
    ours: bool
    tags: FrozenSet[str]
    limit: str
    variables: Dict[str, Any]


def read_command() -> Command:
    """The command of this process."""
    arguments = context.CLIARGS
    paths = tuple(_path(str(name)) for name in arguments.get("args") or ())
    own = os.path.realpath(str(COLLECTION / "playbooks"))
    tags = [*(arguments.get("tags") or ()), *(arguments.get("skip_tags") or ())]
    return Command(
        playbooks=paths,
        ours=bool(paths) and all(os.path.dirname(os.path.realpath(path)) == own for path in paths),
        tags=frozenset(tag.strip() for text in tags for tag in str(text).split(",") if tag.strip()),
        limit=str(arguments.get("subset") or ""),
        # Kept by Ansible since it began: nothing is read again.
        variables=dict(load_extra_vars(DataLoader())) if paths else {},
    )


def _path(name: str) -> str:
    found = _get_collection_playbook_path(name)
    return str(found[1]) if found else os.path.abspath(name)


@lru_cache(maxsize=None)
def tags_of(playbooks: Tuple[str, ...]) -> FrozenSet[str]:
    """The tags of all tasks of playbooks, those of what they import included."""
    return frozenset(tag for path in playbooks for tag in _tags_in(path))


def _tags_in(path: str) -> Iterator[str]:
    # Its own: the one of the run is told where the playbook lies that is running.
    loader = DataLoader()
    loader.set_basedir(os.path.dirname(path))
    inventory = InventoryManager(loader=loader, sources=None, parse=False)
    variables = VariableManager(loader=loader, inventory=inventory)
    for play in Playbook.load(path, variable_manager=variables, loader=loader).get_plays():
        yield from map(str, play.tags)
        for block in play.compile():
            yield from _tags_of_tasks([block])


def _tags_of_tasks(tasks: List[Any]) -> Iterator[str]:
    for task in tasks:
        yield from map(str, task.tags)
        if isinstance(task, Block):
            yield from _tags_of_tasks([*task.block, *task.rescue, *task.always])
