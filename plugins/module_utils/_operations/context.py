# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shop of a host, found once so that no module has to guess: what context_info tells."""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, List, Sequence

from .._core.call import Call
from .._core.errors import errno_name
from .._core.plan import Report
from .._docker import ports as docker_ports
from .._docker.project import profiles
from .._host import jobs, shop
from .._host.mongo_uri import URI_KEYS
from .._host.settings import read_settings
from .context_compose import compose_parts
from .context_native import native_parts
from .host_reader import HostReader, directory_place


def find_shop(call: Call) -> Report:
    """What the module context_info does.

    Raises:
        MaintenanceError: there is no shop on this host, or something of it cannot be read.
    """
    reader = HostReader(call.params)
    try:
        reader.read()
        found = describe_shop(reader)
    finally:
        reader.close()
    active = sum(1 for job in found["jobs"] if job["active"] and job["danger"] != jobs.UNKNOWN_EFFECT)
    unknown = sum(1 for job in found["jobs"] if job["active"] and jobs.UNKNOWN_EFFECT in job["dangers"])
    kind = "native"
    if found["deployment"] == "compose":
        project = found["compose"]["project"]
        kind = "compose project %s" % project if project else "compose, without a project of its own"
    headline = "MiniEcom at %s, %s, API on port %s" % (found["root"], kind, found["ports"]["api"] or "unknown")
    if found["mongo"]["conflict"]:
        headline += "; " + found["mongo"]["conflict"]
    if found["mongo"]["stop_problem"]:
        headline += "; " + found["mongo"]["stop_problem"]
    if active:
        headline += "; %d dangerous job%s of its own active" % (active, "" if active == 1 else "s")
    if unknown:
        headline += "; %d scheduled job%s near it not understood" % (unknown, "" if unknown == 1 else "s")
    summary = {"dangerous_jobs": active, "unknown_jobs": unknown}
    findings = [finding.as_dict() for finding in reader.findings]
    # Where there is no member of a replica set in a container, nothing was looked for.
    if found["mongo"]["set_members"]:
        summary["findings_total"] = len(findings)
    return Report(
        headline,
        summary=summary,
        values={"context": found, "findings": findings},
        record={"findings": findings} if findings else {},
        warnings=reader.warnings,
    )


def describe_shop(reader: HostReader) -> Dict[str, Any]:
    """Everything that is told of the shop; no secret is."""
    choice = reader.choice
    settings = read_settings(reader.file_values)
    reader.warnings.extend(settings.warnings)
    context: Dict[str, Any] = {
        "root": reader.root,
        "env_file": reader.env_file,
        "env_from": reader.environment.used.env_from,
        "deployment": choice.deployment,
        "why": choice.why,
        "docker": {
            "available": reader.docker is not None,
            "absent": choice.deployment == "native" and reader.engine_reason in shop.NO_ENGINE,
            "reason": reader.engine_reason,
            "message": reader.engine_message,
            "version": str(getattr(reader.docker, "version", "") or "") if reader.docker else "",
            "store": str(getattr(reader.docker, "store", "") or "") if reader.docker else "",
            "data_root": _data_root(reader),
        },
        "compose": _compose(reader),
        "credentials_quality": reader.credentials_quality(),
        "settings": settings.values,
        "libraries": library_versions(),
    }
    if reader.uri is None:
        reader.warnings.append("the environment file sets neither %s nor %s" % URI_KEYS)
    context.update(compose_parts(reader) if choice.deployment == "compose" else native_parts(reader))
    storage = context["storage"]
    for name, directory in (("backups", str(settings.values["BACKUP_DIR"])), ("logs", "storage/logs")):
        storage[name] = directory_place(os.path.normpath(os.path.join(reader.root, directory)))
    for name, entry in storage.items():
        entry["exists"] = bool(entry["path"]) and os.path.isdir(entry["path"])
        entry["configured_by"] = reader.configured_by(name)
        if entry["configured_by"] and entry["path"] and not entry["exists"]:
            reader.warnings.append(
                "the application is told by %s to keep its %s in %s, and there is no such directory"
                % (entry["configured_by"], name, entry["container_path"] or entry["path"])
            )
    context["ports"]["published"] = [
        {
            "address": item.address,
            "port": item.port,
            "private_port": item.private_port,
            "proto": item.proto,
            "container": item.container,
        }
        for item in docker_ports.published(
            container.raw for container in (reader.project.containers if reader.project else ())
        )
    ]
    context["health_url"] = context["api_url"] + "/api/health" if context["api_url"] else ""
    names = (str(context["mongo"].get("database") or ""), str(context["compose"].get("project") or ""))
    context.update(_jobs(reader, str(storage["backups"]["path"]), names))
    return context


def _compose(reader: HostReader) -> Dict[str, Any]:
    project = reader.project
    if project is None:
        return {"project": "", "working_dir": "", "files": [], "env_files": [], "profiles": [], "containers": {}}
    services = project.services()
    named: Dict[str, List[str]] = {}
    for path in project.files:
        try:
            with open(path, encoding="utf-8", errors="replace") as handle:
                for service, names in profiles(handle.read()).items():
                    named.setdefault(service, []).extend(names)
        except OSError as error:
            reader.warnings.append(
                "the compose file %s, from which containers were made, cannot be read (%s)" % (path, errno_name(error))
            )
    return {
        "project": project.name,
        "working_dir": project.working_dir,
        "files": list(project.files),
        "env_files": list(project.env_files),
        "profiles": sorted({name for service in services for name in named.get(service, [])}),
        "containers": {name: [container.as_dict() for container in found] for name, found in services.items()},
    }


def _data_root(reader: HostReader) -> str:
    """Where the engine keeps volumes and images, if that is a directory of this host."""
    if reader.docker is None or not reader.docker.docker_host.startswith("unix:"):
        return ""
    path = str(reader.docker.info.get("DockerRootDir") or "")
    return path if os.path.isdir(path) else ""


def _jobs(reader: HostReader, backups: str, names: Sequence[str]) -> Dict[str, Any]:
    places = jobs.Places(reader.root, [backups], names)
    finder = jobs.JobFinder(places, reader.params.get("cron_paths") or jobs.DEFAULT_PATHS)
    found = finder.find()
    if finder.unreadable:
        reader.warnings.append("not looked at for scheduled jobs: " + ", ".join(finder.unreadable[:10]))
    return {
        "jobs": [
            {
                "source": job.source,
                "line": job.line,
                "schedule": job.schedule,
                "user": job.user,
                "kind": job.kind,
                "danger": job.dangers[0],
                "dangers": list(job.dangers),
                "active": job.active,
            }
            for job in found
        ],
        "jobs_unreadable": list(finder.unreadable[:20]),
        "blocking_jobs": [
            "%s (%s)" % (job.where, job.kind) for job in found if job.active and jobs.DELETES_BACKUPS in job.dangers
        ],
    }


def library_versions() -> Dict[str, str]:
    from importlib import metadata

    found = {"python": "%d.%d.%d" % sys.version_info[:3], "interpreter": sys.executable}
    for package in ("pymongo", "docker"):
        try:
            found[package] = str(metadata.version(package))
        except metadata.PackageNotFoundError:
            found[package] = ""
    return found
