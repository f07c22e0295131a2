# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The layer of nginx on the host: what its installation has noted, and the link by which it is switched.

A directory with all that is served is made whole, then one rename of a link closes the shop, and its removal opens it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from dataclasses import asdict, field, replace
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .._core.atomic_file import discard_partial, partial_name, sync_directory
from .._core.clock import utc_now
from .._core.errors import from_os_error
from .._core.late_dataclass import dataclass
from .._core.state_note import read_state_note, write_state_note
from .flag_file import parse_moment
from .nginx_snippet import CLOSED, SNIPPET

SETUP_NAME = "nginx.json"
_LINK, _SWITCH = ".closed.miniecom-partial", "switch-"
_MADE = re.compile(r"switch-[0-9a-f]{16}(?:-again)?")
_LOOPBACK = "127."


@dataclass(frozen=True)
class Site:
    """One server of the shop, as this host asks it.

    Attributes:
        name: for Host and SNI.
        container: in whose network it is asked, "" for this host's. pid: its process just now, which is not noted.
    """

    name: str
    address: str
    port: int
    tls: bool = False
    container: str = ""
    pid: int = field(default=0, compare=False)

    @property
    def url(self) -> str:
        where = "[%s]" % self.address if ":" in self.address else self.address
        return "%s://%s:%d" % ("https" if self.tls else "http", where, self.port)

    @property
    def label(self) -> str:
        where = self.url + (" in %s" % self.container if self.container else "")
        return where if self.name in ("localhost", self.address) else "%s (%s)" % (self.name, where)


@dataclass(frozen=True)
class Setup:
    """What the installation has noted.

    Attributes:
        directory: where link and files lie. digest: of the snippet.
        open_paths: what stays open, as it was given.
        files: configuration files that include the snippet.
        container: name of the container that nginx runs in, "" on the host. docker_host: the engine that knows it.
        unreached: why it cannot be asked just now, "" when nothing is known to be in the way; not noted.
    """

    directory: str
    digest: str
    sites: Tuple[Site, ...]
    open_paths: Tuple[str, ...]
    files: Tuple[str, ...] = ()
    container: str = ""
    docker_host: str = ""
    unreached: str = field(default="", compare=False)


@dataclass(frozen=True)
class Nginx:
    """The layer as found.

    Attributes:
        problem: why it turns nobody away, "" when it does as soon as it is switched.
        closed: its link is there.
        found: digest of all that lies behind the link. leftovers: a killed run has left something beside it.
        assumed: check mode takes it as set up, which it would be by then.
        inside: an address of the loopback network that is let through, by which this host proves that addresses are.
    """

    directory: str
    problem: str = ""
    closed: bool = False
    found: str = ""
    leftovers: bool = False
    inside: str = ""
    assumed: bool = False

    @property
    def target(self) -> str:
        return "nginx, by %s/%s" % (self.directory, CLOSED)


def setup_path(state_dir: str) -> str:
    return os.path.join(state_dir, SETUP_NAME)


def read_setup(state_dir: str) -> Optional[Setup]:
    """None where nginx was never set up.

    Raises:
        MaintenanceError: it cannot be read, or makes no sense.
    """
    return read_state_note(
        setup_path(state_dir),
        "cannot read how nginx was set up",
        _setup,
        "the note of how nginx was set up makes no sense",
        "Remove it, and set nginx up again.",
    )


def _setup(found: Mapping[str, Any]) -> Setup:
    return Setup(
        str(found["directory"]),
        str(found["digest"]),
        tuple(Site(**site) for site in found["sites"]),
        tuple(found["open_paths"]),
        tuple(found["files"]),
        str(found["container"]),
        str(found.get("docker_host") or ""),
    )


def write_setup(state_dir: str, setup: Setup) -> None:
    noted = asdict(replace(setup, sites=tuple(replace(site, pid=0) for site in setup.sites), unreached=""))
    write_state_note(state_dir, setup_path(state_dir), noted, "cannot note how nginx was set up")


# -- the link ------------------------------------------------------------------------------------------------------------


def digest_files(files: Mapping[str, str], until: str) -> str:
    """What stands for all that is served. until: a UTC timestamp, "" for no end."""
    text = json.dumps([sorted(files.items()), until])
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def _read_files(directory: str) -> Tuple[Dict[str, str], str]:
    """The files behind the link, and the moment that they stand for."""
    found: Dict[str, str] = {}
    moment = 0
    for base, _directories, names in os.walk(directory):
        for name in names:
            path = os.path.join(base, name)
            with open(path, encoding="utf-8", newline="") as handle:
                found[os.path.relpath(path, directory)] = handle.read()
            if name == "api.json":
                moment = int(os.stat(path).st_mtime)
    until = "" if "no-end" in found else datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return found, until


def observe_link(directory: str, problem: str = "") -> Nginx:
    """The layer of a directory, as far as its files tell.

    Raises:
        MaintenanceError: it cannot be looked at.
    """
    link = os.path.join(directory, CLOSED)
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return Nginx(directory, problem or "its directory is missing", inside=fresh_inside())
    except OSError as error:
        raise from_os_error("cannot look at what switches nginx", error, target=directory) from error
    # What nginx asks: whether a directory is behind the link.
    closed = os.path.isdir(link)
    files: Dict[str, str] = {}
    found = ""
    if closed:
        try:
            files, until = _read_files(os.path.realpath(link))
            found = digest_files(files, until)
        except (OSError, ValueError):
            found = "unreadable"
    stale = [
        name
        for name in _strays(directory, names)
        if os.path.realpath(link) != os.path.join(os.path.realpath(directory), name)
    ]
    inside = [name[6:] for name in files if name.startswith("allow/" + _LOOPBACK)]
    broken = os.path.lexists(link) and not closed
    return Nginx(directory, problem, closed, found, bool(stale) or broken, inside[0] if inside else fresh_inside())


def _strays(directory: str, names: List[str]) -> List[str]:
    return [name for name in names if _MADE.fullmatch(name) or name == _LINK]


def strangers_in(directory: str) -> List[str]:
    """What lies in a directory and is not of this layer; nothing where there is no directory.

    Raises:
        MaintenanceError: it cannot be looked at.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise from_os_error("cannot look at what nginx was given", error, target=directory) from error
    ours = {SNIPPET, os.path.basename(partial_name(SNIPPET)), CLOSED, *_strays(directory, names)}
    return sorted(set(names) - ours)


def remove_layer(directory: str, keep: bool = False) -> None:
    """Remove snippet, link and pages, and the directory unless somebody else's files lie in it.

    Args:
        keep: leave the directory, as a container was given it and would not see another in its place.

    Raises:
        MaintenanceError: it cannot be done.
    """
    snippet = os.path.join(directory, SNIPPET)
    open_shop(directory)
    try:
        discard_partial(snippet)
        if os.path.lexists(snippet):
            os.unlink(snippet)
        if not keep and os.path.isdir(directory) and not os.listdir(directory):
            os.rmdir(directory)
    except OSError as error:
        raise from_os_error("cannot remove what nginx was given", error, target=directory) from error


def fresh_inside() -> str:
    """An address that only this host can have, and that nobody can guess; never the first, which visitors' proxies have."""
    return "127.%d.%d.%d" % (1 + secrets.randbelow(254), secrets.randbelow(256), 1 + secrets.randbelow(254))


def close_shop(directory: str, files: Mapping[str, str], until: str) -> None:
    """Turn visitors away.

    Args:
        until: a UTC timestamp that Retry-After tells, "" for none.

    Raises:
        MaintenanceError: everything is as it was before.
    """
    name = _SWITCH + digest_files(files, until)
    made = os.path.join(directory, name)
    link, partial = os.path.join(directory, CLOSED), os.path.join(directory, _LINK)
    moment = (parse_moment(until) if until else utc_now()).timestamp()
    try:
        if os.path.realpath(link) == os.path.realpath(made):
            # The same, but somebody has changed it: it is made anew under another name.
            made += "-again"
            name += "-again"
        shutil.rmtree(made, ignore_errors=True)
        _make(made)
        _make(os.path.join(made, "allow"))
        for entry in sorted(files):
            path = os.path.join(made, entry)
            # The directory is nobody's before the link names it; the last step is the only one that counts.
            with open(path, "x", encoding="utf-8", newline="") as handle:
                handle.write(files[entry])
                os.fchmod(handle.fileno(), 0o644)
                handle.flush()
                os.utime(handle.fileno(), (moment, moment))
                os.fsync(handle.fileno())
        sync_directory(os.path.join(made, "allow"))
        sync_directory(made)
        if os.path.lexists(partial):
            os.unlink(partial)
        os.symlink(name, partial)
        os.rename(partial, link)
        sync_directory(directory)
        _sweep(directory, keep=name)
    except OSError as error:
        raise from_os_error("cannot let nginx turn visitors away", error, target=directory) from error


def _make(path: str) -> None:
    os.mkdir(path)
    os.chmod(path, 0o755)  # noqa: S103  # nginx's workers read it, whatever the umask


def _sweep(directory: str, keep: str = "") -> None:
    for name in _strays(directory, os.listdir(directory)):
        path = os.path.join(directory, name)
        if name == keep:
            continue
        if os.path.islink(path):
            os.unlink(path)
        else:
            shutil.rmtree(path)


def open_shop(directory: str) -> bool:
    """Serve visitors again; False when nobody was turned away.

    Raises:
        MaintenanceError: they still are turned away.
    """
    link = os.path.join(directory, CLOSED)
    try:
        there = os.path.lexists(link)
        if there:
            os.unlink(link)
            sync_directory(directory)
        _sweep(directory)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise from_os_error(
            "cannot let nginx serve visitors again", error, target=link, otherwise="Remove it by hand: rm %s" % link
        ) from error
    return there
