# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which rules the objects of a tree break, by what was noted of them. Pure."""

from __future__ import annotations

import stat
from dataclasses import field, replace
from typing import Dict, FrozenSet, Iterable, List, Mapping, Optional, Tuple

from .._core.finding import Finding, printable
from .._core.late_dataclass import dataclass
from .permission_rules import (
    ABOVE,
    BACKUP,
    DIRECTORY,
    DUMP,
    ENV,
    FILE,
    FOREIGN_OWNER,
    GROUP,
    LINK,
    OTHER,
    OTHERS,
    PROGRAM,
    RULES,
    SCRIPT,
    SECRET,
    SENSITIVE,
    SIDECAR,
    Rule,
    RuleSet,
)
from .secret_files import ARCHIVE_ENDINGS
from .sensitive_names import ORDINARY, name_class

# What is audited beside the trees: findings have it as their scope.
SOCKET_SCOPE = "docker socket"
SSH_SCOPE = "ssh of service users"

# Bits that decide without a name: set-user-id, set-group-id, writable by everybody.
USUAL_BITS = 0o6002
_KINDS = {stat.S_IFREG: FILE, stat.S_IFDIR: DIRECTORY, stat.S_IFLNK: LINK}
_PROGRAM_ENDINGS = (".sh", ".js", ".mjs", ".cjs", ".py")
EVERY_RULE = RuleSet(RULES, frozenset(RULES))


@dataclass(frozen=True)
class Status:
    """What the rules need to know of an object: file type, permission bits, owner, identity.

    Attributes:
        acl: it has an access control list, of which the group's bits are the mask.
        born: when the inode was made, in nanoseconds; 0 where that is unknown.
    """

    kind: int
    mode: int
    uid: int
    gid: int
    device: int
    inode: int
    links: int = 1
    acl: bool = False
    born: int = 0


@dataclass(frozen=True)
class Facts:
    """An object as it was found, with all that decides which rules it breaks.

    Attributes:
        root: the audited path that it lies below, or the scope of what is no part of a tree.
        traits: what was noted of it, each with what there is to say about it, perhaps nothing.
        owner: name of its owner where a rule asks for it.
        subject: what tells its findings from others of the same rule and path.
        count: how many such objects it stands for.
    """

    path: str
    root: str
    status: Status
    traits: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    subject: str = ""
    count: int = 1


@dataclass(frozen=True)
class SocketFacts:
    """A Docker socket as it was found.

    Attributes:
        is_socket: it is one.
        group: name of its group, None when it has none.
        members: users in that group.
    """

    path: str
    status: Status
    is_socket: bool
    group: Optional[str]
    members: Tuple[str, ...]


@dataclass(frozen=True)
class Unreadable:
    """A directory that could not be looked into; code is the errno name, or "depth"."""

    path: str
    root: str
    code: str


@dataclass(frozen=True)
class Problem:
    """A rule that an object breaks.

    Attributes:
        scope: what was audited when it was found: a path, or the Docker sockets.
        subject: what tells it from other problems of the same rule and path.
        count: how many objects it stands for.
    """

    rule: Rule
    path: str
    status: Status
    note: str = ""
    scope: str = ""
    subject: str = ""
    count: int = 1


def plainly_fine(name: str, mode: int, in_backups: bool, bits: int = USUAL_BITS) -> bool:
    """A quick answer for nearly every file of a tree: nothing about its name, mode and place can break a rule.

    Args:
        bits: the permission bits that a rule may ask for whatever the name.
    """
    return not mode & bits and not in_backups and ORDINARY.match(name) is not None


def classes(name: str, in_backups: bool, content: str) -> Dict[str, str]:
    """The traits of a regular file that say what it is for.

    Args:
        name: base name.
        in_backups: it lies below a directory named ``backups``.
        content: the class that its content shows, "" where that was not asked or shows none.
    """
    named = name_class(name)
    if in_backups and named != ENV:
        # Their own rules hold there for everything: what comes and goes with the days is told by the directory.
        return {BACKUP: "", SENSITIVE: ""} if name.endswith(ARCHIVE_ENDINGS) else {SIDECAR: ""}
    found = SECRET if content == SECRET and named != ENV else named or content
    return {found: "", SENSITIVE: ""} if found in (ENV, SECRET, DUMP) else {}


def file_traits(
    name: str,
    uid: int,
    in_backups: bool = False,
    in_scripts: bool = False,
    trusted: FrozenSet[int] = frozenset((0,)),
    content: str = "",
) -> Dict[str, str]:
    """The traits of a regular file, by its name, its place, its owner and its content.

    Args:
        in_scripts: its directory is named ``scripts``.
        trusted: uids that may own secrets (root, and the owners of the shop's directory and of its own).
    """
    traits = classes(name, in_backups, content)
    if SENSITIVE in traits and uid not in trusted:
        traits[FOREIGN_OWNER] = "uid %d" % uid
    if in_scripts and name.endswith(".sh"):
        traits[SCRIPT] = ""
    return traits


def examine(facts: Facts, rules: RuleSet = EVERY_RULE) -> List[Tuple[Rule, str]]:
    """The rules that an object breaks, with a note on each."""
    status = facts.status
    # What is no part of a tree has rules of its own, and is never mended.
    apart = ABOVE in facts.traits or facts.root == SSH_SCOPE
    kind = OTHER if apart else _KINDS.get(status.kind, OTHER)
    name = facts.path.rpartition("/")[2]
    traits = facts.traits
    if kind == FILE and (status.mode & 0o111 or name.endswith(_PROGRAM_ENDINGS)):
        traits = {**traits, PROGRAM: ""}
    broken = rules.broken(kind, status.mode, traits, name, facts.path[len(facts.root) :].lstrip("/"), facts.owner)
    return [(rule, _note(rule, status.mode, traits, facts.owner)) for rule in broken]


def _note(rule: Rule, mode: int, traits: Mapping[str, str], owner: str) -> str:
    said = [traits[trait] for trait in rule.about if traits.get(trait)]
    if rule.any_bits or rule.all_bits or rule.no_bits or not said:
        said.insert(0, "mode %04o" % mode)
    if rule.owners:
        said.append("owner %s" % owner)
    return ", ".join(said)


def examine_socket(
    is_socket: bool, mode: int, uid: int, gid: int, group: Optional[str], members: Iterable[str]
) -> List[Tuple[str, str]]:
    """The rules that a Docker socket breaks.

    Args:
        group: name of its group, None when it has none.
        members: users in that group.
    """
    found: List[Tuple[str, str]] = []
    if not is_socket:
        return found
    if mode & OTHERS:
        found.append(("docker-socket-open", "mode %04o" % mode))
    names = "owner uid %d, group %s" % (uid, group or gid)
    if uid != 0 or (gid != 0 and group != "docker" and mode & GROUP):
        found.append(("docker-socket-owner", names))
    people = sorted(member for member in members if member != "root")
    if people and mode & GROUP and gid != 0:
        found.append(("docker-group-members", "group %s: %s" % (group or gid, ", ".join(people))))
    return found


def with_modes(objects: Iterable[Facts], modes: Dict[str, int]) -> List[Facts]:
    """The objects, as they would be if these paths had these modes."""
    return [
        replace(facts, status=replace(facts.status, mode=modes[facts.path])) if facts.path in modes else facts
        for facts in objects
    ]


def problems_of(
    objects: Iterable[Facts],
    sockets: Iterable[SocketFacts],
    unreadable: Iterable[Unreadable],
    rules: RuleSet = EVERY_RULE,
) -> List[Problem]:
    """All problems of what was found.

    Args:
        rules: the rules to examine.
    """
    found = [
        Problem(rule, facts.path, facts.status, note, facts.root, facts.subject, facts.count)
        for facts in objects
        for rule, note in examine(facts, rules)
    ]
    for socket in sockets:
        status = socket.status
        broken = examine_socket(socket.is_socket, status.mode, status.uid, status.gid, socket.group, socket.members)
        found += [Problem(rules.rules[rule], socket.path, status, note, SOCKET_SCOPE) for rule, note in broken]
    nothing = Status(stat.S_IFDIR, 0, -1, -1, 0, 0)
    closed = rules.rules["directory-unreadable"]
    found += [Problem(closed, item.path, nothing, item.code, item.root) for item in unreadable]
    return [problem for problem in found if problem.rule.name in rules.chosen]


def to_permission_findings(problems: Iterable[Problem]) -> List[Finding]:
    """Findings of problems. Pure."""
    found: List[Finding] = []
    together: Dict[Tuple[str, ...], List[Problem]] = {}
    for problem in problems:
        rule = problem.rule
        if rule.together == "directory":
            together.setdefault((rule.name, problem.path.rpartition("/")[0] or "/", ""), []).append(problem)
        elif rule.together == "owner":
            together.setdefault((rule.name, problem.scope, problem.note), []).append(problem)
        else:
            text = "%s (%s)" % (rule.title, problem.note) if problem.note else rule.title
            subject = problem.subject or (problem.note if rule.people else "")
            found.append(_finding(rule, problem.path, text, problem.scope, subject))
    for (_rule, target, subject), group in together.items():
        first = min(group, key=lambda problem: problem.path)
        number = sum(problem.count for problem in group)
        noun = ("directory", "directories") if first.rule.kind == DIRECTORY else ("file", "files")
        text = "%s: %d %s, for instance %s (%s)" % (
            first.rule.title,
            number,
            noun[number != 1],
            printable(first.path if subject else first.path.rpartition("/")[2]),
            first.note,
        )
        found.append(_finding(first.rule, target, text, first.scope, subject))
    return found


def _finding(rule: Rule, path: str, message: str, scope: str, subject: str) -> Finding:
    text = message if rule.id == rule.name else "%s [%s]" % (message, rule.id)
    return Finding(rule.name, rule.severity, printable(path), text, rule.remediation, scope=scope, subject=subject)
