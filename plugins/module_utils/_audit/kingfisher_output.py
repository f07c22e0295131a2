# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what Kingfisher prints.

It holds the secrets: it comes through a pipe, is never written anywhere, and only a keyed fingerprint of each secret leaves
the process.
"""

from __future__ import annotations

import json
import re
from dataclasses import field
from typing import List, Sequence, Tuple

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .kingfisher import PACKAGE, Scanning
from .secret_matches import Match

EXIT_CLEAN, EXIT_FINDINGS = 0, 200


@dataclass
class Scan:
    """What a scan came to."""

    matches: List[Match] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    incomplete: int = 0


def understood(scanning: Scanning) -> Scan:
    """Wait for a scan, and take what it found.

    Raises:
        MaintenanceError: it failed, took too long, or printed something else than expected.
    """
    completed = scanning.running.completed()
    found, clear = parse_output(completed.output)
    if completed.status not in (EXIT_CLEAN, EXIT_FINDINGS):
        raise MaintenanceError(
            "Kingfisher failed",
            target=", ".join(scanning.paths),
            code="exit status %d" % completed.status,
            next_step="It said: %s" % complaint(completed.errors.decode("utf-8", "replace"), found.matches),
        )
    proven = any(match.value == scanning.probe for match in found.matches)
    found.matches = [match for match in found.matches if match.value != scanning.probe]
    found.files = max(0, found.files - 1)
    if not clear or not proven:
        raise MaintenanceError(
            "Kingfisher did not report a secret that was put before it as a test, or its output was not understood",
            target=scanning.program,
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
