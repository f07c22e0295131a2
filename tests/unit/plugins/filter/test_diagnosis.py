# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The answers of diagnose, from what the modules return."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.filter.diagnosis import LOOK, OK, PROBLEM, UNKNOWN, diagnosis

FAILED = {"failed": True, "msg": "it is\n down"}
FLAG: dict[str, Any] = {
    "maintenance": {"active": False, "expired": False, "problems": []},
    "layers": {
        "flag": {"present": False},
        "nginx": {"set_up": True, "turns_away": False},
        "application": {"enabled": False},
    },
    "probe": {"status": 200},
    "mongo": {"problems": []},
}
HEALTH = {
    "connections": {"current": 5, "available": 800},
    "oldest_operation": {"operation": "find", "namespace": "shop.orders", "seconds": 0.1, "waiting_for_lock": False},
    "replication_lag_seconds": None,
}
KIND = {"sentence": "shop.orders find by status (8 times, up to 1.2 s)", "advice": "createIndex"}
GOOD: dict[str, Any] = {
    "context": {"jobs": []},
    "flag": FLAG,
    "mongo": {"health": HEALTH},
    "slow": {"slow_operations": [], "summary": {"known_since": "2026-11-29T01:00:00Z"}},
    "compaction": {"plan": []},
    "cleanup": {"plan": [], "counts": {"kept": 7}},
    "findings": {"waivable": []},
    "history": {
        "durations": {
            "compaction": {"at": "2026-11-22T03:00:00Z", "seconds": 61.0},
            "permissions": {"at": "2026-11-22T03:00:00Z", "seconds": 2.0},
        }
    },
}
JOB = {"active": True, "danger": "prunes_volumes", "kind": "docker system prune", "source": "/etc/cron.d/shop"}


def finding(rule: str, severity: str = "high", status: str = "known") -> dict[str, str]:
    return {"rule": rule, "severity": severity, "status": status, "target": "x", "id": "x"}


def answers(**more: Any) -> dict[str, dict[str, str]]:
    found = diagnosis("shop", {**GOOD, **more})
    assert len(found["answers"]) == 5
    assert found["problems"] == sum(answer["status"] == PROBLEM for answer in found["answers"])
    return {answer["question"]: answer for answer in found["answers"]}


def test_a_shop_that_is_well() -> None:
    found = diagnosis("shop", GOOD)
    assert found["lines"][0] == "shop: no problem found" and not found["unknown"]
    assert {answer["status"] for answer in found["answers"]} == {OK}
    assert "the last one took 1 min 1 s" in answers()["database maintenance"]["text"]


@pytest.mark.parametrize("bad", [FAILED, {}, {"skipped": True, "reason": "it is down"}])
def test_what_could_not_be_looked_at_is_never_good(bad: dict[str, Any]) -> None:
    names = ("flag", "mongo", "slow", "compaction", "findings")
    found = diagnosis("shop", {**GOOD, **dict.fromkeys(names, bad)})
    by = {answer["question"]: answer["status"] for answer in found["answers"]}
    assert [status for question, status in by.items() if question != "Docker clean-up"] == [UNKNOWN] * 4
    assert "4 questions could not be answered" in found["lines"][0]
    assert answers(slow=bad)["slow database"]["status"] == UNKNOWN
    assert answers(cleanup=FAILED)["Docker clean-up"]["status"] == UNKNOWN


def flag(present: bool = True, **found: Any) -> dict[str, Any]:
    layers = {**FLAG["layers"], "flag": {"present": present}}
    return {**FLAG, "layers": layers, "maintenance": {**FLAG["maintenance"], **found}}


@pytest.mark.parametrize(
    ("seen", "question", "status", "told", "following"),
    [
        (
            {"flag": flag(active=True, problems=["the flag file is there, but the application turns nobody away"])},
            "maintenance mode",
            PROBLEM,
            "turns nobody away (flag file there, nginx serves visitors, application off, the API answers with status 200)",
            "enter_maintenance",
        ),
        (
            {"flag": flag(active=True, expired=True, problems=["its end has passed"])},
            "maintenance mode",
            PROBLEM,
            "its end has passed",
            "exit_maintenance",
        ),
        ({"flag": flag(active=True)}, "maintenance mode", OK, "it is up and holds", "exit_maintenance"),
        ({"flag": {**FLAG, "mongo": {"problems": ["it is locked"]}}}, "slow database", PROBLEM, "it is locked", ""),
        (
            {"mongo": {"health": {**HEALTH, "connections": {"current": 90, "available": 10}}}},
            "slow database",
            PROBLEM,
            "90 of 100 connections",
            "",
        ),
        (
            {"slow": {"slow_operations": [KIND], "summary": {}}},
            "slow database",
            LOOK,
            "1 kind of operations read whole collections, most of all shop.orders find by status",
            "createIndex",
        ),
        (
            {"slow": {"slow_operations": [{**KIND, "advice": ""}], "summary": {}}},
            "slow database",
            LOOK,
            "1 kind of slow operations",
            "quarterly",
        ),
        (
            {"compaction": {"plan": [{"bytes": 1 << 30}]}, "history": {}},
            "database maintenance",
            OK,
            "it never ran here; the next one would compact 1 collection and give back about 1.0 GiB",
            "mongo_maintenance_time_budget=15m",
        ),
        ({"context": {"jobs": [JOB]}}, "Docker clean-up", PROBLEM, "1 active job", "schedule_shop_jobs=off"),
        (
            {"context": {"jobs": [{**JOB, "active": False}]}},
            "Docker clean-up",
            OK,
            "would remove nothing; 7 objects",
            "",
        ),
        (
            {"cleanup": {"plan": [{"action": "remove_image", "bytes": 1 << 20}], "counts": {"kept": 7}}},
            "Docker clean-up",
            LOOK,
            "1 x remove image, about 1.0 MiB; 7 objects kept",
            "--check --diff",
        ),
        (
            {
                "findings": {
                    "waivable": [finding("world-writable-directory"), finding("env-readable"), finding("x", "low")]
                }
            },
            "security audit",
            LOOK,
            "3 findings: 2 high, 1 low; first mend the environment file's mode (1), then world-writable directories (1), plan",
            "fix_permissions",
        ),
        (
            {"findings": {"waivable": [finding("env-readable", "critical", "new")]}},
            "security audit",
            PROBLEM,
            "1 of them new",
            "fix_permissions",
        ),
        ({"findings": {"waivable": [finding("x", "low", "new")]}}, "security audit", LOOK, "1 finding: 1 low", "waive"),
    ],
)
def test_an_answer_has_the_numbers_and_what_comes_next(
    seen: dict[str, Any], question: str, status: str, told: str, following: str
) -> None:
    found = answers(**seen)[question]
    assert found["status"] == status
    assert told in found["text"], found["text"]
    assert following in found["next"], found["next"]


def test_where_nothing_is_up_the_database_that_does_not_answer_comes_first() -> None:
    """Taking maintenance down would fail for the same reason."""
    seen = flag(present=False, problems=["cannot connect to MongoDB"])
    seen["layers"] = {**seen["layers"], "application": {"enabled": None}}
    found = answers(flag=seen)["maintenance mode"]
    assert found["status"] == PROBLEM
    assert "cannot connect to MongoDB" in found["text"] and found["text"].endswith("Mend that, then look again")
    assert "maintenance_status" in found["next"]
    seen["layers"]["flag"] = {"present": True}
    assert "exit_maintenance" in answers(flag=seen)["maintenance mode"]["next"]


def test_no_audit_is_no_good_audit() -> None:
    found = answers(history={})["security audit"]
    assert (found["status"], found["text"]) == (LOOK, "no audit is known to have run here")


def test_a_long_operation_is_named() -> None:
    slow = {**HEALTH, "oldest_operation": {**HEALTH["oldest_operation"], "seconds": 75, "waiting_for_lock": True}}  # type: ignore[dict-item]
    found = answers(mongo={"health": {**slow, "replication_lag_seconds": 60}})["slow database"]
    assert "find on shop.orders runs for 1 min 15 s, waiting for a lock; a member is 1 min behind" in found["text"]
