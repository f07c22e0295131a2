# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mode fixes where the mode is not the whole truth: access control lists, and inode numbers that are used again."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.file_modes import ACL_ATTRIBUTE, birth
from tests.conftest import NOT_TESTED, lacking
from tests.support.modules import run_module

NOBODY = 0xFFFFFFFF
SOMEBODY = 4242


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def give_read_to_somebody(path: Path, group: int) -> None:
    """What `setfacl -m u:4242:r` does: version 2, then (tag, rights, id) for owner, user, group, mask, others."""
    entries = [(0x01, 6, NOBODY), (0x02, 4, SOMEBODY), (0x04, group, NOBODY), (0x10, 4, NOBODY), (0x20, 0, NOBODY)]
    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(path, ACL_ATTRIBUTE, value)
    except OSError as error:
        lacking(f"access control lists: {error}")


@pytest.mark.parametrize("group", [0, 4], ids=["alone", "and its group"])
def test_a_user_of_an_access_control_list_is_not_shut_out(tmp_path: Path, state_dir: Path, group: int) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    env = shop / ".env"
    env.write_text("A=b\n")
    env.chmod(0o600)
    give_read_to_somebody(env, group)
    before = os.getxattr(env, ACL_ATTRIBUTE)
    assert mode(env) == 0o640
    result = run_module("perm_audit", {"paths": [str(shop)], "fix": True, "state_dir": state_dir, "docker_socket": []})
    assert result.rc == 0 and result.result["plan"] == []
    # The group's bits of the mode are the list's mask: without rights of its own the group is no finding.
    assert ["getfacl" in entry["reason"] for entry in result.result["kept"]] == ([True] if group else [])
    assert any("user uid 4242 may read" in entry["message"] for entry in result.result["findings"])
    assert os.getxattr(env, ACL_ATTRIBUTE) == before


def test_undo_leaves_a_file_alone_that_got_the_same_inode(tmp_path: Path, state_dir: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    key, kept = shop / "private.key", shop / "other.key"
    for path in (key, kept):
        path.write_text("old")
        path.chmod(0o644)
    descriptor = os.open(key, os.O_PATH)
    told = birth(descriptor)
    os.close(descriptor)
    if not told:
        lacking("birth of files: this file system does not tell it")
    fixed = run_module("perm_audit", {"paths": [str(shop)], "fix": True, "state_dir": state_dir, "docker_socket": []})
    assert mode(key) == mode(kept) == 0o600
    inode = key.stat().st_ino
    for _attempt in range(20):
        fresh = shop / "fresh"
        fresh.touch(0o600)
        fresh.rename(key)
        if key.stat().st_ino == inode:
            break
    else:
        pytest.skip(NOT_TESTED + "inodes used again: this file system did not do it")
    undone = run_module("perm_audit", {"undo": fixed.result["undo_id"], "state_dir": state_dir})
    assert undone.rc == 0, undone.result
    assert mode(kept) == 0o644, "the file that is the same gets its mode back"
    assert mode(key) == 0o600, "a new secret was opened to everybody"
    assert "another file" in undone.result["kept"][0]["reason"]
