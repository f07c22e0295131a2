# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refuses connections to the machine's default Docker socket and notes the attempt.

The directory of this file is on PYTHONPATH of everything the tests start, so every Python process has it, also modules
that Ansible starts. Must run on Python 3.8.
"""

import os
import sys

FORBIDDEN = ("/var/run/docker.sock", "/run/docker.sock")


def _trap(event: str, arguments: tuple) -> None:
    if event != "socket.connect":
        return
    address = arguments[1]
    if isinstance(address, bytes):
        address = os.fsdecode(address)
    if isinstance(address, str) and (address in FORBIDDEN or os.path.realpath(address) in FORBIDDEN):
        note = os.environ.get("MINIECOM_TRAP_FILE")
        if note:
            with open(note, "a", encoding="utf-8") as handle:
                handle.write(f"process {os.getpid()} ({' '.join(sys.argv)}) wanted to connect to {address}\n")
        raise PermissionError(f"the machine's default Docker socket {address} is out of bounds for tests")


sys.addaudithook(_trap)
