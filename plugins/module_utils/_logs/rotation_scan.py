# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What log_rotate sees of a host: the logs, who holds them, and which of them logrotate calls due."""

from __future__ import annotations

import fnmatch
import grp
import os
import pwd
import stat
import time
from dataclasses import replace
from typing import Callable, Dict, List, Optional, Sequence, Set, Tuple

from .._core.atomic_file import is_partial, write_atomic
from .._core.errors import MaintenanceError, from_os_error
from .holders import Holder, find_holders
from .logrotate import (
    RENAME,
    Identity,
    Rules,
    Section,
    ask_logrotate,
    due_in,
    errors_in,
    is_safe,
    known_in,
    newest_rotations,
    parse_rotated,
    render_configuration,
)
from .open_files import open_for_writing, unseen_writers
from .rotation import FILE, LINK, HeldRotation, Log, LogDirectory, Logs, is_open

_COMPRESSED = (".gz", ".xz", ".zst", ".bz2")
_DAY = 86400


def scan_logs(
    directories: Sequence[str],
    patterns: Sequence[str],
    rules: Rules,
    su: Optional[Tuple[str, str]],
    program: str,
    state: str,
    tmpdir: Callable[[], str],
) -> Logs:
    """The logs that match, in these directories alone.

    Args:
        su: names of a user and a group.
        program: logrotate.
        state: its state.
        tmpdir: gives a directory of one's own for the question what is due.

    Raises:
        MaintenanceError: a directory is missing or cannot be read, or its path cannot be written into a configuration.
    """
    identity = _identity(su) if su else None
    as_root = os.geteuid() == 0
    places: Dict[str, LogDirectory] = {}
    logs: List[Log] = []
    rotations: List[Tuple[str, str, os.stat_result]] = []
    for given in directories:
        path = _directory_path(given)
        if path not in places:
            places[path] = _directory(path)
            _scan(path, patterns, logs, rotations)
    logs = _once(logs)
    wanted = {(log.device, log.inode) for log in logs if log.kind == FILE}
    wanted |= {(status.st_dev, status.st_ino) for _path, _log, status in rotations}
    holders = find_holders(wanted)
    logs = [_held(log, holders.of.get((log.device, log.inode), []), holders.blind) for log in logs]
    held = []
    for path, log_path, status in rotations:
        writers = tuple(holder for holder in holders.of.get((status.st_dev, status.st_ino), []) if holder.writes)
        if writers:
            held.append(HeldRotation(path, log_path, status.st_dev, status.st_ino, writers))
    found = Logs(places, tuple(logs), tuple(sorted(held, key=lambda item: item.path)), as_root, identity)
    return _judged(found, rules, program, state, tmpdir)


def _directory_path(given: str) -> str:
    path = os.path.normpath(given)
    if not os.path.isabs(given) or not is_safe(path):
        raise MaintenanceError(
            "not a directory that can be written into logrotate's configuration",
            target=ascii(given),
            next_step="Give an absolute path without quotes, control characters, backslashes, braces and wildcards.",
        )
    return path


def _directory(path: str) -> LogDirectory:
    try:
        status = os.stat(path)
        space = os.statvfs(path)
    except OSError as error:
        raise from_os_error("cannot read the log directory", error, target=path) from error
    try:
        own = pwd.getpwuid(status.st_uid).pw_gid == status.st_gid
    except KeyError:
        own = False
    free = (space.f_bfree if os.geteuid() == 0 else space.f_bavail) * space.f_frsize
    return LogDirectory(path, status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), own, free, status.st_dev)


def _scan(
    directory: str, patterns: Sequence[str], logs: List[Log], rotations: List[Tuple[str, str, os.stat_result]]
) -> None:
    newest = newest_rotations(directory)
    try:
        with os.scandir(directory) as entries:
            for entry in sorted(entries, key=lambda item: item.name):
                rotated = parse_rotated(entry.name)
                name = rotated.log if rotated else entry.name
                if is_partial(name) or not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if rotated is not None:
                    if stat.S_ISREG(status.st_mode) and not rotated.packed:
                        rotations.append((entry.path, os.path.join(directory, name), status))
                elif not name.endswith(_COMPRESSED):
                    log = _log(entry.path, status, newest.get(name, 0))
                    if log is not None:
                        logs.append(log)
    except OSError as error:
        raise from_os_error("cannot read the log directory", error, target=directory) from error


def _log(path: str, status: os.stat_result, latest: int) -> Optional[Log]:
    if stat.S_ISLNK(status.st_mode):
        target = os.path.realpath(path)
        # What leads to a terminal, a pipe or nowhere is no log that could grow.
        return Log(path, kind=LINK, same_as=target) if os.path.isfile(target) else None
    if not stat.S_ISREG(status.st_mode):
        return None
    return Log(
        path,
        status.st_size,
        status.st_uid,
        status.st_gid,
        stat.S_IMODE(status.st_mode),
        status.st_dev,
        status.st_ino,
        FILE,
        status.st_nlink,
        latest,
        unseen=unseen_writers(status),
        idle=time.time() - status.st_mtime > _DAY,
    )


def _once(logs: Sequence[Log]) -> List[Log]:
    """Each file under the first of its paths; the same file can be seen through a link to its directory or a second mount."""
    first: Dict[Tuple[int, int], str] = {}
    found = []
    for log in sorted(logs, key=lambda item: item.path):
        if log.kind == FILE and log.links == 1:
            path = first.setdefault((log.device, log.inode), log.path)
            log = log if path == log.path else replace(log, same_as=path)
        found.append(log)
    return found


def _held(log: Log, holders: Sequence[Holder], blind: bool) -> Log:
    if log.kind != FILE:
        return log
    found = replace(log, holders=tuple(holders))
    if found.writers:
        return replace(found, unseen=False)
    # The kernel counts writers, whoever they are; where it does not tell, what we are shown has to do.
    written = open_for_writing(log.path, (log.device, log.inode))
    return replace(found, unseen=bool(written) or (written is None and (found.unseen or blind)))


def _identity(names: Tuple[str, str]) -> Identity:
    try:
        uid = int(names[0]) if names[0].isdigit() else pwd.getpwnam(names[0]).pw_uid
        gid = int(names[1]) if names[1].isdigit() else grp.getgrnam(names[1]).gr_gid
    except KeyError as error:
        raise MaintenanceError(
            "su names a user or a group that this host does not have", target=" ".join(names)
        ) from error
    return Identity(uid, gid)


def _judged(found: Logs, rules: Rules, program: str, state: str, tmpdir: Callable[[], str]) -> Logs:
    """What logrotate itself says of each log that it can be asked about."""
    asked: Dict[Optional[Identity], List[str]] = {}
    names: Set[str] = set()
    for log in found.logs:
        if log.kind == FILE and log.links == 1 and not log.same_as and is_safe(log.path):
            directory = found.directories[os.path.dirname(log.path)]
            open_to_others = is_open(directory, found.as_root)
            su = found.su or (Identity(directory.uid, directory.gid) if open_to_others else None)
            asked.setdefault(su, []).append(log.path)
            names.add(log.path)
    if not names:
        return found
    sections = [Section(tuple(paths), RENAME, su) for su, paths in asked.items()]
    configuration = os.path.join(tmpdir(), "logrotate.conf")
    try:
        write_atomic(configuration, render_configuration(sections, rules).encode("utf-8"), 0o600)
    except OSError as error:
        raise from_os_error("cannot write what logrotate is asked", error, target=configuration) from error
    output = ask_logrotate(program, configuration, state)
    due, known = due_in(output, names), known_in(state)
    logs = tuple(replace(log, due=log.path in due, known=log.path in known) for log in found.logs)
    return replace(found, logs=logs, errors=tuple(errors_in(output)))
