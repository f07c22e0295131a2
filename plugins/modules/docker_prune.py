#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_prune
short_description: Removes exactly the Docker objects that it planned to remove
version_added: 0.1.0
description:
  - Removes containers, images, build cache, networks and volumes that nothing uses, as far as the options name them. By default it removes nothing.
  - Each object goes by itself, without force, and only when it was in the plan and no container uses it at the moment of its removal. A few go side by
    side, kind after kind. What changed since the plan is told by the engine's events; where those cannot be relied on (Podman, an address on the network) by
    a full look before each.
  - The engine's own prune, which takes whatever is unused by then, is never called. The one request of that name is for build cache, with the id of a
    single entry.
  - What is in use is judged from the containers, running and stopped, and not from what the engine says about it. A volume that any container mounts, by
    name or by source, stays. Engine 27.4 and later would give such a volume away, with its data. A source counts wherever it really lies, links followed
    and mounts seen through, and when it is the volume's directory, a part of it, or a directory above it; with C(/) mounted somewhere, as monitoring agents do,
    every volume stays.
  - Volumes and networks stay, all of them, while the engine has containers that it does not list, as after a change of its image store, and also where that
    cannot be seen. To see it the module must run on the Docker host, as root, with a V(unix://) address.
  - What only a container of the same plan uses goes with it, except volumes. A removed container's anonymous volumes stay for now, and are seen on their
    own by the next run.
  - Each object that stays of the kinds asked for is returned with the reason.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.docker
  - miniecom.maintenance.given
  - miniecom.maintenance.run
attributes:
  check_mode:
    details:
      - Stops after planning; nothing at all is changed on the host.
      - Bytes are exact but for images under the containerd store, or where build cache holds on to their layers, for which there is a least and a most.
options:
  containers:
    description:
      - V(stopped) removes containers that have exited, or were made and never started.
      - Containers of a compose project stay, unless O(only_labels) names the project as V(com.docker.compose.project=NAME). So do those whose network,
        processes or memory another container shares that stays and would not start without them.
      - Containers with a restart policy stay, unless O(container_names) names them. The next start of the engine brings back those of V(always), and those
        of V(on-failure) when they were stopped by a signal; those of V(unless-stopped) are services that somebody stopped.
      - Tasks of a swarm's services stay. The swarm keeps as many old ones as it was told to, and removes them itself.
      - A container that is half removed (dead) stays. Under the containerd store it keeps the engine from telling the sizes of all others; a warning then
        names it and what to do, and everything else goes on without these sizes.
    type: str
    choices: [none, stopped]
    default: none
  container_names:
    description:
      - Exact names of stopped containers that go although they have a restart policy. All other rules hold for them as well.
      - With O(containers=none) no other containers are looked at.
    type: list
    elements: str
    default: []
  images:
    description:
      - V(dangling) removes images without any tag that no container uses, V(unused) all that no container uses.
      - An image that another one was built upon by the classic builder, or by C(docker commit), goes after that one, and stays as long as that one stays.
        The engine would refuse.
      - An image that a container mounts (C(--mount type=image)) counts as used, which the engine itself does not see.
      - With V(unused) the images stay as well of services that have no container now, of a swarm (also with 0 replicas) or of a compose file, whatever its
        profile. Compose files are those that the labels of containers name, those beside them in the same directory, what they include, and
        O(compose_paths). A variable in the name of an image stands for anything. So does an image stay whose name a container was made from, be it by now
        another image. Where not all services can be known a warning says so.
      - An image goes with all its names or not at all. Where a container takes it in between, the names that it has lost are given back.
    type: str
    choices: [none, dangling, unused]
    default: none
  volumes:
    description:
      - V(anonymous) removes volumes that were made without a name and that no container mounts. Data in them is lost.
      - Where the engine set no label for that (before Engine 26, and on 26 in part), a name of 64 hexadecimal digits counts, if the volume has no labels
        and no options at all.
      - Volumes of other drivers, and local ones with options, which are mounts of something else, always stay. So does a volume whose directory another
        volume is a mount of (driver options C(o=bind) and C(device)), as its containers do not show.
      - Volumes stay as well, named or not, that a service of a swarm mounts or a compose file declares, although no container mounts them now. Compose files
        are those of O(images). The names of a project that is down are its directory's, its C(name) and C(COMPOSE_PROJECT_NAME) of the C(.env) beside it.
    type: str
    choices: [none, anonymous]
    default: none
  volume_names:
    description:
      - Exact names of volumes to remove, if no container mounts them. Data in them is lost. All other rules of O(volumes) hold for them as well.
    type: list
    elements: str
    default: []
  networks:
    description:
      - V(unused) removes networks that no container is connected to, or would be on its next start. Those of a compose project that has containers stay,
        and those that a compose file declares, external ones included.
    type: str
    choices: [none, unused]
    default: none
  build_cache:
    description:
      - V(unused) removes build cache that is not in use, not shared with an image that stays, and not the base of an entry that stays.
      - What is shared with an image that goes in the same run goes with it. Which entries these are is told by their size. Under the containerd store that is a
        guess, and an entry that is another image's after all is V(skipped).
    type: str
    choices: [none, unused]
    default: none
  build_cache_mounts:
    description:
      - With O(build_cache=unused) also remove cache mounts (C(RUN --mount=type=cache)), by which package managers keep what they have downloaded. The
        entries are of type C(exec.cachemount). By default they stay, and are listed with that reason.
    type: bool
    default: false
  older_than:
    description:
      - What anything has happened to within this time stays, for example V(7d) or V(12h). It means the same for each kind, the last moment that is known to
        have made or used the object.
      - For a container that is when it stopped, or was made if it was never started. For an image when it was made, or given its name here, if later and if
        the engine knows it. For build cache when it was last used. For a network when it was made. For a volume when it was made, or when something was last
        made, renamed or removed at the top of its directory.
      - Engines know when an image was named by C(docker tag) or a build, and not when it was pulled. An image that was pulled yesterday and made last year
        counts as old. Where that matters name it in O(protect), or set O(keep_per_repository).
      - A date before 2013, when there was no Docker, or in the future is none, such as the 1970 or 1980 of images that are built to be the same each time. What
        is of unknown age stays.
    type: str
    default: 0s
  keep_per_repository:
    description:
      - How many of the newest images of each repository stay, used ones included, and those without a tag that were pulled from it.
      - An image of unknown age counts as the newest.
    type: int
    default: 0
  protect:
    description: What stays whatever else is asked for.
    type: dict
    default: {}
    suboptions:
      labels:
        description: Labels, as V(key) or V(key=value), of containers, images, networks and volumes.
        type: list
        elements: str
        default: []
      names:
        description:
          - Shell patterns for names of containers, networks and volumes, and for images for tags, repositories, digests (V(mongo@sha256:*)) and short ids.
        type: list
        elements: str
        default: []
      projects:
        description: Names of compose projects and of stacks, all of whose objects stay.
        type: list
        elements: str
        default: []
  only_labels:
    description:
      - Only objects with one of these labels, as V(key) or V(key=value), are touched. Build cache has no labels, and is then left alone. Empty means no
        such limit.
    type: list
    elements: str
    default: []
  compose_paths:
    description:
      - Compose files, or directories with such files, whose services' images, volumes and networks stay although nothing was made from them on this engine.
      - What cannot be read is told by a warning.
    type: list
    elements: path
    default: []
  max_delete:
    description:
      - Fail, before anything is removed and also in check mode, when more objects than this would go; each entry of the build cache is one. Default is no
        limit.
    type: int
  target_free:
    description:
      - Remove no more than is needed to have this much free on the file system of Docker's data, for example V(20GiB).
      - The oldest and largest go first, whatever their kind. An object's rank is its age times the bytes that come free by it at most. What has to go before
        another one goes with it, such as the container that was made from an image. What frees nothing, such as a network, stays.
      - Before each object it is looked how much is free, and once it is enough nothing further goes. What others write meanwhile counts as well, so this is as
        good as it can be and no better.
    type: str
notes:
  - On a socket of Podman containers, images, networks and volumes are judged by the same rules; containers of its pods stay. It has no build cache to be
    removed, and does not tell how many bytes of images come free, so those are between nothing and their size and are not measured.
  - To remove a volume that a container has just given up takes two runs.
  - Between the last look and the removal of a volume lies a thousandth of a second in which somebody may make a container that mounts it. No engine can
    rule this out.
  - Run as root on the Docker host, else no volumes and no networks are removed, and the logs of stopped containers are not counted.
seealso:
  - module: miniecom.maintenance.docker_prune_info
  - module: miniecom.maintenance.docker_usage_info
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Weekly clean-up
  miniecom.maintenance.docker_prune:
    containers: stopped
    images: dangling
    build_cache: unused
    older_than: 7d

- name: See what would go if all unused images went, the two newest of each repository excepted
  miniecom.maintenance.docker_prune:
    images: unused
    keep_per_repository: 2
    older_than: 30d
    protect:
      names: ["registry.example.com/base/*"]
      projects: [miniecom]
  check_mode: true
  diff: true

- name: Remove the volume of a partner's import that ended, and nothing else
  miniecom.maintenance.docker_prune:
    volume_names: [partner_import]

- name: Make room for a backup
  miniecom.maintenance.docker_prune:
    build_cache: unused
    images: dangling
    target_free: 20GiB
    max_delete: 500

- name: Clean up after a test project
  miniecom.maintenance.docker_prune:
    containers: stopped
    networks: unused
    only_labels: [com.docker.compose.project=miniecom_test]
"""

RETURN = r"""
changed:
  description: Whether anything was removed; in check mode whether anything would be.
  returned: always
  type: bool
plan:
  description: What to remove, in order.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: V(remove_container), V(remove_image), V(remove_build_cache), V(remove_network) or V(remove_volume).
      type: str
    target:
      description: Name of the container, network or volume, tag or short id of the image, id of the build cache.
      type: str
    reason:
      description: Why it goes.
      type: str
    bytes:
      description: Bytes that come free by it at least.
      type: int
    predicted:
      description: The bytes are not exact.
      type: bool
    again:
      description:
        - How to have it again, as the digest by which to pull an image or the compose service of a container. The record of the run keeps it, where
          M(miniecom.maintenance.docker_prune_info) finds it. Neither the environment nor the command of a container is ever in it.
      type: str
  sample:
    - action: remove_image
      target: 0fcc6ad7c790
      reason: dangling, made 40 d ago
      bytes: 4194308
kept:
  description: What stays of the kinds that were asked for, and why.
  returned: always
  type: list
  elements: dict
  sample:
    - target: volume miniecom_mongo_data
      reason: mounted by the container miniecom_mongo (running)
actions:
  description:
    - What was done. An object that was gone, in use or changed by then is V(skipped), with the reason in C(note).
    - What the engine refuses for another reason, as an authorization plugin may have, is V(failed), and so is what it did not answer in time. A warning says
      so when that is gone all the same. When the engine goes away nothing further is tried, and what is left of the plan is in the plan alone.
  returned: always
  type: list
  elements: dict
  sample:
    - action: remove_image
      target: 0fcc6ad7c790
      status: done
      bytes: 4194308
      seconds: 0.012
counts:
  description: How many entries the lists have, which are cut at 200.
  returned: always
  type: dict
docker:
  description: Why no engine could be talked to.
  returned: when no engine could be talked to
  type: dict
  contains:
    available:
      description: Always false.
      type: bool
    reason:
      description:
        - V(missing) and V(refused) say that there is no engine at that address.
        - V(permission), V(timeout), V(tls), V(version), V(address) and V(connection) say that it cannot be told, or that it does not work.
      type: str
    docker_host:
      description: Where it was looked for.
      type: str
summary:
  description: The few numbers a person wants. When the module fails before it removes anything, only C(headline) and C(seconds) are there.
  returned: always
  type: dict
  contains:
    headline:
      description: One sentence.
      type: str
    bytes:
      description: Bytes freed; in check mode the least that would be.
      type: int
    bytes_freed:
      description:
        - Bytes that came free, as measured. Of images what the engine's sum of layers fell by, less what build cache still holds of it.
        - Under the containerd store with build cache, the least that came free. No engine tells which of the images' compressed layers build cache holds.
      type: int
    bytes_predicted:
      description: Bytes that were expected at least of what was removed; in check mode of the plan.
      type: int
    bytes_predicted_max:
      description: The same at most.
      type: int
    store:
      description: The image store, V(classic) or V(containerd).
      type: str
    containers_removed:
      description: How many containers went; in check mode would go. Likewise for the other kinds.
      type: int
    images_removed:
      description: How many images.
      type: int
    build_cache_removed:
      description: How many entries of the build cache.
      type: int
    networks_removed:
      description: How many networks.
      type: int
    volumes_removed:
      description: How many volumes.
      type: int
    objects_kept:
      description: How many stay of the kinds that were asked for.
      type: int
    objects_skipped:
      description: How many were planned and then left alone.
      type: int
    seconds:
      description: How long the module took.
      type: float
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import GIVEN_ARGUMENTS, RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run
from ..module_utils._docker.client import DOCKER_ARGUMENTS
from ..module_utils._docker.pruning import DockerPrune

SPEC = (
    ArgumentSpec(
        {
            "containers": {"type": "str", "choices": ["none", "stopped"], "default": "none"},
            "container_names": {"type": "list", "elements": "str", "default": []},
            "images": {"type": "str", "choices": ["none", "dangling", "unused"], "default": "none"},
            "volumes": {"type": "str", "choices": ["none", "anonymous"], "default": "none"},
            "volume_names": {"type": "list", "elements": "str", "default": []},
            "networks": {"type": "str", "choices": ["none", "unused"], "default": "none"},
            "build_cache": {"type": "str", "choices": ["none", "unused"], "default": "none"},
            "build_cache_mounts": {"type": "bool", "default": False},
            "older_than": {"type": "str", "default": "0s"},
            "keep_per_repository": {"type": "int", "default": 0},
            "protect": {
                "type": "dict",
                "default": {},
                "options": {
                    "labels": {"type": "list", "elements": "str", "default": []},
                    "names": {"type": "list", "elements": "str", "default": []},
                    "projects": {"type": "list", "elements": "str", "default": []},
                },
            },
            "only_labels": {"type": "list", "elements": "str", "default": []},
            "compose_paths": {"type": "list", "elements": "path", "default": []},
            "max_delete": {"type": "int"},
            "target_free": {"type": "str"},
        }
    )
    + DOCKER_ARGUMENTS
    + GIVEN_ARGUMENTS
    + RUN_ARGUMENTS
)


def main() -> None:
    run(DockerPrune, SPEC)


if __name__ == "__main__":
    main()
