# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs Kingfisher, MongoDB's scanner for secrets, and reads what it prints.

What it prints holds the secrets: it is read through a pipe, never written anywhere, and only a keyed fingerprint of each
secret leaves the process. Kingfisher is kept from trying the secrets on the network and from looking for updates.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from typing import List, Optional, Sequence, Tuple

from .._core.errors import MaintenanceError, MissingLibrary
from .._core.private_dir import private_directory
from .external_program import run_program
from .secret_matches import Match
from .secret_rules import RULES_YAML

PACKAGE = "kingfisher-bin"
CACHE_NAME = "kingfisher"
MAX_FILE_MEGABYTES = 10
EXIT_CLEAN, EXIT_FINDINGS = 0, 200


@dataclass
class Scan:
    """What a scan came to."""

    matches: List[Match] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    incomplete: int = 0


def find_kingfisher(wanted: Optional[str]) -> str:
    """The program: the one named, or that of the package beside the interpreter of this module, or one on the PATH.

    Raises:
        MaintenanceError: the one named cannot be run.
        MissingLibrary: there is none.
    """
    if wanted:
        if os.path.isfile(wanted) and os.access(wanted, os.X_OK):
            return wanted
        raise MaintenanceError(
            "the Kingfisher program cannot be run",
            target=wanted,
            next_step="Correct the option kingfisher, or leave it out.",
        )
    candidates = [
        os.path.join(path, "kingfisher", "bin", "kingfisher") for path in sys.path if path.endswith("-packages")
    ]
    candidates.append(os.path.join(os.path.dirname(sys.executable), "kingfisher"))
    for candidate in candidates:
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    found = shutil.which("kingfisher")
    if found:
        return found
    raise MissingLibrary(PACKAGE)


def scan_command(program: str, rules_path: str, paths: Sequence[str], exclude: Sequence[str]) -> List[str]:
    """The command line. It holds no secret."""
    line = [
        program,
        "scan",
        "--quiet",
        "--format",
        "jsonl",
        # Never try a secret on the network, never look for updates, never read the history of a repository.
        "--no-validate",
        "--no-update-check",
        "--git-history",
        "none",
        # Unpacking would write the content of archives, backups among them, to disk.
        "--no-extract-archives",
        # What may stand is said in waivers, with a reason and an expiry, not by a comment in the code.
        "--no-ignore",
        "--no-dedup",
        "--max-file-size",
        str(MAX_FILE_MEGABYTES),
        "--rules-path",
        rules_path,
    ]
    for pattern in exclude:
        line += ["--exclude", pattern]
    return line + ["--"] + list(paths)


def scan_paths(
    program: str, paths: Sequence[str], exclude: Sequence[str], cache: str, workspace: str, timeout: float
) -> Scan:
    """Scan the paths.

    Args:
        program: the Kingfisher program.
        paths: absolute paths.
        exclude: names or globs that are not entered.
        cache: directory for the compiled rules, used if it exists.
        workspace: an empty directory of this run's own; everything Kingfisher writes beside the cache goes there.
        timeout: seconds.

    Raises:
        MaintenanceError: it could not be run, failed, took too long, or printed something else than expected.
    """
    rules_path = os.path.join(workspace, "rules.yml")
    # A secret of our own must be found, or else the silence about others means nothing.
    probe_path, probe = os.path.join(workspace, "probe.conf"), "p" + secrets.token_hex(12)
    for path, text in ((rules_path, RULES_YAML), (probe_path, "PROBE_PASSWORD=%s\n" % probe)):
        with open(path, "w", encoding="utf-8") as handle:
            handle.write(text)
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LANG": "C.UTF-8",
        "HOME": workspace,
        "TMPDIR": workspace,
        "KF_RULE_CACHE_DIR": cache,
        "NO_COLOR": "1",
    }
    completed = run_program(
        "Kingfisher",
        scan_command(program, rules_path, list(paths) + [probe_path], exclude),
        workspace,
        environment,
        timeout,
        ", ".join(paths),
        "Exclude what holds no code (exclude), or raise timeout.",
    )
    found, understood = parse_output(completed.output)
    if completed.status not in (EXIT_CLEAN, EXIT_FINDINGS):
        raise MaintenanceError(
            "Kingfisher failed",
            target=", ".join(paths),
            code="exit status %d" % completed.status,
            next_step="It said: %s" % complaint(completed.errors.decode("utf-8", "replace"), found.matches),
        )
    proven = any(match.value == probe for match in found.matches)
    found.matches = [match for match in found.matches if match.value != probe]
    found.files = max(0, found.files - 1)
    if not understood or not proven:
        raise MaintenanceError(
            "Kingfisher did not report a secret that was put before it as a test, or its output was not understood",
            target=program,
            next_step="Its silence means nothing then. This collection is tested with %s 2.14.0: install that version."
            % PACKAGE,
        )
    return found


def parse_output(output: bytes) -> Tuple[Scan, bool]:
    """What Kingfisher printed as JSON lines, and whether all of it was understood. Pure."""
    result, understood = Scan(), True
    for line in output.splitlines():
        if not line.strip():
            continue
        try:
            entry = json.loads(line.decode("utf-8", "surrogateescape"))
            if "finding" in entry:
                found = entry["finding"]
                result.matches.append(
                    Match(
                        str(entry["rule"]["id"]),
                        str(found["path"]),
                        int(found["line"]),
                        str(found["snippet"]),
                        int(found.get("column_start", 0)),
                    )
                )
            elif "audit" in entry:
                summary = entry["audit"].get("summary", {})
                result.incomplete += int(summary.get("scan_partial", 0)) + int(summary.get("scan_failed", 0))
                for repository in entry["audit"].get("repositories", []):
                    stats = repository.get("stats") or {}
                    result.files += int(stats.get("blobs_scanned", 0))
                    result.bytes += int(stats.get("bytes_scanned", 0))
        except (ValueError, KeyError, TypeError, AttributeError):
            understood = False
    return result, understood


def complaint(text: str, matches: Sequence[Match]) -> str:
    """The last line a person can use of what Kingfisher wrote to its standard error, without any secret. Pure."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"error|failed|cannot|denied", line, re.IGNORECASE)]
    answer = (telling or lines or ["nothing"])[0][:300]
    for match in sorted(matches, key=lambda item: -len(item.value)):
        if len(match.value) >= 4:
            answer = answer.replace(match.value, "********")
    return answer


def cache_for(state_dir: str, workspace: str, check: bool) -> str:
    """The directory of compiled rules; in check mode a copy, so that nothing on the host changes."""
    kept = os.path.join(state_dir, CACHE_NAME)
    if not check:
        return private_directory(state_dir, CACHE_NAME)
    copy = os.path.join(workspace, "cache")
    if os.path.isdir(kept):
        shutil.copytree(kept, copy)
    else:
        os.mkdir(copy)
    return copy


def make_workspace(parent: str) -> str:
    """An empty directory, readable by this user only."""
    return tempfile.mkdtemp(prefix="miniecom-scan-", dir=parent)
