# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which kinds of file systems a walk has come through, by what is mounted where."""

from __future__ import annotations

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.mounts import (
    parse_mount_types,
    types_of_file_systems,
)

MOUNTS = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
28 27 0:25 / /opt rw - xfs /dev/vdb rw
29 28 0:26 / /opt/shop/storage/uploads rw shared:7 - nfs4 server:/uploads rw
30 28 0:27 / /opt/shop/backend rw master:3 propagate_from:2 - fuse.sshfs host:/ rw
31 28 0:28 /one.conf /opt/shop/one.conf rw - cifs //server/share rw
32 28 0:29 / /opt/other\\040shop rw - btrfs /dev/vdc rw
33 28 0:30 / /opt/shop/node_modules/deep rw - nfs server:/ rw
no line of a mount
34 32 0:31 / /opt/other\\040shop rw - zfs pool rw
"""


@pytest.mark.parametrize(
    ("root", "entered", "left_out", "kinds"),
    [
        ("/srv", {"/srv"}, (), {"ext4"}),
        ("/", {"/", "/srv"}, ("/opt",), {"ext4"}),
        ("/", {"/", "/srv"}, (), {"ext4", "xfs"}),
        ("/opt/shops", {"/opt/shops"}, (), {"xfs"}),
        # The last mount counts where two lie over each other; what is below it is hidden.
        ("/opt/other shop", {"/opt/other shop/web"}, (), {"zfs"}),
        (
            "/opt/shop",
            {"/opt/shop", "/opt/shop/storage"},
            ("/opt/shop/storage/uploads", "/opt/shop/backend"),
            {"xfs", "cifs"},
        ),
        ("/opt/shop", {"/opt/shop", "/opt/shop/backend"}, (), {"xfs", "cifs", "fuse.sshfs"}),
        ("/opt/shop/storage", {"/opt/shop/storage"}, (), {"xfs", "nfs4"}),
        ("/opt/shop/one.conf", set(), (), {"cifs"}),
    ],
)
def test_the_kinds_below_a_path(root: str, entered: set[str], left_out: tuple[str, ...], kinds: set[str]) -> None:
    assert types_of_file_systems([root], entered, left_out, parse_mount_types(MOUNTS)) == kinds


def test_what_is_not_known_is_told() -> None:
    assert types_of_file_systems(["/srv"], {"/srv"}, (), parse_mount_types("")) == {""}
