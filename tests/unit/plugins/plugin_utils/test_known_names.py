# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.plugin_utils.known_names import (
    Names,
    distance,
    known_variables,
    misspelt_tags,
    misspelt_variables,
    named_variable,
    slips,
)
from tests.tools import role_docs

ROLES = sorted(path for path in (role_docs.ROOT / "roles").iterdir() if path.is_dir())
OURS = {variable.name for role in ROLES for variable in role_docs.variables(role)}
NAMES = known_variables()
WORDS = st.text("abc_", max_size=6)


def by_hand(one: str, other: str) -> int:
    """The distance, by its definition."""
    if not one or not other:
        return len(one) + len(other)
    if one[-1] == other[-1]:
        return by_hand(one[:-1], other[:-1])
    ways = [by_hand(one[:-1], other), by_hand(one, other[:-1]), by_hand(one[:-1], other[:-1])]
    if len(one) > 1 and len(other) > 1 and one[-1] == other[-2] and one[-2] == other[-1]:
        ways.append(by_hand(one[:-2], other[:-2]))
    return 1 + min(ways)


@given(WORDS, WORDS, st.integers(0, 8))
def test_the_distance_is_the_least_number_of_slips(one: str, other: str, most: int) -> None:
    assert distance(one, other, most) == min(by_hand(one, other), most + 1)


def test_every_variable_of_the_roles_is_known_and_what_all_share() -> None:
    assert NAMES.options >= OURS
    assert NAMES.prefixes == {"miniecom", *(role.name for role in ROLES)}
    shared = {name for name in NAMES.options if name.startswith("miniecom_")}
    readme = (role_docs.ROOT / "README.md").read_text(encoding="utf-8")
    assert {name for name in shared if f"| `{name}` |" in readme} >= {
        "miniecom_hosts",
        "miniecom_root",
        "miniecom_takeover",
    }
    assert {"backup_result", "context_run", "report_failures", "report_room_docker_result"} <= NAMES.results


@pytest.mark.parametrize("strict", [False, True])
def test_what_is_ours_is_never_misspelt(strict: bool) -> None:
    assert misspelt_variables(NAMES.options | NAMES.results, NAMES, strict=strict) == []


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "wrong, right",
    [
        ("backup_fresh_withn", "backup_fresh_within"),
        ("backup_keep_dayly", "backup_keep_daily"),
        ("miniecom_rot", "miniecom_root"),
        ("miniecom_state_dri", "miniecom_state_dir"),
        ("security_audit_failon", "security_audit_fail_on"),
        ("maintenance_mode_during_runs", "maintenance_mode_during_run"),
        ("mongo_maintenance_min_reclaimabel", "mongo_maintenance_min_reclaimable"),
    ],
)
def test_a_slip_is_named_with_what_was_meant(wrong: str, right: str, strict: bool) -> None:
    assert misspelt_variables([wrong], NAMES, strict=strict) == [f"There is no variable {wrong}. Is {right} meant?"]
    assert misspelt_variables([wrong], NAMES, [wrong], strict) == []
    assert misspelt_variables([wrong], NAMES, ["*_*"], strict) == []


# What other roles and inventories have that begins alike.
OTHERS = [
    *("backup_server", "backup_host", "backup_dir", "backup_path", "backup_user", "backup_root", "backup_exclude"),
    *("backup_keep", "backup_keep_yearly", "logs_dir", "logs_path", "logs_owner", "context_host", "report_email"),
    *("report_path", "miniecom_version", "miniecom_domain", "miniecom_user", "health_check_path", "disk_check_enabled"),
]


@pytest.mark.parametrize("name", OTHERS)
def test_what_begins_alike_in_an_inventory_may_be_somebody_elses(name: str) -> None:
    assert misspelt_variables([name], NAMES) == []
    assert len(misspelt_variables([name], NAMES, strict=True)) == 1


def test_a_command_for_ours_alone_names_what_there_is() -> None:
    (told,) = misspelt_variables(["context_zzzzzzzz"], NAMES, strict=True)
    assert "There are: context_cron_paths, " in told
    assert "backup" not in told
    assert misspelt_variables(["bakup_dest"], NAMES, strict=True) == [
        "There is no variable bakup_dest. Is backup_dest meant?"
    ]
    assert misspelt_variables(["bakup_dest", "awx_user_name", "reason"], NAMES) == []


@settings(deadline=None)
@given(st.sampled_from(sorted(OURS)), st.randoms(use_true_random=False))
def test_one_wrong_letter_in_any_of_ours_is_noticed(name: str, dice: random.Random) -> None:
    place = dice.randrange(name.index("_") + 1, len(name))
    wrong = name[:place] + "x" + name[place:]
    if wrong not in NAMES.options | NAMES.results:
        assert slips(wrong, NAMES.options)
        assert len(misspelt_variables([wrong], NAMES, strict=True)) == 1


SMALL = Names(frozenset({"miniecom", "backup"}), frozenset({"backup_dest"}), frozenset())


def test_tags() -> None:
    known = {"backup", "backup_rotate", "always", "web1"}
    assert misspelt_tags(["backup", "all", "tagged", "never"], known, SMALL, True) == []
    assert misspelt_tags(["bakup"], known, SMALL, False) == [
        "No task of this playbook has the tag bakup. Is backup meant?"
    ]
    assert misspelt_tags(["web2", "deploy"], known, SMALL, False) == [], "tags of tasks that are included are not seen"
    assert misspelt_tags(["zzz"], known, SMALL, True) == [
        "No task of this playbook has the tag zzz. There are: backup, backup_rotate, web1."
    ]
    assert misspelt_tags(["zzz"], {"always"}, SMALL, True) == [
        "No task of this playbook has the tag zzz. There are none."
    ]


@pytest.mark.parametrize(
    "said, role, told",
    [
        ("argument 'warn' is of type str", "disk_check", "disk_check_warn is of type str"),
        ("value of findings must be one of: a", "report", "value of report_findings must be one of: a"),
        (
            "not a duration: 'soonish'. Write numbers",
            "backup",
            "backup_fresh_within: not a duration: 'soonish'. Write numbers",
        ),
        ("not a size: 'soonish'.", "logs", "backup_fresh_within: not a size: 'soonish'."),
        ("not a duration: 'later'.", "backup", "not a duration: 'later'."),
        ("argument 'zzz' is of type str", "disk_check", "argument 'zzz' is of type str"),
        ("cannot connect: 'soonish'", "backup", "cannot connect: 'soonish'"),
    ],
)
def test_what_is_wrong_is_told_by_the_variable_that_was_typed(said: str, role: str, told: str) -> None:
    given = {"backup_fresh_within": "soonish", "a_stranger": "soonish", "zzz": "later"}
    assert named_variable(said, role, given, NAMES) == told
