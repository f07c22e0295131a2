# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a planner decides and what became of it: plain data.

An action is generic in its work: a small frozen dataclass, defined beside the planner that makes it, which holds all that
carrying the action out needs.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Dict, Generic, Iterator, List, Optional, Tuple, Type, TypeVar

from .errors import MaintenanceError
from .late_dataclass import dataclass

Work = TypeVar("Work")
Seen = TypeVar("Seen")
Detail = TypeVar("Detail")

DONE, SKIPPED, FAILED = "done", "skipped", "failed"


@dataclass(frozen=True)
class Action(Generic[Work]):
    """One thing to do.

    Attributes:
        action: the verb ("compact", "remove_image").
        target: the object, as a person would call it.
        reason: why it is to be done.
        work: what carrying it out needs; never shown and never returned.
        bytes: expected effect on disk in bytes; 0 when there is none or it is not known.
        predicted: the server decides about the effect, the figure is an estimate.
        assumes: what must have happened before, when check mode can only assume it.
        again: how the object can be had again afterwards, for people; "" where that means nothing. The record keeps it.
    """

    action: str
    target: str
    reason: str
    work: Work
    bytes: int = 0
    predicted: bool = False
    assumes: str = ""
    again: str = ""

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
        if self.again:
            entry["again"] = self.again
        return entry


@dataclass(frozen=True)
class Kept:
    """An object that was looked at and left alone, and why."""

    target: str
    reason: str

    def as_dict(self) -> Dict[str, Any]:
        return {"target": self.target, "reason": self.reason}


@dataclass
class Plan(Generic[Work]):
    """Ordered actions, and what is kept."""

    actions: List[Action[Work]] = field(default_factory=list)
    kept: List[Kept] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return sum(action.bytes for action in self.actions)

    def as_dict(self) -> Dict[str, Any]:
        """The keys of a result that tell of a plan."""
        return {
            "plan": [action.as_dict() for action in self.actions],
            "kept": [kept.as_dict() for kept in self.kept],
        }


@dataclass(frozen=True)
class Outcome:
    """What carrying out one action came to.

    Attributes:
        bytes: the measured effect in bytes.
        note: one sentence more, shown beside the action.
        detail: what the report needs to know of it, typed by the module; never shown as it is.
        warnings: sentences for the user.
        failure: it failed, and `detail` and `warnings` are to be known all the same; without them it is raised.
    """

    bytes: int = 0
    note: str = ""
    detail: Any = None
    warnings: Tuple[str, ...] = ()
    failure: Optional[MaintenanceError] = None


@dataclass(frozen=True)
class Result(Generic[Work]):
    """One planned action after the attempt to carry it out.

    Attributes:
        status: done, skipped (the world changed, or the action proved unnecessary) or failed.
        bytes: the measured effect in bytes.
        seconds: how long the attempt took.
    """

    action: Action[Work]
    status: str
    bytes: int = 0
    seconds: float = 0.0
    error: str = ""
    note: str = ""
    detail: Any = None

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
        if self.action.again and self.status != SKIPPED:
            entry["again"] = self.action.again
        return entry


@dataclass(frozen=True)
class Verification(Generic[Seen]):
    """What a second look has shown.

    Attributes:
        after: the world as it was seen; None where nobody needed to look.
        failure: it is not as it should be.
        warnings: sentences for the user.
    """

    after: Optional[Seen] = None
    failure: Optional[MaintenanceError] = None
    warnings: Tuple[str, ...] = ()


@dataclass
class Results(Generic[Work, Seen]):
    """What became of a plan. In check mode nothing did: `check` is set and there is no result.

    Attributes:
        planned: the actions of the plan.
        all: a result for each action that was tried, in order.
        failures: why actions failed; the details of each are in the module's result.
        warnings: what the actions said.
        verification: what `verify` saw.
        aborted: why the rest was not tried.
    """

    check: bool
    planned: List[Action[Work]] = field(default_factory=list)
    all: List[Result[Work]] = field(default_factory=list)
    failures: List[MaintenanceError] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)
    verification: Verification[Seen] = field(default_factory=Verification)
    aborted: Optional[MaintenanceError] = None

    def __iter__(self) -> Iterator[Result[Work]]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    def _with(self, status: str) -> List[Result[Work]]:
        return [result for result in self.all if result.status == status]

    @property
    def done(self) -> List[Result[Work]]:
        return self._with(DONE)

    @property
    def skipped(self) -> List[Result[Work]]:
        return self._with(SKIPPED)

    @property
    def failed(self) -> List[Result[Work]]:
        return self._with(FAILED)

    @property
    def effective(self) -> List[Action[Work]]:
        """The actions that were carried out; in check mode those that would be."""
        return list(self.planned) if self.check else [result.action for result in self.done]

    @property
    def bytes(self) -> int:
        """Bytes measured over all that was done; in check mode those that are expected."""
        if self.check:
            return sum(action.bytes for action in self.planned)
        return sum(result.bytes for result in self.done)

    @property
    def after(self) -> Optional[Seen]:
        """The world after it, as far as it was looked at again."""
        return self.verification.after

    def details(self, kind: Type[Detail]) -> List[Detail]:
        """The details of this kind, in order, of whatever was tried."""
        return [result.detail for result in self.all if isinstance(result.detail, kind)]

    def words(self, done: str, would: str) -> str:
        """The right one of two phrases: what was done, or would be."""
        return would if self.check else done


@dataclass
class Report:
    """All that a module has to say at its end.

    Attributes:
        headline: one sentence.
        changed: whether the host is, or in check mode would be, another than before.
        summary: the few numbers a person wants, units in their names.
        values: further return values.
        record: what the record of the run is to hold beyond the summary: findings and the like, uncut.
        warnings: sentences for the user.
        failure: what was found is a failure although every step went well.
    """

    headline: str
    changed: bool = False
    summary: Dict[str, Any] = field(default_factory=dict)
    values: Dict[str, Any] = field(default_factory=dict)
    record: Dict[str, Any] = field(default_factory=dict)
    warnings: List[str] = field(default_factory=list)
    failure: Optional[MaintenanceError] = None


def refuse_above(plan: Plan[Any], limit: Optional[int], objects: str, *, target: str = "") -> None:
    """The cap that every module with `max_delete` has, in check mode as well: it shows the whole plan, and nothing is done.

    Args:
        plan: what would be done.
        limit: how many actions are allowed; None for any number.
        objects: what would be removed, in the plural ("backups").
        target: where.

    Raises:
        MaintenanceError: there are more.
    """
    if limit is None or len(plan.actions) <= limit:
        return
    raise MaintenanceError(
        "%d %s would be removed, more than max_delete (%d)" % (len(plan.actions), objects, limit),
        target=target,
        next_step="Nothing was removed. Look at the plan, then raise max_delete or narrow what is asked for.",
        details=dict(plan.as_dict(), warnings=list(plan.warnings)),
    )
