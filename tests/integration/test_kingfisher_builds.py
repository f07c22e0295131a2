# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the package index has for each kind of host is a program that such a host can run."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.kingfisher import BUILT_FOR, PACKAGE
from ansible_collections.miniecom.maintenance.plugins.plugin_utils.first_contact import wanted

REQUIREMENTS = Path(__file__).resolve().parents[2] / "roles/prerequisites/files/requirements.txt"
# ELF, e_machine (elf.h): EM_X86_64 and EM_AARCH64.
MACHINES = {"x86_64": 62, "aarch64": 183}


@pytest.mark.exhaustive
@pytest.mark.parametrize("machine", BUILT_FOR)
def test_the_package_holds_a_program_for_that_machine(machine: str, tmp_path: Path) -> None:
    chosen = [text for text in wanted(REQUIREMENTS.read_text(), (3, 11), machine) if text.startswith(PACKAGE)]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        str(tmp_path),
    ]
    command += ["--platform", f"manylinux_2_17_{machine}", *chosen]
    subprocess.run(command, check=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        begin = archive.read("kingfisher/bin/kingfisher")[:20]
    assert begin[:4] == b"\x7fELF" and int.from_bytes(begin[18:20], "little") == MACHINES[machine], wheel.name
