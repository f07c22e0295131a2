# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller as the second place: it pulls over the connection that Ansible has, and the host knows no way to it.

What lies there the controller tells with the call, and what it has fetched meanwhile; the module decides, compares and
answers with orders. The controller carries out those that its own files and the rules allow: a host that somebody has taken
over can neither reach nor unmake the copies.
"""

from __future__ import annotations

import copy as copying
import os
import shutil
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set

from .._core.errors import MaintenanceError, SkipAction, from_os_error
from .._core.plan import Action
from .offsite_copies import (
    OffsiteCopy,
    OffsiteLeftover,
    OffsiteListing,
    OffsiteNote,
    listing_of,
    parse_note,
)
from .offsite_place import MAKE_IT, PlaceOptions, SecondPlace
from .offsite_planning import CopyBackup, FetchCopy, copy_item
from .retention import Policy, decide_retention

CHECKED = "SHA-256 of the file on the controller compared with that of the archive on the host"


def stored_listing(directories: Mapping[str, Mapping[str, Any]]) -> OffsiteListing:
    """What lies in directories of the controller, by the name of each. Pure.

    Args:
        directories: for each `files` (name and size), `notes` (name of the archive and the note's text) and `leftovers`
            (name of the archive and size of what there is of it).

    Raises:
        MaintenanceError: two directories hold a copy of one name, and nobody could say which one is meant.
    """
    whole = OffsiteListing()
    for stored in directories.values():
        notes = {name: note for name, note in _notes(stored).items() if note is not None}
        found = listing_of({name: int(size) for name, size in stored["files"].items()}, notes)
        twice = sorted({copy.name for copy in whole.copies} & {copy.name for copy in found.copies})
        if twice:
            raise MaintenanceError(
                "the copies of several hosts have one name",
                target=twice[0],
                next_step="Name the host that is meant with owner.",
            )
        whole.copies.extend(found.copies)
        whole.broken.extend(found.broken)
        whole.unnoted.update(found.unnoted)
        whole.leftovers.extend(
            OffsiteLeftover(name, name, int(size)) for name, size in sorted(stored["leftovers"].items())
        )
    whole.copies.sort(key=lambda copy: (copy.date, copy.name))
    return whole


def _notes(stored: Mapping[str, Any]) -> Dict[str, Optional[OffsiteNote]]:
    return {name: parse_note(name, text.encode("utf-8", "surrogateescape")) for name, text in stored["notes"].items()}


def unkept_copies(listing: OffsiteListing, keep: Policy, now: datetime) -> Set[str]:
    """Names of the copies that the rules do not keep, looked at by themselves. Pure.

    Args:
        listing: the copies of one host and one database.
        now: the present moment, with its zone.
    """
    items = [copy_item(copy, "") for copy in listing.copies]
    decisions = decide_retention(items, keep, now.astimezone().replace(tzinfo=None))
    return {decision.item.name for decision in decisions if not decision.keep}


class ControllerPlace(SecondPlace):
    """The controller, as it has told of itself with this call."""

    method = "controller"
    package = "Ansible"
    settles = False

    def __init__(self, options: PlaceOptions) -> None:
        super().__init__(options)
        self._told: Dict[str, Any] = copying.deepcopy(dict(options.controller or {}))
        self._noted: Dict[str, str] = {}
        self._removed: List[str] = []
        self._tidied: List[str] = []

    @property
    def _directories(self) -> Dict[str, Any]:
        found: Dict[str, Any] = self._told.get("directories") or {}
        return found

    @property
    def _own(self) -> Dict[str, Any]:
        own: Dict[str, Any] = next(iter(self._directories.values()))
        return own

    def list(self) -> OffsiteListing:
        if not self._told:
            raise MaintenanceError(
                "the controller has not told what lies there",
                target=self.target,
                next_step="method: controller works in a task of Ansible's, whose connection it uses.",
            )
        if not self._told["exists"]:
            if self.options.create:
                return OffsiteListing(exists=False)
            raise MaintenanceError(
                "the directory is not there",
                target=self.target,
                next_step="A disk of the controller that is not mounted? Check target (backup_offsite_target). %s"
                % MAKE_IT,
            )
        return stored_listing(self._directories)

    def _received(self, name: str) -> Mapping[str, Any]:
        """What the controller has of an archive: bytes and sha256."""
        trouble = (self._told.get("errors") or {}).get(name)
        if trouble:
            raise MaintenanceError("the controller has not fetched it: %s" % trouble, target=name)
        found: Optional[Mapping[str, Any]] = (self._told.get("received") or {}).get(name)
        if found is None:
            raise SkipAction("it came after the controller had looked; the next call fetches it")
        return found

    def prepare(self) -> None:
        # The controller makes it before it fetches.
        self._told["exists"] = True

    def send(self, path: str, name: str) -> None:
        received = self._received(name)
        self._own["files"][name] = received["bytes"]

    def check(self, path: str, name: str, sha256: str) -> str:
        if not self.same_as(path, name, sha256):
            raise self.differs(name, "the file on the controller has another SHA-256")
        return CHECKED

    def same_as(self, path: str, name: str, sha256: str) -> bool:
        return bool(self._received(name)["sha256"] == sha256)

    def discard(self, name: str) -> None:
        """The controller gives no archive its name that has another SHA-256 than the record."""

    def write_note(self, note: OffsiteNote) -> None:
        text = note.to_json().decode()
        self._own["notes"][note.copy.name] = self._noted[note.copy.name] = text

    def read_note(self, copy: OffsiteCopy) -> Optional[OffsiteNote]:
        for stored in self._directories.values():
            note = _notes(stored).get(copy.name)
            if note is not None and note.copy.is_as(copy) and note.copy.owner == copy.owner:
                return note
        return None

    def fetch(self, copy: OffsiteCopy, path: str) -> None:
        upload = str(self._told.get("upload") or "")
        if not upload:
            raise SkipAction("it came after the controller had looked; the next call fetches it")
        try:
            with open(upload, "rb") as source, open(path, "wb") as into:
                shutil.copyfileobj(source, into, 1024 * 1024)
        except OSError as error:
            raise from_os_error("cannot take over what the controller has sent", error) from error

    def remove(self, copy: OffsiteCopy) -> None:
        self._own["files"].pop(copy.name, None)
        self._own["notes"].pop(copy.name, None)
        self._removed.append(copy.name)

    def remove_leftover(self, leftover: OffsiteLeftover) -> None:
        self._own["leftovers"].pop(leftover.archive, None)
        self._tidied.append(leftover.archive)

    def orders(self, actions: Sequence[Action[Any]]) -> Dict[str, Any]:
        transfers: List[Dict[str, Any]] = []
        for action in actions:
            work = action.work
            if isinstance(work, CopyBackup):
                name = os.path.basename(action.target)
                transfers.append(
                    {
                        "name": name,
                        "path": action.target,
                        "bytes": action.bytes,
                        "sha256": work.sha256,
                        "unnoted": work.unnoted,
                    }
                )
            elif isinstance(work, FetchCopy):
                transfers.append({"name": work.copy.name, "owner": work.copy.owner, "sha256": work.copy.sha256})
        return {
            "transfers": transfers,
            "notes": dict(self._noted),
            "remove": list(self._removed),
            "leftovers": list(self._tidied),
        }
