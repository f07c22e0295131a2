# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looking for secrets in files: what secret_scan does."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator, List, Sequence

from .._core.call import Call
from .._core.errors import MaintenanceError
from .._core.units import parse_duration
from .._core.walker import outermost
from . import kingfisher
from .finding_arguments import finding_policy
from .scan_place import kept_scan_path

if TYPE_CHECKING:
    from .._core.plan import Report

ALWAYS_EXCLUDED = [
    "node_modules",
    ".git",
    "storage/backups",
    "storage/logs",
    "storage/uploads",
    "storage/invoices",
    "storage/labels",
    "backend/uploads",
    # The file of the maintenance mode: our own, and another one each time.
    "storage/.maintenance",
]


def scan_secrets(call: Call) -> Report:
    """Scan the paths of the options, or find that nothing in them has changed, and conclude the audit."""
    policy, timeout = finding_policy(call.params), parse_duration(call.params["timeout"])
    rescan_after = parse_duration(call.params["rescan_after"])
    roots = _readable(call.params["paths"])
    exclude = ALWAYS_EXCLUDED + call.params["exclude"]
    program = kingfisher.find_kingfisher(call.params["kingfisher"])
    clock = (time.time_ns(), time.monotonic_ns())
    if rescan_after and os.path.lexists(kept_scan_path(call.run.state_dir, roots, exclude)):
        # It may have all been read before: then a look at the files costs less than to start Kingfisher.
        from .secret_conclusion import SecretAudit

        audit = SecretAudit(call, policy, roots, exclude, program, clock)
        kept = audit.remembered(rescan_after)
        if kept is not None:
            return audit.conclude_kept(kept)
        with _scanning(call, program, roots, exclude, timeout) as scanning:
            return audit.conclude_scan(scanning)
    with _scanning(call, program, roots, exclude, timeout) as scanning:
        # Only now: on a target modules are compiled anew for each call, and Kingfisher has work for another processor.
        from .secret_conclusion import SecretAudit

        return SecretAudit(call, policy, roots, exclude, program, clock).conclude_scan(scanning)


def _readable(paths: Sequence[str]) -> List[str]:
    roots = outermost(paths)
    if not roots:
        raise MaintenanceError("no paths to scan", next_step="Set paths.")
    for root in roots:
        if not os.access(root, os.R_OK):
            raise MaintenanceError(
                "cannot scan this path",
                target=root,
                code="EACCES" if os.path.lexists(root) else "ENOENT",
                next_step="Correct paths, or run as root (become: true).",
            )
        # Whoever opens a pipe waits for its other end.
        if not (os.path.isdir(root) or os.path.isfile(root)):
            raise MaintenanceError(
                "cannot scan this path: it is neither a file nor a directory", target=root, next_step="Correct paths."
            )
    return roots


@contextmanager
def _scanning(
    call: Call, program: str, roots: List[str], exclude: List[str], timeout: float
) -> Iterator[kingfisher.Scanning]:
    with kingfisher.kingfisher_workspace(call.tmpdir) as workspace:
        cache = kingfisher.cache_for(call.run.state_dir, workspace, call.check)
        with kingfisher.scanning_paths(program, roots, exclude, cache, workspace, timeout) as scanning:
            yield scanning
