# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a module of the collection in a process of its own, as it runs on a target."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TRAP = ROOT / "tests" / "support" / "trap"
# Whatever falls back on the environment's Docker Engine must not find one.
NO_DOCKER_HOST = "unix:///nonexistent/no-default-docker-engine-in-tests.sock"


class ModuleBroken(AssertionError):
    """The module ended without an answer in JSON."""


@dataclass
class ModuleResult:
    """What came back; ``result`` is empty when the module was killed."""

    rc: int
    result: dict[str, Any] = field(default_factory=dict)
    stdout: str = ""
    stderr: str = ""

    @property
    def failed(self) -> bool:
        return self.rc != 0 or bool(self.result.get("failed"))

    @property
    def changed(self) -> bool:
        return bool(self.result.get("changed"))

    @property
    def msg(self) -> str:
        return str(self.result.get("msg", ""))

    @property
    def output(self) -> str:
        """All that left the process: for looking for canaries."""
        return self.stdout + self.stderr


@functools.cache
def _library() -> Path:
    """A directory that holds nothing but a link to the controller's ansible package.

    An older interpreter must see ansible's module_utils, but not the controller's other packages.
    """
    import ansible

    source = Path(ansible.__file__).parent
    # A checkout may be seen in two places at a time, and tested with two of ansible-core.
    place = hashlib.sha256(os.fsencode(source)).hexdigest()[:16]
    directory = ROOT / ".cache" / "ansible-package" / place
    link = directory / "ansible"
    directory.mkdir(parents=True, exist_ok=True)
    if not (link.is_symlink() and link.readlink() == source):
        fresh = directory / f".ansible.{os.getpid()}"
        fresh.symlink_to(source)
        fresh.replace(link)
    return directory


def for_other_users(directory: Path) -> Path:
    """Take all that a module needs into a directory that everybody can enter; where the checkout lies, others may not.

    Returns:
        The place, for ``run_module(place=...)``.
    """
    import ansible

    place = directory / "checkout"
    package, source = place / ".cache/ansible-package/ansible", Path(ansible.__file__).parent
    collection = Path("collections/ansible_collections/miniecom/maintenance/plugins")
    for name in ("modules", "module_utils"):
        shutil.copytree(ROOT / "plugins" / name, place / collection / name)
    shutil.copytree(ROOT / "tests/support", place / "tests/support")
    for name in ("module_utils", "_vendor"):
        shutil.copytree(source / name, package / name)
    for name in ("__init__.py", "release.py"):
        shutil.copy(source / name, package)
    for path in [place, *place.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return place


def module_environment(env: Mapping[str, str | None] | None = None, place: Path = ROOT) -> dict[str, str]:
    """The environment of a module under test; a None in ``env`` takes the variable away. For place see ``run_module``."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTEST_"))}
    # The trap is named first, before a sitecustomize that the machine may have.
    library = _library() if place == ROOT else place / ".cache/ansible-package"
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(place / TRAP.relative_to(ROOT)), str(library), str(place / "collections")]
    )
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    environment["DOCKER_HOST"] = NO_DOCKER_HOST
    for name, value in (env or {}).items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
    return environment


def start_module(
    name: str,
    params: Mapping[str, Any],
    *,
    check: bool = False,
    diff: bool = False,
    python: str | os.PathLike[str] | None = None,
    env: Mapping[str, str | None] | None = None,
    kill_at: int | None = None,
    kill_at_change: tuple[Path, int] | None = None,
    kill_at_command: tuple[int, int | None] | None = None,
    stop_at: int | None = None,
    signal_at_command: tuple[int, int, int] | None = None,
    place: Path = ROOT,
) -> subprocess.Popen[str]:
    """Start a module and return its process at once; ``finish_module`` waits for it. See ``run_module``.

    stop_at: the module stops (SIGSTOP) just before it passes its action boundary of this number; ``wait_until_stopped``
        waits for that, and SIGCONT lets it go on.
    """
    environment = module_environment(env, place)
    if kill_at is not None:
        environment["MINIECOM_TEST_KILL_AT"] = str(kill_at)
    if stop_at is not None:
        environment["MINIECOM_TEST_STOP_AT"] = str(stop_at)
    if signal_at_command is not None:
        environment["MINIECOM_TEST_SIGNAL_AT_COMMAND"] = "%d:%d:%d" % signal_at_command
    if kill_at_change is not None:
        environment["MINIECOM_TEST_KILL_AT_CHANGE"] = "%s:%d" % kill_at_change
    if kill_at_command is not None:
        number, pid = kill_at_command
        environment["MINIECOM_TEST_KILL_AT_COMMAND"] = "%d:%s" % (number, "" if pid is None else pid)
    given = {key: (os.fspath(value) if isinstance(value, os.PathLike) else value) for key, value in params.items()}
    arguments = {"_ansible_check_mode": check, "_ansible_diff": diff, **given}
    process = subprocess.Popen(
        [os.fspath(python or sys.executable), str(place / "tests/support/module_process.py"), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
        cwd="/",
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    process.stdin.close()
    process.stdin = None
    return process


def wait_until_stopped(process: subprocess.Popen[str], timeout: float = 60) -> None:
    """Wait for a module that was started with ``stop_at`` to reach its boundary.

    timeout: in seconds; AssertionError then, and when it ended before.
    """
    deadline = time.monotonic() + timeout
    while (
        Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
        != "T"
    ):
        assert process.poll() is None, f"it ended before that boundary: {process.communicate()}"
        assert time.monotonic() < deadline, "it did not reach that boundary"
        time.sleep(0.02)


def finish_module(process: subprocess.Popen[str], timeout: float = 120) -> ModuleResult:
    """Wait for a started module.

    timeout: in seconds; then the module is killed and subprocess.TimeoutExpired raised.
    """
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    if process.returncode < 0:
        return ModuleResult(process.returncode, {}, stdout, stderr)
    try:
        result = json.loads(stdout)
    except ValueError as error:
        raise ModuleBroken(f"ended with {process.returncode} and no JSON\n{stdout}\n{stderr}") from error
    return ModuleResult(process.returncode, result, stdout, stderr)


def run_module(
    name: str,
    params: Mapping[str, Any],
    *,
    check: bool = False,
    diff: bool = False,
    python: str | os.PathLike[str] | None = None,
    env: Mapping[str, str | None] | None = None,
    timeout: float = 120,
    kill_at: int | None = None,
    kill_at_change: tuple[Path, int] | None = None,
    kill_at_command: tuple[int, int | None] | None = None,
    place: Path = ROOT,
) -> ModuleResult:
    """Run a module and wait for it.

    name: without namespace.
    python: another interpreter, for example the fixture ``old_python``.
    env: changes of the environment; None takes a variable away.
    timeout: in seconds.
    kill_at: the module kills itself (SIGKILL) just before it passes its action boundary of this number. There is one
        before each action and one after it: 0 is before the first action, 1 after it, 2 before the second.
    place: where the collection lies, when the interpreter is another user's; see ``for_other_users``.
    kill_at_change: the same just before its change of this number to what lies below the directory, the first one being 0.
    kill_at_command: the same just before the command of this number that changes the database, the first one being 0; with a
        second number it is the process of that number that is killed.
    """
    process = start_module(
        *(name, params),
        check=check,
        diff=diff,
        python=python,
        env=env,
        kill_at=kill_at,
        kill_at_change=kill_at_change,
        kill_at_command=kill_at_command,
        place=place,
    )
    return finish_module(process, timeout)


_EMPTY = """\
from ansible.module_utils import basic
basic._ANSIBLE_ARGS = b'{"ANSIBLE_MODULE_ARGS": {}}'
if hasattr(basic, "_ANSIBLE_PROFILE"):
    basic._ANSIBLE_PROFILE = "legacy"
basic.AnsibleModule(argument_spec={}).exit_json()
"""


def run_empty_module(env: Mapping[str, str | None] | None = None) -> None:
    """Run a module that does nothing and has nothing of ours: what every module costs. For env see ``run_module``."""
    subprocess.run(
        [sys.executable, "-c", _EMPTY], env=module_environment(env), stdout=subprocess.DEVNULL, check=True, cwd="/"
    )


def run_measured(
    name: str,
    params: Mapping[str, Any],
    directory: Path,
    timeout: float = 120,
    env: Mapping[str, str | None] | None = None,
) -> tuple[ModuleResult, int]:
    """Run a module; also gives the most memory that its process has had at a time, in bytes.

    directory: for a file with that number.
    """
    path = directory / f"memory-{name}"
    result = run_module(name, params, env={**(env or {}), "MINIECOM_TEST_MEMORY": str(path)}, timeout=timeout)
    return result, int(path.read_text())
