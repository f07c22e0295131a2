# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which shop a state directory serves.

What one shop's runs remember (baselines, history, undo data, the lease) is wrong for another one. Two shops on one host, such
as production and staging, are two hosts of an inventory and share the default directory unless one of them is given its own.
"""

from __future__ import annotations

import os
from typing import Optional

from .state_note import read_state_note, write_state_note

NEXT_STEP = "Two shops on one host need a state directory each: set miniecom_state_dir for one of them."


def _note_path(state_dir: str) -> str:
    return os.path.join(state_dir, "shop.json")


def _noted(state_dir: str) -> Optional[str]:
    return read_state_note(_note_path(state_dir), "cannot read which shop this serves", lambda note: str(note["root"]))


def other_shop(state_dir: str, root: str) -> str:
    """The directory of another shop, still there, whose run began last with this state directory; empty where there is none.

    Args:
        root: the shop's directory.

    Raises:
        MaintenanceError: the note cannot be read.
    """
    noted = _noted(state_dir)
    # A shop that has moved is the same one.
    return noted if noted and noted != os.path.realpath(root) and os.path.isdir(noted) else ""


def note_shop(state_dir: str, root: str) -> None:
    """Note that a run of a shop has begun.

    Raises:
        MaintenanceError: it cannot be written.
    """
    real = os.path.realpath(root)
    noted = _noted(state_dir)
    if noted != real:
        write_state_note(state_dir, _note_path(state_dir), {"root": real}, "cannot note which shop this serves")


def shared_warning(state_dir: str, root: str, other: str) -> str:
    """The warning that two shops share a state directory. Pure."""
    return "%s remembers the runs of the shop in %s, and now serves that in %s. %s" % (
        state_dir,
        other,
        root,
        NEXT_STEP,
    )
