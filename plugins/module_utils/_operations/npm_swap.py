# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Putting tried dependencies in place where the shop runs from its directory, and those of before back.

What is new is made ready beside what runs, on the same file system, and changes places with it in one step. Nobody ever finds
a project without its dependencies, and what ran before stays beside it until the next update.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import time
from dataclasses import replace
from typing import Dict, Iterable, List, Optional, Sequence

from .._audit.npm_journal import BACK, DONE, REPLACING, NpmJournal, all_npm_journals, content_mark, write_npm_journal
from .._core.atomic_file import sync_directory, write_atomic
from .._core.errors import InsufficientSpace, MaintenanceError, from_os_error
from .services import named_services, restart_service
from .update_recovery import ask_shop

BESIDE = ".miniecom-npm"
# What is being removed: nothing goes back to it any more.
_GOING = ".going"
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_PAUSE = 0.2


def beside(journal: NpmJournal) -> str:
    """Where what is not in place is: first what is new, then what was there before."""
    return os.path.join(journal.project, BESIDE, journal.undo_id)


def is_gone(journal: NpmJournal) -> bool:
    """Whether what was there before a later update is not there any more."""
    return bool(journal.folders) and not os.path.isdir(beside(journal))


def make_dependencies_ready(state_dir: str, copy: str, folders: Sequence[str], journal: NpmJournal) -> NpmJournal:
    """Copy what was tried to beside what runs; returns the journal with what is there now.

    Args:
        copy: the project that was tried.

    Raises:
        MaintenanceError: there is no room, say. Nothing that runs was touched.
    """
    place, project = beside(journal), journal.project
    inodes: Dict[str, int] = {}
    size = sum(_bytes(os.path.join(copy, name)) for name in folders)
    if size > shutil.disk_usage(project).free:
        raise InsufficientSpace("there is no room beside the old ones for new dependencies", target=project)
    # Killed from here on until all is ready, it is known whose half-made copy that is, and that nothing runs from it.
    write_npm_journal(state_dir, replace(journal, phase=BACK))
    try:
        os.makedirs(place, mode=0o700)
        for name in folders:
            target, live = os.path.join(place, name), os.path.join(project, name)
            owner = os.lstat(live if os.path.lexists(live) else project)
            shutil.copytree(os.path.join(copy, name), target, symlinks=True)
            _give(target, owner.st_uid, owner.st_gid)
            inodes[name] = os.lstat(target).st_ino
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        raise from_os_error("cannot make the new dependencies ready", error, target=place) from error
    return replace(journal, folders=inodes, phase=REPLACING)


def _bytes(top: str) -> int:
    return sum(
        os.lstat(os.path.join(directory, name)).st_size
        for directory, _directories, files in os.walk(top)
        for name in files
    )


def _give(top: str, uid: int, gid: int) -> None:
    for directory, names, files in os.walk(top):
        links = [name for name in names if os.path.islink(os.path.join(directory, name))]
        for path in (directory, *(os.path.join(directory, name) for name in files + links)):
            os.chown(path, uid, gid, follow_symlinks=False)


def put_in_place(state_dir: str, journal: NpmJournal, lock: bytes) -> None:
    """Let what is new and what is there change places, and replace the lock file.

    Raises:
        MaintenanceError: that fails; the caller goes back.
    """
    write_npm_journal(state_dir, journal)
    for name, inode in journal.folders.items():
        if _inode(os.path.join(journal.project, name)) != inode:
            _change_places(os.path.join(journal.project, name), os.path.join(beside(journal), name))
    write_lock(journal, lock)


def restart_and_wait(journal: NpmJournal, steady: float = 0.0) -> str:
    """Restart what runs from it; returns why the shop is not well then, "" when it is.

    Args:
        steady: seconds that it has to stay so.
    """
    try:
        for service in named_services(journal.services, "", ""):
            restart_service(service)
    except MaintenanceError as error:
        return str(error)
    deadline = time.monotonic() + journal.patience
    well_since: Optional[float] = None
    while True:
        problem, now = ask_shop(journal.probe_url), time.monotonic()
        well_since = None if problem else well_since or now
        if well_since is not None and now - well_since >= steady:
            return ""
        if now > deadline:
            return problem or "it does not stay well"
        time.sleep(_PAUSE)


def end_well(state_dir: str, journal: NpmJournal) -> None:
    """The update is at its end: what ran before an earlier one goes, for only the last can be gone back from."""
    write_npm_journal(state_dir, replace(journal, phase=DONE))
    others = set(_names(os.path.join(journal.project, BESIDE))) - {journal.undo_id}
    _discard(journal.project, others)


def put_dependencies_back(state_dir: str, journal: NpmJournal) -> List[str]:
    """Put back what was there before, as far as it is not; returns what was done. Whatever kills this, the next call goes on.

    Raises:
        MaintenanceError: it cannot be put back.
    """
    done = []
    if journal.folders and journal.phase != REPLACING:
        write_npm_journal(state_dir, replace(journal, phase=REPLACING))
    for name, inode in journal.folders.items():
        live, other = os.path.join(journal.project, name), os.path.join(beside(journal), name)
        if _inode(live) == inode:
            _change_places(live, other)
            done.append(name)
    if lock_state(journal) == "after":
        write_lock(journal, journal.before.encode("utf-8"))
        done.append(journal.lock)
    return done


def end_back(state_dir: str, journal: NpmJournal) -> None:
    write_npm_journal(state_dir, replace(journal, phase=BACK))
    _discard(journal.project, [journal.undo_id])


def _discard(project: str, undo_ids: Iterable[str]) -> None:
    """Remove what is beside a project and nobody goes back to any more, also what a killed call had begun to remove.

    It gets another name first: a part of what ran before must never be taken for the whole.
    """
    top = os.path.join(project, BESIDE)
    for name in undo_ids:
        place = os.path.join(top, name)
        if os.path.isdir(place) and not name.endswith(_GOING):
            shutil.rmtree(place + _GOING, ignore_errors=True)
            try:
                os.rename(place, place + _GOING)
            except OSError:
                continue
    for name in _names(top):
        if name.endswith(_GOING):
            shutil.rmtree(os.path.join(top, name), ignore_errors=True)
    if not _names(top) and os.path.isdir(top):
        os.rmdir(top)


def lock_state(journal: NpmJournal) -> str:
    """Whether the lock file is that of "before", or of "after", or what somebody has made of it: "other"."""
    path = os.path.join(journal.project, journal.lock)
    try:
        with open(path, "rb") as handle:
            found = handle.read()
    except FileNotFoundError:
        return "other"
    except OSError as error:
        raise from_os_error("cannot read the lock file", error, target=path) from error
    if found == journal.before.encode("utf-8"):
        return "before"
    return "after" if content_mark(found) == journal.after else "other"


def write_lock(journal: NpmJournal, data: bytes) -> None:
    """Raises MaintenanceError: it cannot be written."""
    path = os.path.join(journal.project, journal.lock)
    try:
        write_atomic(path, data)
    except OSError as error:
        raise from_os_error("cannot replace the lock file", error, target=path) from error


def settle_npm(state_dir: str, undo_id: str) -> str:
    """Bring an update that was killed to its end: what ran before is put back. Returns what was done, "" when there is nothing to do.

    Raises:
        MaintenanceError: it cannot be done now.
    """
    done = []
    for journal in all_npm_journals(state_dir):
        if journal.undo_id != undo_id:
            continue
        if journal.phase != REPLACING:
            # Its copy may be half made, and what it had no more need of half removed.
            _discard(journal.project, [undo_id] if journal.phase == BACK else [])
            continue
        put_dependencies_back(state_dir, journal)
        problem = restart_and_wait(journal)
        if problem:
            raise MaintenanceError(
                "the dependencies of before an update that was cut off are in place, and the shop is not well: %s"
                % problem,
                target=journal.project,
                next_step="Look at its log; the next run tries again.",
            )
        end_back(state_dir, journal)
        done.append("put back the dependencies of before an update of %s that was cut off" % journal.project)
    return "; ".join(done)


def _names(directory: str) -> List[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _inode(path: str) -> int:
    try:
        return os.lstat(path).st_ino
    except OSError:
        return 0


def _change_places(live: str, other: str) -> None:
    """Let two directories of one file system change places; where only one is there, it moves."""
    try:
        if not os.path.lexists(live):
            os.rename(other, live)
        elif not os.path.lexists(other):
            os.rename(live, other)
        else:
            libc = ctypes.CDLL(None, use_errno=True)
            names = os.fsencode(live), os.fsencode(other)
            if libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), live)
        sync_directory(os.path.dirname(live))
        sync_directory(os.path.dirname(other))
    except OSError as error:
        raise from_os_error(
            "two directories cannot change places",
            error,
            target=live,
            otherwise="Its file system cannot do that in one step.",
        ) from error
