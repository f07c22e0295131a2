# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an object can be had again after its removal, in words and commands for people. Pure.

Nothing here tells the environment or the command of a container: they may hold secrets.
"""

from __future__ import annotations

import shlex
from typing import List, Mapping

from .inventory import PROJECT_LABEL, SERVICE_LABEL, SWARM_SERVICE_LABEL, Container, Image, Inventory, Network, Volume
from .project import compose_files_of, env_files_of, working_directory_of

_ONE_OFF = "com.docker.compose.oneoff"


def container_again(container: Container) -> str:
    labels = container.labels
    if labels.get(SWARM_SERVICE_LABEL):
        return "the swarm makes new tasks of the service %s by itself" % labels[SWARM_SERVICE_LABEL]
    service = labels.get(SERVICE_LABEL, "")
    if container.project and service:
        if labels.get(_ONE_OFF, "").lower() == "true":
            return command(*compose_call(labels), "run", service)
        return command(*compose_call(labels), "up", "--detach", "--no-deps", service)
    return "no compose file says how it was set up: make it anew, of the image %s (%s)" % (
        container.image,
        container.image_id,
    )


def image_again(image: Image, inventory: Inventory) -> str:
    project, service = image.labels.get(PROJECT_LABEL, ""), image.labels.get(SERVICE_LABEL, "")
    if project and service:
        labels = next((item.labels for item in inventory.containers if item.project == project), image.labels)
        return command(*compose_call(labels), "build", service)
    if not image.digests:
        return "it was built or loaded here, and is in no registry that the engine knows of: build or load it again"
    commands = [command("docker", "pull", image.digests[0])]
    commands += [command("docker", "tag", image.digests[0], tag) for tag in image.tags if "@" not in tag]
    # This store gives every image a digest, also one that was never pushed.
    doubt = " (if a registry has it: the containerd store does not tell)" if inventory.store != "classic" else ""
    return " && ".join(commands) + doubt


def network_again(network: Network) -> str:
    project = network.labels.get(PROJECT_LABEL, "")
    if project:
        return "docker compose up of the project %s makes it" % project
    return command("docker", "network", "create", "--driver", network.driver, *network.made, network.name)


def volume_again(volume: Volume) -> str:
    labels = [part for key, value in sorted(volume.labels.items()) for part in ("--label", "%s=%s" % (key, value))]
    made = command("docker", "volume", "create", *labels, volume.name)
    return "%s makes an empty one; what was in it only a backup has" % made


def cache_again() -> str:
    return "the next build makes it"


def compose_call(labels: Mapping[str, str]) -> List[str]:
    """How compose is called for the project of a container."""
    found = ["docker", "compose", "--project-name", labels.get(PROJECT_LABEL, "")]
    if working_directory_of(labels):
        found += ["--project-directory", working_directory_of(labels)]
    for option, paths in (("--file", compose_files_of(labels)), ("--env-file", env_files_of(labels))):
        found += [part for path in paths for part in (option, path)]
    return found


def command(*words: str) -> str:
    """Words as a shell takes them."""
    return " ".join(shlex.quote(word) for word in words)
