#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_usage_info
short_description: Tells what Docker holds, and what of it nothing uses
version_added: 0.1.0
description:
  - Returns for each kind of object how many there are, how large they are, and how many bytes would come free if all that nothing uses were removed.
  - What nothing uses is judged as M(miniecom.maintenance.docker_prune) does, from the containers, running and stopped. Containers of compose projects, and what
    they use, count as used also while they are stopped, and so do containers that have a restart policy. Volumes with a name that no container mounts
    count as unused here; M(miniecom.maintenance.docker_prune) removes such a volume only when it is named.
  - Where the engine has containers that it does not list, or where that cannot be seen (not on the Docker host, or not as root), all volumes and networks
    count as used, and a warning says so.
  - Under the classic image store the bytes of images are exact, layers that several images share counted once. Under the containerd store, or where build cache
    may hold on to layers of images, there is a least and a most.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.info
  - miniecom.maintenance.docker
  - miniecom.maintenance.run
options:
  largest:
    description: How many of the largest objects to list.
    type: int
    default: 10
notes:
  - Logs of running containers are not counted. Those of stopped ones are, when the module runs as root on the Docker host.
seealso:
  - module: miniecom.maintenance.docker_prune
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Look at what Docker holds
  miniecom.maintenance.docker_usage_info:
  register: docker

- name: Warn when more than 20 GiB could come free
  ansible.builtin.debug:
    msg: "{{ docker.summary.headline }}"
  when: docker.reclaimable_bytes > 20 * 1024 ** 3

- name: Look at another engine, which may be absent
  miniecom.maintenance.docker_usage_info:
    docker_host: unix:///run/user/1000/docker.sock
  register: docker
  failed_when: docker is failed and docker.docker.reason | default('') not in ['missing', 'refused']
"""

RETURN = r"""
engine:
  description: The engine.
  returned: success
  type: dict
  contains:
    docker_host:
      description: Where it is.
      type: str
    kind:
      description: V(docker) or V(podman).
      type: str
    version:
      description: Its version.
      type: str
    api_version:
      description: The version of the API that was spoken.
      type: str
    store:
      description: The image store, V(classic) or V(containerd).
      type: str
    root:
      description: The directory of its data.
      type: str
    hidden_containers:
      description: Containers on disk that the engine does not list, as after a change of its image store; null when that cannot be seen from here.
      type: int
containers:
  description: Containers, running and stopped. Unused are stopped ones outside compose projects.
  returned: success
  type: dict
  contains:
    total:
      description: How many there are.
      type: int
    unused:
      description: How many of them nothing uses.
      type: int
    bytes:
      description: Bytes of all. Of images, shared layers counted once; of build cache, without what it shares with images.
      type: int
    reclaimable_bytes:
      description: Bytes that come free at least when the unused ones are removed.
      type: int
    reclaimable_bytes_max:
      description: Bytes that come free at most; the same where it is known exactly.
      type: int
  sample:
    total: 7
    unused: 2
    bytes: 7340032
    reclaimable_bytes: 6291456
    reclaimable_bytes_max: 6291456
images:
  description: Images.
  returned: success
  type: dict
  contains:
    total:
      description: How many there are.
      type: int
    unused:
      description: How many of them nothing uses.
      type: int
    bytes:
      description: Bytes of all. Of images, shared layers counted once; of build cache, without what it shares with images.
      type: int
    reclaimable_bytes:
      description: Bytes that come free at least when the unused ones are removed.
      type: int
    reclaimable_bytes_max:
      description: Bytes that come free at most; the same where it is known exactly.
      type: int
volumes:
  description: Volumes.
  returned: success
  type: dict
  contains:
    total:
      description: How many there are.
      type: int
    unused:
      description: How many of them nothing uses.
      type: int
    bytes:
      description: Bytes of all. Of images, shared layers counted once; of build cache, without what it shares with images.
      type: int
    reclaimable_bytes:
      description: Bytes that come free at least when the unused ones are removed.
      type: int
    reclaimable_bytes_max:
      description: Bytes that come free at most; the same where it is known exactly.
      type: int
networks:
  description: Networks; they have no bytes.
  returned: success
  type: dict
  contains:
    total:
      description: How many there are.
      type: int
    unused:
      description: How many of them nothing uses.
      type: int
    bytes:
      description: Bytes of all. Of images, shared layers counted once; of build cache, without what it shares with images.
      type: int
    reclaimable_bytes:
      description: Bytes that come free at least when the unused ones are removed.
      type: int
    reclaimable_bytes_max:
      description: Bytes that come free at most; the same where it is known exactly.
      type: int
build_cache:
  description: Build cache.
  returned: success
  type: dict
  contains:
    total:
      description: How many there are.
      type: int
    unused:
      description: How many of them nothing uses.
      type: int
    bytes:
      description: Bytes of all. Of images, shared layers counted once; of build cache, without what it shares with images.
      type: int
    reclaimable_bytes:
      description: Bytes that come free at least when the unused ones are removed.
      type: int
    reclaimable_bytes_max:
      description: Bytes that come free at most; the same where it is known exactly.
      type: int
reclaimable_bytes:
  description: Bytes that come free at least when all that is unused is removed.
  returned: success
  type: int
reclaimable_bytes_max:
  description: Bytes that come free at most.
  returned: success
  type: int
largest:
  description: The largest objects. Sizes of images are as listed, with what they share.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: volume
      target: miniecom_mongo_data
      bytes: 734003200
      used_by: [miniecom_mongo]
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
  description: The few numbers a person wants.
  returned: success
  type: dict
  contains:
    headline:
      description: One sentence.
      type: str
    bytes:
      description: The same as RV(reclaimable_bytes).
      type: int
    seconds:
      description: How long the module took.
      type: float
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run_info
from ..module_utils._docker.client import DOCKER_ARGUMENTS
from ..module_utils._docker.usage import read_usage

SPEC = ArgumentSpec({"largest": {"type": "int", "default": 10}}) + DOCKER_ARGUMENTS + RUN_ARGUMENTS


def main() -> None:
    run_info(read_usage, SPEC)


if __name__ == "__main__":
    main()
