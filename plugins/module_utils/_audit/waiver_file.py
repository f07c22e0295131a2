# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was waived on a host: a file in its state directory.

It lies on the host because fingerprints are keyed there, one host's id means nothing on another, and because a waiver must hold
whoever runs the next audit from wherever: a controller's disk may not last, and its checkout may be anybody's. What is to hold on
many hosts, by globs, and to be reviewed, belongs into the inventory: the option waivers.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from typing import Any, Dict, Iterable, Iterator, List, Mapping

from .._core.atomic_file import write_atomic
from .._core.errors import MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass
from .._core.private_dir import private_directory
from .._core.state_dir import state_error
from .._core.waiver import Waiver, parse_last_day, parse_waivers

FILE_VERSION = 1
_LARGEST = 8 << 20
_MEND = (
    'Correct it: {"version": 1, "waivers": [{"finding": ID, "reason": "why", "expires": "2027-03-31"}]}. Or move it away, and waive '
    "anew what may stand."
)


@dataclass(frozen=True)
class FiledWaiver:
    """One waiver of the file.

    Attributes:
        finding: id of the finding; a glob's entry has none.
        fingerprint: its whole fingerprint, "" where a person wrote the entry.
        audit: the module that found it, "" for any.
        rule, target, severity: of the finding; without an id rule and target are globs.
        by: who waived it; since: when, as `format_utc` writes it.
        expires: the last day, as in 2027-03-31.
    """

    finding: str
    reason: str
    expires: str
    fingerprint: str = ""
    audit: str = ""
    rule: str = ""
    target: str = ""
    severity: str = ""
    by: str = ""
    since: str = ""

    @property
    def last_day(self) -> date:
        return parse_last_day(self.expires, self.name)

    @property
    def name(self) -> str:
        return self.finding or " ".join(part for part in (self.rule, self.target) if part)

    @property
    def waiver(self) -> Waiver:
        """What of it the judgement of findings needs.

        Raises:
            MaintenanceError: it names nothing, gives no reason, or its date is none.
        """
        if self.finding or self.fingerprint:
            label = "%s (%s)" % (self.finding, self.target) if self.target else self.finding
            [waiver] = parse_waivers(
                [{"fingerprint": self.fingerprint or self.finding, "reason": self.reason, "expires": self.expires}]
            )
            # The command writes both; a person rarely has the whole fingerprint.
            known = bool(self.finding and self.fingerprint)
            return Waiver(waiver.reason, waiver.expires, waiver.fingerprint, label=label, was_known=known)
        return parse_waivers([asdict(self)])[0]

    def as_dict(self) -> Dict[str, str]:
        return {name: value for name, value in asdict(self).items() if value}


def waiver_path(state_dir: str) -> str:
    return os.path.join(state_dir, "waivers.json")


def read_waiver_file(state_dir: str) -> List[FiledWaiver]:
    """The waivers of a host, none where there is no file.

    Raises:
        MaintenanceError: it cannot be read or understood. What it covers is not guessed at.
    """
    path = waiver_path(state_dir)
    try:
        text = _regular_text(path)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise from_os_error(
            "cannot read the waivers",
            error,
            target=path,
            forbidden="Run as the owner of the state directory, usually root (become: true).",
            otherwise="Look at what lies there: a regular file of JSON belongs there.",
        ) from error
    except UnicodeDecodeError as error:
        raise _not_understood(path, "it is no text in UTF-8") from error
    try:
        found = json.loads(text)
    except ValueError as error:
        raise _not_understood(path, str(error)) from error
    except RecursionError as error:
        raise _not_understood(path, "it is nested too deeply") from error
    if not isinstance(found, Mapping) or not isinstance(found.get("waivers"), list):
        raise _not_understood(path, 'it has no list "waivers"')
    if found.get("version") != FILE_VERSION:
        raise _not_understood(path, "its version is not %d" % FILE_VERSION)
    return [_entry(path, number, item) for number, item in enumerate(found["waivers"], 1)]


def _regular_text(path: str) -> str:
    """The text of a regular file. A pipe that lies there keeps nobody waiting.

    Raises:
        OSError: as the system reports it, or it is no regular file.
        UnicodeDecodeError: it is no text.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as handle:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", path)
        data = handle.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise OSError(errno.EFBIG, "it is too large for a file of waivers", path)
    return data.decode("utf-8")


def _entry(path: str, number: int, item: Any) -> FiledWaiver:
    if not isinstance(item, Mapping):
        raise _not_understood(path, "waiver %d is no object" % number)
    unknown = sorted(set(map(str, item)) - set(FiledWaiver.__dataclass_fields__))
    if unknown:
        raise _not_understood(path, "waiver %d has the unknown key %s" % (number, ", ".join(unknown)))
    wrong = sorted(str(key) for key, value in item.items() if not isinstance(value, str))
    if wrong:
        raise _not_understood(path, "in waiver %d, %s is no text" % (number, ", ".join(wrong)))
    entry = FiledWaiver(**{"finding": "", "reason": "", "expires": "", **item})
    try:
        entry.waiver  # noqa: B018 - says what is wrong with it
    except MaintenanceError as error:
        raise _not_understood(path, "waiver %d: %s" % (number, str(error).rstrip("."))) from error
    return entry


def _not_understood(path: str, why: str) -> MaintenanceError:
    return MaintenanceError("the file of waivers cannot be understood: %s" % why, target=path, next_step=_MEND)


def audit_waivers(filed: Iterable[FiledWaiver], audit: str) -> List[Waiver]:
    """Those that concern one audit. Pure."""
    return [entry.waiver for entry in filed if entry.audit in ("", audit)]


@contextmanager
def waivers_locked(state_dir: str) -> Iterator[None]:
    """Keep other writers of the file out. The lock is on the directory itself and goes with the process.

    Raises:
        MaintenanceError: the state directory cannot be made or opened.
    """
    try:
        private_directory(state_dir)
        descriptor = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise state_error("cannot open the state directory", state_dir, error) from error
    try:
        # Held for as long as one small file takes to be written.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_waiver_file(state_dir: str, waivers: Iterable[FiledWaiver]) -> None:
    """Put the whole file in its place in one step.

    Raises:
        MaintenanceError: it cannot be written.
    """
    path = waiver_path(state_dir)
    content = {"version": FILE_VERSION, "waivers": [entry.as_dict() for entry in waivers]}
    try:
        write_atomic(path, (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode(), 0o600)
    except OSError as error:
        raise state_error("cannot write the waivers", path, error) from error
