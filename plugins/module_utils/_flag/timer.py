# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The timer on the host that ends maintenance, or alerts, when its time is over, whatever became of the controller.

A pair of systemd units starts a program that lies in the state directory, where only root writes. The units hold neither
secrets nor decisions: the program reads our note and does what it says.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from typing import Dict

from .._core.arguments import DEFAULT_STATE_DIR
from .._core.atomic_file import sync_directory, write_atomic
from .._core.errors import MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass
from .flag_file import parse_moment

UNIT = "miniecom-maintenance-expiry"
UNIT_DIR = "/etc/systemd/system"
SYSTEMD = "/run/systemd/system"  # there exactly when systemd runs the host (sd_booted(3))
PROGRAM = "maintenance-expiry.pyz"
# How the program ends when trying again would not help; all other failures are tried again.
ALERT_STATUS = 3
# For a database that comes up slowly after a boot, or is down for hours.
RETRY_SECONDS, RETRY_HOURS = 30, 12
# An alert is repeated twice, and whatever had given up tries again.
REPEAT_HOURS = (0, 1, 24)


@dataclass(frozen=True)
class Timer:
    """The timer as found.

    Attributes:
        unit: name of its units, without suffix.
        problem: why none can be armed on this host, "" when one can.
        service, timer: the units' files, "" when missing.
        program_current: the program is there, and the one of this version.
        running: enabled for the next boot, and started.
    """

    unit: str
    state_dir: str
    python: str
    problem: str = ""
    service: str = ""
    timer: str = ""
    program_current: bool = False
    running: bool = False

    @property
    def installed(self) -> bool:
        return bool(self.service or self.timer)

    @property
    def moment(self) -> str:
        """When it rings first, as its file says; "" without one."""
        return next((line[11:] for line in self.timer.splitlines() if line.startswith("OnCalendar=")), "")

    def rings_at(self, expires: str) -> bool:
        """Whether it is armed for this end of maintenance (a UTC timestamp)."""
        return self.running and bool(self.service) and self.timer == render_timer(expires)

    def armed_for(self, expires: str) -> bool:
        """Whether it is armed, and nothing about it has to be renewed."""
        current = self.program_current and self.service == render_service(self.python, self.state_dir)
        return current and self.rings_at(expires)


def unit_name(state_dir: str) -> str:
    """Name of the units: each state directory has its own, as each has its own note."""
    path = os.path.normpath(state_dir)
    if path == DEFAULT_STATE_DIR:
        return UNIT
    return "%s-%s" % (UNIT, hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:8])


def program_path(state_dir: str) -> str:
    return os.path.join(os.path.normpath(state_dir), PROGRAM)


def _word(text: str) -> str:
    """One word of a command line in a unit (systemd.service(5), systemd.unit(5))."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return '"%s"' % escaped


def render_service(python: str, state_dir: str) -> str:
    """The unit that runs the program.

    Not of type oneshot: systemd before 244 does not restart those.
    """
    command = " ".join(_word(word) for word in (python, "-B", program_path(state_dir), os.path.normpath(state_dir)))
    return """# Made by miniecom.maintenance.maintenance_flag, which also removes it.
[Unit]
Description=End the maintenance of the shop, or alert, as its time is over
After=network-online.target docker.service mongod.service
StartLimitIntervalSec=%(limit)d
StartLimitBurst=%(burst)d

[Service]
Type=simple
ExecStart=%(command)s
Restart=on-failure
RestartSec=%(retry)d
RestartPreventExitStatus=%(alert)d
RuntimeMaxSec=600
SyslogIdentifier=miniecom-maintenance
UMask=0077
""" % {
        "limit": RETRY_HOURS * 3600 * 2,
        "burst": RETRY_HOURS * 3600 // RETRY_SECONDS,
        "command": command,
        "retry": RETRY_SECONDS,
        "alert": ALERT_STATUS,
    }


def render_timer(expires: str) -> str:
    """The unit that starts it.

    Persistent: what passes while the host is down rings at the next boot.

    Args:
        expires: a UTC timestamp.
    """
    end = parse_moment(expires)
    moments = "".join(
        "OnCalendar=%s UTC\n" % (end + timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M:%S") for hours in REPEAT_HOURS
    )
    return (
        """# Made by miniecom.maintenance.maintenance_flag, which also removes it.
[Unit]
Description=When the maintenance of the shop is over

[Timer]
%sAccuracySec=1s
Persistent=true

[Install]
WantedBy=timers.target
"""
        % moments
    )


# -- the host -----------------------------------------------------------------------------------------------------------


def why_not() -> str:
    """Why this process can arm no timer here, "" when it can."""
    if not os.path.isdir(SYSTEMD) or shutil.which("systemctl") is None:
        return "this host does not run systemd"
    if os.geteuid() != 0:
        return "only root can arm a timer of the host"
    return ""


def _path(unit: str, kind: str) -> str:
    return os.path.join(UNIT_DIR, "%s.%s" % (unit, kind))


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        raise from_os_error("cannot read a part of the maintenance timer", error, target=path) from error


def _systemctl(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(
        ("systemctl",) + arguments,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=dict(os.environ, LC_ALL="C", SYSTEMD_PAGER=""),
        check=False,
    )
    if check and done.returncode:
        text = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise MaintenanceError(
            "systemctl %s failed: %s" % (" ".join(arguments), text[-1] if text else "without a word"),
            code=done.returncode,
            next_step="Look at systemctl status. With timer: none (maintenance_mode_timer=none) maintenance is put up without one.",
        )
    return done.stdout.decode("utf-8", "replace")


def observe_timer(state_dir: str, program: bytes = b"") -> Timer:
    """The timer of a state directory.

    Args:
        program: what the program should be; not needed for rings_at().
    """
    unit, problem = unit_name(state_dir), why_not()
    service, timer = (_read(_path(unit, kind)).decode("utf-8", "replace") for kind in ("service", "timer"))
    running = False
    if timer and not problem:
        shown = _systemctl("show", "--property=ActiveState,UnitFileState,NeedDaemonReload", unit + ".timer")
        facts: Dict[str, str] = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        running = (facts.get("ActiveState"), facts.get("UnitFileState"), facts.get("NeedDaemonReload")) == (
            "active",
            "enabled",
            "no",
        )
    current = bool(program) and not problem and _read(program_path(state_dir)) == program
    return Timer(unit, state_dir, sys.executable, problem, service, timer, current, running)


def arm(timer: Timer, expires: str, program: bytes) -> None:
    """Write program and units, and start the timer, now and at each boot.

    Raises:
        MaintenanceError: it is not armed.
    """
    try:
        os.makedirs(timer.state_dir, mode=0o700, exist_ok=True)
        write_atomic(program_path(timer.state_dir), program, 0o600)
        write_atomic(_path(timer.unit, "service"), render_service(timer.python, timer.state_dir).encode("utf-8"), 0o644)
        write_atomic(_path(timer.unit, "timer"), render_timer(expires).encode("utf-8"), 0o644)
    except OSError as error:
        raise from_os_error(
            "cannot write the maintenance timer",
            error,
            target=str(error.filename or UNIT_DIR),
            next_step="With timer: none (maintenance_mode_timer=none) maintenance is put up without one.",
        ) from error
    _systemctl("daemon-reload")
    _systemctl("reset-failed", timer.unit + ".service", check=False)  # that an earlier alert does not count as tried
    _systemctl("enable", "--quiet", timer.unit + ".timer")
    _systemctl("restart", timer.unit + ".timer")


def disarm(timer: Timer, from_within: bool = False) -> None:
    """Stop the timer and remove all of it.

    Args:
        from_within: the caller is the program that the timer has started, and must not be stopped.
    """
    if not timer.problem:
        # Errors say only that it is gone already; what counts is whether the files are.
        _systemctl("disable", "--quiet", "--now", timer.unit + ".timer", check=False)
        if not from_within:
            _systemctl("stop", "--quiet", timer.unit + ".service", check=False)
    try:
        for path in (_path(timer.unit, "timer"), _path(timer.unit, "service"), program_path(timer.state_dir)):
            if os.path.lexists(path):
                os.unlink(path)
                sync_directory(os.path.dirname(path))
    except OSError as error:
        raise from_os_error(
            "cannot remove the maintenance timer", error, target=str(error.filename or UNIT_DIR)
        ) from error
    if not timer.problem:
        _systemctl("daemon-reload", check=False)
        _systemctl("reset-failed", timer.unit + ".service", check=False)
