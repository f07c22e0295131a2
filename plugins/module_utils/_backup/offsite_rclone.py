# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""rclone as the way to a second place: object stores, WebDAV, SFTP and all else that it knows.

An archive goes there under a name of its own, is read back and compared, and only then gets its name. A transfer that was
interrupted begins anew.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Optional

from .._core.errors import MaintenanceError
from .catalogue import parse_name
from .offsite_copies import (
    NOTE_SUFFIX,
    OffsiteCopy,
    OffsiteLeftover,
    OffsiteListing,
    OffsiteNote,
    listing_of,
    note_name,
    noted_archive,
    parse_note,
)
from .offsite_place import CHUNK_BYTES, READ_BACK, SecondPlace

# https://rclone.org/docs/#list-of-exit-codes: 3 directory not found, 4 file not found
_NO_DIRECTORY, _NO_FILE = 3, 4
# rclone tries a copy as often as it tries each of the copy's requests, and waits up to two seconds between them: with its own
# 10 a server that goes half way costs four minutes (measured: 1.60.1, WebDAV), with these three half a minute.
_PATIENCE = ("--retries=3", "--retries-sleep=5s", "--low-level-retries=3")
_SEPARATOR = b"\n}\n"
CHECKED = "read back from the place, SHA-256 compared"
CHECKED_BY_RCLONE = "size and checksum compared by rclone, as far as the place tells one; not read back"


class RclonePlace(SecondPlace):
    """A directory of a remote of rclone's."""

    method = "rclone"
    package = "rclone"

    def _argv(self, *arguments: str) -> List[str]:
        argv = ["rclone", "--contimeout=20s", "--timeout=2m", *_PATIENCE, "--stats=0"]
        if self.options.config_file:
            argv.append("--config=" + self.options.config_file)
        if self.options.bandwidth:
            argv.append("--bwlimit=%dB" % self.options.bandwidth)
        return [*argv, *arguments]

    def _at(self, name: str) -> str:
        separator = "" if self.target.endswith(("/", ":")) else "/"
        return self.target + separator + name

    @property
    def _suffix(self) -> str:
        return ".%s.miniecom-partial" % self._mark()

    def _partial(self, name: str) -> str:
        return "." + name + self._suffix

    def list(self) -> OffsiteListing:
        done = self.call(
            self._argv("lsjson", "--files-only", "--no-mimetype", "--no-modtime", self.target),
            "cannot list the copies",
            accept=(0, _NO_DIRECTORY) if self.options.create else (0,),
        )
        if done.returncode:
            return OffsiteListing(exists=False)
        files = {str(entry["Name"]): int(entry["Size"]) for entry in self._parsed(done.stdout)}
        found = listing_of(files, self._notes() if any(map(noted_archive, files)) else {})
        for name, size in files.items():
            archive = name[1 : -len(self._suffix)] if name.endswith(self._suffix) and name.startswith(".") else ""
            if parse_name(archive):
                found.leftovers.append(OffsiteLeftover(name, archive, size))
        return found

    def _parsed(self, data: bytes) -> Any:
        try:
            return json.loads(data)
        except ValueError as error:
            raise MaintenanceError("rclone's answer is no JSON", target=self.target) from error

    def _notes(self) -> Dict[str, OffsiteNote]:
        """All notes there, by one command: they come one after the other, each with a name in it."""
        argv = self._argv(
            "cat", "--max-depth=1", "--max-size=%d" % CHUNK_BYTES, "--include=/.*" + NOTE_SUFFIX, self.target
        )
        found = {}
        for text in self.call(argv, "cannot read the notes of the copies").stdout.split(_SEPARATOR):
            note = _note_in(text + _SEPARATOR)
            if note is not None:
                found[note.copy.name] = note
        return found

    def prepare(self) -> None:
        self.call(self._argv("mkdir", self.target), "cannot make the place")

    def send(self, path: str, name: str) -> None:
        argv = self._argv("copyto", "--ignore-times", path, self._at(self._partial(name)))
        self.call(argv, "cannot send the backup", target="%s at %s" % (name, self.target))

    def check(self, path: str, name: str, sha256: str) -> str:
        partial = self._partial(name)
        if self.options.verify == READ_BACK:
            if self._sha256(partial) != sha256:
                raise self.differs(name, "it has another SHA-256 there")
            return CHECKED
        sizes = {entry["Name"]: entry["Size"] for entry in self._entries(partial)}
        if sizes.get(partial) != os.stat(path).st_size:
            raise self.differs(name, "it has another size there")
        return CHECKED_BY_RCLONE

    def _entries(self, name: str) -> Any:
        argv = self._argv("lsjson", "--files-only", "--no-mimetype", "--no-modtime", self._at(name))
        return self._parsed(self.call(argv, "cannot look at the copy").stdout)

    def _sha256(self, name: str) -> str:
        return self.piped_sha256(self._argv("cat", self._at(name)), "cannot read the copy back")

    def settle(self, name: str) -> None:
        argv = self._argv("moveto", self._at(self._partial(name)), self._at(name))
        self.call(argv, "cannot give the copy its name", target="%s at %s" % (name, self.target))

    def same_as(self, path: str, name: str, sha256: str) -> bool:
        return self._sha256(name) == sha256

    def discard(self, name: str) -> None:
        self._delete(self._partial(name))

    def write_note(self, note: OffsiteNote) -> None:
        self.call(self._argv("rcat", self._at(note_name(note.copy.name))), "cannot note the copy", data=note.to_json())

    def read_note(self, copy: OffsiteCopy) -> Optional[OffsiteNote]:
        return _note_in(self.call(self._argv("cat", self._at(note_name(copy.name))), "cannot read the note").stdout)

    def fetch(self, copy: OffsiteCopy, path: str) -> None:
        with open(path, "wb") as handle:
            self.piped_sha256(self._argv("cat", self._at(copy.name)), "cannot fetch the backup", handle)

    def remove(self, copy: OffsiteCopy) -> None:
        self._delete(copy.name)
        self._delete(note_name(copy.name))

    def remove_leftover(self, leftover: OffsiteLeftover) -> None:
        self._delete(leftover.id)

    def _delete(self, name: str) -> None:
        accept = (0, _NO_DIRECTORY, _NO_FILE)
        argv = self._argv("deletefile", self._at(name))
        self.call(argv, "cannot remove the copy", accept=accept, target="%s at %s" % (name, self.target))


def _note_in(data: bytes) -> Optional[OffsiteNote]:
    try:
        name = str(json.loads(data)["name"])
    except (ValueError, KeyError, TypeError):
        return None
    return parse_note(name, data)
