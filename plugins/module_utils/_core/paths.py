# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a path lies. Pure: nothing is looked up, links are not followed."""

from __future__ import annotations


def lies_below(path: str, top: str) -> bool:
    """Whether a path is a directory itself or something in it, however deep.

    Args:
        path: an absolute path.
        top: an absolute path of a directory, with or without a slash at its end.
    """
    return path == top or path.startswith(top.rstrip("/") + "/")
