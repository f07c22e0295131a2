# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the host's timer runs when maintenance is over: take it down, or alert. Runs by itself, without Ansible.

It decides by our note alone, as that stands when it runs: a window that was moved or closed meanwhile is none of its
business any more. All it says goes to the journal.
"""

from __future__ import annotations

import os
import sys
import traceback
from datetime import datetime, timedelta
from typing import Optional, Sequence

from .._core import maintenance_log
from .._core.clock import format_utc, seconds_between, utc_now
from .._core.errors import MaintenanceError, SkipAction
from .._core.program import pack
from .._core.record import default_log_path, read_record, write_log
from .._core.redaction import SECRETS
from .._core.state_dir import StateDirectory
from .._flag import switch
from .._flag.flag_file import Note, parse_moment, read_note
from .._flag.timer import ALERT_STATUS, RETRY_SECONDS, arm, disarm, observe_timer
from .._flag.turn import take_turn_to_switch
from .maintenance import Maintenance

DONE, RETRY = 0, 75  # EX_TEMPFAIL of sysexits.h
LOCK_SECONDS = 20.0
# Priorities of syslog(3), which the journal reads at the beginning of a line (sd-daemon(3)).
CRITICAL, ERROR, WARNING, NOTICE = 2, 3, 4, 5

OVER, LATER, SOON, LIFT, ALERT = "over", "later", "soon", "lift", "alert"


def program() -> bytes:
    """This program, as a host runs it."""
    return pack(__name__)


def say(priority: int, text: str) -> None:
    for line in SECRETS.clean_text(text).splitlines():
        sys.stdout.write("<%d>%s\n" % (priority, line))
    sys.stdout.flush()


def decide_expiry(note: Optional[Note], now: datetime) -> str:
    """What is to be done about a note at a moment. Pure."""
    if note is None or not note.expires:
        return OVER
    left = parse_moment(note.expires) - now
    if left > timedelta(seconds=2 * RETRY_SECONDS):
        return LATER
    if left > timedelta(0):
        return SOON  # the clock was set back a little
    return LIFT if note.on_expiry == "lift" else ALERT


def window(note: Note) -> str:
    """A window of maintenance in words."""
    text = "maintenance of %s since %s, to end at %s" % (note.owner, note.since, note.expires)
    return text + (" (%s)" % note.reason if note.reason else "")


def log(state: StateDirectory, note: Note, outcome: str, headline: str, now: datetime) -> None:
    """One entry in the maintenance log for each outcome of a window, however often it is tried."""
    identity = "expiry-%s-%s" % (parse_moment(note.expires).strftime("%Y%m%dT%H%M%SZ"), outcome)
    step = {
        "step": "maintenance mode",
        "status": "changed" if outcome == "lifted" else "failed",
        "headline": SECRETS.clean_text(headline),
    }
    seconds = seconds_between(note.since, format_utc(now))
    status = "ok" if outcome == "lifted" else "failed"
    lines = maintenance_log.entry("maintenance window", identity, note.owner, status, seconds, [step])
    path = log_path(state)
    try:
        write_log(path, now, lines, identity)
    except OSError as error:
        say(WARNING, "cannot write the maintenance log %s: %s" % (path, error.strerror or error))


def log_path(state: StateDirectory) -> str:
    """Where the host's last run has written its log."""
    try:
        names = sorted((name for name in os.listdir(state.runs_dir) if name.endswith(".json")), reverse=True)
    except OSError:
        names = []
    for name in names:
        path = read_record(state, name[: -len(".json")]).get("log_path")
        if path:
            return str(path)
    return default_log_path(state)


def lift(state: StateDirectory, note: Note, now: datetime) -> int:
    """Take maintenance down, as the module does."""
    policy = switch.Policy("absent", note.path, note.owner)
    maintenance = Maintenance(policy, state.path, None, program, from_within=True)
    try:
        observation = maintenance.observe()
        was_up = switch.is_up(observation.layers)
        plan = switch.plan_switch(observation.layers, policy, now)
        # The timer goes last, when all is seen to be well: until then it is what would try again.
        last = [action for action in plan.actions if isinstance(action.work, switch.DisarmTimer)]
        for action in [action for action in plan.actions if action not in last]:
            try:
                maintenance.act(action, observation)
            except SkipAction:
                pass
        left = switch.remains(observation.layers)
        if left:
            raise MaintenanceError(left, target=note.path)
        maintenance.verify(observation, plan)
        headline = "taken down at its expiry, %s" % note.expires if was_up else "was down already at its expiry"
        say(NOTICE, "%s: %s" % (window(note), headline))
        log(state, note, "lifted", headline, now)
        for action in last:
            maintenance.act(action, observation)
    finally:
        maintenance.close()
    return DONE


def alert(state: StateDirectory, note: Note, now: datetime) -> int:
    """Tell that maintenance is still up."""
    maintenance = Maintenance(switch.Policy("absent", note.path, note.owner), state.path, None, None)
    try:
        up = switch.is_up(maintenance.observe().layers)
    except MaintenanceError:
        up = True  # nobody knows: rather one alert too many
    finally:
        maintenance.close()
    if not up:
        say(NOTICE, "%s: it is down already" % window(note))
        return DONE
    headline = "its time is over, and the shop is still closed"
    say(
        CRITICAL,
        "%s: %s. It was put up to alert, not to open the shop by itself: take it down with the playbook exit_maintenance, "
        "or give it a later end." % (window(note), headline),
    )
    log(state, note, "alert", headline, now)
    return ALERT_STATUS


def work(state: StateDirectory) -> int:
    """Do what the note says.

    Returns:
        The exit status.

    Raises:
        MaintenanceError: it is to be tried again.
    """
    note, now = read_note(state.path), utc_now()
    decision = decide_expiry(note, now)
    if decision == OVER or note is None:
        say(NOTICE, "no maintenance with an end is up: nothing to do, this timer is removed")
        disarm(observe_timer(state.path), from_within=True)
        return DONE
    if decision == SOON:
        say(NOTICE, "%s: that is in a moment, waiting for it" % window(note))
        return RETRY
    if decision == LATER:
        timer = observe_timer(state.path)
        if not timer.problem and not timer.rings_at(note.expires):
            arm(timer, note.expires, program())
        say(NOTICE, "%s: nothing to do before that" % window(note))
        return DONE
    if decision == ALERT:
        return alert(state, note, now)
    if "previous" in note.application and not note.application.get("env_file"):
        headline = (
            "cannot be taken down at its expiry: the application was put into maintenance with a connection string, "
            "which is not remembered. Take it down with application_setting"
        )
        say(CRITICAL, "%s: %s" % (window(note), headline))
        log(state, note, "alert", headline, now)
        return ALERT_STATUS
    try:
        return lift(state, note, now)
    except MaintenanceError as error:
        log(state, note, "failed", "could not be taken down at its expiry: %s" % error, now)
        raise


def main(arguments: Sequence[str]) -> int:
    """The program.

    Args:
        arguments: the state directory.

    Returns:
        The exit status: 0 done or nothing to do, ALERT_STATUS alerted, others to be tried again.
    """
    try:
        state = StateDirectory(arguments[0])
        with state.locked(LOCK_SECONDS) as held:
            if not held:
                say(NOTICE, "a module of the collection is working on this host; tried again in a moment")
                return RETRY
            turn = take_turn_to_switch(state.path, LOCK_SECONDS)
            try:
                return work(state)
            finally:
                if turn is not None:
                    os.close(turn)
    except MaintenanceError as error:
        say(ERROR, "maintenance could not be ended at its expiry, tried again in a moment: %s" % error)
    except Exception:  # pylint: disable=broad-except
        say(ERROR, "maintenance could not be ended at its expiry: %s" % traceback.format_exc())
    return RETRY
