#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: context_info
short_description: Find and describe the MiniEcom of a host
version_added: 0.1.0
description:
  - Finds the shop once, so that no other module has to guess. Where it lies, whether it runs in Docker Compose or natively, which compose
    project it is, on which ports it really answers, how this host reaches its database, where its uploads and invoices really are, and which of
    its own scheduled jobs would prune and delete beside this collection.
  - What runs counts more than what files say. A compose project is read from the labels of its containers, ports from what is published or what
    listens.
  - A host may hold several shops. A compose project named like the shop whose labels name another directory that exists is another shop; it is
    never taken for this one, and a warning names it.
  - Returns no secret. Of the environment file only the settings that concern maintenance are told, and of the database's credentials only how
    good they are.
  - Needs nothing but Python's standard library on the host; the Docker SDK for Python where the shop runs in containers.
options:
  root:
    description: The shop's directory. A host without it is refused.
    type: path
    default: /opt/miniecom
  env_file:
    description: The shop's environment file. The default is C(.env) in O(root).
    type: path
  deployment:
    description:
      - Whether the shop runs in Docker Compose or as processes of the host.
      - V(auto) decides by what runs. The containers of the compose project that was made from O(root) come first, then an API whose working
        directory is C(backend) in O(root), then a compose project that only its name speaks for. Without a Docker Engine it is V(native) when
        the API or a mongod runs as a process of the host, else V(compose).
    type: str
    choices: [auto, compose, native]
    default: auto
  docker_host:
    description: Address of the Docker Engine. The default is E(DOCKER_HOST), else the engine's usual socket.
    type: str
  docker_timeout:
    description: Seconds to wait for an answer of the engine.
    type: int
    default: 30
    aliases: [timeout]
  cron_paths:
    description:
      - Files and directories to look for scheduled jobs in, instead of the system's own crontabs, run-parts directories and systemd units.
    type: list
    elements: path
extends_documentation_fragment:
  - miniecom.maintenance.attributes.info
  - miniecom.maintenance.run
author:
  - miniecom.maintenance contributors (@miniecom)
seealso:
  - module: miniecom.maintenance.maintenance_run
  - module: miniecom.maintenance.maintenance_flag_info
"""

EXAMPLES = r"""
- name: Find the shop in its usual place
  miniecom.maintenance.context_info:
  register: shop

- name: Look into its database with what was found
  miniecom.maintenance.mongo_info:
    env_file: "{{ shop.context.env_file }}"
    address: "{{ shop.context.mongo.address }}"

- name: Find a shop that lies elsewhere and runs natively
  miniecom.maintenance.context_info:
    root: /srv/shop
    env_file: /etc/miniecom/env
    deployment: native

- name: Fail while one of the shop's own jobs deletes backups
  ansible.builtin.assert:
    that: shop.context.blocking_jobs | length == 0
    fail_msg: "Switch off first: {{ shop.context.blocking_jobs | join(', ') }}"
"""

RETURN = r"""
context:
  description: The shop as it was found.
  returned: success
  type: dict
  contains:
    root:
      description: The shop's directory.
      type: str
    env_file:
      description: Its environment file.
      type: str
    env_from:
      description:
        - From where the application has its connection string, for the option C(env_from) of other modules. V(container:NAME) is what the container was given,
          V(process:PID:START) what the process was given and then the environment file, V(compose:PATH) what that compose file would give to a container
          that was not made yet, V(file) the environment file alone and V(file:expanded) the same with variables put in as compose does.
      type: str
    deployment:
      description: V(compose) or V(native).
      type: str
    why:
      description: Why it was taken for that.
      type: str
    compose:
      description:
        - The compose project, from the labels of its containers. C(project), C(working_dir), C(files), C(env_files), C(profiles) (of the services
          that have a container) and C(containers), a list for each service with C(id), C(name), C(state), C(health), C(image) and C(image_id).
      type: dict
    docker:
      description:
        - Whether a Docker Engine answers (C(available)); its C(version), image C(store) and, when it runs on this host, the directory of its data
          (C(data_root)).
        - C(absent) says that the host has none and needs none, as a native shop may. One that is there and does not answer is not absent.
        - C(reason) is why none answers, as one word for conditions, and C(message) the same in a sentence; both are empty when one answers. V(missing)
          (no socket there) and V(refused) (nobody listens) may mean that the host has no engine. All others mean that there is one or that nobody
          can tell, V(permission), V(timeout), V(tls), V(version), V(address), V(connection), V(library) (the Docker SDK for Python is missing) and
          V(error) (it refused to list its containers).
      type: dict
      sample: {"available": false, "absent": true, "reason": "missing", "message": "there is no Docker Engine ...", "version": "", "store": "", "data_root": ""}
    api:
      description: The API natively, C(pid) and C(cwd); in compose the C(container), its C(state) and C(cwd).
      type: dict
    api_url:
      description: Where this host reaches the API; empty when that is not known.
      type: str
    health_url:
      description: Its health endpoint.
      type: str
    frontend_url:
      description: Where this host reaches the frontend; empty when that is not known.
      type: str
    ports:
      description: C(api), C(frontend) and C(mongo) as this host reaches them, 0 when not known, and what containers publish (C(published)).
      type: dict
    mongo:
      description:
        - C(place) is where the connection string was found. C(others) are databases that other sources name, and C(conflict) says so in one sentence,
          empty when all agree. Only the application's own database is worked on.
        - The database. C(address) to give to modules as O(miniecom.maintenance.mongo_info#module:address), empty when the connection string is
          right as it stands, and C(why); C(database), the C(source) variable, C(hosts), C(tls), C(srv) and C(replica_set) of the connection
          string; natively C(pid) and C(exe) of its mongod, in compose its C(container) and C(image_id); C(data_path), the directory of this host
          in which it keeps its data, empty when that is not known.
        - C(set_members) are the containers of the shop in which a member of a replica set runs, each with C(container), C(service), C(replica_set),
          C(stop_grace_seconds) (how long the engine waits before it kills it, null for ever) and C(stop_grace_seconds_in_file) (what the compose files say
          now, null where they say nothing). C(stop_problem) says in one sentence which of them are killed before they can have stopped, empty when
          none is.
        - C(exposure) says from where it can be reached, V(exposed) (from beyond this host), V(loopback) (from this host only) or V(unknown), and
          C(exposure_why) by what that is known, or why it is not. C(exposed) lists the addresses beyond loopback on which it accepts connections.
      type: dict
    credentials_quality:
      description: Of the database's credentials in the environment file, V(none), V(default) (of a list that everybody tries), V(weak) or V(strong).
      type: str
    storage:
      description:
        - Where C(backups), C(logs), C(uploads), C(invoices) and C(labels) are. Each with its C(path) on the host (empty when it has none), whether
          that C(exists), what C(kind) of place it is (V(directory), V(bind), V(volume), V(tmpfs), V(layer), or V(unknown) where no container could
          be looked at), its C(volume), and in compose C(container) and C(container_path). C(in_writable_layer) is true for what is lost when the
          container is made anew; what is in a V(tmpfs) is lost when it stops. C(configured_by) is the application's variable that says where it is, such as
          E(UPLOAD_DIR), empty where its own default does.
      type: dict
    settings:
      description: Settings of the environment file that concern maintenance, with the shop's defaults where it says nothing.
      type: dict
      sample: {"BACKUP_RETENTION_DAYS": 14, "LOG_RETENTION_DAYS": 30, "MAX_LOG_SIZE": 104857600}
    jobs:
      description:
        - The shop's own scheduled jobs that are dangerous beside this collection. C(source) and C(line), C(schedule), C(user), C(kind) (what was
          recognised, never the command itself), C(danger) (the worst), all C(dangers), and whether the job is C(active).
        - They are looked for in crontabs, run-parts directories, systemd timers and enabled services, tmpfiles.d and logrotate. Scripts that a job
          calls are read, and those that they call; nothing of a job is executed.
        - The dangers are V(deletes_backups) (also a mirror of the backups that deletes), V(deletes_data) (of the database, uploads or invoices),
          V(prunes_docker), V(restarts_services), V(leaves_readable_backups), and V(unknown) for a job near the shop of which a part was not
          understood, because it is no script, cannot be read, or takes what it removes from elsewhere.
      type: list
      elements: dict
      sample:
        - {"source": "/etc/cron.d/miniecom", "line": 3, "schedule": "0 3 * * 0", "user": "root", "kind": "run_maintenance_tasks.sh",
           "danger": "deletes_backups", "dangers": ["deletes_backups", "prunes_docker"], "active": true}
    jobs_unreadable:
      description: Files and directories that may hold further jobs and could not be read, each with the reason.
      type: list
      elements: str
      sample: ["/var/spool/cron/crontabs (EACCES)"]
    blocking_jobs:
      description: Active jobs that delete backups, one text each, for O(miniecom.maintenance.backup_prune#module:blocked_by).
      type: list
      elements: str
    libraries:
      description: C(python), C(interpreter), and the versions of C(pymongo) and C(docker), empty when missing.
      type: dict
findings:
  description:
    - One for each member of a replica set in a container that is killed before it can have stopped. A member of a set of two or more needs up to
      18 seconds, and Docker gives it 10 where C(stop_grace_period) says nothing else.
    - A standalone stops in 2 seconds and a set of one member in 3; of these there is none. None of them counts as news.
  returned: success
  type: list
  elements: dict
  sample:
    - {"id": "mongod-killed-when-stopped-1f2e3d4c", "rule": "mongod-killed-when-stopped", "severity": "medium", "target": "miniecom_mongo",
       "message": "It is killed 10 s after it is asked to stop, ...", "remediation": "Write stop_grace_period: 30s under the service mongo ...",
       "fingerprint": "1f2e3d4c5b6a79881f2e3d4c5b6a7988", "status": "known"}
summary:
  description: C(headline), C(dangerous_jobs) and C(unknown_jobs) (active ones), C(findings_total) where a member of a replica set runs in a container, and
    C(seconds).
  returned: success
  type: dict
  sample: {"headline": "MiniEcom at /opt/miniecom, compose project miniecom, API on port 3001", "dangerous_jobs": 1, "unknown_jobs": 0, "seconds": 0.12}
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.runner import run_info
from ..module_utils._operations.context import find_shop

SPEC = (
    ArgumentSpec(
        {
            "root": {"type": "path", "default": "/opt/miniecom"},
            "env_file": {"type": "path"},
            "deployment": {"type": "str", "choices": ["auto", "compose", "native"], "default": "auto"},
            "docker_host": {"type": "str"},
            "docker_timeout": {"type": "int", "default": 30, "aliases": ["timeout"]},
            "cron_paths": {"type": "list", "elements": "path"},
        }
    )
    + RUN_ARGUMENTS
)


def main() -> None:
    run_info(find_shop, SPEC)


if __name__ == "__main__":
    main()
