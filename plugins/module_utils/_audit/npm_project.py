# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a project's own files say of its packages: the versions of the lock file, and which packages are the project's own.

npm knows neither where nothing is installed: `npm outdated` then lists every dependency, and it looks up a workspace's
package by its name in the public registry, where a stranger's package may have that name.
"""

from __future__ import annotations

import glob
import json
import os
from dataclasses import field
from typing import Any, Dict, List, Mapping

from .._core.late_dataclass import dataclass

LOCK_FILES = ("npm-shrinkwrap.json", "package-lock.json")  # npm takes the first that is there
_LARGEST_BYTES = 64 << 20
_MODULES = "node_modules/"


@dataclass(frozen=True)
class NpmProject:
    """A project as its files describe it.

    Attributes:
        locked: place below the project (``node_modules/express``) -> version in the lock file.
        workspaces: name of a package that is the project's own -> its directory below the project.
    """

    locked: Mapping[str, str] = field(default_factory=dict)
    workspaces: Mapping[str, str] = field(default_factory=dict)

    def locked_version(self, name: str, dependent: str) -> str:
        """The version that the lock file gives a package, "" when it gives none.

        Args:
            name: the package, as the project calls it.
            dependent: name of the package that asks for it: a workspace may have a version of its own.
        """
        own = self.workspaces.get(dependent)
        places = ([own + "/" + _MODULES + name] if own else []) + [_MODULES + name]
        return next((self.locked[place] for place in places if place in self.locked), "")


def read_project(path: str) -> NpmProject:
    """The project in a directory; what is missing or cannot be read says nothing."""
    locks = [lock for lock in (_read_json(os.path.join(path, name)) for name in LOCK_FILES) if lock]
    project = parse_lock(locks[0]) if locks else NpmProject()
    workspaces = dict(project.workspaces)
    for pattern in workspace_patterns(_read_json(os.path.join(path, "package.json"))):
        for directory in sorted(glob.glob(os.path.join(glob.escape(path), pattern))):
            name = _read_json(os.path.join(directory, "package.json")).get("name")
            if isinstance(name, str) and name:
                workspaces.setdefault(name, os.path.relpath(directory, path))
    return NpmProject(project.locked, workspaces)


def _read_json(path: str) -> Dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as handle:
            found = json.loads(handle.read(_LARGEST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def workspace_patterns(package: Mapping[str, Any]) -> List[str]:
    """The globs below the project by which its package.json names its workspaces. Pure."""
    named = package.get("workspaces")
    if isinstance(named, Mapping):
        named = named.get("packages")
    patterns = [pattern for pattern in named if isinstance(pattern, str)] if isinstance(named, list) else []
    return [pattern for pattern in patterns if not os.path.isabs(pattern) and ".." not in pattern.split("/")]


def parse_lock(data: Mapping[str, Any]) -> NpmProject:
    """The packages of a lock file, of versions 1 to 3. Pure."""
    locked: Dict[str, str] = {}
    workspaces: Dict[str, str] = {}
    packages = data.get("packages")
    if isinstance(packages, Mapping):
        for place, about in packages.items():
            if not isinstance(about, Mapping):
                continue
            if about.get("link"):
                workspaces[place.rpartition(_MODULES)[2]] = str(about.get("resolved") or "")
            elif isinstance(about.get("version"), str) and _MODULES in place:
                locked[place] = about["version"]
    elif isinstance(data.get("dependencies"), Mapping):
        for name, about in data["dependencies"].items():
            if isinstance(about, Mapping) and isinstance(about.get("version"), str):
                locked[_MODULES + name] = about["version"]
    return NpmProject(locked, workspaces)
