# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files by which somebody logs in as a user who runs the shop: ``.ssh`` in that user's home."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import pwd
import stat
from typing import Dict, Iterable, List, Sequence, Tuple

from .._core.errors import MaintenanceError, from_os_error
from .._core.finding import printable
from .file_modes import status_of
from .permission_problems import SSH_SCOPE, Facts
from .permission_rules import SSH_FILE, SSH_FOREIGN, SSH_KEY, SSH_LOGIN
from .sensitive_content import HEAD_BYTES, holds_private_key

LONGEST_LIST = 1 << 20
_LISTS = ("authorized_keys", "authorized_keys2")
_KEYS = "id_"
_TYPES = ("ssh-", "ecdsa-", "sk-")
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


def authorized_keys(text: str) -> List[Tuple[str, str]]:
    """The keys of an authorized_keys file: fingerprint as ssh-keygen -l shows it, and type with comment. Pure."""
    keys = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        for index, word in enumerate(words[:-1]):
            # Options come first, and may hold blanks within quotes.
            if word.startswith(_TYPES):
                try:
                    blob = base64.b64decode(words[index + 1].encode("utf-8", "replace"), validate=True)
                except (binascii.Error, ValueError):
                    continue
                mark = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")
                keys.append(("SHA256:" + mark, printable(" ".join([word, *words[index + 2 :]]))[:80]))
                break
    return keys


def service_users(names: Iterable[str], roots: Sequence[str]) -> List[pwd.struct_passwd]:
    """The users whose files are looked at: those that are named, and the owners of the audited paths, root excepted.

    Raises:
        MaintenanceError: there is no user of that name.
    """
    found: Dict[int, pwd.struct_passwd] = {}
    for name in names:
        try:
            entry = pwd.getpwnam(name)
        except KeyError as error:
            raise MaintenanceError(
                "there is no such user on this host", target=name, next_step="Correct the option service_users."
            ) from error
        found[entry.pw_uid] = entry
    for root in roots:
        try:
            uid = os.stat(root).st_uid
            if uid:
                found.setdefault(uid, pwd.getpwuid(uid))
        except (OSError, KeyError):
            continue
    return [found[uid] for uid in sorted(found)]


def look_at_ssh(users: Iterable[pwd.struct_passwd]) -> List[Facts]:
    """What lies in the ``.ssh`` of each user.

    Raises:
        MaintenanceError: it cannot be looked into.
    """
    found: List[Facts] = []
    for user in users:
        if not user.pw_dir.startswith("/"):
            continue
        # Where it is a link sshd follows it, and so must whoever asks who can log in.
        base = os.path.realpath(os.path.join(user.pw_dir, ".ssh"))
        try:
            descriptor = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise from_os_error(
                "cannot look into the directory of SSH keys",
                error,
                target=base,
                next_step="Run as root (become: true).",
            ) from error
        try:
            found.append(_facts(base, os.fstat(descriptor), user, {SSH_FILE: ""}))
            for name in sorted(os.listdir(descriptor)):
                found += _look_at_file(base, name, descriptor, user)
        finally:
            os.close(descriptor)
    return found


def _look_at_file(base: str, name: str, directory: int, user: pwd.struct_passwd) -> List[Facts]:
    path = os.path.join(base, name)
    # These sshd and ssh open by their names, link or not.
    if name in _LISTS or name.startswith(_KEYS):
        path = os.path.realpath(path)
    try:
        opened = os.open(name if path == os.path.join(base, name) else path, _OPEN, dir_fd=directory)
    except OSError:
        return []  # gone, a link, or a socket of an agent
    try:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            return []
        head = os.read(opened, LONGEST_LIST if name in _LISTS else HEAD_BYTES)
    except OSError:
        return []
    finally:
        os.close(opened)
    if name in _LISTS:
        keys = authorized_keys(head.decode("utf-8", "replace"))
        return [_facts(path, status, user, {SSH_FILE: ""})] + [
            Facts(
                path,
                SSH_SCOPE,
                status_of(status),
                {SSH_LOGIN: "%s, %s, as %s" % (mark, comment, user.pw_name)},
                subject=mark,
            )
            for mark, comment in keys
        ]
    return [_facts(path, status, user, {SSH_KEY if holds_private_key(head) else SSH_FILE: ""})]


def _facts(path: str, status: os.stat_result, user: pwd.struct_passwd, traits: Dict[str, str]) -> Facts:
    if status.st_uid not in (0, user.pw_uid):
        traits = {**traits, SSH_FOREIGN: "uid %d" % status.st_uid}
    return Facts(path, SSH_SCOPE, status_of(status), traits)
