# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waivers that name what there is not: told once, by the audit that they were meant for, and no other waiver is."""

from __future__ import annotations

from datetime import date

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.rule_names import rule_names
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.waiver_names import (
    Known,
    misnamed_waivers,
    named_nowhere,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.waiver import Waiver
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.port_audit import RULES

AUDITS = ("perm_audit", "secret_scan", "port_audit", "npm_audit")
MARK, ID = "1a2b3c4d" * 4, "env-readable-1a2b3c4d"
# What secret_scan has found out where a waiver looks like nothing known.
ELSEWHERE = frozenset(("github-pat", "shop-rule", ID, MARK))


def waiver(**named: str) -> Waiver:
    return Waiver("ticket 4", date(2999, 1, 1), **named)


def told(item: Waiver) -> dict[str, str]:
    """What each audit says of a waiver that covers nothing of what it has found."""
    said = {}
    for audit in AUDITS:
        elsewhere = ELSEWHERE if audit == "secret_scan" and named_nowhere([item]) else None
        own = {ID} if audit == "perm_audit" else set()
        for text in misnamed_waivers([item], Known(audit, ["own-rule"], own, {MARK} if own else set(), elsewhere)):
            said[audit] = text
    return said


@pytest.mark.parametrize(
    ("named", "audit", "meant"),
    [
        ({"rule": "env-readible"}, "perm_audit", "Is env-readable meant?"),
        ({"rule": "hard-coded-secrets", "target": "/srv/*"}, "secret_scan", "Is hard-coded-secret meant?"),
        ({"rule": "port-not-alowed"}, "port_audit", "Is port-not-allowed meant?"),
        ({"rule": "github-pad"}, "secret_scan", "Is github-pat meant?"),
        ({"rule": "unheard-of"}, "secret_scan", "Take it from the findings"),
        ({"rule": "xx-*"}, "secret_scan", "no audit has a rule of this name"),
        ({"fingerprint": "env-readable-1a2b3c4e"}, "perm_audit", "Is one of these meant? " + ID),
        ({"fingerprint": "env-readible-1a2b3c4d"}, "perm_audit", "Is one of these meant? " + ID),
        ({"fingerprint": "port-not-allowed-99999999"}, "port_audit", "Remove it where the finding is gone"),
        ({"fingerprint": "9" * 32}, "secret_scan", "no audit of this host knows this finding"),
    ],
)
def test_what_names_nothing_is_told_once_with_what_was_meant(named: dict[str, str], audit: str, meant: str) -> None:
    said = told(waiver(**named))
    assert list(said) == [audit] and meant in said[audit]
    assert next(iter(named.values())) in said[audit]


@pytest.mark.parametrize(
    "named",
    [
        {"target": "/srv/nothing/*"},
        {"rule": "env-*"},
        {"rule": "env-readable"},
        {"rule": "MPA-001"},
        {"rule": "own-rule"},
        {"rule": "github-pat"},
        {"rule": "github-*"},
        {"rule": "shop-rule"},
        {"rule": "GHSA-aaaa-bbbb-cccc"},
        {"rule": "waiver-expired"},
        {"fingerprint": ID},
        {"fingerprint": MARK},
        {"fingerprint": "GHSA-aaaa-bbbb-cccc-1a2b3c4d"},
    ],
)
def test_what_names_something_is_not_told(named: dict[str, str]) -> None:
    said = told(waiver(**named))
    # Only npm_audit knows its advisories, and what of it is gone is no other's business.
    assert not said or (list(said) == ["npm_audit"] and "fingerprint" in named), said


def test_what_was_waived_by_the_command_and_is_mended_is_not_told() -> None:
    item = Waiver("ticket 4", date(2999, 1, 1), "9" * 32, label="env-readable-99999999 (/srv/.env)", was_known=True)
    assert not told(item)


def test_every_rule_of_ours_is_listed() -> None:
    assert rule_names()["port_audit"] == RULES
