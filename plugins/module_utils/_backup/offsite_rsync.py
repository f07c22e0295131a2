# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""rsync as the way to a second place: over ssh, to an rsync daemon, or to another disk.

Nothing but rsync is asked for at the place, so that accounts which allow nothing else (rrsync, storage boxes) will do. rsync
itself writes beside the final name and renames, keeps what an interrupted transfer has brought, and reads a file there from
its first byte to its last to compare it (`--checksum`).
"""

from __future__ import annotations

import os
import re
import shlex
from typing import Dict, List, Optional, Sequence

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
from .offsite_place import SecondPlace, sorted_notes

# A line of --list-only: mode, size, date, time, name.
_LINE = re.compile(r"^(?P<kind>[-dlcbps])\S{9}\s+(?P<size>[0-9][0-9,.]*)\s+\S+ \S+ (?P<name>.+)$")
_MISSING = 23  # "partial transfer due to error": what was asked for is not there, among others
_IO_TIMEOUT = 120
CHECKED = "read back at the place by rsync, checksums compared"


def parse_files(text: str) -> Dict[str, int]:
    """Names and sizes of the regular files that rsync lists; links and directories are none. Pure."""
    found = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match and match.group("kind") == "-":
            found[match.group("name")] = int(re.sub(r"[,.]", "", match.group("size")))
    return found


def is_on_this_host(target: str) -> bool:
    """Whether rsync takes this for a path of this host. Pure."""
    head = target.partition("/")[0]
    return ":" not in head


def is_daemon(target: str) -> bool:
    """Whether rsync speaks to a daemon there by itself; an address of IPv6 has two colons in brackets. Pure."""
    head = re.sub(r"\[[^]/]*\]", "", target).partition("/")[0]
    return target.startswith("rsync://") or "::" in head


class RsyncPlace(SecondPlace):
    """A directory that rsync reaches."""

    method = "rsync"
    package = "rsync"
    settles = False

    @property
    def _partial(self) -> str:
        return ".miniecom-partial-" + self._mark()

    def _shell(self) -> str:
        options = self.options
        words = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=20"]
        words += ["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"]
        if options.known_hosts:
            words += ["-o", "UserKnownHostsFile=" + options.known_hosts]
        if options.ssh_key:
            words += ["-i", options.ssh_key, "-o", "IdentitiesOnly=yes"]
        if options.ssh_port:
            words += ["-p", str(options.ssh_port)]
        return " ".join(shlex.quote(word) for word in words)

    def _argv(self, *arguments: str) -> List[str]:
        # What a daemon greets with would be taken for an answer.
        argv = ["rsync", "--protect-args", "--no-motd", "--timeout=%d" % _IO_TIMEOUT]
        if self.options.bandwidth:
            argv.append("--bwlimit=%d" % max(1, self.options.bandwidth // 1024))
        if not is_on_this_host(self.target) and not is_daemon(self.target):
            argv += ["-e", self._shell()]
        return [*argv, *arguments]

    def _at(self, name: str) -> str:
        separator = "" if self.target.endswith("/") else "/"
        return self.target + separator + name

    def list(self) -> OffsiteListing:
        inside = "--include=/%s/*" % self._partial
        argv = self._argv("--list-only", "--no-human-readable", "-r", inside, "--exclude=/*/*", self._at(""))
        try:
            done = self.call(argv, "cannot list the copies")
        except MaintenanceError as error:
            if error.code == _MISSING and self.options.create and "No such file" in str(error):
                return OffsiteListing(exists=False)
            raise
        files = parse_files(done.stdout.decode("utf-8", "surrogateescape"))
        found = listing_of({name: size for name, size in files.items() if "/" not in name}, self._notes(files))
        for name, size in files.items():
            directory, _slash, archive = name.partition("/")
            if directory == self._partial and parse_name(archive):
                found.leftovers.append(OffsiteLeftover(name, archive, size))
        return found

    def _notes(self, files: Dict[str, int]) -> Dict[str, OffsiteNote]:
        names = [name for name in files if noted_archive(name)]
        if not names:
            return {}
        directory = self._empty("notes")
        argv = self._argv(
            "-d", "--include=/.*" + NOTE_SUFFIX, "--exclude=*", "--max-size=1m", self._at(""), directory + "/"
        )
        self.call(argv, "cannot read the notes of the copies")
        found = {}
        for name, data in sorted_notes(
            directory, [name for name in names if os.path.isfile(os.path.join(directory, name))]
        ):
            note = parse_note(noted_archive(name), data)
            if note is not None:
                found[note.copy.name] = note
        return found

    def _empty(self, name: str) -> str:
        directory = os.path.join(self.options.temporary(), "offsite-" + name)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        for entry in os.listdir(directory):
            os.unlink(os.path.join(directory, entry))
        return directory

    def prepare(self) -> None:
        # With the source's own directory there is nothing to send: the last part of the path is made.
        self.call(self._argv("-d", "--chmod=D700", self._empty("made") + "/", self._at("")), "cannot make the place")

    def send(self, path: str, name: str) -> None:
        self._send(path, name, "cannot send the backup")

    def _send(self, path: str, name: str, what: str) -> None:
        argv = self._argv(
            "--times",
            "--perms",
            "--chmod=F600",
            "--fsync",
            # Size and time alone do not tell a damaged file from a sound one.
            "--ignore-times",
            "--partial-dir=" + self._partial,
            path,
            self._at(name),
        )
        self.call(argv, what, target="%s at %s" % (name, self.target))

    def check(self, path: str, name: str, sha256: str) -> str:
        if not self.same_as(path, name, sha256):
            raise self.differs(name, "rsync finds another checksum there")
        return CHECKED

    def same_as(self, path: str, name: str, sha256: str) -> bool:
        argv = self._argv("--checksum", "--dry-run", "--itemize-changes", path, self._at(name))
        return not self.call(argv, "cannot compare the copy").stdout.strip()

    def discard(self, name: str) -> None:
        self._delete(name)

    def write_note(self, note: OffsiteNote) -> None:
        name = note_name(note.copy.name)
        path = os.path.join(self._empty("note"), name)
        with open(path, "wb") as handle:
            handle.write(note.to_json())
        self._send(path, name, "cannot note the copy")

    def read_note(self, copy: OffsiteCopy) -> Optional[OffsiteNote]:
        return self._notes({note_name(copy.name): 0}).get(copy.name)

    def fetch(self, copy: OffsiteCopy, path: str) -> None:
        # Into the file itself: what it holds already is not sent again.
        argv = self._argv("--inplace", "--no-whole-file", "--ignore-times", self._at(copy.name), path)
        self.call(argv, "cannot fetch the backup", target="%s at %s" % (copy.name, self.target))

    def remove(self, copy: OffsiteCopy) -> None:
        self._delete(copy.name)
        self._delete(note_name(copy.name))

    def remove_leftover(self, leftover: OffsiteLeftover) -> None:
        directory, _slash, name = leftover.id.rpartition("/")
        self._delete(name, directory)

    def _delete(self, name: str, directory: str = "") -> None:
        """Have rsync delete one file: it deletes what its empty source lacks, and everything else is excluded."""
        rules: Sequence[str] = ("--include=/" + name, "--exclude=*")
        place = self._at(directory + "/") if directory else self._at("")
        argv = self._argv("-d", "--delete", "--max-delete=1", *rules, self._empty("made") + "/", place)
        self.call(argv, "cannot remove the copy", target="%s at %s" % (name, self.target))
