# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may be told about a connection string: where it leads and how good its password is, never the password. Pure."""

from __future__ import annotations

import re
from typing import Mapping, Optional, Tuple
from urllib.parse import unquote

from .._core.late_dataclass import dataclass

URI_KEYS = ("MONGODB_URI", "MONGO_URI")
DEFAULT_MONGO_PORT = 27017
# The name of the database's service in every compose file of the shop; it resolves inside the compose network only.
MONGO_SERVICE = "mongo"

_KNOWN_PASSWORDS = frozenset(
    "admin administrator changeme change-me change_me default example letmein miniecom mongo mongodb pass passw0rd "
    "password password1 password123 qwerty root secret test 123456 12345678 123456789".split()
)
_LOOPBACK = re.compile(r"^(127\.|::1$|localhost$)")


@dataclass(frozen=True)
class MongoUri:
    """A connection string without its password.

    Attributes:
        source: the variable it came from.
        quality: of the credentials: none, default, weak or strong.
    """

    source: str
    hosts: Tuple[Tuple[str, int], ...] = ()
    database: str = ""
    user: str = ""
    quality: str = "none"
    tls: bool = False
    srv: bool = False
    replica_set: str = ""


def host_port(text: str) -> Tuple[str, int]:
    """Host and port of ``host``, ``host:port`` or ``[v6]:port``; the default port where there is none or it is no number."""
    match = re.match(r"^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$", text)
    if not match:
        return text, DEFAULT_MONGO_PORT
    return match.group(1) or match.group(2), int(match.group(3) or DEFAULT_MONGO_PORT)


def host_text(host: str, port: int) -> str:
    return ("[%s]:%d" if ":" in host else "%s:%d") % (host, port)


def is_loopback(address: str) -> bool:
    return bool(_LOOPBACK.match(address))


def password_quality(user: str, password: str) -> str:
    """none, default (of a list everybody tries, or a placeholder), weak or strong."""
    if not password:
        return "none"
    plain = password.lower()
    if plain in _KNOWN_PASSWORDS or plain == user.lower() or re.match(r"^(your|change|replace)[-_ ]?", plain):
        return "default"
    kinds = sum(bool(re.search(kind, password)) for kind in ("[a-z]", "[A-Z]", "[0-9]", "[^a-zA-Z0-9]"))
    if len(password) < 12 or len(set(password)) < 6 or kinds < 2:
        return "weak"
    return "strong"


def parse_mongo_uri(uri: str, source: str) -> MongoUri:
    """What may be told about a connection string, well-formed or not."""
    scheme, separator, rest = uri.strip().partition("://")
    if not separator:
        return MongoUri(source)
    # An unescaped slash in a password would make a piece of it look like hosts: the last @ before the options decides.
    before_slash = rest.split("/", 1)[0]
    userinfo = before_slash.rpartition("@")[0] if "@" in before_slash else rest.split("?", 1)[0].rpartition("@")[0]
    tail = rest[len(userinfo) + 1 :] if userinfo else rest.lstrip("@")
    user, _colon, password = userinfo.partition(":")
    hosts, _slash, path = tail.partition("/")
    database, _mark, query = path.partition("?")
    if "?" in hosts:
        hosts, _mark, query = hosts.partition("?")
        database = ""
    options = {}
    for part in re.split("[&;]", query):
        key, _equals, value = part.partition("=")
        options[key.lower()] = value
    srv = scheme.lower() == "mongodb+srv"
    tls = options.get("tls", options.get("ssl", "true" if srv else "false")).lower() == "true"
    return MongoUri(
        source,
        tuple(host_port(host) for host in hosts.split(",") if host),
        unquote(database),
        unquote(user),
        password_quality(unquote(user), unquote(password)),
        tls,
        srv,
        options.get("replicaset", ""),
    )


def mongo_uri(env: Mapping[str, str]) -> Optional[MongoUri]:
    """The connection string that the application takes; an empty variable counts as none, as it does there."""
    for key in URI_KEYS:
        if env.get(key, "").strip():
            return parse_mongo_uri(env[key], key)
    return None
