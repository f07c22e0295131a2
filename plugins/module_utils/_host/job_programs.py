# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each program that a scheduled job calls does, as far as it is dangerous beside us. Tables first; pure but for the scripts.

A program that no table knows is looked for as a script and read. What cannot be read is not understood, never harmless.
"""

from __future__ import annotations

import json
import os
import re
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from . import job_removal, job_services
from .job_builtins import Builtins
from .job_call import Exhausted, Frame, Invocation
from .job_code import read_code
from .job_places import UNKNOWN, Places, unknown
from .job_reader import Script
from .job_shell import DEEPEST
from .job_tables import BACKUP_SCRIPT, CODE, HARMLESS, HARMLESS_SCRIPTS, SCRIPTS, SHELLS, WRAPPERS
from .job_verdict import DELETES_BACKUPS, READABLE_BACKUPS, Rule, options

# What calls a file by its name says how it is to be read; else its first line does.
SHELL, CODE_FILE = "shell", "code"
_RULES: Dict[str, Rule] = {**job_removal.RULES, **job_services.RULES}
_TEXT_OF_CODE = re.compile(r"^(?:python|pypy|node|nodejs|bun|deno|tsx|ruby|perl|php)[\d.]*$")
_CODE_ENDINGS = (".py", ".js", ".mjs", ".cjs", ".ts", ".pl", ".rb", ".php")
_ENDINGS = (".sh", ".bash", *_CODE_ENDINGS)
# A name is told where it is a file's: any other word of a job might be a secret that was taken for a command.
_SHOWN = re.compile(r"^[\w.+-]{1,64}$")
_A_PATH = re.compile(r"^(?:/|\.\.?/)")
_PACKAGE_MANAGERS = frozenset("npm yarn pnpm".split())
_BUILTIN_ASSIGNMENTS = frozenset("export readonly local typeset declare".split())
_SHEBANG = re.compile(r"^#!\s*(\S+)(?:[ \t]+(.*))?")


class Programs(Builtins):
    """The table's reader: called by Shell for every call of a job."""

    def __init__(self, places: Places, script: Callable[[str], Optional[Script]], near: bool = False) -> None:
        super().__init__(places, script, near)
        self._seen: List[str] = []

    # -- one call --------------------------------------------------------------------------------------------------

    def run(self, call: Invocation) -> List[str]:
        """What a call does goes into the verdict; what it prints, as far as it names files, is returned."""
        name = call.name
        if call.words[0].startswith("-") or name in ("", "]", "]]"):
            return []
        if call.frame.depth > DEEPEST:
            raise Exhausted
        for word in call.words if name not in job_removal.SPEECH else ():
            self.verdict.note(word)
        if self.places.inside(call.frame.cwd):
            self.verdict.near = True
        own = self.builtin("source" if name == "." else name)
        if own is not None:
            return own(call)
        if name in _BUILTIN_ASSIGNMENTS:
            return self._export(call)
        if name in WRAPPERS:
            return self._wrapper(call)
        if name in SHELLS:
            return self._a_shell(call)
        if name in CODE or _TEXT_OF_CODE.match(name):
            return self._code(call)
        if name in _PACKAGE_MANAGERS:
            return self._package_script(call)
        rule = _RULES.get(name)
        if rule is not None:
            return rule(self.look, call)
        if "/init.d/" in call.words[0]:
            return job_services.init_script(self.look, call)
        if name in HARMLESS and not self._is_own_file(call):
            return [unknown(name)]
        return self._script(call.words[0], call, call.words[1:])

    def _is_own_file(self, call: Invocation) -> bool:
        """A file of the shop may have any program's name."""
        path = call.words[0]
        return "/" in path and self.places.inside(os.path.normpath(os.path.join(call.frame.cwd, path)))

    # -- programs that call programs -------------------------------------------------------------------------------

    def _wrapper(self, call: Invocation) -> List[str]:
        taking, skipped = WRAPPERS[call.name]
        given = options(call.words[1:], taking, leading=True)
        for directory in given.values("-D", "--chdir", "--working-directory"):
            call.frame.cwd = self._joined(call.frame.cwd, directory)
        words = given.operands[skipped:]
        while words and re.match(r"^[A-Za-z_]\w*=", words[0]):
            words = words[1:]
        if words[:1] == ["--"]:
            words = words[1:]
        if words and words[0] in ("-c", "--command"):  # flock's, after its lock file
            return self._text(" ".join(words[1:]), call.frame)
        return self.shell.call(call.inner(words)) if words else []

    def _a_shell(self, call: Invocation) -> List[str]:
        given = options(call.words[1:], "-o -O --rcfile --init-file", leading=True)
        if given.has("-c"):
            return self._text(given.operands[0], call.frame, given.operands[2:]) if given.operands else []
        if given.operands and given.operands[0] != "-" and not given.has("-s"):
            return self._script(given.operands[0], call, given.operands[1:], SHELL)
        if call.text:
            return self._text(call.text, call.frame)
        if call.source:
            return self._script(call.source, call, given.operands, SHELL)
        if call.files is not None:
            # Commands come through the pipe: made from names of files, or from elsewhere.
            if any(re.search(r"\brm\b|\bunlink\b", word) for word in call.upstream):
                self.look.remove(call.files, call, True, "rm through a pipe")
            else:
                self.verdict.not_understood(call.name)
        return []

    def _code(self, call: Invocation) -> List[str]:
        name = re.sub(r"[\d.]+$", "", call.name)
        taking = CODE.get(name, "-c -e")
        given = options(call.words[1:], taking + " -m -W -X -r --require --import --env-file -I -M -d", leading=True)
        texts = given.values(*taking.split())
        if not texts and "perl" in name:  # -ne, -lane: the text is the next word
            texts = (
                given.operands[:1]
                if any(option in ("-n", "-l", "-0", "-p") for option, _value in given.options)
                else []
            )
        for text in [*texts, call.text] if texts or call.text else ():
            if call.files and re.search(r"\bunlink\b|os\.remove|\brm\b", text):
                self.look.remove(call.files, call, True, call.name)
            else:
                read_code(self.look, call, text, call.name)
        if texts or call.text:
            return [unknown("printed")]
        if given.operands and not given.has("-m"):
            return self._script(given.operands[0], call, given.operands[1:], CODE_FILE)
        if given.has("-m") or call.files is not None:
            self.verdict.not_understood(call.name)
        return [unknown("printed")]

    def _package_script(self, call: Invocation) -> List[str]:
        """``npm run NAME``: the command stands in package.json."""
        given = options(call.words[1:], "--prefix -C --cwd --dir -w --workspace", leading=False)
        directory = self._joined(call.frame.cwd, "".join(given.values("--prefix", "-C", "--cwd", "--dir")) or ".")
        words = [word for word in given.operands if word not in ("run", "run-script", "exec")]
        if given.operands[:1] and given.operands[0] in (
            "install",
            "ci",
            "audit",
            "outdated",
            "update",
            "ls",
            "cache",
            "version",
        ):
            return []
        found = self.look.script(os.path.join(directory, "package.json"))
        try:
            told = json.loads(found.text)["scripts"][words[0]] if found and words else None
        except (ValueError, KeyError, TypeError, RecursionError):
            told = None
        if not isinstance(told, str):
            self.verdict.not_understood(call.name)
            return []
        return self._text(told, call.frame.copy(cwd=directory))

    # -- scripts ---------------------------------------------------------------------------------------------------

    def _script(self, path: str, call: Invocation, arguments: Sequence[str], language: str = "") -> List[str]:
        """Read what a job calls: a shell script, one in another language, or a file that nobody can read."""
        name = os.path.basename(path)
        places = self._candidates(path, call.frame)
        ours = any(self.places.inside(place) for place in places) or self.places.inside(call.frame.cwd)
        self.verdict.near = self.verdict.near or ours
        for danger in SCRIPTS.get(name, ()):
            self.verdict.add(danger, name)
        found = self._follow(path, call.frame, near_by=bool(language))
        shown = (
            name if _SHOWN.match(name) and (found or _A_PATH.match(path) or name.endswith(_ENDINGS)) else "a program"
        )
        if name == BACKUP_SCRIPT and (ours or (path.startswith(UNKNOWN) and self.verdict.near)):
            self.verdict.add(READABLE_BACKUPS, name)
            if found is None:
                self.verdict.add(DELETES_BACKUPS, name)
        elif found is None and not (name in SCRIPTS or (ours and name in HARMLESS_SCRIPTS)):
            self.verdict.not_understood(shown)
        if found is None:
            return [unknown("printed")]
        place, script = found
        if place in self._seen:
            return [unknown("printed")]
        if script.binary or not script.whole:
            self.verdict.not_understood(shown)
        if not script.binary:
            self._seen.append(place)
            self._read(place, script.text, call, list(arguments), shown, language)
            self._seen.pop()
        return [unknown("printed")]

    def _read(self, place: str, text: str, call: Invocation, arguments: List[str], shown: str, language: str) -> None:
        match = _SHEBANG.match(text)
        words = [os.path.basename(word) for word in " ".join(filter(None, match.groups())).split()] if match else []
        program = next((word for word in words if word not in ("env", "-S") and not word.startswith("-")), "")
        before, position = self.verdict.size(), len(self.verdict.kinds)
        if language == CODE_FILE or (
            not language and (_TEXT_OF_CODE.match(program) or (not match and place.endswith(_CODE_ENDINGS)))
        ):
            read_code(self.look, call, text, shown)
        elif language or not match or program in SHELLS:
            frame = call.frame.copy(arguments=arguments, script=place, depth=call.frame.depth + 1, functions={})
            weak = self.verdict.weak
            self.verdict.weak = weak or (shown in HARMLESS_SCRIPTS and self.places.inside(place))
            self.shell.run(text, frame)
            self.verdict.weak = weak
        else:
            self.verdict.not_understood(shown)
        if self.verdict.size() > before:
            self.verdict.kinds.insert(position, shown)


def classify_job(
    command: str, places: Places, script: Callable[[str], Optional[Script]], frame: Frame, near: bool = False
) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
    """What a shell command would do: the names recognised, and the dangers, the worst first. Nothing of it is executed.

    Args:
        command: shell text.
        script: gives a file by its path, None where there is none.
        frame: the variables, the directory and the home with which it runs.
        near: whether it is already known to concern the shop, by its place or its name.
    """
    programs = Programs(places, script, near)
    programs.read(command, frame)
    return programs.verdict.result()
