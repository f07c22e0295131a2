# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The syntax of ``.env`` files, as the shop's own loader (the npm package dotenv) reads it.

Quotes, spaces, ``#``, apostrophes, ``export``, CRLF line ends and duplicate keys (the last one wins) all
occur in real files. Nothing is ever expanded or executed.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import Dict, Iterator, List, Mapping, Tuple

from .errors import from_os_error

# Many times what any environment file has; whoever owns the shop's directory may put anything there.
_LARGEST_BYTES = 8 << 20
# One assignment. A quoted value may span lines; an unquoted one ends at the first '#' or at the end of the line.
# The rules are those documented in the README of the npm package dotenv, version 16.
_LINE = re.compile(
    r"""
    ^[ \t]*(?:export[ \t]+)?([\w.-]+)            # key
    (?:[ \t]*=[ \t]*|:[ \t]+)                    # = or ": "
    (
        '(?:\\'|[^'])*'                          # single quotes: literal
      | "(?:\\"|[^"])*"                          # double quotes: \n and \r are unescaped
      | `(?:\\`|[^`])*`                          # backticks: literal
      | [^\#\r\n]*                               # bare
    )?
    [ \t]*(?:\#[^\r\n]*)?$
    """,
    re.MULTILINE | re.VERBOSE,
)


def assignments(text: str) -> Iterator[Tuple[str, str, str]]:
    """Key, value and quote character ("" for none) of each assignment of a ``.env`` text, in order.

    Lines that are no assignments are passed over, as the loader does.
    """
    for key, value, quote, _line in placed_assignments(text):
        yield key, value, quote


def placed_assignments(text: str) -> Iterator[Tuple[str, str, str, int]]:
    """The assignments, each with the number of the line on which its key stands."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    line, place = 1, 0
    for match in _LINE.finditer(text):
        line, place = line + text.count("\n", place, match.start(1)), match.start(1)
        key, raw, quote = match.group(1), (match.group(2) or "").strip(), ""
        if len(raw) >= 2 and raw[0] == raw[-1] and raw[0] in "'\"`":
            quote, raw = raw[0], raw[1:-1]
            if quote == '"':
                raw = raw.replace("\\n", "\n").replace("\\r", "\r")
        yield key, raw, quote, line


def parse(text: str) -> Dict[str, str]:
    """Keys and values of a ``.env`` text as dotenv reads it: nothing is expanded, the last of equal keys counts."""
    return {key: value for key, value, _quote in assignments(text)}


def parse_for_compose(text: str) -> Dict[str, str]:
    """Keys and values of a ``.env`` text as Docker Compose reads it: variables of earlier lines are put in, but for values
    in single quotes, which are literal.

    The rules are those of Docker's manual ("Set, use, and manage variables in a Compose file with interpolation"). The
    environment of whoever ran compose wins over the file; nobody knows it afterwards.
    """
    values: Dict[str, str] = {}
    for key, value, quote in assignments(text):
        values[key] = value if quote == "'" else expand(value, values)
    return values


_VARIABLE = re.compile(r"\$(?:(?P<escaped>\$)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*))")
_DEPTH = 20


def expand(text: str, values: Mapping[str, str], depth: int = 0) -> str:
    """A text with its variables put in, as compose does: ``$V``, ``${V}``, ``${V:-default}``, ``${V-default}``,
    ``${V:?error}``, ``${V?error}``, ``${V:+other}``, ``${V+other}``; ``$$`` is a dollar sign.

    What compose would refuse (a variable that must be set and is not, a brace that is not closed) stays empty or as it is.
    """
    if "$" not in text or depth > _DEPTH:
        return text
    pieces: List[str] = []
    place = 0
    while True:
        match = _VARIABLE.search(text, place)
        if match is None:
            return "".join(pieces) + text[place:]
        pieces.append(text[place : match.start()])
        if match.group("escaped"):
            pieces.append("$")
            place = match.end()
        elif match.group("name"):
            pieces.append(values.get(match.group("name"), ""))
            place = match.end()
        else:
            end = _closing(text, match.end())
            if end < 0:
                return "".join(pieces) + text[match.start() :]
            pieces.append(_substituted(match.group("braced"), text[match.end() : end], values, depth))
            place = end + 1


def _closing(text: str, start: int) -> int:
    """Where the brace is closed that was opened before start; -1 when it is not."""
    level = 1
    for place in range(start, len(text)):
        if text[place] == "{" and text[place - 1] == "$":
            level += 1
        elif text[place] == "}":
            level -= 1
            if not level:
                return place
    return -1


def _substituted(name: str, rest: str, values: Mapping[str, str], depth: int) -> str:
    value = values.get(name)
    # With a colon an empty variable counts as one that is not set.
    strict = rest.startswith(":")
    operator, word = rest[int(strict) : int(strict) + 1], rest[int(strict) + 1 :]
    there = value is not None and (bool(value) or not strict)
    if operator == "-":
        return str(value) if there else expand(word, values, depth + 1)
    if operator == "+":
        return expand(word, values, depth + 1) if there else ""
    return value or ""


def load(path: str) -> Dict[str, str]:
    """Keys and values of the ``.env`` file at path, as dotenv reads it.

    Raises:
        MaintenanceError: the file is missing or cannot be read.
    """
    return parse(read_text(path))


def read_text(path: str) -> str:
    """The text of the ``.env`` file at path.

    Raises:
        MaintenanceError: the file is missing or cannot be read.
    """
    try:
        # Whoever owns the shop's directory may put a pipe there, or a link to a device, at which the run would never end, and hold the host.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as handle:
            if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file", path)
            data = handle.read(_LARGEST_BYTES + 1)
            if len(data) > _LARGEST_BYTES:
                raise OSError(errno.EFBIG, "it is too large for an environment file", path)
    except OSError as error:
        raise from_os_error(
            "cannot read the environment file",
            error,
            target=path,
            missing="Set env_file (miniecom_env_file) to the shop's environment file.",
            forbidden="It is readable by its owner only, as it should be: run as that user or as root (become: true).",
            otherwise="Check that it is a regular file.",
        ) from error
    return data.decode("utf-8", "surrogateescape")
