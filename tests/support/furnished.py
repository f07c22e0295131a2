# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The libraries' environment of a sandbox, for tests that do not ask how it comes to be.

The playbook ``prerequisites`` makes it in about 25 seconds of processor time; it is made once and copied.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from tests.support.playbooks import ROOT, run_playbook
from tests.support.sandboxes import Sandbox

REQUIREMENTS = ROOT / "roles" / "prerequisites" / "files" / "requirements.txt"


def furnish(sandbox: Sandbox) -> None:
    """Give a sandbox that is up the environment that a run would make first."""
    made = REQUIREMENTS.read_bytes() + sys.version.encode()
    kept = ROOT / ".cache" / "host-venv" / hashlib.sha256(made).hexdigest()[:16]
    kept.parent.mkdir(parents=True, exist_ok=True)
    target = sandbox.directory / "venv"
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            with tempfile.TemporaryDirectory() as directory:
                log = Path(directory) / "log"
                inventory = ROOT / "inventories" / "sandbox"
                run_playbook("prerequisites", inventory, log=log, env=sandbox.environment()).assert_ok()
            fresh = kept.with_suffix(".fresh")
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(target, fresh, symlinks=True)
            # Scripts begin with the path of their interpreter, wherever the environment was made.
            (fresh / "made-at").write_text(str(target))
            fresh.rename(kept)
            return
    shutil.copytree(kept, target, symlinks=True)
    here = target / "made-at"
    there = here.read_bytes()
    here.unlink()
    for path in [target / "pyvenv.cfg", *(target / "bin").iterdir()]:
        if path.is_file() and not path.is_symlink() and there in (content := path.read_bytes()):
            path.write_bytes(content.replace(there, bytes(target)))
