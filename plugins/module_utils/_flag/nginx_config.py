# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nginx's configuration, read as far as needed to find the servers of the shop. Pure."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from dataclasses import field, replace
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from .._core.late_dataclass import dataclass

_MARK = re.compile(r"^# configuration file (.+):$", re.MULTILINE)
_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{};]|(?:\\.|\$\{[^}]*\}|[^\s{};"'\\])(?:\\.|\$\{[^}]*\}|[^\s{};\\])*""",
    re.S,
)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
# Deeper, files include each other in a circle.
_DEPTH = 8
LOOPBACK = ("127.0.0.1", "localhost", "::1", "0.0.0.0", "::")  # noqa: S104


@dataclass
class Directive:
    """One directive. body_start: offset just behind the brace that opens its block, -1 without a block."""

    name: str
    arguments: List[str]
    block: List[Directive] = field(default_factory=list)
    body_start: int = -1

    def walk(self) -> Iterator[Directive]:
        for inner in self.block:
            yield inner
            yield from inner.walk()


@dataclass(frozen=True)
class Listen:
    """Where a server listens, as somebody on this host reaches it."""

    address: str
    port: int
    tls: bool = False


@dataclass(frozen=True)
class ServerBlock:
    """A server block.

    Attributes:
        path: the file that it stands in. offset: in its text, just behind the brace.
        includes: what it includes itself, as written.
        targets: host and port of whatever it passes requests to. roots: directories that it serves.
        certificates: the files of its own, as written.
    """

    path: str
    offset: int
    names: Tuple[str, ...] = ()
    listens: Tuple[Listen, ...] = ()
    includes: Tuple[str, ...] = ()
    targets: Tuple[Tuple[str, int], ...] = ()
    roots: Tuple[str, ...] = ()
    certificates: Tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """A name to ask for it by; of a pattern, one that it fits."""
        for name in self.names:
            # .shop.example stands for the name itself and all below it, a star for any labels at one of its ends.
            plain = re.sub(r"\.\*$", ".example", re.sub(r"^\*\.", "www.", re.sub(r"^\.", "", name)))
            if re.match(r"^[A-Za-z0-9][A-Za-z0-9.-]*$", plain):
                return plain
        return "localhost"


def split_dump(text: str) -> Dict[str, str]:
    """The files of what ``nginx -T`` prints, in its order."""
    parts = _MARK.split(text)
    return {path: body.lstrip("\n") for path, body in zip(parts[1::2], parts[2::2])}


def _unquoted(token: str) -> str:
    if len(token) > 1 and token[0] == token[-1] and token[0] in "\"'":
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    return token


def parse_directives(text: str) -> List[Directive]:
    """The directives of one file. What makes no sense is passed over: nginx itself has accepted the file."""
    root = Directive("", [])
    stack, words = [root], []  # type: Tuple[List[Directive], List[str]]
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            position += 1
            continue
        position, found = match.end(), match.group()
        if found[0].isspace() or found[0] == "#":
            continue
        if found in (";", "{"):
            made = Directive(words[0] if words else "", words[1:])
            words = []
            stack[-1].block.append(made)
            if found == "{":
                made.body_start = position
                stack.append(made)
        elif found == "}":
            if len(stack) > 1:
                stack.pop()
            words = []
        else:
            words.append(_unquoted(found))
    return root.block


def _listen(arguments: Sequence[str], tls: bool) -> Optional[Listen]:
    if not arguments or arguments[0].startswith("unix:"):
        return None
    match = re.match(
        r"^(?:(\[[0-9A-Fa-f:.]+\]|\*|[A-Za-z0-9.-]*[A-Za-z.-][A-Za-z0-9.-]*|[\d.]+\.[\d.]+)(?::(\d+))?|(\d+))$",
        arguments[0],
    )
    if match is None:
        return None
    address = (match.group(1) or "").strip("[]")
    port = int(match.group(2) or match.group(3) or 80)
    if address in ("", "*", "0.0.0.0"):  # noqa: S104
        address = "127.0.0.1"
    elif address == "::":
        address = "::1"
    return Listen(address, port, tls or "ssl" in arguments[1:])


def _target(url: str, upstreams: Mapping[str, Sequence[Tuple[str, int]]]) -> Sequence[Tuple[str, int]]:
    match = re.match(r"^(https?)://(\[[^\]]+\]|[^/:]+)(?::(\d+))?", url)
    if match is None:
        return ()
    host = match.group(2).strip("[]")
    if match.group(3) is None and host in upstreams:
        return upstreams[host]
    return ((host, int(match.group(3) or (443 if match.group(1) == "https" else 80))),)


def find_servers(files: Mapping[str, str]) -> List[ServerBlock]:
    """All server blocks of http, in the order of the files.

    Args:
        files: texts by path, the main configuration first. What a server block includes of them belongs to it.
    """
    parsed = {path: Directive("", [], parse_directives(text)) for path, text in files.items()}
    upstreams: Dict[str, List[Tuple[str, int]]] = {}
    for root in parsed.values():
        for found in root.walk():
            if found.name == "upstream" and found.arguments:
                upstreams[found.arguments[0]] = [
                    target
                    for inner in found.block
                    if inner.name == "server" and inner.arguments
                    for target in _target("http://" + inner.arguments[0], {})
                ]
    servers = []
    base = posixpath.dirname(next(iter(files), ""))
    for path, root in parsed.items():
        streams = {id(inner) for found in root.walk() if found.name in ("stream", "mail") for inner in found.walk()}
        for found in root.walk():
            if found.name == "server" and found.body_start >= 0 and id(found) not in streams:
                servers.append(_server(path, found, upstreams, parsed, base))
    return servers


def _included(pattern: str, path: str) -> bool:
    """Whether a pattern names a path; a star stands for no slash (glob(7))."""
    wanted, there = pattern.split("/"), path.split("/")
    return len(wanted) == len(there) and all(fnmatch.fnmatchcase(name, part) for name, part in zip(there, wanted))


def _whole(block: Sequence[Directive], parsed: Mapping[str, Directive], base: str, depth: int = 0) -> List[Directive]:
    """Directives with those that they include, each behind its include."""
    found: List[Directive] = []
    for inner in block:
        found.append(replace(inner, block=_whole(inner.block, parsed, base, depth)))
        if inner.name == "include" and inner.arguments and depth < _DEPTH:
            pattern = posixpath.normpath(posixpath.join(base, inner.arguments[0]))
            for path, root in parsed.items():
                if _included(pattern, path):
                    found += _whole(root.block, parsed, base, depth + 1)
    return found


def _server(
    path: str,
    own: Directive,
    upstreams: Mapping[str, Sequence[Tuple[str, int]]],
    parsed: Mapping[str, Directive],
    base: str,
) -> ServerBlock:
    block = replace(own, block=_whole(own.block, parsed, base))
    direct: Dict[str, List[List[str]]] = {}
    for inner in block.block:
        direct.setdefault(inner.name, []).append(inner.arguments)
    tls = ["on"] in direct.get("ssl", [])
    listens = [_listen(arguments, tls) for arguments in direct.get("listen", [["80"]])]
    inside = list(block.walk())
    values = {inner.arguments[0].lstrip("$"): inner.arguments[1] for inner in inside if _sets(inner)}

    def put_in(url: str) -> str:
        return _VARIABLE.sub(lambda name: values.get(name.group(1) or name.group(2), name.group()), url)

    return ServerBlock(
        path,
        block.body_start,
        tuple(name for arguments in direct.get("server_name", []) for name in arguments),
        tuple(item for item in listens if item is not None),
        tuple(arguments[0] for arguments in direct.get("include", []) if arguments),
        tuple(
            target
            for inner in inside
            if inner.name == "proxy_pass" and inner.arguments
            for target in _target(put_in(inner.arguments[0]), upstreams)
        ),
        tuple(inner.arguments[0] for inner in inside if inner.name in ("root", "alias") and inner.arguments),
        tuple(arguments[0] for arguments in direct.get("ssl_certificate", []) if arguments),
    )


def _sets(directive: Directive) -> bool:
    return directive.name == "set" and len(directive.arguments) == 2


def serves_shop(server: ServerBlock, ports: Sequence[int], hosts: Sequence[str], root: str) -> bool:
    """Whether a server block is the shop's: it passes requests to one of its ports, or serves files of its directory.

    Args:
        ports: of API and frontend, as they are reached at hosts. root: the shop's directory.
    """
    if any(host in hosts and port in ports for host, port in server.targets):
        return True
    inside = posixpath.normpath(root) + "/"
    return any((posixpath.normpath(path) + "/").startswith(inside) for path in server.roots)


def chosen_listen(server: ServerBlock) -> Optional[Listen]:
    """Where to ask a server: IPv4 before IPv6, where addresses of this host can be chosen to ask from."""
    return min(server.listens, key=lambda item: (":" in item.address, item.tls), default=None)


def include_of(directory: str) -> str:
    """What our line includes: a pattern, which nginx lets name nothing. It must start without our files as well."""
    return directory + "/*.conf"


def include_line(snippet: str) -> str:
    # Without a comment, which would swallow what follows in a block on one line.
    return "\n    include %s;" % snippet


def with_includes(text: str, offsets: Sequence[int], snippet: str) -> str:
    """A file with our line as the first one of each of these server blocks."""
    for offset in sorted(set(offsets), reverse=True):
        text = text[:offset] + include_line(snippet) + text[offset:]
    return text


def without_includes(text: str, snippet: str) -> str:
    """A file as it was before ``with_includes``, to the byte; a line that somebody has moved goes as well."""
    text = text.replace(include_line(snippet), "")
    return re.sub(r"[ \t]*include %s;[ \t]*\n?" % re.escape(snippet), "", text)
