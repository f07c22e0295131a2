# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that outlive the command which starts them, and are found again by pid and start time."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Daemon:
    """A process that cannot be mistaken for another one that got its pid later.

    start_time: clock ticks after the boot of ``boot``.
    """

    pid: int
    start_time: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Daemon:
        return cls(pid, start_time(pid) or 0, boot_id())

    @property
    def alive(self) -> bool:
        return self.boot == boot_id() and start_time(self.pid) == self.start_time

    def end(self, seconds: float = 30) -> None:
        """Ask the process to end, wait for it, and force it after the given time."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                handle = os.pidfd_open(self.pid)
            except ProcessLookupError:
                return
            try:
                # The handle is this very process for good; only now is it certain that it is ours.
                if not self.alive:
                    return
                signal.pidfd_send_signal(handle, number)
                if select.select([handle], [], [], seconds)[0]:
                    return
            except ProcessLookupError:
                return
            finally:
                os.close(handle)


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def start_time(pid: int) -> int | None:
    """Clock ticks from boot to the start of a process; None when it does not exist or is dead already."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name in parentheses may hold anything, also parentheses.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def spawn(command: Sequence[str], directory: Path, log: Path, environment: Mapping[str, str]) -> Daemon:
    """Start a process in a session of its own, so that it survives the terminal; its output goes to a file."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    process.returncode = 0  # it is to stay: nobody shall warn that it still runs
    return Daemon.of(process.pid)


def of_directory(directory: Path) -> list[Daemon]:
    """mongods and Python programs of this user that run on something in a directory.

    They are those which no file tells of, because whoever started them was killed. Shells and editors that merely are in
    the directory are not among them.
    """
    found = []
    inside = f"{directory}/"
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            program = os.path.basename(os.readlink(entry / "exe")).removesuffix(" (deleted)")
            words = (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            continue
        arguments = words[1:] if program == "mongod" else words[1:2] if program.startswith("python") else []
        if any(word.startswith(inside) for word in arguments):
            found.append(Daemon.of(int(entry.name)))
    return found
