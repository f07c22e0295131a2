# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Update the images of the shop's compose project, and go back where that goes wrong: the work of compose_update."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.arguments import ArgumentSpec
from .._core.call import Call
from .._core.clock import format_utc, utc_now
from .._core.errors import AbortPlan, MaintenanceError, SkipAction
from .._core.late_dataclass import dataclass
from .._core.leftovers import UpdateLeft
from .._core.plan import Action, Outcome, Plan, Report, Results
from .._core.runner import Task
from .._core.units import counted, parse_duration
from .._docker.client import Docker
from .._docker.compose_config import replaced_in
from .._docker.compose_program import ComposeProgram, mongod_series
from .._docker.exchange import BEFORE, RUNNING, Exchange, recorded_images
from .._docker.update_journal import (
    BACK,
    DONE,
    RECORDED,
    REPLACING,
    RecordedService,
    UpdateJournal,
    read_update,
)
from .._docker.update_plan import (
    NEVER_PULLED,
    NEWER,
    REPORT,
    UNDO,
    UNKNOWN,
    UPDATE,
    BuildImage,
    PullImage,
    RecordImages,
    ReplaceContainers,
    SettleUpdate,
    UpdatePolicy,
    UpdateScene,
    UpdateWork,
    image_rows,
    meant_services,
    obstacles,
    plan_update,
    short,
)
from .._docker.update_scene import (
    UpdatePlace,
    ask_registries,
    dry_run,
    image_details,
    locate,
    look,
    read_project_config,
)
from .migrations import MigrationsPlace
from .update_recovery import (
    ask_shop,
    end_update,
    go_back,
    go_forward,
    logs_kept_in,
    migrated_since,
    way_back_of_data,
)

_TEXTS: Dict[str, Any] = {"type": "list", "elements": "str", "default": []}
_PATHS: Dict[str, Any] = {"type": "list", "elements": "path", "default": []}

UPDATE_ARGUMENTS = ArgumentSpec(
    {
        "action": {"type": "str", "choices": [REPORT, UPDATE, UNDO], "default": REPORT},
        "root": {"type": "path", "default": "/opt/miniecom"},
        "services": _TEXTS,
        "pull": {"type": "bool", "default": True},
        "build": {"type": "bool", "default": True},
        "no_cache": {"type": "bool", "default": False},
        "config_changes": {"type": "bool", "default": False},
        "files": _PATHS,
        "env_files": _PATHS,
        "project_directory": {"type": "path"},
        "data": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "service": {"type": "str", "required": True},
                "path": {"type": "path", "required": True},
            },
        },
        "discard": _TEXTS,
        "probe_url": {"type": "str"},
        "patience": {"type": "str", "default": "2m"},
        "steady": {"type": "str", "default": "5s"},
        "connection": {
            "type": "dict",
            "options": {
                "uri": {"type": "str", "no_log": True},
                "env_file": {"type": "path"},
                "env_from": {"type": "str", "default": "file"},
                "address": {"type": "str"},
                "tls_files": {"type": "dict", "default": {}},
                "database": {"type": "str"},
                "connect_timeout": {"type": "int", "default": 5},
            },
            "mutually_exclusive": [("uri", "env_file")],
            "required_one_of": [("uri", "env_file")],
        },
        "backup": {"type": "path"},
        "logs_dest": {"type": "path"},
        "docker_program": {"type": "str", "default": "docker"},
        "compose_timeout": {"type": "str", "default": "30m"},
        "registry_timeout": {"type": "str", "default": "30s"},
    }
)


@dataclass
class UpdateSight:
    """What was observed, and what is under way.

    Attributes:
        exchange: None where nothing of the project can be touched, as in a report.
    """

    scene: UpdateScene
    compose: ComposeProgram
    exchange: Exchange


@dataclass(frozen=True)
class Replaced:
    """What became of the containers: which services run from other images now.

    Attributes:
        settled: what became of an update that was cut off, in words.
    """

    services: Tuple[str, ...]
    settled: str = ""


class ComposeUpdate(Task[UpdateSight]):
    """Report which images have newer versions, update them, or go back."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._docker: Optional[Docker] = None
        options = self.params
        self.place = UpdatePlace(
            options["root"],
            options["docker_program"],
            parse_duration(options["compose_timeout"]),
            max(1, int(parse_duration(options["registry_timeout"]))),
            tuple(options["files"]),
            tuple(options["env_files"]),
            options["project_directory"] or "",
            _data(options["data"]),
            tuple(options["discard"]),
        )
        self.policy = UpdatePolicy(
            options["action"],
            tuple(options["services"]),
            options["pull"],
            options["build"],
            options["no_cache"],
            options["config_changes"],
            options["logs_dest"] or "",
        )
        given = {key: value for key, value in (options["connection"] or {}).items() if value}
        self.migrations = MigrationsPlace(given, self.place.root, options["docker_host"])
        self.patience = parse_duration(options["patience"])
        self.steady = parse_duration(options["steady"])

    # -- observe, plan -------------------------------------------------------------------------------------------

    def observe(self) -> UpdateSight:
        docker = self._docker = Docker.connect(self.params["docker_host"], self.params["docker_timeout"])
        project, compose = locate(docker, self.place, lambda name: _is_cut_off(self.run.state_dir, name))
        journal = read_update(self.run.state_dir, project.name)
        config = read_project_config(compose)
        settling = self.policy.action != REPORT and _is_cut_off(self.run.state_dir, project.name)
        scene = look(docker, self.place, project, compose, config, self.policy, settling, self._also(journal))
        # What is built here is known to no registry, and what may not be pulled need not be.
        asked = sorted(
            {service.image for service in scene.services if not service.build and service.pull_policy != NEVER_PULLED}
        )
        answers = {}
        if self.policy.action in (REPORT, UPDATE) and not settling:
            answers = ask_registries(docker.docker_host, self.place.registry_seconds, asked)
        scene = replace(
            scene,
            registry=answers,
            unhealthy="" if settling or self.policy.action == REPORT else self._ask(),
            free_bytes=_free(self.run.state_dir),
            journal=journal,
            migrated=self._migrated(journal) if settling and journal is not None else "",
        )
        begun = UpdateJournal(project.name, RECORDED, format_utc(utc_now()))
        logs = logs_kept_in(docker, self.params["logs_dest"], self.run.state_dir)
        exchange = Exchange(docker, compose, self.place, scene, self.run.state_dir, begun, logs)
        if settling and journal is not None:
            exchange.journal = journal
        return UpdateSight(scene, compose, exchange)

    def _also(self, journal: Optional[UpdateJournal]) -> Sequence[str]:
        """Services that are to be gone back with, also where they do not run with what they have."""
        return sorted(journal.services) if journal is not None and self.policy.action == UNDO else ()

    def _migrated(self, journal: UpdateJournal) -> str:
        """Why an update that was cut off is not taken back; a person who asks for the way back has decided."""
        return "" if self.policy.action == UNDO else migrated_since(journal, self.migrations)

    def plan(self, observation: UpdateSight, now: datetime) -> Plan[UpdateWork]:
        return plan_update(observation.scene, self.policy)

    def _ask(self) -> str:
        return ask_shop(self.params["probe_url"])

    # -- act -----------------------------------------------------------------------------------------------------

    def _note(self, observation: UpdateSight, services: Sequence[str]) -> None:
        """Write down what runs, and what the database says of its migrations before any container of a new image has run."""
        recorded = recorded_images(observation.scene, services)
        whole = {name: entry.containers[0] for name, entry in recorded.items() if len(entry.containers) == 1}
        observation.exchange.write(services=recorded, whole=whole, migrations=self.migrations.read())

    def _record(self, action: Action[RecordImages], observation: UpdateSight) -> Outcome:
        exchange, services = observation.exchange, action.work.services
        self._note(observation, services)
        exchange.keep_images(services, RUNNING)
        recorded = exchange.journal.services
        return Outcome(note=", ".join("%s runs from %s" % (name, short(recorded[name].image_id)) for name in services))

    def _pull(self, action: Action[PullImage], observation: UpdateSight) -> Outcome:
        work = action.work
        return self._fetch(observation, work.image, "cannot pull the image", "pull", "--quiet", *work.services)

    def _build(self, action: Action[BuildImage], observation: UpdateSight) -> Outcome:
        work = action.work
        more = ["--no-cache"] if work.no_cache else []
        return self._fetch(observation, work.image, "cannot build the image", "build", "--quiet", *more, work.service)

    def _fetch(self, observation: UpdateSight, image: str, what: str, *arguments: str) -> Outcome:
        exchange = observation.exchange
        before = image_details(exchange.docker, image)
        try:
            observation.compose.run(what, image, *arguments)
        except MaintenanceError as error:
            raise self._untouched(error, exchange) from error
        after = image_details(exchange.docker, image)
        ids = [short(str((found or {}).get("Id") or "")) for found in (before, after)]
        if ids[0] == ids[1]:
            return Outcome(note="it is the same image as before")
        return Outcome(int((after or {}).get("Size") or 0), "%s -> %s" % (ids[0] or "none", ids[1]))

    def _untouched(self, error: MaintenanceError, exchange: Exchange) -> MaintenanceError:
        """The error of a step before any container was touched: names are given back, and the shop runs as before."""
        services = sorted(exchange.journal.services)
        next_step = "%s The shop runs as before, from the images that it ran from" % error.next_step
        try:
            exchange.give_names_back(services)
            next_step += ", and their names stand for them again."
        except MaintenanceError as second:
            next_step += ". Their names could not all be given back: %s" % second
        return AbortPlan(
            error.what,
            target=error.target,
            code=error.code,
            next_step=next_step.strip(),
            details={**error.details, "rolled_back": True},
        )

    def _replace(self, action: Action[ReplaceContainers], observation: UpdateSight) -> Outcome:
        exchange, work = observation.exchange, action.work
        targets = dict(work.images)
        if targets:
            self._note(observation, work.services)
        try:
            services = self._prepare(work, observation)
        except MaintenanceError as error:
            raise self._untouched(error, exchange) from error
        if not services:
            self._forget(observation)
            raise SkipAction("the images are those that run: nothing is replaced")
        self.run.leftovers.register(UpdateLeft(observation.scene.project, "an update"))
        exchange.write(phase=REPLACING, how=self._how(observation))
        try:
            exchange.stop(services)
            exchange.require_as_seen(services)
            exchange.save(services)
            exchange.keep_logs(services)
            exchange.recreate(services)
            exchange.write(started=True)
            exchange.start(services)
            problem = exchange.wait(services, self._ask, self.patience, self.steady)
            if problem:
                raise MaintenanceError("the shop did not come up with the new images: %s" % problem)
        except MaintenanceError as error:
            failure = self._back(error, observation)
            if exchange.journal.phase != REPLACING:
                self._clear_notes(exchange)
            if targets and exchange.journal.phase == BACK:
                self._forget(observation)
            raise failure from error
        if targets:
            # What the next call would go back to is what runs now: going back twice is going back once.
            exchange.write(services=_with_images(exchange.journal.services, targets))
        else:
            exchange.keep_images(services, BEFORE)
        end_update(exchange, DONE)
        self._clear_notes(exchange)
        return Outcome(note=_told(exchange), detail=Replaced(tuple(services)))

    def _how(self, observation: UpdateSight) -> Dict[str, Any]:
        """What whoever finds a journal of ours needs to bring the update to its end."""
        compose = observation.compose
        return {
            "docker_host": compose.docker_host,
            "program": compose.program,
            "seconds": compose.seconds,
            "root": self.place.root,
            "directory": compose.directory,
            "files": compose.files,
            "env_files": compose.env_files,
            "data": self.place.data,
            "discard": self.place.discard,
            "connection": self.migrations.without_secrets,
            "backup": self.params["backup"],
            "logs_dest": self.params["logs_dest"],
            "probe_url": self.params["probe_url"],
            "patience": self.patience,
        }

    def _clear_notes(self, exchange: Exchange) -> None:
        """The update is at its end: no other call has to bring it there."""
        for note in self.run.leftovers.found():
            if isinstance(note.left, UpdateLeft) and note.left.project == exchange.scene.project:
                self.run.leftovers.done(note.id)

    def _forget(self, observation: UpdateSight) -> None:
        """Nothing has changed: the way back is that of the last update that changed something."""
        if observation.scene.journal is not None:
            observation.exchange.journal = observation.scene.journal
            observation.exchange.write()

    def _prepare(self, work: ReplaceContainers, observation: UpdateSight) -> List[str]:
        """Look once more, right before the shop is stopped; returns the services that are replaced, in the order of their start."""
        exchange, scene = observation.exchange, observation.scene
        targets = dict(work.images)
        for name, image_id in targets.items():
            if image_details(exchange.docker, image_id) is None:
                raise MaintenanceError(
                    "the image to go back to is not in the engine any more", target="%s: %s" % (name, image_id)
                )
        before = exchange.journal
        if targets:
            exchange.journal = replace(before, services=_with_images(before.services, targets))
            exchange.give_names_back(sorted(targets))
            exchange.journal = before
        changed = []
        for service in scene.services:
            if service.name in work.services:
                named = image_details(exchange.docker, service.image) or {}
                if str(named.get("Id") or "") != service.image_id or service.name in _changed_by_files(scene):
                    changed.append(service)
                    if service.database:
                        _refuse_major(observation.compose, service.image_id, str(named.get("Id") or ""))
        names = [service.name for service in changed]
        own = {name for service in scene.services if service.name in work.services for name in service.names}
        bystanders = (
            [name for name in replaced_in(dry_run(observation.compose, scene, names)) if name not in own]
            if names
            else []
        )
        if bystanders:
            raise MaintenanceError("compose would replace what is not meant", target=", ".join(bystanders))
        exchange.require_as_seen(names)
        return [name for name in scene.order if name in names]

    def _back(self, error: MaintenanceError, observation: UpdateSight) -> MaintenanceError:
        """Bring back what ran before, where that cannot hurt; returns the error to raise, which tells of it."""
        exchange = observation.exchange
        details: Dict[str, Any] = {**error.details, "steps": exchange.steps, "rolled_back": False}
        if exchange.journal.started:
            ran = self.migrations.since(exchange.journal.migrations)
            if ran:
                # The new code has been at the data, and says so itself: the old code would meet what it does not know.
                exchange.write(phase=DONE)
                command = way_back_of_data(self.params["backup"])
                return AbortPlan(
                    error.what,
                    target=error.target,
                    code=error.code,
                    next_step="It is not gone back by itself, for %s. To go back, put the old images in place (playbook update with app_update_undo=true), then"
                    " restore the data: %s." % (ran, command),
                    details={**details, "restore_command": command},
                )
        try:
            go_back(exchange, self._ask, self.patience)
        except MaintenanceError as second:
            return AbortPlan(
                "%s; and what ran before could not be brought back: %s" % (error, second),
                next_step="Run the same again: it goes on with bringing it back. Data of writable layers are in %s."
                % os.path.join(exchange.state_dir, "updates"),
                details=details,
            )
        return AbortPlan(
            error.what,
            target=error.target,
            code=error.code,
            next_step=("%s The shop is back on the images that ran before, with its data." % error.next_step).strip(),
            details={**details, "rolled_back": True},
        )

    def _settle(self, action: Action[SettleUpdate], observation: UpdateSight) -> Outcome:
        exchange, work = observation.exchange, action.work
        (go_forward if work.forward else go_back)(exchange, self._ask, self.patience)
        self._clear_notes(exchange)
        settled = "brought to its end" if work.forward else "taken back"
        return Outcome(note=_told(exchange), detail=Replaced(work.services, settled))

    handlers = {
        RecordImages: _record,
        PullImage: _pull,
        BuildImage: _build,
        ReplaceContainers: _replace,
        SettleUpdate: _settle,
    }

    # -- report --------------------------------------------------------------------------------------------------

    def report(
        self, observation: UpdateSight, plan: Plan[UpdateWork], results: Results[UpdateWork, UpdateSight]
    ) -> Report:
        scene = observation.scene
        rows = image_rows(scene)
        replaced = results.details(Replaced)
        names = sorted({name for item in replaced for name in item.services})
        newer = [row for row in rows if row["state"] == NEWER]
        unknown = [row for row in rows if row["state"] == UNKNOWN and scene.registry.get(str(row["image"]))]
        services = meant_services(scene, self.policy) if self.policy.action != UNDO else []
        against = obstacles(scene, self.policy, services) if self.policy.action == REPORT else []
        would = [action for action in plan.actions if isinstance(action.work, (ReplaceContainers, SettleUpdate))]
        touched = bool(observation.exchange.steps) or any(item.services for item in replaced)
        summary = {
            "images": len({row["image"] for row in rows}),
            "newer": len({row["image"] for row in newer}),
            "unknown": len({row["image"] for row in unknown}),
            "replaced": len(names),
            "bytes": sum(result.bytes for result in results.done),
        }
        values = {"images": rows, "obstacles": against, "steps": list(observation.exchange.steps)}
        warnings = []
        silent = sorted({answer.problem for answer in scene.registry.values() if answer.silent})
        if silent and self.policy.action == REPORT:
            warnings.append("whether there are newer images is not known of all: %s" % "; ".join(silent))
        changed = bool(would) if results.check else touched
        return Report(
            _headline(summary, newer, names, replaced, would, results, self.policy, bool(scene.registry)),
            changed,
            summary,
            values,
            warnings=warnings,
        )

    def close(self) -> None:
        if self._docker is not None:
            self._docker.close()


def _data(entries: Sequence[Mapping[str, Any]]) -> Dict[str, Tuple[str, ...]]:
    """The paths that are data, by service. Raises MaintenanceError: one is not usable."""
    data: Dict[str, Tuple[str, ...]] = {}
    for entry in entries:
        path = os.path.normpath(str(entry["path"]))
        if not os.path.isabs(path) or path == "/":
            raise MaintenanceError(
                "a path in data is not that of a directory inside a container",
                target=path,
                next_step="Write it from the root on.",
            )
        data[entry["service"]] = (*data.get(entry["service"], ()), path)
    return data


def _is_cut_off(state_dir: str, project: str) -> bool:
    journal = read_update(state_dir, project)
    return journal is not None and journal.phase == REPLACING


def _free(state_dir: str) -> int:
    """Free bytes where the state directory is, or will be."""
    path = state_dir
    while not os.path.isdir(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return shutil.disk_usage(path).free


def _changed_by_files(scene: UpdateScene) -> List[str]:
    """The services whose containers compose would replace with no new image."""
    return [service.name for service in scene.services if set(service.names) & set(scene.config_changes)]


def _with_images(recorded: Mapping[str, RecordedService], images: Mapping[str, str]) -> Dict[str, RecordedService]:
    return {name: replace(entry, image_id=images[name]) for name, entry in recorded.items()}


def _refuse_major(compose: ComposeProgram, old: str, new: str) -> None:
    """Raises MaintenanceError: the database would move to another major version."""
    series = [mongod_series(compose, image) for image in (old, new)]
    if series[0] != series[1]:
        raise MaintenanceError(
            "the database would move from MongoDB %s to %s, which no update does" % tuple(series),
            target=new,
            next_step="Name an image of the same series in the compose file. A major upgrade is a matter of its own, step by step, with a backup.",
        )


def _told(exchange: Exchange) -> str:
    return "; ".join(
        "%s %s%s" % (step["step"], step["target"], " (%s)" % step["note"] if step.get("note") else "")
        for step in exchange.steps
    )


def _headline(
    summary: Mapping[str, Any],
    newer: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    replaced: Sequence[Replaced],
    would: Sequence[Action[Any]],
    results: Results[Any, Any],
    policy: UpdatePolicy,
    asked: bool,
) -> str:
    if results.failed:
        return "not updated"
    for item in replaced:
        if item.settled:
            return "an update that was cut off was %s: %s; run it again to update" % (item.settled, ", ".join(names))
    if names:
        verb = "brought back to the images of before" if policy.action == UNDO else "updated"
        return "%s %s, and the shop is well" % (", ".join(names), verb)
    if results.check and would:
        return "would replace the containers of %s" % ", ".join(action.target for action in would)
    if policy.action == UNDO:
        return "nothing to go back to"
    # What is built here is in no registry, and what is never pulled need not be.
    text = "no newer images" if asked else "no registry was asked: nothing here is pulled from one"
    if newer:
        text = "%s with newer versions: %s" % (
            counted(summary["newer"], "image"),
            ", ".join(dict.fromkeys(str(row["image"]) for row in newer)),
        )
    if summary["unknown"]:
        text += "; of %d nothing is known" % summary["unknown"]
    return text
