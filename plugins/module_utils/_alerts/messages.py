# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A message as people and programs read it: text for mail, the shapes of Slack and Teams, plain JSON. Pure."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from .planning import Message
from .problems import Recalled

SLACK, TEAMS, GENERIC = "slack", "teams", "generic"
SHAPES = (SLACK, TEAMS, GENERIC)
# Of each part; a channel is no place for a hundred findings.
SHOWN = 20
_LONGEST_SUBJECT = 150
_MARKS = re.compile(r"([\\*_~`\[\]#|>])")

PARTS: Sequence[Tuple[str, str]] = (("new", "New"), ("again", "Still there"), ("over", "Over"))


def subject(message: Message) -> str:
    """One line that says where and what."""
    now = [*message.new, *message.again]
    if not now:
        what = "over: %s" % ", ".join(_name(entry) for entry in message.over[:3])
        rest = len(message.over) - 3
    else:
        what = "%s: %s" % (now[0].problem.severity, ", ".join(_name(entry) for entry in now[:3]))
        rest = len(now) - 3
    text = "[%s] %s%s (%s)" % (message.run.host, what, " and %d more" % rest if rest > 0 else "", message.run.name)
    return text if len(text) <= _LONGEST_SUBJECT else text[: _LONGEST_SUBJECT - 1] + "\u2026"


def _name(entry: Recalled) -> str:
    problem = entry.problem
    return problem.step or problem.key.partition(":")[2]


def _sentence(entry: Recalled) -> str:
    problem = entry.problem
    text = problem.text
    if problem.step and not text.startswith(problem.step + ":"):
        text = "%s: %s" % (problem.step, text)
    if entry.over:
        return "%s (since %s)" % (text, entry.since)
    since = "" if entry.since == entry.seen else " (since %s)" % entry.since
    return "%s  %s%s" % (problem.severity, text, since)


def parts(message: Message) -> List[Tuple[str, List[str]]]:
    """Title and lines of each part that there is."""
    found = []
    for key, title in PARTS:
        entries: Sequence[Recalled] = getattr(message, key)
        if not entries:
            continue
        lines = [_sentence(entry) for entry in entries[:SHOWN]]
        if len(entries) > SHOWN:
            lines.append("... and %d more" % (len(entries) - SHOWN))
        found.append((title, lines))
    return found


def _closing(message: Message) -> str:
    run = message.run
    if not run.run_id:
        return ""
    return "Run %s%s" % (run.run_id, ", recorded on the host in %s" % run.record if run.record else "")


def _opening(message: Message) -> str:
    run = message.run
    return "%s on %s: %s" % (run.name, run.host, run.verdict or run.status)


def plain_text(message: Message) -> str:
    """The body of a mail."""
    lines = [_opening(message), ""]
    for title, sentences in parts(message):
        lines += ["%s:" % title, *("  " + sentence for sentence in sentences), ""]
    return "\n".join([*lines, _closing(message)]).rstrip() + "\n"


def for_slack(message: Message) -> Dict[str, Any]:
    """Slack's incoming webhooks: text in which only &, < and > mean something (api.slack.com, "Formatting text for app surfaces")."""

    def escaped(text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    lines = ["*%s*" % escaped(subject(message)), escaped(_opening(message))]
    for title, sentences in parts(message):
        lines += ["*%s*" % title, *("\u2022 " + escaped(sentence) for sentence in sentences)]
    closing = _closing(message)
    return {"text": "\n".join(lines + ([escaped(closing)] if closing else []))}


def for_teams(message: Message) -> Dict[str, Any]:
    """An Adaptive Card, as the webhooks of Teams' workflows take it (their connectors, which took MessageCards, are retired)."""

    def block(text: str, **more: Any) -> Dict[str, Any]:
        return dict({"type": "TextBlock", "text": _MARKS.sub(r"\\\1", text), "wrap": True}, **more)

    body = [block(subject(message), weight="bolder", size="medium"), block(_opening(message))]
    for title, sentences in parts(message):
        body.append(block(title, weight="bolder"))
        body.extend(block(sentence) for sentence in sentences)
    closing = _closing(message)
    if closing:
        body.append(block(closing, isSubtle=True, size="small"))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _listed(entries: Sequence[Recalled]) -> List[Dict[str, Any]]:
    return [
        dict(vars(entry.problem), since=entry.since, **({"over": entry.over} if entry.over else {}))
        for entry in entries
    ]


def generic(message: Message) -> Dict[str, Any]:
    """Everything, for programs."""
    run = message.run
    return {
        "subject": subject(message),
        "host": run.host,
        "run": run.name,
        "run_id": run.run_id,
        "status": run.status,
        "verdict": run.verdict,
        "record": run.record,
        "new": _listed(message.new),
        "again": _listed(message.again),
        "over": _listed(message.over),
    }


def shaped(message: Message, shape: str) -> Mapping[str, Any]:
    """The message in the shape of a receiver."""
    return {SLACK: for_slack, TEAMS: for_teams, GENERIC: generic}[shape](message)
