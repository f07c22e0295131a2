# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the driver's and the server's errors mean, and what to do about them. No secret and no data is passed on."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import Any, Iterator, Mapping, Optional

from .._core.errors import MaintenanceError
from .._core.redaction import SECRETS
from .address import Address

try:
    import bson.errors
    from pymongo import errors as driver
except ImportError:  # pragma: no cover - address.resolve says so
    pass

_NEXT_STEPS = {
    18: "User name, password or authSource is wrong; the server does not say which. The root user of the shop's compose file lives in "
    "authSource=admin. A password changed in the environment file does not change that of an existing database.",
    20: "The server is not of the kind that supports this.",
    26: "Check the spelling of database and collection.",
    43: "The cursor is gone, mostly after a step-down or a restart of the server: run it again.",
    50: "The server was too slow: try again when it is less busy.",
    59: "This server version does not know the command.",
    72: "This server version does not take these options.",
    112: "Somebody changed the same document: run it again.",
    123: "This needs a replica set.",
    166: "Views and time-series collections cannot be treated this way.",
    262: "The server did not finish in time: try again later.",
    334: "The server does not offer this authMechanism: correct it in the connection string.",
    10107: "This member is not the primary: give the address of the primary, or a connection string with replicaSet=NAME.",
    11000: "A document of that key exists already.",
    13435: "This member is not the primary: give the address of the primary, or a connection string with replicaSet=NAME.",
    13436: "This member is starting, recovering or in maintenance, and answers no questions: wait until rs.status() calls it SECONDARY.",
    17217: "The result is larger than 16 MB.",
    31299: "The result is larger than 16 MB.",
}


def error_code(error: Exception) -> Any:
    """The server's code of a driver error: codeName and number as far as known, else None."""
    details = getattr(error, "details", None) or {}
    number = getattr(error, "code", None)
    if number is None and isinstance(details, Mapping):
        number = details.get("code")
    name = details.get("codeName") if isinstance(details, Mapping) else None
    if number is None:
        return name
    return "%s %s" % (number, name) if name else number


def error_number(error: BaseException) -> Optional[int]:
    """The number of a driver error; NotPrimaryError keeps it in its details only."""
    number = getattr(error, "code", None)
    if number is None:
        number = (getattr(error, "details", None) or {}).get("code")
    return int(number) if isinstance(number, int) else None


def error_text(error: Exception) -> str:
    """The server's message without what it quotes of commands and documents."""
    details = getattr(error, "details", None) or {}
    text = str(details.get("errmsg") or error) if isinstance(details, Mapping) else str(error)
    text = re.sub(r"(to execute command) \{ *([A-Za-z]+):.*$", r"\1 \2", text, flags=re.DOTALL)
    text = re.sub(r"(dup key):.*$", r"\1", text, flags=re.DOTALL)
    text = re.split(r",? ?(?:Timeout: [0-9.]+s, )?Topology Description:|, full error:|\(configured timeouts:", text)[0]
    return SECRETS.clean_text(text.strip()[:300])


def translate(error: Exception, what: str, target: str, address: Optional[Address] = None) -> MaintenanceError:
    """A driver error as one that says what to do."""
    text, number = error_text(error), error_number(error)
    if isinstance(error, driver.OperationFailure) and not isinstance(error, driver.NotPrimaryError):
        step = _NEXT_STEPS.get(number or 0, "")
        if number == 13 and "requires authentication" in text:
            step = "The server wants credentials and %s: write them into the connection string." % (
                "%s names none" % address.source if address and not address.username else "did not accept any"
            )
        elif number == 13:
            step = (
                "The user may not do this: grant it the privilege (the roles dbAdmin and read on the database, clusterMonitor on admin), "
                "or connect as another one."
            )
        elif number == 18 and address is not None:
            step = "%s Tried as user %r with %s." % (step, address.username, address.source)
        return MaintenanceError(
            "%s: %s" % (what, text.rstrip(".")), target=target, code=error_code(error), next_step=step
        )
    if isinstance(error, driver.NotPrimaryError):
        return MaintenanceError(
            "%s: %s" % (what, text),
            target=target,
            code=error_code(error),
            next_step=_NEXT_STEPS.get(number or 0, _NEXT_STEPS[10107]),
        )
    if isinstance(error, driver.ServerSelectionTimeoutError):
        words = _selection_text(text)
        # What was worked on says nothing of the server.
        refusing = [place for place in re.findall(r"([^\s,]+:\d+): \[Errno", text) if place not in target]
        if words == "connection refused" and refusing:
            words += " by " + ", ".join(dict.fromkeys(refusing))
        return MaintenanceError("%s: %s" % (what, words), target=target, code=None, next_step=_selection_step(text))
    if isinstance(error, driver.ConnectionFailure):
        step = (
            "See whether the server still runs (if not, its log says why it ended), and whether it still works on this; then"
            " run again."
        )
        return MaintenanceError(
            "%s: the connection was lost (%s)" % (what, _loss_text(error, text)),
            target=target,
            code=error_code(error),
            next_step=step,
        )
    return MaintenanceError("%s: %s: %s" % (what, type(error).__name__, text), target=target, code=error_code(error))


def _loss_text(error: Exception, text: str) -> str:
    # What the driver calls a command that it has given up, as its own questions found no answer (PyMongo 4.20).
    if type(error).__name__ == "_OperationCancelled":
        return "it does not answer any more"
    return "%s: %s" % (type(error).__name__, text)


def _selection_text(text: str) -> str:
    for mark, words in (
        ("Connection refused", "connection refused"),
        ("Name or service not known", "the host name cannot be resolved (Name or service not known)"),
        (
            "Temporary failure in name resolution",
            "the host name cannot be resolved (Temporary failure in name resolution)",
        ),
        ("nodename nor servname", "the host name cannot be resolved"),
        ("No address associated", "the host name cannot be resolved (No address associated with hostname)"),
        ("Hostname mismatch", "the server's certificate bears another name than the connection string"),
        ("IP address mismatch", "the server's certificate bears another address than the connection string"),
        ("certificate verify failed", "the server's certificate is not trusted"),
        ("SSL handshake failed", "the TLS handshake failed"),
        ("No replica set members", "no member of the replica set named in the connection string answers"),
        (
            "but this node belongs to a set named 'None'",
            "this server has not joined a replica set (STARTUP), and the connection string names one",
        ),
        (
            "but this node belongs to a set named",
            "this server is no member of the replica set named in the connection string",
        ),
        ("No servers found yet", "no answer"),
        ("timed out", "no answer (timed out)"),
    ):
        if mark in text:
            return words
    return text


def _selection_step(text: str) -> str:
    if "refused" in text:
        return "Nothing listens there: is mongod running, and is this its port? Inside compose use the published port as address."
    if "Name or service" in text or "resolution" in text or "servname" in text or "No address" in text:
        return (
            "A name such as mongo resolves only inside the compose network: give the option address with the published port "
            "or the container's address."
        )
    if "mismatch" in text:
        return (
            "The certificate is checked against the name in the connection string, also where address gives another host:"
            " write the name that it bears into the string, or into its option servername."
        )
    if "SSL" in text or "certificate" in text:
        return "One side speaks TLS and the other does not, or the certificate is not trusted: check tls and tlsCAFile."
    if "replica set" in text:
        return "Check replicaSet in the connection string, and that the set has been initiated."
    return "Check host, port and firewall; raise connect_timeout if the network is slow."


@contextmanager
def mongo_errors(what: str, target: str, address: Optional[Address] = None) -> Iterator[None]:
    """Turns whatever the driver raises inside into a MaintenanceError.

    ValueError and OSError come from bad options and files, and documents that are too large raise an error of the
    bson package, which is none of the driver's.
    """
    try:
        yield
    except (driver.PyMongoError, bson.errors.BSONError, ValueError, OSError) as error:
        raise translate(error, what, target, address) from error
