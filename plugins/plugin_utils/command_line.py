# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person asked for: the playbooks, tags, variables and hosts that stand in the command, and the next command that goes with it."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Dict, FrozenSet, Iterator, List, Mapping, Sequence, Tuple

from ansible import constants, context
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook import Playbook
from ansible.playbook.block import Block
from ansible.utils.collection_loader._collection_finder import _get_collection_playbook_path
from ansible.utils.vars import load_extra_vars
from ansible.vars.manager import VariableManager

from ..module_utils._core.installing import AS_ROOT
from .known_names import COLLECTION

NAMESPACE = "miniecom.maintenance"
# In names; the address of a web service that takes messages is as good as a password.
SECRET = re.compile(r"pass|secret|token|key|pwd|credential|webhook|heartbeat", re.IGNORECASE)
# In values: an address with a user and a password in it.
USERINFO = re.compile(r"://\S*@")
# What stands in a printed command where a secret was typed.
UNSAID = "..."
# As a module tells it, which knows neither inventory nor the host's name; a full stop behind it is not part of it.
_PLAYBOOK_OF_A_MODULE = re.compile(
    r"ansible-playbook %s\.(\w+) -e confirm_target=HOST((?: -e (?:'[^']*'|[\w@%%+=:,./-]*[\w@%%+=:,/-]))*)"
    % re.escape(NAMESPACE)
)
# How the connection was asked for: option of the command, its name among Ansible's arguments, and the setting that is its default.
CONNECTION = (
    ("-u", "remote_user", "DEFAULT_REMOTE_USER"),
    ("-c", "connection", "DEFAULT_TRANSPORT"),
    ("--private-key", "private_key_file", "DEFAULT_PRIVATE_KEY_FILE"),
    ("--become-method", "become_method", "DEFAULT_BECOME_METHOD"),
    ("--become-user", "become_user", "DEFAULT_BECOME_USER"),
    ("--become-password-file", "become_password_file", "BECOME_PASSWORD_FILE"),
    ("--connection-password-file", "connection_password_file", "CONNECTION_PASSWORD_FILE"),
    ("--ssh-common-args", "ssh_common_args", ""),
    ("--ssh-extra-args", "ssh_extra_args", ""),
)
ASKED = (("-k", "ask_pass"), ("-K", "become_ask_pass"), ("-J", "ask_vault_pass"))


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


def known() -> bool:
    """Whether this is a process of ansible-playbook, of which the next command can be made."""
    return bool(context.CLIARGS and context.CLIARGS.get("inventory"))


def next_command(playbook: str, limit: str = "", further: Sequence[str] = ()) -> str:
    """The command of this process with another playbook of this collection: it runs as it is printed.

    Args:
        playbook: its short name.
        limit: the host it is about.
        further: more arguments.
    """
    return _joined(
        ["ansible-playbook", _named(playbook, context.CLIARGS.get("args") or ())], _carried(further), limit, further
    )


def same_command(further: Sequence[str] = (), limit: str = "") -> str:
    """The command of this process, its tags included, with more arguments."""
    arguments = context.CLIARGS
    # Ansible has a tag where none was asked for.
    tags = [["--tags", str(tag)] for tag in arguments.get("tags") or () if tag != "all"]
    tags += [["--skip-tags", str(tag)] for tag in arguments.get("skip_tags") or ()]
    flags = [option for option, name in (("--check", "check"), ("--diff", "diff")) if arguments.get(name)]
    names = [str(name) for name in arguments.get("args") or ()]
    words = [*(word for tag in tags for word in tag), *flags, *further]
    return _joined(["ansible-playbook", *names], _carried(further), limit or str(arguments.get("subset") or ""), words)


def command_on(host: str, text: str) -> str:
    """The command that runs something on a host as root, over the same connection, and without Python there."""
    options = ["-b", *_carried()]
    return _joined(["ansible", host], options, "", ["-m", "ansible.builtin.raw", "-a", text])


def from_here(text: str, host: str) -> str:
    """What a module says, with a command to be typed here in place of one to be run on the host, and playbooks with what this process was given."""
    told, mark, command = text.partition(AS_ROOT)
    if mark:
        return "%sRun: %s" % (told, command_on(host, command))
    return _PLAYBOOK_OF_A_MODULE.sub(lambda found: _called_for(host, *found.groups()), text)


def _called_for(host: str, playbook: str, given: str) -> str:
    return next_command(playbook, host, ["-e", "confirm_target=%s" % host, *shlex.split(given)])


def _joined(begin: Sequence[str], options: Sequence[str], limit: str, further: Sequence[str]) -> str:
    words = [*begin, *options, *(["--limit", limit] if limit else []), *further]
    return " ".join(word if word == UNSAID else shlex.quote(word) for word in words)


def _named(playbook: str, typed: Sequence[Any]) -> str:
    """A playbook, named as the ones of this process were: by path, or by the collection's name."""
    own = os.path.realpath(str(COLLECTION / "playbooks"))
    for name in map(str, typed):
        if os.path.dirname(os.path.realpath(name)) == own:
            return _short(os.path.join(os.path.dirname(name), playbook + ".yml"))
    return "%s.%s" % (NAMESPACE, playbook)


def _carried(further: Sequence[str] = ()) -> List[str]:
    """What of this process's arguments goes with any command about the same hosts: inventory, variables, connection.

    Args:
        further: more arguments: what they set need not be set before.
    """
    anew = [word.partition("=")[0] + "=" for word in further if "=" in word]
    if "-K" in further:
        # Set as a variable, it would count more than what is typed.
        anew += ["ansible_become_pass", "ansible_sudo_pass"]
    arguments: Mapping[str, Any] = context.CLIARGS
    words: List[str] = []
    for source in arguments.get("inventory") or ():
        words += ["-i", _short(str(source))]
    for text in map(str, arguments.get("extra_vars") or ()):
        if not (text.startswith(tuple(anew)) and len(text.split()) == 1):
            words += ["-e", without_secrets(text)]
    for option, name, default in CONNECTION:
        value = arguments.get(name)
        if value and str(value) != str(getattr(constants, default, None) if default else None):
            words += [option, str(value)]
    for identity in arguments.get("vault_ids") or ():
        words += ["--vault-id", str(identity)]
    for path in arguments.get("vault_password_files") or ():
        words += ["--vault-password-file", str(path)]
    return words + [option for option, name in ASKED if arguments.get(name) and option not in further]


def _short(source: str) -> str:
    """A path as seen from here, where it lies below."""
    if "," in source:
        return source
    near = os.path.relpath(source)
    return source if near.startswith("..") else near


def without_secrets(text: str) -> str:
    """Variables as they were typed after -e; in place of what may be a secret stands UNSAID."""
    if text.startswith("@") or not (SECRET.search(text) or USERINFO.search(text)):
        return text
    try:
        words = shlex.split(text)
    except ValueError:
        return UNSAID
    if text.lstrip()[:1] in "{[" or not all("=" in word for word in words):
        return UNSAID
    pairs = [word.split("=", 1) for word in words]
    return " ".join(
        "%s=%s" % (name, UNSAID if SECRET.search(name) or USERINFO.search(value) else shlex.quote(value))
        for name, value in pairs
    )
