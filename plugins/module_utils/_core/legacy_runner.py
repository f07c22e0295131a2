# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observe, plan, apply, verify: the four steps of every module that changes something, in one place.

A module supplies the steps; the order, check mode, the record, measuring, redaction and the shape of what is returned
are decided here and nowhere else.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Callable, Dict, Generic, List, Mapping, Optional, Type, TypeVar

from ansible.module_utils.basic import AnsibleModule

from . import runner
from .arguments import DEFAULT_STATE_DIR, ArgumentSpec
from .clock import utc_now
from .errors import MaintenanceError, SkipAction
from .legacy_plan import Action, ActionResult, Outcome, Plan
from .record import capped
from .redaction import SECRETS
from .run_context import RunContext
from .units import format_size

Observation = TypeVar("Observation")


class Task(Generic[Observation]):
    """One acting module. The runner calls the steps in the order in which they stand here."""

    # False: a failed action does not keep the following ones from being tried; the module fails at the end.
    stop_on_failure = True

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: Dict[str, Any] = module.params
        self.run = context_of(module)

    def observe(self) -> Observation:
        """Read the world into plain data. I/O only, no decisions."""
        raise NotImplementedError

    def plan(self, observation: Observation, now: datetime) -> Plan:
        """Decide, by a pure function of the observation, the options and the moment."""
        raise NotImplementedError

    def act(self, action: Action) -> Outcome:
        """Carry out one action after checking its own precondition again.

        Raises:
            SkipAction: the precondition no longer holds.
            MaintenanceError: it failed.
        """
        raise NotImplementedError

    def verify(self, observation: Observation, plan: Plan, results: List[ActionResult]) -> None:
        """Observe again and compare with the plan; raises MaintenanceError when the world is not as it should be."""

    def summary(self, observation: Observation, plan: Plan, results: Optional[List[ActionResult]]) -> Dict[str, Any]:
        """The few numbers a person wants, with `headline`, one sentence; results is None in check mode."""
        raise NotImplementedError

    def changed(self, observation: Observation, plan: Plan, results: Optional[List[ActionResult]]) -> bool:
        if results is None:
            return bool(plan.actions)
        return any(result.status == "done" for result in results)

    def diff(self, observation: Observation, plan: Plan) -> Optional[Dict[str, Any]]:
        """What diff mode shows: the objects concerned, before and after."""
        before = ["%s%s" % (action.target, _bytes_note(action)) for action in plan.actions]
        after = ["%s: %s (%s)" % (action.target, action.action, action.reason) for action in plan.actions]
        return {"before": "".join(line + "\n" for line in before), "after": "".join(line + "\n" for line in after)}

    def extra(self, observation: Observation, plan: Plan, results: Optional[List[ActionResult]]) -> Dict[str, Any]:
        """Further return values."""
        return {}

    def close(self) -> None:
        """Give back what observe() opened. Always called."""


def _bytes_note(action: Action) -> str:
    return " (%s%s)" % ("about " if action.predicted else "", format_size(action.bytes)) if action.bytes else ""


def context_of(module: AnsibleModule) -> RunContext:
    """The run that a module call belongs to."""
    name = getattr(module, "_name", "") or ""
    return RunContext(
        module.params.get("run_id"),
        module.params.get("state_dir") or DEFAULT_STATE_DIR,
        bool(module.check_mode),
        str(name).rsplit(".", 1)[-1],
    )


def found_in(values: Mapping[str, Any]) -> Dict[str, Any]:
    """What a module found, beyond the numbers of its summary: the part of its result that the record keeps, whole. Pure.

    Args:
        values: what the module returns, or a task registered.
    """
    found: Dict[str, Any] = {}
    for key in ("findings", "resolved", "unused_indexes"):
        if isinstance(values.get(key), (list, tuple)) and values[key]:
            found[key] = list(values[key])
    relations = values.get("relations")
    if isinstance(relations, (list, tuple)):
        concerned = [item for item in relations if isinstance(item, Mapping) and item.get("orphans")]
        if concerned:
            found["relations"] = concerned
    if values.get("undo_id"):
        found["undo_id"] = values["undo_id"]
    return found


def _result(values: Dict[str, Any]) -> Dict[str, Any]:
    cleaned: Dict[str, Any] = SECRETS.clean(capped(values))
    return cleaned


def _warn(module: AnsibleModule, values: Dict[str, Any]) -> None:
    for warning in values.pop("warnings", ()):
        module.warn(SECRETS.clean_text(str(warning)))


def _fail(module: AnsibleModule, context: RunContext, message: str, values: Dict[str, Any]) -> None:
    _warn(module, values)
    cleaned = _result(values)
    try:
        # What was found is of most use where it is the failure.
        event = {"event": "failed", "message": message, "summary": cleaned.get("summary")}
        context.append(dict(event, **found_in(values)))
    except MaintenanceError:
        pass  # the record is what failed, or the lease is lost: the message below is what matters
    module.fail_json(msg=SECRETS.clean_text(message), **cleaned)


def _unexpected(error: Exception) -> str:
    return "%s: %s. This is a defect of the collection: please report it with the output of -vvv." % (
        type(error).__name__,
        error,
    )


def run(task_class: Type[Task[Any]], spec: ArgumentSpec, supports_check_mode: bool = True) -> None:
    """Run an acting module from start to end; does not return."""
    module = AnsibleModule(supports_check_mode=supports_check_mode, **spec.module_arguments())
    started = time.monotonic()
    task: Optional[Task[Any]] = None
    context = context_of(module)
    values: Dict[str, Any] = {}
    message = ""
    try:
        task = task_class(module)
        context = task.run
        with context.working():
            message = _four_steps(module, task, values)
    except MaintenanceError as error:
        values.update(error.details)
        message = message or str(error)
    except Exception as error:  # pylint: disable=broad-except
        message = message or _unexpected(error)
        if module._verbosity >= 3:
            import traceback

            values["exception"] = traceback.format_exc()
    finally:
        if task is not None:
            try:
                task.close()
            except Exception as error:  # pylint: disable=broad-except
                values.setdefault("warnings", []).append("closing failed: %s" % error)
    if message:
        _complete(values)
    if "summary" in values:
        values["summary"]["seconds"] = round(time.monotonic() - started, 3)
    if message:
        _fail(module, context, message, values)
    _warn(module, values)
    module.exit_json(**_result(values))


def _complete(values: Dict[str, Any]) -> None:
    """Give a failure the keys that every result has, however far it came."""
    values.setdefault("changed", False)
    counts = {}
    for key in ("plan", "kept", "actions"):
        counts[key] = len(values.setdefault(key, []))
    values["counts"] = {**counts, **values.get("counts", {})}
    values.setdefault("summary", {"headline": "failed" if values["actions"] else "failed before anything was done"})


def _four_steps(module: AnsibleModule, task: Task[Any], values: Dict[str, Any]) -> str:
    """Fill `values` step by step, so that a failure still reports what was done; returns the message of a failure."""
    observation = task.observe()
    plan = task.plan(observation, utc_now())
    values.update(
        changed=False,
        plan=[action.as_dict() for action in plan.actions],
        kept=[kept.as_dict() for kept in plan.kept],
        actions=[],
        counts={"plan": len(plan.actions), "kept": len(plan.kept), "actions": 0},
        warnings=list(plan.warnings),
    )
    if module._diff:
        diff = task.diff(observation, plan)
        if diff:
            values["diff"] = diff
    if module.check_mode:
        values["changed"] = task.changed(observation, plan, None)
        values["summary"] = task.summary(observation, plan, None)
        values.update(task.extra(observation, plan, None))
        return ""
    task.run.append({"event": "planned", "plan": values["plan"], "kept": len(plan.kept)})
    results: List[ActionResult] = []
    message = ""
    try:
        apply(task, plan, results)
    except MaintenanceError as error:
        # The record cannot be written any more: nothing further is done, but what was done is told here.
        values.update(error.details)
        message = str(error)
    values["actions"] = [result.as_dict() for result in results]
    values["counts"]["actions"] = len(results)
    failed = [result for result in results if result.status == "failed"]
    if failed and not message:
        message = "%d of %d actions failed; first: %s %s: %s" % (
            len(failed),
            len(plan.actions),
            failed[0].action.action,
            failed[0].action.target,
            failed[0].error,
        )
        if len(plan.actions) == 1:
            message = failed[0].error
    try:
        task.verify(observation, plan, results)
    except MaintenanceError as error:
        values.update(error.details)
        message = message or str(error)
    except Exception as error:  # pylint: disable=broad-except
        message = message or _unexpected(error)
    values["changed"] = task.changed(observation, plan, results)
    values["summary"] = task.summary(observation, plan, results)
    values.update(task.extra(observation, plan, results))
    if not message:
        event = {"event": "ended", "changed": values["changed"], "summary": values["summary"]}
        task.run.append(dict(event, **found_in(values)))
    return message


def apply(task: Task[Any], plan: Plan, results: List[ActionResult]) -> None:
    """Carry the actions out one at a time, each noted in the run's record before and after.

    Args:
        results: filled in as they come, so that they are known whatever ends this.
    """
    for action in plan.actions:
        runner.boundary(task.run, {"event": "begin", "action": action.action, "target": action.target})
        started = time.monotonic()
        try:
            outcome = task.act(action)
            result = ActionResult(
                action, outcome.status, outcome.bytes, time.monotonic() - started, "", outcome.note, outcome.data
            )
        except SkipAction as skip:
            result = ActionResult(action, "skipped", 0, time.monotonic() - started, "", skip.reason)
        except MaintenanceError as error:
            result = ActionResult(action, "failed", 0, time.monotonic() - started, str(error))
        except Exception as error:  # pylint: disable=broad-except
            # What was done before must still be reported: nothing may escape from here.
            result = ActionResult(action, "failed", 0, time.monotonic() - started, _unexpected(error))
        results.append(result)
        runner.boundary(task.run, dict(result.as_dict(), event="end"))
        if result.status == "failed" and task.stop_on_failure:
            break


def run_info(
    function: Callable[[AnsibleModule, RunContext], Dict[str, Any]],
    spec: ArgumentSpec,
) -> None:
    """Run a module that only reads; does not return.

    Args:
        function: returns the values to return, with a `summary`; raises MaintenanceError.
        spec: the options.
    """
    module = AnsibleModule(supports_check_mode=True, **spec.module_arguments())
    started = time.monotonic()
    context = context_of(module)
    values: Dict[str, Any] = {}
    message = ""
    try:
        with context.working():
            values = dict(function(module, context))
            values.setdefault("changed", False)
            if isinstance(values.get("summary"), dict):
                values["summary"]["seconds"] = round(time.monotonic() - started, 3)
            event = {"event": "ended", "changed": values["changed"], "summary": values.get("summary")}
            context.append(dict(event, **found_in(values)))
    except MaintenanceError as error:
        values.update(error.details)
        values["changed"] = values.get("changed", False)
        message = str(error)
    except Exception as error:  # pylint: disable=broad-except
        values = {"changed": False}
        message = _unexpected(error)
        if module._verbosity >= 3:
            import traceback

            values["exception"] = traceback.format_exc()
    if message:
        if isinstance(values.get("summary"), dict):
            values["summary"].setdefault("seconds", round(time.monotonic() - started, 3))
        _fail(module, context, message, values)
    _warn(module, values)
    module.exit_json(**_result(values))
