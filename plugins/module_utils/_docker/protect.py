# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which objects are out of reach whatever else is asked for. Pure."""

from __future__ import annotations

import fnmatch
from typing import Any, Mapping, Optional, Sequence, Tuple

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .inventory import PROJECT_LABEL, STACK_LABEL

KEYS = ("labels", "names", "projects")


@dataclass(frozen=True)
class Protection:
    """labels: `key` or `key=value`; names: shell patterns; projects: names of compose projects and stacks."""

    labels: Tuple[str, ...] = ()
    names: Tuple[str, ...] = ()
    projects: Tuple[str, ...] = ()


def parse_protection(value: Optional[Mapping[str, Any]]) -> Protection:
    """The option `protect` as data.

    Raises:
        MaintenanceError: it has an unknown key or something that is no list: what was meant to be protected would not be.
    """
    given = dict(value or {})
    unknown = sorted(set(given) - set(KEYS))
    if unknown:
        raise MaintenanceError(
            "protect has no such key", target=", ".join(unknown), next_step="Its keys are labels, names and projects."
        )
    for key, items in given.items():
        if items is not None and not (isinstance(items, (list, tuple)) and all(isinstance(i, str) for i in items)):
            raise MaintenanceError(
                "a list of strings is wanted", target="protect.%s" % key, next_step="Write it as a list."
            )
    return Protection(*(tuple(given.get(key) or ()) for key in KEYS))


def has_label(labels: Mapping[str, str], wanted: str) -> bool:
    """Whether `key` is set, or with `key=value` whether it is set to exactly that."""
    key, separator, value = wanted.partition("=")
    return key in labels and (not separator or labels[key] == value)


def protected(protection: Protection, names: Sequence[str], labels: Mapping[str, str]) -> str:
    """Why an object must stay, "" when nothing protects it."""
    for wanted in protection.labels:
        if has_label(labels, wanted):
            return "protected by its label %s" % wanted
    for pattern in protection.names:
        if any(fnmatch.fnmatchcase(name, pattern) for name in names):
            return "protected by the name pattern %s" % pattern
    for label, what in ((PROJECT_LABEL, "compose project"), (STACK_LABEL, "stack")):
        if labels.get(label, "") in protection.projects and labels.get(label):
            return "protected: it belongs to the %s %s" % (what, labels[label])
    return ""


def out_of_scope(only_labels: Sequence[str], labels: Mapping[str, str]) -> str:
    """Why an object is not even considered, "" when it is."""
    if only_labels and not any(has_label(labels, wanted) for wanted in only_labels):
        return "has none of the labels in only_labels"
    return ""


def names_project(only_labels: Sequence[str], project: str) -> bool:
    """Whether only_labels names this compose project: only so do its containers come into reach."""
    return "%s=%s" % (PROJECT_LABEL, project) in only_labels
