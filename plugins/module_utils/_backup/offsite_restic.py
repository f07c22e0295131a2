# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""restic as the way to a second place: a repository that is encrypted and holds each piece of data once.

Archive and note are a snapshot each, of one file that is read from a pipe. The note's snapshot says in its tags what a list
of copies needs, since each call of restic derives the repository's key anew. Only snapshots of these kinds are ever forgotten.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import quote, unquote

from .._core.clock import parse_utc
from .._core.errors import MaintenanceError
from .catalogue import parse_name
from .offsite_copies import (
    OffsiteCopy,
    OffsiteLeftover,
    OffsiteListing,
    OffsiteNote,
    note_name,
    noted_archive,
    parse_note,
)
from .offsite_place import READ_BACK, SecondPlace

TAG = "miniecom.maintenance"
_ARCHIVE, _NOTE = "archive", "note"
CHECKED = "read back from the repository, SHA-256 compared"
CHECKED_BY_RESTIC = "stored by restic under the SHA-256 of its pieces; not read back"


def note_tags(copy: OffsiteCopy, archive: str) -> List[str]:
    """What a note's snapshot is tagged with. restic separates tags by commas, so values are quoted. Pure.

    Args:
        archive: the snapshot that was compared: an interrupted call may have left another one of the same name.
    """
    values = {
        "archive": archive,
        "size": str(copy.size),
        "sha256": copy.sha256,
        "copied": copy.copied,
        "checked": copy.checked,
        "started": copy.started,
        "database": copy.database,
        "parts": "+".join(copy.parts),
        "tags": "+".join(quote(tag, safe="") for tag in copy.tags),
        "lacking": "yes" if copy.lacking else "no",
        "host": copy.host,
        "adopted": "+".join(copy.adopted),
    }
    return [TAG, _NOTE, *("%s=%s" % (key, quote(value, safe=":+ -")) for key, value in values.items())]


def parse_snapshots(entries: Sequence[Mapping[str, Any]]) -> OffsiteListing:
    """The copies in a list of snapshots; those that are none of ours are passed over. Pure."""
    found = OffsiteListing()
    archives: Dict[str, List[Mapping[str, Any]]] = {}
    notes: Dict[str, List[Tuple[str, OffsiteCopy]]] = {}
    for entry in sorted(entries, key=lambda entry: str(entry.get("id"))):
        tags, paths, name = entry.get("tags") or [], entry.get("paths") or [], ""
        if TAG in tags and len(paths) == 1:
            name = str(paths[0]).lstrip("/")
        # Under its host's name and what tells it from another of that name: two hosts may share a repository.
        key = _key(str(entry.get("hostname")), _host_in(tags), name)
        if _ARCHIVE in tags and parse_name(name):
            archives.setdefault(key, []).append(entry)
        elif _NOTE in tags:
            noted = _copy_of(entry, name)
            if noted is not None:
                notes.setdefault(_key(noted[1].owner, noted[1].host, noted[1].name), []).append(noted)
    for key, candidates in notes.items():
        _sort_out(candidates, archives.pop(key, []), found)
    for key, entries_of in archives.items():
        found.leftovers += [OffsiteLeftover(str(entry["id"]), key.rpartition("/")[2]) for entry in entries_of]
    found.copies.sort(key=lambda copy: (copy.date, copy.name))
    return found


def _key(owner: str, host: str, name: str) -> str:
    return "%s/%s/%s" % (owner, host, name)


def _host_in(tags: Sequence[Any]) -> str:
    return next((str(tag).partition("=")[2] for tag in tags if str(tag).startswith("host=")), "")


def _sort_out(
    notes: Sequence[Tuple[str, OffsiteCopy]], archives: Sequence[Mapping[str, Any]], found: OffsiteListing
) -> None:
    """Of the snapshots of one name: the copy is the archive that a note was written about; what is beside it is left over."""
    chosen: Tuple[str, ...] = ()
    for wanted, copy in notes:
        archive = next((str(entry["id"]) for entry in archives if _is(entry, wanted)), "")
        if archive and not chosen:
            chosen = (archive, *copy.ids)
            found.copies.append(replace(copy, ids=chosen))
    if not chosen:
        found.broken.append((notes[-1][1], "its archive is gone"))
        chosen = notes[-1][1].ids
    name = notes[0][1].name
    everything = [*(str(entry["id"]) for entry in archives), *(copy.ids[0] for _wanted, copy in notes)]
    found.leftovers += [OffsiteLeftover(identity, name) for identity in everything if identity not in chosen]


def _is(entry: Mapping[str, Any], wanted: str) -> bool:
    """Whether a snapshot is the one of this id, or restic's own copy of it in another repository; old releases tell a part."""
    return len(wanted) >= 8 and any(str(entry.get(key) or "").startswith(wanted) for key in ("id", "original"))


def _copy_of(entry: Mapping[str, Any], name: str) -> Optional[Tuple[str, OffsiteCopy]]:
    """What a note's snapshot says, after the archive's id that it is about."""
    values = {}
    for tag in entry["tags"]:
        key, _equals, value = str(tag).partition("=")
        values[key] = unquote(value)
    archive = noted_archive(name)
    try:
        if not archive:
            return None
        parse_utc(values["started"])
        return values["archive"], OffsiteCopy(
            archive,
            int(values["size"]),
            values["sha256"],
            str(entry["hostname"]),
            values["copied"],
            values["checked"],
            values["started"],
            values["database"],
            tuple(part for part in values["parts"].split("+") if part),
            tuple(unquote(tag) for tag in values["tags"].split("+") if tag),
            values["lacking"] == "yes",
            (str(entry["id"]),),
            values.get("host", ""),
            tuple(host for host in values.get("adopted", "").split("+") if host),
        )
    except (KeyError, ValueError):
        return None


class ResticPlace(SecondPlace):
    """A repository of restic's."""

    method = "restic"
    package = "restic"
    encrypts = True

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self._sent: Dict[str, str] = {}

    def environment(self) -> Dict[str, str]:
        # An address may hold a password: it goes through the environment as well.
        given = {"RESTIC_REPOSITORY": self.target, "RESTIC_PROGRESS_FPS": "0"}
        if self.options.password_file:
            given["RESTIC_PASSWORD_FILE"] = self.options.password_file
        return {**super().environment(), **given}

    def _argv(self, *arguments: str) -> List[str]:
        limit = ["--limit-upload=%d" % max(1, self.options.bandwidth // 1024)] if self.options.bandwidth else []
        return ["restic", "--quiet", *limit, *arguments]

    def list(self) -> OffsiteListing:
        try:
            done = self.call(self._argv("snapshots", "--json", "--no-lock", "--tag", TAG), "cannot list the copies")
        except MaintenanceError as error:
            if self.options.create and ("repository at" in str(error) or "unable to open config file" in str(error)):
                return OffsiteListing(exists=False)
            raise
        try:
            entries = json.loads(done.stdout or b"[]") or []
        except ValueError as error:
            raise MaintenanceError("restic's answer is no JSON", target=self.target) from error
        return self._mine(parse_snapshots(entries), entries)

    def _mine(self, found: OffsiteListing, entries: Sequence[Mapping[str, Any]]) -> OffsiteListing:
        """Leftovers of this host alone: another one may be sending at this moment."""
        hosts = ("", self.options.host())
        named = [entry for entry in entries if entry.get("hostname") == self.options.owner]
        mine = {str(entry["id"]) for entry in named if _host_in(entry.get("tags") or []) in hosts}
        found.leftovers = [leftover for leftover in found.leftovers if leftover.id in mine]
        return found

    def prepare(self) -> None:
        self.call(self._argv("init"), "cannot make the repository")

    def send(self, path: str, name: str) -> None:
        with open(path, "rb") as handle:
            argv = self._backup(name, [TAG, _ARCHIVE, "host=" + self.options.host()], name)
            done = self.call(argv, "cannot send the backup", stdin=handle, target="%s at %s" % (name, self.target))
        self._sent[name] = self._snapshot(done.stdout)

    def _backup(self, name: str, tags: Sequence[str], archive: str) -> List[str]:
        parsed = parse_name(archive)
        moment = parsed[0] if parsed else datetime.now()
        argv = self._argv("--json", "backup", "--stdin", "--stdin-filename", name, "--host", self.options.owner)
        argv += ["--time", moment.strftime("%Y-%m-%d %H:%M:%S")]
        for tag in tags:
            argv += ["--tag", tag]
        return argv

    def _snapshot(self, data: bytes) -> str:
        """The snapshot that a backup has made, as its last message names it."""
        for line in reversed(data.splitlines()):
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if message.get("message_type") == "summary" and message.get("snapshot_id"):
                return str(message["snapshot_id"])
        raise MaintenanceError("restic did not say which snapshot it has made", target=self.target)

    def check(self, path: str, name: str, sha256: str) -> str:
        if self.options.verify != READ_BACK:
            return CHECKED_BY_RESTIC
        if self._sha256(self._sent[name], name) != sha256:
            raise self.differs(name, "it has another SHA-256 there")
        return CHECKED

    def _sha256(self, snapshot: str, name: str) -> str:
        return self.piped_sha256(self._argv("--no-lock", "dump", snapshot, "/" + name), "cannot read the copy back")

    def discard(self, name: str) -> None:
        self._forget(self._sent.pop(name, ""))

    def same_as(self, path: str, name: str, sha256: str) -> bool:
        # A snapshot without a note is a leftover here, never a file of somebody else's.
        raise MaintenanceError("restic knows no archive without a note", target=name)

    def write_note(self, note: OffsiteNote) -> None:
        name = note_name(note.copy.name)
        tags = note_tags(note.copy, self._sent[note.copy.name])
        self.call(self._backup(name, tags, note.copy.name), "cannot note the copy", data=note.to_json())

    def read_note(self, copy: OffsiteCopy) -> Optional[OffsiteNote]:
        argv = self._argv("--no-lock", "dump", copy.ids[-1], "/" + note_name(copy.name))
        return parse_note(copy.name, self.call(argv, "cannot read the note").stdout)

    def fetch(self, copy: OffsiteCopy, path: str) -> None:
        with open(path, "wb") as handle:
            argv = self._argv("--no-lock", "dump", copy.ids[0], "/" + copy.name)
            self.piped_sha256(argv, "cannot fetch the backup", handle)

    def remove(self, copy: OffsiteCopy) -> None:
        for snapshot in copy.ids:
            self._forget(snapshot)

    def remove_leftover(self, leftover: OffsiteLeftover) -> None:
        self._forget(leftover.id)

    def _forget(self, snapshot: str) -> None:
        """Forget one snapshot by its id; without one restic would go by its policy."""
        if snapshot:
            # Only removes locks of processes that are gone.
            self.call(self._argv("unlock"), "cannot remove stale locks")
            self.call(self._argv("forget", snapshot), "cannot remove the copy")

    def finish(self) -> None:
        self.call(self._argv("prune"), "cannot give back the space of removed copies")
