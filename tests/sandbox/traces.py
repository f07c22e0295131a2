# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine leaves on a machine beside files: finding it and clearing it away, without asking the engine."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

PROGRAMS = frozenset(
    {"dockerd", "containerd", "containerd-shim", "containerd-shim-runc-v1", "containerd-shim-runc-v2", "runc"}
)
# containerd and dockerd make these on their way, whatever the configuration says.
LITTER = (
    "/run/docker/plugins",
    "/run/docker",
    "/run/containerd/s",
    "/run/containerd/fifo",
    "/run/containerd",
    "/opt/containerd/bin",
    "/opt/containerd/lib",
    "/opt/containerd",
)


def processes() -> Iterator[tuple[int, list[str]]]:
    """Every living process with its arguments."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
                if arguments != [""] and _alive(entry):
                    yield int(entry.name), arguments
            except OSError:
                continue


def _alive(entry: Path) -> bool:
    return (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0] != "Z"


def started(pid: int) -> str:
    """When a process was started, in the kernel's clock ticks; empty when there is none. With its id it is unique."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except OSError:
        return ""


def of_exec_root(exec_root: Path) -> list[int]:
    """containerd and its shims: they name the exec root on their command lines."""
    return [
        pid
        for pid, arguments in processes()
        if os.path.basename(arguments[0]) in PROGRAMS and any(f"{exec_root}/" in word for word in arguments)
    ]


def in_group(group: str) -> list[int]:
    """The processes of all containers below a control group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"/{group}/" in (entry / "cgroup").read_text(encoding="utf-8") and _alive(entry):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def send(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal; a process that is gone by now is no error."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def mounts_below(roots: Iterable[Path]) -> list[str]:
    """Mount points below directories, the deepest first."""
    prefixes = tuple(f"{root}/" for root in roots)
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        # The kernel writes blanks and backslashes in paths as octal numbers.
        points = [re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), line.split()[4]) for line in lines]
    return sorted((point for point in points if point.startswith(prefixes)), key=len, reverse=True)


def unmount(point: str) -> None:
    subprocess.run(["umount", "-l", point], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def remove_group(group: str) -> None:
    """Remove a control group with all groups in it, under both versions of control groups."""
    top = Path("/sys/fs/cgroup")
    for parent in {top / group, *top.glob(f"*/{group}")}:
        for directory, _directories, _files in os.walk(parent, topdown=False):
            for _attempt in range(100):
                try:
                    os.rmdir(directory)
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.02)  # the kernel empties the group of killed processes a moment later


def remove(path: Path) -> None:
    """Remove a file, link or directory; nothing happens when there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def tidy() -> None:
    """Remove the empty directories that engines make outside their own, and sockets that nothing listens on any more.

    The last engine does it for all: one that lives may be about to use a directory that is empty now, or to listen on a socket.
    """
    if any(os.path.basename(arguments[0]) in PROGRAMS for _pid, arguments in processes()):
        return
    for path in Path("/run/containerd/s").glob("*"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)
            except OSError:
                continue
    for litter in LITTER:
        try:
            os.rmdir(litter)
        except OSError:
            continue  # missing, or something lies there
