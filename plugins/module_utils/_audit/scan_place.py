# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the memory of a scan for secrets lies. By itself, as it is asked for before Kingfisher is started. Pure."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Sequence

DIRECTORY = "scans"


def kept_scan_path(state_dir: str, roots: Sequence[str], exclude: Sequence[str]) -> str:
    """The file in the state directory that is for a scan of these paths with these exclusions."""
    digest = hashlib.sha256(json.dumps([list(roots), list(exclude)]).encode("ascii")).hexdigest()
    return os.path.join(state_dir, DIRECTORY, digest[:16] + ".json")
