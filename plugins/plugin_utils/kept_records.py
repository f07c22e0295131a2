# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which records of runs the controller keeps. Pure, controller side."""

from __future__ import annotations

import re
from typing import Iterable, List

# As the names of runs are: when they began, and six digits of chance; those of check mode are a uuid and tell no time.
RUN = r"\d{8}T\d{6}Z-[0-9a-f]{6}"


def file_name(text: str) -> str:
    """A name as a file may have it."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text)


def outdated(names: Iterable[str], host: str, keep: int) -> List[str]:
    """The files of a host's oldest runs: records and the summaries beside them. Nothing else is ever among them.

    Args:
        names: of the files in the directory.
        keep: how many runs stay; 0 for all.
    """
    form = re.compile(r"%s_(%s)\.(?:json|txt)" % (re.escape(file_name(host)), RUN))
    found = {name: match[1] for name in names for match in [form.fullmatch(name)] if match}
    stay = set(sorted(set(found.values()))[-keep:]) if keep > 0 else set(found.values())
    return sorted(name for name, run in found.items() if run not in stay)
