# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is held against a scheduled job while it is read, and what comes of it. Pure."""

from __future__ import annotations

from typing import Callable, FrozenSet, List, NamedTuple, Optional, Sequence, Set, Tuple

from .._core.late_dataclass import dataclass
from .job_call import Invocation
from .job_places import BACKUPS, DATA, LIKE_BACKUPS, UNRESOLVED, Places
from .job_reader import Script
from .job_shell import Shell

PRUNES_DOCKER = "prunes_docker"
DELETES_BACKUPS = "deletes_backups"
DELETES_DATA = "deletes_data"
RESTARTS_SERVICES = "restarts_services"
READABLE_BACKUPS = "leaves_readable_backups"
UNKNOWN_EFFECT = "unknown"
# The order tells what a person should hear first.
DANGERS = (DELETES_BACKUPS, DELETES_DATA, PRUNES_DOCKER, RESTARTS_SERVICES, READABLE_BACKUPS, UNKNOWN_EFFECT)


class JobVerdict:
    """Collects what was recognised. Only names from our own tables and of scripts get into it, never a job's own words.

    Attributes:
        near: the job speaks of the shop, or runs in its directory. Some things count only then.
        speaks_of_backups: it names a directory of backups.
        weak: what is read now is known to spare the backups; only what surely reaches them counts.
    """

    def __init__(self, places: Places, near: bool = False) -> None:
        self.places = places
        self.near = near
        self.speaks_of_backups = False
        self.weak = False
        self.kinds: List[str] = []
        self._dangers: Set[str] = set()
        self._if_near: List[Tuple[str, str]] = []
        self._unresolved: List[str] = []

    def note(self, text: str) -> None:
        self.near = self.near or self.places.speaks_of_shop(text)
        self.speaks_of_backups = self.speaks_of_backups or self.places.speaks_of_backups(text)

    def add(self, danger: str, kind: str) -> None:
        self._dangers.add(danger)
        self.kinds.append(kind)

    def add_if_near(self, danger: str, kind: str) -> None:
        """For what concerns us only in a job that has to do with the shop."""
        self._if_near.append((danger, kind))

    def size(self) -> int:
        """How much has been taken note of."""
        return len(self.kinds) + len(self._if_near) + len(self._unresolved)

    def remove(self, reached: FrozenSet[str], kind: str) -> None:
        """Take note of a removal that reaches what Places.reached says."""
        if BACKUPS in reached:
            self.add(DELETES_BACKUPS, kind)
        if DATA in reached:
            self.add(DELETES_DATA, kind)
        if self.weak:
            return
        if LIKE_BACKUPS in reached:
            self.add_if_near(DELETES_BACKUPS, kind)
        if UNRESOLVED in reached:
            self._unresolved.append(kind)

    def not_understood(self, kind: str) -> None:
        self.add_if_near(UNKNOWN_EFFECT, kind)

    def result(self) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
        """The names recognised and the dangers, the worst first."""
        found, kinds = set(self._dangers), list(self.kinds)
        if self.near:
            # A directory of backups and something that removes, in one job: that is what a rotation looks like.
            guess = DELETES_BACKUPS if self.speaks_of_backups else UNKNOWN_EFFECT
            for danger, kind in [*self._if_near, *((guess, kind) for kind in self._unresolved)]:
                found.add(danger)
                kinds.append(kind)
        return tuple(dict.fromkeys(kinds)), tuple(danger for danger in DANGERS if danger in found)


@dataclass
class Inspection:
    """What a rule may use. script: gives a file by its path; run: looks at a call; path: the PATH of the job."""

    verdict: JobVerdict
    places: Places
    shell: Shell
    script: Callable[[str], Optional[Script]]
    run: Callable[[Invocation], List[str]]

    def remove(self, targets: Sequence[str], call: Invocation, deep: bool, kind: str, depth: int = 99) -> None:
        for target in targets:
            self.verdict.remove(self.places.reached(target, call.frame.cwd, deep, depth), kind)

    def ours(self, call: Invocation) -> bool:
        """Whether this very call is about the shop: by its words, its directory or the script in which it stands."""
        places = self.places
        return (
            places.inside(call.frame.cwd)
            or places.inside(call.frame.script)
            or any(places.speaks_of_shop(word) for word in call.words)
        )


Rule = Callable[[Inspection, Invocation], List[str]]


class Options(NamedTuple):
    """A command line taken apart: options with their values ("" without one), operands, and where the operands begin."""

    options: List[Tuple[str, str]]
    operands: List[str]
    first: int

    def has(self, *names: str) -> bool:
        return any(name in names for name, _value in self.options)

    def values(self, *names: str) -> List[str]:
        return [value for name, value in self.options if name in names]


def options(words: Sequence[str], taking: str = "", leading: bool = False) -> Options:
    """Take the words after a program's name apart (getopt_long's ways).

    Args:
        taking: the options that take an argument, separated by spaces.
        leading: options end at the first operand, as for programs that call another one.
    """
    with_argument = frozenset(taking.split())
    found: List[Tuple[str, str]] = []
    operands: List[str] = []
    position, first = 0, -1
    while position < len(words):
        word = words[position]
        position += 1
        if word == "--":
            first = position if first < 0 else first
            operands.extend(words[position:])
            break
        if len(word) < 2 or not word.startswith("-"):
            first = position - 1 if first < 0 else first
            if leading:
                operands.extend(words[position - 1 :])
                break
            operands.append(word)
            continue
        name, equals, value = word.partition("=")
        if word.startswith("--") or (len(word) > 2 and name in with_argument):
            if name in with_argument and not equals:
                value = words[position] if position < len(words) else ""
                position += 1
            found.append((name, value))
            continue
        for index, letter in enumerate(word[1:], 2):
            if "-" + letter in with_argument:
                value = word[index:]
                if not value and position < len(words):
                    value = words[position]
                    position += 1
                found.append(("-" + letter, value))
                break
            found.append(("-" + letter, ""))
    return Options(found, operands, len(words) if first < 0 else first)
