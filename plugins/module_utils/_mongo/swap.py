# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Putting a proven set of collections in the place of the live one, and back. Pure.

The server renames one collection in one step and never several, so that a whole set can be caught half way. Where each
collection stands is told by its UUID, which a rename inside a database does not change: whatever a killed process has
left, the steps back to the old set follow from what the journal says and the server lists, and from nothing else.

The old set is the valid one until the journal says ``committed``; only then is anything of it dropped. Views hold no
documents and are defined anew. Time-series collections cannot be renamed (6.0.5 refuses, 6.0.27 lets only their buckets be
renamed): the documents of both sides stand beside, and the collection is made anew out of them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, field
from typing import Any, Dict, List, Mapping, Sequence, Tuple, Union

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass

PREFIX = "miniecom_restore."
COLLECTION, VIEW, TIMESERIES = "collection", "view", "timeseries"
# What a journal says of its set. Until it is being swapped in nothing of the shop's was touched.
STAGING, SWAPPING, COMMITTED, UNDONE = "staging", "swapping", "committed", "undone"


@dataclass(frozen=True)
class Side:
    """One collection, as it was or as it is to be.

    Attributes:
        kind: collection, view, timeseries, or "" where there is none.
        metadata: options and indexes as the head of an archive has them.
        uuid: of the collection in which its documents stand; "" of a view.
        documents, sha256: what it held when it was proven; "" of what nobody looked at.
    """

    kind: str = ""
    metadata: str = "{}"
    uuid: str = ""
    documents: int = 0
    sha256: str = ""


@dataclass(frozen=True)
class Swap:
    """One name, what stood under it, and what is to."""

    number: int
    name: str
    old: Side = Side()
    new: Side = Side()


@dataclass(frozen=True)
class Journal:
    """What is being swapped, written before it begins.

    Attributes:
        token: names of collections beside the live ones hold it.
    """

    token: str
    database: str
    phase: str = STAGING
    swaps: Tuple[Swap, ...] = ()
    files: Tuple[Mapping[str, Any], ...] = field(default=())

    def beside(self, swap: Swap, what: str) -> str:
        """The name of what stands beside the live collection: "new", "old", or "kept"."""
        return "%s%s.%s.%d" % (PREFIX, self.token, what, swap.number)

    @property
    def prefix(self) -> str:
        return "%s%s." % (PREFIX, self.token)


def journal_text(journal: Journal) -> str:
    return json.dumps(asdict(journal), sort_keys=True)


def read_journal(text: str) -> Journal:
    """Raises ValueError, KeyError or TypeError: it is none."""
    values = json.loads(text)
    swaps = tuple(
        Swap(int(entry["number"]), str(entry["name"]), Side(**entry["old"]), Side(**entry["new"]))
        for entry in values["swaps"]
    )
    return Journal(
        str(values["token"]), str(values["database"]), str(values["phase"]), swaps, tuple(values.get("files") or ())
    )


@dataclass(frozen=True)
class Listed:
    """What the server has under a name."""

    kind: str
    uuid: str = ""
    metadata: str = "{}"


Listing = Mapping[str, Listed]


# --- steps ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rename:
    """Only if the collection is the one of this UUID; never over another."""

    source: str
    target: str
    uuid: str


@dataclass(frozen=True)
class Drop:
    """Only if the collection is the one of this UUID; "" for a view."""

    name: str
    uuid: str = ""


@dataclass(frozen=True)
class Define:
    """Make a view."""

    name: str
    metadata: str


@dataclass(frozen=True)
class Refill:
    """Make a time-series collection of the documents of another collection."""

    name: str
    metadata: str
    source: str


Step = Union[Rename, Drop, Define, Refill]


def stands(side: Side, listed: Any, same_view: Any) -> bool:
    """Whether what is listed under a name is this side.

    Args:
        listed: None where there is nothing.
        same_view: tells of two texts of metadata whether they are of one view.
    """
    if not side.kind or listed is None:
        return not side.kind and listed is None
    if listed.kind != side.kind:
        return False
    if side.kind == VIEW:
        return bool(same_view(side.metadata, listed.metadata))
    return bool(listed.uuid == side.uuid)


def steps_forward(journal: Journal, listing: Listing, same_view: Any) -> List[Step]:
    """What puts the new set in place, from the untouched old one.

    Raises:
        MaintenanceError: what stands there is not what was looked at before.
    """
    steps: List[Step] = []
    for swap in journal.swaps:
        if not stands(swap.old, listing.get(swap.name), same_view):
            raise MaintenanceError(
                "the collection was replaced while the backup was restored beside it",
                target="%s.%s" % (journal.database, swap.name),
                next_step="Something still writes to the database: stop it, then run again.",
            )
        if swap.old.kind == COLLECTION:
            steps.append(Rename(swap.name, journal.beside(swap, "old"), swap.old.uuid))
        elif swap.old.kind:
            steps.append(Drop(swap.name, swap.old.uuid))
        if swap.new.kind == COLLECTION:
            steps.append(Rename(journal.beside(swap, "new"), swap.name, swap.new.uuid))
        elif swap.new.kind == VIEW:
            steps.append(Define(swap.name, swap.new.metadata))
        else:
            steps.append(Refill(swap.name, swap.new.metadata, journal.beside(swap, "new")))
    return steps


def _is_new(journal: Journal, swap: Swap, listing: Listing, same_view: Any) -> bool:
    """Whether what stands under a name is what the restore has put there."""
    here = listing[swap.name]
    if here.kind == swap.new.kind == TIMESERIES:
        # It was made anew, and what it was made of is there as long as nothing is decided.
        return journal.beside(swap, "new") in listing
    return stands(swap.new, here, same_view)


def steps_back(journal: Journal, listing: Listing, same_view: Any) -> Tuple[List[Step], List[str]]:
    """What puts the old set back, from wherever the way forward, or the way back, has ended.

    Collections are moved one after the other: what ends that leaves one name empty, under which an application may make a
    collection of its own before it is put in order. Where several are neither side's, somebody else has decided what the
    database is, by hand or by a tool, and that is not undone.

    Returns:
        The steps, and the names of collections that are neither side's and are kept under another name.

    Raises:
        MaintenanceError: an old collection is nowhere to be found, or what stands in the place of some was put there by others.
    """
    steps: List[Step] = []
    strangers: List[str] = []
    for swap in journal.swaps:
        here = listing.get(swap.name)
        if stands(swap.old, here, same_view):
            continue
        if not swap.old.kind and here is not None and not _is_new(journal, swap, listing, same_view):
            continue  # nothing belongs here, and this is not of the restore
        where = "%s.%s" % (journal.database, swap.name)
        aside = listing.get(journal.beside(swap, "old"))
        if swap.old.kind in (COLLECTION, TIMESERIES) and aside is None:
            raise MaintenanceError(
                "the collection that stood here before the restore is nowhere to be found",
                target=where,
                next_step="Nothing more was changed.",
            )
        if here is not None:
            if here.kind == COLLECTION and here.uuid == swap.new.uuid and swap.new.kind == COLLECTION:
                steps.append(Rename(swap.name, journal.beside(swap, "new"), here.uuid))
            elif here.kind == COLLECTION:
                strangers.append(journal.beside(swap, "kept"))
                steps.append(Rename(swap.name, strangers[-1], here.uuid))
            elif here.kind == VIEW or here.kind == TIMESERIES == swap.new.kind or here.kind == swap.old.kind:
                # A view holds nothing; of a time-series collection the documents stand beside.
                steps.append(Drop(swap.name, here.uuid))
            else:
                raise MaintenanceError(
                    "something else stands where a collection belongs that is to be put back",
                    target=where,
                    next_step="Nothing more was changed. Rename or drop it, then run again.",
                )
        if swap.old.kind == COLLECTION:
            steps.append(Rename(journal.beside(swap, "old"), swap.name, swap.old.uuid))
        elif swap.old.kind == VIEW:
            steps.append(Define(swap.name, swap.old.metadata))
        elif swap.old.kind == TIMESERIES:
            steps.append(Refill(swap.name, swap.old.metadata, journal.beside(swap, "old")))
    if len(strangers) > 1:
        raise MaintenanceError(
            "since the restore was cut off, other collections were put in the place of %d that it was about"
            % len(strangers),
            target=journal.database,
            next_step="Nothing was changed.",
        )
    return steps, strangers


def steps_tidy(journal: Journal, listing: Listing) -> List[Step]:
    """What removes everything beside the live set when it is decided which one that is.

    A collection beside it is dropped by what it is and not by its name: of an old one only a committed journal may cost
    the documents, and of the copies of a time-series collection only one that is decided.
    """
    steps: List[Step] = []
    for swap in journal.swaps:
        for what in ("new", "old"):
            name = journal.beside(swap, what)
            here = listing.get(name)
            if here is None:
                continue
            is_live_one = what == "old" and swap.old.kind == COLLECTION
            if is_live_one and (journal.phase != COMMITTED or here.uuid != swap.old.uuid):
                continue
            steps.append(Drop(name, here.uuid))
    return steps


def changed_meanwhile(journal: Journal) -> Dict[str, Swap]:
    """Collections of the new set that stood live for a while before they were taken back: an application that was started
    too early may have written to them. By the name beside the live ones under which they stand."""
    return {journal.beside(swap, "new"): swap for swap in journal.swaps if swap.new.kind == COLLECTION}


def unswapped(names: Sequence[str]) -> List[str]:
    """Which names of a database, or of an archive of one, are of what a restore has put beside the live collections."""
    return sorted(name for name in names if name.startswith(PREFIX))
