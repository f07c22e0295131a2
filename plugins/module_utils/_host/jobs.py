# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shop's own scheduled jobs, which would prune and delete beside us.

They are found where they are written down: crontabs, run-parts directories, systemd timers and services, tmpfiles.d and
logrotate. A job's command may hold a secret, therefore only the pieces that were recognised are ever told.
"""

from __future__ import annotations

import os
import re
import shlex
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

from .._core.late_dataclass import dataclass
from . import job_formats as formats
from .job_call import Frame
from .job_places import Places
from .job_programs import Programs, classify_job
from .job_reader import Reader
from .job_verdict import (
    DANGERS,
    DELETES_BACKUPS,
    DELETES_DATA,
    PRUNES_DOCKER,
    READABLE_BACKUPS,
    RESTARTS_SERVICES,
    UNKNOWN_EFFECT,
)

__all__ = [
    "DANGERS",
    "DEFAULT_PATHS",
    "DELETES_BACKUPS",
    "DELETES_DATA",
    "PRUNES_DOCKER",
    "READABLE_BACKUPS",
    "RESTARTS_SERVICES",
    "UNKNOWN_EFFECT",
    "JobFinder",
    "Places",
    "ScheduledJob",
    "classify_job",
]

DEFAULT_PATHS = (
    "/etc/crontab",
    "/etc/anacrontab",
    "/etc/cron.d",
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
    "/var/spool/cron",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/transient",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/home/*/.config/systemd/user",
    "/etc/tmpfiles.d",
    "/run/tmpfiles.d",
    "/usr/lib/tmpfiles.d",
    "/etc/logrotate.conf",
    "/etc/logrotate.d",
)
_RUN_PARTS_NAME = re.compile(r"^[A-Za-z0-9_-]+$")  # cron and run-parts pass over every other name (run-parts(8))
_RUN_PARTS = frozenset("cron.hourly cron.daily cron.weekly cron.monthly".split())
_OTHER_UNITS = (".socket", ".target", ".conf", ".path", ".mount", ".slice", ".automount", ".swap", ".preset", ".device")
# This collection's own units, which know of one another.
_OWN = "miniecom-maintenance"
# What a service that runs all the time or at boot may do to be of interest here; that it restarts things is its nature.
_AT_BOOT = frozenset([DELETES_BACKUPS, DELETES_DATA, PRUNES_DOCKER])
_EXEC = ("ExecStartPre", "ExecStart", "ExecStartPost")


@dataclass(frozen=True)
class ScheduledJob:
    """One scheduled job that concerns the shop.

    Attributes:
        source: file that schedules it; line: line in it, 0 for a whole file.
        schedule: as written there.
        kind: what was recognised ("rotate_backups.sh", "docker system prune"), never the job's own words.
        dangers: of DANGERS, the worst first; UNKNOWN_EFFECT where part of it was not understood.
        active: it will run; False for a timer that is not enabled or a name that cron passes over.
    """

    source: str
    line: int
    schedule: str
    user: str
    kind: str
    dangers: Tuple[str, ...]
    active: bool

    @property
    def where(self) -> str:
        return "%s:%d" % (self.source, self.line) if self.line else self.source


class JobFinder:
    """Reads the places where jobs are written down.

    Args:
        places: the shop's places.
        paths: files and directories to look at, with glob patterns; directories two levels deep.
        reader: gives the host's files.
    """

    def __init__(self, places: Places, paths: Sequence[str] = DEFAULT_PATHS, reader: Optional[Reader] = None) -> None:
        self.places = places
        self.paths = list(paths)
        self.reader = reader or Reader()

    @property
    def unreadable(self) -> List[str]:
        """What could not be read, with the reason."""
        return self.reader.unreadable

    def find(self) -> List[ScheduledJob]:
        """Every job that is dangerous beside us, and those near the shop that were not understood."""
        jobs: List[ScheduledJob] = []
        seen: Set[Tuple[int, int]] = set()
        units: Dict[str, str] = {}
        for base in self.paths:
            for path in self.reader.files(base):
                status = self.reader.status(path)
                # /lib is a link to /usr/lib, and a crontab may lie below two of the paths.
                if status is None or status[0] in seen:
                    continue
                seen.add(status[0])
                name = os.path.basename(path)
                if name.endswith((".timer", ".service")):
                    units.setdefault(name, path)
                elif (
                    not name.endswith(_OTHER_UNITS)
                    or os.path.basename(os.path.dirname(path)) == "tmpfiles.d"
                    or name == "logrotate.conf"
                ):
                    jobs.extend(self._file(path, status[1]))
        started: Set[str] = set()
        for name, path in sorted(units.items()):
            if name.endswith(".timer") and not name.startswith(_OWN):
                jobs.extend(self._timer(name, path, started))
        for name, path in sorted(units.items()):
            if name.endswith(".service") and name not in started and not name.startswith(_OWN):
                jobs.extend(self._boot_service(name, path))
        return jobs

    # -- files -----------------------------------------------------------------------------------------------------

    def _job(
        self,
        source: str,
        line: int,
        schedule: str,
        user: str,
        command: str,
        active: bool,
        variables: Mapping[str, str],
        cwd: str = "",
        near: bool = False,
    ) -> List[ScheduledJob]:
        home = variables.get("HOME") or self.reader.home(user)
        frame = Frame({name: [value] for name, value in variables.items()}, cwd or home or "/", home=home)
        kinds, dangers = classify_job(command, self.places, self.reader.script, frame, near or self._near(source))
        return [ScheduledJob(source, line, schedule, user, ", ".join(kinds[:3]), dangers, active)] if dangers else []

    def _near(self, source: str) -> bool:
        return self.places.speaks_of_shop(os.path.basename(source))

    def _file(self, path: str, mode: int) -> List[ScheduledJob]:
        directory, name = os.path.split(path)
        parent = os.path.basename(directory)
        text = self.reader.text(path)
        named = bool(_RUN_PARTS_NAME.match(name))
        if parent in _RUN_PARTS:
            return self._job(
                path, 0, parent.partition(".")[2], "root", shlex.quote(path), named and bool(mode & 0o111), {}, "/"
            )
        if parent in ("atjobs", "atspool"):
            return self._job(path, 0, "once", "", text, True, {})
        if parent == "tmpfiles.d":
            return self._tmpfiles(path, text)
        if parent == "logrotate.d" or name == "logrotate.conf":
            return self._logrotate(path, text)
        system = parent == "cron.d" or name == "crontab"
        lines = formats.anacrontab_lines(text) if name == "anacrontab" else formats.crontab_lines(text, system)
        jobs: List[ScheduledJob] = []
        for line in lines:
            user = line.user or (name if parent in ("cron", "crontabs") else "")
            active = parent != "cron.d" or named
            jobs.extend(self._job(path, line.number, line.schedule, user, line.command, active, line.variables))
        return jobs

    def _tmpfiles(self, path: str, text: str) -> List[ScheduledJob]:
        jobs: List[ScheduledJob] = []
        for line in formats.tmpfiles_lines(text):
            programs = Programs(self.places, self.reader.script, self._near(path))
            programs.verdict.remove(self.places.reached(line.path, "/", line.deep), "tmpfiles.d")
            dangers = programs.verdict.result()[1]
            if dangers:
                active = path.endswith(".conf")
                jobs.append(ScheduledJob(path, line.number, line.schedule, "root", "tmpfiles.d", dangers, active))
        return jobs

    def _logrotate(self, path: str, text: str) -> List[ScheduledJob]:
        jobs: List[ScheduledJob] = []
        for block in formats.logrotate_blocks(text):
            programs = Programs(self.places, self.reader.script, self._near(path))
            programs.rotations([block], Frame(cwd="/"))
            kinds, dangers = programs.verdict.result()
            if dangers:
                kind = ", ".join(kinds[:3])
                jobs.append(ScheduledJob(path, block.number, block.schedule, "root", kind, dangers, True))
        return jobs

    # -- units -----------------------------------------------------------------------------------------------------

    def _unit(self, name: str) -> Optional[str]:
        for base in self.paths:
            path = os.path.join(base, name)
            if self.reader.script(path) is not None:
                return path
        return None

    def _enabled(self, name: str, path: str) -> bool:
        """Whether a link in some target's directory starts a unit; one below /run was started by hand or a generator."""
        bases = [*self.paths, os.path.dirname(path)]
        return any(
            (base.endswith("/transient") and self.reader.status(os.path.join(base, name)) is not None)
            or self.reader.links(base, name)
            for base in bases
        )

    def _timer(self, name: str, path: str, started: Set[str]) -> List[ScheduledJob]:
        text = self.reader.text(path)
        service = (formats.unit_values(text, "Unit") or [name[: -len(".timer")] + ".service"])[-1]
        schedule = "; ".join(formats.unit_values(text, "OnCalendar") or formats.unit_values(text, "OnUnitActiveSec"))
        started.add(service)
        beside = os.path.join(os.path.dirname(path), service)
        unit = self._unit(service) or (beside if self.reader.script(beside) else None)
        if unit is None and "@" in service:
            unit = self._unit(re.sub(r"@.*(\.service)$", r"@\1", service))
        if unit is None:
            return []
        active = self._enabled(name, path) and not self.reader.is_masked(path)
        return self._service(path, schedule, service, unit, (*_EXEC, "ExecStop", "ExecStopPost"), active)

    def _boot_service(self, name: str, path: str) -> List[ScheduledJob]:
        """A service that is no timer's: one that runs all the time, or once at boot."""
        if not self._enabled(name, path) or self.reader.is_masked(path):
            return []
        found = self._service(path, "at boot", name, path, _EXEC, True)
        return [job for job in found if _AT_BOOT.intersection(job.dangers)]

    def _service(
        self, source: str, schedule: str, service: str, unit: str, keys: Sequence[str], active: bool
    ) -> List[ScheduledJob]:
        texts = [self.reader.text(unit)]
        for base in self.paths:
            for extra in self.reader.files(os.path.join(base, service + ".d"), 1):
                if extra.endswith(".conf"):
                    texts.append(self.reader.text(extra))
        body = "\n".join(texts)
        user = (formats.unit_values(body, "User") or ["root"])[-1]
        variables = formats.unit_environment(body)
        near = False
        for value in formats.unit_values(body, "EnvironmentFile"):
            near = near or self.places.speaks_of_shop(value)
            given = self.reader.script(value.lstrip("-"))
            variables.update(formats.environment_of_unit(given.text) if given else {})
        home = self.reader.home(user)
        values = [value for key in keys for value in formats.unit_values(body, key)]
        command = "\n".join(formats.unit_command(value, service, home) for value in values)
        directory = (formats.unit_values(body, "WorkingDirectory") or [""])[-1].lstrip("-")
        directory = home if directory == "~" else directory.replace("%h", home)
        return self._job(source, 0, schedule, user, command, active, variables, directory or "/", near)
