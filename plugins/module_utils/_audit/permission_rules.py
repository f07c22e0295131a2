# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which modes and owners are wrong in the tree of a shop, and which mode would be right. Pure."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, Optional, Tuple

from .._core.finding import Finding, printable

OTHERS = 0o007
GROUP = 0o070


@dataclass(frozen=True)
class Rule:
    """One kind of finding.

    Attributes:
        severity: how bad; a rule has one severity, so that a worse state of a file is another finding.
        remove: the permission bits that are wrong, 0 when narrowing the mode does not mend it.
        default_fix: mended by fix=true; the others only when named.
        per_directory: all files of a directory that break it are one finding. Backups come and go by the day: a
            finding for each would be news every time; and a directory of scripts has one cause.
    """

    id: str
    severity: str
    title: str
    remediation: str
    remove: int = 0
    default_fix: bool = False
    per_directory: bool = False


_RULES = (
    Rule(
        "env-readable",
        "high",
        "an environment file, full of secrets, is open to every user of the host",
        "Make it 0600, as perm_audit does with fix; give it to the user who runs the shop first if that is not its owner.",
        OTHERS | GROUP | 0o100,
        True,
    ),
    Rule(
        "env-group-access",
        "medium",
        "an environment file, full of secrets, is open to a whole group",
        "Make it 0600, or waive it when that group is the shop's own and has no other members.",
        GROUP | 0o100,
        True,
    ),
    Rule(
        "secret-readable",
        "high",
        "a private key or secret file is open to every user of the host",
        "Make it 0600, as perm_audit does with fix, and consider what it protects as known to others.",
        OTHERS | GROUP,
        True,
    ),
    Rule(
        "secret-group-access",
        "medium",
        "a private key or secret file is open to a whole group",
        "Make it 0600, or waive it when that group is the service's own and has no other members.",
        GROUP,
        True,
    ),
    Rule(
        "secret-owner",
        "medium",
        "a secret file belongs to neither root nor the owner of the shop's directory",
        "Give it to the user who needs it (chown); narrowing the mode alone does not help against its owner.",
    ),
    Rule(
        "backup-readable",
        "high",
        "backups, which hold the whole database and the environment file, are open to every user of the host",
        "Make them 0600, as perm_audit does with fix, and find out what writes them so.",
        OTHERS | GROUP,
        True,
        True,
    ),
    Rule(
        "backup-group-access",
        "medium",
        "backups, which hold the whole database and the environment file, are open to a whole group",
        "Make it 0600, or waive it when that group has no other members.",
        GROUP,
        True,
        True,
    ),
    Rule(
        "backup-sidecar-readable",
        "low",
        "files beside the backups (manifests, checksums, logs) are open to every user of the host",
        "Make it 0600, as perm_audit does with fix.",
        OTHERS,
        True,
        True,
    ),
    Rule(
        "world-writable-directory",
        "high",
        "every user of the host can add, replace and delete files in this directory",
        "Take the right to write from others (chmod o-w), after giving the directory to the user who writes to it.",
        0o002,
        True,
    ),
    Rule(
        "world-writable-program",
        "critical",
        "every user of the host can change what this program does",
        "Take the right to write from others (chmod o-w), and compare its content with the repository.",
        0o002,
        True,
    ),
    Rule(
        "world-writable-file",
        "high",
        "every user of the host can change this file",
        "Take the right to write from others (chmod o-w), after giving the file to the user who writes to it.",
        0o002,
        True,
    ),
    Rule(
        "setuid-file",
        "high",
        "a program here runs with its owner's rights, whoever starts it",
        "Nothing of the shop needs that: find out where it comes from, then chmod u-s, or name this rule in fix.",
        stat.S_ISUID,
    ),
    Rule(
        "setgid-file",
        "medium",
        "a program here runs with its group's rights, whoever starts it",
        "Nothing of the shop needs that: find out where it comes from, then chmod g-s, or name this rule in fix.",
        stat.S_ISGID,
    ),
    Rule(
        "script-not-executable",
        "low",
        "scripts cannot be started by their names, so a cron job or another script that does so fails",
        "Start them as 'bash SCRIPT', or make them executable (chmod u+x); fix never widens a mode.",
        per_directory=True,
    ),
    Rule(
        "directory-unreadable",
        "medium",
        "this directory could not be looked into",
        "Run the audit as root (become: true), or exclude the directory.",
    ),
    Rule(
        "docker-socket-open",
        "critical",
        "every user of the host can control Docker through this socket, which is as good as being root",
        "Set the mode to 0660 in docker.socket (SocketMode=) or by chmod, and find out what opened it.",
    ),
    Rule(
        "docker-socket-owner",
        "high",
        "this Docker socket belongs to an unexpected user or group, who can become root through it",
        'Give it to root and the group docker: SocketUser= and SocketGroup= in docker.socket, or "group" in daemon.json.',
    ),
    Rule(
        "docker-group-members",
        "low",
        "members of the group of the Docker socket are as good as root",
        "Check that each of them should be: gpasswd -d USER docker takes one out. Waive it when they should.",
    ),
)
RULES: Dict[str, Rule] = {rule.id: rule for rule in _RULES}

# Files of keys and credentials by the end of the name; public halves and samples are no secrets.
_SECRET_ENDINGS = frozenset(("key", "p12", "pfx", "jks", "keystore", "kdbx", "ppk", "passphrase", "enc"))
_SECRET_NAMES = frozenset(
    ("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", ".pgpass", ".netrc", ".htpasswd", ".my.cnf", ".npmrc", ".passphrase",
     "service-account.json", "credentials.json")
)  # fmt: skip
_SAMPLE_ENDINGS = (".example", ".sample", ".template", ".dist", ".pub")
_ARCHIVE_ENDINGS = (".tar", ".gz", ".tgz", ".zst", ".xz", ".bz2", ".zip", ".enc", ".gpg", ".age", ".archive", ".dump",
                    ".sql", ".bson", ".bak")  # fmt: skip
# A PEM file may hold a private key or only certificates: its content decides.
PEM_ENDINGS = frozenset(("pem",))


@dataclass(frozen=True)
class Problem:
    """A rule that an object breaks."""

    rule: Rule
    path: str
    status: Status
    note: str = ""


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


def env_file(name: str) -> bool:
    return (name == ".env" or name.startswith(".env.")) and not name.endswith(_SAMPLE_ENDINGS)


def secret_file(name: str) -> bool:
    """Whether a file holds keys or credentials, by its name; PEM files are decided by content."""
    if name in _SECRET_NAMES:
        return True
    stem, _dot, ending = name.rpartition(".")
    return bool(stem) and ending.lower() in _SECRET_ENDINGS


def plainly_fine(name: str, mode: int, in_backups: bool, in_scripts: bool) -> bool:
    """A quick, exact answer for nearly every file of a tree: nothing here can break a rule."""
    if mode & 0o6002 or in_backups or in_scripts:
        return False
    if name[0] == "." or name.startswith(("id_", "service-account", "credentials")):
        return False
    ending = name.rpartition(".")[2]
    return ending not in _QUICK_ENDINGS and ending.lower() not in _QUICK_ENDINGS


_QUICK_ENDINGS = _SECRET_ENDINGS | PEM_ENDINGS


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
        if name.endswith(_ARCHIVE_ENDINGS):
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


def to_findings(problems: Iterable[Problem], scopes: Mapping[str, str]) -> List[Finding]:
    """Findings of problems. Pure.

    Args:
        scopes: path of an object -> what was audited when it was found.
    """
    found: List[Finding] = []
    together: Dict[Tuple[str, str], List[Problem]] = {}
    for problem in problems:
        if problem.rule.per_directory:
            together.setdefault((problem.rule.id, problem.path.rpartition("/")[0] or "/"), []).append(problem)
        else:
            text = "%s (%s)" % (problem.rule.title, problem.note) if problem.note else problem.rule.title
            found.append(_finding(problem.rule, problem.path, text, scopes[problem.path]))
    for (_rule, directory), group in together.items():
        first = min(group, key=lambda problem: problem.path)
        text = "%s: %d file%s, for instance %s (%s)" % (
            first.rule.title,
            len(group),
            "" if len(group) == 1 else "s",
            printable(first.path.rpartition("/")[2]),
            first.note,
        )
        found.append(_finding(first.rule, directory, text, scopes[first.path]))
    return found


def _finding(rule: Rule, path: str, message: str, scope: str) -> Finding:
    return Finding(rule.id, rule.severity, printable(path), message, rule.remediation, scope=scope)
