# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bringing an update to its end, whoever finds it: the images that ran before under their names, containers of them, their data in them."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Callable, List, Optional, Sequence, Tuple

from .._core.clock import utc_now
from .._core.errors import MaintenanceError
from .._docker.client import Docker
from .._docker.compose_program import ComposeProgram
from .._docker.exchange import Exchange
from .._docker.update_journal import BACK, DONE, REPLACING, UpdateJournal, discard_saved, read_update
from .._docker.update_plan import UpdateScene
from .._docker.update_scene import UpdatePlace
from .._flag.probe import MAINTENANCE, UP, probe
from .log_collection import LogCollection
from .migrations import MigrationsPlace

_PROBE_SECONDS = 15.0


def ask_shop(url: Optional[str]) -> str:
    """Why the shop is not well; "" when it is, when it is in maintenance, and when nobody knows where to ask."""
    if not url:
        return ""
    answer = probe(url, _PROBE_SECONDS)
    return "" if answer.state in (UP, MAINTENANCE) else "%s: %s" % (url, answer.reason)


def way_back_of_data(backup: Optional[str]) -> str:
    """What restores the data of before the update; the controller, which knows more, fills it up (`command_line.from_here`)."""
    source = shlex.quote("backup_restore_src=%s" % (backup or "PATH_OF_THE_BACKUP_OF_BEFORE"))
    return "ansible-playbook miniecom.maintenance.restore -e confirm_target=HOST -e %s" % source


def migrated_since(journal: UpdateJournal, place: MigrationsPlace) -> str:
    """Why the data may be other than the images of before expect; "" when they are not.

    Args:
        place: where to look; where it names no database, as the update that was cut off did.
    """
    if not journal.started:
        return ""
    if not place.connection:
        place = replace(place, connection=dict(journal.how.get("connection") or {}))
    return place.since(journal.migrations)


def go_forward(exchange: Exchange, ask: Callable[[], str], patience: float) -> None:
    """Bring an update to its end whose new containers have run, and have changed the data: older code must not meet them unasked.

    All containers were made, and have their data, before the first of them ran.

    Raises:
        MaintenanceError: the shop does not come up with them; what is next is a person's to decide.
    """
    services = _in_order(exchange)
    exchange.start(services)
    problem = exchange.wait(services, ask, patience, 0.0)
    if problem:
        raise MaintenanceError(
            "an update was cut off after migrations had run, and the shop does not come up with its new images: %s"
            % problem,
            target=exchange.journal.project,
            next_step="To go back, put the old images in place (playbook update with app_update_undo=true), then restore the data: %s."
            % way_back_of_data(exchange.journal.how.get("backup")),
        )
    end_update(exchange, DONE)


def _in_order(exchange: Exchange) -> List[str]:
    services = [name for name in exchange.scene.order if name in exchange.journal.services]
    return services + sorted(set(exchange.journal.services) - set(services))


def go_back(exchange: Exchange, ask: Callable[[], str], patience: float) -> None:
    """Bring back what the journal says ran before. Whatever kills this, the next call goes on where it was.

    Args:
        ask: why the shop is not well, "" when it is.
        patience: seconds for it to become well.

    Raises:
        MaintenanceError: it cannot be brought back now; no data are lost.
    """
    services = _in_order(exchange)
    exchange.give_names_back(services)
    touched = [name for name in services if not original(exchange, name)]
    if touched:
        # From now on not all have their data: whoever goes on with this must go back as well, and start none before.
        exchange.write(started=False)
        exchange.stop(touched)
        exchange.save(touched)
        try:
            exchange.keep_logs(touched)
        except MaintenanceError as error:
            # The shop comes first.
            exchange.step("collect the logs", ", ".join(touched), "failed: %s" % error)
        exchange.recreate(touched)
    exchange.start(services)
    problem = exchange.wait(services, ask, patience, 0.0)
    if problem:
        raise MaintenanceError("the shop does not come up with its images of before either: %s" % problem)
    end_update(exchange, BACK)


def end_update(exchange: Exchange, phase: str) -> None:
    """The data are in place: their copies go, after nobody needs them any more."""
    exchange.write(phase=phase, saved={})
    discard_saved(exchange.state_dir, exchange.journal.project)


def logs_kept_in(
    docker: Docker, dest: Optional[str], state_dir: str
) -> Optional[Callable[[Sequence[str]], Sequence[Tuple[str, str]]]]:
    """What collects the logs of containers before they go; None where there is no directory for them.

    All that the engine still has is collected of a container of which nothing was collected before: nobody can ask later.
    """
    return LogCollection(docker, dest, state_dir, utc_now().timestamp()).collect_last if dest else None


def original(exchange: Exchange, service: str) -> bool:
    """Whether the very containers are there that ran before."""
    recorded = exchange.journal.services[service].containers
    return sorted(raw["Id"] for raw in exchange.containers(service)) == sorted(recorded)


def settle_update(state_dir: str, project: str, timeout: int) -> str:
    """Bring an update that was killed to an end: back, or forward where migrations have run.

    Returns in words what was done, "" where there is nothing to do.

    Args:
        timeout: in seconds, for each answer of the engine.

    Raises:
        MaintenanceError: it cannot be done now.
    """
    journal = read_update(state_dir, project)
    if journal is None or journal.phase != REPLACING:
        return ""
    how = journal.how
    place = UpdatePlace(
        how["root"],
        how["program"],
        float(how["seconds"]),
        1,
        data={name: tuple(paths) for name, paths in how["data"].items()},
        discard=tuple(how["discard"]),
    )
    compose = ComposeProgram(
        how["program"],
        how["docker_host"],
        project,
        how["directory"],
        tuple(how["files"]),
        tuple(how["env_files"]),
        float(how["seconds"]),
    )
    with Docker.connect(how["docker_host"], timeout) as docker:
        logs = logs_kept_in(docker, how.get("logs_dest"), state_dir)
        exchange = Exchange(docker, compose, place, UpdateScene(project, ()), state_dir, journal, logs)
        migrated = migrated_since(journal, MigrationsPlace({}, how["root"], how["docker_host"]))
        end = go_forward if migrated else go_back
        end(exchange, lambda: ask_shop(how["probe_url"]), float(how["patience"]))
    names = ", ".join(sorted(journal.services))
    if migrated:
        return "brought the update of %s to its end, for %s: %s" % (project, migrated, names)
    return "brought back the images that ran before the update of %s: %s" % (project, names)
