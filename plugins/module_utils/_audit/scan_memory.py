# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the last whole scan for secrets has found, kept so that files in which nothing has changed are not read again.

It holds for nothing but what it was made of: the same paths, exclusions, program, rules, judgement, user and key of fingerprints, and files of
which none has changed. It holds no secret: a finding is kept as it is told, with its keyed fingerprint in place of what that was made from. Whatever is amiss
with it means no more than that all is read.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import stat
import sys
from dataclasses import replace
from typing import Any, Dict, FrozenSet, List, Optional, Sequence, Tuple

from .._core.errors import MaintenanceError
from .._core.finding import SEVERITIES, Finding, fingerprint, key_id
from .._core.late_dataclass import dataclass
from .._core.state_note import NOT_UNDERSTOOD, write_state_note
from .scanned_tree import RACY_NS

VERSION = 1
# Our own code that makes findings of files: what `secret_reading` imports, itself included. Its source is part of what a memory holds
# for, so that nobody has to think of it who changes a rule; a test sees to it that the list is complete.
JUDGING = (
    "_audit.external_program",
    "_audit.kingfisher",
    "_audit.kingfisher_output",
    "_audit.secret_files",
    "_audit.secret_matches",
    "_audit.secret_places",
    "_audit.secret_reading",
    "_audit.secret_rules",
    "_audit.secret_values",
    "_core.errors",
    "_core.finding",
    "_core.late_dataclass",
    "_core.paths",
    "_core.private_dir",
    "_core.walker",
)


@dataclass(frozen=True)
class KeptScan:
    """A whole scan that is remembered.

    Attributes:
        mark: stands for what decides its result beside the files; see `scan_mark`.
        began: when, in nanoseconds since 1970.
        digests: of the directories, as `ScannedTree` has them.
        findings: before anything is waived or known; each with its fingerprint and without its subject.
        files: how many were read.
        bytes: how many bytes were read.
    """

    mark: str
    began: int
    digests: FrozenSet[str]
    findings: Tuple[Finding, ...]
    files: int = 0
    bytes: int = 0

    def recent(self, now: int, rescan_after: float) -> bool:
        """Whether it is not too old to rely on; one from a time that is still to come never is. Pure.

        Args:
            now: in nanoseconds since 1970.
            rescan_after: seconds.
        """
        return 0 <= now - self.began < rescan_after * 1e9


def read_kept_scan(path: str) -> Optional[KeptScan]:
    """What is remembered; None where there is nothing, or nothing that can be relied on: damaged, of another form, or another user's."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as handle:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
                return None
            return _understood_scan(json.loads(handle.read().decode("ascii")))
    except (OSError, *NOT_UNDERSTOOD):
        return None


def write_kept_scan(state_dir: str, path: str, kept: KeptScan) -> List[str]:
    """Remember a scan; returns a warning where that cannot be done: nothing is lost but time."""
    content = {
        "version": VERSION,
        "mark": kept.mark,
        "began": kept.began,
        "files": kept.files,
        "bytes": kept.bytes,
        "directories": sorted(kept.digests),
        "findings": [_written_finding(finding) for finding in kept.findings],
    }
    try:
        write_state_note(state_dir, path, content, "cannot remember what was scanned")
    except MaintenanceError as error:
        return ["The next scan will read all files again. %s" % error]
    return []


def without_subjects(key: bytes, found: Sequence[Finding]) -> Tuple[Finding, ...]:
    """Findings as they may be kept: a fingerprint in the place of the secret that it is made from. Pure."""
    return tuple(replace(finding, fingerprint=fingerprint(key, finding), subject="") for finding in found)


def scan_mark(program: str, roots: Sequence[str], exclude: Sequence[str], key: bytes, began: int) -> str:
    """What stands for everything that decides what a scan finds beside the files; "" where that cannot be told for sure.

    Args:
        program: the Kingfisher program.
        key: of the host's fingerprints.
        began: when the scan began, in nanoseconds since 1970.
    """
    try:
        status = os.stat(program)
        sources = _sources_digest()
    except (OSError, ImportError, AttributeError, TypeError):
        return ""
    # What is put in its place has other times or another inode; what was put there since may not be what was started.
    if max(status.st_mtime_ns, status.st_ctime_ns) >= began - RACY_NS:
        return ""
    parts = [
        VERSION,
        sources,
        list(sys.version_info[:3]),
        [
            os.path.realpath(program),
            status.st_dev,
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
        ],
        [list(roots), list(exclude)],
        [os.geteuid(), os.getegid(), sorted(os.getgroups())],
        key_id(key),
    ]
    return hashlib.sha256(_text(parts)).hexdigest()


def _sources_digest() -> str:
    """A digest of the source of all that makes findings of files, read without loading it where that can be done.

    Raises:
        ImportError, AttributeError, TypeError: it is not to be had.
    """
    package = __name__.rsplit(".", 2)[0]
    digest = hashlib.sha256()
    for name in JUDGING:
        full = "%s.%s" % (package, name)
        source = _source(full)
        if source is None:
            # Under Mitogen (0.3.54) the source is on the controller until the module is loaded.
            importlib.import_module(full)
            source = _source(full)
        digest.update(b"%d " % len(source) + source.encode("utf-8"))
    return digest.hexdigest()


def _source(full: str) -> Any:
    """The source of a module, None where its loader does not have it before the module is loaded."""
    loaded = sys.modules.get(full)
    spec: Any = loaded.__spec__ if loaded is not None else importlib.util.find_spec(full)
    read = getattr(spec.loader, "get_source", None)
    return None if read is None else read(full)


def _text(parts: Any) -> bytes:
    return json.dumps(parts).encode("ascii")


_TEXTS = ("rule", "severity", "target", "message", "remediation", "excerpt", "scope", "fingerprint")


def _written_finding(finding: Finding) -> Dict[str, Any]:
    written: Dict[str, Any] = {name: getattr(finding, name) for name in _TEXTS}
    return dict(written, line=finding.line, column=finding.column, lines=list(finding.lines))


def _understood_scan(found: Any) -> KeptScan:
    """What a file says.

    Raises:
        ValueError, KeyError, TypeError: it is not of our form.
    """
    if found["version"] != VERSION:
        raise ValueError("version")
    numbers = [found[name] for name in ("began", "files", "bytes")]
    texts = [found["mark"], *found["directories"]]
    if not all(isinstance(number, int) for number in numbers) or not all(isinstance(text, str) for text in texts):
        raise TypeError("scan")
    began, files, size = numbers
    findings = tuple(_understood_finding(entry) for entry in found["findings"])
    return KeptScan(found["mark"], began, frozenset(found["directories"]), findings, files, size)


def _understood_finding(entry: Any) -> Finding:
    texts = {name: entry[name] for name in _TEXTS}
    line, column, lines = entry["line"], entry["column"], tuple(entry["lines"])
    if not all(isinstance(text, str) for text in texts.values()) or not all(
        isinstance(number, int) for number in (line, column, *lines)
    ):
        raise TypeError("finding")
    if texts["severity"] not in SEVERITIES or not texts["fingerprint"]:
        raise ValueError("finding")
    return Finding(**texts, line=line, column=column, lines=lines)
