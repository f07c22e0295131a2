#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: port_audit
short_description: Compare what listens and what Docker publishes with what is allowed, and how containers and settings stand
version_added: 0.1.0
author:
  - miniecom.maintenance contributors (@miniecom)
description:
  - Reads the listening sockets of the host from C(/proc) and the published ports of running containers from the Docker Engine, and reports
    what other machines can reach and O(allow) does not name.
  - MongoDB and other databases, the Docker API and database user interfaces that are not confined to the loopback address are V(critical), debuggers
    V(high), other published ports V(high), other programs V(medium), UDP V(low). Where MongoDB's password is one that everybody tries, both is told together.
  - Looks in the same call at how the running containers are configured (privileged, the Docker socket, the host's network, root, tags, health checks, logs,
    secrets, data in a writable layer, the time that a member of a replica set is given to stop), with the numbers of the CIS Docker Benchmark 1.6.0,
    compares the ports that the compose files declare with those that are there and answered, and judges O(env_files). A value is never shown.
  - It looks at addresses, not at firewalls. Ports that Docker publishes pass by the usual host firewalls.
  - What is behind a port that Docker publishes is known from the engine. Where none answers it is guessed, from the port that the engine's proxy
    (C(docker-proxy)) hands on to, or from the port itself, and a warning says so.
  - Without root the programs behind other users' sockets are not known.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.info
  - miniecom.maintenance.run
  - miniecom.maintenance.given
  - miniecom.maintenance.findings
options:
  allow:
    description:
      - What may be reachable. A port (V(443), V(443/tcp)), an address or network with a port (V(10.0.0.5:27017/tcp), V(10.0.0.0/8:9100),
        V([::1]:*)), or the name of a program or container (V(sshd)).
      - An entry covers dangerous services, too. Ports on the loopback addresses never need one.
    type: list
    elements: str
    default: [22/tcp, 80/tcp, 443/tcp]
  compose_project:
    description:
      - Of the published ports leave out those of other Docker Compose projects than this; they are listed in RV(ports) only. Ports of containers outside any
        project are reported.
      - What is V(critical), such as a database, is reported whichever project it belongs to.
    type: str
  docker_host:
    description:
      - Address of the Docker Engine, as in V(unix:///var/run/docker.sock). By default the environment variable E(DOCKER_HOST), else that socket.
      - When no engine answers, RV(docker) and a warning say so and only the sockets of the host are audited; what is known of published ports stays known.
    type: str
  docker:
    description: Whether to ask a Docker Engine at all; V(false) for a host that has none.
    type: bool
    default: true
  configuration:
    description:
      - Whether how the running containers are configured is looked at, those of O(compose_project), or all without one.
      - What the compose files declare is compared with what is there only where O(compose_project) is given.
    type: bool
    default: true
  env_files:
    description: Files of settings to judge, in the syntax of dotenv. What containers were given is judged with O(configuration).
    type: list
    elements: path
    default: []
  expand:
    description: Whether variables are put into the values of O(env_files), as Docker Compose does and the npm package dotenv does not.
    type: bool
    default: true
seealso:
  - module: miniecom.maintenance.perm_audit
"""

EXAMPLES = r"""
- name: Audit the ports of a shop behind nginx; the first time sets the baseline
  miniecom.maintenance.port_audit:
    allow: [443/tcp, 80/tcp, sshd]

- name: Audit one compose project, with metrics allowed inside the private network
  miniecom.maintenance.port_audit:
    compose_project: miniecom
    allow: [443/tcp, 80/tcp, sshd, "10.0.0.0/8:9100/tcp"]

- name: Audit a native installation, where no Docker is to be asked
  miniecom.maintenance.port_audit:
    docker: false
    env_files: [/opt/miniecom/.env]
    expand: false
    fail_on: critical
"""

RETURN = r"""
findings:
  description: What is reachable and not allowed, the most severe first, at most 200.
  returned: always
  type: list
  elements: dict
  sample:
    - id: mongodb-exposed-51c0ee2b
      rule: mongodb-exposed
      severity: critical
      target: "*:27017/tcp"
      message: MongoDB, and with it every order and customer, is reachable from other machines (published by container miniecom_mongo)
      remediation: "Publish it on 127.0.0.1 only (ports: 127.0.0.1:27017:27017), or set bindIp: 127.0.0.1 in mongod.conf."
      fingerprint: 51c0ee2b6f9d4a7c8e1b2d3f4a5b6c7d
      status: known
ports:
  description: Every port that something answers on, with the reason where it is fine; V(*) is every interface.
  returned: always
  type: list
  elements: dict
  sample: [{proto: tcp, address: 127.0.0.1, port: 27017, program: mongod, fine: reachable from this host only}]
docker:
  description: Whether a Docker Engine was asked, and if not, why.
  returned: always
  type: dict
  sample: {asked: true, reason: ""}
resolved:
  description: What the baseline knew and is gone, once.
  returned: always
  type: list
  elements: dict
baseline:
  description: Where the baseline lies, and whether it was set, updated or kept.
  returned: always
  type: dict
summary:
  description: The numbers a person wants.
  returned: always
  type: dict
  sample: {headline: "1 finding (1 critical); 0 new", findings: 0, findings_total: 1, ports_listening: 9, ports_reachable: 3, seconds: 0.05}
"""

# Mitogen takes a module without these words for a script of old: from ansible_collections.miniecom.maintenance
from ..module_utils._audit.audit_arguments import PORT_AUDIT_ARGUMENTS
from ..module_utils._core.runner import run_info
from ..module_utils._operations.port_audit import audit_ports

SPEC = PORT_AUDIT_ARGUMENTS


def main() -> None:
    run_info(audit_ports, SPEC)


if __name__ == "__main__":
    main()
