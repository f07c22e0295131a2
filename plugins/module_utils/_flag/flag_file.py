# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flag file, for people and scripts, and our own note of who put maintenance up and how it was before.

The flag is one line, ``ISO8601|reason``, as the shop's own scripts write it. The note lies in the state directory.
"""

from __future__ import annotations

import errno
import json
import os
from dataclasses import asdict, field
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Mapping, Optional, Tuple

from .._core.atomic_file import discard_partial, partial_name, sync_directory, write_atomic
from .._core.clock import format_utc
from .._core.errors import MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass
from .._core.state_dir import state_error
from .._core.units import parse_duration
from .services import Service, service_of

NOTE_NAME = "maintenance.json"
# For the web server and for whoever may be asked why the shop is closed: it holds nothing else.
FLAG_MODE = 0o644
_LONGEST = 4096


@dataclass(frozen=True)
class Flag:
    """The flag file as found.

    Attributes:
        since: as written in it, "" when it does not say.
        line: its first line.
    """

    present: bool
    since: str = ""
    reason: str = ""
    line: str = ""


@dataclass(frozen=True)
class Note:
    """Who put maintenance up, and what is needed to take it down again.

    Attributes:
        expires: when it is to end, in UTC; "" for no end. expires_option: as it was asked for.
        on_expiry: lift or alert.
        application: env_file, address and database of the application's own setting, and `previous`, how that was before;
            empty when that layer was not put up.
        timer: name of the units that end it, "" when none was armed.
        around_run: id of the run around which it was put up: once that run is over or dead, it is nobody's any more.
        nginx: directory by which nginx was switched, "" when that layer was not put up.
        services: what ran and is stopped for it, in that order.
    """

    owner: str
    since: str
    reason: str
    path: str
    expires: str = ""
    expires_option: str = ""
    on_expiry: str = "alert"
    application: Dict[str, Any] = field(default_factory=dict)
    run_id: str = ""
    timer: str = ""
    around_run: str = ""
    nginx: str = ""
    services: Tuple[Service, ...] = ()

    def expired(self, now: datetime) -> bool:
        return bool(self.expires) and parse_moment(self.expires) <= now


def parse_moment(text: str) -> datetime:
    """A point in time of an ISO 8601 text; without a zone it is UTC.

    Raises:
        MaintenanceError: it is none.
    """
    plain = text.strip()
    if plain.endswith(("Z", "z")):
        plain = plain[:-1] + "+00:00"
    try:
        moment = datetime.fromisoformat(plain)
    except ValueError:
        raise MaintenanceError(
            "not a point in time",
            target=repr(text),
            next_step="Write it like 2026-11-24T05:00:00Z, or a duration like 2h.",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def parse_expires(text: str, now: datetime) -> datetime:
    """When maintenance is to end: a duration from now (``2h``, ``90m``) or a point in time.

    Raises:
        MaintenanceError: it is neither, or lies in the past.
    """
    try:
        moment = now + timedelta(seconds=parse_duration(text))
    except MaintenanceError:
        moment = parse_moment(text)
    except OverflowError:
        raise MaintenanceError(
            "that is too far away", target=repr(text), next_step="Leave expires out for no end."
        ) from None
    if moment <= now:
        raise MaintenanceError(
            "maintenance would have ended already", target=repr(text), next_step="Give a later expires."
        )
    return moment


def one_line(text: str) -> str:
    """A reason as it may stand in the flag file."""
    return " ".join(text.split())


def flag_line(since: str, reason: str) -> str:
    return "%s|%s" % (since, one_line(reason))


def parse_flag(text: str) -> Flag:
    line = text.splitlines()[0].strip() if text.strip() else ""
    since, separator, reason = line.partition("|")
    if not separator:
        # Somebody touched the file, or wrote a word into it: it still is a flag.
        return Flag(True, "", line, line)
    return Flag(True, since.strip(), reason.strip(), line)


def _error(what: str, path: str, error: OSError) -> MaintenanceError:
    return from_os_error(
        what,
        error,
        target=path,
        missing="Its directory does not exist: set path to ROOT/storage/.maintenance of the shop.",
        forbidden="Run as the owner of the directory or as root (become: true).",
    )


def read_flag(path: str) -> Flag:
    """Raises MaintenanceError: it cannot be read."""
    try:
        with open(path, "rb") as handle:
            return parse_flag(handle.read(_LONGEST).decode("utf-8", "replace"))
    except (FileNotFoundError, NotADirectoryError):
        return Flag(False)
    except OSError as error:
        raise _error("cannot read the maintenance flag", path, error) from error


def require_directory(path: str) -> None:
    """Raises MaintenanceError: the directory of the flag is not there, so that the flag could not be written."""
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise _error("cannot write the maintenance flag", path, FileNotFoundError(errno.ENOENT, ""))


def write_flag(path: str, line: str) -> None:
    """Raises MaintenanceError: it cannot be written."""
    try:
        write_atomic(path, (line + "\n").encode("utf-8"), FLAG_MODE)
    except OSError as error:
        raise _error("cannot write the maintenance flag", path, error) from error


def remove_file(path: str) -> bool:
    """Remove a flag or a note for good, and what a killed write of it has left; False when there was none.

    Raises:
        MaintenanceError: it cannot be removed.
    """
    try:
        discard_partial(path)
        os.unlink(path)
        sync_directory(os.path.dirname(path))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _error("cannot remove the file", path, error) from error
    return True


def discard_half_flag(path: str) -> None:
    """Remove what a killed write of the flag has left.

    Raises:
        MaintenanceError: it cannot be removed.
    """
    try:
        discard_partial(path)
    except OSError as error:
        raise _error("cannot remove the half-written flag", partial_name(path), error) from error


def note_path(state_dir: str) -> str:
    return os.path.join(state_dir, NOTE_NAME)


def read_note(state_dir: str) -> Optional[Note]:
    """Our note, None when there is none.

    Raises:
        MaintenanceError: it cannot be read, or makes no sense.
    """
    path = note_path(state_dir)
    try:
        with open(path, encoding="utf-8") as handle:
            found = json.load(handle)
        return make_note(found)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise state_error("cannot read the note of who put maintenance up", path, error) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        # It is written in one step: whoever broke it did so by hand, and what it says must not be guessed.
        raise MaintenanceError(
            "the note of who put maintenance up makes no sense",
            target=path,
            next_step="Move it away, then use force: true to take maintenance down.",
        ) from error


def make_note(found: Mapping[str, Any]) -> Note:
    texts = [key for key in Note.__dataclass_fields__ if key not in ("application", "services")]
    values: Dict[str, Any] = {key: str(found.get(key) or "") for key in texts}
    values["services"] = tuple(service_of(item) for item in found.get("services") or ())
    values["on_expiry"] = values["on_expiry"] or "alert"
    if values["expires"]:
        parse_moment(values["expires"])
    return Note(application=dict(found.get("application") or {}), **values)


def write_note(state_dir: str, note: Note) -> None:
    path = note_path(state_dir)
    try:
        os.makedirs(state_dir, mode=0o700, exist_ok=True)
        write_atomic(path, (json.dumps(asdict(note), indent=1, sort_keys=True) + "\n").encode("utf-8"), 0o600)
    except OSError as error:
        raise state_error(
            "cannot write the note of who puts maintenance up, so nothing was changed", path, error
        ) from error


def moment_text(moment: datetime) -> str:
    return format_utc(moment)
