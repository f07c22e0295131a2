# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""logrotate: its configuration, written from parsed values alone, and its answers.

Root's logrotate runs whatever commands its configuration holds. So nothing gets into it but numbers, words of ours, and paths
of which each character is known to be harmless; there are no patterns in it, and no scripts.

Measured with logrotate 3.21: a configuration with another owner or writable by others is ignored with exit 0 and one line; a log
that is a link or has a second name is passed over in silence; two rotations of a day under one date fail, hence the seconds;
the state of a log is kept from the first run that names it, and its interval counts from there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Dict, FrozenSet, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .._core.errors import MaintenanceError, from_os_error
from .._core.installing import AS_ROOT, find_installer, installing
from .._core.late_dataclass import dataclass

RENAME, COPY, REOPEN = "rename", "copytruncate", "reopen"
INTERVALS = ("daily", "weekly", "monthly")
# What its parser or glob(3) would read as anything but itself.
_SPECIAL = frozenset("\"'\\*?[]{}")
_ROTATED = re.compile(r"^(?P<log>.+)-[0-9]{8}-(?P<epoch>[0-9]{10})(?P<packed>\.gz)?$", re.DOTALL)
# "size" alone decides then, and no log reaches it.
_NEVER = 1 << 50
_ASK_SECONDS = 120


@dataclass(frozen=True)
class Identity:
    """User and group, as numbers."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Rules:
    """When a log is rotated, and how long rotations are kept.

    Attributes:
        interval: daily, weekly or monthly.
        max_size: bytes from which it is rotated whatever its age.
        retention_days: 0 for ever.
    """

    interval: str
    max_size: int
    retention_days: int


@dataclass(frozen=True)
class Section:
    """Logs that are rotated alike.

    Attributes:
        paths: absolute, each without special characters.
        method: rename, copytruncate, or reopen, which renames and leaves the rest to the holder.
        su: whom logrotate becomes for it; None for nobody.
        create: an empty log takes the place of one that was renamed.
        due: False: it is named only so that logrotate's state knows since when it has been seen.
    """

    paths: Tuple[str, ...]
    method: str
    su: Optional[Identity] = None
    create: bool = True
    due: bool = True


class RotatedName(NamedTuple):
    """A name as logrotate makes them here.

    Attributes:
        log: the name of the log itself.
        epoch: when, in seconds since the epoch.
        packed: it is compressed.
    """

    log: str
    epoch: int
    packed: bool


def parse_rotated(name: str) -> Optional[RotatedName]:
    """The parts of the name of a rotation of ours; None when it is something else."""
    match = _ROTATED.match(name)
    return RotatedName(match.group("log"), int(match.group("epoch")), bool(match.group("packed"))) if match else None


def is_safe(path: str) -> bool:
    """Whether a path can stand in the configuration and means nothing but itself."""
    return path.startswith("/") and path.isprintable() and not _SPECIAL & set(path)


def render_configuration(sections: Iterable[Section], rules: Rules) -> str:
    """The configuration.

    Raises:
        MaintenanceError: a path cannot be written safely, or a value is none of its kind.
    """
    if rules.interval not in INTERVALS:
        raise MaintenanceError("not an interval", target=repr(rules.interval))
    lines = ["# Written by miniecom.maintenance from what it saw on this host; each run writes it anew."]
    for section in sections:
        lines.append("")
        if not section.due:
            lines.append("# Not due when this was written: named so that logrotate knows since when it has been there.")
        lines += ['"%s"' % _checked(path) for path in section.paths]
        lines.append("{")
        lines += ["    " + directive for directive in _directives(section, rules)]
        lines.append("}")
    return "\n".join(lines) + "\n"


def _checked(path: str) -> str:
    if not is_safe(path):
        raise MaintenanceError("the path cannot be written into logrotate's configuration", target=ascii(path))
    return path


def _directives(section: Section, rules: Rules) -> List[str]:
    # A section without a path of its own would hold for whatever follows: each says all that it means.
    found = [rules.interval, "maxsize %d" % rules.max_size] if section.due else ["size %d" % _NEVER]
    if rules.retention_days > 0:
        found += ["rotate 1000", "maxage %d" % rules.retention_days]
    else:
        found += ["rotate -1"]
    found += ["dateext", "dateformat -%Y%m%d-%s", "compress", "delaycompress", "missingok", "notifempty"]
    if section.method == COPY:
        found.append("copytruncate")
    else:
        found.append("create" if section.create else "nocreate")
    if section.su is not None:
        found.append("su %d %d" % (section.su.uid, section.su.gid))
    return found


def find_logrotate(name: str) -> str:
    """The absolute path of logrotate.

    Args:
        name: a name that is looked for, also where only root usually looks, or a path.

    Raises:
        MaintenanceError: it is not there.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        raise MaintenanceError(
            "logrotate is missing on this host",
            target=ascii(name),
            next_step=AS_ROOT + installing(find_installer(), "logrotate"),
        )
    return os.path.abspath(found)


def run_logrotate(program: str, arguments: Sequence[str], timeout: Optional[float] = None) -> Tuple[int, str]:
    """Run it without a shell; returns its exit code and what it said.

    Args:
        timeout: seconds after which it is ended; None for a run that may copy logs of any size.

    Raises:
        MaintenanceError: it could not be started, or did not end.
    """
    environment = dict(os.environ, LC_ALL="C")
    try:
        done = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd="/",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MaintenanceError("logrotate did not end within %d s" % (timeout or 0), target=program) from error
    except OSError as error:
        raise from_os_error("cannot start logrotate", error, target=program) from error
    return done.returncode, done.stdout.decode("utf-8", "surrogateescape")


def ask_logrotate(program: str, configuration: str, state: str) -> str:
    """What logrotate would do (--debug): it touches neither logs nor state."""
    return run_logrotate(program, ["--debug", "--state", state, configuration], _ASK_SECONDS)[1]


def errors_in(output: str) -> List[str]:
    """Its own error lines, printable."""
    return [
        "".join(character if character.isprintable() else "?" for character in line)[:300]
        for line in output.splitlines()
        if line.startswith("error:")
    ]


def due_in(output: str, paths: Iterable[str]) -> FrozenSet[str]:
    """Which of the logs need rotating, by the words of `ask`."""
    wanted, due, current = set(paths), set(), ""
    for line in output.split("\n"):
        if line.startswith("considering log "):
            current = line[len("considering log ") :]
        elif line.strip() == "log needs rotating" and current in wanted:
            due.add(current)
    return frozenset(due)


def known_in(state: str) -> FrozenSet[str]:
    """The logs that logrotate's state names; none where there is no state yet."""
    try:
        with open(state, encoding="utf-8", errors="surrogateescape") as handle:
            lines = handle.read().split("\n")
    except OSError:
        return frozenset()
    # Safe paths hold neither quotes nor backslashes, so that those of other forms need no care.
    return frozenset(line[1 : line.rindex('"')] for line in lines if line.startswith('"') and line.rindex('"') > 0)


def newest_rotations(directory: str) -> Mapping[str, int]:
    """When each log of a directory was last rotated, in seconds since the epoch, by the names of what lies there."""
    newest: Dict[str, int] = {}
    try:
        names = os.listdir(directory)
    except OSError:
        return newest
    for name in names:
        rotated = parse_rotated(name)
        if rotated is not None:
            newest[rotated.log] = max(newest.get(rotated.log, 0), rotated.epoch)
    return newest
