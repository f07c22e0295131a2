# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The formats in which jobs are written down: crontabs, anacrontab, systemd units, tmpfiles.d, logrotate. Pure."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Mapping, NamedTuple

_TIMES = re.compile(r"^\s*-?(@[a-z]+|(?:[\d*~][\d*/,~-]*\s+){3}[\d*/,~A-Za-z-]+\s+[\d*/,~A-Za-z-]+)\s+(.+)$")
_USER = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]*\$?$")
_VARIABLE = re.compile(r"^\s*(?:\"([A-Za-z_]\w*)\"|'([A-Za-z_]\w*)'|([A-Za-z_]\w*))\s*=(.*)$")
_PIECE = re.compile(r"\"((?:\\.|[^\"\\])*)\"|'([^']*)'|(\S+)")
_EXEC_PREFIX = re.compile(r"^[-@:+!|]+")
_SPECIFIER = re.compile(r"%(.)")
_CLEANED = frozenset("dDevqQ")  # tmpfiles.d(5): these have an age; C has one, too
_LOGROTATE_SCRIPTS = frozenset("prerotate postrotate firstaction lastaction preremove".split())


class Line(NamedTuple):
    """A job of a crontab; variables are those set above it, user is "" where the format has no such field."""

    number: int
    schedule: str
    user: str
    command: str
    variables: Mapping[str, str]


def _unquoted(value: str) -> str:
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _standard_input(command: str) -> str:
    """crontab(5): an unescaped percent sign ends the command, the rest is its standard input, later ones are line ends."""
    pieces = [piece.replace("\\%", "%") for piece in re.split(r"(?<!\\)%", command)]
    if len(pieces) == 1:
        return pieces[0]
    return "%s <<'STANDARD_INPUT'\n%s\nSTANDARD_INPUT\n" % (pieces[0], "\n".join(pieces[1:]))


def crontab_lines(text: str, system: bool) -> Iterator[Line]:
    """The jobs of a crontab (crontab(5)); system: with a field for the user."""
    variables: Dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        variable = _VARIABLE.match(line)
        if variable:
            name = variable.group(1) or variable.group(2) or variable.group(3)
            variables = {**variables, name: _unquoted(variable.group(4))}
            continue
        match = _TIMES.match(line)
        if not match:
            continue
        schedule, command, user = " ".join(match.group(1).split()), match.group(2), ""
        if system:
            user, rest = (command.split(None, 1) + [""])[:2]
            # Without the field, what stands there belongs to the command; it is not told as anybody's name.
            user, command = (user, rest) if _USER.match(user) else ("", command)
        yield Line(number, schedule, user, _standard_input(command), variables)


def anacrontab_lines(text: str) -> Iterator[Line]:
    """The jobs of an anacrontab (anacrontab(5))."""
    variables: Dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        variable = _VARIABLE.match(line)
        match = re.match(r"^\s*(@?\w+)\s+(\d+)\s+(\S+)\s+(.+)$", line)
        if variable:
            variables = {**variables, str(variable.group(3) or ""): _unquoted(variable.group(4))}
        elif match and not line.lstrip().startswith("#"):
            yield Line(number, "every " + match.group(1), "root", match.group(4), variables)


def unit_values(text: str, key: str) -> List[str]:
    """Values of a key in a unit file, in order; an empty assignment clears those before (systemd.syntax(7))."""
    values: List[str] = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name.strip() == key and not line.lstrip().startswith(("#", ";")):
            values = values + [value.strip()] if value.strip() else []
    return values


def unit_environment(text: str) -> Dict[str, str]:
    """The variables that a unit sets itself (Environment=)."""
    found: Dict[str, str] = {}
    for value in unit_values(text, "Environment"):
        for match in _PIECE.finditer(value):
            name, equals, given = (match.group(1) or match.group(2) or match.group(3) or "").partition("=")
            if equals:
                found[name] = given
    return found


def unit_command(value: str, unit: str, home: str) -> str:
    """A unit's command line as shell text: no shell reads it, so that operators are ordinary characters (systemd.service(5))."""
    instance = unit.partition("@")[2].rpartition(".")[0]
    told = {
        "i": instance,
        "I": instance.replace("-", "/"),
        "n": unit,
        "N": unit.rpartition(".")[0],
        "h": home,
        "%": "%",
    }
    value = _SPECIFIER.sub(lambda match: told.get(match.group(1), "$UNIT_SPECIFIER"), value)
    value = _EXEC_PREFIX.sub("", value.strip()).replace("$$", "\\$")

    def literal(match: re.Match[str]) -> str:
        return match.group(1) or "\\" + match.group(2)

    return re.sub(r"(\"(?:\\.|[^\"\\])*\"|'[^']*')|([()<>|&`#])", literal, value)


class Cleaning(NamedTuple):
    """A line of tmpfiles.d that removes; deep: with all that is below the path."""

    number: int
    path: str
    schedule: str
    deep: bool


def tmpfiles_lines(text: str) -> Iterator[Cleaning]:
    """What tmpfiles.d(5) removes: contents by their age, and paths at each boot. What a line excludes is not removed."""
    found: List[Cleaning] = []
    spared: List[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = [a or b or c for a, b, c in _PIECE.findall(line)]
        if len(words) < 2 or line.lstrip().startswith("#"):
            continue
        kind, path = words[0][:1], re.sub(r"%.", "*", words[1])
        age = words[5] if len(words) > 5 else "-"
        if kind in ("x", "X"):
            spared.append(path.rstrip("/*"))
        elif kind in ("r", "R"):
            found.append(Cleaning(number, path, "at boot", kind == "R"))
        elif (kind in _CLEANED or kind == "C") and age != "-":
            found.append(Cleaning(number, path, "older than " + age.lstrip("~"), True))
        elif kind == "D":
            found.append(Cleaning(number, path, "at boot", True))
    for item in found:
        if item.path.rstrip("/*") not in spared:
            yield item


class Rotation(NamedTuple):
    """A block of logrotate's configuration: the paths that it renames and removes, and the shell text that it runs."""

    number: int
    paths: List[str]
    schedule: str
    scripts: str


def logrotate_blocks(text: str) -> Iterator[Rotation]:
    paths: List[str] = []
    scripts: List[str] = []
    schedule, start, inside, in_script = "", 0, False, False
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if in_script:
            in_script = words[:1] != ["endscript"]
            scripts.extend([line] if in_script else [])
        elif not words or words[0].startswith("#"):
            continue
        elif not inside:
            before, brace, _after = line.partition("{")
            given = [a or b or c for a, b, c in _PIECE.findall(before)]
            if given[:1] and given[0].startswith(("/", "~")):
                start = start or number
                paths.extend(word for word in given if word.startswith(("/", "~")))
            if brace:
                inside, schedule, scripts, start = True, "", [], start or number
        elif words[0] == "}":
            yield Rotation(start, paths, schedule, "\n".join(scripts))
            paths, inside, start = [], False, 0
        elif words[0] in _LOGROTATE_SCRIPTS:
            in_script = True
        elif words[0] in ("hourly", "daily", "weekly", "monthly", "yearly", "size", "maxsize"):
            schedule = words[0]


def environment_of_unit(text: str) -> Dict[str, str]:
    """Assignments of an environment file; nothing else in it is read, for what looks like a command there is a value."""
    found: Dict[str, str] = {}
    for line in text.splitlines():
        match = re.match(r"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=(.*)$", line)
        if match:
            value = match.group(2).strip()
            quoted = re.match(r"^([\"'])(.*?)\1", value)
            found[match.group(1)] = quoted.group(2) if quoted else value.split(" #")[0].strip()
    return found
