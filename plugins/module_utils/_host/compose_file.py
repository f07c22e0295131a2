# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a compose file gives to a service, read without a YAML parser, which a host may lack. Pure.

Only the spellings that people use are understood, under plain indentation; what is written otherwise is passed over, and the
caller says that nobody knows.
"""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Mapping, Tuple

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


def service_ports(text: str, service: str) -> List[str]:
    """The ``ports`` of a service in the short form (``[ADDRESS:][PUBLISHED:]TARGET[/PROTOCOL]``), nothing expanded.

    Of the long form target, published, host_ip and protocol are taken over.
    """
    found: List[str] = []
    parts: Dict[str, str] = {}
    for _indent, word in _block(text, "services", service, "ports"):
        if word.startswith("["):
            found.extend(_plain(part) for part in word.strip("[]").split(",") if part.strip())
            continue
        if word.startswith("- "):
            found.extend(_short(parts))
            parts, word = {}, word[2:].strip()
            if not re.match(r"^(?:target|published|host_ip|protocol|mode|name|app_protocol)\s*:\s", word + " "):
                found.append(_plain(word))
                continue
        key, _colon, value = word.partition(":")
        parts[_plain(key)] = _plain(value)
    return found + _short(parts)


def borrows(text: str, service: str) -> bool:
    """Whether a part of a service stands elsewhere: in another file, or under an anchor."""
    return any(re.match(r"^(?:<<|extends)\s*:", word) for _indent, word in _block(text, "services", service))


def _short(parts: Mapping[str, str]) -> List[str]:
    """The short form of one port in the long form; none without a target."""
    if not parts.get("target"):
        return []
    address, published = parts.get("host_ip", ""), parts.get("published", "")
    address = "[%s]" % address if ":" in address else address
    before = "%s:%s:" % (address, published) if address else "%s:" % published if published else ""
    return ["%s%s/%s" % (before, parts["target"], parts.get("protocol") or "tcp")]
