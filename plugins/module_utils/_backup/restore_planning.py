# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a restore test can be made, and with how much space. Pure."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Optional, Tuple, Union

from .._core.errors import InsufficientSpace, MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.leftovers import Leftover, target_of
from .._core.plan import Action, Plan
from .._core.units import format_size
from .catalogue import Backup

# Data files with indexes take less than the raw documents (they are compressed), its journal up to 200 MB (measured).
DATA_FACTOR = 1.3
SERVER_BYTES = 384 * 1024 * 1024
# Of an archive about which nothing is known: packed documents grow to about this.
UNPACKED_FACTOR = 6


@dataclass(frozen=True)
class ServerOrigin:
    """Where a throwaway mongod comes from.

    Attributes:
        program: its path, on the host or in the image.
        image: id of the image of a running container; "" for a program of the host.
        container: that container's name.
    """

    program: str
    image: str = ""
    container: str = ""

    def __str__(self) -> str:
        return "image of the container %s" % self.container if self.image else self.program


@dataclass(frozen=True)
class RestoreObservation:
    """What was found. Sizes in bytes.

    Attributes:
        source: what was asked for.
        backup: None in check mode before the first backup was made.
        origin: where the throwaway server comes from.
        free: on the file system of the work directory.
        at: when it was observed.
        leftovers: notes of earlier restore tests that were killed, in the order in which they are to be cleared away.
        database: the shop's, by the connection string; "" when it names none.
        passed_over: newer files in the directory that cannot be backups, with the reason.
    """

    source: str
    backup: Optional[Backup]
    origin: ServerOrigin
    free: int
    at: datetime
    leftovers: Tuple[Leftover, ...] = ()
    database: str = ""
    passed_over: Tuple[str, ...] = ()


@dataclass(frozen=True)
class ClearLeftover:
    """Clear away what the note of this id is about, which the observation holds."""

    id: str


@dataclass(frozen=True)
class RestoreTest:
    """Restore this archive into a throwaway server and compare.

    Attributes:
        path: of the archive; "" where check mode assumes one.
    """

    path: str
    origin: ServerOrigin


RestoreWork = Union[ClearLeftover, RestoreTest]


def expected_space(backup: Backup) -> int:
    """Bytes that the throwaway server will need."""
    raw = backup.verification.bytes_documents if backup.verification is not None else 0
    if not raw:
        raw = backup.size * UNPACKED_FACTOR
    return int(raw * DATA_FACTOR) + SERVER_BYTES


def plan_restore_test(
    observation: RestoreObservation, work_dir: str, min_free: int, has_passphrase: bool
) -> Plan[RestoreWork]:
    """Leftovers to clear away, then one restore test.

    Args:
        min_free: bytes that are to stay free on the file system of work_dir.
        has_passphrase: whether an encrypted backup can be read.

    Raises:
        MaintenanceError: the backup cannot be decrypted, or there is not enough space.
    """
    plan: Plan[RestoreWork] = Plan(warnings=list(observation.passed_over))
    for note in observation.leftovers:
        reason = "left behind by a restore test that was killed"
        plan.actions.append(Action("remove_leftover", target_of(note.left), reason, ClearLeftover(note.id)))
    reason = "restored into a throwaway server and compared (%s)" % observation.origin
    backup = observation.backup
    if backup is None:
        work = RestoreTest("", observation.origin)
        plan.actions.append(
            Action("restore_test", observation.source, reason, work, assumes="a verified backup made by this run")
        )
        return plan
    if backup.encrypted and not has_passphrase:
        raise MaintenanceError(
            "the backup is encrypted",
            target=backup.path,
            next_step="Set passphrase_file (backup_passphrase_file) to the file with its passphrase.",
        )
    needed = expected_space(backup)
    if observation.free < needed + min_free:
        raise InsufficientSpace(
            "not enough space for a restore test: %s free, about %s needed and %s to stay free (min_free)"
            % (format_size(observation.free), format_size(needed), format_size(min_free)),
            target=work_dir,
            next_step="Free some space there or set work_dir to another file system. Nothing was written.",
            details={"bytes_free": observation.free, "bytes_needed": needed + min_free},
        )
    work = RestoreTest(os.path.abspath(backup.path), observation.origin)
    plan.actions.append(Action("restore_test", backup.path, reason, work))
    return plan
