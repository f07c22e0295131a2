# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The questions of the shop's troubleshooting guide, each answered in a sentence with the numbers seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Sequence

from ..module_utils._core.finding import GUIDE_ORDER, NEW, SEVERITIES
from ..module_utils._core.units import counted, format_duration, format_size
from ..plugin_utils import command_line

DOCUMENTATION = r"""
name: diagnosis
short_description: Why something does not work, in a sentence for each question of the guide
version_added: 0.1.0
description:
  - Turns the results of the read-only modules into the answers that the playbook C(diagnose) prints.
  - What could not be looked at is called unknown, and is never good.
options:
  _input:
    description: Name of the host.
    type: str
    required: true
  seen:
    description:
      - What was looked at; C(context) of M(miniecom.maintenance.context_info), and the results of M(miniecom.maintenance.maintenance_flag_info) as C(flag), of
        M(miniecom.maintenance.mongo_info) as C(mongo), of M(miniecom.maintenance.mongo_slow_info) as C(slow), of M(miniecom.maintenance.mongo_compact) and
        M(miniecom.maintenance.docker_prune) in check mode as C(compaction) and C(cleanup), of M(miniecom.maintenance.finding_waiver) as C(findings), and of
        M(miniecom.maintenance.maintenance_checklist) as C(history).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Print the answers
  miniecom.maintenance.maintenance_report:
    lines: "{{ (inventory_hostname | miniecom.maintenance.diagnosis({'context': found.context, 'flag': health})).lines }}"
"""

RETURN = r"""
_value:
  description: C(lines) to print, C(problems), the number of answers that somebody has to do something about, and C(answers).
  type: dict
"""

OK = "ok"
LOOK = "look"
PROBLEM = "PROBLEM"
UNKNOWN = "unknown"
# An operation of a shop that takes longer keeps a visitor waiting.
LONG_OPERATION = 5.0
CONNECTIONS_USED = 0.8


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        status: ok, look (worth knowing), PROBLEM (somebody has to do something), unknown.
        next: the command that comes next, or what to do; "" for nothing.
    """

    question: str
    status: str
    text: str
    next: str = ""


def _good(result: Any) -> bool:
    return isinstance(result, Mapping) and bool(result) and not result.get("failed") and not result.get("skipped")


def _unknown(question: str, result: Any) -> Answer:
    found = result if isinstance(result, Mapping) else {}
    message = found.get("msg") or found.get("reason") or found.get("skip_reason") or "not looked at"
    return Answer(question, UNKNOWN, " ".join(str(message).split()))


def _command(playbook: str, host: str, *further: str) -> str:
    """As it can be typed where this is a run of ansible-playbook."""
    if command_line.known():
        return command_line.next_command(playbook, host, further)
    return " ".join(["ansible-playbook miniecom.maintenance.%s" % playbook, *further])


def maintenance(host: str, flag: Any) -> Answer:
    """Why is maintenance mode not working?"""
    question = "maintenance mode"
    if not _good(flag):
        return _unknown(question, flag)
    found, layers = flag["maintenance"], flag["layers"]
    answers = [
        "flag file %s" % ("there" if layers["flag"]["present"] else "absent"),
        "nginx %s" % _nginx(layers["nginx"]),
        "application %s" % {True: "on", False: "off"}.get(layers["application"]["enabled"], "not known"),
    ]
    probe = flag.get("probe") or {}
    if probe:
        answers.append("the API answers with status %s" % (probe.get("status") or "none"))
    seen = ", ".join(answers)
    nothing_up = not found["active"] and not layers["flag"]["present"] and not layers["nginx"].get("turns_away")
    if found["problems"] and nothing_up and layers["application"]["enabled"] is None:
        # Nothing that is known is up, so that there is nothing to take down: what could not be looked at comes first.
        told = "%s (%s). Mend that, then look again" % ("; ".join(found["problems"]).rstrip("."), seen)
        return Answer(question, PROBLEM, told, _command("maintenance_status", host))
    if found["problems"]:
        # Whatever is half up is put up whole by entering again, and taken down by leaving.
        step = "exit_maintenance" if found["expired"] or not found["active"] else "enter_maintenance"
        return Answer(question, PROBLEM, "%s (%s)" % ("; ".join(found["problems"]), seen), _command(step, host))
    if found["active"]:
        return Answer(question, OK, "it is up and holds (%s)" % seen, _command("exit_maintenance", host))
    return Answer(
        question, OK, "it is not up, and nothing of it is left (%s)" % seen, _command("enter_maintenance", host)
    )


def _nginx(layer: Mapping[str, Any]) -> str:
    if not layer.get("set_up"):
        return "not set up for it"
    return "turns visitors away" if layer.get("turns_away") else "serves visitors"


def slow_database(host: str, mongo: Any, slow: Any, serving: Mapping[str, Any]) -> Answer:
    """Why is the database slow?"""
    question = "slow database"
    if not _good(mongo):
        return _unknown(question, mongo)
    problems: List[str] = list(serving.get("problems") or ())
    looks: List[str] = []
    advice = ""
    health = mongo.get("health") or {}
    oldest = health.get("oldest_operation") or {}
    if float(oldest.get("seconds") or 0) >= LONG_OPERATION:
        waits = ", waiting for a lock" if oldest.get("waiting_for_lock") else ""
        looks.append(
            "%s on %s runs for %s%s"
            % (oldest["operation"], oldest["namespace"], format_duration(oldest["seconds"]), waits)
        )
    connections = health.get("connections") or {}
    current, available = int(connections.get("current") or 0), int(connections.get("available") or 0)
    if current and current >= CONNECTIONS_USED * (current + available):
        problems.append("%d of %d connections are in use" % (current, current + available))
    lag = float(health.get("replication_lag_seconds") or 0)
    if lag > LONG_OPERATION:
        looks.append("a member is %s behind" % format_duration(lag))
    kinds = slow.get("slow_operations") or [] if _good(slow) else []
    scans = [kind for kind in kinds if kind.get("advice")]
    if scans:
        looks.append(
            "%s read whole collections, most of all %s"
            % (counted(len(scans), "kind") + " of operations", scans[0]["sentence"])
        )
        advice = scans[0]["advice"]
    elif kinds:
        looks.append("%s of slow operations, most of all %s" % (counted(len(kinds), "kind"), kinds[0]["sentence"]))
    since = str((slow.get("summary") or {}).get("known_since") or "") if _good(slow) else ""
    if problems:
        return Answer(question, PROBLEM, "; ".join([*problems, *looks]), advice)
    if looks:
        return Answer(
            question, LOOK, "; ".join(looks), advice or _command("quarterly", host, "--tags", "mongo_maintenance")
        )
    if not _good(slow):
        return _unknown(question, slow)
    text = "nothing was slow since %s" % since if since else "nothing is slow now; what was slow before is not known"
    return Answer(question, OK, "%s; %s" % (text, counted(current, "connection")))


def long_maintenance(host: str, compaction: Any, history: Any) -> Answer:
    """Why does database maintenance take so long?"""
    question = "database maintenance"
    if not _good(compaction):
        return _unknown(question, compaction)
    durations = history.get("durations") or {} if _good(history) else {}
    last = durations.get("compaction")
    before = (
        "it never ran here"
        if not last
        else "the last one took %s (%s)" % (format_duration(last["seconds"]), last["at"])
    )
    number = len(compaction.get("plan") or ())
    size = sum(int(action.get("bytes") or 0) for action in compaction.get("plan") or ())
    if not number:
        return Answer(question, OK, "%s; there is nothing that is worth compacting now" % before)
    text = "%s; the next one would compact %s and give back about %s" % (
        before,
        counted(number, "collection"),
        format_size(size),
    )
    further = ("-e", "mongo_maintenance_time_budget=15m")
    return Answer(question, OK, text, "at a quiet hour, and in parts: " + _command("database", host, *further))


def clean_up(host: str, context: Mapping[str, Any], cleanup: Any) -> Answer:
    """What would a clean-up remove?"""
    question = "Docker clean-up"
    jobs = [job for job in context.get("jobs") or () if job.get("active") and job.get("danger") != "unknown"]
    if jobs:
        first = jobs[0]
        text = "%s of the shop itself would remove more than ours, such as %s in %s (%s)" % (
            counted(len(jobs), "active job"),
            first["kind"],
            first["source"],
            str(first["danger"]).replace("_", " "),
        )
        further = ("--tags", "schedule_shop_jobs", "-e", "schedule_shop_jobs=off")
        return Answer(question, PROBLEM, text, _command("schedule", host, *further))
    if not _good(cleanup):
        if isinstance(cleanup, Mapping) and cleanup.get("skipped"):
            return Answer(question, OK, str(cleanup.get("reason") or "not applicable"))
        return _unknown(question, cleanup)
    plan = cleanup.get("plan") or ()
    if not plan:
        return Answer(
            question, OK, "it would remove nothing; %s kept" % counted(int(cleanup["counts"]["kept"]), "object")
        )
    kinds: Dict[str, int] = {}
    for action in plan:
        kinds[str(action["action"])] = kinds.get(str(action["action"]), 0) + 1
    told = ", ".join("%d x %s" % (number, name.replace("_", " ")) for name, number in sorted(kinds.items()))
    text = "it would %s, about %s; %s kept, named volumes among them" % (
        told,
        format_size(sum(int(action.get("bytes") or 0) for action in plan)),
        counted(int(cleanup["counts"]["kept"]), "object"),
    )
    return Answer(question, LOOK, text, _command("weekly", host, "--tags", "docker_cleanup", "--check", "--diff"))


_GUIDE = ("the environment file's mode", "world-writable directories", "secrets in code")


def audit(host: str, findings: Any, history: Any) -> Answer:
    """Why does the audit find so much, and what comes first?"""
    question = "security audit"
    if not _good(findings):
        return _unknown(question, findings)
    found = list(findings.get("waivable") or ())
    durations = history.get("durations") or {} if _good(history) else {}
    if not found and "permissions" not in durations:
        return Answer(question, LOOK, "no audit is known to have run here", _command("security_audit", host))
    if not found:
        return Answer(question, OK, "the last audits left nothing open", _command("security_audit", host))
    levels = {level: sum(item["severity"] == level for item in found) for level in reversed(SEVERITIES)}
    first = ["%s (%d)" % (words, number) for words, number in zip(_GUIDE, _in_order(found)) if number]
    new = sum(item.get("status") == NEW for item in found)
    text = "%s: %s" % (
        counted(len(found), "finding"),
        ", ".join("%d %s" % (number, level) for level, number in levels.items() if number),
    )
    if new:
        text += "; %d of them new" % new
    if first:
        text += "; first mend %s, plan for the rest" % ", then ".join(first)
    urgent = any(item.get("status") == NEW and item["severity"] in ("high", "critical") for item in found)
    step = ("fix_permissions", "--check", "--diff") if _in_order(found)[0] or _in_order(found)[1] else ("waive",)
    return Answer(question, PROBLEM if urgent else LOOK, text, _command(step[0], host, *step[1:]))


def _in_order(found: Sequence[Mapping[str, Any]]) -> List[int]:
    """How many findings there are of each of the guide's priorities."""
    return [sum(item.get("rule") in rules for item in found) for rules in GUIDE_ORDER]


def diagnosis(host: str, seen: Mapping[str, Any]) -> Dict[str, Any]:
    """All answers."""
    flag = seen.get("flag")
    serving = flag.get("mongo") or {} if _good(flag) and isinstance(flag, Mapping) else {}
    answers = [
        maintenance(host, flag),
        slow_database(host, seen.get("mongo"), seen.get("slow"), serving),
        long_maintenance(host, seen.get("compaction"), seen.get("history")),
        clean_up(host, seen.get("context") or {}, seen.get("cleanup")),
        audit(host, seen.get("findings"), seen.get("history")),
    ]
    problems = sum(answer.status == PROBLEM for answer in answers)
    unknown = sum(answer.status == UNKNOWN for answer in answers)
    head = "%s: %s" % (host, "%s to be solved" % counted(problems, "problem") if problems else "no problem found")
    if unknown:
        head += ", %s could not be answered" % counted(unknown, "question")
    width = max(len(answer.question) for answer in answers)
    lines = [head]
    for answer in answers:
        begin = "%-7s  %s  " % (answer.status, answer.question.ljust(width))
        lines.append(begin + answer.text)
        if answer.next:
            lines.append(" " * (len(begin) - 2) + "  -> " + answer.next)
    return {
        "lines": lines,
        "problems": problems,
        "unknown": unknown,
        "answers": [vars(answer) for answer in answers],
    }


class FilterModule:
    """Filter plugin."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {"diagnosis": diagnosis}
