# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Splits shell text into words and operators, as far as it takes to see what a scheduled job removes.

Any text is accepted: what is not closed ends with the text. Nothing is expanded here, and nothing is ever executed.
The time is linear in the length of the text.
"""

from __future__ import annotations

import re
from typing import List, NamedTuple, Tuple

# Text beyond this is not looked at; no script that people write is as long.
LARGEST = 256 * 1024

TEXT, VARIABLE, COMMAND, ARRAY, NUMBER = "text", "variable", "command", "array", "number"
WORD, OPERATOR, REDIRECT, HERE = "word", "operator", "redirect", "here"

_PLAIN = re.compile(r"[^\s;&|()<>\"'\\$`]+")
_PLAIN_IN_QUOTES = re.compile(r"[^\"\\$`]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")
_BRACED = re.compile(
    r"([!#]?)([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-])(\[[^\]]*\])?(:?[-=+?]|%%?|##?|//?|\^\^?|,,?|:|@)?"
)
_OPERATOR = re.compile(r"&&|\|\||;;&|;;|;&|\|&|[;|&()\n]")
_REDIRECT = re.compile(r"(?:\d+|\{\w+\})?(&>>|&>|<<<|<<-|<<|<>|>>|>\||>&|<&|<|>)")
_ARRAY = re.compile(r"^[A-Za-z_]\w*\+?=$")
_STOPS = re.compile(r"[()'\"\\`{}$#]")
# Marks that an expansion puts into its results; nobody's text may bring its own.
_MARKS = re.compile("[\ue000-\ue00f]")


class WordPart(NamedTuple):
    """A piece of a word.

    kind: TEXT; VARIABLE, whose text is its name; COMMAND or ARRAY, whose text is what stands in the parentheses; NUMBER, a calculation.
    quoted: whether its result stays one word. operator, argument: of ``${name<operator><argument>}``.
    """

    kind: str
    text: str
    quoted: bool = False
    operator: str = ""
    argument: str = ""


Word = Tuple[WordPart, ...]


class Token(NamedTuple):
    """kind: WORD; OPERATOR, given by text; REDIRECT, operator in text and target in word; HERE, whose text is the document."""

    kind: str
    text: str = ""
    word: Word = ()


def literal(word: Word) -> str:
    """The word where nothing in it is to be expanded, else ""."""
    return "".join(part.text for part in word) if all(part.kind == TEXT for part in word) else ""


def reserved(word: Word) -> str:
    """The word where the shell may take it for one of its own: a plain one without quotes."""
    return word[0].text if len(word) == 1 and word[0].kind == TEXT and not word[0].quoted else ""


def _closing(text: str, start: int, closer: str) -> int:
    """Where what is open at `start` ends, passing over quotes and what is nested; the length of the text if nowhere."""
    stack = [closer]
    position = start
    while True:
        match = _STOPS.search(text, position)
        if match is None:
            return len(text)
        here = match.start()
        position = here + 1
        character, inside = text[here], stack[-1]
        if character == "\\":
            position = here + 2
        elif character == inside:
            stack.pop()
            if not stack:
                return here
        elif character == "$" and text[position : position + 1] in ("(", "{"):
            if inside != "`":
                stack.append(")" if text[position] == "(" else "}")
            position += 1
        elif inside in ('"', "`"):
            if character == "`" and inside == '"':
                stack.append("`")
        elif character == "'":
            end = text.find("'", position)
            position = len(text) if end < 0 else end + 1
        elif character in '"`':
            stack.append(character)
        elif character == "(" and inside == ")":
            stack.append(")")
        elif character == "{" and inside == "}":
            stack.append("}")
        elif character == "#" and inside == ")" and text[here - 1 : here].isspace():
            end = text.find("\n", position)
            position = len(text) if end < 0 else end


def _dollar(text: str, start: int, quoted: bool) -> Tuple[WordPart, int]:
    """What a dollar sign begins, and where it ends."""
    following = text[start + 1 : start + 2]
    if following == "(":
        end = _closing(text, start + 2, ")")
        inner = text[start + 2 : end]
        if inner.startswith("(") and inner.endswith(")"):
            return WordPart(NUMBER, "", quoted), end + 1
        return WordPart(COMMAND, inner, quoted), end + 1
    if following == "{":
        end = _closing(text, start + 2, "}")
        inner = text[start + 2 : end]
        match = _BRACED.match(inner)
        if match is None or match.group(1):
            return WordPart(NUMBER, "", quoted), end + 1
        return WordPart(VARIABLE, match.group(2), quoted, match.group(4) or "", inner[match.end() :]), end + 1
    if following == "'" and not quoted:
        end = start + 2
        while end < len(text) and text[end] != "'":
            end += 2 if text[end] == "\\" else 1
        return WordPart(TEXT, text[start + 2 : end], True), end + 1
    match = _NAME.match(text, start + 1)
    if match is None:
        return WordPart(TEXT, "$", quoted), start + 1
    return WordPart(VARIABLE, match.group(0), quoted), match.end()


def _backquoted(text: str, start: int, quoted: bool) -> Tuple[WordPart, int]:
    end = start + 1
    while end < len(text) and text[end] != "`":
        end += 2 if text[end] == "\\" else 1
    return WordPart(COMMAND, re.sub(r"\\([`$\\])", r"\1", text[start + 1 : end]), quoted), end + 1


def _double_quoted(text: str, start: int, parts: List[WordPart]) -> int:
    position = start
    parts.append(WordPart(TEXT, "", True))
    while position < len(text):
        character = text[position]
        if character == '"':
            return position + 1
        if character == "\\":
            escaped = text[position + 1 : position + 2]
            if escaped != "\n":
                parts.append(WordPart(TEXT, escaped if escaped and escaped in '$`"\\' else "\\" + escaped, True))
            position += 2
        elif character == "$":
            part, position = _dollar(text, position, True)
            parts.append(part)
        elif character == "`":
            part, position = _backquoted(text, position, True)
            parts.append(part)
        else:
            match = _PLAIN_IN_QUOTES.match(text, position)
            # The four characters that it excludes are dealt with above; whatever else it is, it is one character of text.
            plain = match.group(0) if match is not None else character
            parts.append(WordPart(TEXT, plain, True))
            position += len(plain)
    return position


def _word(text: str, start: int) -> Tuple[Word, int]:
    parts: List[WordPart] = []
    position = start
    while position < len(text):
        match = _PLAIN.match(text, position)
        if match is not None:
            parts.append(WordPart(TEXT, match.group(0)))
            position = match.end()
            continue
        character = text[position]
        if character == "'":
            end = text.find("'", position + 1)
            end = len(text) if end < 0 else end
            parts.append(WordPart(TEXT, text[position + 1 : end], True))
            position = end + 1
        elif character == '"':
            position = _double_quoted(text, position + 1, parts)
        elif character == "\\":
            if text[position + 1 : position + 2] != "\n":
                parts.append(WordPart(TEXT, text[position + 1 : position + 2], True))
            position += 2
        elif character == "$":
            part, position = _dollar(text, position, False)
            parts.append(part)
        elif character == "`":
            part, position = _backquoted(text, position, False)
            parts.append(part)
        elif character in "<>" and text[position + 1 : position + 2] == "(":
            end = _closing(text, position + 2, ")")
            parts.append(WordPart(COMMAND, text[position + 2 : end], True))
            position = end + 1
        elif character == "(" and len(parts) == 1 and _ARRAY.match(reserved(tuple(parts))):
            end = _closing(text, position + 1, ")")
            parts.append(WordPart(ARRAY, text[position + 1 : end]))
            position = end + 1
        else:
            break
    return tuple(parts), min(position, len(text))


def _documents(text: str, position: int, pending: List[Tuple[int, str, bool]], tokens: List[Token]) -> int:
    """Read the here-documents that a line has announced; where the next command begins."""
    for index, delimiter, tabs in pending:
        lines: List[str] = []
        while position < len(text):
            end = text.find("\n", position)
            line = text[position:] if end < 0 else text[position:end]
            position = len(text) if end < 0 else end + 1
            if (line.lstrip("\t") if tabs else line) == delimiter:
                break
            lines.append(line)
        tokens[index] = Token(HERE, "\n".join(lines))
    pending.clear()
    return position


def clean(text: str) -> str:
    """A text from outside, without anything that would be taken for a mark of ours."""
    return _MARKS.sub("?", text.replace("\r\n", "\n").replace("\0", "?"))


def tokenize(text: str) -> List[Token]:
    """The words, operators, redirections and here-documents of a shell text, without comments."""
    text = text[:LARGEST]
    tokens: List[Token] = []
    pending: List[Tuple[int, str, bool]] = []
    position = 0
    calculations = True
    while position < len(text):
        character = text[position]
        if character == "\n":
            tokens.append(Token(OPERATOR, "\n"))
            position = _documents(text, position + 1, pending, tokens)
            continue
        if character.isspace():
            position += 1
            continue
        if text.startswith("\\\n", position):
            position += 2
            continue
        if character == "#":
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
            continue
        if calculations and text.startswith("((", position):
            end = text.find("))", position)
            if end >= 0:
                tokens.append(Token(WORD, "", (WordPart(TEXT, ":"),)))
                position = end + 2
                continue
            calculations = False  # nothing is gained by looking for their end again
        match = _REDIRECT.match(text, position)
        if match is not None and not (match.group(1) in "<>" and text[match.end() : match.end() + 1] == "("):
            position = match.end()
            while text[position : position + 1] in (" ", "\t"):
                position += 1
            word, position = _word(text, position)
            if match.group(1) in ("<<", "<<-"):
                pending.append((len(tokens), literal(word), match.group(1) == "<<-"))
            tokens.append(Token(REDIRECT, match.group(1), word))
            continue
        match = _OPERATOR.match(text, position)
        if match is not None:
            tokens.append(Token(OPERATOR, match.group(0)))
            position = match.end()
            continue
        word, end = _word(text, position)
        if end > position:
            tokens.append(Token(WORD, "", word))
        position = max(end, position + 1)
    _documents(text, position, pending, tokens)
    return tokens
