# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Maintenance in all its layers, for whoever puts it up or takes it down: the module, and the host's own timer.

It knows nothing of Ansible: the timer runs it without.
"""

from __future__ import annotations

import os
import time
from dataclasses import field, replace
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple, Type

from .._core.clock import utc_now
from .._core.errors import MaintenanceError, SkipAction
from .._core.late_dataclass import dataclass
from .._core.lease import read_lease
from .._core.plan import Action, Outcome, Plan
from .._core.state_dir import StateDirectory
from .._flag import switch
from .._flag.flag_file import (
    Flag,
    Note,
    discard_half_flag,
    note_path,
    read_flag,
    read_note,
    remove_file,
    require_directory,
    write_flag,
    write_note,
)
from .._flag.nginx_layer import Nginx, Setup, close_shop, observe_link, open_shop, read_setup
from .._flag.services import Service, to_start
from .._flag.switch import (
    ArmTimer,
    CloseNginx,
    DisarmTimer,
    OpenNginx,
    Policy,
    RemoveFlag,
    RemoveNote,
    StartService,
    StopService,
    SwitchApplicationOff,
    SwitchApplicationOn,
    SwitchWork,
    WriteFlag,
    WriteNote,
)
from .._flag.timer import Timer, arm, disarm, observe_timer
from .._flag.visitor import PATIENCE, loaded_problem, prove_closed, prove_open, summary_of
from .._mongo.application_setting import COLLECTION, plan_setting, read_setting, update_setting
from .._mongo.client import Connection, connect
from .._mongo.removals import note_removal
from .environment import with_environment
from .nginx_place import reached
from .services import START_SECONDS, look_at_noted, look_at_services, start_service, stop_service

CONNECT_TIMEOUT = 5


@dataclass(frozen=True)
class MaintenanceObservation:
    """The layers, and the application's maintenance block before and after, for the difference shown.

    program: what the host's timer is to run; None where timers are left alone.
    setup: how nginx was set up; None where it was not.
    options: how to reach the application's setting, where it does not answer before something is started.
    """

    layers: switch.Layers
    block_before: Optional[str] = None
    block_after: Optional[str] = None
    program: Optional[bytes] = field(default=None, repr=False)
    setup: Optional[Setup] = None
    options: Optional[Mapping[str, Any]] = field(default=None, repr=False)


def observe_nginx(setup: Optional[Setup], note: Optional[Note]) -> Optional[Nginx]:
    """The layer of nginx, None where it was never set up.

    Args:
        note: of maintenance that is up. Where that was put up by a directory of which the setup does not know any more, it
            is what has to be taken down: else the shop would stay closed, and nobody would know.

    Raises:
        MaintenanceError: what switches it cannot be looked at.
    """
    if note is not None and note.nginx and (setup is None or setup.directory != note.nginx):
        found = observe_link(note.nginx, "how it was set up is not known any more")
        if found.closed or found.leftovers:
            return found
    return None if setup is None else observe_link(setup.directory, loaded_problem(setup))


class Maintenance:
    """The layers of one shop, and what is wanted of them.

    Args:
        application: how to reach the application's own setting; None to leave that layer out, or, on the way out, to take
            what the note remembers.
        program: makes what a timer is to run; None leaves the timer alone.
        from_within: this is that program.
        assume_nginx: directory with which check mode takes nginx as set up, "" for none.
        stop: names what is to be stopped, on the way in.
    """

    def __init__(
        self,
        policy: Policy,
        state_dir: str,
        application: Optional[Mapping[str, Any]],
        program: Optional[Callable[[], bytes]],
        from_within: bool = False,
        assume_nginx: str = "",
        stop: Callable[[], Sequence[Service]] = tuple,
    ) -> None:
        self.policy = policy
        self.present = policy.state == "present"
        self._state_dir = state_dir
        self._given = application
        self._program = program
        self._from_within = from_within
        self._assume_nginx = assume_nginx
        self._stop = stop
        self._connection: Optional[Connection] = None

    # -- observe ---------------------------------------------------------------------------------------------------

    def _application_options(self, note: Optional[Note]) -> Optional[Mapping[str, Any]]:
        if self._given is not None:
            return self._given
        remembered = note.application if note is not None else {}
        if self.present or "previous" not in remembered:
            return None
        if not remembered.get("env_file"):
            raise MaintenanceError(
                "the application was put into maintenance with a connection string, which is not remembered",
                target=self.policy.path,
                next_step="Give application_setting, so that it can be switched off again.",
            )
        return dict(remembered, connect_timeout=CONNECT_TIMEOUT)

    def _setup(self, note: Optional[Note]) -> Tuple[Optional[Setup], str]:
        """How nginx was set up, and why nobody can tell."""
        try:
            return reached(read_setup(self._state_dir)), ""
        except MaintenanceError as error:
            if self.present and switch.AUTO in self.policy.layers:
                return None, "how it was set up cannot be read: %s" % error
            # Taking it down needs the directory alone, which the note of maintenance has as well where nginx was used.
            if self.present or note is None:
                raise
            return None, ""

    def _flag(self) -> Flag:
        try:
            return read_flag(self.policy.path)
        except MaintenanceError:
            # On the way out it comes last, and what cannot be read there must keep no shop closed.
            if self.present:
                raise
            return Flag(True)

    def observe(self) -> MaintenanceObservation:
        """Raises MaintenanceError: a layer cannot be looked at."""
        flag, note = self._flag(), read_note(self._state_dir)
        if self.present:
            # Before a note is written, and in check mode as well.
            require_directory(self.policy.path)
        timer: Optional[Timer] = None
        program = self._program() if self._program is not None else None
        if program is not None:
            timer = observe_timer(self._state_dir, program)
        options = self._application_options(note)
        lease = read_lease(StateDirectory(self._state_dir))
        live_run = lease.run_id if lease is not None else ""
        setup, unknown = self._setup(note)
        nginx = observe_nginx(setup, note)
        if self._assume_nginx and (nginx is None or nginx.problem):
            nginx = replace(observe_link(self._assume_nginx), problem="", assumed=True)
        noted = note.services if note is not None else ()
        # On the way out each layer is taken down that can be, whatever does not tell of what was stopped.
        services = tuple(look_at_services(noted, self._stop()) if self.present else look_at_noted(noted))
        layers = switch.Layers(flag, note, None, timer, live_run, nginx, nginx_unknown=unknown, services=services)
        if options is None:
            return MaintenanceObservation(layers, program=program, setup=setup)
        try:
            return self._with_application(layers, options, program, setup)
        except MaintenanceError as error:
            if note is not None and "previous" in note.application and to_start(services, noted):
                # Its database may be what was stopped, and is started before this layer is touched.
                stopped = replace(layers, application=self._as_noted(note))
                return MaintenanceObservation(stopped, program=program, setup=setup, options=options)
            # On the way out each layer is taken down that can be. On the way in, one that is not needed may be out of reach.
            if self.present and switch.needs_application(layers, self.policy):
                raise
            return MaintenanceObservation(replace(layers, unseen=str(error)), program=program, setup=setup)

    def _as_noted(self, note: Note) -> switch.Application:
        """The application's layer, as our note has it."""
        place = {key: value for key, value in note.application.items() if key != "previous"}
        change = None if self.present else ("", "")
        target = "settings of %s (key site)" % place.get("database", "")
        return switch.Application(True, change, {}, place, target)

    def _with_application(
        self,
        layers: switch.Layers,
        options: Mapping[str, Any],
        program: Optional[bytes],
        setup: Optional[Setup],
    ) -> MaintenanceObservation:
        """What is known, with the application's own setting."""
        self._connect(options)
        if self._connection is None:
            raise ValueError("the application's layer was not looked at")
        database = self._connection.client[self._connection.require_database(options.get("database") or None)]
        setting = read_setting(database)
        previous = switch.previous_of(layers.note)
        change = None
        # Switched off by hand meanwhile: what was saved then stands.
        if self.present or setting.enabled:
            change = plan_setting(
                setting,
                self.present,
                self.policy.visitor_message if self.present else None,
                self.policy.allow_ips if self.present else None,
                None if self.present else previous,
            )
        application = switch.Application(
            setting.enabled,
            (change.before, change.after) if change else None,
            setting.remember(),
            {
                "env_file": options.get("env_file") or "",
                "env_from": options.get("env_from") or "",
                "docker_host": options.get("docker_host") or "",
                "address": options.get("address") or "",
                "tls_files": dict(options.get("tls_files") or {}),
                "database": database.name,
            },
            "settings of %s (key site)" % database.name,
        )
        return MaintenanceObservation(
            replace(layers, application=application),
            setting.block or "",
            change.after if change else setting.block or "",
            program,
            setup,
        )

    def has_changed(self, observation: MaintenanceObservation) -> bool:
        """Whether somebody has put maintenance up or taken it down since it was looked at.

        Raises:
            MaintenanceError: it cannot be looked at.
        """
        layers = observation.layers
        return (layers.flag, layers.note) != (self._flag(), read_note(self._state_dir))

    def _connect(self, options: Mapping[str, Any]) -> None:
        if self._connection is None:
            self._connection = connect(with_environment(options, os.path.dirname(os.path.dirname(self.policy.path))))

    def _database(self, observation: MaintenanceObservation) -> Any:
        """The database that observe() looked at, or could not look at before it was started."""
        application = observation.layers.application
        deadline = time.monotonic() + START_SECONDS
        while self._connection is None and observation.options is not None:
            try:
                self._connect(observation.options)
            except MaintenanceError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
        if self._connection is None or application is None:
            raise ValueError("the application's layer was not looked at")
        return self._connection.client[str(application.place["database"])]

    # -- act -------------------------------------------------------------------------------------------------------

    def act(self, action: Action[Any], observation: MaintenanceObservation) -> Outcome:
        """Carry out one action of a plan.

        Raises:
            SkipAction: somebody else has just done so.
            MaintenanceError: it failed.
        """
        return HANDLERS[type(action.work)](self, action, observation)

    def _write_note(self, action: Action[WriteNote], observation: MaintenanceObservation) -> Outcome:
        # Whoever was quicker wins: two that enter at the same moment must not both believe that it is theirs.
        if not action.work.overwrite:
            now = read_note(self._state_dir)
            if now is not None and now.owner != self.policy.owner and read_flag(self.policy.path).present:
                raise MaintenanceError(
                    "maintenance was put up by %s at this moment" % now.owner,
                    target=self.policy.path,
                    next_step="Ask them first.",
                )
        write_note(self._state_dir, action.work.note)
        return Outcome()

    def _write_flag(self, action: Action[WriteFlag], observation: MaintenanceObservation) -> Outcome:
        write_flag(action.work.path, action.work.line)
        return Outcome()

    def _remove_flag(self, action: Action[RemoveFlag], observation: MaintenanceObservation) -> Outcome:
        if not remove_file(action.work.path):
            raise SkipAction("it is gone already")
        return Outcome()

    def _remove_note(self, action: Action[RemoveNote], observation: MaintenanceObservation) -> Outcome:
        # A killed run may have got no further than half a flag.
        discard_half_flag(action.work.path)
        if not remove_file(note_path(self._state_dir)):
            raise SkipAction("it is gone already")
        return Outcome()

    def _switch_on(self, action: Action[SwitchApplicationOn], observation: MaintenanceObservation) -> Outcome:
        work = action.work
        _before, change = update_setting(self._database(observation), True, work.visitor_message, work.allow_ips)
        if change is None:
            raise SkipAction("somebody else has just done so")
        return Outcome()

    def _switch_off(self, action: Action[SwitchApplicationOff], observation: MaintenanceObservation) -> Outcome:
        previous = switch.previous_of(read_note(self._state_dir))
        _before, change = update_setting(self._database(observation), False, previous=previous)
        if change is None:
            raise SkipAction("somebody else has just done so")
        return Outcome(warnings=self._note_removal(observation) if change.action == "delete" else ())

    def _note_removal(self, observation: MaintenanceObservation) -> Tuple[str, ...]:
        """Let compaction wait for a document that we have made and removed again. The shop is open: nothing fails by it."""
        try:
            note_removal(self._state_dir, "%s.%s" % (self._database(observation).name, COLLECTION), utc_now())
        except MaintenanceError as error:
            return ("%s" % error,)
        return ()

    def _close_nginx(self, action: Action[CloseNginx], observation: MaintenanceObservation) -> Outcome:
        close_shop(action.work.directory, action.work.files, action.work.until)
        return Outcome()

    def _open_nginx(self, action: Action[OpenNginx], observation: MaintenanceObservation) -> Outcome:
        if not open_shop(action.work.directory):
            raise SkipAction("it is gone already")
        return Outcome()

    def _stop_service(self, action: Action[StopService], observation: MaintenanceObservation) -> Outcome:
        stop_service(action.work.service)
        return Outcome()

    def _start_service(self, action: Action[StartService], observation: MaintenanceObservation) -> Outcome:
        start_service(action.work.service)
        return Outcome()

    def _arm(self, action: Action[ArmTimer], observation: MaintenanceObservation) -> Outcome:
        if observation.layers.timer is None or observation.program is None:
            raise ValueError("the timer was not looked at")
        arm(observation.layers.timer, action.work.expires, observation.program)
        return Outcome()

    def _disarm(self, action: Action[DisarmTimer], observation: MaintenanceObservation) -> Outcome:
        if observation.layers.timer is None:
            raise ValueError("the timer was not looked at")
        disarm(observation.layers.timer, self._from_within)
        return Outcome()

    # -- verify ----------------------------------------------------------------------------------------------------

    def verify(self, observation: MaintenanceObservation, plan: Plan[SwitchWork]) -> None:
        """Look again, after every action of the plan was carried out.

        Raises:
            MaintenanceError: it is not as it should be.
        """
        if not self.present and switch.remains(observation.layers):
            return  # that is told as it is, and the flag has stayed
        wrong = []
        if read_flag(self.policy.path).present != self.present:
            wrong.append("the flag file is %s" % ("missing" if self.present else "there again"))
        note, nginx = switch.note_of(observation.layers, plan), observation.layers.nginx
        noted = read_note(self._state_dir)
        if self.present and noted is not None and noted.owner != self.policy.owner:
            wrong.append("it is that of %s now" % noted.owner)
        elif noted is None and any(isinstance(action.work, WriteNote) for action in plan.actions):
            wrong.append("the note of whose it is was removed")
        if nginx is not None and (not self.present or (note is not None and note.nginx)):
            if observe_link(nginx.directory).closed != self.present:
                wrong.append("what switches nginx is %s" % ("missing" if self.present else "there again"))
        stopped = self.present and any(not s.running or s.wanted for s in observation.layers.services)
        if observation.layers.application is not None and self._switched(observation, note) and not stopped:
            if read_setting(self._database(observation)).enabled != self.present:
                wrong.append("the application's setting is %s" % ("off" if self.present else "on"))
        if wrong:
            raise MaintenanceError(
                "somebody else is changing maintenance at the same time: %s" % " and ".join(wrong),
                target=self.policy.path,
                next_step="Settle who does, then run it again.",
            )
        timer = observation.layers.timer
        if note is None or not note.expires or not self.present:
            return
        if observation.program is not None and timer is not None and not timer.problem:
            if not observe_timer(self._state_dir, observation.program).armed_for(note.expires):
                raise MaintenanceError(
                    "the timer that ends maintenance at %s is not armed" % note.expires,
                    target=timer.unit,
                    next_step="Look at systemctl status %s.timer, then run it again." % timer.unit,
                )

    def _switched(self, observation: MaintenanceObservation, note: Optional[Note]) -> bool:
        """Whether the application's setting is one of the layers, and not somebody else's beside them."""
        if self.present:
            return note is not None and "previous" in note.application
        before = observation.layers.note
        return self.policy.force or before is None or not before.nginx or "previous" in before.application

    def prove(self, observation: MaintenanceObservation, plan: Plan[SwitchWork]) -> Tuple[str, ...]:
        """Ask the site as visitors do, by the layer of nginx.

        Returns:
            What does not hold.
        """
        setup, nginx, note = observation.setup, observation.layers.nginx, switch.note_of(observation.layers, plan)
        if setup is None or nginx is None:
            return ()
        wrong = []
        if not self.present:
            before = observation.layers.note
            if nginx.closed or (before is not None and before.nginx):
                started = any(isinstance(action.work, StartService) for action in plan.actions)
                wrong = prove_open(setup, START_SECONDS if started else PATIENCE)
        elif note is not None and note.nginx:
            wrong = prove_closed(setup, note.expires, nginx.inside)
        return tuple(["the layer nginx does not hold: %s" % summary_of(wrong)] if wrong else [])

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


HANDLERS: Dict[Type[Any], Callable[[Maintenance, Action[Any], MaintenanceObservation], Outcome]] = {
    WriteNote: Maintenance._write_note,
    RemoveNote: Maintenance._remove_note,
    WriteFlag: Maintenance._write_flag,
    RemoveFlag: Maintenance._remove_flag,
    SwitchApplicationOn: Maintenance._switch_on,
    SwitchApplicationOff: Maintenance._switch_off,
    CloseNginx: Maintenance._close_nginx,
    OpenNginx: Maintenance._open_nginx,
    StopService: Maintenance._stop_service,
    StartService: Maintenance._start_service,
    ArmTimer: Maintenance._arm,
    DisarmTimer: Maintenance._disarm,
}
