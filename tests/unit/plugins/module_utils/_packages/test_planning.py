# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked of apt, whatever it would take along."""

from __future__ import annotations

from collections.abc import Sequence

import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._packages.planning import (
    ALL,
    KEEP,
    NONE,
    SECURITY,
    SettledUpgrade,
    plan_upgrade,
    settle_upgrade,
    some_names,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._packages.reading import PackageChange, Update
from tests.support.modules import ROOT

NAMES = ["bash", "libssl3", "docker.io", "mongodb-org-server", "tzdata", "libc6:i386"]
UPDATES = st.lists(
    st.builds(
        Update,
        name=st.sampled_from(NAMES),
        installed=st.just("1"),
        candidate=st.just("2"),
        origin=st.just("x"),
        security=st.booleans(),
        held=st.sampled_from([False, False, True]),
    ),
    unique_by=lambda update: update.name,
)
# What each package takes along, and what it removes; what apt refuses.
WORLDS = st.fixed_dictionaries(
    {
        "along": st.dictionaries(st.sampled_from(NAMES), st.sampled_from([*NAMES, "new"]), max_size=2),
        "removes": st.dictionaries(st.sampled_from(NAMES), st.just("victim"), max_size=1),
        "refused": st.sets(st.sampled_from(NAMES), max_size=1),
        "together": st.booleans(),
    }
)


@given(UPDATES, st.sampled_from([NONE, SECURITY, ALL]), WORLDS)
def test_nothing_is_removed_and_what_is_to_stay_stays(updates: list[Update], upgrade: str, world: dict) -> None:
    def simulate(packages: Sequence[tuple[str, str]]) -> tuple[list[PackageChange] | None, str]:
        names = [name for name, _version in packages]
        if set(names) & world["refused"] or (len(names) > 1 and not world["together"]):
            return None, "unmet dependencies"
        changes = {name: PackageChange(name, "1", "2") for name in names}
        for name in names:
            if name in world["along"]:
                other = world["along"][name]
                changes.setdefault(other, PackageChange(other, "" if other == "new" else "1", "2"))
            if name in world["removes"]:
                changes["victim"] = PackageChange("victim", "1", "")
        return list(changes.values()), ""

    settled = settle_upgrade(updates, upgrade, KEEP, simulate)
    plan = plan_upgrade(updates, settled, upgrade, KEEP)
    held = {update.name for update in updates if update.held}
    for change in settled.changes:
        assert change.after
        assert change.name not in held | {"docker.io", "mongodb-org-server"}
    asked = {name for name, _version in settled.packages}
    if upgrade == SECURITY:
        assert asked <= {update.name for update in updates if update.security}
    assert asked <= {change.name for change in settled.changes}
    # Each update is either asked for or left alone with a reason, once.
    kept = [entry.target for entry in plan.kept]
    assert sorted([*asked, *kept]) == sorted(update.name for update in updates)
    assert len(plan.actions) == bool(asked)
    if upgrade == NONE:
        assert not asked


def test_one_that_takes_along_what_is_to_stay_does_not_hinder_the_others() -> None:
    updates = [Update(name, "1", "2", "x", True) for name in ("bash", "docker.io", "cli")]
    calls = []

    def simulate(packages: Sequence[tuple[str, str]]) -> tuple[list[PackageChange] | None, str]:
        calls.append(len(packages))
        changes = [PackageChange(name, "1", "2") for name, _version in packages]
        return changes + ([PackageChange("docker.io", "1", "2")] if ("cli", "2") in packages else []), ""

    settled = settle_upgrade(updates, SECURITY, KEEP, simulate)
    assert settled.packages == (("bash", "2"),)
    assert [entry.target for entry in settled.refused] == ["cli"]
    assert "docker.io, which is to stay" in settled.refused[0].reason
    assert calls == [2, 1, 1, 1]
    plan = plan_upgrade(updates, settled, SECURITY, KEEP)
    assert [(action.target, action.reason) for action in plan.actions] == [("bash 2", "1 security update")]
    assert "`keep` names docker.io" in next(entry.reason for entry in plan.kept if entry.target == "docker.io")


def test_what_is_needed_besides_is_said() -> None:
    settled = SettledUpgrade(
        (("a", "2"), ("b", "2")),
        (PackageChange("a", "1", "2"), PackageChange("b", "1", "2"), PackageChange("c", "", "1")),
    )
    updates = [Update("a", "1", "2", "x", True), Update("b", "1", "2", "x", False)]
    (action,) = plan_upgrade(updates, settled, ALL, ()).actions
    assert action.reason == "1 security update, 1 other; 1 more are needed for them"
    assert some_names(list("abcdefgh")) == "a, b, c, d, e, f and 2 more"


def test_the_role_keeps_what_the_module_keeps() -> None:
    defaults = yaml.safe_load((ROOT / "roles/os_packages/defaults/main.yml").read_text(encoding="utf-8"))
    assert defaults["os_packages_keep"] == KEEP


def test_a_host_is_rebooted_only_when_that_was_allowed_and_is_needed() -> None:
    tasks = yaml.safe_load((ROOT / "roles/os_packages/tasks/main.yml").read_text(encoding="utf-8"))
    (reboot,) = [task for task in tasks if "ansible.builtin.reboot" in task]
    assert set(reboot["when"]) == {
        "os_packages_reboot | bool",
        "os_packages_upgrade != 'none'",
        "os_packages_result.reboot_required | default(false)",
        "not ansible_check_mode",
    }
    defaults = yaml.safe_load((ROOT / "roles/os_packages/defaults/main.yml").read_text(encoding="utf-8"))
    assert defaults["os_packages_reboot"] is False and defaults["os_packages_upgrade"] == "none"


def test_an_upgrade_that_removes_something_is_left_out_and_what_is_on_hold_is_not_asked_for() -> None:
    updates = [Update("bash", "1", "2", "x", True), Update("clash", "1", "2", "x", True)]
    updates.append(Update("held", "1", "2", "x", True, True))
    asked: set[str] = set()

    def simulate(packages: Sequence[tuple[str, str]]) -> tuple[list[PackageChange] | None, str]:
        asked.update(name for name, _version in packages)
        changes = [PackageChange(name, "1", "2") for name, _version in packages]
        return changes + ([PackageChange("victim", "1", "")] if ("clash", "2") in packages else []), ""

    settled = settle_upgrade(updates, SECURITY, (), simulate)
    assert settled.packages == (("bash", "2"),) and asked == {"bash", "clash"}
    kept = {entry.target: entry.reason for entry in plan_upgrade(updates, settled, SECURITY, ()).kept}
    assert set(kept) == {"clash", "held"}
    assert "victim would be removed" in kept["clash"] and "on hold" in kept["held"]
