# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs in other languages than the shell's: they are not read as their language, only searched for what removes. Pure."""

from __future__ import annotations

import re
from typing import List

from .job_call import Invocation
from .job_places import UNKNOWN
from .job_services import DELETING_SCRIPT
from .job_verdict import DELETES_BACKUPS, DELETES_DATA, PRUNES_DOCKER, Inspection

_REMOVES = re.compile(
    r"\b(?:os\.(?:remove|unlink|rmdir|removedirs)|shutil\.(?:rmtree|move)|rmtree|rimraf|rmSync|unlinkSync|rmdirSync|rm_rf|rm_f"
    r"|FileUtils\.rm\w*|File\.(?:delete|unlink)|remove_tree|fs(?:p|Promises|\.promises)?\.(?:rm|unlink|rmdir)|send2trash)\s*\("
    r"|\.unlink\(|(?<![\w.$>])unlink\b|\bawait\s+(?:rm|unlink)\("
)
_CALLS_OUT = re.compile(
    r"\b(?:subprocess|child_process|os\.system|os\.popen|execSync|execFile\w*|spawn\w*|popen|proc_open|shell_exec|passthru|execa"
    r"|zx|qx|Open3|system|exec)\b"
)
_LITERAL_COMMAND = re.compile(
    r"\b(?:system|popen|execSync|exec|run|call|check_call|check_output|shell_exec|passthru)\s*\(\s*[rf]?(?P<quote>[\"'`])(?P<text>[^\"'`\n]{1,400})(?P=quote)"
)
_LIST_COMMAND = re.compile(
    r"\b(?:run|call|check_call|check_output|Popen|execFile\w*|spawn\w*)\s*\(\s*(?:[\"'](?P<first>[\w./-]+)[\"']\s*,\s*)?\[(?P<list>[^\]\n]{1,400})\]"
)
_STRING = re.compile(r"[\"']([^\"'\n]*)[\"']")
# The rest of such a program is in files that are not looked at.
_LOCAL_PARTS = re.compile(
    r"\brequire\(\s*['\"]\.|\bfrom\s+['\"]\.|\bimport\(\s*['\"]\.|^[ \t]*from\s+\.|\brequire_relative\b|\brequire\s+['\"]\./",
    re.MULTILINE,
)
_PRUNE = re.compile(r"\b(?:system|volumes?|images?|containers?|builder|networks?)[\s.\"',\[]+prune\b|\bprune_builds\b")
_COMMENT = re.compile(r"^[ \t]*(?:#(?!!)|//|\*).*$", re.MULTILINE)


def read_code(look: Inspection, call: Invocation, text: str, kind: str) -> None:
    """Look through a program's text; what it hands to a shell in so many words is read as shell text."""
    text = _COMMENT.sub("", text)
    look.verdict.note(text)
    known = len(look.verdict.kinds)
    outside = len(_CALLS_OUT.findall(re.sub(r"^.*\b(?:import|require)\b.*$", "", text, flags=re.MULTILINE)))
    understood = 0
    for match in _LITERAL_COMMAND.finditer(text):
        command = match.group("text")
        if "${" not in command and "{" not in command and UNKNOWN not in command:
            understood += 1
            look.shell.run(command, call.frame.copy(depth=call.frame.depth + 1))
    for match in _LIST_COMMAND.finditer(text):
        words: List[str] = [match.group("first")] if match.group("first") else []
        words += _STRING.findall(match.group("list"))
        if words:
            understood += 1
            look.run(Invocation(words, call.frame.copy(depth=call.frame.depth + 1)))
    if _REMOVES.search(text):
        places = look.places
        if any(directory in text for directory in places.backups):
            look.verdict.add(DELETES_BACKUPS, kind)
        elif places.speaks_of_backups(text):
            look.verdict.add_if_near(DELETES_BACKUPS, kind)
        else:
            look.verdict.not_understood(kind)
    if DELETING_SCRIPT.search(text):
        look.verdict.add_if_near(DELETES_DATA, kind)
    if _PRUNE.search(text) and "docker" in text.lower():
        look.verdict.add(PRUNES_DOCKER, kind)
    if len(look.verdict.kinds) == known and (outside > understood or _LOCAL_PARTS.search(text)):
        look.verdict.not_understood(kind)
