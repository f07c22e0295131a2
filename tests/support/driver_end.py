# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the driver does when a process that had a connection ends: run as a program, it is such a process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from pymongo.periodic_executor import PeriodicExecutor

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.client import connect


def driver_end(**params: object) -> list[str]:
    """What kind of server it was, and then "waited" for each thread of the driver that was waited for."""
    command = [sys.executable, "-m", __name__, json.dumps({"connect_timeout": 5, **params})]
    place = Path(__file__).resolve().parents[2]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=place).stdout.split()


if __name__ == "__main__":
    PeriodicExecutor.join = lambda self, timeout=None: print("waited")  # type: ignore[method-assign]
    with connect(json.loads(sys.argv[1])) as connection:
        print(connection.server.topology)
