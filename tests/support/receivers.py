# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Receivers of alerts: a real mail server and a real web server, each on a port of its own."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


@dataclass
class Postbox:
    """What a mail server has taken, and what it answers.

    Attributes:
        mails: each with its recipients.
        refuse: recipients, or "data", that it refuses.
    """

    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    refuse: set[str] = field(default_factory=set)
    logins: list[bool] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if address in self.refuse:
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if "data" in self.refuse:
            return "552 mailbox full"
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append((list(envelope.rcpt_tos), parsed))
        return "250 taken"

    def texts(self) -> list[str]:
        return [f"{mail['Subject']}\n{mail.get_content()}".replace("\r", "") for _to, mail in self.mails]


class _OnAnyPort(Controller):
    """Learns its port before it tries whether it answers there."""

    def _trigger_server(self) -> None:
        server: Any = self.server
        self.port = server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mail_server(
    certificates: Path | None = None,
    *,
    at_once: bool = False,
    user: str = "",
    password: str = "",
    before_tls: bool = False,
) -> Iterator[Postbox]:
    """A mail server on 127.0.0.1.

    certificates: directory of `make_certificates`; it then speaks TLS, by STARTTLS or `at_once`.
    user, password: who may log in; without them nobody has to. A login is taken before TLS only with `before_tls`.
    """
    box = Postbox()

    def log_in(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (user.encode(), password.encode())
        box.logins.append(right)
        return AuthResult(success=right, handled=False)

    context = None
    if certificates is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "server.pem")
    options: dict[str, Any] = {}
    if user:
        options = {"authenticator": log_in, "auth_required": True, "auth_require_tls": not before_tls}
    if context is not None and at_once:
        options["ssl_context"] = context
        options["auth_require_tls"] = False
    elif context is not None:
        options["tls_context"] = context
    controller = _OnAnyPort(box, hostname="127.0.0.1", port=0, ready_timeout=60, **options)
    controller.start()
    try:
        box.port = controller.port
        yield box
    finally:
        controller.stop()


@dataclass
class Requests:
    """What a web server was asked.

    Attributes:
        seen: method, path and, where there is one, the body.
        status: of its answers.
        location: where it sends those who ask.
    """

    seen: list[tuple[str, str, Any]] = field(default_factory=list)
    status: int = 200
    location: str = ""
    url: str = ""


@contextmanager
def web_server(certificates: Path | None = None) -> Iterator[Requests]:
    """A web server on 127.0.0.1, with TLS where there are certificates."""
    requests = Requests()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            requests.seen.append((self.command, self.path, body))
            self.send_response(requests.status)
            if requests.location:
                self.send_header("Location", requests.location)
            text = b"ok" if requests.status == 200 else f"no_such_hook {self.path}".encode()
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = _answer

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme, host = "http", "127.0.0.1"
    if certificates is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "server.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme, host = "https", "localhost"
    requests.url = f"{scheme}://{host}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
