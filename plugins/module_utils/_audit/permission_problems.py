# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which rules the objects of a tree break, by what was noted of them. Pure."""

from __future__ import annotations

import stat
from dataclasses import dataclass, replace
from typing import Dict, FrozenSet, Iterable, List, Optional, Tuple

from .._core.finding import Finding, printable
from .permission_rules import GROUP, OTHERS, RULES, Rule
from .secret_files import ARCHIVE_ENDINGS, PEM_ENDINGS, SECRET_ENDINGS, env_file, secret_file

# What is audited beside the trees: findings have it as their scope.
SOCKET_SCOPE = "docker socket"


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
    """A file or directory as it was found, with all that decides which rules it breaks.

    Attributes:
        root: the audited path that it lies below.
        in_backups: it lies below a directory named ``backups``.
        in_scripts: its directory is named ``scripts``.
        trusted: uids that may own secrets (root, and the owners of the shop's directory and of its own).
        private_pem: a PEM file that holds a private key, or cannot be read.
    """

    path: str
    root: str
    status: Status
    in_backups: bool = False
    in_scripts: bool = False
    trusted: FrozenSet[int] = frozenset()
    private_pem: bool = False


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
    """

    rule: Rule
    path: str
    status: Status
    note: str = ""
    scope: str = ""


def plainly_fine(name: str, mode: int, in_backups: bool, in_scripts: bool) -> bool:
    """A quick, exact answer for nearly every file of a tree: nothing here can break a rule."""
    if mode & 0o6002 or in_backups or in_scripts:
        return False
    if name[0] == "." or name.startswith(("id_", "service-account", "credentials")):
        return False
    ending = name.rpartition(".")[2]
    return ending not in _QUICK_ENDINGS and ending.lower() not in _QUICK_ENDINGS


_QUICK_ENDINGS = SECRET_ENDINGS | PEM_ENDINGS


def examine_file(
    name: str, status: Status, in_backups: bool, in_scripts: bool, trusted: Iterable[int], private_pem: bool = False
) -> List[Tuple[str, str]]:
    """The rules that a regular file breaks, with a note on each.

    Args:
        name: base name.
        status: its status.
        in_backups: it lies below a directory named ``backups``.
        in_scripts: its directory is named ``scripts``.
        trusted: uids that may own secrets (root and the owner of the shop's directory).
        private_pem: the content of a PEM file holds a private key.
    """
    found: List[Tuple[str, str]] = []
    mode = status.mode
    octal = "mode %04o" % mode
    secret = False
    if env_file(name):
        secret = True
        if mode & OTHERS:
            found.append(("env-readable", octal))
        elif mode & (GROUP | 0o100):
            found.append(("env-group-access", octal))
    elif in_backups:
        if name.endswith(ARCHIVE_ENDINGS):
            secret = True
            if mode & OTHERS:
                found.append(("backup-readable", octal))
            elif mode & GROUP:
                found.append(("backup-group-access", octal))
        elif mode & OTHERS:
            found.append(("backup-sidecar-readable", octal))
    elif private_pem or secret_file(name):
        secret = True
        if mode & OTHERS:
            found.append(("secret-readable", octal))
        elif mode & GROUP:
            found.append(("secret-group-access", octal))
    if secret and status.uid not in trusted:
        found.append(("secret-owner", "uid %d" % status.uid))
    if mode & 0o002:
        program = mode & 0o111 or name.endswith((".sh", ".js", ".mjs", ".cjs", ".py"))
        found.append(("world-writable-program" if program else "world-writable-file", octal))
    if mode & stat.S_ISUID:
        found.append(("setuid-file", "%s, uid %d" % (octal, status.uid)))
    # Without the group's right to execute the bit means mandatory locking on old systems, not other rights.
    if mode & stat.S_ISGID and mode & 0o010:
        found.append(("setgid-file", "%s, gid %d" % (octal, status.gid)))
    if in_scripts and name.endswith(".sh") and not mode & 0o100:
        found.append(("script-not-executable", octal))
    return found


def examine_directory(status: Status) -> List[Tuple[str, str]]:
    """The rules that a directory breaks. With the sticky bit only owners delete: that is how /tmp is meant to be."""
    if status.mode & 0o002 and not status.mode & stat.S_ISVTX:
        return [("world-writable-directory", "mode %04o" % status.mode)]
    return []


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


def examine(facts: Facts) -> List[Tuple[str, str]]:
    """The rules that a file or directory breaks, with a note on each."""
    if facts.status.kind == stat.S_IFDIR:
        return examine_directory(facts.status)
    name = facts.path.rpartition("/")[2]
    return examine_file(name, facts.status, facts.in_backups, facts.in_scripts, facts.trusted, facts.private_pem)


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
    rules: Optional[FrozenSet[str]],
) -> List[Problem]:
    """All problems of what was found.

    Args:
        rules: the rules to examine, None for all.
    """
    found = [
        Problem(RULES[rule], facts.path, facts.status, note, facts.root)
        for facts in objects
        for rule, note in examine(facts)
    ]
    for socket in sockets:
        status = socket.status
        broken = examine_socket(socket.is_socket, status.mode, status.uid, status.gid, socket.group, socket.members)
        found += [Problem(RULES[rule], socket.path, status, note, SOCKET_SCOPE) for rule, note in broken]
    nothing = Status(stat.S_IFDIR, 0, -1, -1, 0, 0)
    found += [Problem(RULES["directory-unreadable"], item.path, nothing, item.code, item.root) for item in unreadable]
    return [problem for problem in found if rules is None or problem.rule.id in rules]


def to_permission_findings(problems: Iterable[Problem]) -> List[Finding]:
    """Findings of problems. Pure."""
    found: List[Finding] = []
    together: Dict[Tuple[str, str], List[Problem]] = {}
    for problem in problems:
        if problem.rule.per_directory:
            together.setdefault((problem.rule.id, problem.path.rpartition("/")[0] or "/"), []).append(problem)
        else:
            text = "%s (%s)" % (problem.rule.title, problem.note) if problem.note else problem.rule.title
            found.append(_finding(problem.rule, problem.path, text, problem.scope))
    for (_rule, directory), group in together.items():
        first = min(group, key=lambda problem: problem.path)
        text = "%s: %d file%s, for instance %s (%s)" % (
            first.rule.title,
            len(group),
            "" if len(group) == 1 else "s",
            printable(first.path.rpartition("/")[2]),
            first.note,
        )
        found.append(_finding(first.rule, directory, text, first.scope))
    return found


def _finding(rule: Rule, path: str, message: str, scope: str) -> Finding:
    return Finding(rule.id, rule.severity, printable(path), message, rule.remediation, scope=scope)
