# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the application was given, and which of several sources it obeys. Pure.

Compose passes variables to a container, systemd and pm2 to a process, and dotenv never overwrites what is set: the file `.env`
alone tells little about what the application really uses.
"""

from __future__ import annotations

from dataclasses import field
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.late_dataclass import dataclass
from .mongo_uri import MONGO_SERVICE, URI_KEYS, MongoUri, host_text, is_loopback, parse_mongo_uri

CONTAINER, PROCESS, COMPOSE, FILE = "container", "process", "compose", "file"


@dataclass(frozen=True)
class EnvironmentSource:
    """Variables from one place.

    Attributes:
        kind: container, process, compose (what a compose file gives to a container not made yet) or file.
        place: its name, for people.
        env_from: the place as the option env_from of the modules takes it.
        values: what stands there; secrets among them.
    """

    kind: str
    place: str
    env_from: str
    values: Mapping[str, str] = field(repr=False, default_factory=dict)

    def mongo_uri(self) -> Optional[MongoUri]:
        """The connection string that an application with these variables takes; an empty one counts as none, as it does there."""
        for key in URI_KEYS:
            if self.values.get(key, "").strip():
                return parse_mongo_uri(self.values[key], key)
        return None


@dataclass(frozen=True)
class Environment:
    """What the application was given.

    Attributes:
        used: the source that it obeys.
        others: further sources, which it does not.
    """

    used: EnvironmentSource
    others: Tuple[EnvironmentSource, ...] = ()

    @property
    def values(self) -> Mapping[str, str]:
        return self.used.values

    def get(self, key: str) -> str:
        return self.used.values.get(key, "").strip()


def choose_source(sources: Sequence[EnvironmentSource]) -> Environment:
    """The environment of the application.

    Args:
        sources: the strongest first, the file last. A process reads the file itself, so that what it was not given comes from
            there; into a container and from a compose file nothing else gets.
    """
    used = sources[0]
    if used.kind == PROCESS:
        merged: Dict[str, str] = {}
        for source in reversed(sources):
            merged.update(source.values)
        used = EnvironmentSource(used.kind, used.place, used.env_from, merged)
    elif used.mongo_uri() is None:
        # A container that is given no connection string reads the file itself: it is mounted, or was copied into its image.
        file = next((source for source in sources[1:] if source.kind == FILE), None)
        if file is not None and file.mongo_uri() is not None:
            used = EnvironmentSource(used.kind, used.place, file.env_from, {**file.values, **used.values})
    return Environment(used, tuple(sources[1:]))


def _server(uri: MongoUri) -> Tuple[str, ...]:
    """The servers of a connection string, those that mean this shop's own as one."""
    return tuple(
        sorted(
            MONGO_SERVICE if host == MONGO_SERVICE or is_loopback(host) else host_text(host, port)
            for host, port in uri.hosts
        )
    )


@dataclass(frozen=True)
class NamedDatabase:
    """A database that some source names."""

    place: str
    variable: str
    database: str
    hosts: Tuple[str, ...]

    def as_dict(self) -> Dict[str, object]:
        return {
            "place": self.place,
            "variable": self.variable,
            "database": self.database,
            "hosts": list(self.hosts),
        }

    def __str__(self) -> str:
        return "%s of %s names %s on %s" % (
            self.variable,
            self.place,
            self.database or "no database",
            ",".join(self.hosts) or "no host",
        )


def _named(source: EnvironmentSource, uri: MongoUri) -> NamedDatabase:
    return NamedDatabase(
        source.place, uri.source, uri.database, tuple(host_text(host, port) for host, port in uri.hosts)
    )


@dataclass(frozen=True)
class Databases:
    """Which databases the sources name.

    Attributes:
        used: the one that the application uses.
        others: those that are another one, each once.
    """

    used: Optional[NamedDatabase]
    others: Tuple[NamedDatabase, ...] = ()

    @property
    def conflict(self) -> str:
        """One sentence when the sources disagree, else empty."""
        if self.used is None or not self.others:
            return ""
        return "the application uses the database %s on %s (%s of %s); %s: that one is not touched" % (
            self.used.database or "without a name",
            ",".join(self.used.hosts) or "no host",
            self.used.variable,
            self.used.place,
            "; ".join(str(other) for other in self.others),
        )


def compare_databases(environment: Environment) -> Databases:
    """Which database the application uses, and which others its sources name."""
    uri = environment.used.mongo_uri()
    if uri is None:
        return Databases(None)
    others: List[NamedDatabase] = []
    for source in environment.others:
        other = source.mongo_uri()
        if other is None or (other.database == uri.database and _server(other) == _server(uri)):
            continue
        named = _named(source, other)
        if (named.database, named.hosts) not in [(item.database, item.hosts) for item in others]:
            others.append(named)
    return Databases(_named(environment.used, uri), tuple(others))
