# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clearing away what a module that was killed has left: one function for all kinds, whoever clears."""

from __future__ import annotations

import os
import shutil
import signal
import time
from dataclasses import field
from typing import Any, Callable, Dict, List, Type

from .._core import processes
from .._core.errors import MaintenanceError, MissingLibrary, from_os_error
from .._core.late_dataclass import dataclass
from .._core.lease import boot_id
from .._core.leftovers import (
    ContainerLeft,
    IndexesLeft,
    Leftover,
    LockLeft,
    NpmLeft,
    PathLeft,
    ProcessLeft,
    RestoreLeft,
    UnknownLeft,
    UpdateLeft,
    target_of,
)
from .._core.paths import lies_below
from .._core.run_context import RunContext
from .._docker.client import Docker, docker_errors
from .._mongo import fsync_lock
from .._mongo.client import connect, connect_member
from .._mongo.index_definitions import ensure_indexes, forget_definitions, load_definitions
from .._mongo.running_operations import running_commands
from .environment import with_environment
from .npm_swap import settle_npm
from .restore_recovery import describe, load_journal, settle_restore
from .update_recovery import settle_update

# Processes first: what they use goes away more easily afterwards.
_ORDER = (ProcessLeft, ContainerLeft, LockLeft, RestoreLeft, IndexesLeft, UpdateLeft, NpmLeft, PathLeft, UnknownLeft)


class NothingLeft(Exception):
    """The leftover is gone already: clearing it changes nothing."""


class LookAtIt(str):
    """What was done, in words, where somebody has to look at what came of it."""


def in_order(leftovers: List[Leftover]) -> List[Leftover]:
    """The order in which they are cleared away."""
    return sorted(leftovers, key=lambda leftover: (_ORDER.index(type(leftover.left)), leftover.id))


def clear(leftover: Leftover, state_dir: str, timeout: int) -> str:
    """Clear one leftover away.

    Args:
        state_dir: the state directory, which no note can cost.
        timeout: in seconds, for each answer of a Docker Engine.

    Returns:
        What was done, in words.

    Raises:
        NothingLeft: it is gone already.
        MissingLibrary: what is needed to clear it is not there (yet).
        MaintenanceError: it cannot be cleared away.
    """
    # Processes do not outlive a boot, nor does a server's lock.
    if isinstance(leftover.left, (ProcessLeft, LockLeft)) and leftover.is_of_another_boot(boot_id()):
        raise NothingLeft()
    return _CLEAR[type(leftover.left)](leftover.left, leftover, state_dir, timeout)


def _clear_path(left: PathLeft, leftover: Leftover, state_dir: str, timeout: int) -> str:
    path = os.path.normpath(left.path)
    # A note is our own, in a directory that only its owner may write to; still it shall never cost more than a work file.
    if not os.path.isabs(path) or path.count("/") < 2 or os.path.ismount(path) or lies_below(state_dir, path):
        raise MaintenanceError(
            "this is no path that a run leaves behind", target=path, next_step="Look at it and remove the note."
        )
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        raise NothingLeft() from None
    except OSError as error:
        raise from_os_error("cannot remove it", error, target=path) from error
    return "removed %s" % path


def _own_processes(left: ProcessLeft) -> List[processes.Process]:
    """The processes of a note: the one it names, and the server that works in the directory that was made for it."""
    found = []
    for process in processes.list_processes():
        named = process.pid == left.pid and process.start_time == left.start_time
        # A throwaway server; not the shell or the pager of somebody who looks into its directory.
        inside = (
            len(left.directory) > 2
            and process.name.startswith("mongo")
            and any(lies_below(part, left.directory) for part in (process.cwd, *process.argv))
        )
        if (named or inside) and process.pid != os.getpid() and process.state not in ("Z", "X"):
            found.append(process)
    return found


def _clear_process(left: ProcessLeft, leftover: Leftover, state_dir: str, timeout: int) -> str:
    found = _own_processes(left)
    if not found:
        raise NothingLeft()
    for number, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        waiting = [item for item in found if processes.is_running(item.pid, item.start_time)]
        for process in waiting:
            try:
                os.kill(process.pid, number)
            except ProcessLookupError:
                pass
            except OSError as error:
                raise from_os_error("cannot end it", error, target="process %d" % process.pid) from error
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and any(processes.is_running(item.pid, item.start_time) for item in waiting):
            time.sleep(0.05)
    alive = [item.pid for item in found if processes.is_running(item.pid, item.start_time)]
    if alive:
        raise MaintenanceError("it does not end", target="process %s" % ", ".join(str(pid) for pid in alive))
    return "ended %s" % ", ".join("process %d (%s)" % (item.pid, item.name) for item in found)


def _clear_container(left: ContainerLeft, leftover: Leftover, state_dir: str, timeout: int) -> str:
    name = left.name
    with Docker.connect(left.docker_host, timeout) as docker:
        if not any("/" + name in (item.get("Names") or []) for item in docker.containers()):
            raise NothingLeft()
        with docker_errors("cannot remove the container", name):
            docker.api.remove_container(name, force=True, v=True)
    return "removed the container %s" % name


def _clear_lock(left: LockLeft, leftover: Leftover, state_dir: str, timeout: int) -> str:
    """Release a lock, if it can be ours: the server does not tell whose a lock is."""
    if not left.env_file:
        raise MaintenanceError(
            "a dump that was killed may have left the server locked against writes",
            target=left.address,
            next_step="Run db.fsyncUnlock() in mongosh if db.currentOp() says fsyncLock.",
        )
    place = {
        "env_file": left.env_file,
        "env_from": left.env_from,
        "docker_host": left.docker_host,
        "docker_timeout": timeout,
        "address": left.address,
        "tls_files": left.tls_files,
    }
    with connect(with_environment(place)) as connection:
        state = fsync_lock.judge_lock(connection, leftover, boot_id())
        if state == fsync_lock.HELD:
            raise MaintenanceError(
                "the process that holds it still runs, and releases it when its time is over",
                target=connection.address.where,
            )
        if state == fsync_lock.UNKNOWN:
            raise MaintenanceError(fsync_lock.UNKNOWN_TEXT % connection.address.where)
        if state == fsync_lock.GONE or not fsync_lock.unlock(connection):
            raise NothingLeft()
    return "released the lock against writes on %s" % left.address


def _clear_restore(left: RestoreLeft, leftover: Leftover, state_dir: str, timeout: int) -> str:
    """Undo a restore that was killed, or finish it where the new data was in place."""
    try:
        journal = load_journal(left.journal)
    except FileNotFoundError:
        raise NothingLeft() from None
    if not left.env_file:
        raise MaintenanceError(
            "a restore was killed half way, and its connection string is not remembered",
            target=target_of(left),
            next_step="Call mongo_restore again with mode=restore and the same uri: it puts the database in order first. A run of the host cannot: uri is"
            " a secret, and is written down nowhere. Until then no backup of this database is made. With env_file instead of uri the next run does it.",
        )
    place = {
        "env_file": left.env_file,
        "env_from": left.env_from,
        "docker_host": left.docker_host,
        "docker_timeout": timeout,
        "address": left.address,
        "tls_files": left.tls_files,
    }
    with connect(with_environment(place)) as connection:
        settled = settle_restore(connection, left.journal, journal, left.docker_host, timeout)
    text = describe(settled, target_of(left))
    return LookAtIt(text) if settled.kept else text


def _clear_indexes(left: IndexesLeft, leftover: Leftover, state_dir: str, timeout: int) -> str:
    """Make the indexes again that a rebuild has lost when it was cut off."""
    try:
        saved = load_definitions(left.journal)
    except FileNotFoundError:
        raise NothingLeft() from None
    if not left.env_file:
        raise MaintenanceError(
            "a rebuild of indexes was killed half way, and its connection string is not remembered",
            target=saved.namespace,
            next_step="Start mongo_reindex for it again, which makes again first what was lost.",
        )
    place = {
        "env_file": left.env_file,
        "env_from": left.env_from,
        "docker_host": left.docker_host,
        "docker_timeout": timeout,
        "address": left.address,
        "tls_files": left.tls_files,
    }
    with connect_member(with_environment(place)) as connection:
        if any(
            entry.get("command", {}).get("reIndex") == saved.collection
            for entry in running_commands(connection, "reIndex")
        ):
            # It lists indexes as if they were there, and would lose them were it killed now.
            raise MaintenanceError(
                "the server still rebuilds them", target=saved.namespace, next_step="The next run looks again."
            )
        made = ensure_indexes(connection, saved)
    forget_definitions(left.journal)
    if not made:
        return "all indexes of %s are there, whose rebuild was cut off" % saved.namespace
    return "made the indexes of %s again that its rebuild had lost: %s" % (saved.namespace, ", ".join(made))


def _clear_update(left: UpdateLeft, leftover: Leftover, state_dir: str, timeout: int) -> str:
    """Bring back what ran before an update that was killed."""
    done = settle_update(state_dir, left.project, timeout)
    if not done:
        raise NothingLeft()
    return done


def _clear_npm(left: NpmLeft, leftover: Leftover, state_dir: str, timeout: int) -> str:
    """Put back what ran before an update of dependencies that was killed."""
    done = settle_npm(state_dir, left.undo_id)
    if not done:
        raise NothingLeft()
    return done


def _clear_unknown(left: UnknownLeft, leftover: Leftover, state_dir: str, timeout: int) -> str:
    raise MaintenanceError(
        "this version does not know what it is",
        target="leftover %s" % leftover.id,
        next_step="Look at its note in the state directory and remove it.",
    )


_CLEAR: Dict[Type[Any], Callable[..., str]] = {
    PathLeft: _clear_path,
    ProcessLeft: _clear_process,
    ContainerLeft: _clear_container,
    LockLeft: _clear_lock,
    RestoreLeft: _clear_restore,
    IndexesLeft: _clear_indexes,
    UpdateLeft: _clear_update,
    NpmLeft: _clear_npm,
    UnknownLeft: _clear_unknown,
}


@dataclass
class Cleared:
    """What was cleared away, a sentence each, and what could not be; `unsettled`: of that what left a database half way."""

    done: List[str] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)
    unsettled: List[str] = field(default_factory=list)


def clear_all(context: RunContext, timeout: int) -> Cleared:
    """Clear away what modules that are gone have left, and note it in the record.

    Args:
        timeout: in seconds, for each answer of a Docker Engine.
    """
    cleared = Cleared()
    for leftover in in_order(context.leftovers.abandoned()):
        try:
            cleared.done.append(clear(leftover, context.state_dir, timeout))
            if isinstance(cleared.done[-1], LookAtIt):
                cleared.warnings.append(cleared.done[-1])
            context.append({"event": "cleaned", "leftover": cleared.done[-1]})
        except NothingLeft:
            pass
        except MissingLibrary:
            # The run installs them in a moment; its end tries again.
            continue
        except MaintenanceError as error:
            cleared.warnings.append("cannot clear away what a killed run left behind, %s: %s" % (leftover, error))
            if isinstance(leftover.left, RestoreLeft):
                cleared.unsettled.append(cleared.warnings[-1])
            continue
        context.leftovers.done(leftover.id)
    return cleared
