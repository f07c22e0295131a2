# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What other machines can reach of this host, against what is allowed, and how containers and settings stand: what port_audit does."""

from __future__ import annotations

import os
from dataclasses import field, replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .._audit.audit_state import AuditState
from .._audit.container_rules import CONTAINER_RULES
from .._audit.declared_ports import DECLARED_RULES
from .._audit.environment_rules import ENVIRONMENT_RULES
from .._audit.finding_arguments import finding_policy
from .._audit.port_rules import (
    DOCKER_SCOPE,
    HOST_SCOPE,
    PORT_RULES,
    PROXIES,
    Port,
    judge_ports,
    merge_ports,
    parse_allow,
    proxied_port,
)
from .._audit.report import Coverage, conclude
from .._core.call import Call
from .._core.clock import utc_now
from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.plan import Report
from .._core.processes import listening_sockets, read_process
from .._docker.client import Docker
from .._docker.inventory import PROJECT_LABEL, SERVICE_LABEL
from .._docker.ports import container_name, published
from .mongo_stop import RULE as KILLED_WHEN_STOPPED
from .shop_configuration import Inspected, examine_configuration, inspect_running

DOCKER_TIMEOUT_SECONDS = 30
RULES = PORT_RULES | DECLARED_RULES | ENVIRONMENT_RULES | {rule.id for rule in CONTAINER_RULES} | {KILLED_WHEN_STOPPED}


@dataclass(frozen=True)
class DockerPorts:
    """What an engine publishes.

    Attributes:
        asked: an engine has answered.
        reason: why none did.
        containers: how many there are.
        listed: these, as the engine lists them; inspected: those of the project that run.
    """

    asked: bool
    reason: str = ""
    containers: int = 0
    ports: Tuple[Port, ...] = ()
    listed: Tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    inspected: Tuple[Inspected, ...] = ()

    def as_dict(self) -> Dict[str, Any]:
        entry: Dict[str, Any] = {"asked": self.asked, "reason": self.reason}
        return dict(entry, containers=self.containers) if self.asked else entry


def audit_ports(call: Call) -> Report:
    """Read the ports of host and engine, compare them with what is allowed, and conclude the audit."""
    policy, allowed = finding_policy(call.params), parse_allow(call.params["allow"])
    state = AuditState(call.run.state_dir)
    memory = state.read("port_audit", policy.sarif)
    sockets, unknown = host_ports()
    docker = DockerPorts(False, "not wanted (docker: false)")
    if call.params["docker"]:
        docker = docker_ports(
            call.params["docker_host"], call.params["compose_project"], bool(call.params["configuration"])
        )
    ports = merge_ports(sockets, docker.ports)
    examined = examine_configuration(
        docker.listed,
        docker.inspected,
        call.params["compose_project"] or "",
        call.params["env_files"],
        bool(call.params["expand"]),
        docker.asked and bool(call.params["configuration"]),
    )
    found, fine = judge_ports(ports, allowed, examined.credentials)
    scopes = [HOST_SCOPE, *([DOCKER_SCOPE] if docker.asked else []), *examined.scopes]
    coverage = Coverage(scopes, all_rules=RULES)
    conclusion = conclude(
        "port_audit", policy, memory, [*found, *examined.findings], utc_now(), coverage, check=call.check
    )
    if not call.check:
        state.write(conclusion.writes)
    report = conclusion.report
    warnings = [*report.warnings, *examined.warnings]
    if call.params["docker"] and not docker.asked:
        warnings.append(
            "No Docker Engine was asked what it publishes: %s On a host without Docker set docker: false."
            % docker.reason
        )
    if unknown and os.geteuid() != 0:
        warnings.append("The programs behind other users' sockets are not known without root: run with become: true.")
    reasons = dict(fine)
    listed = [dict(port.as_dict(), **({"fine": reasons[port]} if port in reasons else {})) for port in ports]
    reachable = sum(not port.loopback for port in ports)
    return replace(
        report,
        summary=dict(report.summary, ports_listening=len(ports), ports_reachable=reachable),
        values=dict(report.values, ports=listed, docker=docker.as_dict()),
        warnings=warnings,
    )


def host_ports() -> Tuple[List[Port], bool]:
    """The listening sockets with the programs behind them, and whether some program could not be known."""
    names: Dict[int, str] = {}
    private: Dict[int, int] = {}
    found, unknown = [], False
    for item in listening_sockets():
        if item.pid is None:
            unknown = True
        elif item.pid not in names:
            process = read_process(item.pid)
            names[item.pid] = process.name if process is not None else ""
            private[item.pid] = proxied_port(process.argv) if process is not None and process.name in PROXIES else 0
        pid = item.pid or -1
        found.append(Port(item.proto, item.address, item.port, names.get(pid, ""), private_port=private.get(pid, 0)))
    return found, unknown


def docker_ports(docker_host: Optional[str], project: Optional[str], inspect: bool = False) -> DockerPorts:
    """The ports that the containers of an engine publish; a reason where no engine answers.

    Args:
        docker_host: its address, as `Docker.connect` takes it.
        project: the compose project whose ports are wanted; None for all.
        inspect: whether how containers are configured is wanted as well.
    """
    try:
        with Docker.connect(docker_host, DOCKER_TIMEOUT_SECONDS) as docker:
            containers = docker.containers()
            inspected = inspect_running(docker, containers, project or "") if inspect else []
    except MaintenanceError as error:
        return DockerPorts(False, str(error))
    watched: Dict[str, bool] = {}
    contents: Dict[str, Tuple[str, ...]] = {}
    for container in containers:
        labels = container.get("Labels") or {}
        name = container_name(container)
        watched[name] = not project or labels.get(PROJECT_LABEL) in (None, "", project)
        contents[name] = (str(container.get("Image") or ""), str(labels.get(SERVICE_LABEL) or ""))
    ports = [
        Port(
            item.proto,
            item.address,
            item.port,
            container=item.container,
            private_port=item.private_port,
            watched=watched.get(item.container, True),
            image_and_service=contents.get(item.container, ()),
        )
        for item in published(containers)
    ]
    return DockerPorts(True, "", len(containers), tuple(ports), tuple(containers), tuple(inspected))
