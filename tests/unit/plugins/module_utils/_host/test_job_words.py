# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shlex
import time

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._host.job_words import (
    COMMAND,
    HERE,
    OPERATOR,
    REDIRECT,
    VARIABLE,
    WORD,
    WordPart,
    clean,
    literal,
    tokenize,
)

PIECES = st.sampled_from(
    "rm find backups /x $A ${A} ${A:-b} ${A:-$(b)} $(ls) `ls` $((1+1)) \" ' \\ | || && & ; ( ) { } < > << <<< >> # \n \t \0 "
    "\ue000 if then fi for in do done case esac [[ ]] A= A=( A=b 2>&1 <<X X <( $( ${ `".split(" ")
)
SHELL_TEXTS = st.lists(PIECES, max_size=60).map(" ".join) | st.lists(PIECES, max_size=60).map("".join) | st.text()


def words(text: str) -> list[str]:
    return [literal(token.word) for token in tokenize(text) if token.kind == WORD]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rm -f a b", ["rm", "-f", "a", "b"]),
        ("rm 'a b' \"c d\" e\\ f", ["rm", "a b", "c d", "e f"]),
        ("a'b'\"c\"d", ["abcd"]),
        ("a # b\nc#d", ["a", "c#d"]),
        ("a \\\n b", ["a", "b"]),
        ('echo "a \\"b\\" \\$c"', ["echo", 'a "b" $c']),
        ("a 'unclosed b", ["a", "unclosed b"]),
        ("$'a b'c", ["a bc"]),
        ("a\tb\n", ["a", "b"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_what_is_to_be_expanded() -> None:
    parts = [part for token in tokenize('x "$A" ${B:-c d} $(e "f)" g) `h` ${#I} "${J[@]}"') for part in token.word[:]]
    kept = [part for part in parts if part.kind in (VARIABLE, COMMAND)]
    assert kept == [
        WordPart(VARIABLE, "A", True),
        WordPart(VARIABLE, "B", False, ":-", "c d"),
        WordPart(COMMAND, 'e "f)" g', False),
        WordPart(COMMAND, "h", False),
        WordPart(VARIABLE, "J", True),
    ]


def test_operators_and_redirections() -> None:
    tokens = tokenize("a && b || c; d | e >f 2>&1 <g &")
    assert [token.text for token in tokens if token.kind == OPERATOR] == ["&&", "||", ";", "|", "&"]
    assert [(token.text, literal(token.word)) for token in tokens if token.kind == REDIRECT] == [
        (">", "f"),
        (">&", "1"),
        ("<", "g"),
    ]
    assert words("a && b || c; d | e >f 2>&1 <g &") == ["a", "b", "c", "d", "e"]


def test_here_documents_are_no_commands() -> None:
    tokens = tokenize("cat <<A <<-'B'; next\nrm one\nA\n\trm two\n\tB\nafter\n")
    assert [token.text for token in tokens if token.kind == HERE] == ["rm one", "\trm two"]
    assert words("cat <<A <<-'B'; next\nrm one\nA\n\trm two\n\tB\nafter\n") == ["cat", "next", "after"]
    assert words("cat <<A\nrm one\n") == ["cat"], "one that is never closed ends with the text"


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs", "Co"], exclude_characters="\0\r"), min_size=1), max_size=8)
)
def test_quoted_words_come_back_as_they_are(given_words: list[str]) -> None:
    assert words(" ".join(map(shlex.quote, given_words))) == given_words


@given(SHELL_TEXTS)
def test_any_text_is_split_and_nobody_brings_marks(text: str) -> None:
    assert not any("\ue000" <= character <= "\ue00f" for character in clean(text))
    tokens = tokenize(text)
    event("some tokens" if tokens else "none")
    assert sum(len(part.text) for token in tokens for part in token.word) <= len(text) + len(tokens)


@pytest.mark.parametrize(
    "piece", ["$(", '"$(', "${a:-", "((", "`", "<<X\n", "(", "'\"", "\\", "a=(", "x ", "#", "$((", "<("]
)
def test_a_megabyte_takes_bounded_time(piece: str) -> None:
    start = time.process_time()
    tokenize(piece * (1_000_000 // len(piece)))
    assert time.process_time() - start < 5, "it is some tenths of a second"
