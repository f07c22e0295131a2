# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a scan for secrets that is on its way to findings. All that decides what is found in a file is imported from here: see `scan_memory`."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from .._core.finding import Finding
from .kingfisher import Scanning
from .kingfisher_output import Scan, understood
from .secret_matches import Match, suspicious, to_secret_findings
from .secret_places import located


def read_findings(scanning: Scanning, roots: Sequence[str], exclude: Sequence[str]) -> Tuple[Scan, List[Finding]]:
    """Wait for a scan: what it came to, and what it found.

    Raises:
        MaintenanceError: it failed, took too long, or printed something else than expected.
    """
    scan = understood(scanning)
    return scan, findings_in(scan.matches, roots, exclude)


def findings_in(matches: Sequence[Match], roots: Sequence[str], exclude: Sequence[str]) -> List[Finding]:
    """What of a scanner's matches is a finding, each with its places in the file."""
    return to_secret_findings(located(suspicious(matches)), roots, exclude)
