# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a compose file says about its services, read without a YAML parser, which the host may lack. Pure.

Only what people write is understood: plain indentation, lists on the line or below it. Where that is not enough more is
taken for a service's image than is one, never less.
"""

from __future__ import annotations

import re
from typing import Dict, List, Tuple

from .._core.late_dataclass import dataclass

_KEY = re.compile(r"^(?:- )?[\"']?([\w.-]+)[\"']?\s*:(?:\s+(.*))?$")
_IMAGE = re.compile(r"(?:^|[\s{,])[\"']?image[\"']?\s*:\s*(\"[^\"]*\"|'[^']*'|[^\s,}#][^,}]*)")
_VARIABLE = re.compile(r"\$(?:\{[^{}]*\}|[A-Za-z_]\w*)")
_FILE = re.compile(r"(?:[\"']([^\"']+\.ya?ml)[\"']|([^\s\"'\[\]{},:]+\.ya?ml))(?=$|[\s,\]}])")
_NAME = re.compile(r"^[\w.\"'-]+:$")
_GIVEN_NAME = re.compile(r"(?:^|[\s{,])name\s*:\s*(?:[\"']([^\"']+)[\"']|([^\s,}#\"']+))")
_EXTERNAL = re.compile(r"(?:^|[\s{,])external\s*:")
_INLINE_KEY = re.compile(r"(?:^\s*\{|,)\s*[\"']?([\w.-]+)[\"']?\s*(?=[:,}])")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|ns)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True)
class ComposeFile:
    """What a compose file names.

    Attributes:
        project: its `name`, "" without one; a shell pattern, as what follows.
        services: names of its services, whatever their profiles.
        images: images of its services; a variable in one stands for anything (`*`).
        files: further compose files, by `include` and `extends`, as they are written.
        volumes, networks: those that it declares, by the keys of their sections.
        volume_names, network_names: names that it gives them itself, and those that it calls external.
    """

    project: str = ""
    services: Tuple[str, ...] = ()
    images: Tuple[str, ...] = ()
    files: Tuple[str, ...] = ()
    volumes: Tuple[str, ...] = ()
    networks: Tuple[str, ...] = ()
    volume_names: Tuple[str, ...] = ()
    network_names: Tuple[str, ...] = ()


def _lines(text: str) -> List[Tuple[int, str]]:
    """Indentation and content of each line that says anything."""
    found = []
    for line in text.splitlines():
        bare = line.split(" #")[0].rstrip()
        word = bare.strip()
        if word and not word.startswith("#"):
            found.append((len(bare) - len(bare.lstrip()), word))
    return found


def _without_variables(text: str) -> str:
    """A text as a shell pattern: what a variable stands for is not known here."""
    while True:
        # A default may hold a variable of its own: from the inside out.
        found = _VARIABLE.sub("*", text)
        if found == text:
            return re.sub(r"\*+", "*", found)
        text = found


def parse_compose_file(text: str) -> ComposeFile:
    """Read a compose file. Pure; never fails."""
    project, section, level = "", "", -1
    services: List[str] = []
    images: List[str] = []
    files: List[str] = []
    for indent, word in _lines(text):
        if indent == 0 and not word.startswith("- "):
            match = _KEY.match(word)
            section, level = (match.group(1) if match else ""), -1
            if match and section == "name" and match.group(2):
                project = _without_variables(match.group(2)).strip("\"'")
        elif section == "services" and indent > 0 and (level == -1 or indent == level):
            match = _KEY.match(word)
            if match:
                level = indent
                services.append(match.group(1))
        for value in _IMAGE.findall(_without_variables(word)):
            if value.strip().strip("\"'"):
                images.append(value.strip().strip("\"'"))
        if section == "include" or re.search(r"(?:^|[\s{,])file\s*:", word):
            files.extend(quoted or plain for quoted, plain in _FILE.findall(word))
    declared = [_declared(text, section) for section in ("volumes", "networks")]
    lists = (services, images, files, declared[0][0], declared[1][0], declared[0][1], declared[1][1])
    return ComposeFile(project, *(tuple(dict.fromkeys(items)) for items in lists))


def _declared(text: str, wanted: str) -> Tuple[List[str], List[str]]:
    """The keys of a section at the top of a compose file, and names that are not made of the project's and a key."""
    keys: List[str] = []
    names: List[str] = []
    section, level = "", -1
    for indent, word in _lines(text):
        match = _KEY.match(word)
        if indent == 0 and not word.startswith("- "):
            section, level = (match.group(1) if match else ""), -1
            word = word.partition(":")[2]
            keys.extend(_INLINE_KEY.findall(word) if section == wanted else [])
        elif section == wanted and match and (level == -1 or indent == level):
            level = indent
            keys.append(match.group(1))
        if section != wanted:
            continue
        names.extend(quoted or plain for quoted, plain in _GIVEN_NAME.findall(_without_variables(word)))
        if _EXTERNAL.search(word) and keys:
            names.append(keys[-1])
    return keys, names


def stop_grace_periods(text: str) -> Dict[str, float]:
    """Seconds that each service of a compose file is given to stop, of those for which it says so in plain words."""
    found: Dict[str, float] = {}
    section, service, level = "", "", -1
    for indent, word in _lines(text):
        if indent == 0:
            section, service, level = word.rstrip(":"), "", -1
        elif section == "services":
            if (level == -1 or indent == level) and _NAME.match(word):
                level, service = indent, word.rstrip(":").strip("\"'")
            elif service and word.startswith("stop_grace_period:"):
                value = word.partition(":")[2].strip().strip("\"'")
                parts = _DURATION.findall(value)
                if parts and "".join(number + unit for number, unit in parts) == value:
                    found[service] = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return found


def profiles(text: str) -> Dict[str, List[str]]:
    """Profiles of each service of a compose file: the two spellings that people use (a list on the line, a list below it)
    under two levels of plain indentation."""
    found: Dict[str, List[str]] = {}
    section, service, level, collecting = "", "", -1, -1
    for indent, word in _lines(text):
        if collecting >= 0 and indent >= collecting and word.startswith("- "):
            found.setdefault(service, []).append(word[2:].strip().strip("'\""))
            continue
        collecting = -1
        if indent == 0:
            section, service, level = word.rstrip(":"), "", -1
        elif section == "services":
            if (level == -1 or indent == level) and _NAME.match(word):
                level, service = indent, word.rstrip(":").strip("\"'")
            elif service and word.startswith("profiles:"):
                rest = word[len("profiles:") :].strip()
                if rest.startswith("["):
                    values = [part.strip().strip("'\"") for part in rest.strip("[]").split(",")]
                    found.setdefault(service, []).extend(value for value in values if value)
                else:
                    collecting = indent
    return found
