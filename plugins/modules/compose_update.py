#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_update
short_description: Tell which images of the shop have newer versions, update them, and go back
version_added: 0.1.0
author:
  - miniecom.maintenance contributors (@miniecom)
description:
  - By default it only asks the registries, through the engine, whether they have newer versions of the images that the shop's compose project runs from.
  - With O(action=update) it pulls or builds them, puts new containers in the place of the running ones, and waits until the shop is well. Where it does
    not become so, it goes back to the images that ran before and says so.
  - It works with the project, the files and the environment file that stand in the labels of the running containers, never with what a directory holds
    by default, only for services that run, and never removes orphans. Where the labels do not tell (the project came from standard input, a file's name
    has a comma in it, what runs is defined in none of the files) it refuses and says what to set.
  - What is data in the writable layer of a container is copied out of the stopped container, read back, put into the new one before that has ever
    run, and compared. Whatever else lies in the layer and is not known to be dispensable makes it refuse.
  - A service that holds the database is neither pulled nor replaced unless O(services) names it, and never moves to another release series of MongoDB. Every
    new container must have the same volumes as the one before.
  - Where migrations have run in between it does not go back by itself, and gives the command that restores the data.
  - A call that was killed leaves a journal on the host by which the next one first brings back what ran before. Where its new containers have run and
    migrations with them, it brings the update to its end, and only O(action=undo) goes back.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.docker
  - miniecom.maintenance.given
  - miniecom.maintenance.run
attributes:
  check_mode:
    details: Registries are asked, and compose is asked with C(--dry-run). Whether a build makes another image shows only when it is built (C(predicted)).
options:
  action:
    description:
      - V(report) changes nothing.
      - V(update) pulls and builds, and replaces the containers whose image is another one then.
      - V(undo) goes back to the images that ran before the last update.
    type: str
    choices: [report, update, undo]
    default: report
  root:
    description: The shop's directory, by which its compose project is found.
    type: path
    default: /opt/miniecom
  services:
    description: Only these; each must run. By default all that run, but those that hold a database.
    type: list
    elements: str
    default: []
  pull:
    description: Whether images are pulled.
    type: bool
    default: true
  build:
    description: Whether services that have a C(build) section are built.
    type: bool
    default: true
  no_cache:
    description: Build without what earlier builds have left.
    type: bool
    default: false
  config_changes:
    description: Whether containers may also be replaced for what has changed in the compose files and their variables since they were made.
    type: bool
    default: false
  files:
    description: The project's compose files, in place of those that the labels name.
    type: list
    elements: path
    default: []
  env_files:
    description: The project's environment files, in place of those that the labels name.
    type: list
    elements: path
    default: []
  project_directory:
    description: The project's directory, in place of the one that the labels name.
    type: path
  data:
    description: What is data where it lies in the writable layer of a container.
    type: list
    elements: dict
    default: []
    suboptions:
      service:
        description: The service.
        type: str
        required: true
      path:
        description: A directory or a file inside its container.
        type: path
        required: true
  discard:
    description:
      - Patterns of paths in writable layers that may go with the container, each with all that is below it, such as V(/app/tmp).
      - Temporary directories, caches of package managers and the like always may.
    type: list
    elements: str
    default: []
  logs_dest:
    description:
      - Directory of M(miniecom.maintenance.docker_logs), where what a container has logged is collected after it was stopped and before it is removed.
        All of it, when nothing of that container was collected before.
      - What the engine cannot read of a log is told. A log that cannot be written there keeps the container, and the shop is back as it was; on the way
        back from images that do not come up it does not.
      - Without it the logs of the containers that are replaced go with them.
    type: path
  probe_url:
    description: Address of the shop's health endpoint. It must be well, or in maintenance, before and after. Without one only the containers are looked at.
    type: str
  patience:
    description: How long the shop may take to become well, such as V(2m).
    type: str
    default: 2m
  steady:
    description: How long it has to stay so.
    type: str
    default: 5s
  connection:
    description: How to reach the shop's database, to see whether migrations have run. Without it nobody looks.
    type: dict
    suboptions:
      uri:
        description: Connection string. Give it or O(connection.env_file).
        type: str
      env_file:
        description: The shop's environment file, from which the connection string is read on the host.
        type: path
      env_from:
        description: From where the application itself has its connection string, as M(miniecom.maintenance.context_info) returns it.
        type: str
        default: file
      address:
        description: Host and port that replace those of the connection string.
        type: str
      tls_files:
        description: Where files lie on the host that the connection string names by a path inside a container.
        type: dict
        default: {}
      database:
        description: The shop's database. By default the one that the connection string names.
        type: str
      connect_timeout:
        description: Seconds to wait for the server.
        type: int
        default: 5
  backup:
    description: The backup of before, for the command that restores it.
    type: path
  docker_program:
    description: The docker command with the plugin compose (2.20 or newer), a name or a path.
    type: str
    default: docker
  compose_timeout:
    description: How long a command of compose may take, such as a pull or a build.
    type: str
    default: 30m
  registry_timeout:
    description: How long a registry may take to answer.
    type: str
    default: 30s
notes:
  - Images that ran before an update keep a name of their own, C(miniecom-update/PROJECT:SERVICE-before), until the next one.
  - Compose is never called with C(--no-deps). The new containers' labels would have another hash than the files, and the next plain C(docker compose up)
    would replace them again, with all that lies in their writable layers.
  - A migration is noticed by the collections in which the usual tools note them, such as C(migrations), C(changelog) or C(schema_version).
seealso:
  - module: miniecom.maintenance.mongo_backup
  - module: miniecom.maintenance.mongo_restore
  - module: miniecom.maintenance.docker_prune
"""

EXAMPLES = r"""
- name: Which images have newer versions?
  miniecom.maintenance.compose_update:
    root: /opt/miniecom
  register: available

- name: Name them
  ansible.builtin.debug:
    msg: "{{ available.images | selectattr('state', 'equalto', 'newer') | map(attribute='image') | list }}"

- name: Update all but the database, and keep what customers have uploaded
  miniecom.maintenance.compose_update:
    action: update
    probe_url: http://127.0.0.1:3001/api/health
    connection:
      env_file: /opt/miniecom/.env
      address: 127.0.0.1:27017
    data:
      - service: api
        path: /app/uploads
    logs_dest: /var/lib/miniecom-maintenance/container-logs

- name: Build the API anew, as the shop's guide has it
  miniecom.maintenance.compose_update:
    action: update
    services: [api]
    no_cache: true
    probe_url: http://127.0.0.1:3001/api/health

- name: Go back to what ran before
  miniecom.maintenance.compose_update:
    action: undo
"""

RETURN = r"""
plan:
  description: What was to be done, the same in check mode and in a real run.
  returned: always
  type: list
  elements: dict
  sample: [{"action": "pull", "target": "shop/api:2", "reason": "the registry has 0123456789ab, here is ba9876543210", "bytes": 0}]
kept:
  description: Images that stay, each with the reason.
  returned: always
  type: list
  elements: dict
actions:
  description: What was done; C(note) of the one that replaces containers names each step.
  returned: always
  type: list
  elements: dict
images:
  description:
    - Each service that runs, with its C(image), C(image_id) and C(digests), the C(state) (V(newer), V(up to date) or V(unknown)) with its C(reason), whether it
      is a C(database), and C(layer_data), the paths of data in its writable layer.
  returned: when the project was found
  type: list
  elements: dict
obstacles:
  description: With O(action=report), why an update would be refused as things are; when it is refused, why.
  returned: success, or when it is refused
  type: list
  elements: str
steps:
  description: Each thing that was done to containers and to names of images, in order, also when it failed in the middle.
  returned: when the project was found
  type: list
  elements: dict
rolled_back:
  description: Whether the shop runs from the images of before again.
  returned: when an update has failed
  type: bool
restore_command:
  description: The command that restores the data, where migrations have run and nothing was brought back.
  returned: when an update has failed after migrations
  type: str
counts:
  description: Totals of the lists, which are cut at 200 entries.
  returned: always
  type: dict
summary:
  description:
    - C(headline), C(images) (how many), C(newer), C(unknown) (a registry was asked and gave no answer that helps), C(replaced) (services),
      C(bytes) (of images that are new here).
  returned: always
  type: dict
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import GIVEN_ARGUMENTS, RUN_ARGUMENTS
from ..module_utils._core.runner import run
from ..module_utils._docker.client import DOCKER_ARGUMENTS
from ..module_utils._operations.compose_update import UPDATE_ARGUMENTS, ComposeUpdate

SPEC = UPDATE_ARGUMENTS + DOCKER_ARGUMENTS + GIVEN_ARGUMENTS + RUN_ARGUMENTS


def main() -> None:
    run(ComposeUpdate, SPEC)


if __name__ == "__main__":
    main()
