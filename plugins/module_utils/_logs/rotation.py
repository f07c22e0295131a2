# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How each log is rotated, by who holds it open, and why some are not. Pure; that a log is due is logrotate's own judgement.

Renaming a log that a process holds open leaves that process writing into the renamed file for ever: the new one stays empty,
is never due again, and the disk fills. Copying and truncating suits a process that has opened it for appending, whose next line
goes to the end wherever that is; any other would write on at its old position, behind a hole of that length.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from typing import Dict, List, Mapping, Optional, Sequence, Tuple, Union

from .._core.late_dataclass import dataclass
from .._core.leftovers import ProcessId
from .._core.plan import Action, Kept, Plan
from .._core.units import format_size
from .holders import PM2, PM2_SIGNAL, Holder, harmless_text
from .logrotate import COPY, RENAME, REOPEN, Identity, Rules, Section, is_safe
from .open_files import UNSEEN

BY_PM2, BY_SIGNAL = "pm2_reload_logs", "signal"
FILE, LINK = "file", "link"
# 20261126 or 2026-11-26, set off from what stands before it, as logrotate's dateext and most scripts name what they put away.
_DATED = re.compile(r"[-._](?:19|20)[0-9]{2}(-?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12][0-9]|3[01])(?![0-9])")


@dataclass(frozen=True)
class Reopen:
    """How the holders of some logs are brought to open them anew.

    Attributes:
        pattern: glob of file names.
        method: pm2_reload_logs or signal.
        signal: HUP, USR1 or USR2.
    """

    pattern: str
    method: str
    signal: str = "HUP"


@dataclass(frozen=True)
class LogRotationPolicy:
    """What the planner is told; `reopen` in order, the first that fits counts."""

    rules: Rules
    reopen: Tuple[Reopen, ...] = ()


@dataclass(frozen=True)
class LogDirectory:
    """A directory with logs.

    Attributes:
        owners_group: its group is its owner's own primary group.
        free: bytes that are free on its file system.
        device: of the file system.
    """

    path: str
    uid: int
    gid: int
    mode: int
    owners_group: bool = False
    free: int = 0
    device: int = 0


@dataclass(frozen=True)
class Log:
    """A log as found.

    Attributes:
        kind: file, or link.
        links: how many names it has.
        latest: when it was last rotated, by the names beside it, in seconds since the epoch; 0 for never.
        holders: who has it open.
        unseen: somebody whom we are not shown has, or may have, it open for writing.
        due: logrotate says so.
        known: logrotate's state has it.
        idle: nothing was written into it for a day.
        same_as: the same file under another path that is looked at, too; for a link, whatever regular file it leads to.
    """

    path: str
    size: int = 0
    uid: int = 0
    gid: int = 0
    mode: int = 0o644
    device: int = 0
    inode: int = 0
    kind: str = FILE
    links: int = 1
    latest: int = 0
    holders: Tuple[Holder, ...] = ()
    unseen: bool = False
    due: bool = False
    known: bool = False
    idle: bool = False
    same_as: str = ""

    @property
    def writers(self) -> Tuple[Holder, ...]:
        return tuple(holder for holder in self.holders if holder.writes)


@dataclass(frozen=True)
class HeldRotation:
    """A renamed log that a process still writes into. log: the path of the log that it was."""

    path: str
    log: str
    device: int
    inode: int
    writers: Tuple[Holder, ...]


@dataclass(frozen=True)
class Logs:
    """What was found.

    Attributes:
        as_root: logrotate runs as root, and is strict about who may write into a directory.
        su: whom it shall become, whatever the directories say.
        errors: logrotate's own, when it was asked what is due.
    """

    directories: Mapping[str, LogDirectory]
    logs: Tuple[Log, ...]
    rotations: Tuple[HeldRotation, ...] = ()
    as_root: bool = True
    su: Optional[Identity] = None
    errors: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Reopener:
    """A process that opens its logs anew on a signal."""

    process: ProcessId
    program: str
    signal: str


@dataclass(frozen=True)
class RunLogrotate:
    """Write the configuration, and run logrotate once."""

    sections: Tuple[Section, ...]
    rules: Rules


@dataclass(frozen=True)
class RotateLog:
    """See that a log was rotated, and have its holders open it anew.

    Attributes:
        latest: when it was rotated before that, in seconds since the epoch.
        reopen: whom to ask; each lets go of the renamed file afterwards.
    """

    path: str
    device: int
    inode: int
    method: str
    latest: int = 0
    reopen: Tuple[Reopener, ...] = ()


@dataclass(frozen=True)
class ReopenLog:
    """Have the holders of a renamed log open it anew."""

    path: str
    device: int
    inode: int
    reopen: Tuple[Reopener, ...]


RotationWork = Union[RunLogrotate, RotateLog, ReopenLog]


@dataclass(frozen=True)
class Way:
    """How one log is rotated.

    Attributes:
        method: rename, copytruncate or reopen; "" when it cannot be.
        reason: why so.
        remedy: what would make it possible.
    """

    method: str
    reason: str
    reopen: Tuple[Reopener, ...] = ()
    remedy: str = ""


def plan_log_rotation(found: Logs, policy: LogRotationPolicy) -> Plan[RotationWork]:
    """Decide about every log. Pure."""
    plan: Plan[RotationWork] = Plan()
    paths = {log.path for log in found.logs if not _passed_over(log)}
    rotating: List[Action[RotationWork]] = []
    sections: Dict[Section, List[str]] = {}
    room = {directory.device: directory.free for directory in found.directories.values()}
    new = False
    for log in sorted(found.logs, key=lambda item: item.path):
        passed = _passed_over(log)
        if passed:
            plan.kept.append(Kept(harmless_text(log.path, 1000), passed))
            if log.same_as not in paths:
                plan.warnings.append("%s is not rotated: %s." % (harmless_text(log.path, 1000), passed))
            continue
        if is_finished(log):
            plan.kept.append(
                Kept(log.path, "its name carries a date, and nothing was written into it for a day: it is finished")
            )
            continue
        directory = found.directories[os.path.dirname(log.path)]
        way = way_of(log, policy)
        su, create, problem = become(log, directory, way.method, found)
        if way.method and problem:
            way = Way("", problem[0], remedy=problem[1])
        if way.method == COPY and log.due:
            if log.size > room[directory.device]:
                way = Way(
                    "",
                    "its copy takes %s, and %s are free" % (format_size(log.size), format_size(room[directory.device])),
                    remedy="Make room on the file system.",
                )
            else:
                room[directory.device] -= log.size
        if not way.method:
            plan.kept.append(Kept(log.path, way.reason if log.due else "not due; " + way.reason))
            if log.due:
                plan.warnings.append("%s cannot be rotated: %s. %s" % (log.path, way.reason, way.remedy))
            continue
        new = new or not log.known
        kind = Section((), way.method if log.due else RENAME, su, create if log.due else True, log.due)
        sections.setdefault(kind, []).append(log.path)
        if log.due:
            work = RotateLog(log.path, log.device, log.inode, way.method, log.latest, way.reopen)
            rotating.append(Action("rotate", log.path, _why(log, policy) + "; " + way.reason, work))
        else:
            plan.kept.append(Kept(log.path, "empty" if not log.size else "%s, not due" % format_size(log.size)))
    if rotating or new or found.errors:
        named = tuple(
            Section(tuple(paths_of), kind.method, kind.su, kind.create, kind.due)
            for kind, paths_of in sorted(sections.items(), key=lambda item: (not item[0].due, item[1]))
        )
        reason = "%d of %d logs are due" % (len(rotating), sum(len(section.paths) for section in named))
        plan.actions.append(Action("run_logrotate", "logrotate", reason, RunLogrotate(named, policy.rules)))
    plan.actions.extend(rotating)
    # Last, so that who opens a log anew opens one that has just been rotated.
    for held in found.rotations:
        _plan_held(held, policy, plan)
    return plan


def _why(log: Log, policy: LogRotationPolicy) -> str:
    if log.size >= policy.rules.max_size:
        return "%s, from %s on it is rotated" % (format_size(log.size), format_size(policy.rules.max_size))
    return "%s, rotated %s" % (format_size(log.size), policy.rules.interval)


def _passed_over(log: Log) -> str:
    """Why logrotate would not even look at it; "" when it would."""
    if not is_safe(log.path):
        return "its name cannot be written into logrotate's configuration"
    if log.kind == LINK:
        return "it is a symbolic link, which logrotate passes over"
    if log.links > 1:
        return "it has %d names (hard links), which logrotate passes over" % log.links
    if log.same_as:
        return "it is the same file as %s" % log.same_as
    return ""


def is_finished(log: Log) -> bool:
    """Whether a log is a rotation itself: its name carries a date, and nobody has written into it for a day.

    Rotated once more it would leave an empty file under its name. Its end is a matter of age (log_prune).
    """
    return log.idle and bool(_DATED.search(os.path.basename(log.path))) and not log.writers and not log.unseen


def way_of(log: Log, policy: LogRotationPolicy) -> Way:
    """How a log is rotated, by who holds it open."""
    if log.unseen:
        return Way("", UNSEEN, remedy="Run with become: true, on the host itself and not in a container.")
    writers = log.writers
    if not writers:
        reading = ", ".join(str(holder) for holder in log.holders)
        return Way(RENAME, ("only read by %s: renamed" % reading) if reading else "nobody holds it open: renamed")
    names = ", ".join(str(holder) for holder in writers)
    entry = reopen_for(log.path, policy)
    if entry is not None:
        return _own_way(writers, entry)
    if any(holder.manager == PM2 for holder in writers):
        return Way(
            "",
            "held open by %s" % names,
            remedy="Say reopen: [{pattern: '%s', method: %s}], which has pm2 open it anew."
            % (os.path.basename(log.path), BY_PM2),
        )
    if all(holder.appends for holder in writers):
        return Way(
            COPY,
            "held open for appending by %s: copied and truncated in place, which loses what is written in the moment"
            " between the two" % names,
        )
    return Way(
        "",
        "held open by %s, not for appending" % names,
        remedy="Say reopen: [{pattern: '%s', method: %s, signal: HUP}] if its program opens its logs anew on that signal;"
        " or restart it with the log opened for appending (>>, StandardOutput=append:)."
        % (os.path.basename(log.path), BY_SIGNAL),
    )


def reopen_for(path: str, policy: LogRotationPolicy) -> Optional[Reopen]:
    name = os.path.basename(path)
    return next((entry for entry in policy.reopen if fnmatch.fnmatchcase(name, entry.pattern)), None)


def _own_way(writers: Sequence[Holder], entry: Reopen) -> Way:
    names = ", ".join(str(holder) for holder in writers)
    asked: Dict[ProcessId, Reopener] = {}
    if entry.method == BY_PM2:
        for holder in writers:
            if holder.pm2 is None or not holder.pm2_reloads:
                return Way(
                    "",
                    "held open by %s, and no daemon of pm2 that reloads logs is above it" % holder,
                    remedy="Use another method for it in reopen.",
                )
            asked[holder.pm2] = Reopener(holder.pm2, "pm2", PM2_SIGNAL)
        return Way(REOPEN, "held open by %s: renamed, then pm2 reloads its logs" % names, tuple(asked.values()))
    pids = {holder.process.pid for holder in writers}
    for holder in writers:
        if holder.parent in pids:
            continue  # a worker: it is told by its master
        problem = _signal_problem(holder, entry.signal)
        if problem:
            return Way("", problem, remedy="Name the signal on which it opens its logs anew, or restart it.")
        asked[holder.process] = Reopener(holder.process, holder.program, entry.signal)
    return Way(
        REOPEN,
        "held open by %s: renamed, then sent SIG%s" % (names, entry.signal),
        tuple(asked.values()),
    )


def _signal_problem(holder: Holder, name: str) -> str:
    if holder.process.pid <= 1:
        return "held open by the host's first process, which is sent no signals"
    if name not in holder.catches:
        return "held open by %s, which has no handler for SIG%s and would be ended by it" % (holder, name)
    # Node.js keeps it for itself: it starts the debugger (Node.js, Process, signal events).
    if name == "USR1" and holder.program in ("node", "nodejs"):
        return "held open by %s, which would open its debugger on SIGUSR1" % holder
    return ""


def _plan_held(held: HeldRotation, policy: LogRotationPolicy, plan: Plan[RotationWork]) -> None:
    names = ", ".join(str(holder) for holder in held.writers)
    entry = reopen_for(held.log, policy)
    way = _own_way(held.writers, entry) if entry is not None else Way("", "still written to by %s" % names)
    if way.method:
        work = ReopenLog(held.path, held.device, held.inode, way.reopen)
        plan.actions.append(Action("reopen", held.path, "renamed, and still written to by %s" % names, work))
        return
    plan.kept.append(Kept(held.path, way.reason))
    plan.warnings.append(
        "%s was renamed, and %s still writes into it: nothing rotates that file again. Restart it%s."
        % (held.path, names, "" if entry is not None else ", or say in reopen how it opens its logs anew")
    )


def become(
    log: Log, directory: LogDirectory, method: str, found: Logs
) -> Tuple[Optional[Identity], bool, Optional[Tuple[str, str]]]:
    """Whom logrotate becomes for a log, whether it makes a new one, and what forbids to (with a remedy).

    Run by root it refuses a directory that others may write to, unless it is told whom to become: the directory's owner. What
    lies there and belongs to somebody else, such as a log that systemd has opened as root, the owner may rename, but not
    always read or truncate. Then it is rotated as its own owner, where nobody but the directory's owner and his own group can
    play tricks there: no more than logrotate allows in a directory of mode 755 that is not root's.
    """
    if found.su is not None or not is_open(directory, found.as_root):
        return found.su, True, None
    owner = Identity(directory.uid, directory.gid)
    if directory.uid in (0, log.uid):
        return owner, True, None
    needed = 0o6 if method == COPY else 0o4
    if _bits(log, owner) & needed == needed:
        # What it made anew would be the owner's; whoever writes next makes one of his own.
        return owner, False, None
    if not directory.mode & stat.S_IWOTH and directory.owners_group:
        return Identity(log.uid, directory.gid), True, None
    return (
        None,
        True,
        (
            "others may write to its directory, whose owner may not %s it" % ("truncate" if method == COPY else "read"),
            "Give the log to the directory's owner (chown %d), or take the right to write away from others (chmod o-w)."
            % directory.uid,
        ),
    )


def is_open(directory: LogDirectory, as_root: bool) -> bool:
    """Whether logrotate wants to be told whom to become: others than root and the owner may write to the directory."""
    group = directory.mode & stat.S_IWGRP and directory.gid != 0
    return as_root and bool(group or directory.mode & stat.S_IWOTH)


def _bits(log: Log, identity: Identity) -> int:
    """What somebody may do with a log: read 4, write 2."""
    if identity.uid == log.uid:
        return log.mode >> 6 & 7
    return (log.mode >> 3 if identity.gid == log.gid else log.mode) & 7
