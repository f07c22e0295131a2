# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be wrong with modes and owners in the tree of a shop: the rules, as data."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import Dict, Iterable, List

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


def fixable(names: Iterable[str]) -> List[str]:
    """Those of the rules that a narrower mode mends."""
    return [name for name in names if RULES[name].remove]
