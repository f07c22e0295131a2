# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looking for secrets in files: what secret_scan does."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator, List, Sequence

from .._core.call import Call
from .._core.errors import MaintenanceError, from_os_error
from .._core.units import parse_duration
from .._core.walker import outermost
from . import kingfisher
from .finding_arguments import finding_policy

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
]


def scan_secrets(call: Call) -> Report:
    """Scan the paths of the options and conclude the audit."""
    policy, timeout = finding_policy(call.params), parse_duration(call.params["timeout"])
    roots = _readable(call.params["paths"])
    exclude = ALWAYS_EXCLUDED + call.params["exclude"]
    with _scanning(call, roots, exclude, timeout) as scanning:
        # Only now: on a target modules are compiled anew for each call, and Kingfisher has work for another processor.
        from .secret_conclusion import conclude_scan

        return conclude_scan(call, policy, roots, exclude, scanning)


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
def _scanning(call: Call, roots: List[str], exclude: List[str], timeout: float) -> Iterator[kingfisher.Scanning]:
    program = kingfisher.find_kingfisher(call.params["kingfisher"])
    workspace = kingfisher.make_workspace(call.tmpdir)
    try:
        cache = kingfisher.cache_for(call.run.state_dir, workspace, call.check)
        with kingfisher.scanning_paths(program, roots, [*exclude, ".env"], cache, workspace, timeout) as scanning:
            yield scanning
    except OSError as error:
        raise from_os_error(
            "cannot prepare the scan",
            error,
            next_step="Check that state_dir and the temporary directory are writable and have space.",
        ) from error
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
