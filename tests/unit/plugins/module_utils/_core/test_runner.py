# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of the steps, what a failure still tells, and that nothing leaves without the redactor. Run in the process, with an
AnsibleModule that keeps what it is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core import runner
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.call import Call
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import utc_now
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import (
    AbortPlan,
    InsufficientSpace,
    MaintenanceError,
    SkipAction,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.lease import take_lease
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import (
    Action,
    Kept,
    Outcome,
    Plan,
    Report,
    Results,
    Verification,
    refuse_above,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.record import read_events
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.redaction import SECRETS
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.state_dir import StateDirectory

SPEC = RUN_ARGUMENTS + ArgumentSpec({})
SECRET = "canary-of-a-password"


class Ended(Exception):
    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.values = values


class Module:
    """Stands for AnsibleModule."""

    params: dict[str, Any] = {}
    check_mode = False
    _diff = True
    _verbosity = 0
    _name = "miniecom.maintenance.example"
    warnings: list[str] = []

    def __init__(self, **_arguments: Any) -> None:
        type(self).warnings = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def exit_json(self, **values: Any) -> None:
        raise Ended(dict(values, failed=False))

    def fail_json(self, **values: Any) -> None:
        raise Ended(dict(values, failed=True))


@dataclass(frozen=True)
class Remove:
    number: int


class Example(runner.Task[list[int]]):
    """Removes numbers; what each does is set by a test."""

    stop_on_failure = False
    outcomes: dict[int, Any] = {}
    steps: list[str] = []

    def observe(self) -> list[int]:
        self.steps.append("observe")
        return [1, 2, 3]

    def plan(self, observation: list[int], now: datetime) -> Plan[Remove]:
        self.steps.append("plan")
        actions = [Action("remove", "number %d" % number, "old", Remove(number), 10) for number in observation]
        return Plan(actions, [Kept("number 4", "in use")], ["careful with " + SECRET])

    def _remove(self, action: Action[Remove], observation: list[int]) -> Outcome:
        self.steps.append("act %d" % action.work.number)
        outcome = self.outcomes.get(action.work.number, Outcome(bytes=7, detail=action.work.number))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    handlers = {Remove: _remove}

    def verify(
        self, observation: list[int], plan: Plan[Remove], results: Results[Remove, list[int]]
    ) -> Verification[list[int]]:
        self.steps.append("verify")
        return Verification([4])

    def report(self, observation: list[int], plan: Plan[Remove], results: Results[Remove, list[int]]) -> Report:
        self.steps.append("report")
        return Report(
            "%s %d" % (results.words("removed", "would remove"), len(results.effective)),
            bool(results.effective),
            {"bytes": results.bytes},
            {"after": results.after, "removed": results.details(int)},
            {"findings": [SECRET]},
        )

    def remember(self, observation: list[int], plan: Plan[Remove], results: Results[Remove, list[int]]) -> None:
        self.steps.append("remember")

    def close(self) -> None:
        self.steps.append("close")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Example]]:
    monkeypatch.setattr(runner, "AnsibleModule", Module)
    monkeypatch.setattr(Module, "params", {"run_id": None, "state_dir": str(tmp_path / "state")})
    monkeypatch.setattr(Example, "outcomes", {})
    monkeypatch.setattr(Example, "steps", [])
    SECRETS.register(SECRET)
    yield Example


def answer(work: Any = Example, run: Any = runner.run) -> dict[str, Any]:
    with pytest.raises(Ended) as ended:
        run(work, SPEC)
    assert SECRET not in repr(ended.value.values) + repr(Module.warnings)
    return ended.value.values


def test_the_steps_in_their_order(example: type[Example]) -> None:
    values = answer()
    assert example.steps == ["observe", "plan", "act 1", "act 2", "act 3", "verify", "report", "remember", "close"]
    assert values["changed"] and not values["failed"]
    assert values["summary"]["headline"] == "removed 3" and values["summary"]["bytes"] == 21
    assert values["after"] == [4] and values["removed"] == [1, 2, 3]
    assert values["counts"] == {"plan": 3, "kept": 1, "actions": 3}
    assert "number 1" in values["diff"]["before"]
    assert Module.warnings == ["careful with ********"]


def test_check_mode_stops_after_planning(example: type[Example], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Module, "check_mode", True)
    values = answer()
    assert example.steps == ["observe", "plan", "report", "close"]
    assert values["changed"] and values["actions"] == []
    assert values["summary"]["headline"] == "would remove 3" and values["summary"]["bytes"] == 30


def test_what_fails_is_told_with_what_was_done(example: type[Example]) -> None:
    example.outcomes = {
        1: SkipAction("it is gone"),
        2: InsufficientSpace("no room", target="/srv", next_step="Make some."),
    }
    values = answer()
    assert [action["status"] for action in values["actions"]] == ["skipped", "failed", "done"]
    assert values["failed"] and values["changed"]
    assert values["msg"] == "1 of 3 actions failed; first: remove number 2: no room: /srv. Make some."
    assert values["insufficient_space"] is True, "details of a failed action are told"
    assert values["summary"]["headline"] == "removed 1"


def test_a_failure_may_carry_what_was_found(example: type[Example]) -> None:
    example.outcomes = {1: Outcome(detail=99, warnings=("odd " + SECRET,), failure=MaintenanceError("it differs"))}
    values = answer()
    assert values["removed"] == [99, 2, 3] and "odd ********" in Module.warnings
    assert values["actions"][0]["status"] == "failed" and values["actions"][0]["bytes"] == 0


def test_some_failures_forbid_the_rest(example: type[Example]) -> None:
    example.outcomes = {1: AbortPlan("the newest backup is gone")}
    values = answer()
    assert [action["status"] for action in values["actions"]] == ["failed"]
    assert "verify" in example.steps and "close" in example.steps


def test_a_defect_is_called_one_and_what_was_done_is_told(example: type[Example]) -> None:
    example.outcomes = {2: ZeroDivisionError("by " + SECRET)}
    values = answer()
    assert "defect of the collection" in values["msg"] and len(values["actions"]) == 3


def test_verification_and_report_can_fail(example: type[Example], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example, "verify", lambda *_: Verification([5], MaintenanceError("they are back")))
    values = answer()
    assert values["msg"] == "they are back." and values["after"] == [5] and values["changed"]

    def report(*_: Any) -> Report:
        return Report("three new findings", failure=MaintenanceError("new findings", details={"more": 1}))

    monkeypatch.setattr(example, "verify", lambda *_: Verification())
    monkeypatch.setattr(example, "report", report)
    values = answer()
    assert values["msg"] == "new findings." and values["more"] == 1


def test_a_failure_before_the_plan_has_all_keys(example: type[Example], monkeypatch: pytest.MonkeyPatch) -> None:
    def observe(self: Any) -> list[int]:
        raise MaintenanceError("no server", details={"plan": [{"action": "remove"}], "warnings": ["look"]})

    monkeypatch.setattr(example, "observe", observe)
    values = answer()
    assert values["plan"] == [{"action": "remove"}] and values["kept"] == [] and values["counts"]["plan"] == 1
    assert values["summary"]["headline"] == "failed before anything was done"
    assert values["summary"]["seconds"] >= 0 and Module.warnings == ["look"]
    assert example.steps == ["close"]


def test_the_record_holds_every_step_and_what_was_found(
    example: type[Example], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    state = StateDirectory(str(tmp_path / "state"))
    run_id = take_lease(state, "weekly", "ops", False, utc_now()).lease.run_id
    monkeypatch.setattr(Module, "params", {"run_id": run_id, "state_dir": state.path})
    answer()
    events = list(read_events(state, run_id))
    assert [event["event"] for event in events] == ["planned", *["begin", "end"] * 3, "ended"]
    assert events[0]["kept"] == [{"target": "number 4", "reason": "in use"}], "a result may be cut, the record is whole"
    assert events[-1]["findings"] == ["********"] and events[-1]["summary"]["headline"] == "removed 3"
    example.outcomes = {1: MaintenanceError("no")}
    answer()
    assert list(read_events(state, run_id))[-1]["event"] == "failed"


def test_modules_that_read_share_the_frame(example: type[Example]) -> None:
    def look(call: Call) -> Report:
        return Report("seen", values={"seen": [SECRET] * 300}, warnings=["only " + SECRET])

    values = answer(look, runner.run_info)
    assert len(values["seen"]) == 200 and values["counts"] == {"seen": 300}
    assert "plan" not in values and values["summary"]["headline"] == "seen"

    def fail(call: Call) -> Report:
        raise MaintenanceError("no answer from " + SECRET, next_step="Look.")

    values = answer(fail, runner.run_info)
    assert values["failed"] and values["msg"] == "no answer from ********. Look." and "plan" not in values


def test_one_function_refuses_too_many() -> None:
    plan: Plan[Remove] = Plan([Action("remove", "a", "old", Remove(1), 5)] * 3, [Kept("b", "in use")])
    refuse_above(plan, 3, "numbers")
    refuse_above(plan, None, "numbers")
    for limit in (0, 2):
        with pytest.raises(
            MaintenanceError, match=r"3 numbers would be removed, more than max_delete \(%d\)" % limit
        ) as caught:
            refuse_above(plan, limit, "numbers", target="/srv")
        assert caught.value.details["plan"][0]["bytes"] == 5 and caught.value.details["kept"]
    refuse_above(Plan(), 0, "numbers")


def test_where_one_failure_ends_the_plan_nothing_more_is_tried(
    example: type[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "stop_on_failure", True)
    example.outcomes = {1: SkipAction("it is gone"), 2: MaintenanceError("no")}
    values = answer()
    assert [action["status"] for action in values["actions"]] == ["skipped", "failed"]
    assert values["failed"] and "act 3" not in example.steps and "verify" in example.steps
