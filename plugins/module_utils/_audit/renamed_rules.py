# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host knows by the former name of a rule, under its present one: nothing becomes news by being renamed. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, Iterable, Mapping, Tuple

from .._core.finding import Finding, finding_id, fingerprint
from .._core.judgement import Baseline, BaselineEntry, Remembered
from .._core.waiver import Waiver
from .audit_state import Memory
from .permission_rules import Rule, current_names


def with_current_names(memory: Memory, rules: Mapping[str, Rule]) -> Tuple[Memory, Dict[str, str]]:
    """What the host remembers with the present names of rules.

    Returns:
        The memory, its waivers too, and the present fingerprint of each finding that was renamed, by its former
        fingerprint and by its former id.
    """
    names = {former: rule.name for rule in rules.values() for former in rule.former}
    if not names:
        return memory, {}
    marks: Dict[str, str] = {}
    before = memory.remembered
    after = Remembered(
        _renamed(before.baseline, memory.key, names, marks),
        _renamed(before.open, memory.key, names, marks),
        None if before.rules is None else before.rules | {names[rule] for rule in before.rules if rule in names},
    )
    return replace(memory, remembered=after, waivers=waivers_with_current_names(memory.waivers, rules, marks)), marks


def waivers_with_current_names(
    waivers: Iterable[Waiver], rules: Mapping[str, Rule], marks: Mapping[str, str]
) -> Tuple[Waiver, ...]:
    """Waivers, each of which may name a rule by its id or as it was called before, and a finding by what it was known by."""
    names = current_names(rules)
    return tuple(
        replace(
            waiver,
            rule=names.get(waiver.rule, waiver.rule),
            fingerprint=marks.get(waiver.fingerprint, waiver.fingerprint),
        )
        for waiver in waivers
    )


def _renamed(
    scopes: Mapping[str, Mapping[str, BaselineEntry]], key: bytes, names: Mapping[str, str], marks: Dict[str, str]
) -> Baseline:
    renamed: Baseline = {}
    for scope, entries in scopes.items():
        known = renamed.setdefault(scope, {})
        for mark, entry in entries.items():
            name = names.get(entry.rule)
            finding = Finding(entry.rule, entry.severity, entry.target, "", "")
            # Of a finding with a subject of its own only the fingerprint is known: it cannot be carried over.
            if name is None or fingerprint(key, finding) != mark:
                known[mark] = entry
                continue
            present = fingerprint(key, replace(finding, rule=name))
            marks[mark] = marks[finding_id(entry.rule, mark)] = present
            known.setdefault(present, replace(entry, rule=name))
    return renamed
