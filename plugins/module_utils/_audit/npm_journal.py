# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock file that an update replaces, kept so that it can be put back, and how far the update was."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, field
from typing import Any, List, Mapping, Tuple

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.undo_note import undo_notes, write_undo_note

KIND = "npm lock file"
# replacing: it must be brought to an end. done, back: it is at its end.
REPLACING, DONE, BACK = "replacing", "done", "back"


@dataclass(frozen=True)
class NpmJournal:
    """One update of one project.

    Attributes:
        lock: name of the lock file; before: what it held; after: SHA-256 of what it holds now.
        folders: what was put in place beside it, with the inode by which the new one is known.
        services: what was restarted. probe_url, patience: how to tell that the shop is well.
    """

    undo_id: str
    project: str
    lock: str
    before: str
    after: str
    phase: str = DONE
    folders: Mapping[str, int] = field(default_factory=dict)
    services: Tuple[str, ...] = ()
    probe_url: str = ""
    patience: float = 0.0


def content_mark(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_npm_journal(state_dir: str, journal: NpmJournal) -> None:
    """Raises AbortPlan: it cannot be written, and so nothing may be changed."""
    failed = "cannot keep the lock file of before, so nothing further was changed"
    write_undo_note(state_dir, journal.undo_id, KIND, asdict(journal), failed)


def npm_journals_of(state_dir: str, wanted: str) -> List[NpmJournal]:
    """The updates of a run, or one of them by its undo_id, the latest first.

    Raises:
        MaintenanceError: there is none, or one cannot be read.
    """
    found = [journal for _undo_id, journal in undo_notes(state_dir, KIND, _journal, wanted)] if wanted else []
    if not found:
        raise MaintenanceError(
            "no lock file was kept under this name",
            target=repr(wanted),
            next_step="Use the undo_id of an update on this host, or the id of its run.",
            details={"nothing_to_undo": True},
        )
    return found


def all_npm_journals(state_dir: str) -> List[NpmJournal]:
    """Every update that was written down, the latest first.

    Raises:
        MaintenanceError: one cannot be read.
    """
    return [journal for _undo_id, journal in undo_notes(state_dir, KIND, _journal)]


def _journal(found: Mapping[str, Any]) -> NpmJournal:
    return NpmJournal(
        undo_id=str(found["undo_id"]),
        project=str(found["project"]),
        lock=str(found["lock"]),
        before=str(found["before"]),
        after=str(found["after"]),
        phase=str(found["phase"]),
        folders={str(name): int(inode) for name, inode in found["folders"].items()},
        services=tuple(str(name) for name in found["services"]),
        probe_url=str(found["probe_url"]),
        patience=float(found["patience"]),
    )
