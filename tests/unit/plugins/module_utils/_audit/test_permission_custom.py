# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the option `rules` may say, and what baselines know after a rule was renamed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.audit_state import Memory
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.permission_custom import rule_set
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.permission_rules import RULES
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.renamed_rules import (
    waivers_with_current_names,
    with_current_names,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import utc_now
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.finding import (
    Finding,
    finding_id,
    fingerprint,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.judgement import (
    BaselineEntry,
    Remembered,
    judge_findings,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.waiver import Waiver

OWN = {"id": "shop-x", "title": "executable", "any_bits": "0111"}


def test_ids_are_stable() -> None:
    """An id stands in waivers and tickets: it never changes its meaning."""
    assert [(rule.id, rule.name) for rule in RULES.values()][:5] == [
        ("MPA-001", "env-readable"),
        ("MPA-002", "env-group-access"),
        ("MPA-003", "secret-readable"),
        ("MPA-004", "secret-group-access"),
        ("MPA-005", "secret-owner"),
    ]
    assert [rule.id for rule in RULES.values()] == ["MPA-%03d" % number for number in range(1, len(RULES) + 1)]


def test_names_and_ids_choose_and_mappings_change_or_add() -> None:
    assert rule_set(None).chosen == frozenset(RULES) and rule_set(None).whole
    assert rule_set([]).chosen == frozenset()
    assert rule_set(["MPA-001", "secret-owner"]).chosen == {"env-readable", "secret-owner"}
    changed = rule_set([{"id": "MPA-005", "severity": "critical", "title": "ours"}])
    assert changed.whole and changed.rules["secret-owner"].severity == "critical"
    assert RULES["secret-owner"].severity == "medium"
    off = rule_set([{"id": "secret-owner", "enabled": False}])
    assert off.chosen == frozenset(RULES) - {"secret-owner"} and not off.whole
    assert rule_set([OWN]).chosen == frozenset(RULES) | {"shop-x"}
    assert rule_set(["env-readable", OWN]).chosen == {"env-readable", "shop-x"}
    assert rule_set([OWN, {"id": "shop-x", "enabled": "no"}]).chosen == frozenset(RULES)


def test_a_rule_of_ones_own_asks_for_all_its_conditions() -> None:
    own = {**OWN, "names": ["*.js"], "paths": ["uploads/*"], "no_bits": "0200", "owners": ["root"]}
    rules = rule_set([own])

    def broken(mode: int = 0o555, name: str = "a.js", below: str = "uploads/a.js", owner: str = "www-data") -> bool:
        return "shop-x" in {rule.name for rule in rules.broken("file", mode, {}, name, below, owner)}

    assert broken()
    assert not broken(mode=0o755) and not broken(mode=0o444)
    assert not broken(name="a.ts") and not broken(below="other/a.js") and not broken(owner="root")
    assert rules.every_file is False and rules.file_bits & 0o111 == 0o111
    assert rule_set([{"id": "every", "title": "t", "owners": ["root"]}]).every_file
    assert rule_set([{"id": "every", "title": "t", "kind": "directory", "names": ["x"]}]).every_directory


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (7, "neither a name nor a mapping"),
        ({}, "it has no id"),
        ({"id": "x y", "title": "t", "any_bits": "1"}, "no rule has this id"),
        ({"id": "MPA-999", "title": "t", "any_bits": "1"}, "no rule has this id"),
        ({"id": "x", "title": "t"}, "broken by everything"),
        ({"id": "x", "any_bits": "0111"}, "no title"),
        ({**OWN, "any_bits": 73}, "any_bits is 73"),
        ({**OWN, "any_bits": "0988"}, "any_bits is '0988'"),
        ({**OWN, "severity": "grave"}, "severity is 'grave'"),
        ({**OWN, "kind": "link"}, "kind is 'link'"),
        ({**OWN, "names": "*.js"}, "names is '\\*.js'"),
        ({**OWN, "about": ["sekret"]}, "about has no sekret"),
        ({**OWN, "bits": "1"}, "it has no bits"),
        ({**OWN, "enabled": "perhaps"}, "enabled is 'perhaps'"),
        ({**OWN, "fix": True}, "does not mend it"),
        ({"id": "env-readable", "remove": "0777"}, "remove of a rule of this collection cannot be changed"),
        ({"id": "secret-owner", "fix": True}, "does not mend it"),
        ("no-such-rule", "no such rule in rules"),
    ],
)
def test_a_rule_that_cannot_be_understood_is_named(item: Any, message: str) -> None:
    with pytest.raises(MaintenanceError, match=message):
        rule_set([item])


def test_a_renamed_rule_makes_no_news() -> None:
    key = b"k" * 32
    old = Finding("shop-old", "medium", "/srv/x", "", "", scope="/srv")
    waived = replace(old, target="/srv/y")
    other = Finding("env-readable", "high", "/srv/.env", "", "", scope="/srv")

    def entries(*findings: Finding) -> dict[str, dict[str, BaselineEntry]]:
        return {
            "/srv": {
                fingerprint(key, item): BaselineEntry(item.rule, item.target, item.severity, "2026-01-01")
                for item in findings
            }
        }

    mark = fingerprint(key, waived)
    word = Waiver("reason", date(2999, 1, 1), fingerprint=mark)
    by_id = replace(word, fingerprint=finding_id("shop-old", mark))
    before = Remembered(entries(old, other), entries(waived), frozenset(["shop-old", "env-readable"]))
    memory = Memory(key, False, "", before, "", waivers=(word,))
    rules = rule_set([{**OWN, "former": ["shop-old"]}]).rules
    found = [replace(old, rule="shop-x"), replace(waived, rule="shop-x"), other]

    def judged(known: Remembered, waivers: Any) -> Any:
        return judge_findings(found, known, waivers, "low", key, utc_now(), ["/srv"], all_rules=list(rules))

    assert [item.status for item in judged(before, [word]).findings].count("new") == 2
    renamed, marks = with_current_names(memory, rules)
    for waivers in (renamed.waivers, waivers_with_current_names([by_id], rules, marks)):
        after = judged(renamed.remembered, waivers)
        assert {item.target: item.status for item in after.findings} == {
            "/srv/x": "known",
            "/srv/y": "waived",
            "/srv/.env": "known",
        }
        assert after.resolved == [] and after.failing == [] and not after.by_new_rules
        assert {entry.since for entry in after.baseline["/srv"].values()} == {"2026-01-01"}
    assert with_current_names(memory, RULES)[0] is memory
    [by_rule] = waivers_with_current_names([Waiver("r", date(2999, 1, 1), rule="MPA-001")], rules, {})
    assert by_rule.rule == "env-readable"
    assert rule_set([{**OWN, "former": ["shop-old"]}, "shop-old"]).chosen == {"shop-x"}
