# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.miniecom.maintenance.plugins.filter.assessment import assessment
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.units import format_duration
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.outcome import removal_headline
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.compaction import (
    Compact,
    Policy,
    compaction_headline,
    worth_from,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.topology import Server
from ansible_collections.miniecom.maintenance.plugins.plugin_utils.step_report import step_of, table

PLAYBOOKS = Path(__file__).resolve().parents[4] / "playbooks"


def place(kind: str = "volume", layer: bool = False) -> dict[str, object]:
    return {"path": "", "container": "", "container_path": "", "kind": kind, "in_writable_layer": layer}


CRON = {
    "kind": "rotate_backups.sh",
    "danger": "deletes_backups",
    "source": "/etc/cron.d/shop",
    "line": 3,
    "active": True,
}
CONTEXT: dict[str, Any] = {
    "root": "/opt/miniecom",
    "deployment": "compose",
    "credentials_quality": "default",
    "mongo": {"exposure": "exposed", "exposure_why": "published", "exposed": ["0.0.0.0:27017"], "container": "m"},
    "compose": {"containers": {"mongo": [{"name": "m", "state": "running"}]}},
    "docker": {"available": False, "reason": "missing", "message": "there is no engine at unix:///x"},
    "storage": {"uploads": place("layer", True), "invoices": place(), "labels": place()},
    "jobs": [CRON],
    "jobs_unreadable": [],
}
FAILED = {"failed": True, "msg": "it is down"}
MONGO = {"summary": {"reclaimable_bytes": 0, "storage_bytes": 1 << 20, "collections": 23, "headline": "MongoDB 8.0"}}
DOCKER = {"reclaimable_bytes": 1 << 20, "reclaimable_bytes_max": 1 << 20, "summary": {"headline": "x"}}
PROVEN: dict[str, Any] = {
    "summary": {"backups": 1},
    "newest": {"age_hours": 2.0},
    "newest_verified": {"name": "b.tar.gz", "age_hours": 2.0, "restore_tested": ""},
}
FLAG = {"active": False, "problems": [], "probe": {"state": "up", "seconds": 0.015, "reason": ""}}


def lines_of(context: dict[str, Any] | None = None, **results: Any) -> dict[str, str]:
    """The text of each line by its subject."""
    values = {"mongo": MONGO, "docker": DOCKER, "disk": FAILED, "backups": PROVEN, "flag": FLAG, **results}
    lines = assessment("shop", {**copy.deepcopy(CONTEXT), **(context or {})}, **values)
    assert len(lines) == 10
    return {subject.strip(): text.strip() for subject, text in (line.split("  ", 1) for line in lines)}


def test_ten_lines_whatever_failed() -> None:
    found = lines_of(mongo=FAILED, docker={"skipped": True}, backups=FAILED, flag=FAILED)
    text = "\n".join(found.values())
    assert text.count("it is down") == 4
    assert found["MongoDB"] == "EXPOSED on 0.0.0.0:27017; credentials: DEFAULT"
    assert found["uploads survive a recreate"] == "NO: uploads lie in a container's writable layer and go with it"
    assert "rotate_backups.sh (deletes backups, /etc/cron.d/shop line 3)" in found["the shop's dangerous jobs"]


@pytest.mark.parametrize(
    ("backups", "said", "then"),
    [
        ({"summary": {"backups": 0}}, "NO: there is no backup", "maintenance.backup -i INVENTORY"),
        (
            {"summary": {"backups": 3}, "newest": {"age_hours": 50.0}},
            "NOT PROVEN: 3 backups, the newest 2 d 2 h old",
            "maintenance.backup -i INVENTORY",
        ),
        (
            PROVEN,
            "yes, b.tar.gz, 2 h old, verified; a restore was never tested; no copy off the host is known",
            "maintenance.weekly -i INVENTORY --check --diff",
        ),
        (
            {**PROVEN, "offsite": {"target": "vault:/srv", "age_hours": 50.0}},
            "verified; a restore was never tested; off the host (vault:/srv) the newest is 2 d 2 h old",
            "maintenance.weekly -i INVENTORY --check --diff",
        ),
        (
            {**PROVEN, "offsite": {"target": "vault:/srv", "age_hours": None}},
            "off the host (vault:/srv) there is no copy",
            "maintenance.weekly -i INVENTORY --check --diff",
        ),
        (
            {**PROVEN, "last_verified": {"name": "a.tar.gz", "restore_tested": "2026-11-01", "restore_seconds": 70.0}},
            "verified; its restore was not tested, but that of a.tar.gz was, on 2026-11-01 in 1 min 10 s",
            "maintenance.weekly -i INVENTORY --check --diff",
        ),
    ],
)
def test_what_is_said_of_backups_and_what_comes_next(backups: dict[str, object], said: str, then: str) -> None:
    lasting = {**CONTEXT["storage"], "uploads": place()}
    found = lines_of({"jobs": [], "storage": lasting}, backups=backups)
    assert said in found["restorable backup"]
    assert found["next"] == "ansible-playbook miniecom." + then


def spoilt(*problems: str) -> list[dict[str, str]]:
    return [{"name": f"2026112{n}.tar.gz", "problem": problem} for n, problem in enumerate(problems)]


def test_files_that_cannot_be_backups_are_told_and_prove_nothing() -> None:
    def said(**backups: Any) -> str:
        return lines_of(backups=backups)["restorable backup"]

    alone = said(summary={"backups": 2, "implausible": 2}, backups=spoilt("empty", "cut short: it has no end"))
    assert alone == (
        "NO: there is no backup; 2 files of that name CANNOT BE ANY: 20261120.tar.gz (empty), "
        "20261121.tar.gz (cut short: it has no end)"
    )
    beside = said(
        summary={"backups": 3, "implausible": 1}, newest={"age_hours": 50.0}, backups=spoilt("no gzip", "", "")
    )
    assert beside.startswith(
        "NOT PROVEN: 2 backups, the newest 2 d 2 h old, none verified; 1 file of that name CANNOT BE ONE"
    )
    assert "20261120.tar.gz (no gzip)" in beside and "20261121" not in beside
    proven = said(**{**PROVEN, "summary": {"backups": 9, "implausible": 5}, "backups": spoilt(*["empty"] * 5)})
    assert proven.startswith("yes, b.tar.gz, 2 h old, verified") and proven.endswith("and 2 more")
    assert said(summary={"backups": 1, "implausible": 0}) == "NO: each backup that could be one is dated in the future"
    unseen = said(summary={"backups": 900, "implausible": 1}, newest={"age_hours": 2.0}, backups=spoilt(*[""] * 200))
    assert unseen.endswith("CANNOT BE ONE")


def test_a_backup_without_the_files_that_its_database_names_is_not_called_restorable() -> None:
    newest = {**PROVEN["newest_verified"], "restore_tested": "2026-11-24T03:00:00Z", "lacking": {"uploads": "empty"}}
    said = lines_of(backups={**PROVEN, "newest_verified": newest})["restorable backup"]
    assert said == "NOT PROVEN: b.tar.gz, 2 h old, lacks files that its database names: uploads: empty"


def test_what_goes_with_a_container_comes_before_the_next_run() -> None:
    assert lines_of({"jobs": []})["next"].startswith("give what goes with a container a volume of its own")


def test_subject_and_answer_fit() -> None:
    found = lines_of()
    assert found["MongoDB would give back"] == "about 0 B, of 1.0 MiB in 23 collections"
    assert found["Docker would give back"] == "1.0 MiB"
    agreed = lines_of(
        compaction={"changed": True, "summary": {"headline": "would compact 1 collection"}}, cleanup=FAILED
    )
    assert agreed["MongoDB would give back"].endswith("; weekly would compact 1 collection")
    assert agreed["Docker would give back"] == "1.0 MiB; weekly would fail: it is down"
    assert found["maintenance mode"] == "off; the shop answers (0.015 s)"
    ranged = lines_of(docker={**DOCKER, "reclaimable_bytes_max": 1 << 30})
    assert ranged["Docker would give back"] == "between 1.0 MiB and 1.0 GiB"
    closed = {
        "active": True,
        "since": "10:00",
        "owner": "alice",
        "reason": "New till",
        "expires": "",
        "problems": ["p"],
    }
    assert lines_of(flag=closed)["maintenance mode"] == "ON since 10:00 by alice (New till); p"
    down = {"active": False, "probe": {"state": "down", "seconds": 1.0, "reason": "refused"}}
    assert lines_of(flag=down)["maintenance mode"] == "off; the shop is down: refused (1.000 s)"


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        (("volume", "bind", "directory"), "yes"),
        (("unknown", "unknown", "unknown"), "unknown: there is no engine at unix:///x (uploads, invoices, labels)"),
        (("tmpfs", "volume", "volume"), "NO: uploads lie in memory (tmpfs) and go with it"),
    ],
)
def test_whether_uploads_survive(kinds: tuple[str, str, str], said: str) -> None:
    storage = {name: place(kind) for name, kind in zip(("uploads", "invoices", "labels"), kinds, strict=True)}
    assert lines_of({"storage": storage})["uploads survive a recreate"] == said
    if kinds[0] == "unknown":
        up = lines_of({"storage": storage, "docker": {"available": True, "reason": ""}})
        assert up["uploads survive a recreate"].startswith("unknown: the shop has no container of the API")


@pytest.mark.parametrize(
    ("mongo", "said"),
    [
        ({"exposure": "loopback", "exposure_why": "", "exposed": []}, "reachable from this host only; credentials"),
        ({"exposure": "unknown", "exposure_why": "nothing listens"}, "unknown from where it can be reached: nothing"),
        (
            {"exposure": "unknown", "exposure_why": "on another machine (db.example): not judged"},
            "on another machine (db.example): not judged; credentials",
        ),
        ({}, "unknown from where"),
    ],
)
def test_nothing_is_called_safe_that_was_not_looked_at(mongo: dict[str, Any], said: str) -> None:
    assert lines_of({"mongo": mongo})["MongoDB"].startswith(said)


def test_jobs_that_could_not_be_read_are_not_none() -> None:
    assert lines_of({"jobs": []})["the shop's dangerous jobs"] == "none"
    blind = {"jobs": [], "jobs_unreadable": ["/var/spool/cron (EACCES)"]}
    assert lines_of(blind)["the shop's dangerous jobs"] == "unknown: /var/spool/cron (EACCES) could not be read"
    both = lines_of({"jobs_unreadable": ["/a (EACCES)"] * 5})["the shop's dangerous jobs"]
    assert both.startswith("1 ACTIVE") and both.endswith("and 2 more could not be read")


def test_jobs_that_were_not_understood_are_neither_dangerous_nor_none() -> None:
    strange = {**CRON, "kind": "sweeper", "danger": "unknown", "line": 4}
    found = lines_of({"jobs": [strange]})
    assert found["the shop's dangerous jobs"] == "unknown: not understood: sweeper (/etc/cron.d/shop line 4)"
    assert "switch" not in found["next"], "nobody is told to switch off what may be harmless"
    both = lines_of({"jobs": [CRON, strange, {**strange, "active": False}]})
    assert both["the shop's dangerous jobs"].startswith("1 ACTIVE: rotate_backups.sh")
    assert both["the shop's dangerous jobs"].endswith("; not understood: sweeper (/etc/cron.d/shop line 4)")
    assert "schedule_shop_jobs=off" in both["next"] and "line 4" not in both["next"]
    many = lines_of({"jobs": [{**strange, "line": line} for line in range(5)]})["the shop's dangerous jobs"]
    assert many.endswith("and 2 more")


def test_how_to_switch_each_kind_of_job_off() -> None:
    timer = {**CRON, "source": "/etc/systemd/system/tidy.timer", "line": 0}
    script = {**CRON, "source": "/etc/cron.weekly/tidy", "line": 0}
    lasting = {**CONTEXT["storage"], "uploads": place()}
    rule = {**CRON, "source": "/etc/tmpfiles.d/shop.conf", "line": 2}
    weekly = "ansible-playbook miniecom.maintenance.weekly -i INVENTORY --check --diff"
    off = "ansible-playbook miniecom.maintenance.schedule -i INVENTORY --tags schedule_shop_jobs -e schedule_shop_jobs=off"
    found = lines_of({"jobs": [CRON, timer, script, {**CRON, "active": False}], "storage": lasting})["next"]
    assert found == f"switch the dangerous jobs off ({off}), then {weekly}"
    by_hand = "take out by hand what clears up by itself (/etc/tmpfiles.d/shop.conf line 2)"
    assert lines_of({"jobs": [rule], "storage": lasting})["next"] == f"{by_hand}, then {weekly}"
    assert lines_of({"jobs": [CRON, rule], "storage": lasting})["next"].count(", then ") == 2


@pytest.mark.parametrize(
    ("context", "message", "said"),
    [
        ({"compose": {"containers": {"mongo": [{"name": "m", "state": "exited"}]}}}, "x", "docker start m"),
        ({"deployment": "native"}, "no: connection refused: 127.0.0.1:27017.", "systemctl start mongod"),
        ({}, "no: connection refused: 127.0.0.1:27017.", "docker compose up -d mongo, in /opt/miniecom"),
        ({}, "authentication failed", "make MongoDB answer"),
    ],
)
def test_a_database_that_is_down_comes_first(context: dict[str, Any], message: str, said: str) -> None:
    found = lines_of(
        {"jobs": [], **context}, mongo={"failed": True, "msg": message}, backups={"summary": {"backups": 0}}
    )
    assert said in found["next"] and "maintenance.backup" not in found["next"]
    assert found["next"].endswith("then ansible-playbook miniecom.maintenance.assess -i INVENTORY")


def test_the_command_names_the_inventory_of_this_run() -> None:
    lines = assessment("shop", CONTEXT, MONGO, DOCKER, FAILED, PROVEN, FLAG, ["/a b/hosts.yml", "/c"])
    assert "-i '/a b/hosts.yml' -i /c" in lines[-1]


@pytest.mark.parametrize("absent", [True, False])
def test_an_engine_that_nobody_can_tell_of_is_not_absent(absent: bool) -> None:
    docker = {"available": False, "absent": absent, "message": "why"}
    found = lines_of({"docker": docker}, docker={"skipped": True})["Docker would give back"]
    assert found == ("not applicable: no engine on this host" if absent else "unknown: why")


def test_two_databases_are_told() -> None:
    said = lines_of({"mongo": {**CONTEXT["mongo"], "conflict": "the application uses the database a; b of .env"}})[
        "MongoDB"
    ]
    assert "TWO DATABASES: the application uses the database a" in said


def test_a_database_that_docker_kills_is_told() -> None:
    problem = "Docker kills MongoDB before it has stopped (m): give it stop_grace_period: 30s"
    said = lines_of({"mongo": {**CONTEXT["mongo"], "stop_problem": problem}})["MongoDB"]
    assert said.endswith("; " + problem)


def test_a_backup_without_what_the_application_is_told_to_use_is_not_proven() -> None:
    lost = {**place(), "path": "/srv/pictures", "exists": False, "configured_by": "UPLOAD_DIR"}
    said = lines_of({"storage": {**CONTEXT["storage"], "uploads": lost}})["restorable backup"]
    assert said.startswith("NOT PROVEN") and "UPLOAD_DIR says /srv/pictures" in said
    there = {**lost, "exists": True}
    assert not lines_of({"storage": {**CONTEXT["storage"], "uploads": there}})["restorable backup"].startswith("NOT")


# -- assess and weekly ----------------------------------------------------------------------------------------------------

WEEKLY_ROLES = {"mongo_maintenance", "docker_cleanup"}
# What makes a role only look. Nothing else may differ from what weekly gives it.
LOOKING = {"mongo_maintenance_preview", "mongo_maintenance_require_backup", "docker_cleanup_preview"}


def settings_of(path: Path) -> dict[str, Any]:
    """All variables that a playbook's file sets for the roles that give space back."""

    def walk(node: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(node, dict):
            yield from (node.get("vars") or {}).items()
            yield from (node.get("ansible.builtin.set_fact") or {}).items()
        for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from walk(inner)

    return {
        name: value
        for name, value in walk(yaml.safe_load(path.read_text(encoding="utf-8")))
        if name.startswith(tuple(WEEKLY_ROLES)) and not name.endswith("_result")
    }


def test_assess_looks_with_the_settings_of_weekly() -> None:
    assert set(settings_of(PLAYBOOKS / "assess.yml")) == LOOKING
    for path in (
        PLAYBOOKS / "weekly.yml",
        *(PLAYBOOKS / "tasks" / f"{name}.yml" for name in ("weekly", "week", "step")),
    ):
        assert settings_of(path) == {}, path
    for role in WEEKLY_ROLES:
        for path in (PLAYBOOKS / "assess.yml", PLAYBOOKS / "tasks" / "week.yml"):
            assert f"miniecom.maintenance.{role}" in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize(("reclaimable", "ratio"), [(4 << 20, 0.25), (1 << 30, 0.6)])
def test_both_name_the_thresholds_of_compaction(count: int, reclaimable: int, ratio: float) -> None:
    policy = Policy(min_reclaimable=reclaimable, min_ratio=ratio)
    server = Server("6.0.5", (6, 0, 5), "standalone", "primary")
    works = [Compact("shop", f"orders{number}", 3 << 20) for number in range(count)]
    looked, done = (
        {"changed": bool(count), "summary": {"headline": compaction_headline(0, 9 << 20, works, check, server, policy)}}
        for check in (True, False)
    )
    printed = table([step_of("database maintenance", done, False)], "weekly maintenance of shop")
    assert worth_from(policy) in " ".join(printed.split())
    assert worth_from(policy) in lines_of(compaction=looked)["MongoDB would give back"]


@pytest.mark.parametrize("older_than", [3600.0, 7 * 86400.0])
def test_both_name_the_age_from_which_docker_is_cleaned(older_than: float) -> None:
    looked, done = ({"summary": {"headline": removal_headline([], freed, older_than)}} for freed in (None, 0))
    age = f"younger than {format_duration(older_than)} stays"
    assert age in " ".join(table([step_of("Docker", done, False)], "weekly maintenance of shop").split())
    assert age in lines_of(cleanup=looked)["Docker would give back"]
