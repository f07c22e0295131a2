# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks closer at what the walk through a tree came upon, and notes what breaks a rule.

A name, a mode and an owner come with each candidate. What more a rule may ask for, content, access control list, the
directories above it, is looked up here: for few files of a tree, and never through a symbolic link.
"""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import replace
from typing import Dict, FrozenSet, List, Optional, Sequence, Set, Tuple

from .._core.paths import lies_below
from .._core.walker import open_below
from .access_list import READ, USER, WRITE, named_entries, shuts_out_the_group
from .file_modes import ACL_ATTRIBUTE, identified, status_of
from .permission_policy import PermissionPolicy
from .permission_problems import Facts, Status, examine, file_traits
from .permission_rules import ABOVE, MASKED, NO_OWNER, OUTSIDE, REPLACEABLE, SECRET, SENSITIVE, SHARED
from .secret_files import PEM_ENDINGS
from .sensitive_content import HEAD_BYTES, content_class, holds_private_key
from .sensitive_names import name_class, name_says_nothing
from .users import group_and_members, has_name, user_name

# Links of longer paths cannot be resolved by the system (PATH_MAX).
_LONGEST_PATH = 4000
_REMEMBERED = 4096


class Owners:
    """Users and groups of the host, each looked up once."""

    def __init__(self) -> None:
        self._named: Dict[Tuple[int, int], str] = {}
        self._members: Dict[int, Tuple[str, List[Tuple[str, int]]]] = {}

    def nameless(self, uid: int, gid: int) -> str:
        """The owner or else the group that has no name, "" when both have one."""
        known = self._named.get((uid, gid))
        if known is None:
            known = "" if has_name(uid, group=False) else "uid %d" % uid
            known = known or ("" if has_name(gid, group=True) else "gid %d" % gid)
            self._named[(uid, gid)] = known
        return known

    def members(self, gid: int) -> Tuple[str, List[Tuple[str, int]]]:
        """Name of a group, and its users with their numbers."""
        if gid not in self._members:
            name, members = group_and_members(gid)
            numbers = []
            for member in members:
                try:
                    numbers.append((member, pwd.getpwnam(member).pw_uid))
                except KeyError:
                    continue
            self._members[gid] = (name or "gid %d" % gid, numbers)
        return self._members[gid]


class Look:
    """What breaks a rule below one path.

    Args:
        root: the audited path.
        roots: all audited paths: a link from one to another does not lead out.
        policy: what the user wants.
        owners: users and groups of the host.
        top_owner: uid of the owner of the path, 0 when it is a single file.
        all_backups: every file below the path is a backup, whatever the directories are called.

    Attributes:
        files: what breaks a rule, directories excepted; directories: these, by path.
    """

    def __init__(
        self,
        root: str,
        roots: Sequence[str],
        policy: PermissionPolicy,
        owners: Owners,
        top_owner: int = 0,
        all_backups: bool = False,
    ) -> None:
        self.root = root
        self.roots = roots
        self.policy = policy
        self.rules = policy.rules
        self.owners = owners
        self.top_owner = top_owner
        self.all_backups = all_backups
        self.files: List[Facts] = []
        self.directories: Dict[str, Facts] = {}
        self._ownerless: Dict[Tuple[int, str], Facts] = {}
        self._above: Set[Tuple[str, int]] = set()
        self._statuses: Dict[str, Tuple[Optional[Status], bytes]] = {}
        self._asks_owner = any(self.rules.rules[name].owners for name in self.rules.chosen)
        self._directory = ""
        self._descriptor = -1
        self.in_backups = False
        self._in_scripts = False

    def close(self) -> None:
        self._leave()

    def found(self) -> List[Facts]:
        """Everything that breaks a rule, in the order of the paths."""
        every = self.files + list(self.directories.values()) + list(self._ownerless.values())
        return sorted(every, key=lambda facts: facts.path)

    # -- the directory of the present candidates -----------------------------------------------------------------------

    def enter(self, directory: str) -> None:
        """Say in which directory the next files lie."""
        if directory == self._directory:
            return
        self._leave()
        self._directory = directory
        below = directory[len(self.root) :] + "/"
        self.in_backups = self.all_backups or "/backups/" in below
        self._in_scripts = below.endswith("/scripts/")

    def _leave(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._directory, self._descriptor = "", -1

    def _inside(self) -> int:
        """A descriptor of the present directory, reached without a link."""
        if self._descriptor < 0:
            top = os.path.dirname(self.root) if self._directory == os.path.dirname(self.root) else self.root
            self._descriptor = open_below(top or "/", self._directory)
        return self._descriptor

    # -- candidates ----------------------------------------------------------------------------------------------------

    def file(self, name: str, status: Status, size: int) -> None:
        """A regular file of the present directory."""
        path = os.path.join(self._directory, name)
        content = self._content(name, status, size)
        trusted: FrozenSet[int] = frozenset((0, self.top_owner))
        traits = file_traits(name, status.uid, self.in_backups, self._in_scripts, trusted, content)
        if SENSITIVE in traits:
            own = self._status(self._directory)[0]
            if own is not None and own.uid not in trusted:
                # Whoever owns the directory can replace the file anyway.
                traits = file_traits(name, status.uid, self.in_backups, self._in_scripts, trusted | {own.uid}, content)
            traits.update(self._shared(name, status))
            self._judge_parents(status.uid)
        nameless = self.owners.nameless(status.uid, status.gid)
        if nameless:
            traits[NO_OWNER] = nameless
        self._note(Facts(path, self.root, status, traits, self._owner(status.uid)))

    def directory(self, path: str, status: Status) -> None:
        """A directory that is a candidate itself."""
        nameless = self.owners.nameless(status.uid, status.gid)
        traits = {NO_OWNER: nameless} if nameless else {}
        self._note(Facts(path, self.root, status, traits, self._owner(status.uid)))

    def link(self, directory: str, name: str, status: Status) -> None:
        """A symbolic link: where does it lead?"""
        path = os.path.join(directory, name)
        if len(path) < _LONGEST_PATH:
            target = os.path.realpath(path)
        else:
            try:
                self.enter(directory)
                target = os.path.normpath(os.path.join(directory, os.readlink(name, dir_fd=self._inside())))
            except OSError:
                return
        if not any(lies_below(target, root) for root in self.roots):
            self._note(Facts(path, self.root, status, {OUTSIDE: "to %s" % target}, self._owner(status.uid)))

    def ancestors(self) -> None:
        """The directories above the path: who may write there can put another tree in its place."""
        if not self.rules.wants("parent-replaceable"):
            return
        path = self.root
        while path != "/":
            path = os.path.dirname(path)
            try:
                status = status_of(os.stat(path))
            except OSError:
                continue
            said = self._who_may_write(status, b"", status.uid not in (0, self.top_owner))
            if status.mode & 0o002 and not status.mode & stat.S_ISVTX:
                said.insert(0, "mode %04o" % status.mode)
            if said:
                self._note(Facts(path, self.root, status, {ABOVE: "; ".join(said)}))

    # -- what is looked up ---------------------------------------------------------------------------------------------

    def _owner(self, uid: int) -> str:
        return user_name(uid) if self._asks_owner else ""

    def _content(self, name: str, status: Status, size: int) -> str:
        """The class that the content of a file shows, where its name does not say what it is."""
        if name.rpartition(".")[2].lower() in PEM_ENDINGS:
            head = self._head(name, status)
            # One that cannot be read may well hold a key.
            return SECRET if head is None or holds_private_key(head) else ""
        if self.in_backups or not size or not status.mode & 0o044 or not name_says_nothing(name) or name_class(name):
            return ""
        return content_class(self._head(name, status) or b"")

    def _head(self, name: str, status: Status) -> Optional[bytes]:
        """The first bytes of a file; None when it cannot be read, b"" when it is gone or another by now."""
        try:
            opened = os.open(
                name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, dir_fd=self._inside()
            )
        except FileNotFoundError:
            return b""
        except OSError:
            return None
        try:
            now = os.fstat(opened)
            if not stat.S_ISREG(now.st_mode) or (now.st_dev, now.st_ino) != (status.device, status.inode):
                return b""
            return os.read(opened, HEAD_BYTES)
        except OSError:
            return None
        finally:
            os.close(opened)

    def _shared(self, name: str, status: Status) -> Dict[str, str]:
        """What an access control list changes: whom it lets read or write a file, beside those who may own it."""
        if not status.mode & stat.S_IRWXG:
            return {}  # the mask, which leaves nothing to anybody
        try:
            value = os.getxattr("/proc/self/fd/%d/%s" % (self._inside(), name), ACL_ATTRIBUTE, follow_symlinks=False)
        except OSError:
            return {}
        said = "; ".join(self._named(value, READ | WRITE, {0, self.top_owner, status.uid}))
        return {**({SHARED: said} if said else {}), **({MASKED: ""} if shuts_out_the_group(value) else {})}

    def _named(self, value: bytes, rights: int, trusted: Set[int]) -> List[str]:
        said = []
        for tag, number, granted in named_entries(value):
            if granted & rights and not (tag == USER and number in trusted):
                who = "user %s" % user_name(number) if tag == USER else "group %s" % self.owners.members(number)[0]
                said.append("%s may %s" % (who, "write" if granted & WRITE else "read"))
        return said

    def _status(self, directory: str) -> Tuple[Optional[Status], bytes]:
        """Status and access control list of a directory of the tree; None when it is gone."""
        known = self._statuses.get(directory)
        if known is None:
            if len(self._statuses) > _REMEMBERED:
                self._statuses.clear()
            known = self._look_at(directory)
            self._statuses[directory] = known
        return known

    def _look_at(self, directory: str) -> Tuple[Optional[Status], bytes]:
        inside = directory == self.root or lies_below(directory, self.root)
        try:
            descriptor = open_below(self.root if inside else directory, directory)
        except OSError:
            return None, b""
        try:
            status = status_of(os.fstat(descriptor))
            try:
                return status, os.getxattr("/proc/self/fd/%d" % descriptor, ACL_ATTRIBUTE)
            except OSError:
                return status, b""
        finally:
            os.close(descriptor)

    def _judge_parents(self, uid: int) -> None:
        """Note each directory from the present one up to the path in which others could replace a file of that owner."""
        if not self.rules.wants("secret-replaceable"):
            return
        path = self._directory
        while lies_below(path, self.root) and (path, uid) not in self._above:
            if len(self._above) > 16 * _REMEMBERED:
                self._above.clear()
            self._above.add((path, uid))
            status, listed = self._status(path)
            if status is not None:
                said = self._who_may_write(status, listed, status.uid not in (0, self.top_owner, uid))
                if said:
                    self._note(Facts(path, self.root, status, {REPLACEABLE: "; ".join(said)}, self._owner(status.uid)))
            if path == "/":
                break
            path = os.path.dirname(path)

    def _who_may_write(self, status: Status, listed: bytes, foreign: bool) -> List[str]:
        """Who beside root and the owner of the tree can replace what lies in a directory, everybody excepted."""
        trusted = {0, self.top_owner, status.uid}
        said = ["%s owns it" % user_name(status.uid)] if foreign else []
        if status.mode & stat.S_ISVTX:
            return said  # what belongs to somebody else cannot be replaced there
        if status.mode & 0o020 and not listed:
            group, members = self.owners.members(status.gid)
            people = [member for member, number in members if number not in trusted]
            if people:
                said.append("group %s (%s) may write" % (group, ", ".join(people)))
        return said + self._named(listed, WRITE, trusted)

    # -- noting --------------------------------------------------------------------------------------------------------

    def _note(self, facts: Facts) -> None:
        broken = [rule for rule, _note in examine(facts, self.rules)]
        if not broken:
            return
        if all(rule.together == "owner" for rule in broken):
            # Perhaps all of a million files: one stands for them.
            key = (facts.status.kind, facts.traits[NO_OWNER])
            known = self._ownerless.get(key)
            first = facts if known is None or facts.path < known.path else known
            self._ownerless[key] = replace(first, count=1 + (known.count if known is not None else 0))
            return
        if any(rule.name in self.policy.fix for rule in broken):
            facts = replace(facts, status=identified(facts.root, facts.path, facts.status))
        if facts.status.kind != stat.S_IFDIR or ABOVE in facts.traits:
            self.files.append(facts)
            return
        known = self.directories.get(facts.path)
        if known is not None:
            # Whichever was noted first: what it says of the files of one owner may be less than of another's.
            said = max(
                known.traits.get(REPLACEABLE, ""), facts.traits.get(REPLACEABLE, ""), key=lambda text: (len(text), text)
            )
            traits = {**known.traits, **facts.traits, **({REPLACEABLE: said} if said else {})}
            facts = replace(known, traits=traits, status=_more(known.status, facts.status))
        self.directories[facts.path] = facts


def _more(first: Status, second: Status) -> Status:
    return second if second.born and not first.born else first
