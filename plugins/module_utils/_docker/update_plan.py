# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which images of a compose project have newer versions, and what an update of them does. Pure."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Plan
from .._core.units import format_size
from .compose_config import MountPoint
from .project import STANDARD_INPUT, Project
from .update_journal import REPLACING, UpdateJournal
from .writable_layer import LayerContent

REPORT, UPDATE, UNDO = "report", "update", "undo"
NEVER_PULLED = "never"
UP_TO_DATE, NEWER, UNKNOWN = "up to date", "newer", "unknown"


@dataclass(frozen=True)
class RegistryAnswer:
    """What a registry says of an image's name.

    Attributes:
        digest: of what the name stands for there; "" without an answer.
        problem: why there is none.
        silent: nobody answered; a registry that knows no such image has answered.
    """

    digest: str = ""
    problem: str = ""
    silent: bool = False


@dataclass(frozen=True)
class RunningService:
    """A service of the project that runs.

    Attributes:
        containers: ids of its running containers; names are theirs.
        image: the name in the compose files; image_id is what runs, named_id what the name stands for on this host by now.
        digests: the repository digests of what the name stands for by now.
        build: the directory it is built from, "" for an image that is pulled.
        database: data live in it: it is left alone unless it is named.
        mounts: what the container has mounted, by the path inside it.
        lost: mounts that it would not have any more, in words.
        variables: names of variables that the files by now set otherwise.
        unseen: its image cannot be looked at any more: no way leads back to it.
        running_digests, running_tags: the repository digests and the tags of what runs.
    """

    name: str
    containers: Tuple[str, ...]
    names: Tuple[str, ...]
    image: str
    image_id: str
    named_id: str = ""
    digests: Tuple[str, ...] = ()
    build: str = ""
    pull_policy: str = ""
    database: bool = False
    layer: LayerContent = field(default_factory=LayerContent)
    layer_bytes: int = 0
    mounts: Mapping[str, MountPoint] = field(default_factory=dict)
    lost: Tuple[str, ...] = ()
    variables: Tuple[str, ...] = ()
    unseen: bool = False
    running_digests: Tuple[str, ...] = ()
    running_tags: Tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return "%s (%s)" % (self.name, self.image)


@dataclass(frozen=True)
class UpdateScene:
    """What was observed.

    Attributes:
        order: the services in the order in which they are started.
        registry: by the image's name.
        bystanders: containers that compose would replace beside those that are meant, by its own word.
        config_changes: containers of services that are meant which compose would replace with no new image.
        unhealthy: why the shop is not well before anything is done; "" where it is, or where nobody looked.
        migrated: why an update that was cut off must not be taken back; "" where it may be.
        free_bytes: where data of writable layers are copied to.
    """

    project: str
    services: Tuple[RunningService, ...]
    order: Tuple[str, ...] = ()
    registry: Mapping[str, RegistryAnswer] = field(default_factory=dict)
    bystanders: Tuple[str, ...] = ()
    config_changes: Tuple[str, ...] = ()
    unhealthy: str = ""
    free_bytes: int = 0
    journal: Optional[UpdateJournal] = None
    migrated: str = ""


@dataclass(frozen=True)
class UpdatePolicy:
    """What is asked for.

    Attributes:
        action: report, update or undo.
        services: only these; empty for all that run but databases.
        pull, build: images are pulled, and built.
        no_cache: they are built without what earlier builds have left.
        config_changes: containers may also be replaced for what has changed in the compose files.
        logs_dest: where the logs of containers are collected before they are removed; "" where they go with them.
    """

    action: str = REPORT
    services: Tuple[str, ...] = ()
    pull: bool = True
    build: bool = True
    no_cache: bool = False
    config_changes: bool = False
    logs_dest: str = ""


@dataclass(frozen=True)
class RecordImages:
    """Write down which images run, and give each a name by which it stays."""

    services: Tuple[str, ...]


@dataclass(frozen=True)
class PullImage:
    image: str
    services: Tuple[str, ...]


@dataclass(frozen=True)
class BuildImage:
    service: str
    image: str
    no_cache: bool


@dataclass(frozen=True)
class ReplaceContainers:
    """Put containers of the images' new versions in the place of those that run.

    Attributes:
        images: for a way back the image ids that the names are to stand for, by service.
    """

    services: Tuple[str, ...]
    images: Tuple[Tuple[str, str], ...] = ()


@dataclass(frozen=True)
class SettleUpdate:
    """Bring an update that was cut off back to the images that ran before it, or forward to its end."""

    services: Tuple[str, ...]
    forward: bool = False


UpdateWork = Union[RecordImages, PullImage, BuildImage, ReplaceContainers, SettleUpdate]


def refuse_project(
    project: Optional[Project], files: Sequence[str], root: str, known: Sequence[str], stopped: bool = False
) -> None:
    """Refuse a project whose files nobody can name for sure, before anything else is looked at.

    Args:
        files: those that the options name in place of the labels'.
        known: names of the projects that the engine has.
        stopped: that nothing of it runs may be the doing of an update that was cut off.

    Raises:
        MaintenanceError: it says what to set.
    """
    if project is None or not project.name or not (project.running or stopped):
        raise MaintenanceError(
            "no compose project of the shop runs here",
            target=root,
            next_step="The engine has %s. Set root to the directory from which it was started."
            % (", ".join("the project %s" % name for name in known) or "no project"),
        )
    if files:
        return
    told = set()
    for container in project.containers:
        if container.running or stopped:
            labels = container.raw.get("Labels") or {}
            told.add(str(labels.get("com.docker.compose.project.config_files") or ""))
    step = "Nothing was done. Set files to the compose files that this project is started with (role variable app_update_files)."
    if not project.files or any(STANDARD_INPUT in text.split(",") for text in told):
        raise MaintenanceError(
            "the project was started from standard input, and no label says what stood there",
            target=project.name,
            next_step=step,
        )
    if len(told) > 1:
        raise MaintenanceError(
            "the project's containers were made from different files (%s)" % " and ".join(sorted(told)),
            target=project.name,
            next_step=step,
        )


def refuse_missing_files(project: str, missing: Sequence[str]) -> None:
    """Raises MaintenanceError: a file that the labels name is not there, as where its name has a comma in it."""
    if missing:
        raise MaintenanceError(
            "a file that the labels of the project's containers name is not there (a comma in a file's name cannot be told from "
            "one between two files)",
            target="%s: %s" % (project, ", ".join(missing)),
            next_step="Nothing was done. Set files to the compose files that this project is started with (role variable app_update_files).",
        )


def refuse_undefined(project: str, undefined: Sequence[str], files: Sequence[str]) -> None:
    """Raises MaintenanceError: services run that the files do not define."""
    if undefined:
        raise MaintenanceError(
            "%s runs, and the files do not define it (%s)" % (", ".join(sorted(undefined)), ", ".join(files)),
            target=project,
            next_step="Nothing was done. Set files to all compose files that this project is started with (role variable app_update_files).",
        )


def meant_services(scene: UpdateScene, policy: UpdatePolicy) -> List[RunningService]:
    """The services that are meant.

    Raises:
        MaintenanceError: one that is named does not run.
    """
    running = {service.name: service for service in scene.services}
    absent = [name for name in policy.services if name not in running]
    if absent:
        raise MaintenanceError(
            "only services that run are updated, and %s does not" % ", ".join(absent),
            target=scene.project,
            next_step="Of this project run: %s." % ", ".join(sorted(running)),
        )
    if policy.services:
        return [running[name] for name in sorted(set(policy.services))]
    return [service for service in scene.services if not service.database]


def availability(service: RunningService, answer: Optional[RegistryAnswer]) -> Tuple[str, str]:
    """Whether a service's image has a newer version, and why one thinks so."""
    stale = bool(service.named_id) and service.named_id != service.image_id
    if stale and (service.build or service.pull_policy == NEVER_PULLED):
        return NEWER, "the newer image is here already (%s), and an older one runs" % short(service.named_id)
    if service.build:
        return UNKNOWN, "it is built here, from %s" % service.build
    if service.pull_policy == NEVER_PULLED:
        return UNKNOWN, "its compose file says pull_policy: never"
    if answer is None or not answer.digest:
        return UNKNOWN, (answer.problem if answer else "") or "no registry was asked"
    local = {digest.rpartition("@")[2] for digest in service.digests}
    if answer.digest in local:
        if stale:
            return NEWER, "the newer image is here already (%s), and an older one runs" % short(answer.digest)
        return UP_TO_DATE, "the registry has what runs (%s)" % short(answer.digest)
    if not local:
        return NEWER, "it did not come from the registry, which has %s" % short(answer.digest)
    return NEWER, "the registry has %s, here is %s" % (short(answer.digest), short(sorted(local)[0]))


def short(digest: str) -> str:
    """sha256:0123456789abcdef... -> 0123456789ab."""
    return digest.rpartition(":")[2][:12]


def obstacles(scene: UpdateScene, policy: UpdatePolicy, services: Sequence[RunningService]) -> List[str]:
    """Why these services may not be replaced now, each with what to do."""
    found = []
    for service in services:
        name = service.name
        if service.unseen:
            found.append(
                "%s: the image it runs from is not in the engine any more, so no way would lead back to it" % name
            )
        if service.lost:
            found.append(
                "%s: by the files it would not have its volumes any more: %s; correct the files"
                % (name, "; ".join(service.lost))
            )
        if service.layer.unknown:
            found.append(
                "%s: in its writable layer, which goes with the container, lies what nobody has called data or not: %s%s; name it in data or in discard"
                % (name, ", ".join(service.layer.unknown[:5]), " and more" if len(service.layer.unknown) > 5 else "")
            )
        if service.layer.data and len(service.containers) > 1:
            found.append(
                "%s: %d containers have data in writable layers of their own" % (name, len(service.containers))
            )
        if service.variables and not policy.config_changes:
            found.append(
                "%s: the files by now give it other variables than it runs with (%s); run compose as usual first, or set config_changes"
                % (name, ", ".join(service.variables))
            )
    if scene.config_changes and not policy.config_changes and not any(service.variables for service in services):
        found.append(
            "%s would be replaced for what has changed in the compose files: run compose as usual first, or set config_changes"
            % ", ".join(scene.config_changes)
        )
    if scene.bystanders:
        found.append(
            "compose would replace %s as well, which is not meant: its image or its part of the files has changed since it was made; name its"
            " service as well, or give the image that it runs from its name back (docker tag)"
            % ", ".join(scene.bystanders)
        )
    # Who goes back does so because it is not well.
    if scene.unhealthy and policy.action != UNDO:
        found.append(
            "the shop is not well before the update, so nobody could tell what the update did: %s" % scene.unhealthy
        )
    needed = space_needed(services)
    if needed > scene.free_bytes:
        found.append(
            "there is no room to copy data out of writable layers: %s needed, %s free"
            % (format_size(needed), format_size(scene.free_bytes))
        )
    return found


def space_needed(services: Sequence[RunningService]) -> int:
    """Bytes that copies of writable layers may take, with some more for their form."""
    return sum(service.layer_bytes * 11 // 10 + (1 << 20) for service in services if service.layer.data)


def plan_update(scene: UpdateScene, policy: UpdatePolicy) -> Plan[UpdateWork]:
    """What an update does.

    Raises:
        MaintenanceError: it is refused; nothing is done.
    """
    plan: Plan[UpdateWork] = Plan()
    journal = scene.journal
    if journal is not None and journal.phase == REPLACING:
        cut_off = ", ".join(sorted(journal.services))
        if policy.action == REPORT:
            plan.warnings.append(
                "an update of %s was cut off: the next one first brings back what ran before it, or where migrations have run brings it to its end"
                % cut_off
            )
        else:
            work = SettleUpdate(tuple(sorted(journal.services)), bool(scene.migrated))
            reason = "an update of %s was cut off" % journal.at
            if scene.migrated:
                reason += "; it is brought to its end and not taken back, for %s" % scene.migrated
            else:
                reason += _logs_told(policy)
            plan.actions.append(Action("settle", cut_off, reason, work))
            return plan
    if policy.action == UNDO:
        return _plan_undo(scene, policy, plan)
    services = meant_services(scene, policy)
    meant = {service.name for service in services}
    for service in scene.services:
        if service.name not in meant:
            why = (
                "it holds the database, and is left alone unless it is named" if service.database else "it is not named"
            )
            state, told = availability(service, scene.registry.get(service.image))
            plan.kept.append(Kept(service.label, "%s; %s" % (why, told)))
    pulled: Dict[str, List[RunningService]] = {}
    built: List[RunningService] = []
    waiting: List[RunningService] = []
    silent = []
    for service in services:
        state, told = availability(service, scene.registry.get(service.image))
        answer = scene.registry.get(service.image)
        stale = bool(service.named_id) and service.named_id != service.image_id
        never = bool(service.build) or service.pull_policy == NEVER_PULLED
        if policy.action == REPORT:
            plan.kept.append(Kept(service.label, told))
        elif service.build and policy.build:
            built.append(service)
        elif stale and (state != NEWER or never or answer is None or _here(service, answer)):
            waiting.append(service)
        elif state == NEWER and policy.pull:
            pulled.setdefault(service.image, []).append(service)
        elif state == NEWER:
            plan.kept.append(Kept(service.label, "images are not to be pulled; %s" % told))
        else:
            plan.kept.append(Kept(service.label, told))
            if answer is not None and answer.silent and policy.pull:
                silent.append(service)
    if policy.action == REPORT:
        return plan
    if silent:
        raise MaintenanceError(
            "the registry does not answer for %s: %s"
            % (", ".join(service.label for service in silent), scene.registry[silent[0].image].problem),
            target=scene.project,
            next_step="Nothing was done. Try again, or name the other services in services.",
        )
    affected = [*(item for group in pulled.values() for item in group), *built, *waiting]
    if not affected:
        return plan
    _refuse(scene, policy, affected)
    names = tuple(sorted(service.name for service in affected))
    plan.actions.append(
        Action("record", ", ".join(names), "the images that run, for the way back", RecordImages(names))
    )
    for image, group in sorted(pulled.items()):
        reason = availability(group[0], scene.registry.get(image))[1]
        users = tuple(service.name for service in group)
        plan.actions.append(Action("pull", image, reason, PullImage(image, users)))
    for service in built:
        reason = "built anew%s, from %s" % (" without cache" if policy.no_cache else "", service.build)
        plan.actions.append(
            Action("build", service.label, reason, BuildImage(service.name, service.image, policy.no_cache))
        )
    carried = ["%s:%s" % (service.name, path) for service in affected for path in service.layer.data]
    reason = "where the image is another one then" if built and not (pulled or waiting) else "for the newer images"
    if waiting:
        here = ["%s %s" % (service.name, short(service.named_id)) for service in waiting]
        reason += "; here already: %s" % ", ".join(here)
    if carried:
        reason += "; copied out and put back: %s" % ", ".join(carried)
    reason += _logs_told(policy)
    plan.actions.append(
        Action("replace", ", ".join(names), reason, ReplaceContainers(names), space_needed(affected), bool(built))
    )
    return plan


def _logs_told(policy: UpdatePolicy) -> str:
    """What becomes of the logs of the containers that are replaced."""
    if policy.logs_dest:
        return "; what they have logged is collected before, into %s" % policy.logs_dest
    return "; their logs go with them, for logs_dest is not set"


def _here(service: RunningService, answer: RegistryAnswer) -> bool:
    return answer.digest in {digest.rpartition("@")[2] for digest in service.digests}


def _refuse(scene: UpdateScene, policy: UpdatePolicy, services: Sequence[RunningService]) -> None:
    against = obstacles(scene, policy, services)
    if against:
        raise MaintenanceError(
            "the update is refused: %s" % ". ".join(against),
            target=scene.project,
            next_step="Nothing was done.",
            details={"obstacles": against},
        )


def _plan_undo(scene: UpdateScene, policy: UpdatePolicy, plan: Plan[UpdateWork]) -> Plan[UpdateWork]:
    """Back to the images that ran before the last update."""
    recorded = scene.journal.services if scene.journal is not None else {}
    running = {service.name: service for service in scene.services}
    back: List[Tuple[str, str]] = []
    for name, entry in sorted(recorded.items()):
        service = running.get(name)
        if policy.services and name not in policy.services:
            continue
        if service is None:
            plan.kept.append(Kept(name, "it does not run"))
        elif service.image_id == entry.image_id and service.named_id == entry.image_id:
            plan.kept.append(Kept(service.label, "it runs from the image that it had before the last update"))
        else:
            back.append((name, entry.image_id))
    if not back:
        if not recorded:
            plan.kept.append(Kept(scene.project, "no update of it is recorded here"))
        return plan
    _refuse(scene, policy, [running[name] for name, _image in back])
    names = tuple(name for name, _image in back)
    reason = "back to %s" % ", ".join("%s from %s" % (name, short(image)) for name, image in back)
    carried = ["%s:%s" % (name, path) for name in names for path in running[name].layer.data]
    if carried:
        reason += "; copied out and put back: %s" % ", ".join(carried)
    reason += _logs_told(policy)
    plan.actions.append(Action("replace", ", ".join(names), reason, ReplaceContainers(names, tuple(back))))
    return plan


def image_rows(scene: UpdateScene) -> List[Dict[str, Any]]:
    """What is returned of each service's image."""
    rows = []
    for service in scene.services:
        state, why = availability(service, scene.registry.get(service.image))
        rows.append(
            {
                "service": service.name,
                "containers": list(service.names),
                "image": service.image,
                "image_id": service.image_id,
                "digests": list(service.digests),
                "state": state,
                "reason": why,
                "database": service.database,
                "layer_data": list(service.layer.data),
            }
        )
    return rows
