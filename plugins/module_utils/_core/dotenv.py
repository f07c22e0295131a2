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
from typing import Dict

from .errors import MaintenanceError

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


def parse(text: str) -> Dict[str, str]:
    """Keys and values of a ``.env`` text. Lines that are no assignments are passed over, as the loader does."""
    values: Dict[str, str] = {}
    for match in _LINE.finditer(text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")):
        key, raw = match.group(1), (match.group(2) or "").strip()
        if len(raw) >= 2 and raw[0] == raw[-1] and raw[0] in "'\"`":
            quote, raw = raw[0], raw[1:-1]
            if quote == '"':
                raw = raw.replace("\\n", "\n").replace("\\r", "\r")
        values[key] = raw
    return values


def load(path: str) -> Dict[str, str]:
    """Keys and values of the ``.env`` file at path.

    Raises:
        MaintenanceError: the file is missing or cannot be read.
    """
    try:
        with open(path, "rb") as handle:
            data = handle.read()
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, str(error.errno))
        if error.errno == errno.ENOENT:
            step = "Set env_file (miniecom_env_file) to the shop's environment file."
        elif error.errno in (errno.EACCES, errno.EPERM):
            step = (
                "It is readable by its owner only, as it should be: run as that user or as root (become: true). This process runs as uid %d."
                % os.geteuid()
            )
        else:
            step = "Check that it is a regular file."
        raise MaintenanceError("cannot read the environment file", target=path, code=code, next_step=step) from error
    return parse(data.decode("utf-8", "surrogateescape"))
