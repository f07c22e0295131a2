# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the system refused, in a sentence that says what to do."""

from __future__ import annotations

import errno
import os

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import InsufficientSpace, from_os_error
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.state_dir import state_error


def refused(number: int, **words: str) -> str:
    return str(from_os_error("cannot read it", OSError(number, os.strerror(number), "/srv/a"), **words))


def test_the_object_and_the_name_of_the_number_are_told() -> None:
    assert refused(errno.EIO).startswith("cannot read it: /srv/a (code EIO). ")
    assert refused(errno.EIO, target="/srv/b").startswith("cannot read it: /srv/b (code EIO). ")


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOTDIR])
def test_what_is_missing(number: int) -> None:
    assert refused(number, missing="Set it.", forbidden="Not this.", otherwise="Nor this.").endswith(" Set it.")
    assert refused(number) != refused(number, missing="Set it.")


def test_what_is_forbidden_names_who_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    for number in (errno.EACCES, errno.EPERM):
        own = refused(number, missing="Not this.", forbidden="Run as its reader.")
        assert own.endswith(" Run as its reader. This process runs as uid 1234.")
        assert refused(number).endswith(" Run as its owner or as root (become: true). This process runs as uid 1234.")


def test_what_even_root_may_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "lsattr" in refused(errno.EPERM, forbidden="Run as root.")
    assert "Run as root. This process runs as uid 0." in refused(errno.EACCES, forbidden="Run as root.")


def test_the_number_counts_before_the_callers_last_word() -> None:
    assert "read-only" in refused(errno.EROFS, otherwise="Look.")
    assert refused(errno.ELOOP, otherwise="Look.").endswith(" Look.")
    assert refused(errno.EROFS, next_step="Only this.").endswith("(code EROFS). Only this.")


def test_lacking_room_is_a_kind_of_its_own() -> None:
    for number in (errno.ENOSPC, errno.EDQUOT):
        error = state_error("cannot write it", "/state/a", OSError(number, "x"))
        assert isinstance(error, InsufficientSpace) and error.details == {"insufficient_space": True}
        assert "Make room" in str(error)
    assert not isinstance(state_error("cannot write it", "/state/a", OSError(errno.EIO, "x")), InsufficientSpace)
