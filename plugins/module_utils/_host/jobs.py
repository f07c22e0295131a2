# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shop's own scheduled jobs, which would prune and delete beside us.

They are found where they are written down: crontabs, run-parts directories and systemd timers. A job's command may hold a
secret, therefore only the pieces that were recognised are ever told.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

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
)
_LARGEST = 256 * 1024

PRUNES_DOCKER = "prunes_docker"
DELETES_BACKUPS = "deletes_backups"
DELETES_DATA = "deletes_data"
RESTARTS_SERVICES = "restarts_services"
READABLE_BACKUPS = "leaves_readable_backups"
# The order tells what a person should hear first.
DANGERS = (DELETES_BACKUPS, PRUNES_DOCKER, DELETES_DATA, RESTARTS_SERVICES, READABLE_BACKUPS)

# What the shop's own scripts do, whatever a job calls them by.
SCRIPTS: Mapping[str, Tuple[str, ...]] = {
    "run_maintenance_tasks.sh": (DELETES_BACKUPS, PRUNES_DOCKER),
    "rotate_backups.sh": (DELETES_BACKUPS,),
    "disk_alert.sh": (DELETES_BACKUPS, PRUNES_DOCKER),
    "monitor_services.sh": (RESTARTS_SERVICES,),
    "exit_maintenance.sh": (RESTARTS_SERVICES,),
    "backup.sh": (READABLE_BACKUPS,),
}
# Scripts of the shop that remove nothing that matters to us; a glance at their text would take a temporary directory's removal
# for more than it is.
_HARMLESS = frozenset(
    "healthcheck.sh sec_audit.sh test_backup.sh enter_maintenance.sh logs_collect.sh restore.sh".split()
)
# Names that others use as well: they count only in a command that speaks of the shop.
_COMMON_NAMES = frozenset(["backup.sh"])

_NAMES = re.compile(r"(?:^|[\s/;&|\"'(])(%s)(?=$|[\s;&|\"')>])" % "|".join(re.escape(name) for name in SCRIPTS))
_PATTERNS: Tuple[Tuple[str, re.Pattern[str]], ...] = (
    (PRUNES_DOCKER, re.compile(r"\bdocker\s+(?:system|volume|image|container|builder|buildx|network)\s+prune\b")),
    (PRUNES_DOCKER, re.compile(r"\bdocker\s+(?:volume\s+rm|rmi)\b")),
    (DELETES_BACKUPS, re.compile(r"\bfind\b[^\n;|]*backups?\b[^\n;|]*(?:-delete\b|-exec\s+rm\b)", re.IGNORECASE)),
    (DELETES_BACKUPS, re.compile(r"\brm\s+-[A-Za-z]*[^\n;|]*backups?\b", re.IGNORECASE)),
    (DELETES_DATA, re.compile(r"\bmongo(?:sh)?\b[^\n]*?(?:deleteMany|dropDatabase|\.drop\()")),
)
_TIMES = re.compile(r"^\s*(@[a-z]+|(?:[\d*/,A-Za-z-]+\s+){4}[\d*/,A-Za-z-]+)\s+(.+)$")
_RUN_PARTS_NAME = re.compile(r"^[A-Za-z0-9_-]+$")  # cron and run-parts pass over every other name (man 8 run-parts)


@dataclass(frozen=True)
class Job:
    """One scheduled job that concerns the shop.

    Attributes:
        source: file that schedules it; line: line in it, 0 for a whole file.
        schedule: as written there.
        kind: what was recognised ("rotate_backups.sh", "docker system prune").
        dangers: of DANGERS, the worst first.
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


def _without_comments(text: str) -> str:
    joined = re.sub(r"\\\n", " ", text)
    return "\n".join(line for line in joined.splitlines() if not line.lstrip().startswith("#"))


def classify(
    command: str, root: str, script: Callable[[str], str], depth: int = 3
) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
    """What a command would do: the names and pieces recognised, and the dangers, the worst first. Pure but for `script`.

    Args:
        command: a shell command or the text of a script.
        root: the shop's directory.
        script: gives the text of a script of the shop by its path, "" when there is none.
        depth: how many scripts deep to look.
    """
    kinds: List[str] = []
    dangers: Set[str] = set()
    ours = root in command or "miniecom" in command.lower()
    for name in _NAMES.findall(command):
        if name in _COMMON_NAMES and not ours:
            continue
        kinds.append(name)
        dangers.update(SCRIPTS[name])
    for danger, pattern in _PATTERNS:
        match = pattern.search(command)
        # A job of another program that deletes its own backups is none of the shop's business.
        if match and (danger == PRUNES_DOCKER or ours):
            dangers.add(danger)
            kinds.append(" ".join(match.group(0).split()) if danger == PRUNES_DOCKER else danger.replace("_", " "))
    if depth:
        for path in _script_paths(command, root):
            name = os.path.basename(path)
            text = "" if name in SCRIPTS or name in _HARMLESS else script(path)
            if text:
                inner = classify("cd %s\n%s" % (root, _without_comments(text)), root, script, depth - 1)[1]
                dangers.update(inner)
                if inner:
                    kinds.append(name)
    return tuple(dict.fromkeys(kinds)), tuple(danger for danger in DANGERS if danger in dangers)


def _script_paths(command: str, root: str) -> List[str]:
    """Scripts inside the shop's directory that a command names, by absolute path or relative to the directory it changes to."""
    paths = []
    directories = [root] + [
        os.path.normpath(os.path.join(root, place.strip("\"'"))) for place in re.findall(r"\bcd\s+(\S+)", command)
    ]
    for word in re.findall(r"[^\s;&|\"'()<>]+", command):
        if not word.endswith((".sh", ".py", ".js", ".cjs", ".mjs")):
            continue
        for directory in directories:
            path = os.path.normpath(os.path.join(directory, word))
            if path.startswith(root.rstrip("/") + "/") and path not in paths:
                paths.append(path)
    return paths


def crontab_lines(text: str, system: bool) -> Iterator[Tuple[int, str, str, str]]:
    """Line number, schedule, user and command of each job of a crontab (man 5 crontab); user is "" without that field."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#") or re.match(r"^\s*[A-Za-z_]\w*\s*=", line):
            continue
        match = _TIMES.match(line)
        if not match:
            continue
        schedule, command = " ".join(match.group(1).split()), match.group(2)
        user = ""
        if system:
            user, _space, command = command.partition(" ")
        yield number, schedule, user, command


def anacrontab_lines(text: str) -> Iterator[Tuple[int, str, str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"^\s*(@?\w+)\s+(\d+)\s+(\S+)\s+(.+)$", line)
        if match and not line.lstrip().startswith("#"):
            yield number, "every " + match.group(1), "root", match.group(4)


def unit_values(text: str, key: str) -> List[str]:
    """Values of a key in a unit file, in order; an empty assignment clears those before (man 5 systemd.syntax)."""
    values: List[str] = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name.strip() == key and not line.lstrip().startswith(("#", ";")):
            values = values + [value.strip()] if value.strip() else []
    return values


class Finder:
    """Reads the places where jobs are written down.

    Args:
        root: the shop's directory.
        paths: files and directories to look at; directories two levels deep.

    Attributes:
        unreadable: what could not be read, with the reason.
    """

    def __init__(self, root: str, paths: Sequence[str] = DEFAULT_PATHS) -> None:
        self.root = root
        self.paths = list(paths)
        self.unreadable: List[str] = []
        self._scripts: Dict[str, str] = {}

    def _text(self, path: str, report: bool = True) -> str:
        try:
            # A FIFO or a device here would block or never end.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as handle:
                if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                    return ""
                return handle.read(_LARGEST).decode("utf-8", "replace")
        except OSError as error:
            if report and error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO):
                self.unreadable.append("%s (%s)" % (path, errno.errorcode.get(error.errno or 0, "error")))
            return ""

    def _script(self, path: str) -> str:
        if path not in self._scripts:
            self._scripts[path] = self._text(path, report=False)
        return self._scripts[path]

    def _files(self, path: str, depth: int = 2) -> Iterator[str]:
        try:
            names = sorted(os.listdir(path))
        except NotADirectoryError:
            yield path
            return
        except FileNotFoundError:
            return
        except OSError as error:
            self.unreadable.append("%s (%s)" % (path, errno.errorcode.get(error.errno or 0, "error")))
            return
        for name in names:
            inner = os.path.join(path, name)
            if os.path.isdir(inner):
                if name == "cron.d" or (depth > 1 and not name.endswith((".wants", ".requires", ".d"))):
                    yield from self._files(inner, depth - 1)
            else:
                yield inner

    def find(self) -> List[Job]:
        """Every job that concerns the shop, dangerous or one of its known scripts."""
        jobs: List[Job] = []
        seen: Set[Tuple[int, int]] = set()
        timers: Dict[str, str] = {}
        for base in self.paths:
            for path in self._files(base):
                try:
                    status = os.stat(path)
                except OSError:
                    continue
                # /lib is a link to /usr/lib, and a crontab may lie below two of the paths.
                if (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
                if path.endswith(".timer"):
                    timers.setdefault(os.path.basename(path), path)
                elif not path.endswith((".service", ".socket", ".target", ".conf", ".path", ".mount", ".slice")):
                    jobs.extend(self._file(path, status.st_mode))
        for name, path in sorted(timers.items()):
            jobs.extend(self._timer(name, path))
        return jobs

    def _job(self, source: str, line: int, schedule: str, user: str, command: str, active: bool) -> List[Job]:
        kinds, dangers = classify(command, self.root, self._script)
        return [Job(source, line, schedule, user, ", ".join(kinds[:3]), dangers, active)] if kinds else []

    def _file(self, path: str, mode: int) -> List[Job]:
        directory, name = os.path.split(path)
        parent = os.path.basename(directory)
        if parent in ("cron.hourly", "cron.daily", "cron.weekly", "cron.monthly"):
            active = bool(mode & 0o111) and bool(_RUN_PARTS_NAME.match(name))
            return self._job(path, 0, parent.partition(".")[2], "root", _without_comments(self._text(path)), active)
        text = self._text(path)
        lines = anacrontab_lines(text) if name == "anacrontab" else None
        system = parent == "cron.d" or name == "crontab"
        active = parent != "cron.d" or bool(_RUN_PARTS_NAME.match(name))
        jobs: List[Job] = []
        for number, schedule, user, command in lines or crontab_lines(text, system):
            owner = user or (name if parent in ("cron", "crontabs") else "")
            jobs.extend(self._job(path, number, schedule, owner, command, active))
        return jobs

    def _unit(self, name: str) -> Optional[str]:
        for base in self.paths:
            path = os.path.join(base, name)
            if os.path.isfile(path):
                return path
        return None

    def _enabled(self, name: str) -> bool:
        """Whether a link in some target's directory starts the timer; a unit below /run was started by hand or a generator."""
        for base in self.paths:
            if base.endswith("/transient") and os.path.exists(os.path.join(base, name)):
                return True
            try:
                entries = os.listdir(base)
            except OSError:
                continue
            for entry in entries:
                if entry.endswith((".wants", ".requires")) and os.path.lexists(os.path.join(base, entry, name)):
                    return True
        return False

    def _timer(self, name: str, path: str) -> List[Job]:
        text = self._text(path)
        service = (unit_values(text, "Unit") or [name[: -len(".timer")] + ".service"])[-1]
        schedule = "; ".join(unit_values(text, "OnCalendar") or unit_values(text, "OnUnitActiveSec"))
        unit = self._unit(service)
        if unit is None and "@" in service:
            unit = self._unit(re.sub(r"@.*(\.service)$", r"@\1", service))
        if unit is None:
            return []
        texts = [self._text(unit)]
        for base in self.paths:
            for extra in self._files(os.path.join(base, service + ".d"), 1):
                if extra.endswith(".conf"):
                    texts.append(self._text(extra))
        body = "\n".join(texts)
        directory = (unit_values(body, "WorkingDirectory") or [""])[-1]
        command = "\n".join(
            value for key in ("ExecStartPre", "ExecStart", "ExecStartPost") for value in unit_values(body, key)
        )
        if directory:
            command = "cd %s\n%s" % (directory.lstrip("-"), command)
        user = (unit_values(body, "User") or ["root"])[-1]
        masked = os.path.realpath(path) == "/dev/null"
        return self._job(path, 0, schedule, user, command, self._enabled(name) and not masked)
