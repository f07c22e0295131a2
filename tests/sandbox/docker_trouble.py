# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What piles up on a Docker host over the months, on a private engine: some of it to clean up, some of it to keep.

Age is real as far as the engine is concerned: images are loaded with the date they claim, and what the engine dates
itself (containers, build cache) is dated back in its own files while it is down. So the shop's own thresholds of
seven days apply, and the sandbox needs none of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

from tests.sandbox.engine import Engine
from tests.sandbox.image import load, small_image

MIB = 1 << 20
# BuildKit keeps times as nanoseconds in JSON: nineteen digits until the year 2286, so a date fits in place.
_BUILDKIT_TIME = re.compile(rb'(cache\.(?:createdAt|lastUsedAt)\{"value":)(\d{19})(\})')


@dataclass
class DockerTrouble:
    """The objects that were made, by name or id; ``keep`` is what no clean-up may touch."""

    old_images: list[str] = field(default_factory=list)
    old_containers: list[str] = field(default_factory=list)
    old_cache_bytes: int = 0
    old_image_bytes: int = 0
    keep_images: list[str] = field(default_factory=list)
    keep_containers: list[str] = field(default_factory=list)
    keep_volumes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def make(engine: Engine, base: str, serial: int = 1, age: timedelta = timedelta(days=40)) -> DockerTrouble:
    """Make old and recent leftovers on an engine; its daemon is restarted once to date the old ones back.

    base: name of an image with a shell, for the containers.
    serial: makes the names and contents of a further round differ from those of earlier ones.
    """
    now = datetime.now(timezone.utc)
    trouble = DockerTrouble()
    old = now - age
    seed = f"{serial}-".encode()

    # Images that an update left without a name, one of yesterday, and one that has a name and is merely unused.
    dangling = [small_image(None, seed + str(number).encode() + os.urandom(4 * MIB), old) for number in range(3)]
    recent = small_image(None, seed + b"recent" + os.urandom(MIB), now - timedelta(days=1))
    unused = small_image(f"legacy-report:{serial}", seed + b"unused" + os.urandom(2 * MIB), old)
    load(engine, [*dangling, recent, unused])
    trouble.old_images = [image.id for image in dangling]
    trouble.old_image_bytes = sum(4 * MIB + len(seed) + 1 for _image in dangling)
    trouble.keep_images = [recent.id, *unused.tags]

    # Build cache: the image of an old build is gone, its cache is not.
    trouble.old_cache_bytes = _build(engine, f"old-build:{serial}", 5 * MIB)
    engine.api("DELETE", f"/images/old-build:{serial}")

    # Containers that somebody ran by hand and forgot, one of them with data in a named volume.
    for name, command, options in (
        (f"old-report-{serial}", f"head -c {6 * MIB} /dev/urandom > /srv/report", {}),
        (f"old-import-{serial}", "true", {"Binds": [f"partner_import_{serial}:/import"]}),
    ):
        _run(engine, name, base, command, options)
        trouble.old_containers.append(name)
    # A stopped container of another project is its owner's business, however old.
    _run(engine, f"blog-web-{serial}", base, "true", labels={"com.docker.compose.project": "blog"})
    trouble.keep_containers.append(f"blog-web-{serial}")

    anonymous = engine.api("POST", "/volumes/create", {})["Name"]
    trouble.keep_volumes = [f"partner_import_{serial}", f"old_uploads_{serial}", anonymous]
    for name, size in zip(trouble.keep_volumes, (MIB, 3 * MIB, 2 * MIB), strict=True):
        engine.api("POST", "/volumes/create", {"Name": name})
        (engine.data_root / "volumes" / name / "_data" / "content").write_bytes(os.urandom(size))

    date_back(engine, [*trouble.old_containers, *trouble.keep_containers], age, since=now)

    _build(engine, f"new-build:{serial}", MIB)
    engine.api("DELETE", f"/images/new-build:{serial}")
    _run(engine, f"new-report-{serial}", base, f"head -c {MIB} /dev/urandom > /srv/report")
    trouble.keep_containers.append(f"new-report-{serial}")
    return trouble


def _run(
    engine: Engine,
    name: str,
    image: str,
    command: str,
    host: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
) -> None:
    payload = {
        "Image": image,
        "Cmd": ["sh", "-c", command],
        "HostConfig": {"NetworkMode": "none", **(host or {})},
        "Labels": dict(labels or {}),
    }
    engine.api("POST", f"/containers/create?name={name}", payload)
    engine.api("POST", f"/containers/{name}/start")
    engine.api("POST", f"/containers/{name}/wait")


def _build(engine: Engine, tag: str, size: int) -> int:
    """Build an image of two layers from nothing with BuildKit; return the bytes of its layers."""
    # Inside the engine's directory: the build context must not be seen by scans of the sandbox's shop.
    with tempfile.TemporaryDirectory(dir=engine.directory) as name:
        context = Path(name)
        (context / "one").write_bytes(os.urandom(size))
        (context / "two").write_bytes(os.urandom(size))
        (context / "Dockerfile").write_text("FROM scratch\nCOPY one /one\nCOPY two /two\n", encoding="ascii")
        engine.docker("build", "--quiet", "--tag", tag, str(context), env={"DOCKER_BUILDKIT": "1"})
    # BuildKit lets go of what a build used a moment after the client has its answer.
    deadline = time.monotonic() + 30
    while any(entry["InUse"] for entry in engine.api("GET", "/system/df?type=build-cache")["BuildCache"] or []):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the build cache of {tag} stays in use")
        time.sleep(0.02)
    return 2 * size


def date_back(engine: Engine, containers: list[str], age: timedelta, since: datetime) -> None:
    """Make containers, and the build cache made since a time, older by ``age``; the daemon is restarted for it."""
    ids = {str(engine.api("GET", f"/containers/{name}/json")["Id"]) for name in containers}
    engine.pause_daemon()
    try:
        for identity in ids:
            path = engine.data_root / "containers" / identity / "config.v2.json"
            document = json.loads(path.read_text(encoding="utf-8"))
            document["Created"] = _earlier(document["Created"], age)
            for key in ("StartedAt", "FinishedAt"):
                document["State"][key] = _earlier(document["State"][key], age)
            _replace(path, json.dumps(document).encode())
        start, shift = (int(seconds) * 1_000_000_000 for seconds in (since.timestamp(), age.total_seconds()))
        for cache in (engine.data_root / "buildkit").rglob("metadata_v2.db"):
            # Same length, in place: bbolt has no checksum over its data pages.
            _replace(cache, _BUILDKIT_TIME.sub(partial(_shift, since=start, by=shift), cache.read_bytes()))
    finally:
        engine.restart()


def _shift(match: re.Match[bytes], since: int, by: int) -> bytes:
    value = int(match[2])
    return match[1] + str(value - by if value >= since else value).encode() + match[3]


def _earlier(stamp: str, age: timedelta) -> str:
    """Docker's RFC 3339 time with nanoseconds, earlier by ``age``; the year 1 stands for never and stays."""
    if stamp.startswith("0001"):
        return stamp
    seconds, _dot, rest = stamp.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(seconds).replace(tzinfo=timezone.utc) - age
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{rest}" if rest else "") + "Z"


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.partial")
    temporary.write_bytes(content)
    shutil.copystat(path, temporary)
    temporary.rename(path)
