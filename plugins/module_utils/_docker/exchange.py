# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containers of other images in the place of those that run, with the data of their writable layers: there and back.

At every instant the data are in a container that is named as whole in the journal, or in files on the host that were compared
with it, or in both. Whoever is killed leaves a journal by which the next call brings back what ran before.
"""

from __future__ import annotations

import time
from dataclasses import field, replace
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .client import Docker
from .compose_config import mount_points
from .compose_program import ComposeProgram
from .update_journal import RecordedService, UpdateJournal, layer_copy_path, write_update
from .update_plan import UpdateScene, short
from .update_scene import UpdatePlace, bring_up, image_details, inspect, read_layer
from .writable_layer import REMOVED, copy_out, put_into

NEVER = "0001-01-01T00:00:00Z"
# A container that is started anew more often is not coming up.
MOST_RESTARTS = 3
RUNNING, BEFORE = "running", "before"


@dataclass
class Exchange:
    """One project under way.

    Attributes:
        journal: what lies on the disk.
        collect_logs: collects what containers of these ids have logged, and tells of each by name; None where nobody wants that.
        steps: what was done, in order, for people.
    """

    docker: Docker
    compose: ComposeProgram
    place: UpdatePlace
    scene: UpdateScene
    state_dir: str
    journal: UpdateJournal
    collect_logs: Optional[Callable[[Sequence[str]], Sequence[Tuple[str, str]]]] = None
    steps: List[Dict[str, Any]] = field(default_factory=list)

    def write(self, **changes: Any) -> None:
        self.journal = replace(self.journal, **changes)
        write_update(self.state_dir, self.journal)

    def step(self, what: str, target: str, note: str = "") -> None:
        entry = {"step": what, "target": target}
        if note:
            entry["note"] = note
        self.steps.append(entry)

    # -- names of images -----------------------------------------------------------------------------------------

    def keep_images(self, services: Sequence[str], tag: str) -> None:
        """Give each recorded image a second name: a build or a pull takes the first one away, and then it is anybody's to remove.

        Args:
            tag: RUNNING, before anything is done; BEFORE, when it was done, and this is what to go back to.
        """
        for service in services:
            entry = self.journal.services[service]
            repository = "miniecom-update/%s" % self.scene.project.lower()
            self._name(entry.image_id, repository, "%s-%s" % (service, tag))

    def give_names_back(self, services: Sequence[str]) -> None:
        """Let the names in the compose files stand for the recorded images again."""
        for service in services:
            entry = self.journal.services[service]
            named = image_details(self.docker, entry.image)
            if named is None or named.get("Id") != entry.image_id:
                repository, _colon, tag = entry.image.rpartition(":")
                if not repository or "/" in tag:
                    repository, tag = entry.image, "latest"
                self._name(entry.image_id, repository, tag)
                self.step("name", service, "%s is %s again" % (entry.image, short(entry.image_id)))

    def _name(self, image_id: str, repository: str, tag: str) -> None:
        if "@" in repository:
            return  # by its digest a name stands for one image for ever
        with self.docker.errors("cannot name the image", "%s:%s" % (repository, tag)):
            self.docker.api.tag(image_id, repository, tag, force=True)

    # -- containers ----------------------------------------------------------------------------------------------

    def containers(self, service: str) -> List[Dict[str, Any]]:
        """The containers of a service, stopped ones too, in their order."""
        found = []
        for raw in self.docker.containers():
            labels = raw.get("Labels") or {}
            mine = labels.get("com.docker.compose.project") == self.scene.project
            once = str(labels.get("com.docker.compose.oneoff", "False")).lower() == "true"
            if mine and not once and labels.get("com.docker.compose.service") == service:
                found.append(raw)
        return sorted(found, key=lambda raw: str(raw.get("Names")))

    def stop(self, services: Sequence[str]) -> None:
        for service in reversed(services):
            for raw in self.containers(service):
                if raw.get("State") in ("running", "restarting", "paused"):
                    with self.docker.errors("cannot stop the container", service):
                        # The engine waits as long as the container is given to stop, and answers then.
                        self.docker.api.stop(raw["Id"])
                    self.step("stop", service)

    def start(self, services: Sequence[str]) -> None:
        for service in services:
            for raw in self.containers(service):
                if raw.get("State") != "running":
                    with self.docker.errors("cannot start the container", service):
                        self.docker.api.start(raw["Id"])
                    self.step("start", service)

    def require_as_seen(self, services: Sequence[str]) -> None:
        """Pulling and building take their time: look again at what is about to be replaced.

        Raises:
            MaintenanceError: it is not what was looked at, or something lies in a layer that nobody has called data or not.
        """
        for service in services:
            seen, found = self.journal.services[service].containers, [raw["Id"] for raw in self.containers(service)]
            if not set(seen) <= set(found):
                raise MaintenanceError(
                    "its containers are others than when this began",
                    target=service,
                    next_step="Somebody else works on the project. Run again when that has ended.",
                )
            for container in found:
                layer = read_layer(self.docker, container, service, self.place)
                odd = layer.unknown if container in seen else (*layer.data, *layer.unknown)
                if odd or (layer.data and len(found) > 1):
                    raise MaintenanceError(
                        "in its writable layer, which goes with the container, lies by now what would be lost: %s"
                        % ", ".join((odd or layer.data)[:5]),
                        target="%s (%s)" % (service, container[:12]),
                        next_step="Name it in data or in discard, and run again.",
                    )

    def save(self, services: Sequence[str]) -> None:
        """Copy what is data out of writable layers, of stopped containers that have it whole."""
        for service in services:
            for raw in self.containers(service):
                if raw["Id"] != self.journal.whole.get(service):
                    self._refuse_touched(service, raw["Id"])
                    continue
                if raw.get("State") in REMOVED and service in self.journal.saved:
                    # What was copied of it before is whole; what is left of it need not be.
                    continue
                data = read_layer(self.docker, raw["Id"], service, self.place).data
                files = {}
                for number, path in enumerate(data):
                    files[path] = layer_copy_path(self.state_dir, self.scene.project, service, number)
                    size = copy_out(self.docker, raw["Id"], path, files[path])
                    self.step("copy out", "%s:%s" % (service, path), "%d bytes, read back and compared" % size)
                self.write(saved={**self.journal.saved, service: files})

    def _refuse_touched(self, service: str, container: str) -> None:
        """Somebody has let a container run into which data are still to be put, or which nobody knows: what it wrote would be lost."""
        state = inspect(self.docker, container).get("State") or {}
        if self.journal.saved.get(service) and str(state.get("StartedAt") or NEVER) != NEVER:
            raise MaintenanceError(
                "somebody has started the container before its data were put back",
                target="%s (%s)" % (service, container[:12]),
                next_step="The data are in %s. Stop the container, look at what it wrote meanwhile, put them back by hand (docker cp), and remove"
                " the journal beside them." % ", ".join(sorted(self.journal.saved[service].values())),
            )
        if str(state.get("StartedAt") or NEVER) != NEVER:
            data = read_layer(self.docker, container, service, self.place).data
            if data:
                raise MaintenanceError(
                    "data lie in the writable layer of a container that was not there when this began: %s"
                    % ", ".join(data),
                    target="%s (%s)" % (service, container[:12]),
                    next_step="It would go with the container. Copy it out (docker cp), remove the container, and run again.",
                )

    def keep_logs(self, services: Sequence[str]) -> None:
        """Collect what stopped containers have logged, which goes with them."""
        if self.collect_logs is not None:
            ids = [raw["Id"] for service in services for raw in self.containers(service)]
            for name, note in self.collect_logs(ids):
                self.step("collect the log", name, note)

    def recreate(self, services: Sequence[str]) -> None:
        """Let compose make the containers that the images and files ask for, and put the data into each that is new."""
        before = {service.name: service for service in self.scene.services}
        self.compose.run(
            "compose cannot make the containers", ", ".join(services), *bring_up(self.scene, list(services))
        )
        for service in services:
            for raw in self.containers(service):
                detail = inspect(self.docker, raw["Id"])
                now = mount_points(detail)
                if service in before and dict(before[service].mounts) != now:
                    raise MaintenanceError(
                        "the new container does not have the volumes of the one before", target=service
                    )
                if raw["Id"] == self.journal.whole.get(service):
                    continue
                self.step("recreate", service, "from %s" % short(str(detail.get("Image") or "")))
                for path, source in sorted((self.journal.saved.get(service) or {}).items()):
                    count = put_into(self.docker, raw["Id"], path, source)
                    self.step("put back", "%s:%s" % (service, path), "%d entries, read back and compared" % count)
                self.write(whole={**self.journal.whole, service: raw["Id"]})

    def bring(self, services: Sequence[str]) -> None:
        """Stop, copy out, recreate, put back, start."""
        self.stop(services)
        self.save(services)
        self.keep_logs(services)
        self.recreate(services)
        self.start(services)

    def wait(
        self, services: Sequence[str], ask: Callable[[], str], patience: float, steady: float, pause: float = 0.5
    ) -> str:
        """Wait until the containers run and the shop is well, and has been for a while; "" then, else what is wrong with it.

        Args:
            ask: why the shop is not well, "" when it is.
            patience: seconds for it to become well; steady: seconds for which it has to stay so.
        """
        deadline, since = time.monotonic() + patience, 0.0
        restarts: Dict[str, int] = {}
        while True:
            problem, hopeless = self._running(services, restarts)
            problem = problem or ask()
            now = time.monotonic()
            if problem or hopeless:
                since = 0.0
                if hopeless or now >= deadline:
                    return problem
            else:
                since = since or now
                if now - since >= steady:
                    return ""
            time.sleep(pause)

    def _running(self, services: Sequence[str], restarts: Dict[str, int]) -> Tuple[str, bool]:
        """What is wrong with the containers, and whether there is no hope of it getting better by waiting.

        Args:
            restarts: how often each had been started anew when it was first looked at.
        """
        for service in services:
            found = self.containers(service)
            if not found:
                return "%s has no container" % service, True
            for raw in found:
                detail = inspect(self.docker, raw["Id"])
                state = detail.get("State") or {}
                status, code = str(state.get("Status") or ""), state.get("ExitCode")
                health = str((state.get("Health") or {}).get("Status") or "")
                count = int(detail.get("RestartCount") or 0)
                if count - restarts.setdefault(raw["Id"], count) >= MOST_RESTARTS:
                    return "%s ends with %s again and again" % (service, code), True
                if status in ("exited", "dead"):
                    return "%s has ended with %s" % (service, code), True
                if status != "running":
                    return "%s is %s" % (service, status), False
                if health in ("starting", "unhealthy"):
                    return "%s is %s by its own health check" % (service, health), False
        return "", False


def recorded_images(scene: UpdateScene, services: Sequence[str]) -> Dict[str, RecordedService]:
    """What the journal is to hold of these services."""
    return {
        service.name: RecordedService(
            service.image, service.image_id, service.running_digests, service.containers, service.running_tags
        )
        for service in scene.services
        if service.name in services
    }
