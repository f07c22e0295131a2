# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiving a finding by its id, and taking that back: the steps of finding_waiver."""

from __future__ import annotations

import difflib
from datetime import date, datetime, timedelta
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from .._core.call import Call
from .._core.clock import format_utc, utc_now
from .._core.errors import MaintenanceError, SkipAction
from .._core.finding import KNOWN, NEW, finding_id, severity_rank
from .._core.judgement import Remembered
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Outcome, Plan, Report, Results
from .._core.record import default_owner
from .._core.runner import Task
from .._core.units import parse_duration
from .._core.waiver import parse_last_day
from .audit_state import AuditState
from .waiver_file import FiledWaiver, read_waiver_file, waiver_path, waivers_locked, write_waiver_file

AUDITS = ("perm_audit", "secret_scan", "port_audit", "npm_audit")
_SHOWN = 10


@dataclass(frozen=True)
class Waivable:
    """A finding of the last audits; status is known, or new for what was new or waived when it was last looked for."""

    id: str
    fingerprint: str
    audit: str
    rule: str
    target: str
    severity: str
    status: str = KNOWN

    def as_dict(self) -> Dict[str, str]:
        return {
            "id": self.id,
            "audit": self.audit,
            "rule": self.rule,
            "severity": self.severity,
            "target": self.target,
            "fingerprint": self.fingerprint,
            "status": self.status,
        }


@dataclass(frozen=True)
class Waive:
    """Put a waiver into the file, in the place of one for the same finding."""

    waiver: FiledWaiver


@dataclass(frozen=True)
class Unwaive:
    """Take a waiver out of the file."""

    waiver: FiledWaiver


WaiverWork = Union[Waive, Unwaive]


@dataclass(frozen=True)
class Request:
    """What is asked for; by state, of one finding.

    Attributes:
        expires: the last day.
    """

    state: str
    finding: str = ""
    reason: str = ""
    expires: Optional[date] = None
    by: str = ""
    unknown: str = "fail"


@dataclass(frozen=True)
class WaiverObservation:
    """What was found: the file's waivers, and what the last audits of this host found."""

    waivers: Tuple[FiledWaiver, ...] = ()
    found: Tuple[Waivable, ...] = ()


def last_day(text: str, today: date) -> date:
    """The last day of a waiver, from a date (2027-03-31) or a duration (90d) from today on.

    Raises:
        MaintenanceError: it is neither, or is over already.
    """
    try:
        day = parse_last_day(text, "waiver")
    except MaintenanceError:
        try:
            day = today + timedelta(days=parse_duration(text) / 86400)
        except (MaintenanceError, OverflowError) as error:
            raise MaintenanceError(
                "the expiry of a waiver is neither a date nor a duration",
                target=repr(text),
                next_step="Write the last day on which it holds, as in 2027-03-31, or a number of days, as in 90d.",
            ) from error
    if day < today:
        raise MaintenanceError(
            "the waiver would be over already", target=text, next_step="Give it a day that is still to come, or 90d."
        )
    return day


def waiver_request(params: Mapping[str, Any], now: datetime) -> Request:
    """What the options ask for.

    Raises:
        MaintenanceError: they make no sense.
    """
    finding, reason = (params["finding"] or "").strip(), " ".join((params["reason"] or "").split())
    if params["state"] == "listed":
        return Request("listed")
    if not finding:
        raise MaintenanceError(
            "no finding is named", next_step="Give the id that an audit shows, as in -e finding=env-readable-1a2b3c4d."
        )
    if params["state"] == "absent":
        return Request("absent", finding, unknown=params["unknown"])
    if not reason:
        raise MaintenanceError(
            "a waiver has no reason", target=finding, next_step="Say why the finding may stand: -e reason='...'."
        )
    if not params["expires"]:
        raise MaintenanceError(
            "a waiver has no end", target=finding, next_step="Say how long it holds: -e expires=90d, or a date."
        )
    expires = last_day(str(params["expires"]), now.date())
    return Request("present", finding, reason, expires, params["by"] or default_owner(), params["unknown"])


def waivable(remembered: Mapping[str, Remembered]) -> List[Waivable]:
    """What the last audits found, the most severe first. Pure.

    Args:
        remembered: what each audit left.
    """
    found: Dict[Tuple[str, str], Waivable] = {}
    for audit, left in remembered.items():
        # What is known and has become more severe stands in both, and is news.
        for status, scopes in ((KNOWN, left.baseline), (NEW, left.open)):
            for entries in scopes.values():
                for mark, entry in entries.items():
                    found[audit, mark] = Waivable(
                        finding_id(entry.rule, mark), mark, audit, entry.rule, entry.target, entry.severity, status
                    )
    return sorted(found.values(), key=lambda item: (-severity_rank(item.severity), item.target, item.id))


def named(name: str, found: Sequence[Waivable]) -> Optional[Waivable]:
    """The finding of this id or fingerprint; None when there is none.

    Raises:
        MaintenanceError: it is the id of several.
    """
    matching = [item for item in found if name in (item.id, item.fingerprint)]
    if len({item.fingerprint for item in matching}) > 1:
        raise MaintenanceError(
            "several findings have this id",
            target=name,
            next_step="Give the fingerprint instead: %s."
            % ", ".join("%s is %s" % (item.fingerprint, item.target) for item in matching),
        )
    return matching[0] if matching else None


def plan_waiver(observation: WaiverObservation, request: Request, now: datetime) -> Plan[WaiverWork]:
    """What is to be done to the file. Pure.

    Raises:
        MaintenanceError: the finding is not known.
    """
    plan: Plan[WaiverWork] = Plan()
    if request.state == "listed":
        return plan
    item = named(request.finding, observation.found)
    marks = {request.finding} | ({item.id, item.fingerprint} if item else set())
    filed = [entry for entry in observation.waivers if marks & {entry.finding, entry.fingerprint} - {""}]
    if request.state == "absent":
        plan.actions.extend(
            Action("unwaive", entry.name, "asked for; it was: %s" % entry.reason, Unwaive(entry)) for entry in filed
        )
        if not filed:
            plan.kept.append(Kept(request.finding, "it is not waived"))
        return plan
    if item is None:
        if request.unknown == "ignore":
            plan.kept.append(Kept(request.finding, "no audit of this host knows it"))
            return plan
        raise _unknown(request.finding, observation.found)
    wanted = FiledWaiver(
        item.id,
        request.reason,
        # A request for presence has a day.
        request.expires.isoformat() if request.expires else "",
        item.fingerprint,
        item.audit,
        item.rule,
        item.target,
        item.severity,
        request.by,
        format_utc(now),
    )
    same = [entry for entry in filed if (entry.reason, entry.expires) == (wanted.reason, wanted.expires)]
    if same and len(filed) == 1:
        plan.kept.append(Kept(item.id, "it is waived already, until %s" % wanted.expires))
        return plan
    about = "%s until %s: %s" % (item.target, wanted.expires, wanted.reason)
    plan.actions.append(Action("waive", item.id, about, Waive(wanted)))
    return plan


def _unknown(name: str, found: Sequence[Waivable]) -> MaintenanceError:
    ids = sorted({item.id for item in found})
    near = difflib.get_close_matches(name, ids, n=3, cutoff=0.6)
    if near:
        step = "Is one of these meant? %s." % ", ".join(near)
    elif ids:
        more = ", and %d more" % (len(ids) - _SHOWN) if len(ids) > _SHOWN else ""
        step = "The last audits found: %s%s." % (", ".join(ids[:_SHOWN]), more)
    else:
        step = "No audit of this host has found anything yet: run security_audit first."
    return MaintenanceError("no audit of this host knows this finding", target=name, next_step=step)


class FindingWaiver(Task[WaiverObservation]):
    """Waive a finding, or take that back."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.request = waiver_request(call.params, utc_now())

    def observe(self) -> WaiverObservation:
        return WaiverObservation(tuple(read_waiver_file(self.run.state_dir)), tuple(self._found()))

    def _found(self) -> List[Waivable]:
        state = AuditState(self.run.state_dir)
        return waivable({audit: state.read(audit).remembered for audit in AUDITS})

    def plan(self, observation: WaiverObservation, now: datetime) -> Plan[WaiverWork]:
        return plan_waiver(observation, self.request, now)

    def _waive(self, action: Action[Waive], observation: WaiverObservation) -> Outcome:
        wanted = action.work.waiver
        with waivers_locked(self.run.state_dir):
            others = [
                entry
                for entry in read_waiver_file(self.run.state_dir)
                if not {entry.finding, entry.fingerprint} & {wanted.finding, wanted.fingerprint} - {""}
            ]
            write_waiver_file(self.run.state_dir, [*others, wanted])
        return Outcome()

    def _unwaive(self, action: Action[Unwaive], observation: WaiverObservation) -> Outcome:
        with waivers_locked(self.run.state_dir):
            filed = read_waiver_file(self.run.state_dir)
            if action.work.waiver not in filed:
                raise SkipAction("somebody else has changed it meanwhile")
            write_waiver_file(self.run.state_dir, [entry for entry in filed if entry != action.work.waiver])
        return Outcome()

    handlers = {Waive: _waive, Unwaive: _unwaive}

    def report(
        self,
        observation: WaiverObservation,
        plan: Plan[WaiverWork],
        results: Results[WaiverWork, WaiverObservation],
    ) -> Report:
        today = utc_now().date()
        waivers = _after(observation.waivers, [action.work for action in results.effective])
        listed = [_told(entry, observation.found, today) for entry in waivers]
        covered = {entry["fingerprint"] for entry in listed if entry["status"] == "active"}
        ended = sum(entry["status"] == "expired" for entry in listed)
        known = self.request.state == "listed" or named(self.request.finding, observation.found) is not None
        return Report(
            self._headline(plan, results, len(listed), ended),
            changed=bool(results.effective),
            summary={"waivers": len(listed), "waivers_expired": ended},
            values={
                "path": waiver_path(self.run.state_dir),
                "known": known or bool(results.effective),
                "waivers": listed,
                "waivable": [item.as_dict() for item in observation.found if item.fingerprint not in covered],
            },
            record={"waivers": listed} if results.effective else {},
        )

    def _headline(
        self, plan: Plan[WaiverWork], results: Results[WaiverWork, WaiverObservation], number: int, ended: int
    ) -> str:
        for action in results.effective:
            if isinstance(action.work, Waive):
                return "%s %s, %s" % (results.words("waived", "would waive"), action.target, action.reason)
            return "%s the waiver of %s" % (results.words("took back", "would take back"), action.target)
        if plan.kept:
            return "%s: %s" % (plan.kept[0].target, plan.kept[0].reason)
        text = "%d waiver%s" % (number, "" if number == 1 else "s")
        return text + (", %d of them expired" % ended if ended else "")


def _after(waivers: Sequence[FiledWaiver], works: Sequence[WaiverWork]) -> List[FiledWaiver]:
    """The waivers of the file once the works are done."""
    after = list(waivers)
    for work in works:
        marks = {work.waiver.finding, work.waiver.fingerprint}
        after = [entry for entry in after if not marks & {entry.finding, entry.fingerprint} - {""}]
        if isinstance(work, Waive):
            after.append(work.waiver)
    return after


def _told(entry: FiledWaiver, found: Sequence[Waivable], today: date) -> Dict[str, str]:
    """A waiver as it is listed: active, expired, or idle when what it covered is gone."""
    item = next((one for one in found if {entry.finding, entry.fingerprint} & {one.id, one.fingerprint}), None)
    if entry.waiver.expired(today):
        status = "expired"
    else:
        status = "active" if item is not None or not (entry.finding or entry.fingerprint) else "idle"
    told = dict(entry.as_dict(), status=status)
    told["fingerprint"] = item.fingerprint if item else entry.fingerprint
    return told
