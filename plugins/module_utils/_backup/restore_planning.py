# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a restore test can be made, and with how much space. Pure."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import List, Optional

from .._core.errors import MaintenanceError
from .._core.leftovers import Leftover, target_of
from .._core.legacy_plan import Action, Plan
from .._core.units import format_size
from .catalogue import Backup

# Data files with indexes take less than the raw documents (they are compressed), its journal up to 200 MB (measured).
DATA_FACTOR = 1.3
SERVER_BYTES = 384 * 1024 * 1024
# Of an archive about which nothing is known: packed documents grow to about this.
UNPACKED_FACTOR = 6


@dataclass
class RestoreObservation:
    """What was found. Sizes in bytes.

    Attributes:
        backup: None in check mode before the first backup was made.
        server: where the throwaway server comes from, for people.
        leftovers: notes of earlier restore tests that were killed.
    """

    source: str
    backup: Optional[Backup]
    server: str
    free: int
    leftovers: List[Leftover] = field(default_factory=list)


def expected_space(backup: Backup) -> int:
    """Bytes that the throwaway server will need."""
    raw = backup.verification.bytes_documents if backup.verification is not None else 0
    if not raw:
        raw = backup.size * UNPACKED_FACTOR
    return int(raw * DATA_FACTOR) + SERVER_BYTES


def plan_restore_test(observation: RestoreObservation, work_dir: str, min_free: int, has_passphrase: bool) -> Plan:
    """Leftovers to clear away, then one restore test.

    Raises:
        MaintenanceError: the backup cannot be decrypted, or there is not enough space.
    """
    plan = Plan()
    for note in observation.leftovers:
        plan.actions.append(
            Action(
                "remove_leftover",
                target_of(note.left),
                "left behind by a restore test that was killed",
                data={"note": note},
            )
        )
    backup = observation.backup
    if backup is None:
        plan.actions.append(
            Action(
                "restore_test",
                observation.source,
                "restored into a throwaway server and compared (%s)" % observation.server,
                assumes="a verified backup made by this run",
            )
        )
        return plan
    if backup.encrypted and not has_passphrase:
        raise MaintenanceError(
            "the backup is encrypted",
            target=backup.path,
            next_step="Set passphrase_file to the file with its passphrase.",
        )
    needed = expected_space(backup)
    if observation.free < needed + min_free:
        raise MaintenanceError(
            "not enough space for a restore test: %s free, about %s needed and %s to stay free (min_free)"
            % (format_size(observation.free), format_size(needed), format_size(min_free)),
            target=work_dir,
            next_step="Free some space there or set work_dir to another file system. Nothing was written.",
            details={"bytes_free": observation.free, "bytes_needed": needed + min_free},
        )
    plan.actions.append(
        Action(
            "restore_test",
            backup.path,
            "restored into a throwaway server and compared (%s)" % observation.server,
            data={"path": os.path.abspath(backup.path)},
        )
    )
    return plan
