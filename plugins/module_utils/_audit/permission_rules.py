# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be wrong with modes and owners in the tree of a shop: the rules, as data.

A rule says of which objects it speaks by their kind, by traits (what was noted when the object was looked at: that it is
an environment file, that its owner has no name), by permission bits and by globs. All that it names must hold.
"""

from __future__ import annotations

import fnmatch
import re
import stat
from typing import Dict, FrozenSet, Iterable, List, Mapping, Tuple

from .._core.late_dataclass import dataclass

OTHERS = 0o007
GROUP = 0o070

FILE, DIRECTORY, LINK, OTHER = "file", "directory", "link", "other"
# Classes of files, each a trait; what is in one of the first four is sensitive.
ENV, SECRET, BACKUP, DUMP, SIDECAR = "env", "secret", "backup", "dump", "sidecar"
SENSITIVE = "sensitive"
CLASSES = (ENV, SECRET, BACKUP, DUMP, SIDECAR, SENSITIVE)
# Further traits.
FOREIGN_OWNER, NO_OWNER, PROGRAM, SCRIPT = "foreign-owner", "no-owner", "program", "script"
SHARED, REPLACEABLE, ABOVE, OUTSIDE, CLOSED = "shared", "replaceable", "above", "outside", "closed"
# The bits of the group are the mask of an access control list, under which the group itself has no rights.
MASKED = "masked"
SSH_FILE, SSH_KEY, SSH_FOREIGN, SSH_LOGIN = "ssh-file", "ssh-key", "ssh-foreign", "ssh-login"


@dataclass(frozen=True)
class Rule:
    """One kind of finding.

    Attributes:
        id: never changes and is never used again.
        name: what findings, waivers and baselines call it.
        severity: how bad; a rule has one severity, so that a worse state of a file is another finding.
        title: the reason; remediation: what to do about it.
        kind: of which objects it speaks: file, directory, link, or other for what is no part of a tree.
        about: traits of which one is there; without: traits none of which is.
        any_bits, all_bits, no_bits: permission bits of which one, all, none is set.
        names, paths: globs of base names, and of paths relative to what is audited, one of which fits.
        owners: users one of whom should own it; the rule is broken by what belongs to another.
        remove: the permission bits that are wrong, 0 when narrowing the mode does not mend it.
        default_fix: mended by fix=true; the others only when named.
        together: what makes one finding: "" each object; "directory" all files of a directory (backups come and go by the
            day: a finding for each would be news every time; and a directory of scripts has one cause); "owner" all that
            belongs to one owner.
        former: names that it had before: what baselines and waivers know by them stays known.
        people: what is noted of an object says who it lets in, and belongs to the identity of the finding: who has waived it for
            one user has not waived it for the next.
    """

    id: str
    name: str
    severity: str
    title: str
    remediation: str
    kind: str = FILE
    about: Tuple[str, ...] = ()
    without: Tuple[str, ...] = ()
    any_bits: int = 0
    all_bits: int = 0
    no_bits: int = 0
    names: Tuple[str, ...] = ()
    paths: Tuple[str, ...] = ()
    owners: Tuple[str, ...] = ()
    remove: int = 0
    default_fix: bool = False
    together: str = ""
    former: Tuple[str, ...] = ()
    people: bool = False

    def broken_by(self, mode: int, traits: Mapping[str, str]) -> bool:
        """Whether an object of the right kind, name and owner breaks it, by its mode and its traits."""
        return (
            (not self.any_bits or bool(mode & self.any_bits))
            and mode & self.all_bits == self.all_bits
            and not mode & self.no_bits
            and (not self.about or any(trait in traits for trait in self.about))
            and not any(trait in traits for trait in self.without)
        )


_RULES = (
    Rule(
        "MPA-001",
        "env-readable",
        "high",
        "an environment file, full of secrets, is open to every user of the host",
        "Make it 0600, as perm_audit does with fix; give it to the user who runs the shop first if that is not its owner.",
        about=(ENV,),
        any_bits=OTHERS,
        remove=OTHERS | GROUP | 0o100,
        default_fix=True,
    ),
    Rule(
        "MPA-002",
        "env-group-access",
        "medium",
        "an environment file, full of secrets, is open to a whole group",
        "Make it 0600, or waive it when that group is the shop's own and has no other members.",
        about=(ENV,),
        without=(MASKED,),
        any_bits=GROUP | 0o100,
        no_bits=OTHERS,
        remove=GROUP | 0o100,
        default_fix=True,
    ),
    Rule(
        "MPA-003",
        "secret-readable",
        "high",
        "a private key or secret file is open to every user of the host",
        "Make it 0600, as perm_audit does with fix, and consider what it protects as known to others.",
        about=(SECRET,),
        any_bits=OTHERS,
        remove=OTHERS | GROUP,
        default_fix=True,
    ),
    Rule(
        "MPA-004",
        "secret-group-access",
        "medium",
        "a private key or secret file is open to a whole group",
        "Make it 0600, or waive it when that group is the service's own and has no other members.",
        about=(SECRET,),
        without=(MASKED,),
        any_bits=GROUP,
        no_bits=OTHERS,
        remove=GROUP,
        default_fix=True,
    ),
    Rule(
        "MPA-005",
        "secret-owner",
        "medium",
        "a secret file belongs to neither root nor the owner of the shop's directory",
        "Give it to the user who needs it (chown); narrowing the mode alone does not help against its owner.",
        about=(FOREIGN_OWNER,),
    ),
    Rule(
        "MPA-006",
        "backup-readable",
        "high",
        "backups, which hold the whole database and the environment file, are open to every user of the host",
        "Make them 0600, as perm_audit does with fix, and find out what writes them so.",
        about=(BACKUP,),
        any_bits=OTHERS,
        remove=OTHERS | GROUP,
        default_fix=True,
        together="directory",
    ),
    Rule(
        "MPA-007",
        "backup-group-access",
        "medium",
        "backups, which hold the whole database and the environment file, are open to a whole group",
        "Make it 0600, or waive it when that group has no other members.",
        about=(BACKUP,),
        without=(MASKED,),
        any_bits=GROUP,
        no_bits=OTHERS,
        remove=GROUP,
        default_fix=True,
        together="directory",
    ),
    Rule(
        "MPA-008",
        "backup-sidecar-readable",
        "low",
        "files beside the backups (manifests, checksums, logs) are open to every user of the host",
        "Make it 0600, as perm_audit does with fix.",
        about=(SIDECAR,),
        any_bits=OTHERS,
        remove=OTHERS,
        default_fix=True,
        together="directory",
    ),
    Rule(
        "MPA-009",
        "world-writable-directory",
        "high",
        "every user of the host can add, replace and delete files in this directory",
        "Take the right to write from others (chmod o-w), after giving the directory to the user who writes to it.",
        # With the sticky bit only owners delete: that is how /tmp is meant to be.
        kind=DIRECTORY,
        any_bits=0o002,
        no_bits=stat.S_ISVTX,
        remove=0o002,
        default_fix=True,
    ),
    Rule(
        "MPA-010",
        "world-writable-program",
        "critical",
        "every user of the host can change what this program does",
        "Take the right to write from others (chmod o-w), and compare its content with the repository.",
        about=(PROGRAM,),
        any_bits=0o002,
        remove=0o002,
        default_fix=True,
    ),
    Rule(
        "MPA-011",
        "world-writable-file",
        "high",
        "every user of the host can change this file",
        "Take the right to write from others (chmod o-w), after giving the file to the user who writes to it.",
        without=(PROGRAM,),
        any_bits=0o002,
        remove=0o002,
        default_fix=True,
    ),
    Rule(
        "MPA-012",
        "setuid-file",
        "high",
        "a program here runs with its owner's rights, whoever starts it",
        "Nothing of the shop needs that: find out where it comes from, then chmod u-s, or name this rule in fix.",
        any_bits=stat.S_ISUID,
        remove=stat.S_ISUID,
    ),
    Rule(
        "MPA-013",
        "setgid-file",
        "medium",
        "a program here runs with its group's rights, whoever starts it",
        "Nothing of the shop needs that: find out where it comes from, then chmod g-s, or name this rule in fix.",
        # Without the group's right to execute the bit means mandatory locking on old systems, not other rights.
        all_bits=stat.S_ISGID | 0o010,
        remove=stat.S_ISGID,
    ),
    Rule(
        "MPA-014",
        "script-not-executable",
        "low",
        "scripts cannot be started by their names, so a cron job or another script that does so fails",
        "Start them as 'bash SCRIPT', or make them executable (chmod u+x); fix never widens a mode.",
        about=(SCRIPT,),
        no_bits=0o100,
        together="directory",
    ),
    Rule(
        "MPA-015",
        "directory-unreadable",
        "medium",
        "this directory could not be looked into",
        "Run the audit as root (become: true), or exclude the directory.",
        kind=OTHER,
        about=(CLOSED,),
    ),
    Rule(
        "MPA-016",
        "docker-socket-open",
        "critical",
        "every user of the host can control Docker through this socket, which is as good as being root",
        "Set the mode to 0660 in docker.socket (SocketMode=) or by chmod, and find out what opened it.",
        kind=OTHER,
        about=("docker-socket",),
        any_bits=OTHERS,
    ),
    Rule(
        "MPA-017",
        "docker-socket-owner",
        "high",
        "this Docker socket belongs to an unexpected user or group, who can become root through it",
        'Give it to root and the group docker: SocketUser= and SocketGroup= in docker.socket, or "group" in daemon.json.',
        kind=OTHER,
        about=("docker-socket-owner",),
    ),
    Rule(
        "MPA-018",
        "docker-group-members",
        "low",
        "members of the group of the Docker socket are as good as root",
        "Check that each of them should be: gpasswd -d USER docker takes one out. Waive it when they should.",
        kind=OTHER,
        about=("docker-members",),
        people=True,
    ),
    Rule(
        "MPA-019",
        "dump-readable",
        "high",
        "a dump of a database outside the directory of backups is open to every user of the host",
        "Make it 0600, as perm_audit does with fix, then move it to the backups or delete it.",
        about=(DUMP,),
        any_bits=OTHERS,
        remove=OTHERS | GROUP,
        default_fix=True,
    ),
    Rule(
        "MPA-020",
        "dump-group-access",
        "medium",
        "a dump of a database outside the directory of backups is open to a whole group",
        "Make it 0600, as perm_audit does with fix, then move it to the backups or delete it.",
        about=(DUMP,),
        without=(MASKED,),
        any_bits=GROUP,
        no_bits=OTHERS,
        remove=GROUP,
        default_fix=True,
    ),
    Rule(
        "MPA-021",
        "file-without-owner",
        "medium",
        "files belong to a number that is no user of this host: whoever is given that number next owns them",
        "Give them to the user who needs them (chown). Waive it where the number is a container's own user.",
        about=(NO_OWNER,),
        together="owner",
    ),
    Rule(
        "MPA-022",
        "directory-without-owner",
        "medium",
        "directories belong to a number that is no user of this host: whoever is given that number next owns them",
        "Give them to the user who needs them (chown). Waive it where the number is a container's own user.",
        kind=DIRECTORY,
        about=(NO_OWNER,),
        together="owner",
    ),
    Rule(
        "MPA-023",
        "secret-shared",
        "medium",
        "an access control list, which a listing of modes does not show, opens a sensitive file to others",
        "Look at it with getfacl; setfacl -b takes the whole list away, setfacl -x one entry.",
        about=(SHARED,),
        people=True,
    ),
    Rule(
        "MPA-024",
        "secret-replaceable",
        "medium",
        "sensitive files lie in or below this directory, and others can put something else in their place",
        "Take the right to write from the group (chmod g-w), the access control list (setfacl -b), or give it to another owner.",
        kind=DIRECTORY,
        about=(REPLACEABLE,),
        people=True,
    ),
    Rule(
        "MPA-025",
        "parent-replaceable",
        "high",
        "who may write to this directory can put something else in the place of what is audited below it",
        "Give it to root, and take the right to write from group and others (chmod go-w).",
        kind=OTHER,
        about=(ABOVE,),
        people=True,
    ),
    Rule(
        "MPA-026",
        "link-outside",
        "low",
        "a symbolic link leads out of what is audited",
        "Check that it should: what lies behind it is served, saved or deleted with the shop, and is not audited.",
        kind=LINK,
        about=(OUTSIDE,),
    ),
    Rule(
        "MPA-027",
        "ssh-writable",
        "high",
        "others can write here, and so log in as the user who runs the shop",
        "chmod go-w; and look whether authorized_keys holds a key that nobody knows.",
        kind=OTHER,
        about=(SSH_FILE, SSH_KEY),
        any_bits=0o022,
    ),
    Rule(
        "MPA-028",
        "ssh-key-readable",
        "high",
        "a private key for SSH is open to others",
        "chmod 0600; and replace the key where it is known, since others may have it.",
        kind=OTHER,
        about=(SSH_KEY,),
        any_bits=0o055,
    ),
    Rule(
        "MPA-029",
        "ssh-owner",
        "high",
        "this belongs to somebody else, who can log in as the user who runs the shop",
        "Give it to that user (chown).",
        kind=OTHER,
        about=(SSH_FOREIGN,),
    ),
    Rule(
        "MPA-030",
        "ssh-authorized-key",
        "low",
        "a key may log in as the user who runs the shop",
        "Check that somebody knows it, and take its line out otherwise. Waive it when it should be there.",
        kind=OTHER,
        about=(SSH_LOGIN,),
    ),
)
RULES: Dict[str, Rule] = {rule.name: rule for rule in _RULES}


def fixable(rules: Mapping[str, Rule], names: Iterable[str]) -> List[str]:
    """Those of the rules that a narrower mode mends."""
    return [name for name in names if rules[name].remove]


def glob_test(globs: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(glob) for glob in globs))


class RuleSet:
    """The rules of one audit, ready to be asked.

    Args:
        rules: all that are defined, by name.
        chosen: the names of those to examine.
    """

    def __init__(self, rules: Mapping[str, Rule], chosen: FrozenSet[str]) -> None:
        self.rules = dict(rules)
        self.chosen = chosen
        self.whole = chosen == frozenset(self.rules)
        self._of_kind: Dict[str, List[Rule]] = {}
        for name in sorted(chosen):
            self._of_kind.setdefault(self.rules[name].kind, []).append(self.rules[name])
        self._names = {name: glob_test(self.rules[name].names) for name in chosen if self.rules[name].names}
        self._paths = {name: glob_test(self.rules[name].paths) for name in chosen if self.rules[name].paths}
        # What the rules of the user's own may speak of beside what traits and the usual bits tell.
        files = [rule for rule in self._of_kind.get(FILE, ()) if not rule.about]
        self.file_bits = 0
        self.every_file = False
        for rule in files:
            self.file_bits |= rule.any_bits | rule.all_bits
            self.every_file = self.every_file or not (rule.any_bits or rule.all_bits)
        directories = [rule for rule in self._of_kind.get(DIRECTORY, ()) if not rule.about]
        self.directory_bits = 0
        self.every_directory = False
        for rule in directories:
            self.directory_bits |= rule.any_bits | rule.all_bits
            self.every_directory = self.every_directory or not (rule.any_bits or rule.all_bits)

    def broken(self, kind: str, mode: int, traits: Mapping[str, str], name: str, below: str, owner: str) -> List[Rule]:
        """The rules that an object breaks.

        Args:
            name: its base name; below: its path relative to what is audited.
            owner: name of its owner, or the number.
        """
        return [
            rule
            for rule in self._of_kind.get(kind, ())
            if rule.broken_by(mode, traits)
            and (not rule.names or self._names[rule.name].match(name))
            and (not rule.paths or self._paths[rule.name].match(below))
            and (not rule.owners or owner not in rule.owners)
        ]

    def wants(self, *names: str) -> bool:
        return any(name in self.chosen for name in names)


def current_names(rules: Mapping[str, Rule]) -> Dict[str, str]:
    """Names of rules by their ids, their names and those they had before."""
    names = {}
    for rule in rules.values():
        for known in (*rule.former, rule.id, rule.name):
            names[known] = rule.name
    return names
