# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Puts the tokens of shell text together to commands: reserved words, functions, loops, pipes, subshells. Pure."""

from __future__ import annotations

from typing import List, Optional, Protocol, Sequence, Tuple

from .._core.late_dataclass import dataclass
from . import job_words
from .job_call import MOST_VALUES, Frame
from .job_places import unknown
from .job_words import HERE, OPERATOR, REDIRECT, TEXT, WORD, Token, Word

_SKIPPED = frozenset("then else do time ! { } elif coproc".split())
_OPENS = frozenset("if while until".split())
_CLOSES = frozenset("fi done esac".split())


@dataclass
class Pipe:
    files: List[str]
    words: List[str]


class Executor(Protocol):
    """What is done about each command, once it has been put together."""

    def command(
        self, words: Sequence[Word], redirects: Sequence[Token], frame: Frame, piped: Optional[Pipe], maybe: bool
    ) -> List[str]:
        """What the command prints."""

    def expand(self, word: Word, frame: Frame) -> List[str]:
        """The words that a word becomes."""

    def assign(self, name: str, values: List[str], frame: Frame) -> None:
        """A variable has these values from now on."""


class Commands:
    """Puts tokens together to commands: reserved words, functions, loops, pipes."""

    def __init__(self, shell: Executor, frame: Frame) -> None:
        self.shell = shell
        self.frame = frame
        self.printed: List[str] = []
        self.words: List[Word] = []
        self.redirects: List[Token] = []
        self.pipe: Optional[Pipe] = None
        self.maybe = 0
        self.directories: List[str] = []
        self.mode = ""  # "for", "case", "pattern", "test", "function"
        self.function: Tuple[str, List[Token], int] = ("", [], 0)
        self.cases = 0

    def take(self, token: Token, tokens: Sequence[Token], position: int) -> None:
        if self.mode == "function":
            self._body(token)
        elif self.mode == "pattern":
            if token.kind == OPERATOR and token.text == ")":
                self.mode = ""
            elif token.kind == WORD and job_words.reserved(token.word) == "esac":
                self._esac()
        elif token.kind == WORD:
            self._word(token, tokens, position)
        elif token.kind in (REDIRECT, HERE):
            self.redirects.append(token)
        elif self.mode == "test" and token.text != "\n":  # between its brackets these are no operators
            pass
        else:
            self._operator(token.text, tokens, position)

    def _esac(self) -> None:
        self.cases = max(0, self.cases - 1)
        self.maybe = max(0, self.maybe - 1)
        self.mode = ""

    def _word(self, token: Token, tokens: Sequence[Token], position: int) -> None:
        name = job_words.reserved(token.word)
        if self.mode == "test":
            if name == "]]":
                self.mode = ""
                self.words = []
            return
        if self.mode == "case":
            if name == "in":
                self.mode = "pattern"
            return
        if not self.words and self.mode == "":
            if name in _OPENS:
                self.maybe += 1
                return
            if name == "esac":
                self._esac()
                return
            if name in _CLOSES:
                self.maybe = max(0, self.maybe - 1)
                return
            if name in _SKIPPED:
                return
            if name == "[[":
                self.mode = "test"
                return
            if name == "case":
                self.mode = "case"
                self.cases += 1
                self.maybe += 1
                return
            if name in ("for", "select"):
                self.mode = "for"
                self.maybe += 1
                return
            if name == "function":
                self.mode = "name"
                return
        self.words.append(token.word)
        if self.mode == "name":
            self.mode = "function"
            self.function = (job_words.literal(token.word), [], 0)
            self.words = []

    def _operator(self, operator: str, tokens: Sequence[Token], position: int) -> None:
        following = tokens[position + 1] if position + 1 < len(tokens) else None
        if operator == "(":
            if len(self.words) == 1 and following is not None and following.text == ")":
                self.mode = "function"
                self.function = (job_words.literal(self.words[0]), [], 0)
                self.words = []
                return
            self.end(operator)
            self.directories.append(self.frame.cwd)
            return
        self.end(operator)
        if operator == ")" and self.directories:
            self.frame.cwd = self.directories.pop()
        elif operator in (";;", ";&", ";;&") and self.cases:
            self.mode = "pattern"

    def _body(self, token: Token) -> None:
        """Collect a function's body, from its opening brace to the closing one."""
        name, body, level = self.function
        word = job_words.reserved(token.word) if token.kind == WORD else ""
        if word == "{":
            level += 1
        elif word == "}":
            level -= 1
        elif level == 0 and (token.kind == WORD or (not body and token.text not in ("(", ")", "\n"))):
            # Something else than braces: its commands are read where they stand.
            self.mode = ""
            if token.kind == WORD:
                self._word(token, (), 0)
            return
        if level > 0:
            body.append(token)
        self.function = (name, body, level)
        if word == "}" and level == 0:
            self.frame.functions[name] = body[1:]
            self.mode = ""

    def end(self, operator: str) -> None:
        """What has been collected is a command."""
        words, redirects, pipe = self.words, self.redirects, self.pipe
        self.words, self.redirects = [], []
        if self.mode == "for":
            self.mode = ""
            self._loop(words)
            words = []
        if self.mode in ("case", "name", "test"):
            self.mode = ""
        if words or redirects:
            self.printed = self.shell.command(words, redirects, self.frame, pipe, self.maybe > 0)
            self.pipe = None
        if operator in ("|", "|&"):
            spoken = [value for word in words for value in _spoken(word)]
            self.pipe = Pipe(self.printed, [*(pipe.words if pipe else ()), *spoken][-MOST_VALUES * 4 :])
        elif operator == "(":
            self.pipe = pipe if not words else None

    def _loop(self, words: List[Word]) -> None:
        """``for NAME in WORDS``: the name has each of the words as its value."""
        if not words:
            return
        name = job_words.literal(words[0])
        values = [value for word in words[2:] for value in self.shell.expand(word, self.frame)]
        if len(words) == 1:
            values = list(self.frame.arguments or []) or [unknown(name)]
        self.shell.assign(name, values[:MOST_VALUES] or [unknown(name)], self.frame)


def _spoken(word: Word) -> List[str]:
    return [part.text for part in word if part.kind == TEXT]
