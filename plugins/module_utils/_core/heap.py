# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the C library keeps memory that this process has done with."""

from __future__ import annotations

import ctypes

# Parameters of glibc's mallopt (https://man7.org/linux/man-pages/man3/mallopt.3.html).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
LARGE_BLOCK_BYTES = 4 * 1024 * 1024
# What each heap may keep of what is free at its end: less, and batches that come and go are fetched from the system each time
# (measured: 0.6 s for each gigabyte that is read and packed, as much as its SHA-256 takes).
KEPT_BYTES = 16 * 1024 * 1024


def give_large_blocks_back() -> bool:
    """Have memory in blocks of LARGE_BLOCK_BYTES and more returned to the system as soon as it is freed.

    By itself glibc raises that size to that of the largest block it has seen, 32 MB at most, and then cuts such blocks from
    heaps of each thread, in whose gaps the next one may not fit (measured with documents of 16 MB: 30 to 40 MB more).
    Batches of a common size stay below, and their memory is used again.

    Returns:
        Whether there is such a setting; other C libraries have none and need none.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = [
        (_MMAP_THRESHOLD, LARGE_BLOCK_BYTES),
        (_TRIM_THRESHOLD, KEPT_BYTES),
        # And how many heaps: each thread would get one of its own, eight for a core.
        (_ARENA_MAX, 2),
    ]
    return [mallopt(*setting) for setting in settings] == [1, 1, 1]
