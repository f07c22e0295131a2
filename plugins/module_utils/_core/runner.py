# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observe, plan, apply, verify: the four steps of every module that changes something, in one place.

A module supplies the steps; the order, check mode, the record, measuring, redaction and the shape of what is returned
are decided here and nowhere else. Nothing but this file talks to AnsibleModule.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Callable, Dict, Generic, List, Mapping, Optional, Sequence, Tuple, Type, TypeVar

from ansible.module_utils.basic import AnsibleModule

from . import CODE
from .arguments import ArgumentSpec
from .call import Call
from .clock import utc_now
from .errors import AbortPlan, MaintenanceError, SkipAction
from .record import capped
from .redaction import SECRETS
from .run_context import RunContext
from .units import format_size

if TYPE_CHECKING:
    # A module that only reads has other things to do first, and one that acts has loaded it.
    from .plan import Action, Outcome, Plan, Report, Result, Results, Verification

Observation = TypeVar("Observation")
Handler = Callable[[Any, "Action[Any]", Any], "Outcome"]
Work = Callable[[Call, "Answer"], None]

# The option with the result that this very call has had already, in one process with others (`several`).
GIVEN = "given"


class Task(Generic[Observation]):
    """One acting module. The runner calls the steps in the order in which they stand here.

    Everything a step needs is an argument of it: a task keeps its options, and what `close` must give back.
    """

    # False: a failed action does not keep the following ones from being tried; the module fails at the end.
    stop_on_failure = True
    # How many actions of a wave are carried out at a time, unless `at_a_time` says otherwise.
    threads = 1
    # From the type of an action's work to what carries it out: a method that takes the action and the observation.
    handlers: Mapping[Type[Any], Handler] = {}

    def __init__(self, call: Call) -> None:
        self.call = call
        self.params = call.params
        self.run = call.run

    def observe(self) -> Observation:
        """Read the world into plain data. I/O only, no decisions."""
        raise NotImplementedError

    def plan(self, observation: Observation, now: datetime) -> Plan[Any]:
        """Decide, by a pure function of the observation, the options and the moment."""
        raise NotImplementedError

    def waves(self, observation: Observation, plan: Plan[Any]) -> Sequence[Sequence[Action[Any]]]:
        """The actions in order, those together that may be carried out side by side. `act` is then called by several threads."""
        return [[action] for action in plan.actions]

    def at_a_time(self, observation: Observation, wave: Sequence[Action[Any]]) -> int:
        """How many actions of a wave are carried out at a time."""
        return self.threads

    def act(self, action: Action[Any], observation: Observation) -> Outcome:
        """Carry out one action after checking its own precondition again.

        Raises:
            SkipAction: the precondition no longer holds.
            AbortPlan: it failed, and nothing further may be done.
            MaintenanceError: it failed.
        """
        return self.handlers[type(action.work)](self, action, observation)

    def verify(
        self, observation: Observation, plan: Plan[Any], results: Results[Any, Observation]
    ) -> Verification[Observation]:
        """Observe again, as far as anything was done, and compare with the plan."""
        from .plan import Verification

        return Verification()

    def report(self, observation: Observation, plan: Plan[Any], results: Results[Any, Observation]) -> Report:
        """All that there is to say; pure. The plan's warnings and those of the results are told without its doing."""
        raise NotImplementedError

    def remember(
        self, observation: Observation, plan: Plan[Any], results: Results[Any, Observation]
    ) -> Optional[Sequence[str]]:
        """Write down on the host what the next call is to know, such as a baseline; returns warnings, if there are any. Not called
        in check mode.

        Raises:
            MaintenanceError: it cannot be written, which is a failure of the call.
        """
        return None

    def diff(self, observation: Observation, plan: Plan[Any]) -> Optional[Dict[str, Any]]:
        """What diff mode shows: the objects concerned, before and after."""
        before = ["%s%s" % (action.target, _bytes_note(action)) for action in plan.actions]
        after = ["%s: %s (%s)" % (action.target, action.action, action.reason) for action in plan.actions]
        return {"before": "".join(line + "\n" for line in before), "after": "".join(line + "\n" for line in after)}

    def close(self) -> None:
        """Give back what observe() opened. Always called."""


def _bytes_note(action: Action[Any]) -> str:
    return " (%s%s)" % ("about " if action.predicted else "", format_size(action.bytes)) if action.bytes else ""


Prepare = Callable[[Call], None]


def _nothing_to_prepare(call: Call) -> None:
    pass


def acting(task_class: Type[Task[Any]], prepare: Prepare = _nothing_to_prepare) -> Work:
    """What a module does that acts."""

    def work(call: Call, answer: Answer) -> None:
        answer.acting = True
        prepare(call)
        task = task_class(call)
        try:
            with call.run.working():
                _four_steps(call, task, answer)
        finally:
            try:
                task.close()
            except Exception as error:  # pylint: disable=broad-except
                answer.warnings.append("closing failed: %s" % error)

    return work


def reading(function: Callable[[Call], Report], prepare: Prepare = _nothing_to_prepare) -> Work:
    """What a module does that only reads."""

    def work(call: Call, answer: Answer) -> None:
        prepare(call)
        with call.run.working():
            answer.take(function(call))
            answer.append_end(call.run)

    return work


def run(task_class: Type[Task[Any]], spec: ArgumentSpec, prepare: Prepare = _nothing_to_prepare) -> None:
    """Run an acting module from start to end; does not return.

    Args:
        prepare: completes the options before anything else, from where only a storey above the task's can read.
    """
    _frame(spec, acting(task_class, prepare))


def run_info(function: Callable[[Call], Report], spec: ArgumentSpec, prepare: Prepare = _nothing_to_prepare) -> None:
    """Run a module that only reads; does not return.

    Args:
        function: does all the work; raises MaintenanceError.
        spec: the options.
        prepare: as for `run`.
    """
    _frame(spec, reading(function, prepare))


def run_outside(function: Callable[[Call], Report], spec: ArgumentSpec) -> None:
    """Run a module that begins or ends what the others work in: it holds no lease here and writes its own events."""

    def work(call: Call, answer: Answer) -> None:
        answer.recorded = False
        answer.take(function(call))

    _frame(spec, work)


class Answer:
    """What is known of a module's result so far: it is told also when the module fails half way.

    Attributes:
        values: return values.
        record: what the record of the run holds beyond the summary.
        warnings: sentences for the user.
        failure: message of the first failure, empty while there is none.
        acting: it has the keys of an acting module, however far it came.
        recorded: its failure is written into the record of the run.
    """

    def __init__(self) -> None:
        self.values: Dict[str, Any] = {"changed": False}
        self.record: Dict[str, Any] = {}
        self.warnings: List[str] = []
        self.failure = ""
        self.acting = False
        self.recorded = True

    def fail(self, error: MaintenanceError) -> None:
        """Note a failure. The first one gives the message; details of all are kept."""
        details = dict(error.details)
        self.warnings.extend(details.pop("warnings", ()))
        self.values.update(details)
        self.failure = self.failure or str(error)

    def defect(self, error: Exception, verbosity: int) -> None:
        self.failure = self.failure or defect_text(error)
        if verbosity >= 3:
            import traceback

            self.values["exception"] = traceback.format_exc()

    def take(self, report: Report) -> None:
        self.values.update(report.values)
        self.values["changed"] = report.changed
        self.values["summary"] = dict(report.summary, headline=report.headline)
        self.record = report.record
        self.warnings.extend(report.warnings)
        if report.failure is not None:
            self.fail(report.failure)

    def complete(self) -> None:
        """Give a failure of an acting module the keys that every result has."""
        counts = {}
        for key in ("plan", "kept", "actions"):
            counts[key] = len(self.values.setdefault(key, []))
        self.values["counts"] = {**counts, **self.values.get("counts", {})}
        done = bool(self.values["actions"])
        self.values.setdefault("summary", {"headline": "failed" if done else "failed before anything was done"})

    def append_end(self, run: RunContext) -> None:
        """Write into the record how it ended, if it ended well; a failure is written when all is known of it."""
        if not self.failure:
            run.append(
                dict(self.record, event="ended", changed=self.values["changed"], summary=self.values.get("summary"))
            )


def defect_text(error: Exception) -> str:
    """An exception that nobody foresaw, in words."""
    return "%s: %s. This is a defect of the collection: please report it with the output of -vvv." % (
        type(error).__name__,
        error,
    )


def _frame(spec: ArgumentSpec, work: Work) -> None:
    """What all modules have in common: their options, and the way out."""
    module = AnsibleModule(supports_check_mode=True, **spec.module_arguments())
    result = module.params.get(GIVEN) or answered(module, work)
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    if CODE is not None and not module.check_mode:
        CODE.keep()
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def answered(module: Any, work: Work) -> Dict[str, Any]:
    """The result of one call, as it may be shown: exceptions, seconds, redaction, the record of a failure.

    Args:
        module: AnsibleModule, or what stands for it where one process makes several calls.
    """
    started = time.monotonic()
    call, answer = Call(module), Answer()
    try:
        work(call, answer)
    except MaintenanceError as error:
        answer.fail(error)
    except Exception as error:  # pylint: disable=broad-except
        answer.defect(error, module._verbosity)
    if answer.failure and answer.acting:
        answer.complete()
    if isinstance(answer.values.get("summary"), dict):
        answer.values["summary"].setdefault("seconds", round(time.monotonic() - started, 3))
    result: Dict[str, Any] = SECRETS.clean(capped(answer.values))
    if answer.warnings:
        result["warnings"] = [SECRETS.clean_text(str(warning)) for warning in answer.warnings]
    if not answer.failure:
        return result
    if answer.recorded:
        try:
            # What was found is of most use where it is the failure.
            call.run.append(dict(answer.record, event="failed", message=answer.failure, summary=result.get("summary")))
        except MaintenanceError:
            pass  # the record is what failed, or the lease is lost: the message below is what matters
    return dict(result, failed=True, msg=SECRETS.clean_text(answer.failure))


def _four_steps(call: Call, task: Task[Any], answer: Answer) -> None:
    """The steps in order; `answer` is filled as they come, so that a failure still reports what was done."""
    from .plan import Results, Verification

    observation = task.observe()
    plan = task.plan(observation, utc_now())
    answer.values.update(
        plan.as_dict(),
        actions=[],
        counts={"plan": len(plan.actions), "kept": len(plan.kept), "actions": 0},
    )
    answer.warnings.extend(plan.warnings)
    if call._module._diff:
        diff = task.diff(observation, plan)
        if diff:
            answer.values["diff"] = diff
    results: Results[Any, Any] = Results(call.check, list(plan.actions))
    if call.check:
        answer.take(task.report(observation, plan, results))
        return
    call.run.append({"event": "planned", "plan": answer.values["plan"], "kept": answer.values["kept"]})
    try:
        apply(task, observation, plan, results)
    except MaintenanceError as error:
        # The record cannot be written any more: nothing further is done, but what was done is told here.
        results.aborted = error
        answer.fail(error)
    answer.values["actions"] = [result.as_dict() for result in results]
    answer.values["counts"]["actions"] = len(results)
    answer.warnings.extend(results.warnings)
    if results.failed:
        answer.failure = answer.failure or _failure_of(plan, results)
    for failure in results.failures:
        answer.fail(failure)
    try:
        results.verification = task.verify(observation, plan, results)
    except MaintenanceError as error:
        results.verification = Verification(failure=error)
    except Exception as error:  # pylint: disable=broad-except
        answer.defect(error, call._module._verbosity)
    answer.warnings.extend(results.verification.warnings)
    if results.verification.failure is not None:
        answer.fail(results.verification.failure)
    answer.take(task.report(observation, plan, results))
    answer.warnings.extend(task.remember(observation, plan, results) or ())
    answer.append_end(call.run)


def _failure_of(plan: Plan[Any], results: Results[Any, Any]) -> str:
    first = results.failed[0]
    if len(plan.actions) == 1:
        return first.error
    return "%d of %d actions failed; first: %s %s: %s" % (
        len(results.failed),
        len(plan.actions),
        first.action.action,
        first.action.target,
        first.error,
    )


def apply(task: Task[Any], observation: Any, plan: Plan[Any], results: Results[Any, Any]) -> None:
    """Carry the actions out, each noted in the run's record before and after.

    Args:
        results: filled in as they come, so that they are known whatever ends this.
    """
    for wave in task.waves(observation, plan):
        attempts = Attempts(task, observation, wave)
        try:
            attempts.make()
        finally:
            attempts.hand_over(results)
        if attempts.ended:
            return


class Attempts:
    """The actions of one wave, carried out one at a time or a few side by side.

    Attributes:
        ended: one has failed so that nothing further may be tried.
    """

    def __init__(self, task: Task[Any], observation: Any, wave: Sequence[Action[Any]]) -> None:
        self.ended = False
        self._task = task
        self._observation = observation
        self._wave = wave
        self._found: Dict[int, Tuple[Result[Any], Sequence[str], Optional[MaintenanceError]]] = {}

    def make(self) -> None:
        """Try all of them.

        Raises:
            MaintenanceError: the record cannot be written any more.
        """
        threads = min(self._task.at_a_time(self._observation, self._wave), len(self._wave))
        if threads <= 1:
            for place in range(len(self._wave)):
                self._try(place)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(threads) as pool:
            waiting = [pool.submit(self._try, place) for place in range(len(self._wave))]
        for attempt in waiting:
            attempt.result()

    def hand_over(self, results: Results[Any, Any]) -> None:
        """Tell what came of them, in the plan's order."""
        for _place, (result, warnings, failure) in sorted(self._found.items(), key=lambda item: item[0]):
            results.all.append(result)
            results.warnings.extend(warnings)
            if failure is not None:
                results.failures.append(failure)

    def _try(self, place: int) -> None:
        if self.ended:
            return
        try:
            self._carry_out(place)
        except BaseException:
            self.ended = True
            raise

    def _carry_out(self, place: int) -> None:
        from .plan import DONE, FAILED, SKIPPED, Outcome, Result

        task, action = self._task, self._wave[place]
        boundary(task.run, {"event": "begin", "action": action.action, "target": action.target})
        started = time.monotonic()
        outcome, status, error = Outcome(), DONE, ""
        told: Optional[MaintenanceError] = None
        try:
            outcome = task.act(action, self._observation)
            if outcome.failure is not None:
                raise outcome.failure
        except SkipAction as skip:
            outcome, status = Outcome(note=skip.reason), SKIPPED
        except MaintenanceError as failure:
            status, error, told = FAILED, str(failure), failure
        except Exception as failure:  # pylint: disable=broad-except
            # What was done before must still be reported: nothing may escape from here.
            status, error = FAILED, defect_text(failure)
        result = Result(
            action,
            status,
            outcome.bytes if status == DONE else 0,
            time.monotonic() - started,
            error,
            outcome.note,
            outcome.detail,
        )
        self._found[place] = (result, outcome.warnings, told)
        if status == FAILED and (isinstance(told, AbortPlan) or task.stop_on_failure):
            self.ended = True
        boundary(task.run, dict(result.as_dict(), event="end"))


def boundary(context: RunContext, event: Dict[str, Any]) -> None:
    """The point between two actions: what a run killed here had done is exactly what its record says."""
    context.append(event)
