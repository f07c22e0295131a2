# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a new lock file changes, and whether semantic versioning allows it. Pure."""

from __future__ import annotations

import json
from typing import Any, Dict, FrozenSet, List, Mapping, Sequence, Tuple

from .._core.errors import MaintenanceError
from .._core.finding import printable
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Plan
from .npm import update_kind
from .npm_project import parse_lock

_MODULES = "node_modules/"
# npm writes this one where a package has no tests, and it fails (npm init).
_NO_TEST = "no test specified"
USUAL_SCRIPTS = ("build", "test")
_TOLD = 8


@dataclass(frozen=True)
class LockChange:
    """What becomes of one package.

    Attributes:
        place: where it lies below the project (``node_modules/express``).
        before, after: its versions; "" where it is new, or goes.
        direct: the project's own package.json asks for it.
    """

    place: str
    name: str
    before: str
    after: str
    direct: bool = False

    @property
    def update(self) -> str:
        """major, minor, patch, none (it goes back), unknown, added or removed."""
        if not self.before:
            return "added"
        return update_kind(self.before, self.after) if self.after else "removed"

    def __str__(self) -> str:
        words = "%s -> %s" % (self.before or "new", self.after or "removed")
        return "%s %s" % (printable(self.name), printable(words))

    def as_dict(self) -> Dict[str, Any]:
        return {
            "name": printable(self.name),
            "place": printable(self.place),
            "before": self.before,
            "after": self.after,
            "update": self.update,
            "direct": self.direct,
        }


@dataclass(frozen=True)
class ReplaceLock:
    """Put the tried lock file in the place of the project's.

    Attributes:
        before, after: SHA-256 of what is there, and of what comes.
        package: SHA-256 of the package.json that it was made for.
        scripts: of package.json, which must pass in the copy.
        install: also put the tried dependencies, and what was built, in place.
    """

    project: str
    lock: str
    before: str
    after: str
    package: str
    scripts: Tuple[str, ...]
    install: bool
    undo_id: str


@dataclass(frozen=True)
class NpmProposal:
    """What npm would do to a lock file.

    Attributes:
        lock: its name. before, after: what it holds, and would hold.
        left: what a package's range would allow and is left alone, each with the reason.
        problem: why it could not be asked for all, "" when it could.
    """

    lock: str
    before: bytes
    after: bytes
    package: bytes
    changes: Tuple[LockChange, ...] = ()
    left: Tuple[Kept, ...] = ()
    problem: str = ""


def read_object(data: bytes, target: str) -> Dict[str, Any]:
    """Raises MaintenanceError: it is no JSON object."""
    try:
        found = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise MaintenanceError("this is no JSON", target=target, next_step="Correct the file.") from error
    if not isinstance(found, dict):
        raise MaintenanceError("this is no JSON object", target=target, next_step="Correct the file.")
    return found


def direct_places(lock: Mapping[str, Any], package: Mapping[str, Any]) -> FrozenSet[str]:
    """Where the packages lie that package.json, or one of the project's workspaces, asks for. Pure."""
    packages = lock.get("packages")
    askers: Dict[str, Any] = {"": package}
    if isinstance(packages, Mapping):
        askers.update({place: about for place, about in packages.items() if place and _MODULES not in place})
    found = set()
    for place, about in askers.items():
        if not isinstance(about, Mapping):
            continue
        for kind in ("dependencies", "devDependencies", "optionalDependencies"):
            names = about.get(kind)
            for name in names if isinstance(names, Mapping) else ():
                own = (place + "/" if place else "") + _MODULES + name
                found.add(own if isinstance(packages, Mapping) and own in packages else _MODULES + name)
    return frozenset(found)


def lock_changes(before: Mapping[str, Any], after: Mapping[str, Any], direct: FrozenSet[str]) -> Tuple[LockChange, ...]:
    """Each package whose version changes, by its place. Pure.

    Raises:
        MaintenanceError: a version that stays would have another content.
    """
    old, new = parse_lock(before).locked, parse_lock(after).locked
    changes = []
    for place in sorted(set(old) | set(new)):
        if old.get(place) == new.get(place):
            _refuse_other_content(place, before, after)
            continue
        name = place.rpartition(_MODULES)[2]
        changes.append(LockChange(place, name, old.get(place, ""), new.get(place, ""), place in direct))
    return tuple(changes)


def _refuse_other_content(place: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    marks = []
    for lock in (before, after):
        packages = lock.get("packages")
        about = packages.get(place) if isinstance(packages, Mapping) else None
        marks.append(str((about or {}).get("integrity") or "") if isinstance(about, Mapping) else "")
    same_kind = marks[0].partition("-")[0] == marks[1].partition("-")[0]
    if all(marks) and same_kind and marks[0] != marks[1]:
        raise MaintenanceError(
            "the registry gives another content for a version that stays the same",
            target=place,
            next_step="Nothing was changed. Find out why before anything is installed from it.",
        )


def beyond(changes: Sequence[LockChange]) -> List[LockChange]:
    """What would be a major update of something that the project itself asks for: its range says so, semantic versioning does not. Pure."""
    return [change for change in changes if change.direct and change.update == "major"]


def left_alone(changes: Sequence[LockChange]) -> Tuple[Kept, ...]:
    """Pure."""
    return tuple(
        Kept(printable(change.name), "%s -> %s is a major update, although its range allows it" % (change.before, change.after))
        for change in changes
    )  # fmt: skip


def chosen_scripts(package: Mapping[str, Any], wanted: Any, project: str) -> Tuple[str, ...]:
    """The scripts of package.json that have to pass. Pure.

    Args:
        wanted: names; None for the usual ones as far as there are any.

    Raises:
        MaintenanceError: one is missing, or there is none at all.
    """
    there = package.get("scripts")
    there = there if isinstance(there, Mapping) else {}
    real = [name for name in there if not (name == "test" and _NO_TEST in str(there[name]))]
    if wanted is not None:
        missing = [name for name in wanted if name not in real]
        if missing:
            raise MaintenanceError(
                "package.json has no such script: %s" % ", ".join(missing),
                target=project,
                next_step="Name some of: %s." % (", ".join(sorted(real)) or "none, as it has no scripts"),
            )
        return tuple(wanted)
    found = tuple(name for name in USUAL_SCRIPTS if name in real)
    if not found:
        raise MaintenanceError(
            "nothing shows whether the project works with other versions: its package.json has neither a script build nor a script test",
            target=project,
            next_step="Name others in scripts, or set it to [] to be content with their installation. Nothing was changed.",
        )
    return found


def some_changes(changes: Sequence[LockChange]) -> str:
    """The first few in words, those that the project asks for first. Pure."""
    ordered = sorted(changes, key=lambda change: (not change.direct, change.name))
    words = ", ".join(str(change) for change in ordered[:_TOLD])
    more = len(ordered) - _TOLD
    return words + (" and %d more" % more if more > 0 else "")


def plan_lock(proposal: NpmProposal, work: ReplaceLock) -> Plan[ReplaceLock]:
    """Pure."""
    plan: Plan[ReplaceLock] = Plan(kept=list(proposal.left))
    if proposal.after != proposal.before:
        verb = "install_dependencies" if work.install else "replace_lock_file"
        # npm also writes what is no version, such as a licence that it has learned of.
        reason = some_changes(proposal.changes) or "no version changes"
        plan.actions.append(Action(verb, "%s/%s" % (work.project, work.lock), reason, work))
    return plan
