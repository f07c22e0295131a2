# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sandboxes for tests: raised once a session in a directory of their own, removed without trace at its end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.dotenv import load

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that is up."""

    directory: Path
    deployment: str

    @property
    def root(self) -> Path:
        """The shop's directory."""
        return self.directory / "opt" / "miniecom"

    @property
    def env_file(self) -> Path:
        return self.root / ".env"

    def environment(self) -> dict[str, str]:
        """What makes inventories/sandbox mean this sandbox."""
        return {"MINIECOM_SANDBOX": str(self.directory)}

    def secrets(self) -> set[str]:
        """Every password and key of the shop's environment file, in all spellings."""
        values = load(str(self.env_file))
        found = {
            value
            for key, value in values.items()
            if any(word in key for word in ("PASS", "SECRET", "KEY", "TOKEN")) and len(value) >= 6
        }
        for key in ("MONGODB_URI", "MONGO_URI"):
            password = urlsplit(values.get(key, "")).password
            if password:
                found |= {password, unquote(password)}
        assert found, "a shop without secrets proves nothing"
        return found


def switch_off_jobs(sandbox: Sandbox, jobs: Iterable[str] | None = None) -> None:
    """Do what a run advises about the shop's own jobs: a # before their lines.

    jobs: as context_info names those that delete backups (file:line and what was recognised); by default every line.
    """
    for path in (sandbox.directory / "cron").iterdir():
        wanted = None if jobs is None else {int(job.partition(f"{path}:")[2].split()[0]) for job in jobs}
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            if "=" not in line.split()[0] and not line.startswith("#") and (wanted is None or number in wanted):
                lines[number - 1] = f"# {line}"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def sandbox_command(verb: str, deployment: str, directory: Path, *options: str) -> None:
    """Run the sandbox's own command; raises with its output when it fails."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.sandbox",
            verb,
            "--deployment",
            deployment,
            "--directory",
            str(directory),
            *options,
        ],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"sandbox {verb} failed:\n{done.stdout}")
