# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where messages go: what the options name, completed from the shop's environment file."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import field
from typing import Any, Dict, Mapping, Optional, Tuple

from .._core import dotenv
from .._core.atomic_file import append_line
from .._core.clock import format_utc, utc_now
from .._core.errors import MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass
from .._core.redaction import SECRETS
from .mail import mail_server, send_mail
from .messages import GENERIC, generic, shaped
from .planning import Message
from .web import filled_in, register_address, tell

MAIL, FILE, HEARTBEAT = "mail", "file", "heartbeat"
# Which variables hold secrets cannot be known; these names say so.
_SECRET_NAME = re.compile(r"PASS|SECRET|TOKEN|KEY|PWD|CREDENTIAL|PHRASE|WEBHOOK|DSN", re.IGNORECASE)


@dataclass(frozen=True)
class Channels:
    """What the options say.

    Attributes:
        mail: options of the mail, None for none.
        webhooks: options by name.
        file: path, "" for none.
        heartbeat: options, None for none.
        env: the shop's variables; empty where the file is not there.
        env_problem: why they could not be read.
    """

    mail: Optional[Mapping[str, Any]] = None
    webhooks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    file: str = ""
    heartbeat: Optional[Mapping[str, Any]] = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    env_file: str = ""
    env_problem: str = ""

    @property
    def names(self) -> Tuple[str, ...]:
        """Those that messages go to."""
        return (
            *((MAIL,) if self.mail is not None else ()),
            *self.webhooks,
            *((FILE,) if self.file else ()),
        )


def read_channels(params: Mapping[str, Any]) -> Channels:
    """The channels of a module's options; from now on no secret of the environment file can be told.

    Raises:
        MaintenanceError: two channels have one name.
    """
    env_file, env, problem = str(params.get("env_file") or ""), {}, ""
    if env_file:
        try:
            env = dotenv.load(env_file)
        except MaintenanceError as error:
            problem = str(error)
    for key, value in env.items():
        SECRETS.register_uri(value)
        if _SECRET_NAME.search(key):
            SECRETS.register(value)
    # Before anything is read that might repeat them.
    for options in (*(params.get("webhooks") or ()), params.get("heartbeat") or {}):
        register_address(_given_address(env, options))
    SECRETS.register(env.get(str((params.get("mail") or {}).get("password_key") or "SMTP_PASS")))
    hooks: Dict[str, Mapping[str, Any]] = {}
    for number, hook in enumerate(params.get("webhooks") or (), 1):
        name = str(hook.get("name") or "%s %d" % (hook.get("shape") or GENERIC, number))
        if name in hooks or name in (MAIL, FILE, HEARTBEAT):
            raise MaintenanceError("two channels of one name", target=name, next_step="Give each webhook its own name.")
        hooks[name] = hook
    return Channels(
        params.get("mail"),
        hooks,
        str(params.get("file") or ""),
        params.get("heartbeat"),
        env,
        env_file,
        problem,
    )


def _given_address(env: Mapping[str, str], options: Mapping[str, Any]) -> str:
    """The address of a channel, "" where none is known."""
    return str(options.get("url") or env.get(str(options.get("url_key") or ""), "")).strip()


def _address(channels: Channels, name: str, options: Mapping[str, Any]) -> str:
    key = str(options.get("url_key") or "")
    url = _given_address(channels.env, options)
    if not url:
        raise MaintenanceError(
            "no address is known for this channel",
            target="%s, %s" % (name, channels.env_problem or "%s of %s" % (key or "url", channels.env_file)),
            next_step="Set url, or url_key to the name of a variable of the environment file.",
        )
    return url


def deliver(channels: Channels, name: str, message: Message) -> str:
    """Tell one channel; returns what else is to be said of it.

    Raises:
        MaintenanceError: it was not told, and why.
    """
    if name == MAIL and channels.mail is not None:
        if channels.env_problem and not channels.mail.get("host"):
            raise MaintenanceError(channels.env_problem)
        lost = send_mail(mail_server(channels.mail, channels.env, channels.env_file), message)
        return "refused for %s" % lost if lost else ""
    if name == FILE:
        write_down(channels.file, message)
        return ""
    hook = channels.webhooks[name]
    url = _address(channels, name, hook)
    tell(
        name,
        url,
        shaped(message, str(hook.get("shape") or GENERIC)),
        float(hook.get("timeout") or 20),
        str(hook.get("ca_file") or ""),
    )
    return ""


def ping(channels: Channels, run: str, host: str) -> None:
    """Tell the heartbeat's address that a run ended well.

    Raises:
        MaintenanceError: it did not answer.
    """
    options = channels.heartbeat or {}
    url = filled_in(_address(channels, HEARTBEAT, options), run, host)
    register_address(url)
    tell(HEARTBEAT, url, None, float(options.get("timeout") or 20), str(options.get("ca_file") or ""))


def write_down(path: str, message: Message) -> None:
    """Add a message to a file, one line of JSON.

    Raises:
        MaintenanceError: it cannot be written, or is a link or no file.
    """
    # It may lie in a directory of the shop's user, and this runs as root: it must not write where that user points.
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        status = None
    except OSError as error:
        raise from_os_error("cannot look at the file of alerts", error, target=path) from error
    if status is not None and not stat.S_ISREG(status.st_mode):
        raise MaintenanceError(
            "the file of alerts is a link or no regular file", target=path, next_step="Name another one."
        )
    entry: Dict[str, Any] = dict(generic(message), at=format_utc(utc_now()))
    try:
        append_line(path, json.dumps(entry, sort_keys=True).encode("utf-8"))
    except OSError as error:
        raise from_os_error("cannot write the alert down", error, target=path) from error
