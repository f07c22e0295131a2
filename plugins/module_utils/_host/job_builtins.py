# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the shell itself does, and small programs whose output decides where others work. Pure but for the scripts."""

from __future__ import annotations

import os
import re
from typing import Callable, List, Optional, Sequence, Tuple

from .job_call import Exhausted, Frame, Invocation
from .job_formats import Rotation, environment_of_unit, logrotate_blocks
from .job_places import OWN, UNKNOWN, UNKNOWN_END, Places, unknown
from .job_reader import Script
from .job_shell import Shell
from .job_verdict import Inspection, JobVerdict, options
from .job_words import LARGEST, clean

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENVIRONMENT_FILE = re.compile(r"env(?:ironment)?$|\.env\b|/default/|/sysconfig/")


class Builtins:
    """Each of its methods named _do_NAME is what a call of NAME does; it returns what the call prints, as far as that names files."""

    def __init__(self, places: Places, script: Callable[[str], Optional[Script]], near: bool = False) -> None:
        self.places = places
        self.verdict = JobVerdict(places, near)
        self._given = script
        self.shell = Shell(self.run, self.verdict.note, self._cleaned)
        self.look = Inspection(self.verdict, places, self.shell, self._cleaned, self.shell.call)

    def _cleaned(self, path: str) -> Optional[Script]:
        found = self._given(path)
        return found and found._replace(text=clean(found.text))

    def run(self, call: Invocation) -> List[str]:
        raise NotImplementedError

    def builtin(self, name: str) -> Optional[Callable[[Invocation], List[str]]]:
        found: Optional[Callable[[Invocation], List[str]]] = (
            getattr(self, "_do_" + name, None) if name.isalnum() else None
        )
        return found

    def read(self, text: str, frame: Frame) -> None:
        """Go through a job's shell text."""
        self.verdict.note(frame.cwd)
        if len(text) > LARGEST:
            self.verdict.not_understood("too long to be read")
        try:
            self.shell.run(clean(text), frame)
        except (Exhausted, RecursionError):
            self.verdict.not_understood("too long to be read")

    def _text(self, text: str, frame: Frame, arguments: Optional[List[str]] = None) -> List[str]:
        inner = frame.copy(depth=frame.depth + 1)
        if arguments is not None:
            inner.arguments = arguments
        found = self.shell.run(text, inner)
        frame.functions.update(inner.functions)
        return found

    def _do_cd(self, call: Invocation) -> List[str]:
        targets = [word for word in call.words[1:] if not word.startswith("-")]
        call.frame.cwd = self._joined(call.frame.cwd, targets[0]) if targets else call.frame.home
        return []

    _do_pushd = _do_cd

    @staticmethod
    def _joined(directory: str, path: str) -> str:
        if path.startswith(("/", UNKNOWN)):
            return os.path.normpath(path)
        return os.path.normpath(directory + "/" + path) if directory else unknown("cwd") + "/" + path

    def _do_pwd(self, call: Invocation) -> List[str]:
        return [call.frame.cwd or unknown("PWD")]

    def _do_dirname(self, call: Invocation) -> List[str]:
        return [os.path.dirname(word) or "." for word in options(call.words[1:]).operands]

    def _do_basename(self, call: Invocation) -> List[str]:
        words = options(call.words[1:], "-s").operands
        return [os.path.basename(word) for word in words[:1]] or [unknown("name")]

    def _do_realpath(self, call: Invocation) -> List[str]:
        return [self._joined(call.frame.cwd, word) for word in options(call.words[1:]).operands]

    _do_readlink = _do_realpath

    def _do_date(self, call: Invocation) -> List[str]:
        """Of now unless told otherwise; of another day it names what another run has made."""
        given = options(call.words[1:], "-d --date -r --reference -v -f --file")
        return [unknown("date") if given.has("-d", "--date", "-r", "--reference", "-v", "-f") else OWN]

    def _do_mktemp(self, call: Invocation) -> List[str]:
        given = options(call.words[1:], "-p --tmpdir --suffix")
        directory = "".join(given.values("-p", "--tmpdir")) or ("/tmp" if not given.operands else "")  # noqa: S108
        return [self._joined(call.frame.cwd, os.path.join(directory, *(given.operands or [""]))).rstrip("/") + OWN]

    def _do_uuidgen(self, call: Invocation) -> List[str]:
        return [OWN]

    def _do_read(self, call: Invocation) -> List[str]:
        names = options(call.words[1:], "-d -n -N -p -t -u -a -i").operands
        for name in names:
            values = list(call.files or []) if len(names) == 1 else []
            self.shell.assign(name, values or [unknown(name)], call.frame)
        return []

    def _do_mapfile(self, call: Invocation) -> List[str]:
        for name in options(call.words[1:], "-d -n -O -s -u -C -c").operands:
            self.shell.assign(name, list(call.files or []) or [unknown(name)], call.frame)
        return []

    _do_readarray = _do_mapfile

    def _do_set(self, call: Invocation) -> List[str]:
        if "--" in call.words:
            call.frame.arguments = call.words[call.words.index("--") + 1 :]
        return []

    def _do_shift(self, call: Invocation) -> List[str]:
        if call.frame.arguments:
            call.frame.arguments = call.frame.arguments[1:]
        return []

    def _do_eval(self, call: Invocation) -> List[str]:
        return self._text(" ".join(call.words[1:]), call.frame)

    def _do_trap(self, call: Invocation) -> List[str]:
        words = options(call.words[1:]).operands
        return self._text(words[0], call.frame) if len(words) > 1 else []

    def _do_command(self, call: Invocation) -> List[str]:
        given = options(call.words[1:], leading=True)
        if given.has("-v", "-V") or not given.operands:
            return given.operands
        return self.shell.call(call.inner(given.operands))

    def _do_which(self, call: Invocation) -> List[str]:
        return options(call.words[1:]).operands

    def _do_env(self, call: Invocation) -> List[str]:
        given = options(call.words[1:], "-u --unset -C --chdir -S --split-string", leading=True)
        words = [word for value in given.values("-S", "--split-string") for word in value.split()] + given.operands
        while words and re.match(r"^[A-Za-z_]\w*=", words[0]):
            name, _equals, value = words.pop(0).partition("=")
            self.shell.assign(name, [value], call.frame)
        for directory in given.values("-C", "--chdir"):
            call.frame.cwd = self._joined(call.frame.cwd, directory)
        return self.shell.call(call.inner(words)) if words else []

    def _do_su(self, call: Invocation) -> List[str]:
        given = options(call.words[1:], "-c --command -s --shell -g -G -u --user")
        for text in given.values("-c", "--command"):
            self._text(text, call.frame)
        if given.has("-u", "--user") and given.operands:
            return self.shell.call(call.inner(given.operands))
        return []

    _do_runuser = _do_su

    def _do_ssh(self, call: Invocation) -> List[str]:
        """Whatever it does, it does it on another machine."""
        given = options(call.words[1:], "-p -i -o -l -F -J -L -R -D -b -c -E -e -I -m -O -Q -S -W -w", leading=True)
        if given.operands and re.search(r"(?:^|@)(?:localhost|127\.0\.0\.1|::1)$", given.operands[0]):
            return self._text(" ".join(given.operands[1:]), call.frame)
        return [unknown("ssh")]

    def _do_logrotate(self, call: Invocation) -> List[str]:
        for path in options(call.words[1:], "-s --state -m --mail -l --log").operands:
            found = self.look.script(self._joined(call.frame.cwd, path))
            if found is None:
                self.verdict.not_understood(call.name)
            else:
                self.rotations(list(logrotate_blocks(found.text)), call.frame)
        return []

    def rotations(self, blocks: Sequence[Rotation], frame: Frame) -> None:
        """What logrotate renames, the oldest of which it removes, and the shell text that it runs."""
        for block in blocks:
            for path in block.paths:
                self.verdict.note(path)
                self.verdict.remove(self.places.reached(path, "/", False), "logrotate")
            self.read(block.scripts, frame.copy(cwd="/", depth=frame.depth + 1))

    def _do_source(self, call: Invocation) -> List[str]:
        for path in call.words[1:2]:
            path = self._joined(call.frame.cwd, path)
            found = self._follow(path, call.frame)
            if found is None or found[1].binary:
                continue  # variables from nowhere stay unknown by themselves
            frame = call.frame
            if _ENVIRONMENT_FILE.search(path):
                frame.variables.update({name: [value] for name, value in environment_of_unit(found[1].text).items()})
            else:
                script, frame.script, depth = frame.script, found[0], frame.depth
                frame.depth += 1
                self.shell.run(found[1].text, frame)
                frame.script, frame.depth = script, depth
        return []

    def _export(self, call: Invocation) -> List[str]:
        for word in call.words[1:]:
            name, equals, value = word.partition("=")
            if equals and name.isidentifier():
                self.shell.assign(name, [value], call.frame)
        return []

    def _candidates(self, path: str, frame: Frame) -> List[str]:
        if path.startswith(UNKNOWN):
            # A variable for the shop's directory, as a rule.
            rest = path.partition(UNKNOWN_END)[2].lstrip("/")
            return [os.path.join(self.places.root, rest)] if rest and UNKNOWN not in rest else []
        if UNKNOWN in path:
            return []
        if "/" not in path:
            directories = (frame.variables.get("PATH") or [_DEFAULT_PATH])[0].split(":")
            return [os.path.join(directory, path) for directory in directories if directory.startswith("/")][:20]
        return [self._joined(frame.cwd, path)] if path.startswith("/") or frame.cwd.startswith("/") else []

    def _follow(self, path: str, frame: Frame, near_by: bool = False) -> Optional[Tuple[str, Script]]:
        places = self._candidates(path, frame)
        if near_by and "/" not in path:
            places = [self._joined(frame.cwd, path), *places]
        for place in places:
            found = self.shell.follow(place, frame, None)
            if found is not None:
                return place, found
        return None
