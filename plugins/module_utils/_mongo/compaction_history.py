# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What earlier compactions of this host came to, and what they had no time for: a file in the state directory."""

from __future__ import annotations

import os
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Tuple

from .._core.clock import format_utc, parse_utc
from .._core.late_dataclass import dataclass
from .._core.state_note import read_state_note, understood_entries, write_state_note

_KEPT = timedelta(days=100)
# Of a collection on one member.
_YIELDS_KEPT = 5


@dataclass(frozen=True)
class PastYield:
    """What a compaction was expected to free, and freed.

    Attributes:
        member: by its name in its set.
        predicted: bytes, by the server's counter alone.
        bytes_after: of the files of the collection and its indexes.
    """

    at: datetime
    member: str
    namespace: str
    predicted: int
    freed: int
    bytes_after: int


@dataclass(frozen=True)
class CompactionHistory:
    """Attributes:
    yields: oldest first.
    deferred: what time_budget left no room for, and since when, by its target in the plan.
    """

    yields: Tuple[PastYield, ...] = ()
    deferred: Mapping[str, datetime] = field(default_factory=dict)

    def of_member(self, member: str) -> Dict[str, Tuple[PastYield, ...]]:
        """What is known of one member, by namespace."""
        found: Dict[str, List[PastYield]] = {}
        for entry in self.yields:
            if entry.member == member:
                found.setdefault(entry.namespace, []).append(entry)
        return {namespace: tuple(entries) for namespace, entries in found.items()}

    def with_more(
        self, yields: Sequence[PastYield], seen: Iterable[str], deferred: Iterable[str], now: datetime
    ) -> CompactionHistory:
        """The same after another call. Pure.

        Args:
            seen: targets that were looked at; what was deferred of others stays so.
            deferred: targets that had to be left for later.
        """
        looked_at, later = set(seen), set(deferred)
        waiting = {target: at for target, at in self.deferred.items() if target in later or target not in looked_at}
        for target in later:
            waiting.setdefault(target, now)
        kept: Dict[Tuple[str, str], List[PastYield]] = {}
        for entry in [*self.yields, *yields]:
            if now - entry.at < _KEPT:
                kept.setdefault((entry.member, entry.namespace), []).append(entry)
        return CompactionHistory(
            tuple(entry for entries in kept.values() for entry in entries[-_YIELDS_KEPT:]),
            {target: at for target, at in waiting.items() if now - at < _KEPT},
        )


def compaction_history_path(state_dir: str) -> str:
    return os.path.join(state_dir, "history", "compactions.json")


def read_compaction_history(state_dir: str) -> CompactionHistory:
    """What is known; nothing where there is no file, and what does not parse is passed over.

    Raises:
        MaintenanceError: it cannot be read.
    """
    path, unreadable = compaction_history_path(state_dir), "cannot read the history of compactions"
    return read_state_note(path, unreadable, _history) or CompactionHistory()


def _history(known: Mapping[str, Any]) -> CompactionHistory:
    return CompactionHistory(
        tuple(understood_entries(known.get("yields"), _yield)),
        dict(understood_entries(known.get("deferred"), _deferral)),
    )


def _yield(entry: Mapping[str, Any]) -> PastYield:
    return PastYield(
        parse_utc(entry["at"]),
        str(entry["member"]),
        str(entry["namespace"]),
        int(entry["predicted"]),
        int(entry["freed"]),
        int(entry["bytes_after"]),
    )


def _deferral(entry: Mapping[str, Any]) -> Tuple[str, datetime]:
    return str(entry["target"]), parse_utc(entry["at"])


def write_compaction_history(state_dir: str, history: CompactionHistory) -> None:
    """Raises MaintenanceError: it cannot be written."""
    known = {
        "yields": [
            {
                "at": format_utc(entry.at),
                "member": entry.member,
                "namespace": entry.namespace,
                "predicted": entry.predicted,
                "freed": entry.freed,
                "bytes_after": entry.bytes_after,
            }
            for entry in history.yields
        ],
        "deferred": [{"at": format_utc(at), "target": target} for target, at in sorted(history.deferred.items())],
    }
    write_state_note(state_dir, compaction_history_path(state_dir), known, "cannot write the history of compactions")
