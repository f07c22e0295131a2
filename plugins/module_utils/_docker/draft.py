# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the planner of docker_prune is told, and its plan while it is being made. Pure."""

from __future__ import annotations

import math
from dataclasses import field
from typing import List, Mapping, Optional, Sequence, Set, Tuple, TypeVar

from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept
from .._core.units import format_duration
from .inventory import CacheEntry, Container, Image, known_moment
from .protect import Protection, out_of_scope, protected
from .works import VERBS, Removal


@dataclass(frozen=True)
class Policy:
    """What may go. Nothing by default.

    Attributes:
        older_than: seconds.
        keep_per_repository: newest images of each repository that stay.
        container_names: stopped containers that go although the engine is to start them again.
        only_labels: nothing without one of these is touched; empty for no such limit.
        max_delete: fail when more objects than this would go; None for no limit.
        cache_mounts: what builds keep for themselves goes with the build cache.
        target_free: stop once this many bytes are free; None for not.
    """

    containers: str = "none"
    images: str = "none"
    volumes: str = "none"
    volume_names: Tuple[str, ...] = ()
    networks: str = "none"
    build_cache: str = "none"
    older_than: float = 0.0
    keep_per_repository: int = 0
    protection: Protection = field(default_factory=Protection)
    only_labels: Tuple[str, ...] = ()
    max_delete: Optional[int] = None
    target_free: Optional[int] = None
    container_names: Tuple[str, ...] = ()
    cache_mounts: bool = False


class Draft:
    """The plan while it is being made."""

    def __init__(self, policy: Policy, now: float) -> None:
        self.policy = policy
        self.now = now
        self.actions: List[Action[Removal]] = []
        self.moments: List[Optional[float]] = []
        self.kept: List[Kept] = []
        self.warnings: List[str] = []
        self.containers: Set[str] = set()
        self.images: Set[str] = set()
        # Sizes of layers that no image has any more.
        self.orphaned_layers: Set[int] = set()
        # An image stays since nobody tells which services there are.
        self.services_unseen = False

    def remove(
        self,
        work: Removal,
        target: str,
        reason: str,
        size: int = 0,
        predicted: bool = False,
        *,
        again: str,
        moment: Optional[float],
    ) -> None:
        """Plan a removal.

        Args:
            again: how the object can be had again.
            moment: by which its age counts, Unix time; None when that is not known.
        """
        self.moments.append(moment)
        self.actions.append(Action(VERBS[type(work)][0], target, reason, work, size, predicted, again=again))

    def keep(self, kind: str, title: str, reason: str) -> None:
        self.kept.append(Kept("%s %s" % (kind, title), reason))

    def common(self, names: Sequence[str], labels: Mapping[str, str]) -> str:
        """Why an object stays that its own rules would let go."""
        return out_of_scope(self.policy.only_labels, labels) or protected(self.policy.protection, names, labels)

    def known(self, moment: Optional[float]) -> Optional[float]:
        return known_moment(moment, self.now)

    def order(self, moment: Optional[float]) -> float:
        """For sorting by age, the oldest first: what is of unknown age may be new."""
        known = self.known(moment)
        return math.inf if known is None else known

    def too_young(self, moment: Optional[float], what: str) -> str:
        if self.policy.older_than <= 0:
            return ""
        known = self.known(moment)
        if known is None:
            return "its age is not known"
        age = self.now - known
        if age < self.policy.older_than:
            return "%s %s ago" % (what, format_duration(age))
        return ""

    def ago(self, moment: Optional[float]) -> str:
        known = self.known(moment)
        return "at an unknown time" if known is None else format_duration(self.now - known) + " ago"


Item = TypeVar("Item", Container, Image, CacheEntry)


def children_first(ordered: Sequence[Item], children: Mapping[str, Sequence[str]]) -> List[Item]:
    """In the order given, except that what was built upon something goes before it."""
    waiting = {item.id: item for item in ordered}
    found: List[Item] = []
    while waiting:
        free = [item for item in waiting.values() if not any(c in waiting for c in children.get(item.id, ()))]
        # Things that name each other as parents cannot be; they would go in any order.
        for item in free or list(waiting.values()):
            found.append(waiting.pop(item.id))
    return found
