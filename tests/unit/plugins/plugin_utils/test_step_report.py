# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.record import LIST_CAP
from ansible_collections.miniecom.maintenance.plugins.plugin_utils.step_report import (
    SHOWN,
    Step,
    collect,
    fold,
    found_in,
    found_lines,
    notable,
    notable_findings,
    step_of,
    table,
    verdict,
    with_failures,
)

WANTED = [{"step": name, "variable": name + "_result"} for name in ("backup", "compaction", "ports", "logs", "gone")]
VARIABLES = {
    "backup_result": {"changed": True, "summary": {"headline": "wrote it", "bytes": 1048576, "seconds": 2.04}},
    "compaction_result": {"skipped": True, "reason": "no backup"},
    "ports_result": {"failed": True, "msg": "2 new findings", "summary": {"findings": 2}},
    "logs_result": {"changed": False, "summary": {"headline": "nothing old"}},
}


def test_rows_come_in_order_and_only_for_what_ran() -> None:
    steps = collect(WANTED, VARIABLES, check=False)
    assert [(step.step, step.status) for step in steps] == [
        ("backup", "changed"),
        ("compaction", "skipped"),
        ("ports", "failed"),
        ("logs", "ok"),
    ]
    assert steps[1].headline == "no backup"
    assert steps[2].findings == 2


def test_what_nobody_asked_for_is_no_step() -> None:
    idle = {"skipped": True, "skip_reason": "Conditional result was False"}
    told = {"skipped": True, "reason": "no npm project"}
    for result, rows in ((idle, 0), ({"skipped": True, "results": [idle, idle]}, 0), ({"results": [idle, told]}, 1)):
        assert len(collect(WANTED, {"logs_result": result}, check=False)) == rows
    (empty,) = collect(WANTED, {"logs_result": {"results": []}}, check=False)
    assert empty.headline == "nothing to do"


def test_what_an_earlier_run_left_is_a_step_where_there_was_any() -> None:
    wanted = [{"step": "earlier run", "variable": "context_run"}]
    begun = {"changed": False, "run_id": "x", "cleaned": []}
    assert collect(wanted, {"context_run": begun}, check=False) == []
    (row,) = collect(wanted, {"context_run": {**begun, "cleaned": ["ended process 7", "removed /x"]}}, check=False)
    assert (row.status, row.headline) == ("ok", "ended process 7; removed /x")
    left = {**begun, "cleaned": ["removed /x"], "unsettled": ["a restore was killed half way"]}
    (row,) = collect(wanted, {"context_run": left}, check=False)
    assert (row.status, row.headline) == ("failed", "a restore was killed half way")
    # Where the run could not begin the failure is the run's own.
    (row,) = collect(wanted, {"context_run": {"failed": True, "msg": "busy"}}, check=False)
    assert row.status == "failed"


def test_what_an_audit_tells_as_well_is_told_by_the_audit_alone() -> None:
    rule, other = "mongod-killed-when-stopped", {"rule": "other", "target": "shop_mongo", "status": "known"}
    first = {
        "summary": {"headline": "found it", "findings_total": 2},
        "findings": [{"rule": rule, "target": "shop_mongo", "status": "known"}, other],
    }
    audit = {"summary": {"headline": "1 finding", "findings": 1, "findings_total": 1}, "baseline": {"state": "kept"}}
    audit["findings"] = [{"rule": rule, "target": "container shop_mongo", "status": "new"}]
    wanted = [{"step": name, "variable": name} for name in ("context", "ports")]
    context, ports = collect(wanted, {"context": first, "ports": audit}, check=False)
    assert (context.findings_total, context.found["findings"]) == (1, [other])
    assert (ports.findings_total, len(ports.found["findings"])) == (1, 1)
    (alone,) = collect(wanted, {"context": first}, check=False)
    assert alone.findings_total == 2
    (gone, _ports) = collect(
        wanted, {"context": {**first, "findings": first["findings"][:1]}, "ports": audit}, check=False
    )
    assert "findings" not in gone.found


def test_the_table_shows_units_and_failures() -> None:
    text = table(collect(WANTED, VARIABLES, check=False), "weekly of shop", ["the end"])
    assert "1.0 MiB" in text
    assert "FAILED" in text
    assert text.splitlines()[0] == "weekly of shop"
    assert text.endswith("the end")
    assert max(map(len, text.splitlines())) < 140


def test_check_mode_says_would() -> None:
    steps = collect(WANTED, VARIABLES, check=True)
    assert "would change" in table(steps, "t")
    assert verdict(steps, True) == "1 of 4 steps failed: ports"


def test_a_loop_counts_as_one_step() -> None:
    looped = {
        "results": [
            {"changed": False, "summary": {"headline": "backend: 2 outdated", "findings": 1}},
            {"changed": True, "summary": {"headline": "frontend: 1 outdated", "findings": 2}},
        ]
    }
    step = step_of("updates", looped, check=False)
    assert (step.status, step.findings) == ("changed", 3)
    assert "backend" in step.headline and "frontend" in step.headline


def test_numbers_that_are_none_are_shown_as_dashes() -> None:
    assert step_of("x", {"summary": {"bytes": None, "seconds": "?"}}, False).seconds is None


def finding(number: int = 1, severity: str = "high", status: str = "known", **more: Any) -> dict[str, Any]:
    return {
        "id": f"env-readable-{number:08x}",
        "severity": severity,
        "status": status,
        "target": f"/srv/{number}/.env",
        "message": "an environment file is open to every user",
        "remediation": "Make it 0600.",
        **more,
    }


def audit(*findings: dict[str, Any], new: int = 0, **more: Any) -> Step:
    summary = {"headline": f"{len(findings)} findings", "findings": new, "findings_total": len(findings)}
    result = {"summary": summary, "findings": list(findings), "baseline": {"state": "kept"}, **more}
    return step_of("permissions", result, False)


def test_known_findings_are_counted_beside_new_ones() -> None:
    step = audit(finding(), finding(2))
    assert (step.findings_total, step.findings) == (2, 0)
    assert table([step], "t").splitlines()[4].split()[:6] == ["permissions", "ok", "2", "0", "2", "findings"]
    orphans = step_of("orphans", {"summary": {"headline": "10 orphans", "orphans": 10}}, False)
    assert (orphans.findings_total, orphans.findings) == (10, None)
    assert step_of("indexes", {"summary": {"unused_indexes": 0}}, False).findings_total == 0


def test_what_could_not_be_audited_is_skipped_and_has_no_findings() -> None:
    numbers = {"findings": 0, "findings_total": 0}
    missing = {"summary": numbers, "audit": {"available": False, "reason": "405"}}
    step = step_of("dependencies", missing, False)
    assert (step.status, step.findings_total, step.findings) == ("skipped", None, None)
    both = {"results": [missing, {"summary": {"findings": 1, "findings_total": 3}, "audit": {"available": True}}]}
    looked = step_of("dependencies", both, False)
    assert (looked.status, looked.findings_total) == ("ok", 3)
    assert step_of("dependencies", {"results": [missing, missing]}, False).findings_total is None


def test_findings_stand_below_the_table() -> None:
    findings = [
        finding(1, "critical", line=12),
        finding(2, "medium"),
        finding(3, "low", "new"),
        finding(4, "high", "waived"),
        finding(5, "medium", "fixed"),
    ]
    text = "\n".join(found_lines([audit(*findings, new=1)], False, "/state/runs/1.jsonl"))
    flat = " ".join(text.split())
    assert (
        "low new /srv/3/.env: an environment file is open to every user [env-readable-00000003] -> Make it 0600."
        in flat
    )
    assert text.index("00000003") < text.index("00000005"), "news comes first"
    assert all(f"0000000{number}" not in text for number in (1, 2, 4))
    assert "2 known (1 critical, 1 medium) 1 waived" in flat and "/state/runs/1.jsonl" in text
    text = "\n".join(found_lines([audit(*findings)], True, "there"))
    flat = " ".join(text.split())
    assert "critical known /srv/1/.env:12: an environment file is open to every user [env-readable-00000001]" in flat
    assert all(item["id"] in text for item in findings)


def test_what_is_to_be_done_about_several_is_told_once() -> None:
    step = audit(finding(status="new"), finding(2, status="new"), finding(3, status="new", remediation="Another."))
    lines = [line.strip() for line in found_lines([step], False, "there")]
    assert [line for line in lines if line.startswith("->")] == ["-> for these 2: Make it 0600.", "-> Another."]
    assert lines.index("-> for these 2: Make it 0600.") == 4, "below the second"
    cut = audit(*(finding(number, status="new") for number in range(SHOWN + 3)))
    assert f"-> for these {SHOWN}: Make it 0600." in [line.strip() for line in found_lines([cut], False, "there")]


def test_all_findings_begin_with_the_order_in_which_to_mend_them() -> None:
    """As in the guide: environment files, directories that everybody may write to, secrets in code, then what can be planned for."""
    found = [
        finding(1, "high", rule="backup-readable"),
        finding(2, "high", "waived", rule="env-group-access"),
        finding(3, "high", rule="world-writable-directory"),
        finding(4, "high", rule="env-readable"),
        finding(5, "high", "new", rule="env-readable"),
        finding(6, "high", "fixed", rule="env-readable"),
    ]
    kept = {"state": "kept"}
    secrets = step_of("secrets", {"findings": [finding(7, rule="hard-coded-secret")], "baseline": kept}, False)
    ports = step_of("ports", {"findings": [finding(8, "critical", rule="mongodb-exposed")], "baseline": kept}, False)
    steps = [audit(*found), secrets, ports]
    lines = found_lines(steps, True, "there")
    shown = [line.split() for line in lines[: lines.index("Findings:")]]
    assert shown[0] == "To mend, in this order:".split() and shown[-1] == []
    assert shown[1] == ["severity", "rule", "findings", "new", "step"]
    assert shown[3:-1] == [
        ["1", "critical", "mongodb-exposed", "1", "0", "ports"],
        ["2", "high", "env-readable", "2", "1", "permissions"],
        ["3", "high", "world-writable-directory", "1", "0", "permissions"],
        ["4", "high", "hard-coded-secret", "1", "0", "secrets"],
        ["5", "high", "backup-readable", "1", "0", "permissions"],
    ]
    assert found_lines(steps, False, "there")[0] == "Findings:", "a run that did more tells what is new alone"
    assert [item["id"][-1] for item in notable_findings(steps)] == ["8", "4", "5", "6", "3", "7", "1"]


def test_many_findings_are_cut_with_a_count() -> None:
    step = audit(*(finding(number, status="new") for number in range(SHOWN + 13)))
    assert any("13 more" in line for line in found_lines([step], False, "there"))
    assert not any("more of these" in line for line in found_lines([step], True, "there"))


def test_nothing_notable_prints_nothing() -> None:
    assert found_lines([audit()], False, "there") == []
    assert found_lines([audit()], True, "there") == []


def test_what_was_mended_since_the_last_audit_is_shown_once_whatever_its_severity() -> None:
    gone = {"id": "env-readable-0000000a", "severity": "low", "target": "/srv/.env", "status": "fixed"}
    step = step_of("permissions", {"summary": {"findings": 0, "findings_total": 0}, "resolved": [gone]}, False)
    text = " ".join(" ".join(found_lines([step], False, "there")).split())
    assert "low fixed /srv/.env: gone since the last audit [env-readable-0000000a]" in text


def test_what_is_known_is_one_line_with_the_command_that_lists_it() -> None:
    lines = found_lines([audit(finding(), finding(2, "low"))], False, "there", "ansible-playbook audit.yml")
    assert [line.strip() for line in lines] == [
        "Findings:",
        "permissions",
        "2 known (1 high, 1 low)",
        "All of them, with what to do about each: there",
        "List those that are not shown: ansible-playbook audit.yml",
        "",
    ]


@given(st.integers(0, 30), st.integers(0, 30), st.integers(20, 120), st.sampled_from(["", "next    "]))
def test_a_command_stands_in_one_line_however_long(before: int, options: int, width: int, first: str) -> None:
    """Copied, the first half would run without the --check of the second."""
    command = "ansible-playbook weekly.yml " + "-e a=1 " * options + "--limit shop1 --check"
    lines = fold("word " * before + command, width, first, "    ")
    assert sum("ansible" in line for line in lines) == 1 and lines[-1].endswith(command)
    assert all(len(line) <= width for line in lines[:-1]), "the rest is folded"
    assert lines[0].startswith(first) and " ".join(lines).split() == (first + "word " * before + command).split()


@pytest.mark.parametrize("state", ["set", "would be set"])
def test_nothing_that_nobody_has_seen_is_called_known(state: str) -> None:
    step = audit(*(finding(number) for number in range(13)), baseline={"state": state})
    text = " ".join(" ".join(found_lines([step], False, "there")).split())
    assert "baseline: 13 findings (13 high); they will not fail later runs" in text and "known (" not in text


def test_what_has_no_baseline_is_told_in_full_each_time() -> None:
    step = step_of("backup rotation", {"findings": [finding(1, "critical")], "summary": {}}, False)
    text = " ".join(" ".join(found_lines([step], False, "there")).split())
    assert "critical /srv/1/.env: an environment file is open to every user [env-readable-00000001] -> Make" in text


def test_relations_with_orphans_are_named() -> None:
    relation = {
        "relation": "inventory.productId",
        "references": "products._id",
        "orphans": 3,
        "documents": 3,
        "samples": ["65a1b2c3d4e5f60718293a4b"],
    }
    sound = dict(relation, relation="orders.userId", orphans=0)
    result = {"summary": {"orphans": 3}, "relations": [relation, sound]}
    lines = found_lines([step_of("orphans", result, False)], False, "there")
    assert any("inventory.productId -> products._id: 3 orphans in 3 documents" in line for line in lines)
    assert not any("orders.userId" in line for line in lines)


def test_malformed_references_are_shown_beside_orphans_and_alone() -> None:
    both = {
        "relation": "orders.userId",
        "references": "users._id",
        "orphans": 1,
        "documents": 1,
        "samples": ["65a1"],
        "malformed": 2,
        "malformed_samples": ["65a2", "65a3"],
    }
    alone = dict(both, relation="carts.userId", orphans=0, documents=0, samples=[], malformed=1, malformed_samples=[])
    sound = dict(alone, relation="reviews.userId", malformed=0)
    result = {"summary": {"headline": "x", "orphans": 1, "malformed": 3}, "relations": [both, alone, sound]}
    step = step_of("orphans", result, False)
    assert (step.findings_total, step.findings) == (4, None)
    assert table([step], "t").splitlines()[4].split()[:6] == ["orphans", "ok", "4", "x"]
    text = " ".join(" ".join(found_lines([step], False, "there")).split())
    assert "orders.userId -> users._id: 1 orphan in 1 document (such as 65a1)" in text
    assert (
        "orders.userId -> users._id: 2 malformed references, text that never was an id (such as in 65a2, 65a3)" in text
    )
    assert "carts.userId -> users._id: 1 malformed reference, text that never was an id" in text
    assert "carts.userId -> users._id: 0 orphans" not in text and "reviews" not in text
    assert step.found["malformed_references"] == [both, alone], "the controller's record has them as well"


def test_counts_that_are_wrong_are_shown_with_both_numbers() -> None:
    collections = [
        {"database": "shop", "name": "orders", "documents": 5000, "documents_counted": 0},
        {"database": "shop", "name": "users", "documents": 3, "documents_counted": 3},
    ]
    result = {
        "summary": {"headline": "x", "unused_indexes": 1, "wrong_counts": 2},
        "collections": collections,
        "wrong_counts": ["shop.orders", "shop.beyond.the.cap"],
        "unused_indexes": ["shop.orders.status_1"],
    }
    step = step_of("indexes", result, False)
    assert step.findings_total == 3
    text = " ".join(" ".join(found_lines([step], False, "there")).split())
    assert "shop.orders: its count of documents is wrong" in text
    assert "the statistics say 5000, counting finds 0; validate mends it once there is a document again" in text
    assert "shop.beyond.the.cap: its count of documents is wrong, as after a killed server; validate mends it" in text
    assert "shop.orders.status_1: an index that nobody used" in text and "shop.users" not in text
    looped = step_of("indexes", {"results": [result, result]}, False)
    assert len(looped.found["wrong_counts"]) == 4


def test_a_loop_keeps_the_findings_of_all() -> None:
    one, two = ({"summary": {"findings_total": 1}, "findings": [finding(number)]} for number in (1, 2))
    assert len(step_of("updates", {"results": [one, two]}, False).found["findings"]) == 2


def test_a_step_in_short_has_counts_only() -> None:
    assert "found" not in audit(finding()).as_dict()


@given(st.sampled_from(["low", "medium", "high", "critical"]), st.sampled_from(["new", "known", "waived", "fixed"]))
def test_notable_is_what_is_neither_known_nor_waived(severity: str, status: str) -> None:
    assert notable(finding(1, severity, status)) == (status in ("new", "fixed"))


def test_the_message_of_a_failure_is_shown_whole() -> None:
    message = "cannot write it. " * 60 + "Run: systemctl start mongod"
    failed = step_of("backup", {"failed": True, "msg": message}, False)
    assert " ".join(message.split()) in " ".join(table([failed], "t").split())
    long = step_of("backup", {"summary": {"headline": message}}, False)
    assert "systemctl" not in table([long], "t") and "in the record" in table([long], "t")


def test_bytes_say_whether_they_were_written_or_freed() -> None:
    written = step_of("backup", {"changed": True, "summary": {"bytes": 1048576}}, False)
    reused = step_of("backup", {"summary": {"bytes": 1048576}}, False)
    freed = step_of("compaction", {"changed": True, "summary": {"bytes": 2097152, "bytes_freed": 2097152}}, False)
    text = table([written, freed], "t")
    assert "+1.0 MiB" in text and "-2.0 MiB" in text and "bytes: + written, - freed" in text
    assert "+" not in table([reused], "t")


def test_the_verdict_counts_skipped_steps_apart() -> None:
    steps = [Step("a", "ok", ""), Step("b", "changed", ""), Step("c", "skipped", "no backup")]
    assert verdict(steps, False) == "all 2 steps ended well, 1 of them changed something; 1 skipped"
    assert verdict(steps[:2], False) == "all 2 steps ended well, 1 of them changed something"


def failure(*rows: str, registered: Any = "", task: str = "Do it", message: str = "no") -> dict[str, Any]:
    return {"rows": list(rows), "registered": registered, "task": task, "message": message}


# A run of five steps, of which the one called logs has two rows.
TABLE = [
    {"step": title, "variable": variable}
    for title, variable in (
        ("health", "health_result"),
        ("backup", "backup_result"),
        ("docker clean-up", "docker_result"),
        ("log rotation", "rotate_result"),
        ("old logs", "logs_result"),
        ("run", "run_result"),
    )
]
OK: dict[str, Any] = {"summary": {"headline": "well"}}


def rows_of(variables: dict[str, Any], *failures: dict[str, Any]) -> list[tuple[str, str, str]]:
    steps = with_failures(collect(TABLE, variables, check=False), failures, TABLE)
    return [(row.step, row.status, row.headline) for row in steps]


def test_a_failure_without_a_result_gets_the_row_of_its_step_in_its_place() -> None:
    found = rows_of(
        {"health_result": OK, "logs_result": OK},
        failure("docker_result", task="Validate", message="images must be\n one of none"),
    )
    assert found == [
        ("health", "ok", "well"),
        ("docker clean-up", "failed", "Validate: images must be one of none"),
        ("old logs", "ok", "well"),
    ]
    assert rows_of({"health_result": OK}) == [("health", "ok", "well")]


def test_a_task_that_fails_beside_the_module_turns_its_row() -> None:
    assert rows_of({"health_result": OK}, failure("health_result", task="Fail", message="the shop is down")) == [
        ("health", "failed", "the shop is down")
    ]


def test_what_a_failed_result_tells_is_not_told_twice() -> None:
    broken = {"failed": True, "msg": "no space"}
    told = [("backup", "failed", "no space")]
    # The variable of the task that failed; ansible-core 2.21 knows a mapping of them.
    for registered in ("backup_result", {"backup_result": "_task.result"}):
        assert rows_of({"backup_result": broken}, failure("run_result", registered=registered)) == told
    assert rows_of({"backup_result": broken}, failure("backup_result", message="no space, again")) == told


def test_a_step_of_several_rows_fails_in_those_that_did_not_come() -> None:
    both = failure("rotate_result", "logs_result", task="Validate", message="interval")
    assert rows_of({"health_result": OK}, both)[1:] == [
        ("log rotation", "failed", "Validate: interval"),
        ("old logs", "failed", "Validate: interval"),
    ]
    # The second task fails: its own row says so, and the first stays what it is.
    second = failure("rotate_result", "logs_result", registered="logs_result", message="broken")
    variables = {"rotate_result": OK, "logs_result": {"failed": True, "msg": "broken"}}
    assert rows_of(variables, second) == [("log rotation", "ok", "well"), ("old logs", "failed", "broken")]
    # Results of an earlier turn are there, and nothing of this one.
    assert rows_of({"rotate_result": OK, "logs_result": OK}, both) == [
        ("log rotation", "failed", "interval"),
        ("old logs", "ok", "well"),
    ]


def test_two_steps_that_fail_alike_are_both_told() -> None:
    found = rows_of({}, failure("health_result"), failure("docker_result"), failure("docker_result"))
    assert [row[:2] for row in found] == [("health", "failed"), ("docker clean-up", "failed")]


def test_no_failure_is_lost_for_want_of_a_row() -> None:
    found = rows_of({"backup_result": OK}, failure(), failure("elsewhere_result"))
    assert [row[:2] for row in found] == [("backup", "ok"), ("run", "failed"), ("elsewhere_result", "failed")]


@given(
    st.dictionaries(
        st.sampled_from([entry["variable"] for entry in TABLE]), st.sampled_from([OK, {"failed": True, "msg": "x"}])
    ),
    st.lists(
        st.builds(
            lambda rows, registered: failure(*rows, registered=registered),
            st.lists(
                st.sampled_from([entry["variable"] for entry in TABLE] + ["elsewhere_result"]), max_size=3, unique=True
            ),
            st.sampled_from(["", "backup_result", "logs_result"]),
        ),
        max_size=5,
    ),
)
def test_every_failure_shows_and_the_order_stays(variables: dict[str, Any], failures: list[dict[str, Any]]) -> None:
    rows = with_failures(collect(TABLE, variables, check=False), failures, TABLE)
    known = [row.variable for row in rows if row.variable in [entry["variable"] for entry in TABLE]]
    assert known == [entry["variable"] for entry in TABLE if entry["variable"] in known], "each once, in its place"
    assert set(variables) <= set(known)
    failed = {row.variable for row in rows if row.status == "failed"}
    for entry in failures:
        assert failed & {*(entry["rows"] or ["run"]), entry["registered"]}, "a failure that nobody sees"


def test_the_record_keeps_what_was_found() -> None:
    values: dict[str, Any] = {
        "findings": [{"id": str(number)} for number in range(LIST_CAP + 5)],
        "relations": [{"relation": "a.b", "orphans": 2}, {"relation": "c.d", "orphans": 0}],
        "unused_indexes": ["shop.orders.x_1"],
        "undo_id": "20261124T030000Z-a1b2c3",
        "resolved": [],
        "ports": [{"port": 22}],
    }
    found = found_in(values)
    assert len(found["findings"]) == LIST_CAP + 5, "whole, not capped"
    assert found["relations"] == [{"relation": "a.b", "orphans": 2}]
    assert set(found) == {"findings", "relations", "unused_indexes", "undo_id"}
    assert found_in({"findings": "a string", "relations": None}) == {}


WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=30)
STEPS = st.builds(
    Step,
    st.sampled_from(["backup", "docker clean-up", "old logs"]),
    st.sampled_from(["ok", "changed", "would", "skipped", "failed"]),
    st.sampled_from(["", "wrote it", "none of the 366 backups that no rule keeps " * 6]) | WORDS,
    st.none() | st.integers(0, 10**12),
    st.none() | st.floats(0, 10**4),
    st.none() | st.integers(0, 999),
    st.none() | st.integers(0, 999),
)


@given(st.lists(STEPS, min_size=1, max_size=5), st.sampled_from([80, 100, 160]))
def test_the_table_fits_the_terminal_and_breaks_no_word(steps: list[Step], width: int) -> None:
    text = table(steps, "weekly of shop", width=width)
    assert max(map(len, text.splitlines())) <= width
    words = set(text.split())
    for step in steps:
        if step.status == "failed":
            assert set(step.headline.split()) <= words


@pytest.mark.parametrize("width, beside", [(60, False), (80, True), (160, True)])
def test_columns_fold_where_little_is_left_beside_them(width: int, beside: bool) -> None:
    lines = table([Step("backup", "changed", "wrote it all", 5, 2.0)], "t", width=width).splitlines()
    assert ("what" in lines[2], "wrote it all" in lines[4]) == (beside, beside)
    assert beside or lines[5] == "    wrote it all"


def test_columns_without_a_value_are_left_out() -> None:
    assert table([Step("a", "ok", "x")], "t").splitlines()[2].split() == ["step", "result", "what"]
    assert "seconds" in table([Step("a", "ok", "x", seconds=0.0)], "t")


def test_colours_change_no_column() -> None:
    steps = [Step("a", "failed", "x", 1), Step("b", "would", "y", 2)]
    painted = table(steps, "t", paint=lambda text, status: f"<{status}>{text}</>")
    assert "<failed>FAILED      </>" in painted and "<would>would change</>" in painted
    assert re.sub(r"<[^>]*>", "", painted) == table(steps, "t")


def test_an_argument_that_is_not_valid_is_told_by_its_name() -> None:
    told = "Validation of arguments failed:\nvalue of docker_cleanup_images must be one of: none, unused, got: al"
    (row,) = rows_of({}, failure("docker_result", task="Validating arguments against arg spec 'main'", message=told))
    assert row[2] == "value of docker_cleanup_images must be one of: none, unused, got: al"
