# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who uses a tree: from the text of mountinfo, and from real processes."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.users import (
    find_users,
    group_and_members,
    inside_file_system,
    mounted_parts,
    named_user,
    parse_mountinfo,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError

OWN = parse_mountinfo(
    "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
    "30 22 0:5 / /proc rw - proc proc rw\n"
    "31 22 8:2 / /srv rw shared:1 - ext4 /dev/sda2 rw\n"
    "broken\n"
)
ROOT, SRV = "8:1", "8:2"


def test_mountinfo_is_read_with_its_escapes() -> None:
    assert parse_mountinfo("1 2 8:1 /a\\040b /c\\134d rw - x y z\n") == (("8:1", "/a b", "/c\\d"),)
    assert len(OWN) == 3


def test_a_path_is_found_in_its_file_system() -> None:
    assert inside_file_system("/opt/miniecom", OWN) == (ROOT, "/opt/miniecom")
    assert inside_file_system("/srv/shop", OWN) == (SRV, "/shop")
    assert inside_file_system("/srv", OWN) == (SRV, "/")
    assert inside_file_system("/srvx", OWN) == (ROOT, "/srvx")


@pytest.mark.parametrize(
    ("root", "theirs", "expected"),
    [
        ("/opt/miniecom", [(ROOT, "/opt/miniecom/storage/uploads", "/app/uploads")], ["/opt/miniecom/storage/uploads"]),
        ("/opt/miniecom", [(ROOT, "/opt/miniecom", "/app")], ["/opt/miniecom"]),
        ("/opt/miniecom", [(ROOT, "/opt/miniecom2", "/app")], []),
        ("/opt/miniecom", [(ROOT, "/", "/host")], []),
        ("/opt/miniecom", [(SRV, "/opt/miniecom", "/app")], []),
        ("/srv/shop", [(SRV, "/shop/nginx", "/etc/nginx")], ["/srv/shop/nginx"]),
        ("/srv", [(SRV, "/shop/nginx", "/etc/nginx")], ["/srv/shop/nginx"]),
    ],
)
def test_parts_of_a_tree_that_a_container_has_mounted(
    root: str, theirs: list[tuple[str, str, str]], expected: list[str]
) -> None:
    assert mounted_parts(root, OWN, theirs) == expected


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """pytest's own temporary directories are closed to other users."""
    path = Path(tempfile.mkdtemp(prefix="miniecom-test-"))
    path.chmod(0o755)
    yield path
    path.rmdir()


@pytest.mark.root
def test_a_process_of_another_user_that_works_in_the_tree_is_found(open_directory: Path) -> None:
    tmp_path = open_directory
    nobody = pwd.getpwnam("nobody")
    process = subprocess.Popen(
        ["/bin/cat"],
        cwd=tmp_path, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"up\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"up\n"
        found = find_users([str(tmp_path)])
        assert [(user.uid, user.reaches(str(tmp_path / ".env"))) for user in found] == [(nobody.pw_uid, True)]
        assert f"process {process.pid}" in found[0].name
        assert find_users([str(tmp_path / "elsewhere")]) == []
    finally:
        process.communicate()


def test_this_process_and_its_ancestors_do_not_count() -> None:
    assert not [user for user in find_users([os.getcwd()]) if f"process {os.getpid()})" in user.name]


def test_named_users() -> None:
    root = named_user("root")
    assert root.uid == 0 and root.reaches("/anything")
    with pytest.raises(MaintenanceError, match="no such user"):
        named_user("nobody-has-this-name")


def test_a_user_whose_own_group_it_is_is_a_member(monkeypatch: pytest.MonkeyPatch) -> None:
    def user(name: str, gid: int) -> pwd.struct_passwd:
        return pwd.struct_passwd((name, "x", 1000, gid, "", "/", "/bin/sh"))

    group = grp.struct_group(("docker", "x", 998, ["listed", "both"]))
    monkeypatch.setattr(pwd, "getpwall", lambda: [user("own", 998), user("both", 998), user("other", 1000)])
    monkeypatch.setattr(grp, "getgrgid", {998: group}.__getitem__)
    assert group_and_members(998) == ("docker", ["both", "listed", "own"])
    assert group_and_members(1000) == (None, ["other"])
