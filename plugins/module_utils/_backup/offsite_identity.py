# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tells two hosts of one name apart at a second place: each would remove the other's copies by its own rules.

A random number in the state directory, taken together with the machine id, which a clone of the host gets anew while it keeps
the state directory. It says nothing about the host.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from typing import Any, Tuple

from .._core.late_dataclass import dataclass
from .._core.state_note import read_state_note, write_state_note

_NAME = "offsite-identity.json"
_LENGTH = 16
MACHINE_ID = "/etc/machine-id"


@dataclass(frozen=True)
class HostIdentity:
    """Who this host is at second places.

    Attributes:
        id: as it stands in the notes of its copies; "" where it has none yet.
        adopted: those of former hosts whose copies it took for its own.
    """

    id: str = ""
    adopted: Tuple[str, ...] = ()

    @property
    def all(self) -> Tuple[str, ...]:
        """Every id whose copies are its own; never empty, so that a host without one owns no copy of another."""
        return (self.id, *self.adopted)


def read_identity(state_dir: str, machine_id: str = MACHINE_ID) -> HostIdentity:
    """Who this host is; without an id where it has never copied anything.

    Raises:
        MaintenanceError: the note of it cannot be read.
    """
    number, adopted = _read(state_dir)
    return HostIdentity(_id_of(number, machine_id), adopted) if number else HostIdentity()


def own_identity_at_places(state_dir: str, machine_id: str = MACHINE_ID) -> HostIdentity:
    """Who this host is, which is decided by the first call.

    Raises:
        MaintenanceError: the note of it cannot be read or written.
    """
    if not _read(state_dir)[0]:
        _write(state_dir, secrets.token_hex(_LENGTH), ())
    return read_identity(state_dir, machine_id)


def adopt(state_dir: str, ids: Tuple[str, ...], machine_id: str = MACHINE_ID) -> HostIdentity:
    """Take the copies of other ids for one's own, from now on.

    Raises:
        MaintenanceError: the note cannot be read or written.
    """
    own = own_identity_at_places(state_dir, machine_id)
    new = tuple(sorted({*own.adopted, *ids} - {own.id, ""}))
    if new != own.adopted:
        _write(state_dir, _read(state_dir)[0], new)
    return read_identity(state_dir, machine_id)


def _id_of(number: str, machine_id: str) -> str:
    try:
        with open(machine_id, "rb") as handle:
            machine = handle.read(64).strip()
    except OSError:
        machine = b""  # a host without one has the number alone
    return hashlib.sha256(number.encode() + b" " + machine).hexdigest()[:_LENGTH]


def _path(state_dir: str) -> str:
    return os.path.join(state_dir, _NAME)


def _read(state_dir: str) -> Tuple[str, Tuple[str, ...]]:
    def parse(values: Any) -> Tuple[str, Tuple[str, ...]]:
        return str(values["number"]), tuple(str(one) for one in values["adopted"])

    # Never passed over where it is damaged: a new number would leave all copies at the place behind.
    found = read_state_note(
        _path(state_dir),
        "cannot read who this host is at the second place",
        parse,
        "the note of who this host is at the second place is damaged",
        "Remove it, and run once with adopt (-e backup_offsite_adopt=true), which takes the copies of this host's name for its own.",
    )
    return found or ("", ())


def _write(state_dir: str, number: str, adopted: Tuple[str, ...]) -> None:
    content = {"format": 1, "number": number, "adopted": list(adopted)}
    write_state_note(state_dir, _path(state_dir), content, "cannot note who this host is at the second place")
