# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A second place for backups, as plain data: which copies are there, and what stands beside each.

A copy is an archive under its own name and a note (`.NAME.offsite.json`) that is written when the archive has been compared
at the place. An archive without a note is no copy yet, and nothing without a note of ours is ever removed.
"""

from __future__ import annotations

import json
import re
from dataclasses import field, replace
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from .._core.clock import parse_utc
from .._core.late_dataclass import dataclass
from .catalogue import CLOCK_SKEW_SECONDS, VerificationRecord, parse_name, parse_verification

NOTE_SUFFIX = ".offsite.json"
NOTE_FORMAT = 1
_NOTE = re.compile(r"^\.(?P<name>[0-9]{8}_[0-9]{6}\.tar\.gz(?:\.enc)?)" + re.escape(NOTE_SUFFIX) + "$")


@dataclass(frozen=True)
class OffsiteCopy:
    """One finished copy, as its note tells.

    Attributes:
        size: of the archive in bytes.
        sha256: of the archive file.
        owner: which host put it there.
        copied: when, as a UTC timestamp.
        checked: how it was compared at the place.
        started: when the backup was begun, as a UTC timestamp.
        parts: what is in it beside the database, and lacks nothing.
        tags: what the backup was tagged with.
        lacking: files of the shop are known to be missing in it.
        ids: the names that the place itself has given to archive and note, where it does so.
        host: what tells that host from another one of its name; "" in notes that do not tell.
        adopted: those whose copies that host had taken for its own by then.
    """

    name: str
    size: int
    sha256: str
    owner: str
    copied: str
    checked: str
    started: str
    database: str = ""
    parts: Tuple[str, ...] = ()
    tags: Tuple[str, ...] = ()
    lacking: bool = False
    ids: Tuple[str, ...] = ()
    host: str = ""
    adopted: Tuple[str, ...] = ()

    @property
    def date(self) -> datetime:
        """The local time in its name."""
        parsed = parse_name(self.name)
        if parsed is None:
            raise ValueError(self.name)
        return parsed[0]

    def age_seconds(self, now: datetime) -> float:
        return (now - parse_utc(self.started)).total_seconds()

    def is_as(self, other: OffsiteCopy) -> bool:
        """Whether the same archive stands there, whoever noted it when."""
        return (self.name, self.size, self.sha256) == (other.name, other.size, other.sha256)


@dataclass(frozen=True)
class OffsiteNote:
    """A note in full: the copy, and the record of its verification, which comes back with it."""

    copy: OffsiteCopy
    record: VerificationRecord

    def to_json(self) -> bytes:
        copy = self.copy
        values: Dict[str, Any] = {
            "format": NOTE_FORMAT,
            "name": copy.name,
            "size": copy.size,
            "sha256": copy.sha256,
            "owner": copy.owner,
            "host": copy.host,
            "adopted": list(copy.adopted),
            "copied": copy.copied,
            "checked": copy.checked,
            "record": json.loads(self.record.to_json()),
        }
        return (json.dumps(values, sort_keys=True, indent=1) + "\n").encode()


def copy_of(name: str, record: VerificationRecord, owner: str, copied: str, checked: str) -> OffsiteCopy:
    """The copy of a verified backup."""
    parts = frozenset(record.components) - {*record.empty, *dict(record.lacking)}
    return OffsiteCopy(
        name,
        record.size,
        record.sha256,
        owner,
        copied,
        checked,
        record.started,
        record.database,
        tuple(sorted(parts)),
        record.tags,
        bool(record.lacking),
    )


def parse_note(name: str, data: bytes) -> Optional[OffsiteNote]:
    """The note of the archive of this name; None when it is none."""
    try:
        values = json.loads(data)
        record = parse_verification(json.dumps(values["record"]).encode())
        if values["format"] != NOTE_FORMAT or values["name"] != name or record is None or parse_name(name) is None:
            return None
        if (int(values["size"]), str(values["sha256"])) != (record.size, record.sha256):
            return None
        parse_utc(str(values["copied"]))
        copy = copy_of(name, record, str(values["owner"]), str(values["copied"]), str(values["checked"]))
        adopted = tuple(str(one) for one in values.get("adopted", ()))
        return OffsiteNote(replace(copy, host=str(values.get("host", "")), adopted=adopted), record)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def note_name(archive: str) -> str:
    return "." + archive + NOTE_SUFFIX


def noted_archive(name: str) -> str:
    """The archive that a note of this name is about; "" when it is not the name of a note."""
    match = _NOTE.match(name)
    return match.group("name") if match and parse_name(match.group("name")) else ""


@dataclass(frozen=True)
class OffsiteLeftover:
    """What an interrupted transfer of ours left at the place, under the name that the place has for it. size in bytes.

    Attributes:
        archive: the backup that it was to become.
    """

    id: str
    archive: str
    size: int = 0


@dataclass
class OffsiteListing:
    """What a place holds. Copies are in the order of their dates, oldest first.

    Attributes:
        exists: the place is there; False only where it may be made.
        broken: noted copies whose archive is gone or has another size, with the reason.
        unnoted: archives without a note of ours, by name, with their size; never touched.
    """

    exists: bool = True
    copies: List[OffsiteCopy] = field(default_factory=list)
    broken: List[Tuple[OffsiteCopy, str]] = field(default_factory=list)
    unnoted: Dict[str, int] = field(default_factory=dict)
    leftovers: List[OffsiteLeftover] = field(default_factory=list)

    def find(self, name: str) -> Optional[OffsiteCopy]:
        return next((copy for copy in self.copies if copy.name == name), None)

    def of(self, owner: str = "", database: str = "", hosts: Sequence[str] = ()) -> OffsiteListing:
        """The same with only the copies of one host and one database; "" is any.

        Args:
            hosts: where several hosts have that name, those that are meant; empty for any. A note that does not tell fits.
        """

        def fits(copy: OffsiteCopy) -> bool:
            if hosts and copy.host and copy.host not in hosts:
                return False
            return (not owner or copy.owner == owner) and (not database or copy.database in ("", database))

        return replace(
            self,
            copies=[copy for copy in self.copies if fits(copy)],
            broken=[(copy, reason) for copy, reason in self.broken if fits(copy)],
        )

    def newest(self, now: datetime) -> Optional[OffsiteCopy]:
        """The newest copy that is not dated in the future."""
        past = [copy for copy in self.copies if copy.age_seconds(now) >= -CLOCK_SKEW_SECONDS]
        return max(past, key=lambda copy: (copy.started, copy.name), default=None)


def series_of(copies: Sequence[OffsiteCopy]) -> List[Set[str]]:
    """The hosts that put copies there, one set each, with those that it took the place of. Pure."""
    found: List[Set[str]] = []
    for copy in copies:
        if not copy.host:
            continue
        one = {copy.host, *copy.adopted}
        for other in [other for other in found if other & one]:
            found.remove(other)
            one |= other
        found.append(one)
    return found


def listing_of(files: Mapping[str, int], notes: Mapping[str, OffsiteNote]) -> OffsiteListing:
    """A listing of a place that holds files.

    Args:
        files: names and sizes at the top of the place.
        notes: the notes among them that could be read, by the archive they are about.
    """
    found = OffsiteListing()
    for name, note in notes.items():
        size = files.get(name)
        if size is None:
            found.broken.append((note.copy, "its archive is gone"))
        elif size != note.copy.size:
            found.broken.append((note.copy, "its archive has %d bytes instead of %d" % (size, note.copy.size)))
        else:
            found.copies.append(note.copy)
    found.unnoted = {name: size for name, size in files.items() if parse_name(name) and name not in notes}
    found.copies.sort(key=lambda copy: (copy.date, copy.name))
    return found
