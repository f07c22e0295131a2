# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waivers that name a rule or a finding that there is not: they cover nothing, and whoever wrote them believes otherwise. Pure.

Waivers are given to all audits alike. Each tells of those that were most likely meant for it, so that one is told once; of those
that look like nothing known secret_scan tells, which can ask Kingfisher what its rules are called.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from dataclasses import field
from typing import Collection, Dict, FrozenSet, Iterable, List, Optional, Sequence, Tuple

from .._core.late_dataclass import dataclass
from .._core.waiver import Waiver
from .rule_names import rule_names

# So alike are a name and the same with a slip of the pen in it; a rule of one's own is less like one of ours.
_SLIP, _SIMILAR = 0.85, 0.6
_ID = re.compile(r"^(.+)-[0-9a-f]{8}$")
_MARK = re.compile(r"^[0-9a-f]{32}$")
_ANYBODY = "anybody"
# Advisories come and go, and what expires is told by each audit.
_FOREIGN = re.compile(r"^(?:GHSA-|npm-advisory-|waiver-expired)")


@dataclass(frozen=True)
class Known:
    """What there is for waivers to name.

    Attributes:
        audit: the one that asks.
        rules: its rules, as far as they can be listed.
        ids: of its findings, now and at the last audits; marks: their fingerprints.
        elsewhere: the rules that are known nowhere else, those of Kingfisher and of this host's earlier audits, and the ids and
            fingerprints of all audits' findings; None where nobody has asked.
    """

    audit: str
    rules: Collection[str] = ()
    ids: Collection[str] = ()
    marks: Collection[str] = ()
    elsewhere: Optional[FrozenSet[str]] = field(default=None, repr=False)


def named_nowhere(waivers: Iterable[Waiver]) -> bool:
    """Whether what one of these names looks like no rule of ours, so that more has to be asked."""
    names = rule_names()
    return any(_addressee(waiver, names)[0] == "" for waiver in waivers)


def misnamed_waivers(idle: Sequence[Waiver], known: Known) -> List[str]:
    """A sentence on each waiver that names what there is not.

    Args:
        idle: waivers that are not over and cover nothing that was found.
        known: what there is.
    """
    names = rule_names()
    names[known.audit] = names.get(known.audit, frozenset()) | frozenset(known.rules)
    told = []
    for waiver in idle:
        audit, nearest = _addressee(waiver, names)
        if audit != known.audit and (audit or known.elsewhere is None):
            continue
        text = _strange_finding(waiver, known) if waiver.fingerprint else _strange_rule(waiver, names, nearest, known)
        if text and text not in told:
            told.append(text)
    return told


def _addressee(waiver: Waiver, names: Dict[str, FrozenSet[str]]) -> Tuple[str, str]:
    """The audit that a waiver was meant for, "" where that cannot be told, and the nearest name where it names none."""
    rule = waiver.rule
    if waiver.fingerprint:
        match = _ID.match(waiver.fingerprint)
        rule = match.group(1) if match else ""
    elif not rule:
        return _ANYBODY, ""
    if _FOREIGN.match(rule):
        return ("npm_audit" if waiver.fingerprint else _ANYBODY), ""
    for audit, rules in names.items():
        if any(fnmatch.fnmatchcase(name, rule) for name in rules):
            return audit, ""
    everything = sorted(name for rules in names.values() for name in rules)
    nearest = (difflib.get_close_matches(rule, everything, 1, _SLIP) or [""])[0]
    return next((audit for audit, rules in names.items() if nearest in rules), ""), nearest


def _strange_rule(waiver: Waiver, names: Dict[str, FrozenSet[str]], nearest: str, known: Known) -> str:
    every = {name for rules in names.values() for name in rules} | (known.elsewhere or frozenset())
    if any(fnmatch.fnmatchcase(name, waiver.rule) for name in every):
        return ""
    near = [nearest] if nearest else difflib.get_close_matches(waiver.rule, sorted(every), 1, _SIMILAR)
    return "The waiver %s covers nothing: no audit has a rule of this name.%s" % (
        waiver,
        " Is %s meant?" % near[0] if near else " Take it from the findings of an audit.",
    )


def _strange_finding(waiver: Waiver, known: Known) -> str:
    mark = waiver.fingerprint
    if waiver.was_known or mark in (known.elsewhere or ()) or mark in known.ids or mark in known.marks:
        return ""
    among = known.marks if _MARK.match(mark) else known.ids
    near = difflib.get_close_matches(mark, sorted(among), 3, _SIMILAR)
    step = " Is one of these meant? %s." % ", ".join(near) if near else " Remove it where the finding is gone."
    return "The waiver %s covers nothing: no audit of this host knows this finding.%s" % (waiver, step)
