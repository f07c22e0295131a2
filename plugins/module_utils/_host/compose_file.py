# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a compose file gives to a service, read without a YAML parser, which a host may lack. Pure.

Only the spellings that people use are understood, under plain indentation; what is written otherwise is passed over, and the
caller says that nobody knows.
"""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Tuple

_KEY = re.compile(r"^([\w.\"'-]+):(?:\s+(.*))?$")


def _lines(text: str) -> Iterator[Tuple[int, str]]:
    """Indentation and text of each line that says something."""
    for line in text.splitlines():
        bare = re.sub(r"\s#.*$", "", line.expandtabs()).rstrip()
        if bare.strip() and not bare.lstrip().startswith("#"):
            yield len(bare) - len(bare.lstrip()), bare.strip()


def _plain(text: str) -> str:
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def _block(text: str, *names: str) -> List[Tuple[int, str]]:
    """The lines below a chain of keys, such as services, api, environment; the first line is what stands on the key's own."""
    found: List[Tuple[int, str]] = []
    levels: List[int] = []
    inside = False
    for indent, word in _lines(text):
        if inside:
            # A list may stand as deep as its key.
            if indent > levels[-1] or (indent == levels[-1] and word.startswith("- ")):
                found.append((indent, word))
                continue
            break
        while levels and indent <= levels[-1]:
            levels.pop()
        match = _KEY.match(word)
        if not match or len(levels) == len(names):
            continue
        if _plain(match.group(1)) == names[len(levels)] and (levels or indent == 0):
            levels.append(indent)
            if len(levels) == len(names):
                inside = True
                if match.group(2):
                    found.append((indent, match.group(2)))
    return found


def service_environment(text: str, service: str) -> Dict[str, str]:
    """The ``environment`` of a service as it stands there, nothing expanded: a mapping or a list of KEY=VALUE.

    A key without a value is passed over: compose takes it from whoever runs it.
    """
    values: Dict[str, str] = {}
    for _indent, word in _block(text, "services", service, "environment"):
        if word.startswith("- "):
            key, equals, value = _plain(word[2:]).partition("=")
        else:
            key, equals, value = word.partition(":")
        if equals and value.strip():
            values[_plain(key)] = _plain(value)
    return values


def service_env_files(text: str, service: str) -> List[str]:
    """The ``env_file`` entries of a service, as they stand there."""
    names = []
    for _indent, word in _block(text, "services", service, "env_file"):
        name = _plain(word[2:] if word.startswith("- ") else word)
        names.append(name[len("path:") :].strip() if name.startswith("path:") else name)
    return [name for name in names if name and not name.startswith("required:")]
