# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.offsite_identity import (
    HostIdentity,
    adopt,
    own_identity_at_places,
    read_identity,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError


def test_a_host_stays_the_same_and_a_clone_with_its_state_is_another(tmp_path: Path) -> None:
    state, machine, clone = str(tmp_path / "state"), tmp_path / "machine-id", tmp_path / "clone"
    machine.write_text("0123456789abcdef\n")
    clone.write_text("fedcba9876543210\n")
    assert read_identity(state, str(machine)) == HostIdentity() and not Path(state).exists()
    first = own_identity_at_places(state, str(machine))
    assert first.id and "0123456789abcdef" not in first.id
    assert own_identity_at_places(state, str(machine)) == read_identity(state, str(machine)) == first
    assert own_identity_at_places(state, str(clone)).id != first.id
    assert own_identity_at_places(str(tmp_path / "other"), str(machine)).id != first.id
    assert own_identity_at_places(str(tmp_path / "none"), str(tmp_path / "missing")).id
    assert [path.stat().st_mode & 0o777 for path in Path(state).iterdir()] == [0o600]


def test_what_is_taken_over_stays_taken_over(tmp_path: Path) -> None:
    state, machine = str(tmp_path), str(tmp_path / "none")
    own = adopt(state, ("b", ""), machine)
    again = adopt(state, ("a", own.id), machine)
    assert (again.id, again.adopted) == (own.id, ("a", "b")) == (own.id, read_identity(state, machine).adopted)
    assert again.all == (own.id, "a", "b")


def test_a_damaged_note_is_no_new_host(tmp_path: Path) -> None:
    state = str(tmp_path)
    own_identity_at_places(state)
    next(tmp_path.iterdir()).write_text("{}")
    with pytest.raises(MaintenanceError, match=r"is damaged.*backup_offsite_adopt=true"):
        own_identity_at_places(state)
