# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sending mail: the server is the shop's own, as its environment file names it, or one that the options name."""

from __future__ import annotations

import ipaddress
import os
import re
import smtplib
import socket
import ssl
from dataclasses import field
from email.message import EmailMessage
from email.utils import formataddr, formatdate, make_msgid
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from .._core.errors import MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass
from .._core.redaction import SECRETS
from .messages import plain_text, subject
from .planning import Message

AUTO, TLS, STARTTLS, NONE = "auto", "tls", "starttls", "none"
SECURITIES = (AUTO, TLS, STARTTLS, NONE)
SUBMISSIONS = 465  # the port on which TLS begins at once (RFC 8314)
_ADDRESS = re.compile(r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$")
_NAMED = re.compile(r"^([^<>@:]*)<([^<>]*)>$")
_SECURE = ("1", "true", "yes", "on", "ssl", "tls")


@dataclass(frozen=True)
class MailServer:
    """How mail leaves the host.

    Attributes:
        security: tls, starttls, none, or auto: TLS at once on port 465, else STARTTLS where the server offers it; then no password goes
            over a network in plain text.
        sender: (name, address).
        timeout: seconds for each answer of the server.
    """

    host: str
    port: int
    sender: Tuple[str, str]
    recipients: Tuple[Tuple[str, str], ...]
    user: str = ""
    password: str = field(default="", repr=False)
    security: str = AUTO
    ca_file: str = ""
    timeout: float = 20.0


def mail_addresses(texts: Sequence[str], what: str) -> Tuple[Tuple[str, str], ...]:
    """Names and addresses of texts such as ``Ops <ops@example.org>, me@example.org``.

    Raises:
        MaintenanceError: one of them is no address.
    """
    found = []
    for part in (part.strip() for text in texts for part in re.split(r"[,;]", " ".join(text.split()))):
        named = _NAMED.match(part)
        entries = [(named.group(1).strip(' "'), named.group(2))] if named else [("", word) for word in part.split()]
        for name, address in entries:
            if not _ADDRESS.match(address):
                raise MaintenanceError(
                    "not a mail address",
                    target="%s: %r" % (what, address),
                    next_step="Write ops@example.org or Ops <ops@example.org>, several with commas.",
                )
            found.append((name, address))
    return tuple(found)


def mail_server(options: Mapping[str, Any], env: Mapping[str, str], env_file: str) -> MailServer:
    """What the options say, and where they say nothing the shop's environment file.

    Args:
        options: to, sender, host, port, user, password_key, security, ca_file, timeout.
        env: the shop's variables.
        env_file: from where they are, for messages.

    Raises:
        MaintenanceError: it does not suffice to send anything.
    """

    def text(option: str, *keys: str) -> str:
        given = str(options.get(option) or "").strip()
        return given or next((env[key].strip() for key in keys if env.get(key, "").strip()), "")

    host = text("host", "SMTP_HOST")
    if not host:
        raise MaintenanceError(
            "no mail server is known",
            target=env_file,
            next_step="Set SMTP_HOST in it, or the option host of mail (alerts_mail_host).",
        )
    recipients = mail_addresses([*(options.get("to") or [])] or [env.get("ALERT_EMAIL", "")], "ALERT_EMAIL")
    if not recipients:
        raise MaintenanceError(
            "nobody is named to send mail to",
            target=env_file,
            next_step="Set ALERT_EMAIL in it, or the option to of mail (alerts_mail_to).",
        )
    # The shop's password is for its own server: another one is logged in at when somebody names the user there.
    login = text("user", *(("SMTP_USER",) if _is_same(host, env.get("SMTP_HOST", "").strip()) else ()))
    user = text("user", "SMTP_USER")
    sender = mail_addresses([text("sender", "SMTP_FROM", "EMAIL_FROM", "MAIL_FROM")], "sender")
    if not sender:
        sender = ((("", user),) if _ADDRESS.match(user) else ()) or (("", "miniecom-maintenance@" + socket.getfqdn()),)
    port = text("port", "SMTP_PORT") or "25"
    if not port.isdigit() or not 1 <= int(port) <= 65535:
        raise MaintenanceError("not a port", target="SMTP_PORT: %r" % port, next_step="Write 25, 465 or 587.")
    security = str(options.get("security") or AUTO)
    if security == AUTO and (int(port) == SUBMISSIONS or env.get("SMTP_SECURE", "").strip().lower() in _SECURE):
        security = TLS
    password = env.get(str(options.get("password_key") or "SMTP_PASS"), "")
    SECRETS.register(password)
    return MailServer(
        host,
        int(port),
        sender[0],
        recipients,
        login,
        password,
        security,
        str(options.get("ca_file") or ""),
        float(options.get("timeout") or 20),
    )


def _is_same(host: str, other: str) -> bool:
    return host.lower() == other.lower() or (is_local(host) and is_local(other))


def is_local(host: str) -> bool:
    """Whether what is sent to a host leaves this machine. A name counts by what it says, not by what it resolves to."""
    if host.lower() in ("localhost", "localhost.localdomain"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def as_mail(server: MailServer, message: Message) -> EmailMessage:
    """The mail as it goes out."""
    mail = EmailMessage()
    mail["Subject"] = subject(message)
    mail["From"] = formataddr(server.sender)
    mail["To"] = ", ".join(formataddr(pair) for pair in server.recipients)
    mail["Date"] = formatdate(localtime=False)
    mail["Message-ID"] = make_msgid(domain=server.sender[1].rpartition("@")[2] or None)
    # No holiday notes in answer, please (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(plain_text(message))
    return mail


def _context(server: MailServer) -> ssl.SSLContext:
    if server.ca_file and not os.path.isfile(server.ca_file):
        raise MaintenanceError("the file of certificate authorities is missing", target=server.ca_file)
    return ssl.create_default_context(cafile=server.ca_file or None)


def send_mail(server: MailServer, message: Message) -> str:
    """Hand a message to the mail server; returns who does not get it although others do, in words.

    Raises:
        MaintenanceError: it was not taken, and why.
    """
    place = "%s:%d" % (server.host, server.port)
    try:
        with _connected(server) as client:
            _secure(server, client, place)
            if server.user and server.password:
                _log_in(server, client, place)
            refused = client.send_message(as_mail(server, message))
    except smtplib.SMTPException as error:
        raise _explained(error, server, place) from error
    except ssl.SSLError as error:
        raise MaintenanceError(
            "the mail server's certificate is not trusted" if "CERTIFICATE" in str(error.reason) else "TLS failed",
            target=place,
            code=str(getattr(error, "verify_message", "") or error.reason or error),
            next_step="Name the server as its certificate does, give its authority's file (ca_file, alerts_mail_ca_file), "
            "or correct the port and security.",
        ) from error
    except (socket.gaierror, UnicodeError) as error:
        raise MaintenanceError(
            "the name of the mail server does not resolve", target=server.host, next_step="Correct SMTP_HOST."
        ) from error
    except socket.timeout as error:
        raise MaintenanceError(
            "the mail server does not answer in time",
            target=place,
            next_step="Look whether SMTP_HOST and SMTP_PORT are right and a firewall is between.",
        ) from error
    except OSError as error:
        raise from_os_error(
            "the mail server cannot be reached",
            error,
            target=place,
            next_step="Look whether SMTP_HOST and SMTP_PORT are right and the server runs.",
        ) from error
    return ", ".join("%s (%s)" % (address, _said(code, text)) for address, (code, text) in sorted(refused.items()))


def _connected(server: MailServer) -> smtplib.SMTP:
    if server.security == TLS:
        return smtplib.SMTP_SSL(server.host, server.port, timeout=server.timeout, context=_context(server))
    return smtplib.SMTP(server.host, server.port, timeout=server.timeout)


def _secure(server: MailServer, client: smtplib.SMTP, place: str) -> None:
    """Go over to TLS where that is asked for, or possible and of use."""
    if server.security in (TLS, NONE):
        return
    client.ehlo_or_helo_if_needed()
    offered = client.has_extn("starttls")
    wants_login = bool(server.user and server.password)
    if server.security == AUTO and is_local(server.host) and (not wants_login or client.has_extn("auth")):
        return  # nothing leaves this machine, and such servers' certificates name another host
    if offered:
        client.starttls(context=_context(server))
        client.ehlo()
    elif server.security == STARTTLS or (wants_login and not is_local(server.host)):
        raise MaintenanceError(
            "the mail server offers no STARTTLS, and the password would be sent in plain text",
            target=place,
            next_step="Use its port for TLS (465), or security none (alerts_mail_security) if nobody can listen on the way.",
        )


def _log_in(server: MailServer, client: smtplib.SMTP, place: str) -> None:
    try:
        client.login(server.user, server.password)
    except UnicodeEncodeError:
        # Its text tells letters of the password.
        raise MaintenanceError(
            "user or password of the mail server hold other than ASCII characters, which cannot be sent",
            target=place,
            next_step="Give that account another password.",
        ) from None


def _said(code: int, text: Any) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    return "%s %s" % (code, " ".join(words.split())[:200])


def _explained(error: smtplib.SMTPException, server: MailServer, place: str) -> MaintenanceError:
    """What the mail server refused, in its own words and what to do."""
    code: Any = getattr(error, "smtp_code", None)
    said = _said(code, getattr(error, "smtp_error", "")) if code else ""
    target = "%s: %s" % (place, said) if said else place
    if isinstance(error, smtplib.SMTPAuthenticationError):
        what, step = "the mail server refuses user or password", "Correct SMTP_USER and SMTP_PASS."
    elif isinstance(error, smtplib.SMTPRecipientsRefused):
        every: Dict[str, Tuple[int, bytes]] = error.recipients
        refused: List[str] = ["%s (%s)" % (who, _said(*answer)) for who, answer in sorted(every.items())]
        what, target = "the mail server refuses every recipient", "%s: %s" % (place, ", ".join(refused))
        step = "Correct ALERT_EMAIL, or log in (SMTP_USER and SMTP_PASS) where the server asks for it."
    elif isinstance(error, smtplib.SMTPSenderRefused):
        what = "the mail server refuses the sender %s" % server.sender[1]
        step = "Set the sender (SMTP_FROM, alerts_mail_sender), or log in (SMTP_USER and SMTP_PASS)."
    elif isinstance(error, smtplib.SMTPNotSupportedError):
        what, step = "the mail server takes no login on this connection", "Use security tls or starttls."
    elif isinstance(error, smtplib.SMTPServerDisconnected):
        what = "the mail server ended the connection"
        step = "Look whether the port wants TLS from the beginning (465), or at the server's log."
    else:
        what, step = "the mail server does not take the message", "Look at the server's log."
        target = target if said else "%s: %s" % (place, error)
    return MaintenanceError(what, target=target, next_step=step)
