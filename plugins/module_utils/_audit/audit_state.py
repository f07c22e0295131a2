# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What audits keep on a host: the key of their fingerprints, a baseline for each, and the SARIF log where one is wanted.

It is read before anything is judged, and written when all is done: what lies between is pure.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from typing import Any, Dict, Mapping, Optional, Tuple

from .._core.atomic_file import write_atomic
from .._core.errors import MaintenanceError, from_os_error
from .._core.finding import SEVERITIES, key_id
from .._core.judgement import Baseline, BaselineEntry, Remembered
from .._core.late_dataclass import dataclass
from .._core.private_dir import private_directory
from .._core.state_dir import state_error
from .._core.waiver import Waiver
from .waiver_file import audit_waivers, read_waiver_file

KEY_BYTES = 32
BASELINE_VERSION = 1
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Memory:
    """What a host remembers of earlier audits.

    Attributes:
        key: the key of the host's fingerprints.
        key_is_new: there is none on the host yet; this one was made up a moment ago.
        key_path: where it lies.
        remembered: what earlier audits of this kind left, empty when there is nothing.
        baseline_path: where it lies.
        other_key: there is a baseline, but of another key: it says nothing.
        sarif_digest: SHA-256 of the SARIF log as it stands, "" without one.
        waivers: what was waived on this host for this audit.
    """

    key: bytes
    key_is_new: bool
    key_path: str
    remembered: Remembered
    baseline_path: str
    other_key: bool = False
    sarif_digest: str = ""
    waivers: Tuple[Waiver, ...] = ()

    @property
    def baseline(self) -> Mapping[str, Mapping[str, BaselineEntry]]:
        return self.remembered.baseline

    def __repr__(self) -> str:
        return "Memory(%s)" % self.baseline_path


@dataclass(frozen=True)
class Writes:
    """What is to be on the host for the next audit and for the user.

    Attributes:
        sarif: the content of the SARIF log, None when it stands as it is.
    """

    memory: Memory
    after: Remembered
    sarif_path: str = ""
    sarif: Optional[bytes] = None


def sarif_digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class AuditState:
    """Key and baselines of one host, in the state directory.

    Args:
        state_dir: the state directory.
    """

    def __init__(self, state_dir: str) -> None:
        self.state_dir = state_dir
        self.key_path = os.path.join(state_dir, "audit.key")

    def baseline_path(self, audit: str) -> str:
        return os.path.join(self.state_dir, "baselines", audit + ".json")

    def read(self, audit: str, sarif_path: str = "") -> Memory:
        """What the host remembers. Nothing is written: a key that does not exist yet is made up in memory.

        Args:
            audit: name of the module.
            sarif_path: where its SARIF log lies, "" when none is wanted.

        Raises:
            MaintenanceError: key, baseline or waivers cannot be read or understood.
        """
        key = self._read_key()
        fresh = key or secrets.token_bytes(KEY_BYTES)
        path = self.baseline_path(audit)
        remembered, other_key = read_baseline(path, fresh)
        return Memory(
            fresh,
            not key,
            self.key_path,
            remembered,
            path,
            other_key,
            _file_digest(sarif_path) if sarif_path else "",
            tuple(audit_waivers(read_waiver_file(self.state_dir), audit)),
        )

    def write(self, writes: Writes) -> None:
        """Put everything on the host, each file in one step, and only where it differs from what is there.

        Raises:
            MaintenanceError: it cannot be written.
        """
        memory = writes.memory
        if memory.key_is_new:
            self._write_key(memory.key)
        self._write_baseline(memory.baseline_path, memory.key, writes.after)
        if writes.sarif is not None:
            write_document(writes.sarif_path, writes.sarif, "the SARIF log")

    def _read_key(self) -> bytes:
        try:
            with open(self.key_path, "rb") as handle:
                key = handle.read(KEY_BYTES + 1)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise state_error("cannot read the key of the audits", self.key_path, error) from error
        if len(key) != KEY_BYTES:
            raise MaintenanceError(
                "the key of the audits is damaged",
                target=self.key_path,
                next_step="Remove it: the next audit makes another and begins its baseline anew.",
            )
        return key

    def _write_key(self, key: bytes) -> None:
        temporary = "%s.%s" % (self.key_path, secrets.token_hex(4))
        try:
            private_directory(self.state_dir)
            write_atomic(temporary, key, 0o600)
            try:
                os.link(temporary, self.key_path)  # link() never replaces
            except FileExistsError:
                pass
            finally:
                os.unlink(temporary)
        except OSError as error:
            raise state_error("cannot make the key of the audits", self.key_path, error) from error
        if self._read_key() != key:
            raise MaintenanceError(
                "another audit has made the key of this host at the same moment",
                target=self.key_path,
                next_step="Run this one again: its baseline was not written.",
            )

    def _write_baseline(self, path: str, key: bytes, after: Remembered) -> None:
        content: Dict[str, Any] = {
            "version": BASELINE_VERSION,
            "key": key_id(key),
            "scopes": _written(after.baseline),
            "open": _written(after.open),
        }
        if after.rules is not None:
            content["rules"] = sorted(after.rules)
        text = json.dumps(content, indent=1, sort_keys=True)
        data = (text + "\n").encode("utf-8")
        try:
            private_directory(self.state_dir, "baselines")
            if not file_holds(path, data):
                write_atomic(path, data, 0o600)
        except OSError as error:
            raise state_error("cannot write the baseline", path, error) from error


def write_document(path: str, data: bytes, what: str) -> None:
    """Put a file that the user has asked for in its place in one step.

    Raises:
        MaintenanceError: it cannot be written.
    """
    try:
        write_atomic(path, data)
    except OSError as error:
        raise from_os_error(
            "cannot write %s" % what,
            error,
            target=path,
            next_step="Its directory must exist and be writable by uid %d." % os.geteuid(),
        ) from error


def _written(entries_by_scope: Mapping[str, Mapping[str, BaselineEntry]]) -> Dict[str, Any]:
    return {
        scope: {mark: entry.as_dict() for mark, entry in entries.items()} for scope, entries in entries_by_scope.items()
    }


def _read(written: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Baseline:
    """The entries of each scope.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: they are none.
    """
    found = {
        str(scope): {str(mark): BaselineEntry(**entry) for mark, entry in entries.items()}
        for scope, entries in written.items()
    }
    if any(entry.severity not in SEVERITIES for entries in found.values() for entry in entries.values()):
        raise ValueError("severity")
    return found


def read_baseline(path: str, key: bytes) -> Tuple[Remembered, bool]:
    """What was remembered, empty when there is nothing, and whether there is something of another key.

    Raises:
        MaintenanceError: it cannot be read or understood.
    """
    try:
        with open(path, encoding="utf-8") as handle:
            found = json.load(handle)
    except (FileNotFoundError, NotADirectoryError):
        return Remembered(), False
    except OSError as error:
        raise state_error("cannot read the baseline", path, error) from error
    except ValueError:
        found = {}
    try:
        if found["version"] != BASELINE_VERSION:
            raise ValueError("version")
        rules = found.get("rules")
        remembered = Remembered(
            _read(found["scopes"]),
            _read(found.get("open") or {}),
            None if rules is None else frozenset(str(rule) for rule in rules),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # Guessing here would turn known findings red, or new ones green.
        raise MaintenanceError(
            "the baseline cannot be understood",
            target=path,
            next_step="Restore it from a backup, or remove it: the next audit then sets a new one.",
        ) from error
    return (Remembered(), True) if found.get("key") != key_id(key) else (remembered, False)


def _file_digest(path: str) -> str:
    """SHA-256 of a regular file, "" where there is none or it cannot be read."""
    digest = hashlib.sha256()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as handle:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return ""
            for chunk in iter(lambda: handle.read(_CHUNK), b""):
                digest.update(chunk)
    except OSError:
        return ""
    return digest.hexdigest()


def file_holds(path: str, data: bytes) -> bool:
    """Whether a regular file holds exactly these bytes."""
    try:
        with open(path, "rb") as handle:
            return handle.read(len(data) + 1) == data
    except OSError:
        return False
