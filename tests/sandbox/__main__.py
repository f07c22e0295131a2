# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raise and remove the sandbox: python -m tests.sandbox up|down|status|renew.

Each deployment has up() (False when nothing was to do), down(), renew(), is_healthy() and lines() for a person.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parents[2] / ".sandbox"
CURRENT = HOME / "current"
# Seconds after which it is said that something still goes on.
SILENCE = 4.0
DEPLOYMENTS = ("native", "compose")
# Directories that inventories/sandbox names and that a run makes where they are missing.
MADE_BY_PLAYBOOKS = {"record", "run", "state", "venv"}


class Progress:
    """Says what is being done, and that it goes on."""

    def __init__(self, silence: float = SILENCE) -> None:
        self.began = self.last = time.monotonic()
        self.silence = silence
        self.doing = "beginning"
        self.over = threading.Event()

    def __call__(self, text: str) -> None:
        self.doing = text
        self._print(text)

    def _print(self, text: str) -> None:
        self.last = time.monotonic()
        print(f"[{self.last - self.began:5.1f} s] {text}", flush=True)

    def beat(self) -> None:
        """Repeat what is being done whenever nothing was said for a while, until it is over."""
        while not self.over.wait(self.silence / 8):
            if time.monotonic() - self.last >= self.silence:
                self._print(f"... {self.doing}")


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    say = Progress()
    threading.Thread(target=say.beat, daemon=True).start()
    try:
        return int(_COMMANDS[options.command](options, say))
    except KeyboardInterrupt:
        print("interrupted; the next `up` or `down` clears up", file=sys.stderr)
        return 130
    except Exception as error:
        # Those of the sandbox say what to do; the type helps with all others.
        known = isinstance(error, RuntimeError) or type(error).__module__.startswith("tests.sandbox")
        print(f"sandbox: {error}" if known else f"sandbox: {type(error).__name__}: {error}", file=sys.stderr)
        if os.environ.get("MINIECOM_SANDBOX_TRACE"):
            raise
        return 1
    finally:
        say.over.set()


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox", description="A MiniEcom to try the collection on.")
    parser.add_argument("command", choices=sorted(_COMMANDS))
    parser.add_argument("--deployment", choices=DEPLOYMENTS, help="default: the one that is up, else native")
    parser.add_argument(
        "--directory",
        type=lambda text: Path(os.path.abspath(text)),
        default=os.environ.get("MINIECOM_SANDBOX") or None,
        help="the sandbox's directory; default .sandbox/DEPLOYMENT, or the value of MINIECOM_SANDBOX",
    )
    parser.add_argument(
        "--megabytes",
        type=int,
        default=200,
        help="how much the database grows before two thirds of it are deleted again (up, renew); default 200",
    )
    return parser.parse_args(arguments)


def _up(options: argparse.Namespace, say: Any) -> int:
    sandbox = _open(_directory(options), say, options)
    with _locked(sandbox.directory):
        sandbox = _open(sandbox.directory, say, options)
        if sandbox.up():
            say("the sandbox is up")
        else:
            say("the sandbox is already up")
        if sandbox.directory.parent == HOME:
            _point_current_to(sandbox.directory)
    print("\n".join(sandbox.lines()))
    return 0


def _down(options: argparse.Namespace, say: Any) -> int:
    directories = (
        [_directory(options)] if options.directory or options.deployment else [HOME / name for name in DEPLOYMENTS]
    )
    removed = 0
    for directory in directories:
        if not directory.exists():
            continue
        with _locked(directory):
            _open(directory, say, options).down()
        say(f"removed {directory}")
        removed += 1
    if HOME.is_dir():
        with _locked(CURRENT):
            if CURRENT.exists() and not CURRENT.is_symlink():
                _remove_without_sandbox(CURRENT)
            elif not CURRENT.exists():
                CURRENT.unlink(missing_ok=True)
            _remove_half_made_links()
        if not any(HOME.iterdir()):
            HOME.rmdir()
    if not removed:
        say("no sandbox is up: nothing to remove")
    return 0


def _status(options: argparse.Namespace, say: Any) -> int:
    directory = _directory(options)
    if not directory.exists():
        print(f"no sandbox in {directory}")
        return 3
    sandbox = _open(directory, say, options)
    print("\n".join(sandbox.lines()))
    return 0 if sandbox.is_healthy() else 3


def _renew(options: argparse.Namespace, say: Any) -> int:
    directory = _directory(options)
    with _locked(directory):
        _open(directory, say, options).renew()
    say("there is something to do again")
    return 0


_COMMANDS = {"up": _up, "down": _down, "status": _status, "renew": _renew}


def _directory(options: argparse.Namespace) -> Path:
    if options.directory:
        return Path(options.directory)
    if options.deployment:
        return HOME / str(options.deployment)
    if CURRENT.exists():
        return CURRENT.resolve()
    return HOME / DEPLOYMENTS[0]


def _open(directory: Path, say: Any, options: argparse.Namespace) -> Any:
    """The sandbox of a directory; what lies there says of which kind it is, and must not contradict."""
    try:
        found = json.loads((directory / "sandbox.json").read_text(encoding="utf-8")).get("deployment")
    except (OSError, ValueError):
        found = None
    if found and options.deployment and found != options.deployment:
        raise RuntimeError(f"{directory} holds a {found} sandbox; name another --directory or take it down first")
    kind = found or options.deployment or (directory.name if directory.name in DEPLOYMENTS else DEPLOYMENTS[0])
    if kind == "compose":
        from tests.sandbox.compose import Compose

        return Compose(directory, say, megabytes=options.megabytes)
    from tests.sandbox.native import Native

    return Native(directory, say, megabytes=options.megabytes)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Let one command at a time work on a sandbox. The directory above it is locked, so no lock file stays behind."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _point_current_to(directory: Path) -> None:
    """Make ``current`` lead to a sandbox; the directory above it is locked."""
    if CURRENT.is_dir() and not CURRENT.is_symlink():
        _remove_without_sandbox(CURRENT)
    _remove_half_made_links()
    partial = HOME / f".current.{os.getpid()}"
    partial.symlink_to(directory.name)
    partial.rename(CURRENT)


def _remove_half_made_links() -> None:
    """What a command that was killed has left."""
    for partial in HOME.glob(".current.*"):
        if partial.is_symlink():
            partial.unlink()


def _remove_without_sandbox(directory: Path) -> None:
    """Remove what a playbook on inventories/sandbox makes when no sandbox is up, and nothing else.

    Raises RuntimeError when something else is in the directory: it may be somebody's.
    """
    strange = sorted({path.name for path in directory.iterdir()} - MADE_BY_PLAYBOOKS)
    if strange:
        raise RuntimeError(f"{directory} is no link to a sandbox and holds {', '.join(strange)}: move it away")
    shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
