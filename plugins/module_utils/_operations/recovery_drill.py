# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A shop brought up from nothing but a backup, and taken away again: the steps of recovery_drill.

It is the restore test, and then goes on: the files are unpacked, and the shop's API is started against the restored database.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from typing import Any, Dict, List, Optional, Tuple

from .._backup.catalogue import Backup, parse_name
from .._backup.drill_judgement import Targets
from .._backup.restore_planning import RestoreObservation, RestoreTest, RestoreWork, plan_restore_test
from .._backup.unpacking import Unpacker
from .._core.call import Call
from .._core.errors import MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass
from .._core.leftovers import ContainerLeft, ProcessLeft
from .._core.plan import Plan, Report, Results
from .._core.redaction import SECRETS
from .._core.units import format_duration, format_size, parse_duration
from .._mongo.client import Connection
from .drill_api import ApiAnswer, ApiOrigin, ContainerApi, ProcessApi, find_origin, parts_of, wait_for_health
from .restore_test import MongoRestore, ServerPlace, TestOutcome
from .throwaway_server import PURPOSE


@dataclass(frozen=True)
class DrillOutcome(TestOutcome):
    """What a drill has shown beside the restore test.

    Attributes:
        api: how the API was; None where the backup does not restore.
    """

    api: Optional[ApiAnswer] = None


class RecoveryDrill(MongoRestore):
    """Recover, look, and take it away."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        params = self.params
        self.targets = Targets(
            *(parse_duration(params[name]) if params[name] else None for name in ("max_recovery_time", "max_data_age"))
        )
        self._origin: Optional[ApiOrigin] = None

    def _passphrase(self) -> Optional[bytes]:
        """What the controller has sent, else what the host has."""
        given = self.params["passphrase"]
        if not given:
            return super()._passphrase()
        SECRETS.register(given)
        return str(given).encode("utf-8", "surrogateescape")

    @property
    def _api_origin(self) -> ApiOrigin:
        if self._origin is None:
            self._origin = find_origin(self.params, self._origins.engine)
        return self._origin

    # --- plan ----------------------------------------------------------------------------------------------------

    def plan(self, observation: RestoreObservation, now: datetime) -> Plan[RestoreWork]:
        backup = observation.backup
        record = backup.verification if backup is not None else None
        # Of files nobody knows about, at most what the archive holds.
        files = record.bytes_files if record is not None else (backup.size if backup is not None else 0)
        plan = plan_restore_test(observation, self.work_dir, self.min_free + files, self._passphrase() is not None)
        reason = "brought up with database and files (%s) and its API (%s), looked at, and removed" % (
            observation.origin,
            self._api_origin,
        )
        plan.actions = [
            replace(action, action="recovery_drill", reason=reason) if isinstance(action.work, RestoreTest) else action
            for action in plan.actions
        ]
        return plan

    def _expected(self) -> str:
        """The backup of a real run, which brings it from elsewhere first."""
        name = os.path.basename(self.params["src"])
        return name if parse_name(name) is not None else "the backup that is in %s by then" % self.params["src"]

    # --- act -----------------------------------------------------------------------------------------------------

    def _prove(
        self, backup: Backup, connection: Connection, named: str, seconds_start: float, place: ServerPlace
    ) -> Tuple[TestOutcome, Tuple[str, ...]]:
        app = os.path.join(place.directory, "app")
        try:
            for path in (app, os.path.join(app, "storage")):
                os.mkdir(path, 0o700)
        except OSError as error:
            raise from_os_error("cannot make a directory for the files", error, target=app) from error
        sink = Unpacker(parts_of(app), owners=False)
        tested, notes = self._compare(backup, connection, named, seconds_start, sink)
        answer = None if tested.differences else self._start_api(tested.database, place, app)
        return DrillOutcome(**{**tested.__dict__, "api": answer}), notes

    def _start_api(self, database: str, place: ServerPlace, app: str) -> ApiAnswer:
        origin, register = self._api_origin, self.run.leftovers.register
        if origin.why_not:
            return ApiAnswer("", origin.why_not)
        if not database:
            return ApiAnswer("", "nobody knows which of the databases in the backup is the shop's")
        os.makedirs(os.path.join(app, "uploads"), 0o700, exist_ok=True)
        notes: List[str] = []
        server: Any = None
        if origin.image:
            docker = self._origins.engine()
            name = "miniecom-recovery-drill-%s" % place.token
            notes.append(register(ContainerLeft(name, docker.docker_host, PURPOSE)))
            server = ContainerApi(docker, origin, name, place.directory, app)
        else:

            def note(pid: int, start_time: int) -> None:
                notes.append(register(ProcessLeft(pid=pid, start_time=start_time, purpose=PURPOSE)))

            server = ProcessApi(origin, place.directory, app, note)
        try:
            server.start(place.reached, database)
            seconds = parse_duration(self.params["api_timeout"])
            return wait_for_health(server, self.params["health_path"], seconds)
        finally:
            server.stop()
            for entry in notes:
                self.run.leftovers.done(entry)

    # --- report --------------------------------------------------------------------------------------------------

    def report(
        self,
        observation: RestoreObservation,
        plan: Plan[RestoreWork],
        results: Results[RestoreWork, RestoreObservation],
    ) -> Report:
        tested = next(iter(results.details(TestOutcome)), None)
        report = super().report(observation, plan, results)
        backup = observation.backup
        name = backup.name if backup is not None else self._expected()
        summary: Dict[str, Any] = dict(report.summary, passed=False, api="", api_reason="")
        if results.check:
            headline = "would bring the shop up from %s (%s), look at it, and remove it" % (name, observation.origin)
            return replace(report, headline=headline, summary=summary)
        if tested is None or backup is None or not isinstance(tested, DrillOutcome) or tested.api is None:
            return replace(report, summary=summary)
        age = max(0.0, backup.age_seconds(observation.at))
        api = tested.api
        recovery = self.params["seconds_before"] + tested.seconds_start + tested.seconds_restore + api.seconds
        missed = self.targets.missed(recovery, age)
        if api.state and not api.good:
            missed.insert(0, "the API is %s: %s" % (api.state, api.reason))
        summary.update(
            passed=not missed,
            recovery_seconds=round(recovery, 1),
            data_age_hours=round(age / 3600, 2),
            api=api.state,
            api_reason=api.reason,
            api_seconds=round(api.seconds, 1),
        )
        headline = "recovered from %s in %s, its data %s old: %d documents, %d files, %s (%s)" % (
            name,
            format_duration(recovery),
            format_duration(age),
            tested.documents,
            tested.files,
            "API %s" % api.state if api.state else "API not started",
            format_size(tested.bytes),
        )
        # A copy that was brought here for the drill goes with it: what to do about it is done elsewhere.
        brought = backup.path.startswith(self.run.state_dir + os.sep)
        warnings = [text.replace(backup.path, backup.name) if brought else text for text in report.warnings]
        if not api.state:
            warnings.append("The API was not started against the restored database: %s." % api.reason)
        if tested.warned:
            headline += "; WARNING: " + "; ".join(tested.warned)
        if tested.lacking:
            headline += "; WARNING: " + "; ".join("%s: %s" % pair for pair in tested.lacking)
        failure = None
        if missed:
            headline = "NOT PASSED (%s); %s" % ("; ".join(missed), headline)
            failure = MaintenanceError(
                "the recovery drill is not passed: %s" % "; ".join(missed),
                target=backup.path,
                next_step="Database and files restore. See docs/backups.md for what to do about the time, the age and the API.",
            )
        return replace(
            report, headline=headline, summary=summary, warnings=warnings, failure=failure, changed=report.changed
        )
