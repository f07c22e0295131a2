# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a shell script as a shell would, without doing anything: which programs it calls, where, with which words.

Every branch is taken once. A variable may have several values; one that nobody can know keeps its name in a mark. What the
called programs do is told by a table (job_programs.py), and what they print is followed as far as it names files.
"""

from __future__ import annotations

import os
import re
from itertools import islice
from typing import Callable, List, Optional, Sequence

from . import job_words
from .job_call import MOST_VALUES, Exhausted, Frame, Invocation
from .job_grammar import Commands, Pipe
from .job_places import OWN, UNKNOWN, unknown
from .job_reader import Script
from .job_words import ARRAY, COMMAND, HERE, NUMBER, TEXT, WORD, Token, Word, WordPart

# No job that people write comes near these; they bound the work on one that nobody wrote for us.
MOST_CALLS, MOST_WORDS, MOST_FILES, MOST_PARTS, DEEPEST = 5_000, 2_000, 40, 200, 12
LONGEST, MOST_WORK = 4096, 2_000_000

_ASSIGNMENT = re.compile(r"^([A-Za-z_]\w*)(?:\[[^\]]*\])?(\+?)=")
_ELEMENT = re.compile(r"^[A-Za-z_]\w*\[[^\]]*$")
_BRACES = re.compile(r"\{([^{}]+)\}")


Program = Callable[[Invocation], List[str]]


class Shell:
    """Args:
    program: what to do about a call; returns what it prints, as far as that names files.
    note: told every expanded word.
    script: gives a file by its path.
    """

    def __init__(
        self, program: Program, note: Callable[[str], None], script: Callable[[str], Optional[Script]]
    ) -> None:
        self._program = program
        self._note = note
        self._script = script
        self._calls = 0
        self._files = 0
        self._nested = 0
        self._work = 0

    # -- words -----------------------------------------------------------------------------------------------------

    def expand(self, word: Word, frame: Frame) -> List[str]:
        """The words that a word becomes; several where a variable has several values."""
        found = self._joined(word, frame)
        if len(word) == 1 and not word[0].quoted and word[0].kind != TEXT:
            found = [piece for value in found for piece in value.split()][:MOST_VALUES]
        if any(part.kind == TEXT and not part.quoted and "{" in part.text for part in word):
            for _level in range(2):
                found = [inner for value in found for inner in _braces(value)][:MOST_VALUES]
        return found

    def _joined(self, word: Word, frame: Frame) -> List[str]:
        """A word's values without being split, as in an assignment."""
        self._nested += 1
        if self._nested > 3 * DEEPEST:
            raise Exhausted
        found = [""]
        for part in word[:MOST_PARTS]:
            values = self._values(part, frame)
            pairs = ((start + value)[:LONGEST] for start in found for value in values)
            found = list(islice(pairs, MOST_VALUES))
        if word and word[0].kind == TEXT and not word[0].quoted and word[0].text[:2] in ("~", "~/") and frame.home:
            found = [frame.home + value[1:] for value in found]
        self._worked(sum(map(len, found)) + len(word))
        self._nested -= 1
        return found

    def _worked(self, characters: int) -> None:
        self._work += characters
        if self._work > MOST_WORK:
            raise Exhausted

    def _values(self, part: WordPart, frame: Frame) -> List[str]:
        if part.kind == TEXT:
            return [part.text]
        if part.kind == NUMBER:
            return [unknown("number")]
        if part.kind == ARRAY:
            self._worked(len(part.text))
            return [
                value
                for token in job_words.tokenize(part.text)
                if token.kind == WORD
                for value in self.expand(token.word, frame)
            ][:MOST_VALUES]
        if part.kind == COMMAND:
            return self.substitution(part.text, frame) or [""]
        return self._variable(part, frame)

    def _variable(self, part: WordPart, frame: Frame) -> List[str]:
        name, operator = part.text, part.operator
        values = self._plain(name, frame)
        if operator.lstrip(":") in ("-", "=", "+") and operator:
            other = self.expand(self._argument(part), frame)
            if operator.endswith("+"):
                return other if values else [""]
            if values is None or not any(values):
                if operator.endswith("="):
                    frame.variables[name] = other
                return other
        if values is None:
            return [unknown(name)]
        if operator in ("%", "%%", "#", "##"):
            argument = (self.expand(self._argument(part), frame) or [""])[0]
            return [_trimmed(value, operator, argument) for value in values]
        return values or [""]

    def _argument(self, part: WordPart) -> Word:
        self._worked(len(part.argument))
        return tuple(piece for token in job_words.tokenize(part.argument) for piece in token.word)

    @staticmethod
    def _plain(name: str, frame: Frame) -> Optional[List[str]]:
        if name in frame.variables:
            return frame.variables[name]
        if name in ("@", "*"):
            return frame.arguments
        if name.isdigit() and name != "0":
            if frame.arguments is None:
                return None
            return frame.arguments[int(name) - 1 : int(name)] if len(name) < 3 else []
        if name in ("0", "BASH_SOURCE"):
            return [frame.script] if frame.script else None
        if name in ("$", "RANDOM", "BASHPID"):
            return [OWN]
        known = {"HOME": frame.home, "PWD": frame.cwd}.get(name)
        return [known] if known else None

    def substitution(self, text: str, frame: Frame) -> List[str]:
        """What a command substitution prints, as far as it names files."""
        return self.run(text, frame.copy(depth=frame.depth + 1))

    # -- commands --------------------------------------------------------------------------------------------------

    def run(self, text: str, frame: Frame) -> List[str]:
        """Go through shell text; what its last command prints."""
        self._worked(len(text))
        return self._tokens(job_words.tokenize(text), frame)

    def follow(self, path: str, frame: Frame, arguments: Optional[List[str]]) -> Optional[Script]:
        """A script that a job calls, while few enough have been."""
        found = self._script(path)
        if found is not None:
            self._files += 1
            if self._files > MOST_FILES or frame.depth > DEEPEST:
                raise Exhausted
        return found

    def _tokens(self, tokens: Sequence[Token], frame: Frame) -> List[str]:
        if frame.depth > DEEPEST:
            raise Exhausted
        reader = Commands(self, frame)
        for position, token in enumerate(tokens):
            reader.take(token, tokens, position)
        reader.end("\n")
        return reader.printed

    def command(
        self, words: Sequence[Word], redirects: Sequence[Token], frame: Frame, piped: Optional[Pipe], maybe: bool
    ) -> List[str]:
        """One simple command: its assignments are made, its words expanded, its program looked at."""
        self._calls += 1
        if self._calls > MOST_CALLS:
            raise Exhausted
        position = 0
        while position < len(words) and self._assign(words[position], frame, maybe):
            position += 1
        expanded = [value for word in words[position : position + MOST_WORDS] for value in self.expand(word, frame)]
        if len(words) > MOST_WORDS or len(expanded) > MOST_WORDS:
            raise Exhausted
        files = list(piped.files) if piped else None
        text = source = ""
        for token in redirects:
            if token.kind == HERE or token.text == "<<<":
                text += token.text if token.kind == HERE else "\n".join(self.expand(token.word, frame))
            elif any(part.kind == COMMAND for part in token.word):
                files = (files or []) + self.expand(token.word, frame)
            elif token.text == "<":
                source = (self.expand(token.word, frame) or [""])[0]
                files = [unknown("input")]
        if not expanded or not expanded[0]:
            return []
        call = Invocation(expanded, frame, files, text, source, piped.words if piped else ())
        return self.call(call, maybe)

    def _assign(self, word: Word, frame: Frame, maybe: bool) -> bool:
        match = _ASSIGNMENT.match(word[0].text) if word and word[0].kind == TEXT and not word[0].quoted else None
        if match is None:
            # An element of an array whose index is no plain text, ``kept[$day]=1``.
            return len(word) > 1 and bool(_ELEMENT.match(word[0].text)) and any("]=" in part.text for part in word[1:])
        rest = (WordPart(TEXT, word[0].text[match.end() :]), *word[1:])
        self.assign(match.group(1), self._joined(rest, frame), frame, maybe or bool(match.group(2)))
        return True

    def assign(self, name: str, values: List[str], frame: Frame, add: bool = False) -> None:
        for value in values:
            self._note(value)
        if add and name in frame.variables:
            values = list(dict.fromkeys([*frame.variables[name], *values]))[:MOST_VALUES]
        frame.variables[name] = values

    def call(self, call: Invocation, maybe: bool = False) -> List[str]:
        body = call.frame.functions.get(call.words[0])
        if body is not None:
            arguments, depth = call.frame.arguments, call.frame.depth
            call.frame.arguments, call.frame.depth = call.words[1:], depth + 1
            # Without its own name, so that one that calls itself ends; its variables are everybody's, as in a shell.
            del call.frame.functions[call.words[0]]
            try:
                return self._tokens(body, call.frame)
            finally:
                call.frame.functions[call.words[0]] = body
                call.frame.arguments, call.frame.depth = arguments, depth
        return self._program(call)


def _braces(value: str) -> List[str]:
    match = _BRACES.search(value)
    if match is None or "," not in match.group(1):
        return [value]
    return [value[: match.start()] + piece + value[match.end() :] for piece in match.group(1).split(",")]


def _trimmed(value: str, operator: str, pattern: str) -> str:
    if value.startswith(UNKNOWN):
        return value
    if operator == "%" and pattern == "/*":
        return os.path.dirname(value)
    if operator == "##" and pattern == "*/":
        return os.path.basename(value)
    if operator.startswith("%") and pattern and value.endswith(pattern):
        return value[: -len(pattern)]
    if operator.startswith("#") and pattern and value.startswith(pattern):
        return value[len(pattern) :]
    return value
