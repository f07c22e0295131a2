# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module that Ansible sends on standard input, as Python itself would, and for less.

Python reads a program from standard input line by line, through a decoder of its own making: for the quarter of a megabyte that a module is,
that takes as long as all else it does. And Ansible's own part of a module is compiled anew each time; here it is found in the cache, too.
"""

from __future__ import annotations

import gc
import sys
from types import ModuleType

# Beside this file: a copy of the collection's plugins/module_utils/_core/code_cache.py.
import code_cache

# Python looks for garbage after every few hundred objects. Of what a module imports nothing is any, and to look takes a twentieth of a call.
OBJECTS = 50_000


def main() -> None:
    gc.set_threshold(OBJECTS)
    code_cache.install_at_ansible()
    # All is named as Python names it where it reads from standard input itself.
    sys.path[0] = ""
    sys.argv = [""]
    module = ModuleType("__main__")
    module.__file__ = "<stdin>"
    sys.modules["__main__"] = module
    exec(compile(sys.stdin.buffer.read(), "<stdin>", "exec", dont_inherit=True), module.__dict__)  # noqa: S102  # pylint: disable=exec-used


main()
