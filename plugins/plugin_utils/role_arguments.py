# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a host's variables are what the roles of a play take, asked once and before anything is done. Controller side.

By itself Ansible checks a role's arguments when the role's turn has come: a value that is wrong for the last one is told after hours of work, and each
check is a task of its own.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Collection, Dict, Iterable, List, Mapping, Tuple

from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.common.yaml import SafeLoader

Options = Dict[str, Any]
SPECS = "meta/argument_specs.yml"
_WORDS = ("description", "version_added")


class _Loader(SafeLoader):  # type: ignore[misc]
    """Reads a specification many times as fast as Ansible does, which notes where each value comes from."""


# Marks defaults that are written like templates; what a default is does not matter here.
_Loader.add_constructor("!unsafe", lambda _loader, node: node.value)


def entry_points(roles: Iterable[Any]) -> List[Tuple[str, str]]:
    """Directory and entry point of each role that a play has imported, each once.

    Args:
        roles: the attribute ``roles`` of the play (ansible-core 2.18 to 2.21).
    """
    found = [(str(role._role_path), str(role._from_files.get("tasks") or "main")) for role in roles]
    return list(dict.fromkeys((path, re.sub(r"\.ya?ml$", "", entry)) for path, entry in found))


def specifications(wanted: Iterable[Tuple[str, str]]) -> List[Options]:
    """What those entry points take, in as few specifications as it can be said in: one, unless they disagree about an option.

    Args:
        wanted: as `entry_points` returns it.

    Raises:
        OSError: a file cannot be read.
    """
    files: Dict[str, Mapping[str, Any]] = {}
    merged: List[Options] = [{}]
    for path, entry in wanted:
        if path not in files:
            try:
                with open("%s/%s" % (path, SPECS), encoding="utf-8") as handle:
                    files[path] = _Loader(handle).get_single_data().get("argument_specs") or {}
            except FileNotFoundError:
                files[path] = {}
        for name, told in ((files[path].get(entry) or {}).get("options") or {}).items():
            option = {key: value for key, value in told.items() if key not in _WORDS}
            for options in merged:
                if options.setdefault(name, option) == option:
                    break
            else:
                merged.append({name: option})
    return merged


def argument_problems(
    specs: Iterable[Options],
    variables: Mapping[str, Any],
    template: Callable[[Dict[str, Any]], Dict[str, Any]],
    later: Collection[str],
    shared: Collection[str],
    conditional: Iterable[str] = (),
) -> List[str]:
    """A sentence for each variable that is not what a role takes.

    A value that rests on what a task of the run finds out cannot be judged yet, and is left to the module that gets it.

    Args:
        specs: as `specifications` returns them.
        variables: the host's, as they were written.
        template: fills in those that are used in others.
        later: names that tasks of the run set.
        shared: names that several roles' variables take their value from.
        conditional: roles that may not be used: what theirs rest on need not be set.
    """
    problems: List[str] = []
    lenient = tuple(role + "_" for role in conditional)
    # One that is not set may stand behind many: it is told once.
    unset: Dict[str, str] = {}
    rests = re.compile(r"\b(?:%s)\b" % "|".join(map(re.escape, later)))

    def waits(value: Any) -> bool:
        """Such a value need not be filled in to find that out, which an error would tell, and errors are dear."""
        return isinstance(value, str) and "{{" in value and bool(later) and rests.search(value) is not None

    for options in specs:
        values: Dict[str, Any] = {}
        known: Options = {}
        for name, option in options.items():
            if name not in variables or waits(variables[name]):
                continue
            try:
                # Most are written out, and Ansible would take its time to find that nothing is to be filled in.
                values.update(template({name: variables[name]}) if _open(variables[name]) else {name: variables[name]})
                known[name] = option
            except AnsibleUndefinedVariable as error:
                if not name.startswith(lenient) and not any(
                    re.search(r"\b%s\b" % re.escape(word), str(error)) for word in later
                ):
                    unset.setdefault(str(error), name)
            except AnsibleError as error:
                problems.append("%s: %s" % (name, error))
        result = ArgumentSpecValidator(known).validate(values, validate_role_argument_spec=True)
        for message in result.error_messages:
            told = str(remove_values(message, result._no_log_values))
            problems.append(_typed(told, known, variables, shared))
    return list(dict.fromkeys(["%s: %s" % (name, error) for error, name in unset.items()] + problems))


def _open(value: Any) -> bool:
    """Something is to be filled in, as far as can be seen; what is neither text, number nor a collection of these, such as a vault's, is Ansible's affair."""
    if isinstance(value, str):
        return "{" in value
    if isinstance(value, Mapping):
        return any(_open(part) for pair in value.items() for part in pair)
    if isinstance(value, (list, tuple)):
        return any(map(_open, value))
    return not (value is None or isinstance(value, (bool, int, float)))


def _typed(message: str, options: Options, variables: Mapping[str, Any], shared: Collection[str]) -> str:
    """The message, with the variable from which the one that it names has its value, where somebody has set that one."""
    # A word that Ansible has for options of modules.
    message = re.sub(r"^argument '(\w+)'", r"\1", message)
    for name in re.findall(r"\w+", message):
        if name in options:
            source = re.findall(r"\w+", str(variables.get(name))) if "{{" in str(variables.get(name)) else []
            given = [word for word in source if word in shared and word in variables]
            return re.sub(r"\b%s\b" % name, given[0], message) if given else message
    return message
