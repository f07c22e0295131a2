# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""systemd, as far as units are written and switched by this collection."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Dict, List, Mapping, Sequence

from .errors import MaintenanceError, from_os_error

BOOTED = "/run/systemd/system"  # there exactly when systemd runs the host (sd_booted(3))
UNIT_DIR = "/etc/systemd/system"


def runs_this_host() -> bool:
    return os.path.isdir(BOOTED) and shutil.which("systemctl") is not None


def unit_words(words: Sequence[str]) -> str:
    """A command line as a unit holds it (systemd.service(5), systemd.unit(5))."""
    return " ".join(_quoted(word) for word in words)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return '"%s"' % escaped


def call(program: str, *arguments: str, check: bool = True) -> str:
    """What a program of systemd says.

    Raises:
        MaintenanceError: it failed, and `check` is set.
    """
    try:
        done = subprocess.run(
            (program,) + arguments,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(os.environ, LC_ALL="C", SYSTEMD_PAGER="", SYSTEMD_COLORS="0"),
            check=False,
        )
    except OSError as error:
        step = "Is systemd installed on this host?"
        raise from_os_error("cannot start %s" % program, error, target=program, next_step=step) from error
    if check and done.returncode:
        text = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise MaintenanceError(
            "%s %s failed: %s" % (program, " ".join(arguments), text[-1] if text else "without a word"),
            code=done.returncode,
            next_step="Look at systemctl status on that host.",
        )
    return done.stdout.decode("utf-8", "replace")


def start_unit(unit: str, how: str = "start") -> None:
    """Start a unit, or restart it, also where it has ended so often that systemd does not begin it any more.

    That limit (StartLimitBurst, five times in ten seconds) is there for what systemd does by itself, and it counts these calls, too; reset-failed
    sets the count to nothing (systemctl(1)).

    Raises:
        MaintenanceError: it does not come up.
    """
    call("systemctl", "reset-failed", unit, check=False)
    call("systemctl", how, unit)


def unit_properties(units: Sequence[str], names: Sequence[str]) -> Dict[str, Mapping[str, str]]:
    """Properties of units, by the unit's name."""
    found: Dict[str, Mapping[str, str]] = {}
    if not units:
        return found
    shown = call("systemctl", "show", "--property=" + ",".join(names), "--", *units)
    # One block for each unit, in the order in which they were asked for.
    blocks: List[str] = shown.split("\n\n")
    for unit, block in zip(units, blocks):
        found[unit] = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
    return found
