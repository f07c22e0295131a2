# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A second place for backups and the program that reaches it: what rsync, rclone and restic have in common.

A place knows how to list, send, compare, note, fetch and remove; what is to be done is decided elsewhere. Secrets reach the
programs through files and their environment, never through an argument.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import stat
import subprocess
import threading
from dataclasses import field
from typing import Any, BinaryIO, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.children import dying_with_parent
from .._core.dotenv import assignments
from .._core.errors import MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass
from .._core.plan import Action
from .._core.redaction import SECRETS
from .offsite_copies import OffsiteCopy, OffsiteLeftover, OffsiteListing, OffsiteNote

CHUNK_BYTES = 1024 * 1024
READ_BACK = "read_back"
_MESSAGE_LINES = 3
_KEPT_FROM_ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "SSH_AUTH_SOCK")
# Never said without it: a new place in the mount point of a disk that is missing would hide that all copies are gone.
MAKE_IT = "Only where nothing was ever copied to, let it be made: create (-e backup_offsite_create=true)."
_AGAIN = "Nothing was lost here. Once the place can be reached, run again: it goes on from there."
# What the programs say, and what to do about it; the first that fits counts.
_STEPS: Tuple[Tuple[str, str], ...] = (
    (
        r"host key verification failed|remote host identification has changed",
        "Put the place's host key into the file of known hosts (ssh-keyscan HOST shows it; compare it with what the place"
        " itself says), or set known_hosts.",
    ),
    (
        r"permission denied \((?:publickey|password|keyboard)|no supported authentication|unable to authenticate",
        "The place does not accept this key: add its public half there, or set ssh_key.",
    ),
    (r"wrong password|no key found", "The password of the repository is another one: correct password_file."),
    (
        r"no space left|disk quota|quota exceeded|insufficient storage",
        "The place is full: make room there, or keep fewer copies.",
    ),
    (
        r"is there a repository at|unable to open config file|repository does not exist",
        "There is no repository. Check target (backup_offsite_target). " + MAKE_IT,
    ),
    (
        r"directory not found|change_dir .* failed: no such file|no such file or directory",
        "The place is not there (not mounted?). Check target (backup_offsite_target). " + MAKE_IT,
    ),
    (
        r"unknown module|didn't find section|failed to create file system",
        "Check target and the program's configuration.",
    ),
    (r"already locked|unable to create lock", "Another program works in the repository. Wait until it has ended."),
    (
        r"permission denied|operation not permitted|access ?denied",
        "The user of the place may not do this: check its rights.",
    ),
    (
        r"connection|timed? ?out|timeout|no route|unreachable|could not resolve|no such host|broken pipe|unexpected eof"
        r"|closed|dial tcp|client_loop",
        _AGAIN,
    ),
)


@dataclass(frozen=True)
class PlaceOptions:
    """Where the second place is and how it is reached.

    Attributes:
        owner: the name of this host at the place.
        create: make the place where it is not there.
        verify: read_back, or own for what the program itself compares.
        time_limit: seconds that one command may take; 0 for any.
        temporary: a directory for small files, made when it is first asked for.
        controller: what the controller has told of itself, where that is the place.
        host: what tells this host from another one of its name; "" before its first copy.
    """

    target: str
    owner: str
    temporary: Callable[[], str]
    create: bool = False
    verify: str = READ_BACK
    environment_file: str = ""
    password_file: str = ""
    config_file: str = ""
    ssh_key: str = ""
    ssh_port: int = 0
    known_hosts: str = ""
    time_limit: float = 0
    bandwidth: int = 0
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    controller: Optional[Mapping[str, Any]] = None
    host: Callable[[], str] = lambda: ""


class SecondPlace:
    """A second place. Names are those of archives; every method raises MaintenanceError."""

    method = ""
    package = ""
    # Whether what lies there is encrypted whatever is sent.
    encrypts = False
    # Whether what `send` has sent has another name until `settle`.
    settles = True

    def __init__(self, options: PlaceOptions) -> None:
        self.options = options
        self.target = options.target

    def list(self) -> OffsiteListing:
        """What is there."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Make the place, where it is not there."""

    def send(self, path: str, name: str) -> None:
        """Send an archive. Interrupted at any instant nothing incomplete has its name."""
        raise NotImplementedError

    def check(self, path: str, name: str, sha256: str) -> str:
        """Compare what was sent with the archive; returns how, as words. Raises where it differs."""
        raise NotImplementedError

    def settle(self, name: str) -> None:
        """Give an archive that was sent and compared its name."""

    def discard(self, name: str) -> None:
        """Remove what `send` has just sent, and nobody has noted."""
        raise NotImplementedError

    def same_as(self, path: str, name: str, sha256: str) -> bool:
        """Whether the archive of this name that nobody has noted is the very one at path."""
        raise NotImplementedError

    def write_note(self, note: OffsiteNote) -> None:
        """Note a copy that was compared: from now on it counts."""
        raise NotImplementedError

    def read_note(self, copy: OffsiteCopy) -> Optional[OffsiteNote]:
        """The note of a copy in full; None when it is gone or is none."""
        raise NotImplementedError

    def fetch(self, copy: OffsiteCopy, path: str) -> None:
        """Bring the archive of a copy into the file at path, which may hold the beginning of it."""
        raise NotImplementedError

    def remove(self, copy: OffsiteCopy) -> None:
        """Remove the archive of a copy, then its note."""
        raise NotImplementedError

    def remove_leftover(self, leftover: OffsiteLeftover) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        """Give back the space of what was removed."""

    def orders(self, actions: Sequence[Action[Any]]) -> Dict[str, Any]:
        """What is left to be done by whoever called the module, for these planned actions; empty where nothing is."""
        return {}

    def _mark(self) -> str:
        """This host in the names of what it has not sent to its end, so that none of its name takes that for its own."""
        return "%s-%s" % (slug(self.options.owner), self.options.host()[:8])

    # --- running the program

    def call(
        self,
        argv: Sequence[str],
        what: str,
        *,
        stdin: Optional[BinaryIO] = None,
        stdout: Optional[BinaryIO] = None,
        data: Optional[bytes] = None,
        accept: Sequence[int] = (0,),
        target: str = "",
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the program; returns what it wrote.

        Args:
            what: what fails, where it fails, as a sentence fragment.
            stdin, stdout: files to read from and to write to; `data` is written to its input instead.
            accept: exit statuses that are no failure.
        """
        feeding: Dict[str, Any] = {"input": data} if data is not None else {"stdin": stdin or subprocess.DEVNULL}
        try:
            done = subprocess.run(
                list(argv),
                stdout=stdout or subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self.environment(),
                timeout=self.options.time_limit or None,
                check=False,
                # What rsync has received so far it keeps when it is told to end.
                preexec_fn=dying_with_parent(signal.SIGTERM),
                **feeding,
            )
        except subprocess.TimeoutExpired as error:
            raise self._too_late(what, target) from error
        except OSError as error:
            raise from_os_error(
                "cannot run %s" % self.package,
                error,
                target=argv[0],
                missing="Install the package %s on this host." % self.package,
            ) from error
        if done.returncode not in accept:
            raise self.error(what, done.returncode, done.stderr, target)
        return done

    def error(self, what: str, code: int, stderr: bytes, target: str = "") -> MaintenanceError:
        """What the program said, as an error."""
        text = SECRETS.clean_text(stderr.decode("utf-8", "replace"))
        lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
        said = "; ".join(lines[-_MESSAGE_LINES:])[:400]
        step = next((step for pattern, step in _STEPS if re.search(pattern, text, re.IGNORECASE)), "")
        return MaintenanceError(
            "%s (%s: %s)" % (what, self.package, said or "no message"),
            target=target or self.target,
            code=code,
            next_step=step or "See the message of %s." % self.package,
        )

    def _too_late(self, what: str, target: str = "") -> MaintenanceError:
        return MaintenanceError(
            "%s: it took longer than time_limit" % what, target=target or self.target, next_step=_AGAIN
        )

    def differs(self, name: str, what: str) -> MaintenanceError:
        return MaintenanceError(
            "what lies at the place is not what was sent: %s" % what,
            target=name,
            next_step="The copy was not noted and does not count; the backup here is untouched. Check memory and disks of both.",
        )

    def environment(self) -> Dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT_FROM_ENVIRONMENT if name in os.environ}
        return {**kept, "LC_ALL": "C", **self.options.environment}

    def piped_sha256(self, argv: Sequence[str], what: str, into: Optional[BinaryIO] = None) -> str:
        """SHA-256 of what the program writes, which may be kept in a file; memory stays bounded."""
        digest = hashlib.sha256()
        late: List[bool] = []
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self.environment(),
                preexec_fn=dying_with_parent(signal.SIGTERM),
            )
        except OSError as error:
            raise from_os_error(
                "cannot run %s" % self.package,
                error,
                target=argv[0],
                missing="Install the package %s on this host." % self.package,
            ) from error

        def end() -> None:
            late.append(True)
            process.kill()

        # Whoever waits for what it writes cannot look at a clock.
        timer = threading.Timer(self.options.time_limit, end) if self.options.time_limit else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            source: Any = process.stdout
            for data in iter(lambda: source.read(CHUNK_BYTES), b""):
                digest.update(data)
                if into is not None:
                    into.write(data)
            said: bytes = process.stderr.read() if process.stderr is not None else b""
            code = process.wait()
        finally:
            if timer is not None:
                timer.cancel()
            if process.poll() is None:
                process.kill()
                process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        if code and late:
            raise self._too_late(what)
        if code:
            raise self.error(what, code, said)
        return digest.hexdigest()


def sha256_of(path: str) -> str:
    """SHA-256 of a file.

    Raises:
        MaintenanceError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb", 0) as handle:
            for data in iter(lambda: handle.read(CHUNK_BYTES), b""):
                digest.update(data)
    except OSError as error:
        raise from_os_error("cannot read the backup", error, target=path) from error
    return digest.hexdigest()


def require_private(path: str, option: str) -> None:
    """A file with credentials is a regular file that only its owner can read.

    Raises:
        MaintenanceError: it is not, or not there.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise from_os_error("cannot look at the file of %s" % option, error, target=path) from error
    if not stat.S_ISREG(status.st_mode):
        raise MaintenanceError("the file of %s is no regular file" % option, target=path)
    if status.st_mode & 0o077 or status.st_uid not in (0, os.geteuid()):
        raise MaintenanceError(
            "others may read the file of %s, which holds credentials" % option,
            target=path,
            code="mode %04o" % (status.st_mode & 0o7777),
            next_step="chmod 0600 it, and let root or the user of this module own it.",
        )


def read_environment(path: str) -> Dict[str, str]:
    """The variables in a file of KEY=VALUE lines; each value is a secret from now on.

    Raises:
        MaintenanceError: it cannot be read, or others can read it.
    """
    require_private(path, "environment_file")
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as handle:
            text = handle.read()
    except OSError as error:
        raise from_os_error("cannot read the file of environment_file", error, target=path) from error
    found = {key: value for key, value, _quote in assignments(text)}
    for value in found.values():
        SECRETS.register(value)
    return found


def slug(owner: str) -> str:
    """A host's name as a part of a file name."""
    return re.sub(r"[^A-Za-z0-9]+", "-", owner)[:40].strip("-") or "host"


def read_limited(handle: BinaryIO) -> bytes:
    """A note's bytes; nobody can make us read a gigabyte for one."""
    return handle.read(CHUNK_BYTES)


def sorted_notes(directory: str, names: Sequence[str]) -> List[Tuple[str, bytes]]:
    """Name and content of the files that were fetched into a directory."""
    found = []
    for name in sorted(names):
        try:
            with open(os.path.join(directory, name), "rb") as handle:
                found.append((name, read_limited(handle)))
        except OSError:
            continue
    return found
