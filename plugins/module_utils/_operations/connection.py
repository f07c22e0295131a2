# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Completes the options of modules that talk to the application's database, before their work begins."""

from __future__ import annotations

from .._core.arguments import ArgumentSpec
from .._core.call import Call
from .._core.errors import MaintenanceError
from .._docker.client import DOCKER_ARGUMENTS
from .._host.mongo_uri import URI_KEYS, parse_mongo_uri
from .._mongo.client import MONGO_ARGUMENTS
from .environment import with_environment

# An engine may have to be asked what the application was given.
CONNECTION_ARGUMENTS: ArgumentSpec = MONGO_ARGUMENTS + DOCKER_ARGUMENTS


def prepare_connection(call: Call) -> None:
    """Complete the options of a module that talks to the application's database."""
    call.params.update(with_environment(call.params))


def prepare_backup(call: Call) -> None:
    """The same for a backup, which is refused where it would be one of another database than the application uses."""
    prepare_connection(call)
    given, wanted = call.params.get("environment"), call.params.get("database")
    if not given or not wanted:
        return
    uri = parse_mongo_uri(next(given[key] for key in URI_KEYS if key in given), "")
    if uri.database and uri.database != wanted:
        raise MaintenanceError(
            "this would be a backup of another database than the application uses, which is %s (%s)"
            % (uri.database, call.params["environment_place"]),
            target=str(wanted),
            next_step="Set database to the application's, or leave env_from out to back this one up on purpose.",
        )
