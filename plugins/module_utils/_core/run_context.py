# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One module call's view of the run it belongs to."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional

from .atomic_file import append_line
from .clock import format_utc, parse_utc, utc_now
from .errors import MaintenanceError
from .lease import CHECK_PREFIX, LOCK_WAIT_SECONDS, Lease, Standing, boot_id, busy, read_lease, write_lease
from .redaction import SECRETS
from .state_dir import StateDirectory, state_error

if TYPE_CHECKING:
    from .leftovers import Leftovers

# A sign of life that is no older is not written anew: whoever does many small things need not wait for the disk with each.
FRESH_SECONDS = 15.0


class RunContext:
    """Without a run id, and in check mode, everything works and nothing is written.

    Args:
        run_id: as maintenance_run returned it; None for a call on its own.
        state_dir: the state directory.
        check: check mode.
        module: name of the module, for the record.
    """

    def __init__(self, run_id: Optional[str], state_dir: str, check: bool = False, module: str = "") -> None:
        self.run_id = run_id or None
        self.state_dir = state_dir
        self.check = check
        self.module = module
        self.state = StateDirectory(state_dir)
        # A run begun in check mode has no lease; its id reaches tasks that opt out of check mode, too.
        self.active = bool(self.run_id) and not check and not str(self.run_id).startswith(CHECK_PREFIX)
        # A task may carry out a few actions side by side, and each of these files has one name while it is written.
        self._writing = threading.Lock()

    @cached_property
    def leftovers(self) -> Leftovers:
        """What a killed run may have left behind. Its kinds are loaded for the few modules that leave anything."""
        from .leftovers import Leftovers

        return Leftovers(self.state, self.run_id, not self.check)

    def _require_lease(self) -> Lease:
        lease = read_lease(self.state)
        if lease is None or lease.run_id != self.run_id:
            holder = (
                "no run holds it"
                if lease is None
                else "%s (%s) by %s holds it" % (lease.name, lease.run_id, lease.owner)
            )
            raise MaintenanceError(
                "this run no longer holds the host: %s" % holder,
                target=str(self.run_id),
                next_step="Nothing was changed. It was ended or taken over: start the playbook again.",
                details={"lease_lost": True},
            )
        return lease

    def renew(self) -> None:
        """Show a sign of life. To be called every few minutes by anything that works long without the lock.

        The run may have rebooted the host itself: that it goes on is what makes it a run of this boot.
        """
        if self.active:
            with self._writing:
                lease, boot, now = self._require_lease(), boot_id(), utc_now()
                age = (now - parse_utc(lease.renewed)).total_seconds()
                if lease.boot != boot or not 0 <= age < FRESH_SECONDS:
                    write_lease(self.state, replace(lease, boot=boot, renewed=format_utc(now)))

    @contextmanager
    def working(self) -> Iterator[None]:
        """Hold the host's lock while the module works; fails before anything is done when the lease is lost."""
        if not self.active:
            yield
            return
        with self.state.locked(LOCK_WAIT_SECONDS) as held:
            if not held:
                raise busy(read_lease(self.state), Standing("live", "one of its modules is working at this moment"))
            self.renew()
            yield
            # The lease may have been released by this very call (maintenance_run ends the run).
            lease = read_lease(self.state)
            if lease is not None and lease.run_id == self.run_id:
                self.renew()

    def append(self, event: Mapping[str, Any]) -> None:
        """Add one event to the run's record: one line of JSON, written at once and whole."""
        if not self.active:
            return
        entry = {"at": format_utc(utc_now()), "module": self.module}
        entry.update(SECRETS.clean(dict(event)))
        path = self.state.events_path(str(self.run_id))
        try:
            with self._writing:
                append_line(path, json.dumps(entry, sort_keys=True, default=str).encode())
        except OSError as error:
            raise state_error("cannot write the record of this run", path, error) from error
