# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who works on this host now.

A lease, not a lock with an expiry. Two signs of life count: an advisory lock (flock) that each module holds while it
works, however long that takes, and the lease file, renewed by every call that carries the run id. The kernel frees the
lock when a process dies, whatever killed it; the lease file says who it was.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict
from datetime import datetime
from typing import Callable, Optional

from .atomic_file import sync_directory, write_atomic
from .clock import compact_utc, format_utc, parse_utc
from .errors import MaintenanceError
from .late_dataclass import dataclass
from .state_dir import StateDirectory, state_error
from .units import format_duration

# A module call renews the lease when it starts and when it ends; between two calls there is only the controller's own
# work. Half an hour without any is a dead controller, not a slow one.
SILENCE_SECONDS = 30 * 60
LOCK_WAIT_SECONDS = 10.0
CHECK_PREFIX = "check-"


def boot_id() -> str:
    """The kernel's id of this boot; empty where there is none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as handle:
            return handle.read().strip()
    except OSError:
        return ""


@dataclass(frozen=True)
class Lease:
    """Who holds the host. Times are UTC timestamps."""

    run_id: str
    name: str
    owner: str
    boot: str
    started: str
    renewed: str


@dataclass(frozen=True)
class Standing:
    """Whether a lease stands in the way: state is free, live or dead; reason says why."""

    state: str
    reason: str = ""


@dataclass(frozen=True)
class Taken:
    """What `take_lease` did: the new lease, the dead one that it replaced, if any, and why that one was dead."""

    lease: Lease
    replaced: Optional[Lease]
    reason: str


def judge_lease(
    lease: Optional[Lease], lock_free: bool, boot: str, now: datetime, takeover: bool = False, own: str = ""
) -> Standing:
    """Decide about an existing lease. Pure.

    Args:
        lease: the lease as found, None when there is none.
        lock_free: no module of any run is working at this moment.
        boot: id of the present boot.
        now: the present moment.
        takeover: the user says that the run is dead.
        own: a run of this owner may be taken over as soon as none of its modules works: whoever stopped it knows.
    """
    if not lock_free:
        return Standing("live", "one of its modules is working at this moment")
    if lease is None:
        return Standing("free")
    if boot and lease.boot and lease.boot != boot:
        return Standing("dead", "it began before the last boot of this host")
    silence = (now - parse_utc(lease.renewed)).total_seconds()
    if silence > SILENCE_SECONDS:
        return Standing("dead", "no sign of life for " + format_duration(silence))
    if own and lease.owner == own:
        return Standing("dead", "it is one's own, and none of its modules works any more")
    if takeover:
        return Standing("dead", "taken over on request, last sign of life %s ago" % format_duration(max(silence, 0)))
    if silence < -SILENCE_SECONDS:
        # Not dead for that: the clock may have been set back in the middle of a run.
        return Standing(
            "live", "its last sign of life is dated %s, in the future: was the clock set back?" % lease.renewed
        )
    return Standing("live", "last sign of life %s ago" % format_duration(max(silence, 0)))


def new_run_id(now: datetime) -> str:
    return compact_utc(now) + "-" + secrets.token_hex(3)


def read_lease(state: StateDirectory) -> Optional[Lease]:
    """The lease as it stands, None when there is none. An unreadable text counts as none: it is rewritten atomically."""
    try:
        with open(state.lease_path, encoding="utf-8") as handle:
            found = json.load(handle)
        lease = Lease(**{key: str(found[key]) for key in Lease.__dataclass_fields__})
        parse_utc(lease.renewed)
        state.events_path(lease.run_id)
        return lease
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, MaintenanceError):
        return None
    except OSError as error:
        raise state_error("cannot read the lease", state.lease_path, error) from error


def write_lease(state: StateDirectory, lease: Lease) -> None:
    try:
        write_atomic(state.lease_path, (json.dumps(asdict(lease), sort_keys=True) + "\n").encode(), 0o600)
    except OSError as error:
        raise state_error("cannot write the lease", state.lease_path, error) from error


def take_lease(
    state: StateDirectory,
    name: str,
    owner: str,
    takeover: bool,
    now: datetime,
    own: str = "",
    on_dead: Callable[[Lease, str], None] = lambda lease, reason: None,
) -> Taken:
    """Begin a run.

    Args:
        takeover: the user says that a run which stands in the way is dead.
        own: as for `judge_lease`.
        on_dead: called with a dead lease and why it is dead, before it is replaced: nobody knows of it afterwards.

    Raises:
        MaintenanceError: a live run holds the host.
    """
    with state.locked() as held:
        found = read_lease(state)
        standing = judge_lease(found, held, boot_id(), now, takeover, own)
        if standing.state == "live":
            raise busy(found, standing)
        if found:
            on_dead(found, standing.reason)
        lease = Lease(new_run_id(now), name, owner, boot_id(), format_utc(now), format_utc(now))
        write_lease(state, lease)
        return Taken(lease, found, standing.reason)


def release_lease(state: StateDirectory, run_id: str) -> bool:
    """Give the lease back; False when the run did not hold it (any more)."""
    with state.locked(LOCK_WAIT_SECONDS) as held:
        found = read_lease(state)
        if found is None or found.run_id != run_id:
            return False
        if not held:
            raise busy(found, Standing("live", "one of its modules is still working"))
        os.unlink(state.lease_path)
        sync_directory(state.path)
        return True


def busy(lease: Optional[Lease], standing: Standing) -> MaintenanceError:
    """The error for a host that another run holds."""
    if lease is None:
        return MaintenanceError(
            "another module of this collection is working on this host",
            next_step="Wait until it has ended and run again.",
            details={"busy": True},
        )
    return MaintenanceError(
        "another run holds this host: %s (%s), begun %s by %s; %s"
        % (lease.name, lease.run_id, lease.started, lease.owner, standing.reason),
        next_step="Wait until it has ended. If you know that it is dead, run again with miniecom_takeover=true; "
        "after %s of silence it is taken over by itself." % format_duration(SILENCE_SECONDS),
        details={"busy": True, "lease": asdict(lease)},
    )
