# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps secrets out of everything that leaves the process.

``no_log`` hides a whole option value; the password *inside* a connection string, or one read from the
shop's environment file, is known only here. A short password is hidden only where it stands as a password
(``user:secret@host``), since replacing every occurrence of, say, ``app`` would turn each path into asterisks.
"""

from __future__ import annotations

import re
from typing import Any, List, Set
from urllib.parse import quote, quote_plus, unquote, unquote_plus

MASK = "********"
# Below this length a secret is likely to be part of ordinary words.
SHORTEST_ANYWHERE = 8

_IN_URI = re.compile(
    r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<user>[^\s:/@]*):(?P<password>[^\s]*)@(?P<rest>[^\s@]*)"
)


# A password such as "miniecom" is part of the shop's own path: masked there, no later task could find the backup, and
# no later run what a killed one left behind. As a word of its own it is masked.
_WORD = re.compile(r"^[A-Za-z]+$")
_ALONE = r"(?<![\w/.-])%s(?![\w/-]|\.\w)"
_OUR_KEY = re.compile(r"^[a-z][a-z_]*$")


class Redactor:
    """A set of secrets and the means to mask them in any value made of plain types."""

    def __init__(self) -> None:
        self._secrets: Set[str] = set()
        self._ordered: List[str] = []

    def register(self, secret: str | None) -> None:
        """Remember a secret, and the spellings in which a URI may carry it."""
        if not secret:
            return
        for form in (secret, quote(secret, safe=""), quote_plus(secret), unquote(secret), unquote_plus(secret)):
            if len(form) >= SHORTEST_ANYWHERE:
                self._secrets.add(form)
        # Longest first: a secret may contain another one.
        self._ordered = sorted(self._secrets, key=len, reverse=True)

    def register_uri(self, uri: str | None) -> None:
        """Remember the password of a connection string, well-formed or not."""
        match = _IN_URI.search(uri or "")
        if match:
            self.register(match.group("password"))

    def clean_text(self, text: str) -> str:
        for secret in self._ordered:
            if secret not in text:
                continue
            if _WORD.match(secret):
                text = re.sub(_ALONE % re.escape(secret), MASK, text)
            else:
                text = text.replace(secret, MASK)
        if "://" in text and "@" in text:
            text = _IN_URI.sub(r"\g<scheme>\g<user>:" + MASK + r"@\g<rest>", text)
        return text

    def _clean_key(self, key: Any) -> Any:
        if not isinstance(key, str) or not _OUR_KEY.match(key):
            return self.clean(key)
        # Chosen by a program: that a password has the same letters is not told by it.
        for secret in self._ordered:
            if not _WORD.match(secret):
                key = key.replace(secret, MASK)
        return key

    def clean(self, value: Any) -> Any:
        """The same value with every secret masked, in strings, mapping keys and sequences alike."""
        if isinstance(value, str):
            return self.clean_text(value)
        if isinstance(value, dict):
            return {self._clean_key(key): self.clean(item) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.clean(item) for item in value]
        if isinstance(value, bytes):
            return self.clean_text(value.decode("utf-8", "replace"))
        return value


# A module is one process that serves one host: one registry is enough, and nothing can forget to pass it on.
SECRETS = Redactor()
