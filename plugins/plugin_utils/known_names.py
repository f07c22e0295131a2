# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which names this collection knows, and which of those that a person has given are misspelt. Controller side.

Ansible passes over a tag that nothing has and a variable that nobody reads: a run then does nothing, or something else than
was asked for, and ends well.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Collection, FrozenSet, Iterable, List, Mapping

COLLECTION = Path(__file__).resolve().parents[2]
# What all roles share begins so; the other prefixes are the names of the roles.
SHARED = "miniecom"
# By which a person says that a name is none of ours, although it looks like one.
OWN_VARIABLES = SHARED + "_own_variables"
# Tags that Ansible itself knows.
ANSIBLE_TAGS = frozenset({"all", "always", "never", "tagged", "untagged"})
# In a part of a name that is shorter, two changed letters make another word.
LONG = 8
# How many names are told where none is near.
SHOWN = 30


@dataclass(frozen=True)
class Names:
    """The variables of this collection.

    Attributes:
        prefixes: what they begin with, without the underscore behind it.
        options: those that a person sets.
        results: those that its tasks set.
    """

    prefixes: FrozenSet[str]
    options: FrozenSet[str]
    results: FrozenSet[str]


@lru_cache(maxsize=None)
def known_variables(collection: Path = COLLECTION) -> Names:
    """The names that the files of the roles and playbooks mention as their own."""
    roles = [path for path in (collection / "roles").iterdir() if path.is_dir()]
    defaults = _text(role / "defaults" / "main.yml" for role in roles)
    tasks = _text([path for role in roles for path in (role / "tasks").glob("*.yml")])
    plays = _text((collection / "playbooks").rglob("*.yml"))
    shared = re.findall(r"\b%s_[a-z_]+\b" % SHARED, re.sub(r"(?m)^\s*#.*$", "", defaults + plays))
    return Names(
        prefixes=frozenset([SHARED, *(role.name for role in roles)]),
        options=frozenset([OWN_VARIABLES, *re.findall(r"(?m)^([a-z]\w*):", defaults), *shared]),
        results=frozenset(re.findall(r"(?m)^\s+(?:register: )?(\w+)", tasks + plays)),
    )


def _text(paths: Iterable[Path]) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(paths) if path.is_file())


def misspelt_variables(
    given: Iterable[str], names: Names, own: Collection[str] = (), strict: bool = False
) -> List[str]:
    """One sentence for each variable that is meant for this collection and that it does not know. Pure.

    An inventory serves other roles, too, whose variables may begin like ours (``backup_server``): there only what a slip
    of the fingers makes of one of ours is meant for it.

    Args:
        given: names of variables.
        own: names, or patterns of names, that are none of ours.
        strict: whatever begins like one of ours is meant for this collection, and what is nearly one of ours, too.
    """
    problems = []
    for name in sorted(set(given) - names.options - names.results):
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in own):
            continue
        ours = prefix_of(name, names.prefixes)
        if strict:
            meant_for_us = bool(ours) or slips(name, names.options)
        else:
            meant_for_us = bool(ours) and slips(name, names.options, ours)
        if not meant_for_us:
            continue
        family = {option for option in names.options if option.startswith(ours + "_")} if ours else names.options
        problems.append("There is no variable %s. %s" % (name, meant(name, family)))
    return problems


def misspelt_tags(given: Iterable[str], known: Collection[str], names: Names, strict: bool) -> List[str]:
    """One sentence for each tag that no task has. Pure.

    Args:
        known: the tags of all tasks that can be seen beforehand.
        strict: there are no others; otherwise only what is nearly one of this collection's is called misspelt.
    """
    ours = {tag for tag in known if prefix_of(tag + "_", names.prefixes)}
    return [
        "No task of this playbook has the tag %s. %s" % (tag, meant(tag, set(known) - ANSIBLE_TAGS))
        for tag in sorted(set(given) - set(known) - ANSIBLE_TAGS)
        if strict or slips(tag, ours)
    ]


# How Ansible, and how our modules, begin what they say about an option that is not valid.
_OPTION = re.compile(r"argument '(\w+)'|value of (\w+)(?= must be)")
_LITERAL = re.compile(r"^not an? [\w ]+: (['\"])(.*?)\1")


def named_variable(message: str, role: str, given: Mapping[str, Any], names: Names) -> str:
    """What is wrong with a module's option, told by the variable that a person has typed. Pure.

    Args:
        message: what the module says of its own option, or of its value.
        role: whose task it was; the variable of an option begins with its name.
        given: variables that were set for this run.
    """
    option = _OPTION.search(message)
    if option:
        variable = "%s_%s" % (role, option[1] or option[2])
        return (
            message.replace(option[0], variable if option[1] else "value of " + variable)
            if variable in names.options
            else message
        )
    literal = _LITERAL.match(message)
    found = [name for name in sorted(given) if literal and name in names.options and str(given[name]) == literal[2]]
    # The role's own first.
    found.sort(key=lambda name: not name.startswith(role + "_"))
    return "%s: %s" % (found[0], message) if found else message


def meant(name: str, known: Collection[str]) -> str:
    """What a person probably meant, as a sentence."""
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    if near:
        return "Is %s meant?" % near[0]
    more = ", and %d more" % (len(known) - SHOWN) if len(known) > SHOWN else ""
    return "There are: %s%s." % (", ".join(sorted(known)[:SHOWN]), more) if known else "There are none."


def prefix_of(name: str, prefixes: Iterable[str]) -> str:
    """The prefix of ours with which a name begins; empty when there is none."""
    return max((prefix for prefix in prefixes if name.startswith(prefix + "_")), key=len, default="")


def slips(name: str, known: Iterable[str], prefix: str = "") -> bool:
    """Whether a name is one of those that are known but for one letter, or in longer ones two.

    Args:
        prefix: with which both begin; what follows it decides.
    """
    begin = prefix + "_" if prefix else ""
    rest = name[len(begin) :]
    allowed = 2 if len(rest) >= LONG else 1
    return any(
        other.startswith(begin) and 0 < distance(rest, other[len(begin) :], allowed) <= allowed for other in known
    )


def distance(one: str, other: str, most: int) -> int:
    """How many letters have to be changed, added, left out or swapped with their neighbour; `most` + 1 when it is more."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: List[int] = []
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        last, row, before_last = row, [place], before
        for column, wanted in enumerate(other, 1):
            cost = min(last[column] + 1, row[-1] + 1, last[column - 1] + (letter != wanted))
            if place > 1 and column > 1 and letter == other[column - 2] and one[place - 2] == wanted:
                cost = min(cost, before_last[column - 2] + 1)
            row.append(cost)
        before = last
    return min(row[-1], most + 1)
