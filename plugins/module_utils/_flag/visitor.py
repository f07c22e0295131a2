# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asking the shop as a visitor does, as somebody with an allowed address, and where it is to stay open.

What nginx serves is told apart from the application by a header of ours. Paths that stay open are asked for with HEAD, at
names that no payment provider uses: nothing may come of it.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any, Callable, List, Sequence

from .._core.late_dataclass import dataclass
from .._core.networks import connect_within
from .nginx_layer import Setup, Site, fresh_inside
from .nginx_snippet import INSTALLED_PATH, MARK, MARK_VALUE, sample_of

TIMEOUT = 5.0
# Configurations with open_file_cache notice a removed link late.
PATIENCE = 3.0
_LARGEST = 256 * 1024


@dataclass(frozen=True)
class SiteAnswer:
    """What came back. problem: why nothing did. by_nginx: it is our page or JSON."""

    status: int = 0
    problem: str = ""
    by_nginx: bool = False
    retry_after: str = ""
    body: bytes = b""

    @property
    def says_maintenance(self) -> bool:
        try:
            found: Any = json.loads(self.body.decode("utf-8"))
        except ValueError:
            return False
        return isinstance(found, dict) and found.get("maintenance") is True

    @property
    def words(self) -> str:
        return self.problem or "it answers with status %d" % self.status


def ask(site: Site, path: str, method: str = "GET", source: str = "") -> SiteAnswer:
    """One request.

    Args:
        source: the address to ask from, "" for the system's choice.
    """
    connection = http.client.HTTPConnection(site.address, site.port, timeout=TIMEOUT)
    try:
        comes_from = (source, 0) if source and ":" not in site.address else None
        plain = connect_within(site.pid, (site.address, site.port), TIMEOUT, comes_from)
        connection.sock = plain
        if site.tls:
            context = ssl.create_default_context()
            # This host asks itself, by an address: whose certificate that is proves nothing.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            connection.sock = context.wrap_socket(plain, server_hostname=site.name)
        headers = {"Host": site.name, "User-Agent": "miniecom.maintenance", "Accept": "*/*", "Connection": "close"}
        connection.request(method, path, headers=headers)
        got = connection.getresponse()
        return SiteAnswer(
            int(got.status),
            by_nginx=got.getheader(MARK, "") == MARK_VALUE,
            retry_after=got.getheader("Retry-After", ""),
            body=got.read(_LARGEST),
        )
    except ConnectionRefusedError:
        return SiteAnswer(problem="nothing listens at %s" % site.url)
    except socket.timeout:
        return SiteAnswer(problem="no answer from %s in time" % site.url)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return SiteAnswer(problem="no answer from %s: %s" % (site.url, error))
    finally:
        connection.close()


def loaded_problem(setup: Setup) -> str:
    """Why the running nginx does not know the snippet, "" when each of its servers does."""
    if setup.unreached:
        return setup.unreached
    for site in setup.sites:
        # From this host's own network, which may ask that, also where the server listens at a public address.
        answer = ask(site, INSTALLED_PATH, source="127.0.0.1")
        if answer.problem:
            return answer.problem
        if answer.status != 200 or answer.body.decode("utf-8", "replace").strip() != setup.digest:
            return "the nginx that answers for %s has not loaded its part of this collection" % site.label
    return ""


def _patiently(look: Callable[[], List[str]], seconds: float = PATIENCE) -> List[str]:
    """What is wrong, unless it comes right in a moment."""
    deadline = time.monotonic() + seconds
    while True:
        wrong = look()
        if not wrong or time.monotonic() > deadline:
            return wrong
        time.sleep(0.1)


def parse_http_date(text: str) -> str:
    """The UTC timestamp of a date of HTTP, "" when it is none."""
    try:
        return parsedate_to_datetime(text).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError, IndexError):
        return ""


def prove_closed(setup: Setup, until: str, inside: str) -> List[str]:
    """What does not hold while nginx is to turn visitors away; empty when all does.

    Args:
        until: a UTC timestamp that Retry-After is to tell, "" for any.
        inside: an address that is let through.
    """

    def look() -> List[str]:
        wrong = []
        for site in setup.sites:
            for path in ("/", "/api/products"):
                wrong += judge_closed(ask(site, path, source=stranger(inside)), site.label + path, until)
            if ":" not in site.address:
                answer = ask(site, "/", "HEAD", source=inside)
                wrong += judge_open(answer, "%s, asked from an allowed address," % site.label)
            for path in setup.open_paths:
                sample = sample_of(path)
                answer = ask(site, sample, "HEAD", source=stranger(inside))
                wrong += judge_open(answer, "%s%s, which is to stay open," % (site.label, sample))
        return wrong

    return [setup.unreached] if setup.unreached else _patiently(look)


def stranger(inside: str) -> str:
    """An address of this host that is not let through."""
    while True:
        found = fresh_inside()
        if found != inside:
            return found


def judge_closed(answer: SiteAnswer, where: str, until: str) -> List[str]:
    """Pure."""
    if answer.problem:
        return ["%s: %s" % (where, answer.problem)]
    if answer.status != 503 or not answer.by_nginx:
        return ["%s serves visitors: %s" % (where, answer.words)]
    told = answer.retry_after
    if not told:
        return ["%s turns visitors away without Retry-After" % where]
    if until and parse_http_date(told) != until:
        return ["%s tells visitors to come back at %s, not at %s" % (where, told, until)]
    return []


def judge_open(answer: SiteAnswer, where: str) -> List[str]:
    """Whether nginx lets a request through. What the application makes of it is its own affair. Pure."""
    if answer.by_nginx:
        return ["%s is turned away" % where]
    return []


def prove_open(setup: Setup, seconds: float = PATIENCE) -> List[str]:
    """What does not hold when the shop is open again: each of its servers is to serve a visitor.

    Args:
        seconds: how long it may take to.
    """

    def look() -> List[str]:
        return [wrong for site in setup.sites for wrong in judge_served(ask(site, "/"), site.label)]

    return [setup.unreached] if setup.unreached else _patiently(look, seconds)


def judge_served(answer: SiteAnswer, where: str) -> List[str]:
    """Whether an open shop answers. A server of the API alone has nothing at /, another asks for a password. Pure."""
    if answer.by_nginx:
        return ["%s still turns visitors away; open_file_cache lets it notice late" % where]
    if answer.problem or answer.status >= 500:
        return ["%s does not serve visitors: %s" % (where, answer.words)]
    return []


def summary_of(wrong: Sequence[str]) -> str:
    return "; ".join(wrong[:3]) + ("; and %d more" % (len(wrong) - 3) if len(wrong) > 3 else "")
