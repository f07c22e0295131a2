# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bringing a live restore to its end, whoever finds it: the old set is put back, or the new one's remains are removed."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import List, Sequence, Tuple

from .._core.atomic_file import discard_partial, write_atomic
from .._core.errors import MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass
from .._core.leftovers import Leftover, RestoreLeft
from .._mongo.client import Connection
from .._mongo.restore import read_collection
from .._mongo.staging import carry_out, list_live, same_view
from .._mongo.swap import (
    COMMITTED,
    SWAPPING,
    UNDONE,
    Journal,
    Listing,
    Rename,
    Step,
    changed_meanwhile,
    journal_text,
    read_journal,
    steps_back,
    steps_tidy,
)
from .live_files import files_back, files_late, files_tidy


@dataclass(frozen=True)
class SettledRestore:
    """What became of a restore.

    Attributes:
        committed: the new set is live; else the old one.
        kept: names of collections, and paths of files, that nobody may drop unasked.
    """

    committed: bool
    kept: List[str]


def write_journal(path: str, journal: Journal) -> None:
    """Raises MaintenanceError: it cannot be written, and nothing may go on."""
    try:
        write_atomic(path, journal_text(journal).encode(), 0o600)
    except OSError as error:
        raise from_os_error("cannot write down how far the restore is", error, target=path) from error


def load_journal(path: str) -> Journal:
    """Raises FileNotFoundError, or MaintenanceError: it cannot be read."""
    try:
        with open(path, encoding="utf-8") as handle:
            return read_journal(handle.read())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise from_os_error("cannot read how far the restore was", error, target=path) from error
    except (ValueError, KeyError, TypeError) as error:
        raise MaintenanceError(
            "this is no journal of a restore", target=path, next_step="Look at it; it is written in one step."
        ) from error


def refuse_half_way(notes: Sequence[Leftover], address: str, database: str) -> None:
    """A database that a killed restore has left half way is neither the old nor the new one: no backup is made of it.

    Args:
        notes: what modules have left on this host.
        address: of the server, as a restore notes it.

    Raises:
        MaintenanceError: it is half way, or nobody can tell.
    """
    for note in notes:
        left = note.left
        if not isinstance(left, RestoreLeft) or (left.address, left.database) != (address, database):
            continue
        try:
            journal = load_journal(left.journal)
        except FileNotFoundError:
            continue
        if journal.phase == SWAPPING:
            raise MaintenanceError(
                "a restore of this database was killed half way, or is at work: it holds collections of both, and no backup is made of it",
                target=database,
                next_step="Call mongo_restore again as it was called then (mode=restore): it puts the database in order first. If what stands there is"
                " what you want, remove %s." % left.journal,
            )


def settle_restore(
    connection: Connection, path: str, journal: Journal, docker_host: str = "", timeout: int = 120
) -> SettledRestore:
    """Bring it to its end. Whatever kills this, the next call goes on where it was.

    Args:
        path: of the journal, which is removed at the end.
        docker_host, timeout: the engine of containers that files go into, and seconds to wait for its answers.

    Raises:
        MaintenanceError: it cannot be brought to its end now; nothing is lost.
    """
    kept: List[str] = []
    if journal.phase == SWAPPING:
        kept_files = files_back(journal)
        steps, kept = _way_back(path, journal, list_live(connection, journal.database))
        carry_out(connection, journal.database, steps)
        kept += kept_files
        journal = replace(journal, phase=UNDONE)
        write_journal(path, journal)
    if journal.phase == UNDONE:
        kept += _keep_what_changed(connection, journal)
    carry_out(connection, journal.database, steps_tidy(journal, list_live(connection, journal.database)))
    committed = journal.phase == COMMITTED
    if committed:
        finish_files(path, journal, docker_host, timeout)
    files_tidy(journal, committed)
    discard_partial(path)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise from_os_error("cannot remove the journal of the restore", error, target=path) from error
    return SettledRestore(journal.phase == COMMITTED, kept)


def finish_files(path: str, journal: Journal, docker_host: str, timeout: int) -> None:
    """What could only take its place when the new set counts.

    Raises:
        MaintenanceError: it cannot now. The next call tries again.
    """
    try:
        files_late(journal, docker_host, timeout)
    except MaintenanceError as error:
        raise type(error)(
            error.what,
            target=error.target,
            code=error.code,
            details=error.details,
            next_step="%s The next call goes on with it. To do without it, remove %s: then what was to be put there stays beside in %s."
            % (error.next_step, path, ", ".join(sorted(str(place["beside"]) for place in journal.files))),
        ) from error


def _way_back(path: str, journal: Journal, listing: Listing) -> Tuple[List[Step], List[str]]:
    try:
        return steps_back(journal, listing, same_view)
    except MaintenanceError as error:
        # The server may be another one by now, or its database restored by other means: only a person can tell.
        raise MaintenanceError(
            error.what,
            target=error.target,
            next_step="%s If what stands there is what you want, or is to be restored anew, remove %s: then this restore is forgotten, and what it has"
            " beside (%s*) stays. Else look for the old collections there, or restore the safety backup."
            % (error.next_step, path, journal.prefix),
        ) from error


def _keep_what_changed(connection: Connection, journal: Journal) -> List[str]:
    """Rename those of the new set that an application has written to while they stood live: they are not dropped."""
    found = list_live(connection, journal.database)
    kept = []
    for name, swap in changed_meanwhile(journal).items():
        here = found.get(name)
        if here is None or not swap.new.sha256:
            continue
        read = read_collection(connection, journal.database, name)
        if (read.documents, read.sha256) != (swap.new.documents, swap.new.sha256):
            target = journal.beside(swap, "kept")
            carry_out(connection, journal.database, [Rename(name, target, here.uuid)])
            kept.append(target)
    return kept


def describe(settled: SettledRestore, database: str) -> str:
    """What became of a restore that was killed, for people."""
    text = "the restore of %s was %s" % (
        database,
        "finished: the data of the backup is in place"
        if settled.committed
        else "undone: the data is that of before it",
    )
    if settled.kept:
        text += "; what was written meanwhile is kept in %s" % ", ".join(settled.kept)
    return text
