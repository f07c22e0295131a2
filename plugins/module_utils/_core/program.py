# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A part of this collection as one file that a host runs by itself, without Ansible.

The file is a zip archive that Python executes (PEP 441). What goes into it is read from the modules as they are loaded,
which on a target are those that Ansible has sent: nothing is written twice, and nothing has to be copied beforehand.
"""

from __future__ import annotations

import ast
import io
import sys
import zipfile
from typing import Any, Dict, Iterator

from .errors import MaintenanceError

PACKAGE = "miniecom_maintenance"
_START = """import sys
from %s.%s import main
sys.exit(main(sys.argv[1:]))
"""


def _imported(name: str, source: str) -> Iterator[str]:
    """What a module imports by relative names, as candidates: a name may be a module's or a thing's in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = name.rsplit(".", node.level)[0]
            if node.module:
                base += "." + node.module
            yield base
            for alias in node.names:
                yield base + "." + alias.name


def sources(program: str) -> Dict[str, str]:
    """The source of a loaded module and of all that it imports by relative names.

    Raises:
        MaintenanceError: the source of one of them is not to be had.
    """
    found: Dict[str, str] = {}
    waiting = [program]
    while waiting:
        name = waiting.pop()
        module: Any = sys.modules.get(name)
        if name in found or module is None or hasattr(module, "__path__"):
            continue
        source = module.__spec__.loader.get_source(name)
        if source is None:
            raise MaintenanceError(
                "the source of a part of this collection is missing",
                target=name,
                next_step="Install the collection again.",
            )
        found[name] = source
        waiting.extend(_imported(name, source))
    return found


def pack(program: str) -> bytes:
    """A program as one executable archive; the same sources always give the same bytes.

    Args:
        program: full name of a loaded module with a function main(arguments) that returns the exit status. All that it
            imports by relative names must lie in the rooms of module_utils, and nothing of it may import ansible.
    """
    root = __name__.rsplit(".", 2)[0]
    start = program[len(root) + 1 :]
    files = {"__main__.py": _START % (PACKAGE, start), PACKAGE + "/__init__.py": ""}
    for name, source in sources(program).items():
        parts = name[len(root) + 1 :].split(".")
        for depth in range(1, len(parts)):
            files["/".join([PACKAGE] + parts[:depth] + ["__init__.py"])] = ""
        files["/".join([PACKAGE] + parts) + ".py"] = source
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), files[path].encode("utf-8"))
    return buffer.getvalue()
