# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who keeps a member of a replica set busy: one document in the database, written to a majority of the members.

Several hosts of one set may be maintained at the same time, and their leases of the host know nothing of each other. The
document is judged and written in one step on the primary, by the primary's clock, so that of two who come at once one has it.

A holder that died leaves it behind. On the host where it died this is known at once, elsewhere when the lease has run out; what
the document says of a member that was made to step down goes on to whoever has it next.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, Optional

from .._core.errors import MaintenanceError
from .._core.process_identity import has_ended, own_identity
from .client import Connection
from .errors import mongo_errors

try:
    from bson import ObjectId
    from pymongo import ReturnDocument, WriteConcern
    from pymongo.errors import DuplicateKeyError
except ImportError:  # the client says so
    DuplicateKeyError = Exception  # type: ignore[assignment,misc]

LEASE_COLLECTION = "miniecom_maintenance_lease"
_ID = "busy member"
# A holder that has given no sign of life for so long is dead; what it began may go on, so its member is looked at all the same.
LEASE_SECONDS = 60.0
_WRITE_TIMEOUT_MS = 10000
# How long there may be no primary after the last one stepped down (electionTimeoutMillis is 10 s), and how often to look.
_ELECTION_SECONDS = 12.0
_PAUSE_SECONDS = 0.5


class SetLease:
    """The lease of one replica set.

    Args:
        primary: a connection to the member that is the primary now.
        database: in which the document lies.
        holder: who we are, for others to read.
        seconds: for how long it holds from each sign of life on.

    Attributes:
        left_behind: a member that a holder that died has made step down and has not let stand for election again; "" for none.
            As of the last sign of life.
    """

    def __init__(
        self, primary: Callable[[], Connection], database: str, holder: str, seconds: float = LEASE_SECONDS
    ) -> None:
        self._primary = primary
        self._database = database
        self._holder = holder
        self._seconds = seconds
        self._token = str(ObjectId())
        self._process = own_identity()
        self._renewed: Optional[float] = None
        self.left_behind = ""
        # What is to be written of it; None leaves what is there.
        self._noted: Optional[str] = None

    def hold(self, member: str) -> str:
        """Take the lease for a member, or give a sign of life; returns who else has it, "" when it is ours.

        Raises:
            MaintenanceError: there is no primary, or no majority took the write: then nobody may count on it.
        """
        began = time.monotonic()
        found = self._claim(member)
        if found.get("owner") != self._token and has_ended(str(found.get("process", ""))):
            found = self._claim(member, str(found["owner"]))
        if found.get("owner") != self._token:
            self._renewed = None
            return "%s, for %s" % (found.get("holder") or "somebody", found.get("member") or "a member")
        # From before the write: by our clock it ends no later than by the primary's.
        self._renewed = began
        self.left_behind = str(found.get("stepped_down", "")) if self._noted is None else ""
        return ""

    def note_step_down(self, stepped_down: str, member: str) -> str:
        """Write down which member does not stand for election because of us ("" for none), for whoever comes after us should we
        die; else as `hold`."""
        self._noted = stepped_down
        return self.hold(member)

    @property
    def unsettled(self) -> str:
        """The member that we have made step down and not yet let stand for election again; "" for none."""
        return self._noted or ""

    @property
    def fresh(self) -> bool:
        """Whether it was ours so short a time ago that nobody can have taken it over since."""
        return self._renewed is not None and time.monotonic() - self._renewed < self._seconds / 2

    def _claim(self, member: str, dead: str = "") -> Dict[str, Any]:
        """Write the document if it is ours or free; returns it as it is then.

        Args:
            dead: the token of a holder that is known to have died.
        """
        ours: Dict[str, Any] = {
            "_id": _ID,
            "owner": self._token,
            # A name with a dollar sign is none of the server's variables.
            "holder": {"$literal": self._holder},
            "member": {"$literal": member},
            "process": {"$literal": self._process},
            "stepped_down": {"$ifNull": ["$stepped_down", ""]} if self._noted is None else {"$literal": self._noted},
            "until": {"$add": ["$$NOW", int(self._seconds * 1000)]},
        }
        free: Dict[str, Any] = {
            "$or": [
                {"$in": ["$owner", {"$literal": [self._token, dead or self._token]}]},
                {"$eq": [{"$type": "$until"}, "missing"]},
                {"$lte": ["$until", "$$NOW"]},
            ]
        }
        for attempt in (1, 2, 3):
            connection = self._primary()
            with mongo_errors(
                "cannot write the lease of the replica set", "%s.%s" % (self._database, LEASE_COLLECTION)
            ):
                try:
                    return dict(
                        self._collection(connection).find_one_and_update(
                            {"_id": _ID},
                            [{"$replaceWith": {"$cond": [free, ours, "$$ROOT"]}}],
                            upsert=True,
                            return_document=ReturnDocument.AFTER,
                        )
                    )
                except DuplicateKeyError:
                    # Somebody else wrote the first one at the same moment: look whose it is.
                    if attempt == 3:
                        raise
        raise RuntimeError("unreachable")

    def release(self) -> None:
        """Give it back, if it is ours, but for what it says of a member that may not be elected. Where that fails it runs out by
        itself."""
        if self._renewed is None:
            return
        self._renewed = None
        ours = {"_id": _ID, "owner": self._token}
        deadline = time.monotonic() + _ELECTION_SECONDS
        while True:
            try:
                with mongo_errors("cannot give the lease back", self._database):
                    collection = self._collection(self._primary())
                    if self.unsettled:
                        collection.update_one(ours, [{"$set": {"until": "$$NOW"}}])
                    else:
                        collection.delete_one(ours)
                return
            except MaintenanceError:
                # The primary may just have stepped down: others would wait for nothing until the lease has run out.
                if time.monotonic() > deadline:
                    return
                time.sleep(_PAUSE_SECONDS)

    def _collection(self, connection: Connection) -> Any:
        concern = WriteConcern("majority", wtimeout=_WRITE_TIMEOUT_MS)
        return connection.client[self._database].get_collection(LEASE_COLLECTION, write_concern=concern)

    @contextmanager
    def kept(self, member: str) -> Iterator[None]:
        """Give signs of life while something long goes on."""
        ended = threading.Event()

        def give_signs() -> None:
            while not ended.wait(self._seconds / 4):
                try:
                    self.hold(member)
                except MaintenanceError:
                    # No primary for a moment, as in an election: the next one comes soon enough.
                    continue

        thread = threading.Thread(target=give_signs, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
