# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What apt and dpkg print, read. Pure.

Whether an update mends a vulnerability is told by where it comes from: Debian and Ubuntu publish those in suites of their own. A version that a
later one of another suite has replaced still counts: the later one contains it.
"""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple

from .._core.late_dataclass import dataclass

_VERSION_LINE = re.compile(r"^ (?:\*\*\*|   ) (\S+) -?\d+")
_SOURCE_LINE = re.compile(r"^ +-?\d+ (\S.*)$")
_SIMULATED = re.compile(r"^(Inst|Remv) (\S+)(?: \[([^]]+)\])?(?: \((\S+)[^)]*\))?")
# What dpkg calls a package that is neither there nor half there.
_SETTLED = ("installed", "not-installed", "config-files")


@dataclass(frozen=True)
class InstalledPackage:
    """A package that is on the host.

    Attributes:
        name: as apt takes it, with the architecture where it is not the host's own.
        held: somebody has told apt to leave it as it is.
        state: what dpkg says of it, "installed" when all is well.
    """

    name: str
    held: bool = False
    state: str = "installed"


@dataclass(frozen=True)
class Update:
    """A newer version that apt would choose.

    Attributes:
        origin: where it comes from, such as "Debian-Security stable-security".
        security: it, or a version between it and the one installed, comes from where vulnerabilities are mended.
        held: somebody has told apt to leave the package as it is.
    """

    name: str
    installed: str
    candidate: str
    origin: str
    security: bool
    held: bool = False

    def as_dict(self) -> Dict[str, object]:
        return dict(vars(self))


@dataclass(frozen=True)
class PackageChange:
    """What apt would do to one package: before is "" for one that is not there yet, after for one that would go."""

    name: str
    before: str
    after: str


def read_installed(text: str, native: str) -> List[InstalledPackage]:
    """What `dpkg-query` lists, as apt.py asks for it: name, architecture and status. Packages that are gone are left out.

    Args:
        native: the host's own architecture.
    """
    found = []
    for line in text.splitlines():
        name, architecture, status = (line.split("\t") + ["", ""])[:3]
        wanted, _error, state = (status.split(" ") + ["", ""])[:3]
        if not state or (state in _SETTLED and state != "installed"):
            continue
        full = name if architecture in (native, "all") else "%s:%s" % (name, architecture)
        found.append(InstalledPackage(full, wanted == "hold", state))
    return found


def read_releases(text: str) -> Dict[str, Dict[str, str]]:
    """The sources of `apt-cache policy`, by the text that stands for each beside a version: the fields of its Release file."""
    found: Dict[str, Dict[str, str]] = {}
    source = ""
    for line in text.splitlines():
        words = line.strip()
        if words.startswith("release ") and source:
            fields = (field.partition("=") for field in words[len("release ") :].split(","))
            found[source] = {key: value for key, _sign, value in fields}
            continue
        match = _SOURCE_LINE.match(line)
        if match:
            source = match.group(1)
    return found


def is_security(release: Mapping[str, str]) -> bool:
    """Whether a source is where a distribution publishes what mends vulnerabilities, by its suite or label."""
    suites = [release.get(key, "").lower() for key in ("a", "n", "l")]
    return any(suite == "security" or suite.endswith(("-security", "/updates")) for suite in suites)


def _origin(releases: Sequence[Mapping[str, str]]) -> str:
    best = next((release for release in releases if is_security(release)), releases[0] if releases else {})
    return " ".join(word for word in (best.get("l") or best.get("o", ""), best.get("a") or best.get("n", "")) if word)


def read_updates(
    text: str, releases: Mapping[str, Mapping[str, str]], held: FrozenSet[str] = frozenset()
) -> List[Update]:
    """What `apt-cache policy NAMES` tells of packages of which there is something newer.

    Args:
        releases: as read_releases gives them. held: names of packages that are to stay as they are.
    """
    found = []
    for name, lines in _paragraphs(text):
        fields = {
            key: value.split(" ")[0] for key, _colon, value in (line.strip().partition(": ") for line in lines[:2])
        }
        installed, candidate = fields.get("Installed", "(none)"), fields.get("Candidate", "(none)")
        if "(none)" in (installed, candidate) or installed == candidate:
            continue
        versions = _versions(lines)
        order = [version for version, _sources in versions]
        # The table is sorted, the newest first: what stands below the installed one would be a step back.
        if installed not in order or candidate not in order or order.index(candidate) > order.index(installed):
            continue
        sources = dict(versions)
        between = order[order.index(candidate) : order.index(installed)]
        known = {version: [releases[item] for item in sources[version] if item in releases] for version in between}
        safe = [version for version in between if any(is_security(release) for release in known[version])]
        found.append(
            Update(name, installed, candidate, _origin(known[safe[0] if safe else candidate]), bool(safe), name in held)
        )
    return found


def _paragraphs(text: str) -> List[Tuple[str, List[str]]]:
    found: List[Tuple[str, List[str]]] = []
    for line in text.splitlines():
        if line and not line.startswith(" ") and line.endswith(":"):
            found.append((line[:-1], []))
        elif found:
            found[-1][1].append(line)
    return found


def _versions(lines: Sequence[str]) -> List[Tuple[str, List[str]]]:
    found: List[Tuple[str, List[str]]] = []
    for line in lines:
        version, source = _VERSION_LINE.match(line), _SOURCE_LINE.match(line)
        if version:
            found.append((version.group(1), []))
        elif source and found:
            found[-1][1].append(source.group(1))
    return found


def read_changes(text: str) -> List[PackageChange]:
    """What a simulation of apt-get says that it would do."""
    matches = (_SIMULATED.match(line) for line in text.splitlines())
    return [
        PackageChange(match.group(2), match.group(3) or "", match.group(4) or "" if match.group(1) == "Inst" else "")
        for match in matches
        if match
    ]


def apt_complaint(text: str) -> str:
    """The first error of apt's in what it printed, "" when there is none."""
    lines = [line.strip() for line in text.splitlines()]
    return next((line[2:].strip() for line in lines if line.startswith("E:")), "")


def silent_sources(text: str) -> List[str]:
    """The sources that did not answer `apt-get update`, without what may stand for a password in their addresses."""
    found = []
    for line in text.splitlines():
        match = re.match(r"^[EW]: Failed to fetch (\S+)", line) or re.match(r"^E: The repository '(\S+)", line)
        if match:
            found.append(re.sub(r"//[^/@]*@", "//", match.group(1)))
    return list(dict.fromkeys(found))


def newer_kernel(running: str, default: Optional[str]) -> str:
    """The kernel that the host would start with, when it is another than the one it runs; else "".

    Args:
        default: where the link to the kernel points, None where there is none, as in a container.
    """
    name = (default or "").rpartition("/")[2]
    chosen = name[len("vmlinuz-") :] if name.startswith("vmlinuz-") else ""
    return chosen if chosen != running else ""
