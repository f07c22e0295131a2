# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a planner decides and what became of it: plain data, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping


@dataclass(frozen=True)
class Action:
    """One thing to do.

    Attributes:
        action: the verb ("compact", "remove_image").
        target: the object, as a person would call it.
        reason: why it is to be done.
        bytes: expected effect on disk in bytes; 0 when there is none or it is not known.
        predicted: the server decides about the effect, the figure is an estimate.
        assumes: what must have happened before, when check mode can only assume it.
        data: what carrying it out needs; never shown and never returned.
    """

    action: str
    target: str
    reason: str
    bytes: int = 0
    predicted: bool = False
    assumes: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> Dict[str, Any]:
        entry: Dict[str, Any] = {
            "action": self.action,
            "target": self.target,
            "reason": self.reason,
            "bytes": self.bytes,
        }
        if self.predicted:
            entry["predicted"] = True
        if self.assumes:
            entry["assumes"] = self.assumes
        return entry


@dataclass(frozen=True)
class Kept:
    """An object that was looked at and left alone, and why."""

    target: str
    reason: str

    def as_dict(self) -> Dict[str, Any]:
        return {"target": self.target, "reason": self.reason}


@dataclass
class Plan:
    """Ordered actions, and what is kept."""

    actions: List[Action] = field(default_factory=list)
    kept: List[Kept] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return sum(action.bytes for action in self.actions)


@dataclass
class Outcome:
    """What carrying out one action came to."""

    bytes: int = 0
    status: str = "done"
    note: str = ""
    data: Dict[str, Any] = field(default_factory=dict)


@dataclass
class ActionResult:
    """One planned action after the attempt to carry it out.

    Attributes:
        status: done, skipped (the world changed, or the action proved unnecessary) or failed.
        bytes: the measured effect in bytes.
        seconds: how long the attempt took.
    """

    action: Action
    status: str
    bytes: int = 0
    seconds: float = 0.0
    error: str = ""
    note: str = ""
    data: Dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> Dict[str, Any]:
        entry: Dict[str, Any] = {
            "action": self.action.action,
            "target": self.action.target,
            "status": self.status,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
        }
        if self.error:
            entry["error"] = self.error
        if self.note:
            entry["note"] = self.note
        return entry
