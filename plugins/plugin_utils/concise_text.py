# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words of the callback concise. Pure, controller side."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, List, Mapping, Optional, Sequence, Tuple

from ..module_utils._core.units import counted

# Seconds without a word, by how long a task runs already: soon enough for whoever watches, not too often for a log of an hour.
SILENCE = ((60, 4.0), (600, 30.0))
LATER = 120.0
# Messages of Ansible that say nothing of what went wrong.
EMPTY = re.compile(r"(?i)^(non-zero return code|module failure.*|module result deserialization failed.*|)$", re.DOTALL)
NAMESPACE = "miniecom.maintenance."
CHECK = "Validating arguments against arg spec"
VALIDATION = "Validation of arguments failed:"


@dataclass(frozen=True)
class HostEnd:
    """How a run ended on one host: well, failed (and where) or unreachable."""

    host: str
    state: str
    where: str = ""


def due(silent: float, running: float) -> bool:
    """Whether it is time to say that a task is running.

    Args:
        silent: seconds since the last word.
        running: seconds since the oldest task began.
    """
    return silent >= next((pause for until, pause in SILENCE if running < until), LATER)


def beat(running: Sequence[Tuple[str, str, float]], progress: Optional[Mapping[str, str]] = None) -> str:
    """The line that says so: of each task that runs its hosts, its name, and for how long, and below it how far they have come.

    Args:
        running: host, task, seconds.
        progress: of hosts of which it is known.
    """
    far = progress or {}
    tasks: List[str] = []
    for name in dict.fromkeys(task for _host, task, _seconds in running):
        hosts = [host for host, task, _seconds in running if task == name]
        seconds = max(seconds for _host, task, seconds in running if task == name)
        lasting = ", %d s" % seconds if seconds >= 2 else ""
        tasks.append("  ... [%s] %s%s\n" % (", ".join(sorted(hosts)), name, lasting))
        tasks += ["      [%s] %s\n" % (host, " ".join(far[host].split())) for host in sorted(hosts) if far.get(host)]
    return "".join(tasks)


def title(task: str) -> str:
    """A task's name as a person knows it: the collection's name goes without saying, and so does what Ansible checks before a role."""
    name = task.strip()
    name = name[len(NAMESPACE) :] if name.startswith(NAMESPACE) else name
    return name.partition(" : ")[0] if CHECK in name else name


def sentence(result: Mapping[str, Any]) -> str:
    """Why a task failed, without all else that it returned."""
    items = result.get("results")
    wrong = [
        item
        for item in (items if isinstance(items, (list, tuple)) else ())
        if isinstance(item, Mapping) and (item.get("failed") or item.get("unreachable"))
    ]
    if wrong:
        return "; ".join(dict.fromkeys(sentence(item) for item in wrong))
    message = plain(str(result.get("msg") or result.get("censored") or ""))
    if EMPTY.match(message):
        for key in ("stderr", "module_stderr", "stdout", "module_stdout"):
            lines = str(result.get(key) or "").strip().splitlines()
            if lines:
                return "%s (exit status %s)" % (lines[-1].strip(), result.get("rc"))
        if result.get("rc"):
            return "%s (exit status %s)" % (message or "it said nothing", result["rc"])
    return message or "it failed without a message"


def plain(message: str) -> str:
    """A message in one line, without what Ansible says before it about a role's arguments."""
    text = " ".join(message.split())
    return text[len(VALIDATION) :].strip() if text.startswith(VALIDATION) else text


def harmless(text: str) -> str:
    """A line without what a terminal would take for a command: names come from databases and file systems."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def closing(ends: Sequence[HostEnd]) -> str:
    """The one line over all hosts."""
    said = []
    for state, words in (
        ("well", "ended well"),
        ("failed", "failed"),
        ("unreachable", "could not be reached"),
        ("waiting", "not begun"),
    ):
        found = [end for end in ends if end.state == state]
        if found:
            named = ", ".join("%s: %s" % (end.host, end.where) if end.where else end.host for end in found)
            said.append("%d %s (%s)" % (len(found), words, named))
    return "%s: %s" % (counted(len(ends), "host"), "; ".join(said))
