# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of perm_audit one by one: which of them write, and what a report rests on."""

from __future__ import annotations

import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.permission_custom import rule_set
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.permission_problems import problems_of
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.undo_store import read_undo
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import utc_now
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import AbortPlan, MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import (
    DONE,
    Result,
    Results,
    Verification,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.run_context import RunContext
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.undo_note import undo_path
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations import permission_audit


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    root.mkdir()
    for name in (".env", "site.key"):
        (root / name).write_text("x")
        (root / name).chmod(0o644)
    return root


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


def task(shop: Path, state_dir: Path, **more: Any) -> Any:
    params = {
        "paths": [str(shop)], "backups": [], "exclude": [], "rules": None, "docker_socket": [], "fix": True, "readers": [], "service_users": [], "undo": None,
        "fail_on": "high", "waivers": [], "update_baseline": False, "sarif": None, **more,
    }  # fmt: skip
    call: Any = SimpleNamespace(params=params, check=False, run=RunContext(None, str(state_dir)))
    return permission_audit.PermissionAudit(call)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def carried_out(steps: Any, observation: Any, plan: Any) -> Any:
    for action in plan.actions:
        steps.act(action, observation)
    return Results(False, list(plan.actions), [Result(action, DONE) for action in plan.actions])


def test_before_the_first_action_nothing_is_written_and_nothing_kept(shop: Path, state_dir: Path) -> None:
    steps = task(shop, state_dir)
    before = dict(vars(steps))
    observation = steps.observe()
    now = utc_now()
    plan = steps.plan(observation, now)
    assert plan == steps.plan(observation, now) and len(plan.actions) == 2
    results = Results(True, list(plan.actions))
    report = steps.report(observation, plan, results)
    assert report == steps.report(observation, plan, results) and report.changed
    assert "would narrow 2 modes" in report.headline and "undo_id" not in report.values
    assert vars(steps) == before and not state_dir.exists() and mode(shop / ".env") == 0o644


def test_the_note_of_all_changes_stands_before_the_first_and_again_when_it_went(shop: Path, state_dir: Path) -> None:
    steps = task(shop, state_dir)
    observation = steps.observe()
    plan = steps.plan(observation, utc_now())
    undo_id = plan.actions[0].work.undo_id
    note = Path(undo_path(str(state_dir), undo_id))
    steps.act(plan.actions[0], observation)
    assert {change.path for change in read_undo(str(state_dir), undo_id)} == {
        str(shop / ".env"),
        str(shop / "site.key"),
    }
    written = note.stat().st_mtime_ns
    note.unlink()
    steps.act(plan.actions[1], observation)
    assert len(read_undo(str(state_dir), undo_id)) == 2 and note.stat().st_mtime_ns != written
    assert mode(shop / ".env") == mode(shop / "site.key") == 0o600


def test_without_a_note_no_mode_is_changed(shop: Path, state_dir: Path) -> None:
    state_dir.mkdir()
    (state_dir / "undo").write_text("in the way")
    steps = task(shop, state_dir)
    observation = steps.observe()
    for action in steps.plan(observation, utc_now()).actions:
        with pytest.raises(AbortPlan, match="nothing was changed"):
            steps.act(action, observation)
    assert mode(shop / ".env") == mode(shop / "site.key") == 0o644


def test_the_report_rests_on_the_second_look(shop: Path, state_dir: Path) -> None:
    steps = task(shop, state_dir)
    observation = steps.observe()
    plan = steps.plan(observation, utc_now())
    results = carried_out(steps, observation, plan)
    (shop / ".env").chmod(0o666)
    (shop / "site.key").unlink()
    results.verification = steps.verify(observation, plan, results)
    assert "not what it was just set to" in str(results.verification.failure)
    told = {(item["rule"], item["status"]) for item in steps.report(observation, plan, results).values["findings"]}
    assert ("env-readable", "known") in told and ("secret-readable", "fixed") in told


def test_without_a_second_look_the_report_tells_what_was_set(shop: Path, state_dir: Path) -> None:
    steps = task(shop, state_dir)
    observation = steps.observe()
    plan = steps.plan(observation, utc_now())
    results = carried_out(steps, observation, plan)
    results.verification = Verification(failure=MaintenanceError("cannot look again"))
    report = steps.report(observation, plan, results)
    assert {item["status"] for item in report.values["findings"]} == {"fixed"}
    assert report.record["undo_id"] == report.values["undo_id"] == plan.actions[0].work.undo_id
    assert not (state_dir / "baselines").exists()
    steps.remember(observation, plan, results)
    assert (state_dir / "baselines" / "perm_audit.json").exists()


def test_what_a_fix_left_alone_is_told_with_the_reason(shop: Path, state_dir: Path) -> None:
    for number in range(12):
        (shop / f"hard{number}.key").hardlink_to(shop / "site.key")
    steps = task(shop, state_dir)
    observation = steps.observe()
    plan = steps.plan(observation, utc_now())
    warnings = steps.report(observation, plan, Results(True, list(plan.actions))).warnings
    told = [warning for warning in warnings if warning.startswith("left alone")]
    assert len(told) == permission_audit.MOST_TOLD + 1 and "hard links" in told[0] and "3 more" in told[-1]


def broken(observation: Any) -> set[tuple[str, str]]:
    rules = rule_set(None)
    problems = problems_of(observation.objects, observation.sockets, observation.unreadable, rules)
    return {(problem.rule.name, problem.path) for problem in problems}


def test_backups_on_another_disk_are_audited_where_the_link_leads(shop: Path, state_dir: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk" / "dumps"
    disk.mkdir(parents=True)
    (disk / "20261130_020000.tar.gz").touch(mode=0o644)
    (shop / "storage").mkdir()
    (shop / "storage" / "backups").symlink_to(disk)
    elsewhere = task(shop, state_dir, rules=["backup-readable", "link-outside"]).observe()
    assert broken(elsewhere) == {("link-outside", str(shop / "storage" / "backups"))}
    store = str(shop / "storage" / "backups")
    found = task(shop, state_dir, rules=["backup-readable", "link-outside"], backups=[store]).observe()
    assert broken(found) == {("backup-readable", str(disk / "20261130_020000.tar.gz"))}
    assert found.scopes == (str(shop), str(disk))


def test_a_directory_of_backups_by_another_name_is_told_once(shop: Path, state_dir: Path) -> None:
    store = shop / "dumps"
    store.mkdir()
    (store / ".env").touch(mode=0o644)
    (store / "20261130_020000.tar.gz").touch(mode=0o644)
    rules = ["backup-readable", "env-readable"]
    found = task(shop, state_dir, rules=rules, backups=[str(store), str(shop / "none")]).observe()
    assert broken(found) == {
        ("backup-readable", str(store / "20261130_020000.tar.gz")), ("env-readable", str(store / ".env")), ("env-readable", str(shop / ".env")),
    }  # fmt: skip
    assert len({facts.path for facts in found.objects}) == len(found.objects)


def test_one_that_the_audit_knows_by_its_name_is_not_walked_again(shop: Path, state_dir: Path) -> None:
    store = shop / "storage" / "backups"
    store.mkdir(parents=True)
    assert task(shop, state_dir, backups=[str(store)]).observe().scopes == (str(shop),)


def test_backups_on_a_disk_that_is_closed_to_us_do_not_stop_the_audit(
    shop: Path, state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "nfs"
    store.mkdir()
    walked = permission_audit.walk_tree

    def closed(root: str, *rest: Any, **more: Any) -> Any:
        if root == str(store):
            raise MaintenanceError("cannot audit this path", target=root, code="EACCES")
        return walked(root, *rest, **more)

    monkeypatch.setattr(permission_audit, "walk_tree", closed)
    found = task(shop, state_dir, backups=[str(store)]).observe()
    assert ("env-readable", str(shop / ".env")) in broken(found)
    assert [(item.path, item.code) for item in found.unreadable] == [(str(store), "EACCES")]
    assert ("directory-unreadable", str(store)) in broken(found)
