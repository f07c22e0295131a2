# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs one module of the collection as Ansible does on a target, without the packing: the quick way for tests.

``python module_process.py NAME`` with the module's arguments as JSON on stdin. Must run on Python 3.8; stands alone.
"""

import os
import runpy
import signal
import sys


def main() -> None:
    name = sys.argv[1]
    arguments = sys.stdin.buffer.read()
    # This folder must not be on the module's path: on a target there is nothing of the tests.
    sys.path.pop(0)
    # Nothing of the arguments is in argv, as on a target.
    sys.argv = [name]

    from ansible.module_utils import basic

    basic._ANSIBLE_ARGS = arguments
    if hasattr(basic, "_ANSIBLE_PROFILE"):
        basic._ANSIBLE_PROFILE = "legacy"
    kill_at = os.environ.pop("MINIECOM_TEST_KILL_AT", None)
    if kill_at is not None:
        _kill_at(int(kill_at))
    runpy.run_module("ansible_collections.miniecom.maintenance.plugins.modules." + name, run_name="__main__")


def _kill_at(number: int) -> None:
    """Die by SIGKILL when the run is about to pass its action boundary of this number, the first one being 0."""
    from ansible_collections.miniecom.maintenance.plugins.module_utils._core import runner

    original = runner.boundary
    passed = [0]

    def boundary(context: runner.RunContext, event: dict) -> None:
        if passed[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        passed[0] += 1
        original(context, event)

    runner.boundary = boundary


if __name__ == "__main__":
    main()
