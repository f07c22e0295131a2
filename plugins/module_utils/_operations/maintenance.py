# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Maintenance in all its layers, for whoever puts it up or takes it down: the module, and the host's own timer.

It stands on the storey of the modules and composes domains as they do, but knows nothing of Ansible.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional

from .._core.errors import MaintenanceError, SkipAction
from .._core.legacy_plan import Action, Outcome
from .._flag import switch
from .._flag.flag_file import (
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
from .._flag.timer import Timer, arm, disarm, observe_timer
from .._mongo.application_setting import plan_setting, read_setting, update_setting
from .._mongo.client import Connection, connect

CONNECT_TIMEOUT = 5


@dataclass
class Observation:
    """The layers, and the application's maintenance block before and after, for the difference shown."""

    layers: switch.Layers
    block_before: Optional[str] = None
    block_after: Optional[str] = None


class Maintenance:
    """The layers of one shop, and what is wanted of them.

    Args:
        application: how to reach the application's own setting; None to leave that layer out, or, on the way out, to take
            what the note remembers.
        program: what a timer is to run; None leaves the timer alone.
        from_within: this is that program.
    """

    def __init__(
        self,
        policy: switch.Policy,
        state_dir: str,
        application: Optional[Mapping[str, Any]],
        program: Optional[bytes],
        from_within: bool = False,
    ) -> None:
        self.policy = policy
        self.present = policy.state == "present"
        self._state_dir = state_dir
        self._given = application
        self._program = program
        self._from_within = from_within
        self._timer: Optional[Timer] = None
        self._connection: Optional[Connection] = None
        self._database: Any = None

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

    def _connect(self, options: Mapping[str, Any]) -> Any:
        if self._database is None:
            self._connection = connect(options)
            name = self._connection.require_database(options.get("database") or None)
            self._database = self._connection.client[name]
        return self._database

    def observe(self) -> Observation:
        """Raises MaintenanceError: a layer cannot be looked at."""
        flag, note = read_flag(self.policy.path), read_note(self._state_dir)
        if self.present:
            # Before a note is written, and in check mode as well.
            require_directory(self.policy.path)
        if self._program is not None:
            self._timer = observe_timer(self._state_dir, self._program)
        options = self._application_options(note)
        if options is None:
            return Observation(switch.Layers(flag, note, None, self._timer))
        database = self._connect(options)
        setting = read_setting(database)
        previous = switch.previous_of(note)
        change = None
        # Switched off by hand meanwhile: what was saved then stands.
        if self.present or setting.enabled:
            change = plan_setting(
                setting,
                self.present,
                options.get("visitor_message") if self.present else None,
                options.get("allow_ips") if self.present else None,
                None if self.present else previous,
            )
        application = switch.Application(
            setting.enabled,
            (change.before, change.after) if change else None,
            setting.remember(),
            {
                "env_file": options.get("env_file") or "",
                "address": options.get("address") or "",
                "database": database.name,
            },
            "settings of %s (key site)" % database.name,
        )
        return Observation(
            switch.Layers(flag, note, application, self._timer),
            setting.block or "",
            change.after if change else setting.block or "",
        )

    # -- act -------------------------------------------------------------------------------------------------------

    def act(self, action: Action) -> Outcome:
        """Carry out one action of a plan.

        Raises:
            SkipAction: somebody else has just done so.
            MaintenanceError: it failed.
        """
        if action.action == "write_note":
            # Whoever was quicker wins: two that enter at the same moment must not both believe that it is theirs.
            if not self.policy.force:
                now = read_note(self._state_dir)
                if now is not None and now.owner != self.policy.owner and read_flag(self.policy.path).present:
                    raise MaintenanceError(
                        "maintenance was put up by %s at this moment" % now.owner,
                        target=self.policy.path,
                        next_step="Ask them first.",
                    )
            write_note(self._state_dir, action.data["note"])
        elif action.action == "write_flag":
            write_flag(self.policy.path, action.data["line"])
        elif action.action == "remove_flag":
            if not remove_file(self.policy.path):
                raise SkipAction("it is gone already")
        elif action.action == "remove_note":
            # A killed run may have got no further than half a flag.
            discard_half_flag(self.policy.path)
            if not remove_file(note_path(self._state_dir)):
                raise SkipAction("it is gone already")
        elif action.action in ("switch_application_on", "switch_application_off"):
            return self._switch()
        elif action.action == "arm_timer" and self._timer is not None and self._program is not None:
            arm(self._timer, action.data["expires"], self._program)
        elif action.action == "disarm_timer" and self._timer is not None:
            disarm(self._timer, self._from_within)
        else:
            raise AssertionError(action.action)
        return Outcome()

    def _switch(self) -> Outcome:
        options = self._given or {}
        if self.present:
            _before, change = update_setting(
                self._database, True, options.get("visitor_message"), options.get("allow_ips")
            )
        else:
            previous = switch.previous_of(read_note(self._state_dir))
            _before, change = update_setting(self._database, False, previous=previous)
        if change is None:
            raise SkipAction("somebody else has just done so")
        return Outcome()

    # -- verify ----------------------------------------------------------------------------------------------------

    def verify(self, observation: Observation, expires: str) -> None:
        """Look again.

        Args:
            expires: when maintenance is to end, "" when it has no end or is not to be up.

        Raises:
            MaintenanceError: it is not as it should be.
        """
        wrong = []
        if read_flag(self.policy.path).present != self.present:
            wrong.append("the flag file is %s" % ("missing" if self.present else "there again"))
        if observation.layers.application is not None and read_setting(self._database).enabled != self.present:
            wrong.append("the application's setting is %s" % ("off" if self.present else "on"))
        if wrong:
            raise MaintenanceError(
                "somebody else is changing maintenance at the same time: %s" % " and ".join(wrong),
                target=self.policy.path,
                next_step="Settle who does, then run it again.",
            )
        if expires and self._program is not None and self._timer is not None and not self._timer.problem:
            if not observe_timer(self._state_dir, self._program).armed_for(expires):
                raise MaintenanceError(
                    "the timer that ends maintenance at %s is not armed" % expires,
                    target=self._timer.unit,
                    next_step="Look at systemctl status %s.timer, then run it again." % self._timer.unit,
                )

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
