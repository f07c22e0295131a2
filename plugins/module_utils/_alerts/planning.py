# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is new, what is told again, what is over, and which channel is to hear of it. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import List, Optional, Sequence, Tuple, Union

from .._core.clock import format_utc, parse_utc
from .._core.finding import severity_rank
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Plan
from .problems import FINDING, JOB, STEP, Concern, Recalled, RunSeen

# What no run has looked at for so long is forgotten, so that the memory does not grow for ever.
FORGET_DAYS = 90
MOST_REMEMBERED = 2000


@dataclass(frozen=True)
class Policy:
    """What is told.

    Attributes:
        threshold: severity from which a problem is told.
        repeat_seconds: after which one that still stands is told again; 0 for never.
        channels: names of the channels that messages go to.
        heartbeat: there is an address that hears of each success.
    """

    threshold: str
    repeat_seconds: float
    channels: Tuple[str, ...]
    heartbeat: bool = False


@dataclass(frozen=True)
class Message:
    """What one channel is told.

    Attributes:
        new, again, over: problems, in the order in which they are read.
    """

    run: RunSeen
    new: Tuple[Recalled, ...] = ()
    again: Tuple[Recalled, ...] = ()
    over: Tuple[Recalled, ...] = ()


@dataclass(frozen=True)
class SendMessage:
    """Tell a channel."""

    channel: str
    message: Message


@dataclass(frozen=True)
class PingHeartbeat:
    """Tell the heartbeat's address that a run ended well."""

    run: str
    host: str


AlertWork = Union[SendMessage, PingHeartbeat]


def _is_over(problem: Concern, run: RunSeen, known_findings: bool) -> bool:
    """Whether a problem that this run does not report is over; it stands while nobody has looked."""
    if problem.kind == FINDING:
        own = problem.key.partition(":")[2]
        return known_findings and problem.step in run.looked_at and own not in run.present
    if problem.kind == STEP:
        return problem.step in run.looked_at
    # A job's failure is told by who started it; of a run and of a sentence the next run of that name knows.
    return problem.kind != JOB and problem.run == run.name and run.status == "ok"


def stand(
    memory: Sequence[Recalled],
    problems: Sequence[Concern],
    run: RunSeen,
    policy: Policy,
    now: datetime,
    known_findings: bool = True,
) -> List[Recalled]:
    """What stands after a run, and what is over and still to be told.

    Args:
        memory: what stood before.
        known_findings: the host's record says which findings there are.
    """
    moment = format_utc(now)
    serious = {
        problem.key: problem
        for problem in problems
        if severity_rank(problem.severity) >= severity_rank(policy.threshold)
    }
    reported = {problem.key for problem in problems}
    after: List[Recalled] = []
    for entry in memory:
        problem = serious.pop(entry.problem.key, None)
        if problem is not None:
            after.append(replace(entry, problem=problem, seen=moment, over=""))
        elif entry.over or entry.problem.key in reported:
            after.append(entry)
        elif _is_over(entry.problem, run, known_findings):
            after.append(replace(entry, over=moment))
        else:
            after.append(entry)
    after.extend(Recalled(problem, moment, moment) for problem in serious.values())
    return [entry for entry in after if _remembered(entry, policy, now)][-MOST_REMEMBERED:]


def _remembered(entry: Recalled, policy: Policy, now: datetime) -> bool:
    if entry.over:
        return any(told[0] in policy.channels for told in entry.told)
    return now - parse_utc(entry.seen) < timedelta(days=FORGET_DAYS)


def _told(entry: Recalled, channel: str) -> Optional[Tuple[str, str]]:
    """When a channel was told last, and how bad it was then."""
    return next((told[1:] for told in entry.told if told[0] == channel), None)


def _is_due(told: str, policy: Policy, now: datetime) -> bool:
    # Told in the future: the clock was ahead then. Waiting for that moment could take years.
    return not 0 <= (now - parse_utc(told)).total_seconds() < policy.repeat_seconds


def message_for(channel: str, standing: Sequence[Recalled], run: RunSeen, policy: Policy, now: datetime) -> Message:
    """What a channel is to hear now; empty when there is no news for it."""
    moment = format_utc(now)
    new, again, over = [], [], []
    for entry in standing:
        told = _told(entry, channel)
        if entry.over:
            if told is not None:
                over.append(entry)
        elif entry.seen != moment:
            continue  # this run has not met it
        elif told is None or severity_rank(entry.problem.severity) > severity_rank(told[1]):
            new.append(entry)
        elif policy.repeat_seconds and _is_due(told[0], policy, now):
            again.append(entry)

    def worst_first(entries: List[Recalled]) -> Tuple[Recalled, ...]:
        return tuple(sorted(entries, key=lambda entry: -severity_rank(entry.problem.severity)))

    return Message(run, worst_first(new), worst_first(again), worst_first(over))


def after_telling(memory: Sequence[Recalled], message: Message, channel: str, now: datetime) -> List[Recalled]:
    """What is remembered once a channel has been told, and nothing else is known yet.

    Args:
        memory: what is remembered so far; of what the message tells, it may not know yet.
    """
    told_now = {entry.problem.key: entry for entry in (*message.new, *message.again, *message.over)}
    before = {entry.problem.key: entry for entry in memory}
    after = []
    for key, entry in {**before, **told_now}.items():
        if key in told_now:
            told = [other for other in before.get(key, entry).told if other[0] != channel]
            if not entry.over:
                told.append((channel, format_utc(now), entry.problem.severity))
            entry = replace(entry, told=tuple(sorted(told)))
        if entry.told or not entry.over:
            after.append(entry)
    return after


def plan_alerts(standing: Sequence[Recalled], run: RunSeen, policy: Policy, now: datetime) -> Plan[AlertWork]:
    """One message for each channel that there is news for, and the heartbeat of a run that ended well.

    Args:
        standing: as `stand` gives it.
    """
    plan: Plan[AlertWork] = Plan()
    moment = format_utc(now)
    for channel in policy.channels:
        message = message_for(channel, standing, run, policy, now)
        counts = [
            "%d %s" % (len(part), word)
            for part, word in ((message.new, "new"), (message.again, "standing"), (message.over, "over"))
            if part
        ]
        if counts:
            plan.actions.append(Action("send", channel, ", ".join(counts), SendMessage(channel, message)))
            continue
        met = [entry for entry in standing if not entry.over and entry.seen == moment]
        reason = "nothing to tell"
        if met:
            reason = "told before: %s" % ", ".join(entry.problem.key for entry in met[:5])
        plan.kept.append(Kept(channel, reason))
    if policy.heartbeat:
        if run.status == "ok":
            plan.actions.append(Action("ping", "heartbeat", "the run ended well", PingHeartbeat(run.name, run.host)))
        else:
            plan.kept.append(Kept("heartbeat", "the run failed"))
    return plan
