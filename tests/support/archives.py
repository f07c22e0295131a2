# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file that can be a backup, as small as can be."""

from __future__ import annotations

import functools
import gzip
import io
import tarfile


@functools.cache
def small_archive(content: bytes = b"") -> bytes:
    """A tar.gz with one file in it."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        info = tarfile.TarInfo("20261124_020000/mongo.archive.gz")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0)
