# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema of CycloneDX 1.5 as OWASP's own library brings it, fetched once into .cache."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import jsonschema  # type: ignore[import-untyped]
from referencing import Registry, Resource

from tests.sandbox.apt import CACHE, locked
from tests.support.sarif_tools import run_fetching

PACKAGE = "cyclonedx-python-lib==11.12.0"
SHA256 = "0e807521a921a5c3cb8ce1153f8a61d29eedfe76a46aac2796b7c6b573391a54"
_PLACE = CACHE / "cyclonedx"
_BOM, *_OTHERS = ("bom-1.5", "spdx", "jsf-0.82")


def schema_validator() -> Any:
    """A validator for documents of CycloneDX 1.5.

    Raises ProgramUnavailable when the schema cannot be had.
    """
    with locked(_PLACE / ".lock"):
        if not (_PLACE / "schemas").exists():
            _fetch(_PLACE / "schemas")
    schemas = {name: json.loads((_PLACE / "schemas" / f"{name}.json").read_bytes()) for name in (_BOM, *_OTHERS)}
    registry = Registry().with_resources(
        (f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json", Resource.from_contents(schemas[name]))
        for name in _OTHERS
    )
    return jsonschema.Draft7Validator(schemas[_BOM], registry=registry, format_checker=jsonschema.FormatChecker())


def _fetch(place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=_PLACE) as directory:
        wanted = Path(directory) / "requirements.txt"
        wanted.write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n", encoding="ascii")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary", ":all:", "--require-hashes", "--dest", directory, "-r", str(wanted)]
        run_fetching(command, directory)
        fresh = Path(directory) / "schemas"
        fresh.mkdir()
        with ZipFile(next(Path(directory).glob("*.whl"))) as wheel:
            for name in (_BOM, *_OTHERS):
                content = wheel.read(f"cyclonedx/schema/_res/{name}.SNAPSHOT.schema.json")
                (fresh / f"{name}.json").write_bytes(content)
        shutil.move(fresh, place)
