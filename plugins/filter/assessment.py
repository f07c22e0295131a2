# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a first look at a shop comes to, in ten lines."""

from __future__ import annotations

import re
import shlex
from types import MappingProxyType
from typing import Any, Callable, Dict, List, Mapping, Sequence

from ..module_utils._core.units import format_duration, format_size
from ..plugin_utils import command_line
from ..plugin_utils.lasting import FILES, passing

DOCUMENTATION = r"""
name: assessment
short_description: A first look at a shop in ten lines
version_added: 0.1.0
description:
  - Turns the results of the read-only modules into the lines that the playbook C(assess) prints.
  - A result that is missing or failed becomes a line that says so. What was not looked at, or could not be, is called unknown and never good.
options:
  _input:
    description: Name of the host.
    type: str
    required: true
  context:
    description: The C(context) of M(miniecom.maintenance.context_info).
    type: dict
    required: true
  mongo:
    description: Result of M(miniecom.maintenance.mongo_info).
    type: dict
    required: true
  docker:
    description: Result of M(miniecom.maintenance.docker_usage_info).
    type: dict
    required: true
  disk:
    description: Result of M(miniecom.maintenance.disk_usage_info).
    type: dict
    required: true
  backups:
    description: Result of M(miniecom.maintenance.backup_info).
    type: dict
    required: true
  flag:
    description: Result of M(miniecom.maintenance.maintenance_flag_info).
    type: dict
    required: true
  inventory:
    description: The inventories of this run, for the command in the last line; C(INVENTORY) stands there without.
    type: list
    elements: str
    default: []
  compaction:
    description: Result of M(miniecom.maintenance.mongo_compact) in check mode, with the options of the weekly run.
    type: dict
    default: {}
  cleanup:
    description: Result of M(miniecom.maintenance.docker_prune) in check mode, with the options of the weekly run.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Print it
  miniecom.maintenance.maintenance_report:
    lines: "{{ inventory_hostname | miniecom.maintenance.assessment(found.context, mongo, docker, disk, backups, flag, ansible_inventory_sources) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""


def _unknown(result: Mapping[str, Any]) -> str:
    message = " ".join(str(result.get("msg") or result.get("skip_reason") or "not looked at").split())
    return "unknown: " + message


def _good(result: Mapping[str, Any]) -> bool:
    return bool(result) and not result.get("failed") and not result.get("skipped")


def _age(backup: Mapping[str, Any]) -> str:
    seconds = float(backup["age_hours"]) * 3600
    return format_duration(seconds) if seconds >= 60 else "less than a minute"


def _not_found(context: Mapping[str, Any]) -> List[str]:
    """Directories that the application is told to use and that are not there: no backup holds what was meant to be in them."""
    return [
        "%s (%s says %s)" % (name, place["configured_by"], place.get("container_path") or place["path"])
        for name, place in sorted(context["storage"].items())
        if place.get("configured_by") and place.get("path") and not place.get("exists")
    ]


def _backup(backups: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    if not _good(backups):
        return _unknown(backups)
    lost = _not_found(context)
    if lost:
        return "NOT PROVEN: what the application is told to use cannot be found: %s" % ", ".join(lost)
    spoilt = int(backups["summary"].get("implausible") or 0)
    told = "; %s" % _spoilt(backups, spoilt) if spoilt else ""
    newest = backups.get("newest_verified")
    if newest and newest.get("lacking"):
        return "NOT PROVEN: %s, %s old, lacks files that its database names: %s%s" % (
            newest["name"],
            _age(newest),
            "; ".join("%s: %s" % pair for pair in sorted(newest["lacking"].items())),
            told,
        )
    if newest:
        return "yes, %s, %s old, verified%s%s%s" % (
            newest["name"],
            _age(newest),
            _restored(backups, newest),
            _offsite(backups),
            told,
        )
    any_backup = backups.get("newest")
    if any_backup:
        return "NOT PROVEN: %d backups, the newest %s old, none verified%s" % (
            backups["summary"]["backups"] - spoilt,
            _age(any_backup),
            told,
        )
    if backups["summary"]["backups"] > spoilt:
        return "NO: each backup that could be one is dated in the future%s" % told
    return "NO: there is no backup" + told


def _offsite(backups: Mapping[str, Any]) -> str:
    """How old the newest copy off the host is, as this host knows it."""
    copy = backups.get("offsite")
    if not copy:
        return "; no copy off the host is known"
    if copy.get("age_hours") is None:
        return "; off the host (%s) there is no copy" % copy["target"]
    return "; off the host (%s) the newest is %s old" % (copy["target"], _age(copy))


def _restored(backups: Mapping[str, Any], newest: Mapping[str, Any]) -> str:
    """When a restore last succeeded: of the newest verified backup, or else of an older one."""
    proven = newest if newest.get("restore_tested") else backups.get("last_verified")
    if not proven:
        return "; a restore was never tested"
    seconds = proven.get("restore_seconds")
    took = " in %s" % format_duration(float(seconds)) if seconds else ""
    if proven is newest:
        return ", restored on %s%s" % (newest["restore_tested"], took)
    return "; its restore was not tested, but that of %s was, on %s%s" % (
        proven["name"],
        proven["restore_tested"],
        took,
    )


def _spoilt(backups: Mapping[str, Any], count: int) -> str:
    """Files that are named like backups and can be none: nobody may take one for a night's backup."""
    named = [backup for backup in backups.get("backups") or [] if backup.get("problem")]
    text = "%d file%s of that name CANNOT BE %s" % (count, *(("", "ONE") if count == 1 else ("s", "ANY")))
    if not named:
        return text
    return "%s: %s%s" % (
        text,
        ", ".join("%s (%s)" % (backup["name"], backup["problem"]) for backup in named[:3]),
        " and %d more" % (count - 3) if count > 3 else "",
    )


def _uploads(context: Mapping[str, Any]) -> str:
    parts = passing(context)
    if parts:
        return "NO: " + "; ".join(parts)
    unseen = [name for name in FILES if context["storage"][name].get("kind") == "unknown"]
    if unseen:
        why = "the shop has no container of the API to look at"
        if not context["docker"]["available"]:
            why = str(context["docker"].get("message") or "no Docker Engine answers")
        return "unknown: %s (%s)" % (why.rstrip("."), ", ".join(unseen))
    return "yes"


def _exposure(context: Mapping[str, Any]) -> str:
    mongo = context["mongo"]
    state, why = mongo.get("exposure", "unknown"), str(mongo.get("exposure_why") or "not looked at")
    if state == "exposed":
        where = "EXPOSED on %s" % ", ".join(map(str, mongo.get("exposed") or []))
    elif state == "loopback":
        where = "reachable from this host only"
    else:
        where = why if why.startswith("on another machine") else "unknown from where it can be reached: " + why
    quality = context.get("credentials_quality", "unknown")
    text = "%s; credentials: %s" % (where, quality if quality == "strong" else str(quality).upper())
    if mongo.get("stop_problem"):
        text += "; " + str(mongo["stop_problem"])
    return "%s; TWO DATABASES: %s" % (text, mongo["conflict"]) if mongo.get("conflict") else text


def _weekly(preview: Mapping[str, Any]) -> str:
    """What the weekly run would do about it, in its own words."""
    if not preview:
        return ""
    return "; weekly %s" % (
        preview["summary"]["headline"] if _good(preview) else "would fail: " + _unknown(preview)[9:]
    )


def _mongo(mongo: Mapping[str, Any], compaction: Mapping[str, Any]) -> str:
    if not _good(mongo):
        return _unknown(mongo)
    summary = mongo["summary"]
    return "about %s, of %s in %d collections%s" % (
        format_size(summary["reclaimable_bytes"]),
        format_size(summary["storage_bytes"]),
        summary["collections"],
        _weekly(compaction),
    )


def _docker(docker: Mapping[str, Any], context: Mapping[str, Any], cleanup: Mapping[str, Any]) -> str:
    if _good(docker):
        low, high = docker["reclaimable_bytes"], docker["reclaimable_bytes_max"]
        every = format_size(low) if low == high else "between %s and %s" % (format_size(low), format_size(high))
        return every + _weekly(cleanup)
    if not context["docker"]["available"]:
        if context["docker"].get("absent"):
            return "not applicable: no engine on this host"
        return "unknown: " + str(context["docker"].get("message") or "no Docker Engine answers")
    return _unknown(docker)


def _disk(disk: Mapping[str, Any]) -> str:
    return str(disk["summary"]["headline"]) if _good(disk) else _unknown(disk)


def _active(context: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    return [job for job in context.get("jobs") or [] if job.get("active") and job["danger"] != "unknown"]


def _unclear(context: Mapping[str, Any]) -> str:
    """Jobs near the shop that nobody has understood: neither dangerous nor harmless."""
    jobs = [job for job in context.get("jobs") or [] if job.get("active") and job["danger"] == "unknown"]
    if not jobs:
        return ""
    more = " and %d more" % (len(jobs) - 3) if len(jobs) > 3 else ""
    return "not understood: %s%s" % (", ".join("%s (%s)" % (job["kind"], _place(job)) for job in jobs[:3]), more)


def _jobs(context: Mapping[str, Any]) -> str:
    active = _active(context)
    unreadable = list(context.get("jobs_unreadable") or [])
    unseen = ""
    if unreadable:
        more = " and %d more" % (len(unreadable) - 3) if len(unreadable) > 3 else ""
        unseen = "%s%s could not be read" % (", ".join(unreadable[:3]), more)
    unseen = "; ".join(text for text in (_unclear(context), unseen) if text)
    if not active:
        return "unknown: " + unseen if unseen else "none"
    text = "%d ACTIVE: %s" % (
        len(active),
        "; ".join("%s (%s, %s)" % (job["kind"], job["danger"].replace("_", " "), _place(job)) for job in active[:4]),
    )
    return "%s; %s" % (text, unseen) if unseen else text


def _place(job: Mapping[str, Any]) -> str:
    return "%s line %d" % (job["source"], job["line"]) if job.get("line") else str(job["source"])


def _by_hand(job: Mapping[str, Any]) -> bool:
    """Whether the module shop_jobs leaves a job alone: what clears up by itself is neither a line of a crontab nor a timer."""
    return bool(re.search(r"tmpfiles|logrotate", str(job["source"])))


def _command(playbook: str, host: str, inventory: Sequence[str], *further: str) -> str:
    """The command that comes next; as it can be typed where this is a run of ansible-playbook."""
    if command_line.known():
        return command_line.next_command(playbook, host, further)
    sources = " ".join("-i " + shlex.quote(str(source)) for source in inventory) or "-i INVENTORY"
    return " ".join(["ansible-playbook miniecom.maintenance.%s %s" % (playbook, sources), *further])


def _maintenance(flag: Mapping[str, Any]) -> str:
    if not _good(flag):
        return _unknown(flag)
    text = "off"
    if flag.get("active"):
        text = "ON"
        for word, key in (("since", "since"), ("by", "owner"), ("until", "expires")):
            if flag.get(key):
                text += " %s %s" % (word, flag[key])
        if flag.get("reason"):
            text += " (%s)" % flag["reason"]
    for problem in flag.get("problems") or []:
        text += "; %s" % problem
    probe = flag.get("probe")
    if probe:
        words = {"up": "answers", "maintenance": "answers that it is in maintenance"}
        said = words.get(probe["state"], "is %s: %s" % (probe["state"], probe.get("reason", "")))
        text += "; the shop %s (%.3f s)" % (said, probe["seconds"])
    return text


def _revive(mongo: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """What to do about a database that does not answer: no backup can be made before."""
    name = context["mongo"].get("container") or ""
    services = (context.get("compose") or {}).get("containers") or {}
    states = {item["name"]: item["state"] for found in services.values() for item in found}
    if states.get(name, "running") != "running":
        return "start MongoDB (docker start %s)" % name
    if "connection refused" in str(mongo.get("msg")).lower():
        native = context["deployment"] == "native"
        return "start MongoDB (%s)" % (
            "systemctl start mongod" if native else "docker compose up -d mongo, in %s" % context["root"]
        )
    return "make MongoDB answer (its line above says what keeps it)"


def _next(
    host: str,
    mongo: Mapping[str, Any],
    backups: Mapping[str, Any],
    context: Mapping[str, Any],
    inventory: Sequence[str],
) -> str:
    steps = []
    if not _good(mongo):
        steps.append(_revive(mongo, context))
    active = _active(context)
    if any(not _by_hand(job) for job in active):
        switched = ("--tags", "schedule_shop_jobs", "-e", "schedule_shop_jobs=off")
        steps.append("switch the dangerous jobs off (%s)" % _command("schedule", host, inventory, *switched))
    if any(_by_hand(job) for job in active):
        places = dict.fromkeys(_place(job) for job in active if _by_hand(job))
        steps.append("take out by hand what clears up by itself (%s)" % ", ".join(places))
    if passing(context):
        steps.append(
            "give what goes with a container a volume of its own in the compose file (until then every backup holds it)"
        )
    playbook: str = "weekly"
    options: Sequence[str] = ("--check", "--diff")
    if not _good(mongo):
        playbook, options = "assess", ()
    elif not _good(backups) or not backups.get("newest_verified"):
        playbook, options = "backup", ()
    steps.append(_command(playbook, host, inventory, *options))
    return ", then ".join(steps)


def assessment(
    host: str,
    context: Mapping[str, Any],
    mongo: Mapping[str, Any],
    docker: Mapping[str, Any],
    disk: Mapping[str, Any],
    backups: Mapping[str, Any],
    flag: Mapping[str, Any],
    inventory: Sequence[str] = (),
    compaction: Mapping[str, Any] = MappingProxyType({}),
    cleanup: Mapping[str, Any] = MappingProxyType({}),
) -> List[str]:
    """The ten lines."""
    rows = [
        (host, "MiniEcom in %s, %s" % (context["root"], context["deployment"])),
        ("restorable backup", _backup(backups, context)),
        ("uploads survive a recreate", _uploads(context)),
        ("MongoDB", _exposure(context)),
        ("MongoDB would give back", _mongo(mongo, compaction)),
        ("Docker would give back", _docker(docker, context, cleanup)),
        ("disk", _disk(disk)),
        ("the shop's dangerous jobs", _jobs(context)),
        ("maintenance mode", _maintenance(flag)),
        ("next", _next(host, mongo, backups, context, inventory)),
    ]
    width = max(len(name) for name, _text in rows)
    return ["%s  %s" % (name.ljust(width), text) for name, text in rows]


class FilterModule:
    """Filter plugin."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"assessment": assessment}
