# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a scan for secrets that is on its way, or one that is remembered, to what secret_scan says.

What does not need a scan's answer is done before it is waited for: what the host remembers, and what the scan does not look at.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, Dict, FrozenSet, Iterator, List, Optional, Sequence, Tuple

from .._core.call import Call
from .._core.clock import format_utc, utc_now
from .._core.errors import from_os_error
from .._core.finding import Finding
from .._core.plan import Kept, Report
from .._core.units import counted
from .audit_state import AuditState, Memory
from .finding_arguments import FindingPolicy
from .kingfisher import MAX_FILE_MEGABYTES, Scanning, kingfisher_workspace
from .report import Coverage, conclude
from .scan_memory import KeptScan, read_kept_scan, scan_mark, without_subjects, write_kept_scan
from .scan_place import kept_scan_path
from .scanned_tree import ScannedTree
from .unscanned import NOT_READ, kept_entries

UNCHANGED = "unchanged files"
# A clock that is set back while files are read makes what changes meanwhile look older than the scan.
_SET_BACK_NS = 1_000_000_000


class SecretAudit:
    """One audit of the secrets below some paths.

    Args:
        roots: absolute paths without links, none of which lies below another.
        exclude: names and globs that are not read.
        program: the Kingfisher program.
        clock: when it began, before any file was looked at: nanoseconds since 1970, and those of the clock that nobody sets.
    """

    def __init__(
        self,
        call: Call,
        policy: FindingPolicy,
        roots: Sequence[str],
        exclude: Sequence[str],
        program: str,
        clock: Tuple[int, int],
    ) -> None:
        self._call, self._policy = call, policy
        self._roots, self._exclude, self._program = roots, exclude, program
        self._clock, self._began = clock, clock[0]
        self._state = AuditState(call.run.state_dir)
        self._path = kept_scan_path(call.run.state_dir, roots, exclude)
        self._tree = ScannedTree(roots, exclude, MAX_FILE_MEGABYTES << 20)
        self._read: Optional[Memory] = None

    def remembered(self, rescan_after: float) -> Optional[KeptScan]:
        """The last whole scan, where it is not older than this and would find the same today; else None, and files have to be read.

        Args:
            rescan_after: seconds.

        Raises:
            MaintenanceError: a path is gone, or what the host remembers of earlier audits cannot be read.
        """
        kept = read_kept_scan(self._path)
        if kept is None or not kept.recent(self._began, rescan_after) or kept.mark != self._mark():
            return None
        with self._looking():
            return kept if not self._tree.differs_from(kept.digests) and self._tree.timed() else None

    def conclude_kept(self, kept: KeptScan) -> Report:
        """Conclude the audit from what is remembered: only what is waived, known or over is judged anew.

        Raises:
            MaintenanceError: what the host remembers of earlier audits cannot be read or written.
        """
        numbers = {"files_scanned": 0, "bytes_scanned": 0}
        return self._conclude(kept.findings, self._named_elsewhere(), numbers, kept)

    def conclude_scan(self, scanning: Scanning) -> Report:
        """Wait for the scan and conclude the audit.

        Raises:
            MaintenanceError: the scan failed, a path is gone, or what the host remembers cannot be read or written.
        """
        memory = self._memory()
        with self._looking():
            self._tree.finish()
        elsewhere = self._named_elsewhere()
        # Kingfisher runs, and what understands its answer has not been loaded yet.
        from .secret_reading import read_findings

        scan, found = read_findings(scanning, self._roots, self._exclude)
        report = self._conclude(found, elsewhere, {"files_scanned": scan.files, "bytes_scanned": scan.bytes})
        warnings = list(report.warnings)
        if scan.incomplete:
            warnings.append(
                "Kingfisher could not scan everything below %s; what it could not read is not in the findings."
                % ", ".join(self._roots)
            )
        elif not self._call.check:
            warnings += self._remember(memory, found, scan.files, scan.bytes)
        return replace(report, warnings=warnings)

    def _remember(self, memory: Memory, found: Sequence[Finding], files: int, size: int) -> List[str]:
        """Keep the result of a whole scan for the next one, where it is certain which state of the files it is of."""
        since, steady_since = self._clock
        set_back = (time.monotonic_ns() - steady_since) - (time.time_ns() - since)
        mark = self._mark()
        if not mark or set_back > _SET_BACK_NS or not self._tree.settled(self._began) or not self._tree.timed():
            return []
        kept = KeptScan(
            mark, self._began, frozenset(self._tree.digests), without_subjects(memory.key, found), files, size
        )
        return write_kept_scan(self._call.run.state_dir, self._path, kept)

    def _conclude(
        self,
        found: Sequence[Finding],
        elsewhere: Optional[FrozenSet[str]],
        numbers: Dict[str, Any],
        kept: Optional[KeptScan] = None,
    ) -> Report:
        memory, policy, call = self._memory(), self._policy, self._call
        coverage = Coverage(self._roots, elsewhere=elsewhere)
        conclusion = conclude("secret_scan", policy, memory, found, utc_now(), coverage, check=call.check)
        if not call.check:
            self._state.write(conclusion.writes)
        report, passed = conclusion.report, self._tree.passed
        entries, moment = kept_entries(passed), format_utc(_moment(kept.began if kept else self._began))
        headline = report.headline
        if kept is not None:
            headline += "; no file has changed since the scan of %s" % moment[:10]
            told = (counted(kept.files, "file"), moment)
            entries.append(Kept(UNCHANGED, "%s not read again: unchanged since the scan of %s" % told))
        return replace(
            report,
            headline=headline,
            summary=dict(
                report.summary,
                files_not_scanned=sum(passed[kind].count for kind in NOT_READ if kind in passed),
                files_unchanged=kept.files if kept else 0,
                **numbers,
            ),
            values=dict(
                report.values, kept=[entry.as_dict() for entry in entries], scanned=kept is None, scan_time=moment
            ),
        )

    def _memory(self) -> Memory:
        if self._read is None:
            self._read = self._state.read("secret_scan", self._policy.sarif)
        return self._read

    def _mark(self) -> str:
        return scan_mark(self._program, self._roots, self._exclude, self._memory().key, self._began)

    @contextmanager
    def _looking(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise from_os_error(
                "cannot look through what is scanned",
                error,
                target=", ".join(self._roots),
                next_step="It was there when the scan began: see what took it away, and scan again.",
            ) from error

    def _named_elsewhere(self) -> Optional[FrozenSet[str]]:
        """What waivers may name that no rule of ours is called; None where none of them needs to be looked up, which is the rule."""
        waivers = (*self._policy.waivers, *self._memory().waivers)
        if not waivers:
            return None
        from .waiver_names import named_nowhere

        if not named_nowhere(waivers):
            return None
        from .kingfisher_rules import provider_rules
        from .waiving import AUDITS, waivable

        left = {audit: self._state.read(audit).remembered for audit in AUDITS}
        names = {rule for remembered in left.values() for rule in remembered.rules or ()}
        marks = {mark for finding in waivable(left) for mark in (finding.id, finding.fingerprint)}
        with kingfisher_workspace(self._call.tmpdir) as workspace:
            return frozenset(names | marks | provider_rules(self._program, workspace))


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds // 1_000_000_000, timezone.utc)
