# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether migrations have run in the shop's database: what the usual tools write down of them, before and after."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Dict, Mapping, Optional

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._mongo.client import connect
from .._mongo.errors import mongo_errors
from .environment import with_environment

# Collections in which the usual tools write down which migrations have run.
_MIGRATIONS = re.compile(
    r"^((schema|db|data)?_?migrations?|(mongock|database)?_?change_?log|schema_?versions?)$", re.IGNORECASE
)


@dataclass(frozen=True)
class MigrationsPlace:
    """Where migrations are written down.

    Attributes:
        connection: how the database is reached, as options of a module; empty where nobody has named one.
        root: the shop's directory.
    """

    connection: Mapping[str, Any]
    root: str
    docker_host: Optional[str] = None

    @property
    def without_secrets(self) -> Dict[str, Any]:
        """The connection as it may be written down; without a connection string none is left of one that was given as such."""
        return {} if self.connection.get("uri") else dict(self.connection)

    def read(self) -> Optional[Dict[str, str]]:
        """A fingerprint of each collection in which migrations are written down; None where no database was named.

        Raises:
            MaintenanceError: the database does not answer.
        """
        if not self.connection:
            return None
        options = {"docker_host": self.docker_host, **{key: value for key, value in self.connection.items() if value}}
        with connect(with_environment(options, self.root)) as connection:
            name = connection.require_database(options.get("database"))
            with mongo_errors("cannot read which migrations have run", name, connection.address):
                return _fingerprints(connection.client[name])

    def since(self, before: Optional[Mapping[str, str]]) -> str:
        """Why the data may be other than older images expect; "" when they are not, and where nobody looked before."""
        if before is None:
            return ""
        try:
            now = self.read()
        except MaintenanceError as error:
            return "whether migrations have run cannot be told (%s)" % error
        if now is None:
            return "whether migrations have run cannot be told (no connection to the database is named)"
        changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        return "migrations have run (%s)" % ", ".join(changed) if changed else ""


def _fingerprints(database: Any) -> Dict[str, str]:
    """Each collection in which migrations are written down, with a number that is another one when anything in it is."""
    found = {}
    for name in sorted(database.list_collection_names()):
        if tells_migrations(name):
            digest = hashlib.sha256()
            for document in database[name].find({}, sort=[("_id", 1)]):
                digest.update(repr(document).encode("utf-8", "replace"))
            found[name] = digest.hexdigest()
    return found


def tells_migrations(collection: str) -> bool:
    """Whether a collection is one in which the usual tools write down which migrations have run; the shop's own logs are not."""
    return bool(_MIGRATIONS.match(collection))
