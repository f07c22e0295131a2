# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a backup will hold the files that the database in it names. It composes the files with MongoDB.

A directory that is not there, is empty, or holds other files only is most often the wrong one, or a volume that is not
mounted: the archive would be sound and verified, and the shop restored from it would have no images.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Dict, Mapping, Tuple

from .._backup.planning import Included
from .._core.errors import MaintenanceError
from .._mongo.client import Connection
from .._mongo.named_files import LIMIT, NAMINGS, Naming, named_files
from .backup_sources import IncludedEntry, Sources

# Of a container the engine is asked for each file by a request of its own.
LIMIT_IN_CONTAINER = 50


def compare_with_database(
    sources: Sources, connection: Connection, database: str, entry: IncludedEntry, seen: Included
) -> Tuple[Included, str]:
    """What an entry is, with what it lacks of the files that the database names; and why that is not known, if it is not.

    Reads no more names than it takes to find one file that is there. The entry's own files are not read.
    """
    if seen.problem and not seen.optional:
        return seen, ""  # the backup will be refused for it
    try:
        return replace(seen, lacking=_lacking(sources, connection, database, entry, seen)), ""
    except MaintenanceError as error:
        return seen, "whether %s holds what the database names is not known: %s" % (entry.name, error)


def lacking_of_archive(connection: Connection, database: str, files: Mapping[str, int]) -> Dict[str, str]:
    """What an archive lacks as a whole: the parts of which it holds no file while its own database names some.

    Args:
        connection: to a server that the database was restored to.
        database: "" where nobody knows which one is the shop's.
        files: how many files the archive holds of each part.
    """
    lacking: Dict[str, str] = {}
    for name, naming in NAMINGS.items():
        if files.get(name) or not database:
            continue
        with suppress(MaintenanceError):  # says nothing about the archive
            first = next(named_files(connection, database, naming), None)
            if first is not None:
                lacking[name] = _named_but("empty" if name in files else "not in the backup", naming, first)
    return lacking


def _named_but(what: str, naming: Naming, name: str) -> str:
    return "%s, though the database names files in it (%s, such as %s)" % (what, naming.field, name)


def _lacking(sources: Sources, connection: Connection, database: str, entry: IncludedEntry, seen: Included) -> str:
    configured = "not found, though %s says that it is there" % entry.configured_by if entry.configured_by else ""
    naming = NAMINGS.get(entry.name)
    if naming is None:
        return configured if seen.problem else ""
    limit = LIMIT_IN_CONTAINER if entry.container else LIMIT
    names = named_files(connection, database, naming, limit)
    if seen.problem or not sources.any_file(entry):
        first = next(names, None)
        if first is None:
            return configured if seen.problem else ""
        return _named_but("not found" if seen.problem else "empty", naming, first)
    last, looked_for = "", 0
    for name in names:
        if sources.holds(entry, name):
            return ""
        last, looked_for = last or name, looked_for + 1
    if not looked_for:
        return ""
    return "holds none of the %d files that the database names%s (%s, such as %s)" % (
        looked_for,
        " in its newest documents" if looked_for >= limit else "",
        naming.field,
        last,
    )
