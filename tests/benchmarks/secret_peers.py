# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What secret_scan finds, beside Kingfisher with its own rules alone and CredSweeper

The files are those of tests/corpus, which are ours. CredSweeper brings a model and 420 MB with it, so it is no requirement here: its
figures were measured with 1.19.5 and are marked "recorded", or are measured where CREDSWEEPER names its program, as in a virtual
environment of its own (``pip install credsweeper==1.19.5``). "high" counts harmless files in which something is called high or worse,
which fails a job; Kingfisher alone says nothing of how severe a thing is, so there all of it counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.kingfisher import (
    find_kingfisher,
    scanning_paths,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.kingfisher_output import understood
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_matches import unquoted
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_reading import findings_in
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_rules import PREFIX
from tests.support.secret_corpus import MEASURED, Case, Told, cases, lay_out, score, shop_score, shops

HIGH = ("high", "critical")
# CredSweeper 1.19.5 on the files as they are here: found of 69, high of 32, precision and recall on the measured half.
RECORDED = (40, 0, 0.932, 0.417)


def main() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        small, large = lay_out(base / "shops", shops()), lay_out(base / "lines", _measured())
        rows = []
        for what, scan in (("secret_scan", _ours), ("Kingfisher's own rules", _kingfisher)):
            rows.append(_row(what, small, scan(base, base / "shops"), large, scan(base, base / "lines")))
        program = os.environ.get("CREDSWEEPER")
        if program:
            told = [_credsweeper(program, base, base / name) for name in ("shops", "lines")]
            rows.append(_row("CredSweeper", small, told[0], large, told[1]))
        else:
            rows.append(_numbers("CredSweeper 1.19.5 (recorded)", *RECORDED))
    return rows


def _measured() -> list[Case]:
    return [case for case in cases() if case.half == MEASURED]


def _row(
    what: str, small: dict[str, Case], shop: list[Told], large: dict[str, Case], lines: list[Told]
) -> dict[str, Any]:
    found, high, _words = shop_score(small, shop)
    scores, _words = score(large, [(item.path, item.line, item.value) for item in lines])
    return _numbers(what, found, high, scores[MEASURED].precision, scores[MEASURED].recall)


def _numbers(what: str, found: int, high: int, precision: float, recall: float) -> dict[str, Any]:
    return {"what": what, "found of 69": found, "high of 32": high, "precision": precision, "recall": recall}


def _scan(base: Path, root: Path) -> Any:
    (base / "cache").mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=base) as workspace,
        scanning_paths(find_kingfisher(None), [str(root)], [".env"], f"{base}/cache", workspace, 300) as scanning,
    ):
        return understood(scanning)


def _ours(base: Path, root: Path) -> list[Told]:
    found = findings_in(_scan(base, root).matches, [str(root)], [])
    return [Told(item.target, item.line or 0, item.subject, item.severity in HIGH) for item in found]


def _kingfisher(base: Path, root: Path) -> list[Told]:
    matches = _scan(base, root).matches
    return [
        Told(match.path, match.line, unquoted(match.value), True)
        for match in matches
        if not match.rule.startswith(PREFIX)
    ]


def _credsweeper(program: str, base: Path, root: Path) -> list[Told]:
    report = base / "credsweeper.json"
    subprocess.run([program, "--path", str(root), "--save-json", str(report)], stdout=subprocess.DEVNULL, check=True)
    return list(_credentials(json.loads(report.read_text(encoding="utf-8"))))


def _credentials(report: list[dict[str, Any]]) -> Iterable[Told]:
    for found in report:
        for place in found["line_data_list"]:
            yield Told(place["path"], place["line_num"], place["value"] or "", found["severity"] in HIGH)
