# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Telling web services: webhooks, and the address of a heartbeat. An address is a secret here: who knows it may write there."""

from __future__ import annotations

import json
import re
import socket
import ssl
from http.client import HTTPException
from typing import Any, Mapping, Optional
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, quote, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from .._core.errors import MaintenanceError, from_os_error
from .._core.redaction import SECRETS

_LARGEST = 2048
_SLUG = re.compile(r"[^a-z0-9]+")


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any, **_options: Any) -> None:
        return None  # a message that is posted to another place than was named is lost, or read by a stranger


def _place(url: str) -> Optional[SplitResult]:
    """The parts of an address, None when it is none."""
    try:
        return urlsplit(url)
    except ValueError:
        return None


def register_address(url: str) -> None:
    """Keep an address out of all that is told: its host alone is no secret."""
    SECRETS.register(url)
    place = _place(url)
    if place is None:
        return  # whoever tells it something says so
    SECRETS.register(place.path.strip("/"))
    SECRETS.register(place.query)
    for part in place.path.split("/"):
        if len(part) > 15:
            SECRETS.register(part)


def filled_in(url: str, run: str, host: str) -> str:
    """An address with ``{run}`` and ``{host}`` put in, as the names of checks have them: weekly-maintenance."""
    for word, text in (("{run}", run), ("{host}", host)):
        url = url.replace(word, quote(_SLUG.sub("-", text.lower()).strip("-"), safe=""))
    return url


def tell(
    name: str, url: str, values: Optional[Mapping[str, Any]] = None, timeout: float = 20.0, ca_file: str = ""
) -> None:
    """One request: POST with values as JSON, GET without.

    Args:
        name: of the channel, for messages, which do not show the address.
        timeout: seconds without an answer.

    Raises:
        MaintenanceError: it was not taken, and why.
    """
    place = _place(url)
    if place is None or place.scheme not in ("http", "https") or not place.hostname:
        raise MaintenanceError("not the address of a web service", target=name, next_step="Write https://HOST/PATH.")
    target = "%s, %s" % (name, place.hostname)
    body = None if values is None else json.dumps(values).encode("utf-8")
    headers = {"User-Agent": "miniecom.maintenance"}
    if body is not None:
        headers["Content-Type"] = "application/json; charset=utf-8"
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
        opener = build_opener(HTTPSHandler(context=context), _NoRedirect())
        try:
            with opener.open(Request(url, data=body, headers=headers), timeout=timeout) as answer:  # noqa: S310
                answer.read(_LARGEST)
        except HTTPError as error:
            with error:
                said = " ".join(error.read(_LARGEST).decode("utf-8", "replace").split())[:200]
            raise MaintenanceError(
                "the web service refuses the message",
                target=SECRETS.clean_text("%s: %s" % (target, said) if said else target),
                code=error.code,
                next_step=_step(error.code),
            ) from None
    except (URLError, HTTPException, OSError, ValueError) as error:
        raise _unreached(error, target) from None  # the cause names the address


def _step(status: int) -> str:
    if status in (401, 403, 404, 410):
        return "The address is wrong or was revoked: make a new one and set it."
    if 300 <= status < 400:
        return "It sends elsewhere, which is not followed: set the address it names."
    return "Try again later, or look at what the service says about it."


def _unreached(error: BaseException, target: str) -> MaintenanceError:
    cause: Any = getattr(error, "reason", error)
    if isinstance(cause, ssl.SSLError):
        return MaintenanceError(
            "the certificate of the web service is not trusted",
            target=target,
            code=str(getattr(cause, "verify_message", "") or cause.reason),
            next_step="Give its authority's file (ca_file).",
        )
    if isinstance(cause, socket.gaierror):
        return MaintenanceError("the name of the web service does not resolve", target=target)
    if isinstance(cause, socket.timeout):
        return MaintenanceError("the web service does not answer in time", target=target)
    if isinstance(cause, OSError):
        return from_os_error(
            "the web service cannot be reached", cause, target=target, next_step="Look whether this host may reach it."
        )
    return MaintenanceError("the web service's answer makes no sense", target=target, code=type(cause).__name__)
