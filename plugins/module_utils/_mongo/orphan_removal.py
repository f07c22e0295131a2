# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Taking orphans out of a collection, so that at every instant each of them is there, in the archive, or in both.

Each batch goes the same way: it is judged, copied into the archive onto the disks of most members, read back and compared,
judged again, claimed, removed where it is what it was, and looked up a last time: what gained its reference meanwhile is put
back. Only then its entries are no longer pending. Wherever this is cut off, `settle_pending` finds what was under way by its
pending entries.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import field
from datetime import datetime, timezone
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.clock import format_utc
from .._core.errors import AbortPlan
from .._core.late_dataclass import dataclass
from .._core.units import format_duration
from .client import Connection
from .orphan_archive import Archive, Entry
from .orphan_judgement import (
    AgeRule,
    Verdict,
    decode_leniently,
    identity_of,
    inner_path,
    judge_documents,
    list_path,
    read_reference,
)
from .orphan_originals import GONE, Originals, digest, list_of, without
from .orphans import OrphanFinder, Unjudgeable, values_at
from .raw_document import ARRAY, Element, array_of, build, elements, field_at
from .relations import Relation
from .topology import lagging_members

CHANGED = "it was changed meanwhile; the archive holds what it was before, too"
APPEARED = "its reference appeared meanwhile"
PUT_BACK = "its reference appeared while it was removed: it was put back"
TAKEN = "another run deals with it at this moment"
# One batch: what is removed between two looks at the members.
BATCH = 100
# A secondary that does not catch up by then needs somebody who looks at it.
LONGEST_PAUSE = 10 * 60.0


@dataclass
class Moved:
    """What came of one relation.

    Attributes:
        entries: entries in the archive for what is out of the collection now.
        orphans: documents, or elements.
        bytes: of what was taken out.
        stayed: how many stayed, by the reason.
        paused: seconds that were waited for members that lagged.
    """

    entries: int = 0
    orphans: int = 0
    bytes: int = 0
    stayed: Dict[str, int] = field(default_factory=dict)
    paused: float = 0.0

    def stay(self, reason: str, count: int = 1) -> None:
        self.stayed[reason] = self.stayed.get(reason, 0) + count


@dataclass(frozen=True)
class LagGate:
    """Lets a batch through when no member lags.

    Attributes:
        max_lag: seconds that a member may be behind.
        clock: seconds, monotonic.
        sleep: waits for so many seconds.
        progress: called again and again while it waits.
    """

    connection: Connection
    max_lag: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    progress: Callable[[], None] = lambda: None

    def wait(self) -> float:
        """Wait until no member lags; returns the seconds.

        Raises:
            AbortPlan: that does not come about.
            MaintenanceError: the server was lost.
        """
        began = self.clock()
        while True:
            behind = lagging_members(self.connection, self.max_lag)
            waited = self.clock() - began
            if not behind:
                return waited
            if waited > LONGEST_PAUSE:
                raise AbortPlan(
                    "a member of the replica set has been more than max_lag (%s) behind for %s"
                    % (format_duration(self.max_lag), format_duration(waited)),
                    target=", ".join(behind),
                    next_step="What was done until now is complete. Find out what holds the member up, and run it again.",
                )
            self.progress()
            self.sleep(0.5)


class Archiver:
    """Moves the orphans of one relation into the archive.

    Args:
        database: the driver's database.
        relation: what to archive.
        policy: of what age.
        run_id: under which it can be restored.
        now: the moment of archiving.
        gate: waits for members that lag.
        before_removal: called before each removal; what it raises ends the work.
        between: called between two steps, with the name of the one that is over.
    """

    def __init__(
        self,
        database: Any,
        relation: Relation,
        policy: AgeRule,
        run_id: str,
        now: datetime,
        gate: Optional[LagGate] = None,
        before_removal: Callable[[], None] = lambda: None,
        between: Callable[[str], None] = lambda step: None,
    ) -> None:
        self.moved = Moved()
        self._relation = relation
        self._policy = policy
        self._run_id = run_id
        self._now = now
        self._gate = gate
        self._before_removal = before_removal
        self._between = between
        self._finder = OrphanFinder(database, policy.cutoff)
        self._archive = Archive(database, relation.collection)
        self._originals = Originals(database, relation.collection)

    def archive(self, keys: Sequence[Element]) -> Moved:
        """Move what is still an orphan of these documents.

        Raises:
            MaintenanceError: the server refuses or was lost; nothing is lost by it, and `moved` tells what was done.
        """
        for start in range(0, len(keys), BATCH):
            seen = 0
            for raws in self._originals.read(keys[start : start + BATCH]):
                seen += len(raws)
                self._batch(raws)
            gone = len(keys[start : start + BATCH]) - seen
            if gone:
                self.moved.stay("it is gone", gone)
        return self.moved

    def _batch(self, raws: Sequence[bytes]) -> None:
        self._between("read")
        pairs = []
        for raw, verdict in zip(raws, self._judge(raws)):
            if verdict.stay:
                self.moved.stay(verdict.stay)
            else:
                pairs.append((raw, self._entry(raw, verdict)))
        if not pairs:
            return
        self._between("judged")
        self._archive.write([entry for _raw, entry in pairs])
        self._between("copied")
        self._archive.verify([entry for _raw, entry in pairs])
        self._between("verified")
        if self._gate is not None:
            # Before the second look: this may take minutes.
            self.moved.paused += self._gate.wait()
        pairs = self._still_lost(pairs)
        if not pairs:
            return
        self._before_removal()
        self._between("noted")
        pairs = self._claimed(pairs)
        if not pairs:
            return
        self._between("claimed")
        removed = self._remove([raw for raw, _entry in pairs], [entry for _raw, entry in pairs])
        self._between("removed")
        settled = self._look_back(pairs, removed == len(pairs))
        self._between("looked up")
        if self._archive.settle(settled) < len(settled):
            # Whoever removed entries meanwhile: what they hold may be nowhere else.
            gone = [entry for entry in settled if self._originals.judge(entry) != "there"]
            self._archive.write(gone)
            self._archive.settle(gone)
        self._between("settled")

    def _judge(self, raws: Sequence[bytes]) -> List[Verdict]:
        return judge_documents(self._finder, self._relation, raws, self._policy)

    def _entry(self, raw: bytes, verdict: Verdict) -> Entry:
        if self._relation.unit == "document":
            return Entry(self._relation, identity_of(raw), raw, self._run_id, format_utc(self._now))
        listed = field_at(raw, list_path(self._relation))
        whole = listed.value if listed is not None else b""
        taken = [element for number, element in enumerate(elements(whole)) if number in set(verdict.positions)]
        payload = build([Element(ARRAY, b"elements", array_of(taken))])
        return Entry(
            self._relation,
            identity_of(raw),
            payload,
            self._run_id,
            format_utc(self._now),
            verdict.positions,
            digest(whole),
            digest(without(whole, verdict.positions)),
        )

    def _still_lost(self, pairs: List[Tuple[bytes, Entry]]) -> List[Tuple[bytes, Entry]]:
        """Those of which all is still so; the copies of the others are dropped, for their documents are where they were."""
        still, dropped = [], []
        for (raw, entry), verdict in zip(pairs, self._judge([raw for raw, _entry in pairs])):
            if not verdict.stay and verdict.positions == entry.positions:
                still.append((raw, entry))
            else:
                dropped.append(entry)
                self.moved.stay(APPEARED)
        if dropped:
            self._drop_copies(dropped)
        return still

    def _claimed(self, pairs: List[Tuple[bytes, Entry]]) -> List[Tuple[bytes, Entry]]:
        """Those whose entries are there and ours: another run may have taken them over, or dropped them."""
        claimed = {entry.id for entry in self._archive.claim([entry for _raw, entry in pairs])}
        if len(claimed) < len(pairs):
            self.moved.stay(TAKEN, len(pairs) - len(claimed))
        return [(raw, entry) for raw, entry in pairs if entry.id in claimed]

    def _drop_copies(self, entries: Sequence[Entry]) -> None:
        """Drop entries of what is where it was; of what is not, the entry may be the only copy, and stays pending."""
        copies = [entry for entry in entries if self._originals.judge(entry) == "there"]
        self._archive.drop(copies, unless_claimed=True)

    def _remove(self, raws: Sequence[bytes], entries: Sequence[Entry]) -> int:
        if self._relation.unit == "document":
            return self._originals.remove(raws)
        lists = []
        for raw, entry in zip(raws, entries):
            listed = list_of(raw, entry)
            if listed is not None:
                lists.append((raw, self._relation.lists[0], without(listed, entry.positions)))
        return self._originals.set_lists(lists)

    def _look_back(self, pairs: Sequence[Tuple[bytes, Entry]], all_removed: bool) -> List[Entry]:
        """After the removal: put back what has a reference now. Returns the entries that are dealt with."""
        settled = []
        for (_raw, entry), verdict in zip(pairs, self._judge([raw for raw, _entry in pairs])):
            if not all_removed and self._is_untouched(entry):
                continue
            if verdict.stay or verdict.positions != entry.positions:
                if put_back(self._originals, self._archive, entry):
                    self.moved.stay(PUT_BACK)
                    continue
            settled.append(entry)
            self.moved.entries += 1
            self.moved.orphans += len(entry.positions) or 1
            self.moved.bytes += len(entry.payload)
        return settled

    def _is_untouched(self, entry: Entry) -> bool:
        """Whether a document was not removed, since it is not what it was; or, at best, removed and written anew."""
        standing = self._originals.judge(entry)
        if standing == "there":
            self._archive.drop([entry])
            self.moved.stay(APPEARED)
            return True
        if standing and standing != GONE:
            self._archive.settle([entry])
            self.moved.stay(CHANGED)
            return True
        return False


def put_back(originals: Originals, archive: Archive, entry: Entry) -> bool:
    """Put back what an entry holds and drop the entry; False where something else stands there, and the entry stays."""
    if originals.put_back(entry) not in ("restored", "there"):
        return False
    archive.drop([entry])
    return True


def settle_pending(
    database: Any,
    collection: str,
    policy: AgeRule,
    between: Callable[[str], None] = lambda step: None,
    told: Callable[[str], None] = lambda run_id: None,
) -> Dict[str, int]:
    """Deal with what a run that was cut off had under way.

    What is in the collection as it was loses its copy, unless a run that may still be at work is about to remove it; what was
    removed and has its reference again is put back; all else is archived for good.

    Args:
        told: called with the run under which something is archived for good.

    Returns:
        How many of each: copies dropped, or left to a run that may be at work, put back, archived.

    Raises:
        MaintenanceError: the server refuses or was lost.
    """
    archive, originals = Archive(database, collection), Originals(database, collection)
    finder = OrphanFinder(database, policy.cutoff)
    counts: Counter[str] = Counter()
    for batch in archive.read({"pending": True}):
        for entry in batch:
            between("pending")
            standing = originals.judge(entry)
            if standing == "there":
                counts["dropped" if archive.drop([entry], unless_claimed=True) else "left"] += 1
            elif not standing and has_reference(finder, entry) and put_back(originals, archive, entry):
                counts["put_back"] += 1
            else:
                archive.settle([entry])
                counts["archived"] += 1
                told(entry.run_id)
    return dict(counts)


def has_reference(finder: OrphanFinder, entry: Entry) -> bool:
    """Whether what an entry holds refers to something that is there, as far as that can be told."""
    relation = entry.relation
    if relation.unit == "document":
        values = read_reference(
            entry.payload, relation, AgeRule(datetime.max.replace(tzinfo=timezone.utc), True)
        ).values
    else:
        values = element_values(entry)
    try:
        return not all(finder.lost(relation, values))
    except Unjudgeable:
        return False


def element_values(entry: Entry) -> List[Any]:
    """What the elements of an entry refer to. Pure."""
    held: Mapping[str, Any] = decode_leniently(entry.payload) or {}
    return [next(values_at(element, inner_path(entry.relation)), None) for element in held.get("elements", [])]
