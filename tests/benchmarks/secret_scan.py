# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scan for secrets, against Kingfisher alone

The same warm tree and a warm cache of compiled rules; Kingfisher's program with its own rules, then with ours beside them, then the module's
work (scan, sifting, places, what was not read), then the module with its process, all of which read all files each time. Then both where
nothing has changed since the last scan, and last a module that does nothing: so much of every process is Python's and Ansible's own. In the
made-up tree one line in forty is about passwords and tokens, many times more than anywhere else: it shows what matches cost, since Kingfisher
finds out what kind of file each one is that has any. The other tree is real code, that of npm itself.
One after another in each round; told are the medians, the ratio being that of each round. The CPU is that of all processes of a row, where it
can be told apart: a machine that does other things as well changes it less than the time on the clock.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.kingfisher import find_kingfisher
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_rules import RULES_YAML
from tests.support.modules import run_empty_module, run_module
from tests.support.secret_corpus import WORK, cases

FILES, LINES, ROUNDS = 1000, 200, 7
PLAIN = """\
import { useEffect, useMemo, useState } from 'react';
export async function listProducts(req, res, next) {
  const { page = 1, limit = 20, sort = 'newest' } = req.query;
  const products = await Product.find({ active: true }).sort(order).skip((page - 1) * limit).limit(limit);
  if (!products.length) { return res.json({ items: [], total: 0 }); }
    logger.info({ orderId: order.id, total: order.total }, 'order placed');
  const total = items.reduce((sum, item) => sum + item.price * item.quantity, 0);
      <ProductCard key={product.id} product={product} onAdd={() => addToCart(product)} />
  // The discount applies before tax, and never below nothing.
    return res.status(404).json({ message: 'not found' });
  "dependencies": { "express": "^4.21.0", "mongoose": "^8.7.0" },
    image: mongo:7
    restart: unless-stopped
  background-color: var(--surface); border-radius: 8px; padding: 1rem 1.25rem;
for (const [index, line] of lines.entries()) { totals[index] = line.net + line.tax; }
""".splitlines()


def _tree(root: Path) -> int:
    chance = random.Random(20261129)
    wordy = [line for case in cases() if case.half == WORK and not case.secrets for line in case.text.splitlines()]
    endings = ("js", "ts", "tsx", "json", "yml", "conf", "sh", "md")
    size = 0
    for number in range(FILES):
        path = root / f"part{number % 40}" / f"file{number}.{endings[number % len(endings)]}"
        path.parent.mkdir(exist_ok=True)
        lines = [chance.choice(wordy if chance.random() < 1 / 40 else PLAIN) for _ in range(LINES)]
        size += path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return size


def _npm_tree(root: Path) -> int:
    """A copy of npm's own code, with that of its dependencies; 0 where npm is not installed."""
    program = shutil.which("npm")
    if program is None:
        return 0
    source = Path(program).resolve().parents[1]
    for path in source.rglob("*"):
        if path.is_file() and not path.is_symlink():
            # Scanned are directories of other names only.
            target = root / str(path.relative_to(source)).replace("node_modules", "packages")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


def main() -> list[dict[str, Any]]:
    rows = []
    for name, grow in (("made up", _tree), ("npm", _npm_tree)):
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory) / "shop"
            root.mkdir()
            size = grow(root)
            if size:
                rows += _measured(name, Path(directory), root, size)
    return rows


def _measured(tree: str, base: Path, root: Path, size: int) -> list[dict[str, Any]]:
    # The program itself: what pip puts on the PATH starts Python first, which the module does not do a second time.
    program, rules = find_kingfisher(None), base / "rules.yml"
    rules.write_text(RULES_YAML, encoding="utf-8")
    (base / "cache").mkdir()
    environment = os.environ | {"HOME": str(base), "KF_RULE_CACHE_DIR": str(base / "cache")}
    # Compiled code is kept, as on a host that has our environment.
    compiled = {"PYTHONDONTWRITEBYTECODE": None, "PYTHONPYCACHEPREFIX": f"{base}/compiled"}
    files = 0

    def kingfisher(*more: str) -> Callable[[], object]:
        command = [program, "scan", "--quiet", "--format", "jsonl", "--no-validate", "--no-update-check",
                   "--git-history", "none", "--no-extract-archives", *more, "--", str(root)]  # fmt: skip
        # In a session of its own, as the module starts it: a kernel may share out the processors by sessions.
        return lambda: subprocess.run(
            command, stdout=subprocess.DEVNULL, env=environment, check=False, start_new_session=True
        )

    def module(rescan_after: str = "0") -> float:
        nonlocal files
        params = {"paths": [str(root)], "state_dir": f"{base}/state", "fail_on": "never", "rescan_after": rescan_after}
        result = run_module("secret_scan", params, env=compiled)
        assert not result.failed and result.result["scanned"] == (rescan_after == "0"), result.msg
        files = result.result["summary"]["files_scanned"] or files
        assert files >= FILES
        return float(result.result["summary"]["seconds"])

    def unchanged() -> float:
        return module("30d")

    def empty() -> None:
        run_empty_module(compiled)

    alone, ours = kingfisher(), kingfisher("--no-dedup", "--no-ignore", "--rules-path", str(rules))
    for warm in (alone, ours, module, empty):
        warm()
    # One after another in each round, so that what else the machine does meets all of them.
    clock: list[list[float]] = []
    cpu: list[list[float]] = []
    for _ in range(ROUNDS):
        bare, bare_cpu, _none = _spent(alone)
        more, more_cpu, _none = _spent(ours)
        whole, whole_cpu, inside = _spent(module)
        again, again_cpu, looked = _spent(unchanged)
        nothing, nothing_cpu, _none = _spent(empty)
        clock.append([bare, more, inside, whole, looked, again, nothing])
        cpu.append([bare_cpu, more_cpu, 0.0, whole_cpu, 0.0, again_cpu, nothing_cpu])
    load = "%.1f" % os.getloadavg()[0]
    names = (
        "Kingfisher alone",
        "Kingfisher with our rules",
        "secret_scan",
        "with its process",
        "nothing has changed",
        "that with its process",
        "an empty module",
    )
    return [
        {
            "what": f"{what} ({tree})",
            "files": files,
            "megabytes": size / 1e6,
            "seconds": median(row[place] for row in clock),
            "ratio": median(row[place] / row[0] for row in clock),
            "CPU seconds": median(row[place] for row in cpu) or "",
            "CPU ratio": median(row[place] / row[0] for row in cpu) or "",
            "load": load,
        }
        for place, what in enumerate(names)
    ]


def _spent(action: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds on the clock and of processor time that an action takes in processes of its own, and its answer."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    answer = action()
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, answer
