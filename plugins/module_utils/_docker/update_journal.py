# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written down of an update: which images ran before it, and where the data of writable layers are at the moment."""

from __future__ import annotations

import os
import re
from dataclasses import asdict, field
from typing import Any, Dict, Mapping, Optional, Tuple

from .._core.atomic_file import is_partial
from .._core.errors import from_os_error
from .._core.late_dataclass import dataclass
from .._core.state_note import read_state_note, write_state_note

# recorded: nothing that runs was touched. replacing: it must be brought to an end. done, back: it is at its end.
RECORDED, REPLACING, DONE, BACK = "recorded", "replacing", "done", "back"
_SAFE = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True)
class RecordedService:
    """What ran before the update.

    Attributes:
        image: its name in the compose files.
        digests, tags: of the image that ran, whatever the name stood for by then.
    """

    image: str
    image_id: str
    digests: Tuple[str, ...] = ()
    containers: Tuple[str, ...] = ()
    tags: Tuple[str, ...] = ()


@dataclass(frozen=True)
class UpdateJournal:
    """One project's last update.

    Attributes:
        at: when it began, in UTC.
        services: by name.
        whole: the container in whose layer a service's data are, all of them; what is copied out is copied from no other.
        saved: by service the files that hold what was copied out, by the path inside the container.
        migrations: what the database said of its migrations before; None where nobody looked.
        started: containers of the new images may have run, and all of them were made and had their data.
        how: what a later call needs to bring it to its end: engine, files of the project, what is data.
    """

    project: str
    phase: str
    at: str
    services: Mapping[str, RecordedService] = field(default_factory=dict)
    whole: Mapping[str, str] = field(default_factory=dict)
    saved: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    migrations: Optional[Mapping[str, str]] = None
    started: bool = False
    how: Mapping[str, Any] = field(default_factory=dict)


def journal_directory(state_dir: str, project: str) -> str:
    return os.path.join(state_dir, "updates", _SAFE.sub("_", project))


def _path(state_dir: str, project: str) -> str:
    return os.path.join(journal_directory(state_dir, project), "journal.json")


def write_update(state_dir: str, journal: UpdateJournal) -> None:
    """Raises MaintenanceError: it cannot be written, and nothing may go on."""
    path = _path(state_dir, journal.project)
    write_state_note(state_dir, path, asdict(journal), "cannot write down how far the update is")


def read_update(state_dir: str, project: str) -> Optional[UpdateJournal]:
    """The last update of a project; None when there was none.

    Raises:
        MaintenanceError: it cannot be read.
    """
    return read_state_note(
        _path(state_dir, project),
        "cannot read how far the last update was",
        _journal,
        "this is no journal of an update",
        "Look at it; it is written in one step.",
    )


def _journal(found: Mapping[str, Any]) -> UpdateJournal:
    services = {
        str(name): RecordedService(
            str(entry["image"]),
            str(entry["image_id"]),
            tuple(entry["digests"]),
            tuple(entry["containers"]),
            tuple(entry.get("tags") or ()),  # those of older versions have none
        )
        for name, entry in found["services"].items()
    }
    saved: Dict[str, Dict[str, str]] = {str(name): dict(files) for name, files in found["saved"].items()}
    return UpdateJournal(
        str(found["project"]),
        str(found["phase"]),
        str(found["at"]),
        services,
        dict(found["whole"]),
        saved,
        None if found["migrations"] is None else dict(found["migrations"]),
        bool(found["started"]),
        dict(found["how"]),
    )


def layer_copy_path(state_dir: str, project: str, service: str, number: int) -> str:
    """Where a path of a service's writable layer is kept while its container is replaced."""
    return os.path.join(journal_directory(state_dir, project), "%s-%d.tar" % (_SAFE.sub("_", service), number))


def discard_saved(state_dir: str, project: str) -> None:
    """Remove all copies of a project: its update is at its end, and their data are in place and were compared.

    Also one that a killed call has made and not written down any more.
    """
    directory = journal_directory(state_dir, project)
    try:
        for name in os.listdir(directory):
            if name.endswith(".tar") or is_partial(name):
                os.unlink(os.path.join(directory, name))
    except OSError as error:
        raise from_os_error(
            "cannot remove the copies of data that are in place again", error, target=directory
        ) from error
