# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The run: who works on this host now, what was done, what a killed run left behind.

A lease, not a lock with an expiry. Two signs of life count: an advisory lock (flock) that each module holds while it
works, however long that takes, and the lease file, renewed by every call that carries the run id. The kernel frees the
lock when a process dies, whatever killed it; the lease file says who it was.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

from .atomic_file import sync_directory, write_atomic
from .errors import MaintenanceError
from .processes import is_running, read_process
from .redaction import SECRETS
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


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


def iso(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_iso(text: str) -> datetime:
    """The moment of a UTC timestamp as `iso` writes it."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


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
class Verdict:
    """Whether a lease stands in the way: state is free, live or dead; reason says why."""

    state: str
    reason: str = ""


def judge(lease: Optional[Lease], lock_free: bool, boot: str, now: datetime, takeover: bool = False) -> Verdict:
    """Decide about an existing lease. Pure.

    Args:
        lease: the lease as found, None when there is none.
        lock_free: no module of any run is working at this moment.
        boot: id of the present boot.
        now: the present moment.
        takeover: the user says that the run is dead.
    """
    if not lock_free:
        return Verdict("live", "one of its modules is working at this moment")
    if lease is None:
        return Verdict("free")
    if boot and lease.boot and lease.boot != boot:
        return Verdict("dead", "it began before the last boot of this host")
    silence = (now - parse_iso(lease.renewed)).total_seconds()
    if silence > SILENCE_SECONDS:
        return Verdict("dead", "no sign of life for " + format_duration(silence))
    if takeover:
        return Verdict("dead", "taken over on request, last sign of life %s ago" % format_duration(max(silence, 0)))
    if silence < -SILENCE_SECONDS:
        # Not dead for that: the clock may have been set back in the middle of a run.
        return Verdict(
            "live", "its last sign of life is dated %s, in the future: was the clock set back?" % lease.renewed
        )
    return Verdict("live", "last sign of life %s ago" % format_duration(max(silence, 0)))


def new_run_id(now: datetime) -> str:
    return now.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%SZ-") + secrets.token_hex(3)


def _os_error(what: str, path: str, error: OSError) -> MaintenanceError:
    step = "Check that the file system is writable and has space."
    if error.errno in (errno.EACCES, errno.EPERM):
        step = (
            "Run as the owner of the state directory, usually root (become: true), or set state_dir. This process runs as uid %d."
            % os.geteuid()
        )
    return MaintenanceError(what, path, errno.errorcode.get(error.errno or 0, error.errno), step)


class RunState:
    """The state directory of one host.

    Args:
        state_dir: its path; made with mode 0700 by the first call that writes.
    """

    def __init__(self, state_dir: str) -> None:
        self.state_dir = state_dir
        self.lease_path = os.path.join(state_dir, "lease.json")
        self.lock_path = os.path.join(state_dir, "lock")
        self.runs_dir = os.path.join(state_dir, "runs")
        self.leftovers_dir = os.path.join(state_dir, "leftovers")

    def prepare(self) -> None:
        """Make the directories, readable by their owner only."""
        try:
            for path in (self.state_dir, self.runs_dir, self.leftovers_dir):
                os.makedirs(path, mode=0o700, exist_ok=True)
        except OSError as error:
            raise _os_error("cannot make the state directory", self.state_dir, error) from error

    def lease(self) -> Optional[Lease]:
        """The lease as it stands, None when there is none. An unreadable text counts as none: it is rewritten atomically."""
        try:
            with open(self.lease_path, encoding="utf-8") as handle:
                found = json.load(handle)
            lease = Lease(**{key: str(found[key]) for key in Lease.__dataclass_fields__})
            parse_iso(lease.renewed)
            self.spool_path(lease.run_id)
            return lease
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, MaintenanceError):
            return None
        except OSError as error:
            raise _os_error("cannot read the lease", self.lease_path, error) from error

    def lock_is_free(self) -> bool:
        """Whether no module is working now. Changes nothing, makes no file."""
        try:
            descriptor = os.open(self.lock_path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError as error:
            raise _os_error("cannot look at the lock", self.lock_path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)

    @contextmanager
    def locked(self, wait: float = 0.0) -> Iterator[bool]:
        """Hold the lock; gives False when another process holds it longer than `wait` seconds."""
        self.prepare()
        try:
            descriptor = os.open(self.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _os_error("cannot open the lock", self.lock_path, error) from error
        try:
            deadline = time.monotonic() + wait
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    held = True
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        held = False
                        break
                    time.sleep(0.05)
            yield held
        finally:
            os.close(descriptor)

    def write_lease(self, lease: Lease) -> None:
        try:
            write_atomic(self.lease_path, (json.dumps(asdict(lease), sort_keys=True) + "\n").encode(), 0o600)
        except OSError as error:
            raise _os_error("cannot write the lease", self.lease_path, error) from error

    def begin(
        self,
        name: str,
        owner: str,
        takeover: bool,
        now: datetime,
        on_dead: Callable[[Lease, str], None] = lambda lease, reason: None,
    ) -> Beginning:
        """Take the lease.

        Args:
            on_dead: called with a dead lease and why it is dead, before it is replaced: nobody knows of it afterwards.

        Returns:
            The new lease, and the dead one that was taken over, if any, with the reason.

        Raises:
            MaintenanceError: a live run holds the host.
        """
        with self.locked() as held:
            found = self.lease()
            verdict = judge(found, held, boot_id(), now, takeover)
            if verdict.state == "live":
                raise busy(found, verdict)
            if found:
                on_dead(found, verdict.reason)
            lease = Lease(new_run_id(now), name, owner, boot_id(), iso(now), iso(now))
            self.write_lease(lease)
            return Beginning(lease, found, verdict.reason)

    def release(self, run_id: str) -> bool:
        """Give the lease back; False when the run did not hold it (any more)."""
        with self.locked(LOCK_WAIT_SECONDS) as held:
            found = self.lease()
            if found is None or found.run_id != run_id:
                return False
            if not held:
                raise busy(found, Verdict("live", "one of its modules is still working"))
            os.unlink(self.lease_path)
            sync_directory(self.state_dir)
            return True

    def spool_path(self, run_id: str) -> str:
        if not run_id or os.sep in run_id or run_id.startswith("."):
            raise MaintenanceError(
                "not a run id", repr(run_id), next_step="Use the run_id that maintenance_run returned."
            )
        return os.path.join(self.runs_dir, run_id + ".jsonl")

    def events(self, run_id: str) -> Iterator[Dict[str, Any]]:
        """The events of a run in order; a line torn by a kill is passed over."""
        try:
            with open(self.spool_path(run_id), encoding="utf-8") as handle:
                for line in handle:
                    try:
                        yield json.loads(line)
                    except ValueError:
                        continue
        except FileNotFoundError:
            return


@dataclass(frozen=True)
class Beginning:
    """What `RunState.begin` did."""

    lease: Lease
    replaced: Optional[Lease]
    reason: str


def busy(lease: Optional[Lease], verdict: Verdict) -> MaintenanceError:
    """The error for a host that another run holds."""
    if lease is None:
        return MaintenanceError(
            "another module of this collection is working on this host",
            next_step="Wait until it has ended and run again.",
            details={"busy": True},
        )
    return MaintenanceError(
        "another run holds this host: %s (%s), begun %s by %s; %s"
        % (lease.name, lease.run_id, lease.started, lease.owner, verdict.reason),
        next_step="Wait until it has ended. If you know that it is dead, run again with miniecom_takeover=true; "
        "after %s of silence it is taken over by itself." % format_duration(SILENCE_SECONDS),
        details={"busy": True, "lease": asdict(lease)},
    )


def _this_process() -> Dict[str, int]:
    process = read_process(os.getpid())
    return {"pid": process.pid, "start_time": process.start_time} if process else {}


def is_abandoned(note: Mapping[str, Any], boot: str) -> bool:
    """Whether the module that wrote a leftover's note is gone, so that nobody else will clear it away.

    A module called without a run id holds no lock: only its process tells that it still works.
    """
    process = note.get("process") or {}
    if not process or (boot and note.get("boot") and note["boot"] != boot):
        return True
    return not is_running(int(process.get("pid", 0)), int(process.get("start_time", 0)))


class Leftovers:
    """What a killed run may leave behind, noted before it is made, so that the next run can clear it away.

    One small file each: a note that is gone is a leftover that is gone.
    """

    def __init__(self, state: RunState, run_id: Optional[str], enabled: bool) -> None:
        self._state = state
        self._run_id = run_id
        self._enabled = enabled

    def register(self, kind: str, **facts: Any) -> str:
        """Note a leftover of a kind ("path", "process", "container", "fsync_lock") before making it; returns its id."""
        leftover = secrets.token_hex(8)
        if self._enabled:
            self._state.prepare()
            note = {
                "id": leftover,
                "kind": kind,
                "run_id": self._run_id,
                "facts": SECRETS.clean(facts),
                "at": iso(utc_now()),
                "boot": boot_id(),
                "process": _this_process(),
            }
            path = os.path.join(self._state.leftovers_dir, leftover + ".json")
            try:
                write_atomic(path, json.dumps(note, sort_keys=True).encode(), 0o600)
            except OSError as error:
                raise _os_error("cannot note what may be left behind", path, error) from error
        return leftover

    def done(self, leftover: str) -> None:
        """The leftover is gone."""
        try:
            os.unlink(os.path.join(self._state.leftovers_dir, leftover + ".json"))
        except (FileNotFoundError, NotADirectoryError):
            pass

    def found(self) -> List[Dict[str, Any]]:
        """Every note that stands, whoever wrote it."""
        notes: List[Dict[str, Any]] = []
        try:
            names = sorted(os.listdir(self._state.leftovers_dir))
        except OSError:
            return notes
        for name in names:
            if not name.endswith(".json") or name.startswith("."):
                continue
            try:
                with open(os.path.join(self._state.leftovers_dir, name), encoding="utf-8") as handle:
                    notes.append(json.load(handle))
            except (OSError, ValueError):
                continue
        return notes


class RunContext:
    """One module call's view of the run it belongs to.

    Without a run id, and in check mode, everything works and nothing is written.

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
        self.state = RunState(state_dir)
        # A run begun in check mode has no lease; its id reaches tasks that opt out of check mode, too.
        self.active = bool(self.run_id) and not check and not str(self.run_id).startswith(CHECK_PREFIX)
        self.leftovers = Leftovers(self.state, self.run_id, not check)

    def _require_lease(self) -> Lease:
        lease = self.state.lease()
        if lease is None or lease.run_id != self.run_id:
            holder = (
                "no run holds it"
                if lease is None
                else "%s (%s) by %s holds it" % (lease.name, lease.run_id, lease.owner)
            )
            raise MaintenanceError(
                "this run no longer holds the host: %s" % holder,
                str(self.run_id),
                next_step="Nothing was changed. It was ended or taken over: start the playbook again.",
                details={"lease_lost": True},
            )
        return lease

    def renew(self) -> None:
        """Show a sign of life. To be called every few minutes by anything that works long without the lock."""
        if self.active:
            lease = self._require_lease()
            self.state.write_lease(Lease(**dict(asdict(lease), renewed=iso(utc_now()))))

    @contextmanager
    def working(self) -> Iterator[None]:
        """Hold the host's lock while the module works; fails before anything is done when the lease is lost."""
        if not self.active:
            yield
            return
        with self.state.locked(LOCK_WAIT_SECONDS) as held:
            if not held:
                raise busy(self.state.lease(), Verdict("live", "one of its modules is working at this moment"))
            self.renew()
            yield
            # The lease may have been released by this very call (maintenance_run ends the run).
            lease = self.state.lease()
            if lease is not None and lease.run_id == self.run_id:
                self.renew()

    def append(self, event: Mapping[str, Any]) -> None:
        """Add one event to the run's record: one line of JSON, written at once and whole."""
        if not self.active:
            return
        entry = {"at": iso(utc_now()), "module": self.module}
        entry.update(SECRETS.clean(dict(event)))
        path = self.state.spool_path(str(self.run_id))
        line = (json.dumps(entry, sort_keys=True, default=str) + "\n").encode()
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    line = b"\n" + line  # a full disk or a power cut tore the last event: this one is not lost with it
                if os.write(descriptor, line) < len(line):
                    raise OSError(errno.ENOSPC, "only a part of the event was written")
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _os_error("cannot write the record of this run", path, error) from error
