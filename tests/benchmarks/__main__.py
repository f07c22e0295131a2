# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.benchmarks [NAME ...]``: run the measurements, all or those named, and print their tables."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as aligned text with Markdown's bars; the columns are those of the first row."""
    if not rows:
        return "(nothing measured)"
    columns = list(rows[0])
    cells = [[_text(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(len(line[place]) for line in [columns, *cells]) for place in range(len(columns))]
    numeric = [all(isinstance(row.get(column), (int, float)) for row in rows) for column in columns]
    lines = [columns, ["-" * width for width in widths], *cells]
    aligned = []
    for line in lines:
        parts = [text.rjust(width) if right else text.ljust(width) for text, width, right in zip(line, widths, numeric)]
        aligned.append("| " + " | ".join(parts) + " |")
    return "\n".join(aligned)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)


def main(names: Sequence[str]) -> int:
    known = sorted(entry.name for entry in pkgutil.iter_modules([str(HERE)]) if not entry.name.startswith("_"))
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"no such measurement: {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or known:
        module = importlib.import_module(f"tests.benchmarks.{name}")
        if not hasattr(module, "main"):
            continue
        print(f"\n## {(module.__doc__ or name).strip().splitlines()[0]}\n", flush=True)
        started = time.monotonic()
        try:
            print(table(module.main()))
        except Exception:
            # One that cannot run here, for want of a program, must not cost the others.
            traceback.print_exc()
            failed.append(name)
        print(f"\n({time.monotonic() - started:.0f} s)", flush=True)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
