# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup that is unpacked by root gives each file back to its owner: else the shop cannot write its own uploads."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import tarball


def written(path: Path, add: str, source: object) -> dict[str, tuple[int, int]]:
    with path.open("w+b") as handle:
        writer = tarball.BackupWriter(handle.write, handle, "20261124_000000", 0, "fast")
        try:
            if add == "path":
                writer.add_path("uploads", str(source))
            else:
                writer.add_tar("uploads", source, "container:/uploads")
            writer.close()
        finally:
            writer.release()
    with tarfile.open(path) as tar:
        return {info.name.partition("/")[2]: (info.uid, info.gid) for info in tar}


def test_owners_of_a_directory_are_kept(tmp_path: Path) -> None:
    directory = tmp_path / "uploads"
    (directory / "inner").mkdir(parents=True)
    (directory / "image.jpg").write_bytes(b"1")
    (directory / "link").symlink_to("image.jpg")
    owner = (os.geteuid(), os.getegid())
    if os.geteuid() == 0:
        owner = (1234, 1235)
        for path in (directory, directory / "inner", directory / "image.jpg", directory / "link"):
            os.chown(path, *owner, follow_symlinks=False)
    found = written(tmp_path / "x.tar.gz", "path", directory)
    for name in ("uploads", "uploads/inner", "uploads/image.jpg", "uploads/link"):
        assert found[name] == owner, name


def test_owners_in_a_container_are_kept(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind in (
            ("uploads", tarfile.DIRTYPE),
            ("uploads/a", tarfile.REGTYPE),
            ("uploads/l", tarfile.SYMTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.uid, info.gid = kind, 1000, 1001
            tar.addfile(info)
    found = written(tmp_path / "x.tar.gz", "tar", [buffer.getvalue()])
    assert {found[name] for name in ("uploads", "uploads/a", "uploads/l")} == {(1000, 1001)}
