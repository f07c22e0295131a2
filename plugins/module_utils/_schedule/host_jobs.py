# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The jobs on the host: what is there of ours, and writing and removing it."""

from __future__ import annotations

import glob
import os
import pwd
import stat
import subprocess
from datetime import datetime
from typing import Dict, List, Mapping, Sequence, Tuple

from .._core import systemd
from .._core.atomic_file import is_partial, sync_directory, write_atomic
from .._core.errors import MaintenanceError, SkipAction, from_os_error
from .._core.processes import list_processes
from .clock_change import CRON, SYSTEMD
from .job_list import JobRequest, Policy
from .job_runner import LOCK
from .planning import Installed, is_ours, job_name_of
from .rendering import ALERT_UNIT, CRON_FILE, PROGRAM, UNIT, FileOnHost, Schedule, timer_of, unit_path
from .zones import Zone, read_zone

STAMPS = "/var/lib/systemd/timers/stamp-"  # systemd.timer(5), Persistent
_CRON_DAEMONS = ("cron", "crond", "cronie", "busybox")
_LARGEST = 1 << 20


def chosen_kind(asked: str) -> str:
    """What runs the jobs on this host.

    Raises:
        MaintenanceError: it cannot.
    """
    if os.geteuid() != 0:
        raise MaintenanceError(
            "only root can schedule jobs of the host",
            next_step="Set become: true. schedule_user says whose jobs they are.",
        )
    booted = systemd.runs_this_host()
    if asked == SYSTEMD and not booted:
        raise MaintenanceError("this host does not run systemd", next_step="Set kind: cron (schedule_kind=cron).")
    if asked == SYSTEMD or (asked == "auto" and booted):
        return SYSTEMD
    if not os.path.isdir(os.path.dirname(CRON_FILE)) or not any(
        process.name in _CRON_DAEMONS and not process.contained for process in list_processes()
    ):
        raise MaintenanceError(
            "no cron runs on this host" if booted else "neither systemd nor cron runs on this host",
            next_step="Install and start cron" + (", or set kind: systemd (schedule_kind=systemd)." if booted else "."),
        )
    return CRON


def group_of(user: str) -> int:
    """Number of a user's own group.

    Raises:
        MaintenanceError: there is no such user.
    """
    try:
        return pwd.getpwnam(user).pw_gid
    except KeyError:
        raise MaintenanceError(
            "there is no such user on the host", target=user, next_step="Set schedule_user."
        ) from None


def zones_of(jobs: Sequence[JobRequest], now: datetime) -> Dict[str, Zone]:
    return {name: read_zone(name, now) for name in {"", *(job.time_zone for job in jobs)}}


def check_calendars(schedule: Schedule) -> None:
    """Have systemd itself say that it understands each expression.

    Raises:
        MaintenanceError: it does not.
    """
    for job in schedule.jobs:
        if schedule.kind == SYSTEMD:
            try:
                systemd.call("systemd-analyze", "calendar", "--", job.on_calendar)
            except MaintenanceError as error:
                raise MaintenanceError(
                    "systemd does not understand when job %s is to run" % job.name,
                    target=job.on_calendar,
                    code=error.code,
                    next_step=str(error),
                ) from error


def check_playbook(policy: Policy, job: JobRequest) -> None:
    """Have Ansible say that it finds the playbook and everything in it, as the job's user and with the job's inventory.

    Raises:
        MaintenanceError: it does not.
    """
    there = [source for source in policy.inventory if "," in source or os.path.exists(source)]
    command = [policy.ansible_playbook, "--syntax-check", job.playbook]
    if there:
        command += [word for source in there for word in ("--inventory", source)]
    else:
        command += ["--inventory", "localhost,", "--extra-vars", "miniecom_hosts=localhost"]
    if policy.user != "root":
        command = ["runuser", "-u", policy.user, "--", *command]
    # Nothing may be left in a home directory: this is done in check mode as well.
    environment = dict(os.environ, LC_ALL="C.UTF-8", ANSIBLE_NOCOLOR="1", ANSIBLE_LOCAL_TEMP="/tmp")  # noqa: S108
    # What Ansible sets for a module's own interpreter is not for another one.
    environment.pop("PYTHONPATH", None)
    environment.update(dict(policy.environment))
    try:
        done = subprocess.run(
            command,
            cwd=policy.working_directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except OSError as error:
        raise from_os_error(
            "the program that is to run job %s cannot be started" % job.name,
            error,
            target=policy.ansible_playbook,
            next_step="Install ansible-core and this collection there, or set schedule_ansible_playbook.",
        ) from error
    if done.returncode:
        told = [
            line for line in done.stdout.decode("utf-8", "replace").splitlines() if "ERROR" in line or "rror:" in line
        ]
        raise MaintenanceError(
            "Ansible cannot run the playbook of job %s there: %s"
            % (job.name, (told or ["it says nothing"])[0].strip()),
            target=job.playbook,
            code=done.returncode,
            next_step="Try it: %s" % " ".join(command),
        )


# -- what is there ------------------------------------------------------------------------------------------------------


def _found(path: str) -> FileOnHost:
    try:
        with open(path, "rb") as handle:
            status = os.fstat(handle.fileno())
            text = handle.read(_LARGEST).decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise from_os_error("cannot read a file of the jobs", error, target=path) from error
    return FileOnHost(path, text, stat.S_IMODE(status.st_mode), status.st_gid)


def _candidates(directory: str) -> List[str]:
    escaped = glob.escape(directory)
    units = [path for kind in ("service", "timer") for path in glob.glob(unit_path(UNIT + "*." + kind))]
    files = [path for path in glob.glob(escaped + "/*.json") if not is_partial(path)]
    shared = [unit_path(ALERT_UNIT), CRON_FILE, os.path.join(directory, LOCK), os.path.join(directory, PROGRAM)]
    return sorted(path for path in {*units, *files, *shared} if os.path.lexists(path))


def observe_installed(policy: Policy, kind: str, program: bytes) -> Installed:
    """What is on the host of ours.

    Args:
        program: what the program should be.
    """
    files: Dict[str, FileOnHost] = {}
    foreign: List[str] = []
    for path in _candidates(policy.directory):
        try:
            found = _found(path)
        except FileNotFoundError:  # a link to nowhere, or gone meanwhile
            foreign.append(path)
            continue
        name = os.path.basename(path)
        ours = is_ours(found.text)
        if name.endswith(".variables.json"):
            ours = is_ours(_text(os.path.join(policy.directory, job_name_of(path, policy.directory) + ".json")))
        elif path == os.path.join(policy.directory, PROGRAM):
            ours = "miniecom_maintenance/" in found.text
        elif path == os.path.join(policy.directory, LOCK):
            ours = found.text == ""
        if ours and os.path.isfile(path) and not os.path.islink(path):
            files[path] = found
        else:
            foreign.append(path)
    path = os.path.join(policy.directory, PROGRAM)
    current = path in files and files[path].text == program.decode("utf-8", "surrogateescape")
    return Installed(files, _running(files) if kind == SYSTEMD else (), current, tuple(foreign))


def _text(path: str) -> str:
    try:
        return _found(path).text
    except FileNotFoundError:
        return ""


def _running(files: Mapping[str, FileOnHost]) -> Tuple[str, ...]:
    timers = [os.path.basename(path) for path in files if path.endswith(".timer")]
    names = ("ActiveState", "UnitFileState", "NeedDaemonReload")
    right = {"ActiveState": "active", "UnitFileState": "enabled", "NeedDaemonReload": "no"}
    return tuple(timer for timer, facts in systemd.unit_properties(timers, names).items() if dict(facts) == right)


# -- changing it --------------------------------------------------------------------------------------------------------


def _recheck(path: str, installed: Installed) -> None:
    """Refuse to touch what is not as it was when it was looked at."""
    before = installed.files.get(path)
    now = _text(path)
    if os.path.islink(path) or now != (before.text if before else "") or (before is None and os.path.lexists(path)):
        raise SkipAction("%s has changed since it was looked at" % path)


def write_files(files: Sequence[FileOnHost], installed: Installed, program: bytes) -> None:
    """Write files of ours; a lock that is there is never replaced, for somebody may hold it."""
    for file in files:
        _recheck(file.path, installed)
        try:
            if os.path.basename(file.path) == LOCK:
                os.close(os.open(file.path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, file.mode))
                os.chmod(file.path, file.mode)
            else:
                data = program if file.path.endswith(PROGRAM) else file.text.encode("utf-8")
                write_atomic(file.path, data, file.mode)
            os.chown(file.path, 0, file.group)
        except OSError as error:
            raise from_os_error("cannot write a file of the jobs", error, target=file.path) from error


def make_directory(path: str, group: int) -> None:
    """The directory of the jobs' files, closed to all but root and the group of the user whose jobs they are."""
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        if not os.path.isdir(path):
            os.mkdir(path, 0o700)
        # The user may be another one than before.
        os.chown(path, 0, group)
        os.chmod(path, 0o750 if group else 0o700)
    except OSError as error:
        raise from_os_error("cannot make the directory of the jobs", error, target=path) from error


def start_timer(timer: str, new_time: bool) -> None:
    """Have a timer run, now and after each boot.

    Args:
        new_time: what was due since it rang last was due by times that it did not have: that is not caught up on.
    """
    systemd.call("systemctl", "daemon-reload")
    if new_time:
        systemd.call("systemctl", "stop", timer, check=False)
        _touch(STAMPS + timer)
    systemd.call("systemctl", "enable", "--quiet", timer)
    systemd.call("systemctl", "start", timer)


def _touch(path: str) -> None:
    try:
        os.utime(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise from_os_error("cannot renew the stamp of a timer", error, target=path) from error


def remove_job(name: str, paths: Sequence[str], timer: str, installed: Installed) -> None:
    """Stop a timer and remove files of a job; a run that is under way goes on."""
    for path in paths:
        _recheck(path, installed)
    if timer:
        systemd.call("systemctl", "disable", "--quiet", "--now", timer, check=False)
    # The file that says whose the others are goes last.
    remove_files(sorted(paths, key=lambda path: (path.endswith(name + ".json"), path)))
    if timer:
        systemd.call("systemctl", "daemon-reload")
        systemd.call("systemctl", "reset-failed", timer_of(name)[: -len("timer")] + "service", check=False)
        # Else it would catch up at once should it ever come back.
        remove_files([STAMPS + timer])


def remove_files(paths: Sequence[str]) -> None:
    for path in paths:
        try:
            os.unlink(path)
            sync_directory(os.path.dirname(path))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise from_os_error("cannot remove a file of the jobs", error, target=path) from error


def remove_shared(paths: Sequence[str], installed: Installed) -> None:
    for path in paths:
        _recheck(path, installed)
    remove_files(paths)
    if any(path.startswith(systemd.UNIT_DIR) for path in paths):
        systemd.call("systemctl", "daemon-reload", check=False)
