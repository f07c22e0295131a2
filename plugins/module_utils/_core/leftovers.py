# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a killed run may leave behind, noted before it is made, so that the next run can clear it away.

One small file each: a note that is gone is a leftover that is gone. Clearing away is composed of domains and stands in
`_operations`.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, field
from typing import Any, Dict, List, Mapping, Optional, Type, Union

from .atomic_file import write_atomic
from .clock import format_utc, utc_now
from .late_dataclass import dataclass
from .lease import boot_id
from .processes import is_running, read_process
from .redaction import SECRETS
from .state_dir import StateDirectory, state_error


@dataclass(frozen=True)
class ProcessId:
    """A process that cannot be mistaken for a later one of its number. start_time is in ticks since the boot."""

    pid: int = 0
    start_time: int = 0

    def runs(self) -> bool:
        return bool(self.pid) and is_running(self.pid, self.start_time)


@dataclass(frozen=True)
class PathLeft:
    """A file or a directory of work."""

    path: str
    purpose: str = ""


@dataclass(frozen=True)
class ProcessLeft:
    """A server that works in the directory made for it, or one process."""

    directory: str = ""
    pid: int = 0
    start_time: int = 0
    purpose: str = ""


@dataclass(frozen=True)
class ContainerLeft:
    """A container of the engine at docker_host."""

    name: str
    docker_host: str = ""
    purpose: str = ""


@dataclass(frozen=True)
class LockLeft:
    """A lock on a database server against writes.

    Attributes:
        tls_files: where the host has the files that the connection string names.
        keeper: the process that holds it and releases it when its time is over.
    """

    address: str
    env_file: str = ""
    env_from: str = ""
    docker_host: str = ""
    keeper: ProcessId = ProcessId()
    tls_files: Mapping[str, str] = field(default_factory=dict)
    purpose: str = ""


@dataclass(frozen=True)
class RestoreLeft:
    """A restore into the application's own database, half way.

    Attributes:
        journal: path of the file that says how far it was.
        tls_files: where the host has the files that the connection string names.
    """

    journal: str
    address: str
    database: str
    env_file: str = ""
    env_from: str = ""
    docker_host: str = ""
    tls_files: Mapping[str, str] = field(default_factory=dict)
    purpose: str = ""


@dataclass(frozen=True)
class IndexesLeft:
    """Indexes that a collection may have lost while they were built anew.

    Attributes:
        journal: path of the file with their definitions.
        database: of the collection, which the file names.
        tls_files: where the host has the files that the connection string names.
    """

    journal: str
    address: str
    database: str
    env_file: str = ""
    env_from: str = ""
    docker_host: str = ""
    tls_files: Mapping[str, str] = field(default_factory=dict)
    purpose: str = ""


@dataclass(frozen=True)
class UpdateLeft:
    """An update of a compose project, half way; its journal lies in the state directory."""

    project: str
    purpose: str = ""


@dataclass(frozen=True)
class NpmLeft:
    """New dependencies of an npm project, half in place; what was there before is noted in the state directory under this id."""

    undo_id: str
    purpose: str = ""


@dataclass(frozen=True)
class UnknownLeft:
    """A note that this version does not understand."""

    kind: str
    purpose: str = ""


Left = Union[PathLeft, ProcessLeft, ContainerLeft, LockLeft, RestoreLeft, IndexesLeft, UpdateLeft, NpmLeft, UnknownLeft]
_KINDS: Dict[str, Type[Any]] = {
    "path": PathLeft,
    "process": ProcessLeft,
    "container": ContainerLeft,
    "fsync_lock": LockLeft,
    "restore": RestoreLeft,
    "indexes": IndexesLeft,
    "update": UpdateLeft,
    "npm": NpmLeft,
}


@dataclass(frozen=True)
class Leftover:
    """One note.

    Attributes:
        left: what may be left behind.
        run_id: of the run that wrote it, None for a call on its own.
        at: when it was written, in UTC.
        boot: id of the boot in which it was written.
        process: the module that wrote it.
    """

    id: str
    left: Left
    run_id: Optional[str] = None
    at: str = ""
    boot: str = ""
    process: ProcessId = ProcessId()

    def is_abandoned(self, boot: str) -> bool:
        """Whether the module that wrote this is gone, so that nobody else will clear it away.

        A module called without a run id holds no lock: only its process tells that it still works.

        Args:
            boot: id of the present boot.
        """
        return self.is_of_another_boot(boot) or not self.process.runs()

    def is_of_another_boot(self, boot: str) -> bool:
        return bool(boot and self.boot and self.boot != boot)

    def __str__(self) -> str:
        return describe_left(self.left)


def target_of(left: Left) -> str:
    """The object, as a person would call it."""
    if isinstance(left, PathLeft):
        return left.path
    if isinstance(left, ProcessLeft):
        return left.directory or str(left.pid)
    if isinstance(left, ContainerLeft):
        return left.name
    if isinstance(left, LockLeft):
        return left.address
    if isinstance(left, (RestoreLeft, IndexesLeft)):
        return "%s on %s" % (left.database, left.address)
    if isinstance(left, UpdateLeft):
        return left.project
    if isinstance(left, NpmLeft):
        return left.undo_id
    return left.kind.replace("_", " ")


_WORDS = {
    PathLeft: "path",
    ProcessLeft: "process",
    ContainerLeft: "container",
    LockLeft: "fsync lock",
    RestoreLeft: "restore of",
    IndexesLeft: "rebuild of indexes in",
    UpdateLeft: "update of",
    NpmLeft: "new dependencies",
}


def describe_left(left: Left) -> str:
    """What is left, for people: "path /var/..."."""
    return ("%s %s" % (_WORDS.get(type(left), ""), target_of(left))).strip()


def _process_id(value: Any) -> ProcessId:
    found = value if isinstance(value, Mapping) else {}
    return ProcessId(int(found.get("pid") or 0), int(found.get("start_time") or 0))


def _parse(note: Mapping[str, Any]) -> Leftover:
    facts = note.get("facts") or {}
    kind = _KINDS.get(str(note.get("kind")))
    left: Left = UnknownLeft(str(note.get("kind")), str(facts.get("purpose") or ""))
    if kind is not None:
        values: Dict[str, Any] = {}
        for name in kind.__dataclass_fields__:
            value = facts.get(name)
            if name == "keeper":
                values[name] = _process_id(value)
            elif name in ("pid", "start_time"):
                values[name] = int(value or 0)
            elif name == "tls_files":
                values[name] = {str(path): str(place) for path, place in (value or {}).items()}
            else:
                values[name] = str(value or "")
        left = kind(**values)
    run_id = note.get("run_id")
    return Leftover(
        str(note["id"]),
        left,
        str(run_id) if run_id else None,
        str(note.get("at") or ""),
        str(note.get("boot") or ""),
        _process_id(note.get("process")),
    )


class Leftovers:
    """The notes of a host.

    Args:
        run_id: of the run that this call belongs to.
        enabled: False in check mode, which writes nothing.
    """

    def __init__(self, state: StateDirectory, run_id: Optional[str], enabled: bool) -> None:
        self._state = state
        self._run_id = run_id
        self._enabled = enabled

    def path_of(self, leftover: str) -> str:
        """Where the note of this id lies."""
        return os.path.join(self._state.leftovers_dir, leftover + ".json")

    def register(self, left: Left) -> str:
        """Note a leftover before making it; returns its id."""
        leftover = secrets.token_hex(8)
        if self._enabled:
            self._state.prepare()
            kind = next(name for name, made in _KINDS.items() if made is type(left))
            process = read_process(os.getpid())
            note = {
                "id": leftover,
                "kind": kind,
                "run_id": self._run_id,
                "facts": SECRETS.clean(asdict(left)),
                "at": format_utc(utc_now()),
                "boot": boot_id(),
                "process": asdict(ProcessId(process.pid, process.start_time) if process else ProcessId()),
            }
            path = self.path_of(leftover)
            try:
                write_atomic(path, json.dumps(note, sort_keys=True).encode(), 0o600)
            except OSError as error:
                raise state_error("cannot note what may be left behind", path, error) from error
        return leftover

    def done(self, leftover: str) -> None:
        """The leftover of this id is gone."""
        try:
            os.unlink(self.path_of(leftover))
        except (FileNotFoundError, NotADirectoryError):
            pass

    def found(self) -> List[Leftover]:
        """Every note that stands, whoever wrote it; what is no note is passed over."""
        notes: List[Leftover] = []
        try:
            names = sorted(os.listdir(self._state.leftovers_dir))
        except OSError:
            return notes
        for name in names:
            if not name.endswith(".json") or name.startswith("."):
                continue
            try:
                with open(os.path.join(self._state.leftovers_dir, name), encoding="utf-8") as handle:
                    notes.append(_parse(json.load(handle)))
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue
        return notes

    def abandoned(self) -> List[Leftover]:
        """The notes of modules that are gone."""
        boot = boot_id()
        return [leftover for leftover in self.found() if leftover.is_abandoned(boot)]
