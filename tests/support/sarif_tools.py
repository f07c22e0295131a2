# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others have made to read SARIF logs: the standard's schema and a viewer, fetched once into .cache.

The schema is that of OASIS, from a package of the npm registry. The viewer is Microsoft's sarif-tools; of what it requires only
that is fetched which its loader and its tables need, without the libraries for drawings and for text documents.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from tests.sandbox.apt import CACHE, locked
from tests.sandbox.fetch import ProgramUnavailable

SCHEMA_PACKAGE = "@microsoft/jest-sarif@1.0.0-beta.0"
SCHEMA_MEMBER = "package/lib/schemas/sarif-2.1.0-rtm.5.json"
SCHEMA_SHA256 = "2d99159ae54a3eea97f81781cff48780548657c35949f4b7f25e99a2ba4de4f8"
VIEWER = {
    "sarif-tools==3.0.5": "682d22559095ca4a210a401e21f0585fdb8015e826c0d160ab3cbadee326952f",
    "jsonpath-ng==1.7.0": "f3d7f9e848cba1b6da28c55b1c26ff915dc9e0b1ba7e752a53d6da8d5cbd00b6",
    "ply==3.11": "096f9b8350b65ebd2fd1346b12452efe5b9607f7482813ffca50c22722a807ce",
}
_PLACE = CACHE / "sarif"
_TABLE = """
import sys
from sarif import loader
from sarif.operations import csv_op
csv_op.generate_csv(loader.load_sarif_files(*sys.argv[2:]), sys.argv[1], False)
"""


def official_schema() -> dict[str, Any]:
    """The schema of SARIF 2.1.0 as OASIS has published it.

    Raises ProgramUnavailable when it cannot be had.
    """
    path = _PLACE / "schema.json"
    with locked(_PLACE / ".lock"):
        if not path.exists():
            _fetch_schema(path)
    return dict(json.loads(path.read_bytes()))


def _fetch_schema(path: Path) -> None:
    if shutil.which("npm") is None:
        raise ProgramUnavailable("there is no npm, which brings the schema of SARIF")
    with tempfile.TemporaryDirectory(dir=_PLACE) as directory:
        run_fetching(["npm", "pack", "--silent", "--cache", f"{directory}/cache", SCHEMA_PACKAGE], directory)
        with tarfile.open(next(Path(directory).glob("*.tgz"))) as archive:
            member = archive.extractfile(SCHEMA_MEMBER)
            content = member.read() if member else b""
    digest = hashlib.sha256(content).hexdigest()
    if digest != SCHEMA_SHA256:
        raise ProgramUnavailable(f"the schema in {SCHEMA_PACKAGE} has the SHA-256 {digest}, not {SCHEMA_SHA256}")
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.rename(path)


def imported(logs: list[Path], directory: Path) -> list[dict[str, str]]:
    """What the viewer shows of these logs: one row for each result, with Tool, Severity, Code, Location and Line.

    logs: files whose names end in ``.sarif``; directory: where its table may be written.

    Raises ProgramUnavailable when the viewer cannot be had, AssertionError when it does not take a log.
    """
    with locked(_PLACE / ".lock"):
        place = _PLACE / "viewer"
        if not place.exists():
            _fetch_viewer(place)
    table = directory / "table.csv"
    command = [sys.executable, "-c", _TABLE, str(table), *(str(path) for path in logs)]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(place)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with table.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def _fetch_viewer(place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=_PLACE) as directory:
        wanted = Path(directory) / "requirements.txt"
        wanted.write_text(
            "".join(f"{name} --hash=sha256:{digest}\n" for name, digest in VIEWER.items()), encoding="ascii"
        )
        target = Path(directory) / "viewer"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary", ":all:", "--require-hashes", "--target", str(target), "-r", str(wanted)]
        run_fetching(command, directory)
        target.rename(place)


def run_fetching(command: list[str], directory: str) -> None:
    """Run what fetches something; ProgramUnavailable when it fails."""
    # pip's cache is part of the checkout, too.
    environment = {"PIP_CACHE_DIR": str(CACHE / "pip"), **os.environ}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ProgramUnavailable(
            f"{command[0]} failed ({done.returncode}): {(done.stdout + done.stderr).strip()[-600:]}"
        )
