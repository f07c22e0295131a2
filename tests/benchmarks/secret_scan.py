# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scan for secrets, against Kingfisher alone

The same warm tree and a warm cache of compiled rules; Kingfisher with its own rules, then with ours beside them, then the module's
work (scan, sifting, places, what was not read), then the module with its process. One line in forty is about passwords and tokens.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_rules import RULES_YAML
from tests.support.modules import run_module
from tests.support.secret_corpus import WORK, cases

FILES, LINES, ROUNDS = 1000, 200, 3
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


def main() -> list[dict[str, Any]]:
    program = Path(sys.executable).with_name("kingfisher")
    with tempfile.TemporaryDirectory() as name:
        root, rules = Path(name) / "shop", Path(name) / "rules.yml"
        root.mkdir()
        size = _tree(root)
        rules.write_text(RULES_YAML, encoding="utf-8")

        def kingfisher(*more: str) -> Callable[[], object]:
            command = [str(program), "scan", "--quiet", "--format", "jsonl", "--no-validate", "--no-update-check",
                       "--git-history", "none", "--no-extract-archives", *more, "--", str(root)]  # fmt: skip
            cache = os.path.join(name, "cache")
            os.makedirs(cache, exist_ok=True)
            environment = os.environ | {"HOME": name, "KF_RULE_CACHE_DIR": cache}
            return lambda: subprocess.run(command, stdout=subprocess.DEVNULL, env=environment, check=False)

        def module() -> float:
            params = {"paths": [str(root)], "state_dir": f"{name}/state", "fail_on": "never"}
            result = run_module("secret_scan", params)
            assert not result.failed and result.result["summary"]["files_scanned"] == FILES, result.msg
            return float(result.result["summary"]["seconds"])

        alone, ours = kingfisher(), kingfisher("--no-dedup", "--no-ignore", "--rules-path", str(rules))
        for warm in (alone, ours, module):
            warm()
        # One after another in each round, so that what else the machine does meets all of them.
        rounds = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            alone()
            after_alone = time.perf_counter()
            ours()
            after_ours = time.perf_counter()
            inside = module()
            rounds.append((after_alone - started, after_ours - after_alone, inside, time.perf_counter() - after_ours))
    best = [min(column) for column in zip(*rounds)]
    names = ("Kingfisher alone", "Kingfisher with our rules", "secret_scan", "with its process")
    return [
        {"what": what, "files": FILES, "megabytes": size / 1e6, "seconds": seconds, "ratio": seconds / best[0]}
        for what, seconds in zip(names, best)
    ]
