# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A copy of an npm project in which other versions are tried: by a user without rights, without lifecycle scripts, without secrets.

What is fetched is a stranger's code. It is only unpacked where there is a network, and only runs where there is none and where
nothing can be written but the copy. The environment file stays behind: tests must not find the shop's database.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from typing import Callable, List, Mapping, Optional, Sequence, Tuple

from .._core.errors import InsufficientSpace, MaintenanceError, from_os_error
from .._core.isolation import isolated
from .._core.redaction import SECRETS
from .._core.units import format_size
from .external_program import Completed, run_program
from .npm import npm_environment
from .npm_lock import read_object
from .sensitive_names import name_class

PREFIX = "miniecom-npm-"
SETTINGS = ".npmrc"
PACKAGE = "package.json"
# Data of the shop, and what is made anew.
LEFT_OUT = ("node_modules", ".git", ".hg", ".svn", ".miniecom-npm", "uploads", "storage", "logs", "backups", "coverage")
MOST_BYTES = 1 << 30
_MODULES = "node_modules"
_TAIL_LINES, _TAIL_CHARACTERS = 12, 1200
_PR_SET_PDEATHSIG = 1


def unprivileged(name: str) -> Optional[pwd.struct_passwd]:
    """The user as whom npm runs; None where this process is nobody in particular itself.

    Raises:
        MaintenanceError: there is no such user, or it is root.
    """
    if os.geteuid() != 0:
        return None
    try:
        found = pwd.getpwnam(name)
    except KeyError as error:
        raise MaintenanceError(
            "there is no such user", target=name, next_step="Name another in the option user."
        ) from error
    if found.pw_uid == 0:
        raise MaintenanceError(
            "what is fetched must not be run by root", target=name, next_step="Name another in the option user."
        )
    return found


class NpmCopy:
    """The copy, in a directory made for it, which close() removes.

    Args:
        npm: the program.
        source: the project.
        root: the directory to make.
        exclude: names of files and directories that are left out as well.
        user: None for whoever runs this.
    """

    def __init__(
        self, npm: str, source: str, root: str, exclude: Sequence[str], user: Optional[pwd.struct_passwd]
    ) -> None:
        self._npm, self._source, self._user = npm, source, user
        self._left_out = frozenset((*LEFT_OUT, *exclude))
        self.root = root
        self.project = os.path.join(root, "project")
        self._home, self._temporary = os.path.join(root, "home"), os.path.join(root, "tmp")

    def make(self) -> None:
        """Raises MaintenanceError: it cannot be made."""
        size = sum(entry[2] for entry in self._entries())
        if size > MOST_BYTES:
            raise MaintenanceError(
                "the project has %s of files, more than a copy is made of" % format_size(size),
                target=self._source,
                next_step="Name what is no code in exclude. Nothing was changed.",
            )
        try:
            free = shutil.disk_usage(os.path.dirname(self.root)).free
            if size > free:
                raise InsufficientSpace(
                    "there is no room for a copy of %s" % format_size(size), target=os.path.dirname(self.root)
                )
            os.mkdir(self.root, 0o700)
            for directory in (self.project, self._home, self._temporary):
                os.mkdir(directory, 0o700)
            for kind, path, _size in self._entries():
                self._copy(kind, path)
            # Where the registry is, and who may fetch from it.
            self._settings(os.path.join(self._source, SETTINGS), self.project)
            self._settings(os.path.join(os.path.expanduser("~"), SETTINGS), self._home)
            self._give_away(self.root)
        except OSError as error:
            raise from_os_error("cannot make a copy of the project", error) from error

    def close(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def _entries(self) -> List[Tuple[str, str, int]]:
        """Directories, files and links, each by its path below the project, with bytes."""
        found: List[Tuple[str, str, int]] = []
        waiting = [""]
        while waiting:
            below = waiting.pop()
            try:
                with os.scandir(os.path.join(self._source, below)) as entries:
                    for entry in sorted(entries, key=lambda item: item.name):
                        path = os.path.join(below, entry.name)
                        if entry.name in self._left_out:
                            continue
                        if entry.is_symlink():
                            found.append(("link", path, 0))
                        elif entry.is_dir():
                            found.append(("directory", path, 0))
                            waiting.append(path)
                        elif entry.is_file() and entry.name != SETTINGS and not name_class(entry.name):
                            found.append(("file", path, entry.stat().st_size))
            except OSError as error:
                raise from_os_error("cannot read the project", error) from error
        return found

    def _copy(self, kind: str, path: str) -> None:
        source, target = os.path.join(self._source, path), os.path.join(self.project, path)
        if kind == "directory":
            os.mkdir(target, 0o755)
        elif kind == "link":
            os.symlink(os.readlink(source), target)
        else:
            descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as reader, open(target, "xb") as writer:
                shutil.copyfileobj(reader, writer)
                os.fchmod(writer.fileno(), 0o755 if os.fstat(descriptor).st_mode & 0o111 else 0o644)

    @staticmethod
    def _settings(source: str, directory: str) -> None:
        if os.path.isfile(source):
            target = os.path.join(directory, SETTINGS)
            shutil.copyfile(source, target)
            os.chmod(target, 0o600)

    def _give_away(self, top: str) -> None:
        if self._user is None:
            return
        for directory, _names, files in os.walk(top):
            for path in (directory, *(os.path.join(directory, name) for name in files)):
                os.chown(path, self._user.pw_uid, self._user.pw_gid, follow_symlinks=False)

    def read(self, name: str) -> bytes:
        """Raises MaintenanceError: a file of the copy is not there any more."""
        path = os.path.join(self.project, name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as handle:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise MaintenanceError("this is no file any more", target=path)
                return handle.read()
        except OSError as error:
            raise from_os_error("cannot read it", error, target=path) from error

    def write(self, name: str, data: bytes) -> None:
        """Raises MaintenanceError: it cannot be written."""
        path = os.path.join(self.project, name)
        try:
            if os.path.lexists(path):
                os.unlink(path)
            with open(path, "xb") as handle:
                handle.write(data)
            if self._user is not None:
                os.chown(path, self._user.pw_uid, self._user.pw_gid, follow_symlinks=False)
        except OSError as error:
            raise from_os_error("cannot write it", error, target=path) from error

    # -- npm in it -----------------------------------------------------------------------------------------------

    def ask(self, arguments: Sequence[str], timeout: float) -> str:
        """What npm prints that reaches the registry and runs nothing.

        Raises:
            MaintenanceError: it cannot be started, or takes too long.
        """
        done = self._fetch(arguments, timeout)
        if done.status < 0:
            return "npm was ended by signal %d" % -done.status
        text = done.output.decode("utf-8", "replace")
        return text if text.strip() else done.errors.decode("utf-8", "replace")

    def install(self, timeout: float) -> None:
        """Install exactly what the copy's lock file says, without any script.

        Raises:
            MaintenanceError: that does not work.
        """
        done = self._fetch(["ci", "--ignore-scripts", "--no-audit"], timeout)
        if done.status:
            raise self._failed("the dependencies cannot be installed", done)

    def run_script(self, name: str, timeout: float) -> None:
        """Run a script of package.json where it reaches no network and can write to nothing but the copy.

        Raises:
            MaintenanceError: it fails, or cannot be kept from doing harm here.
        """
        if os.geteuid() != 0:
            raise MaintenanceError(
                "only root can keep a script from the network and from the shop's files",
                target=self._source,
                next_step="Set become: true. Nothing was changed.",
            )
        for directory in (self.project, self._home):
            # Nothing that runs from now on needs to know who may fetch.
            path = os.path.join(directory, SETTINGS)
            if os.path.lexists(path):
                os.unlink(path)
        environment = npm_environment({"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}, self.root)
        environment.update(HOME=self._home, TMPDIR=self._temporary)
        if name != "build":
            # Else some run on and wait for files to change; a build would take warnings for errors.
            environment["CI"] = "true"
        enter = isolated(self.root, (self._source,))
        done = self._run(["run", name], environment, timeout, self._prepare(enter))
        if done.status:
            raise self._failed("the project's %s fails with the new versions" % name, done)

    def _fetch(self, arguments: Sequence[str], timeout: float) -> Completed:
        environment = npm_environment(os.environ, self.root)
        environment.update(HOME=self._home, TMPDIR=self._temporary)
        return self._run(arguments, environment, timeout, self._prepare(None))

    def _run(
        self, arguments: Sequence[str], environment: Mapping[str, str], timeout: float, prepare: Callable[[], None]
    ) -> Completed:
        try:
            return run_program(
                "npm " + " ".join(arguments[:2]),
                [self._npm, *arguments],
                "/",
                environment,
                timeout,
                self._source,
                "Nothing was changed. Check that the npm registry answers, or raise the time limit.",
                prepare,
            )
        except subprocess.SubprocessError as error:
            raise MaintenanceError(
                "npm cannot be kept from the rights of root, from the network and from the shop's files here",
                target=self.root,
                next_step="Nothing was changed. The option user must be able to enter work_dir, and the host to make namespaces.",
            ) from error

    def _prepare(self, enter: Optional[Callable[[], None]]) -> Callable[[], None]:
        """What the child does before it becomes npm."""
        user, project = self._user, self.project
        libc = ctypes.CDLL(None, use_errno=True)

        def prepare() -> None:  # pragma: no cover - runs in the child
            if enter is not None:
                enter()
            if user is not None:
                os.setgroups([])
                os.setgid(user.pw_gid)
                os.setuid(user.pw_uid)
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            os.chdir(project)

        return prepare

    def _failed(self, what: str, done: Completed) -> MaintenanceError:
        text = (done.output + b"\n" + done.errors).decode("utf-8", "replace")
        code = "signal %d" % -done.status if done.status < 0 else done.status
        return MaintenanceError(
            what,
            target=self._source,
            code=code,
            next_step="Nothing was changed. Its last lines: %s" % (_tail(text) or "none"),
            details={"output": _tail(text)},
        )

    # -- what packages make when they are installed -----------------------------------------------------------------

    def adopt_built(self, before: bytes, after: bytes) -> List[str]:
        """Take what packages have made by their scripts from the project, where their version stays; returns the others.

        Args:
            before, after: the lock files.
        """
        old, new = (read_object(data, self._source).get("packages") for data in (before, after))
        unbuilt = []
        for place, about in sorted((new or {}).items()):
            if not about.get("hasInstallScript") or _MODULES not in place or about.get("optional"):
                continue
            live = os.path.join(self._source, place)
            same = ((old or {}).get(place) or {}).get("version") == about.get("version")
            if not same or not os.path.isdir(live) or os.path.realpath(live) != live:
                unbuilt.append("%s %s" % (place.rpartition(_MODULES + "/")[2], about.get("version")))
                continue
            self._adopt(live, os.path.join(self.project, place))
        return unbuilt

    def _adopt(self, live: str, target: str) -> None:
        try:
            nested = os.path.join(target, _MODULES)
            kept = os.path.join(self.root, "nested")
            if os.path.isdir(nested):
                os.rename(nested, kept)
            shutil.rmtree(target)
            shutil.copytree(live, target, symlinks=True, ignore=shutil.ignore_patterns(_MODULES))
            if os.path.isdir(kept):
                os.rename(kept, nested)
            self._give_away(target)
        except OSError as error:
            raise from_os_error("cannot copy what a package has made", error, target=live) from error


def copy_path(work_dir: str) -> str:
    """A name for a copy that nothing has yet."""
    return os.path.join(work_dir, PREFIX + secrets.token_hex(8))


def _tail(text: str) -> str:
    lines: List[str] = [line.strip() for line in text.splitlines() if line.strip()]
    return SECRETS.clean_text(" | ".join(lines[-_TAIL_LINES:]))[-_TAIL_CHARACTERS:]
