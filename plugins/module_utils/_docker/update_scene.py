# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look at a compose project as its containers' labels tell of it, and at what registries have of its images. Changes nothing."""

from __future__ import annotations

import os
import re
from dataclasses import field, replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .client import Docker, DockerUnavailable, EngineError
from .compose_config import (
    ConfiguredService,
    changed_variables,
    dependents,
    lost_mounts,
    mount_points,
    read_config,
    replaced_in,
    start_order,
)
from .compose_program import ComposeProgram
from .project import Project, ServiceContainer, find_project
from .update_plan import (
    RegistryAnswer,
    RunningService,
    UpdatePolicy,
    UpdateScene,
    meant_services,
    refuse_missing_files,
    refuse_project,
    refuse_undefined,
)
from .writable_layer import LayerContent, sort_changes

_DATABASE = re.compile(r"(^|[/_-])mongo(db)?([_:@-]|$)")
# Recreates nothing, pulls and builds nothing; with what a service depends on, since without it (--no-deps) compose 2.26 writes
# another hash into the new container's label, and the next plain `up` replaces it again.
BRING_UP = ("up", "--no-start", "--no-build", "--pull", "never")


@dataclass(frozen=True)
class UpdatePlace:
    """Where an update works, as the module's options say.

    Attributes:
        root: the shop's directory.
        files, env_files, directory: in place of those that the labels name.
        data: the paths that are data, by service; discard patterns of those that are none.
        registry_seconds: how long a registry may take to answer.
    """

    root: str
    program: str
    compose_seconds: float
    registry_seconds: int
    files: Tuple[str, ...] = ()
    env_files: Tuple[str, ...] = ()
    directory: str = ""
    data: Mapping[str, Tuple[str, ...]] = field(default_factory=dict)
    discard: Tuple[str, ...] = ()


def is_database(service: str, image: str, mounts: Mapping[str, Any]) -> bool:
    """Whether a service is the database: by its name, its image's name, or what it has mounted."""
    if re.search(r"mongo-?express", "%s %s" % (service, image)):
        return False
    return bool(_DATABASE.search(service) or _DATABASE.search(image.rpartition("/")[2]) or "/data/db" in mounts)


def locate(docker: Docker, place: UpdatePlace, cut_off: Callable[[str], bool]) -> Tuple[Project, ComposeProgram]:
    """The shop's project and how compose is called for it.

    Args:
        cut_off: whether an update of the project of this name was cut off, which may have left nothing of it running.

    Raises:
        MaintenanceError: there is none, or nobody knows its files.
    """
    containers = docker.containers()
    names = {str((raw.get("Labels") or {}).get("com.docker.compose.project") or "") for raw in containers}
    project = find_project(containers, place.root).project
    stopped = project is not None and cut_off(project.name)
    refuse_project(project, place.files, place.root, sorted(name for name in names if name), stopped)
    if project is None:  # said above
        raise MaintenanceError("no compose project of the shop runs here", target=place.root)
    files = place.files or project.files
    env_files = place.env_files or project.env_files
    refuse_missing_files(project.name, [path for path in (*files, *env_files) if not os.path.isfile(path)])
    directory = place.directory or project.working_dir
    if not os.path.isdir(directory):
        directory = os.path.dirname(files[0])
    return project, ComposeProgram(
        place.program, docker.docker_host, project.name, directory, files, env_files, place.compose_seconds
    )


def read_project_config(compose: ComposeProgram) -> Dict[str, ConfiguredService]:
    """What compose makes of the project's files. It holds secrets: nothing of it is shown but names.

    Raises:
        MaintenanceError: compose does not accept the files.
    """
    output, _beside = compose.run(
        "compose does not accept the project's files", compose.project, "--profile", "*", "config", "--format", "json"
    )
    try:
        return read_config(output)
    except (ValueError, TypeError, AttributeError) as error:
        raise MaintenanceError(
            "docker compose config gave something that is not understood: %s" % error,
            target=compose.project,
            next_step="It takes Docker Compose 2.20 or newer.",
        ) from error


def look(
    docker: Docker,
    place: UpdatePlace,
    project: Project,
    compose: ComposeProgram,
    config: Mapping[str, ConfiguredService],
    policy: UpdatePolicy,
    settling: bool = False,
    also: Sequence[str] = (),
) -> UpdateScene:
    """All that an update is decided by, but the registries' answers and the journal.

    Args:
        settling: an update that was cut off is brought to its end first, and nothing is planned beside that.
        also: services that count although they do not run, as those that an update has left dying.
    """
    running: Dict[str, List[ServiceContainer]] = {}
    for container in project.containers:
        if container.running or container.service in also:
            running.setdefault(container.service, []).append(container)
    refuse_undefined(project.name, [name for name in running if name not in config], compose.files)
    services = tuple(_service(docker, place, config[name], running[name]) for name in sorted(running))
    scene = UpdateScene(project.name, services, tuple(start_order(list(running), config)))
    if settling:
        return scene
    meant = [service.name for service in meant_services(scene, policy)]
    if not meant:
        return scene
    would = replaced_in(dry_run(compose, scene, meant))
    own = {name: service for service in services if service.name in meant for name in service.names}
    stale = {name for name, service in own.items() if service.named_id and service.named_id != service.image_id}
    # What depends on a container that is replaced is replaced with it by compose, with nothing changed in its own part.
    follows = set(dependents(sorted({own[name].name for name in stale}), config))
    return replace(
        scene,
        bystanders=tuple(name for name in would if name not in own),
        config_changes=tuple(
            name for name in would if name in own and name not in stale and own[name].name not in follows
        ),
    )


def dry_run(compose: ComposeProgram, scene: UpdateScene, services: Sequence[str]) -> str:
    """What compose says it would do for these services."""
    arguments = ["--dry-run", *bring_up(scene, services)]
    return "\n".join(compose.run("compose cannot tell what it would do", compose.project, *arguments))


def bring_up(scene: UpdateScene, services: Sequence[str]) -> List[str]:
    """The arguments by which compose makes the containers of these services, as many of each as there are, and starts none."""
    scales: List[str] = []
    for service in scene.services:
        if len(service.containers) > 1:
            scales += ["--scale", "%s=%d" % (service.name, len(service.containers))]
    return [*BRING_UP, *scales, *services]


def inspect(docker: Docker, container: str, sizes: bool = False) -> Dict[str, Any]:
    return dict(docker.get("/containers/%s/json" % container, size=1 if sizes else 0))


def image_details(docker: Docker, name: str) -> Optional[Dict[str, Any]]:
    """An image by name or id; None when the engine has none."""
    with docker.errors("cannot look at the image", name):
        try:
            return dict(docker.api.inspect_image(name))
        except Exception as error:
            if getattr(getattr(error, "response", None), "status_code", 0) == 404:
                return None
            raise


def _service(
    docker: Docker, place: UpdatePlace, configured: ConfiguredService, containers: Sequence[ServiceContainer]
) -> RunningService:
    first = inspect(docker, containers[0].id, sizes=True)
    image_id = str(first.get("Image") or "")
    own = image_details(docker, image_id)
    named = image_details(docker, configured.image)
    layers = [read_layer(docker, container.id, configured.name, place) for container in containers]
    mounts = mount_points(first)
    return RunningService(
        configured.name,
        tuple(container.id for container in containers),
        tuple(container.name for container in containers),
        configured.image,
        image_id,
        str((named or {}).get("Id") or ""),
        tuple((named or {}).get("RepoDigests") or ()),
        configured.build,
        configured.pull_policy,
        is_database(configured.name, configured.image, mounts),
        LayerContent(
            tuple(dict.fromkeys(path for layer in layers for path in layer.data)),
            tuple(dict.fromkeys(path for layer in layers for path in layer.unknown)),
        ),
        int(first.get("SizeRw") or 0),
        mounts,
        tuple(lost_mounts(configured, first)),
        tuple(changed_variables(configured, first, (own or {}).get("Config") or {})),
        own is None,
        tuple((own or {}).get("RepoDigests") or ()),
        tuple((own or {}).get("RepoTags") or ()),
    )


def read_layer(docker: Docker, container: str, service: str, place: UpdatePlace) -> LayerContent:
    """What lies in a container's writable layer. Empty directories are no data."""
    detail = inspect(docker, container)
    mounted = [str(mount.get("Destination") or "").rstrip("/") for mount in detail.get("Mounts") or []]
    mounted += [path.rstrip("/") for path in (detail.get("HostConfig") or {}).get("Tmpfs") or {}]
    changes = docker.get("/containers/%s/changes" % container) or []
    data = [path for path in place.data.get(service, ()) if not any(_inside(path, spot) for spot in mounted)]
    found = sort_changes(changes, mounted, data, place.discard)
    unknown = [path for path in found.unknown if not _is_directory(docker, container, path)]
    return replace(found, unknown=tuple(unknown))


def _inside(path: str, spot: str) -> bool:
    return path == spot or path.startswith(spot.rstrip("/") + "/")


def _is_directory(docker: Docker, container: str, path: str) -> bool:
    """The engine does not say of a change whether it is a directory."""
    with docker.errors("cannot look into the container", "%s:%s" % (container[:12], path)):
        stream, status = docker.api.get_archive(container, path)
        stream.close()
    # Go's bit for a directory (io/fs.ModeDir).
    return bool(int(status.get("mode") or 0) & 0x80000000)


def ask_registries(docker_host: str, seconds: int, images: Sequence[str]) -> Dict[str, RegistryAnswer]:
    """What each image's name stands for in its registry by now, asked through the engine, with its credentials.

    One that does not answer is not asked again for another image.
    """
    answers: Dict[str, RegistryAnswer] = {}
    silent: Dict[str, RegistryAnswer] = {}
    if not images:
        return answers
    with Docker.connect(docker_host, seconds) as docker:
        for image in images:
            registry = image.partition("/")[0] if "/" in image else ""
            answers[image] = silent.get(registry) or _ask(docker, image)
            if answers[image].silent:
                silent[registry] = answers[image]
    return answers


def _ask(docker: Docker, image: str) -> RegistryAnswer:
    try:
        with docker.errors("cannot ask for the image", image):
            found = docker.api.inspect_distribution(image)
    except DockerUnavailable as error:
        if error.reason != "timeout":
            raise
        return RegistryAnswer(problem="its registry does not answer within %d s" % docker.timeout, silent=True)
    except EngineError as error:
        # 401 and 404 are answers: no such image there, or none that we may see.
        heard = error.status in (401, 403, 404) or "manifest unknown" in error.words or "denied" in error.words
        said = "says" if heard else "does not answer"
        return RegistryAnswer(problem="its registry %s: %s" % (said, error.words), silent=not heard)
    return RegistryAnswer(str((found.get("Descriptor") or {}).get("digest") or ""))
