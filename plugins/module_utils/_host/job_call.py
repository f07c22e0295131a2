# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A call of a program in a job, and the place in the shell's text where it is made."""

from __future__ import annotations

import os
from dataclasses import field, replace
from typing import Any, Dict, List, Optional, Sequence

from .._core.late_dataclass import dataclass
from .job_words import Token

# Of one word; no more are followed.
MOST_VALUES = 24


class Exhausted(Exception):
    """The job is too long or too nested to be read to its end."""


@dataclass
class Frame:
    """Where a piece of shell text runs: variables (several values each), directory ("" unknown), arguments, the script's own path."""

    variables: Dict[str, List[str]] = field(default_factory=dict)
    cwd: str = ""
    arguments: Optional[List[str]] = None
    script: str = ""
    home: str = ""
    depth: int = 0
    functions: Dict[str, List[Token]] = field(default_factory=dict)

    def copy(self, **changes: Any) -> Frame:
        """The same with variables and functions of its own, as in a subshell."""
        return replace(self, **{"variables": dict(self.variables), "functions": dict(self.functions), **changes})


@dataclass
class Invocation:
    """One call of a program.

    words: its name and arguments, expanded. files: what comes through the pipe, as far as it names files; None without a pipe.
    text: a here-document or here-string. source: the file that is its input. upstream: every word of the pipeline before it.
    """

    words: List[str]
    frame: Frame
    files: Optional[List[str]] = None
    text: str = ""
    source: str = ""
    upstream: Sequence[str] = ()

    @property
    def name(self) -> str:
        return os.path.basename(self.words[0])

    def inner(self, words: Sequence[str]) -> Invocation:
        """The call of another program by this one, with the same input."""
        return replace(self, words=list(words))
