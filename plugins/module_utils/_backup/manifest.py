# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The manifest inside a backup: what was written, counted from the bytes as they were written."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import asdict, field
from typing import Any, Dict, List, Mapping, Optional, Sequence

from .._core.late_dataclass import dataclass
from .._core.units import counted

FORMAT = 1
# What our backups say of themselves, in the manifest and in the head of the dump.
TOOL = "miniecom.maintenance"
MAX_BYTES = 64 * 1024 * 1024
# What restores the database of a backup in full, in the directory that it was unpacked to.
_RESTORE = "mongorestore --archive=%s/mongo.archive.gz --gzip --drop --bypassDocumentValidation"


@dataclass(frozen=True)
class CollectionRecord:
    """One collection as written.

    Attributes:
        data: where its documents stand; differs from the name for time-series collections.
        documents, bytes: of its raw documents.
        sha256: over all raw documents in the order of the dump.
        indexes: their names.
        invalid: how many of the documents did not pass the collection's validator on the server that was read.
    """

    name: str
    type: str
    data: str
    documents: int
    bytes: int
    sha256: str
    indexes: Sequence[str] = ()
    invalid: int = 0


@dataclass(frozen=True)
class ComponentRecord:
    """One directory or file beside the database.

    Attributes:
        kind: directory or file.
        files: how many regular files.
        sha256: over one line for each entry (its own SHA-256, path and size).
        source: where it was read from.
    """

    name: str
    kind: str
    files: int
    bytes: int
    sha256: str
    source: str = ""


@dataclass(frozen=True)
class OplogRecord:
    """The oplog of the dump's time.

    Attributes:
        start, end: of which time its entries are, as mongorestore takes a moment: seconds, colon, number.
        entries, bytes, sha256: as of a collection.
    """

    start: str
    end: str
    entries: int
    bytes: int
    sha256: str


# Its name among the collections found in a backup: no collection has that one.
OPLOG = ""


@dataclass
class Manifest:
    """What a backup holds. Times are UTC timestamps.

    Attributes:
        missing: entries that were not there, with source and reason.
        lacking: what entries lack of the files that the database names, by their name.
        oplog: None where the dump has none.
    """

    name: str
    started: str
    database: str
    finished: str = ""
    address: str = ""
    server_version: str = ""
    topology: str = ""
    consistency: str = "none"
    consistency_note: str = ""
    compression: str = ""
    tool: str = ""
    collections: List[CollectionRecord] = field(default_factory=list)
    components: List[ComponentRecord] = field(default_factory=list)
    missing: List[Dict[str, str]] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)
    lacking: Dict[str, str] = field(default_factory=dict)
    oplog: Optional[OplogRecord] = None
    format: int = FORMAT

    def to_json(self) -> bytes:
        values = asdict(self)
        if self.oplog is None:
            del values["oplog"]  # which versions before it take for a manifest that is not theirs
        return (json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode(
            "utf-8", "surrogateescape"
        )

    @property
    def documents(self) -> int:
        return sum(entry.documents for entry in self.collections)

    @property
    def invalid_documents(self) -> int:
        return sum(entry.invalid for entry in self.collections)

    @property
    def bytes_documents(self) -> int:
        return sum(entry.bytes for entry in self.collections)

    @property
    def bytes_files(self) -> int:
        return sum(entry.bytes for entry in self.components)


def restore_command(path: str) -> str:
    """What unpacks a backup in the current directory and restores its database, all documents included. Pure.

    Args:
        path: of the archive; one that ends in .enc is decrypted, and openssl asks for the passphrase.
    """
    unpack = "tar xzf %s" % shlex.quote(path)
    if path.endswith(".enc"):
        unpack = "openssl enc -d -aes-256-cbc -pbkdf2 -in %s | tar xzf -" % shlex.quote(path)
    return "%s && %s" % (unpack, _RESTORE % os.path.basename(path).partition(".")[0])


def lost_without_bypass(documents: int, collections: Sequence[str], path: str) -> str:
    """What to say of documents that do not pass their collection's validator. Pure.

    Args:
        collections: those that they are in, as far as that is known.
        path: of the archive.
    """
    where = " in " + ", ".join(collections) if collections else ""
    return (
        "%s%s %s not pass the validator of %s. The shop's restore.sh, which runs mongorestore without"
        " --bypassDocumentValidation, would lose %s. %s with: %s"
        % (
            counted(documents, "document"),
            where,
            *(
                ("does", "its collection", "it", "It comes back")
                if documents == 1
                else ("do", "their collection", "them", "They come back")
            ),
            restore_command(path),
        )
    )


def parse_manifest(data: bytes) -> Optional[Manifest]:
    """The manifest in data; None when it is not one of ours (the shop's own backups have another kind)."""
    try:
        values: Dict[str, Any] = json.loads(data.decode("utf-8", "surrogateescape"))
        if values.pop("format") != FORMAT:
            return None
        values["collections"] = [CollectionRecord(**entry) for entry in values["collections"]]
        values["components"] = [ComponentRecord(**entry) for entry in values["components"]]
        if values.get("oplog"):
            values["oplog"] = OplogRecord(**values["oplog"])
        return Manifest(**values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


@dataclass(frozen=True)
class FoundCollection:
    """What was found of one collection or component when the backup was read back, or restored.

    Attributes:
        sha256: "" where another checksum over the same bytes has been compared.
    """

    count: int
    bytes: int
    sha256: str


def differences(
    manifest: Manifest,
    collections: Optional[Mapping[str, FoundCollection]],
    components: Optional[Mapping[str, FoundCollection]],
) -> List[str]:
    """What differs between a manifest and what was found; an empty list when nothing does. Pure.

    Args:
        collections: by the name under which the documents stand, and the oplog as OPLOG; None leaves them out.
        components: by name; None leaves them out.
    """
    found: List[str] = []
    if collections is not None:
        wanted = {
            entry.data: FoundCollection(entry.documents, entry.bytes, entry.sha256)
            for entry in manifest.collections
            if entry.type != "view"
        }
        if manifest.oplog is not None:
            wanted[OPLOG] = FoundCollection(manifest.oplog.entries, manifest.oplog.bytes, manifest.oplog.sha256)
        found += _compare("collection", "documents", wanted, collections)
    if components is not None:
        wanted = {entry.name: FoundCollection(entry.files, entry.bytes, entry.sha256) for entry in manifest.components}
        found += _compare("component", "files", wanted, components)
    return found


def _compare(
    kind: str, unit: str, wanted: Mapping[str, FoundCollection], found: Mapping[str, FoundCollection]
) -> List[str]:
    lines = []
    for name in sorted(set(wanted) | set(found)):
        expected, actual = wanted.get(name), found.get(name)
        name = name or "of the oplog"
        if expected is None:
            lines.append("%s %s is not in the manifest" % (kind, name))
        elif actual is None:
            lines.append("%s %s is missing" % (kind, name))
        elif expected.count != actual.count:
            lines.append("%s %s has %d %s instead of %d" % (kind, name, actual.count, unit, expected.count))
        elif expected.bytes != actual.bytes:
            lines.append("%s %s has %d bytes instead of %d" % (kind, name, actual.bytes, expected.bytes))
        elif actual.sha256 and actual.sha256 != expected.sha256:
            lines.append("%s %s has other content than was written" % (kind, name))
    return lines
