# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of the sandbox and of the tests, made without a registry and loaded into a private engine.

One Debian root filesystem, built once by mmdebstrap and kept in .cache/images, is the first layer of all of them; what
an image has beyond it is one small layer. Images are loaded as archives rather than built: that takes two seconds,
leaves no build cache, and lets a test say how old an image is.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tests.sandbox.apt import CACHE, PackagesUnavailable, debian_package, locked, mirror
from tests.sandbox.engine import Engine, EngineError, EngineUnavailable
from tests.sandbox.fetch import mongod_binary

IMAGES = CACHE / "images"
# The Debian release of all images, and the minor version of Python 3 that is its own.
RELEASES = {"bookworm": 11, "trixie": 13}
SUITE = os.environ.get("MINIECOM_TEST_RELEASE") or "bookworm"
PYTHON = f"python3.{RELEASES[SUITE]}"

# python3-apt and the rest of the second line are for tests of roles on a host with systemd, sshd, cron and sudo.
PACKAGES = (
    "ca-certificates libcurl4 python3 "
    "cron dbus iproute2 logrotate openssh-server procps python3-apt python3-venv rsync sudo systemd systemd-sysv"
).split()
EXCLUDED = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    "/usr/lib/*/perl/*/CORE/*",
)
# An operator who reaches root by sudo alone, as on the machines of the shop's users.
OPERATOR = "ops"
CUSTOMIZE = (
    f'chroot "$1" useradd --create-home --shell /bin/bash {OPERATOR}',
    f'echo "{OPERATOR} ALL=(ALL) NOPASSWD: ALL" > "$1/etc/sudoers.d/{OPERATOR}"',
    f'chmod 0440 "$1/etc/sudoers.d/{OPERATOR}"',
    # Units that fail or wait without a way out to other networks, and would show the system as degraded.
    'chroot "$1" systemctl mask systemd-timesyncd.service apt-daily.timer apt-daily-upgrade.timer '
    "systemd-networkd-wait-online.service getty.target console-getty.service",
)


@dataclass(frozen=True)
class Layer:
    """One uncompressed tar of an image: a file of the cache, or the bytes themselves."""

    source: Path | bytes = field(repr=False)
    digest: str  # SHA-256 of the tar, in hex

    @property
    def size(self) -> int:
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    def pieces(self) -> Iterator[bytes]:
        if isinstance(self.source, bytes):
            yield self.source
            return
        with self.source.open("rb") as handle:
            while piece := handle.read(1 << 20):
                yield piece


@dataclass(frozen=True)
class Image:
    """An image as it is loaded: its layers and its configuration.

    tags: none makes a dangling image.
    created: when it claims to have been made.
    """

    tags: tuple[str, ...]
    layers: tuple[Layer, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    created: datetime | None = None

    def document(self) -> bytes:
        """The image's configuration; its SHA-256 is the image's id in the classic store."""
        created = (self.created or datetime(2026, 1, 1, tzinfo=timezone.utc)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return json.dumps(
            {
                "architecture": _architecture(),
                "os": "linux",
                "created": created,
                "config": dict(self.config),
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in self.layers]},
                "history": [{"created": created, "created_by": f"layer {layer.digest[:12]}"} for layer in self.layers],
            },
            sort_keys=True,
        ).encode()

    @property
    def id(self) -> str:
        return f"sha256:{hashlib.sha256(self.document()).hexdigest()}"


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


# -- layers ------------------------------------------------------------------------------------------------------------


def _layer(path: Path) -> Layer:
    """A tar file of the cache with its digest, which is kept beside it: hashing 200 MB takes a second of each start."""
    sidecar = path.with_name(path.name + ".sha256")
    if not sidecar.exists():
        with path.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
        # Of its own: two stages may begin with an empty cache at the same moment.
        partial = sidecar.with_name(f"{sidecar.name}.{os.getpid()}.partial")
        partial.write_text(digest, encoding="ascii")
        partial.rename(sidecar)
    return Layer(path, sidecar.read_text(encoding="ascii"))


def root_filesystem() -> Layer:
    """The Debian root filesystem that all images stand on, built once and kept by the recipe that made it.

    Raises EngineUnavailable when this machine cannot build it.
    """
    recipe = json.dumps([SUITE, PACKAGES, EXCLUDED, CUSTOMIZE, _architecture()])
    path = IMAGES / f"debian-{SUITE}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.tar"
    with locked(IMAGES / ".lock"):
        if not path.exists():
            _build(path)
    return _layer(path)


def _build(path: Path) -> None:
    try:
        programs = debian_package(["mmdebstrap"], SUITE)
        archive = mirror()
    except PackagesUnavailable as error:
        raise EngineUnavailable(f"the base image cannot be built: {error}") from error
    if os.geteuid() != 0:
        raise EngineUnavailable("building the base image needs root")
    if shutil.which("perl") is None:
        raise EngineUnavailable("building the base image needs perl: apt-get install perl")
    partial = path.with_name(f".{path.name}.partial.tar")
    work = IMAGES / "work"
    work.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [
            "perl",
            str(programs / "usr/bin/mmdebstrap"),
            "--mode=root",
            "--variant=minbase",
            "--format=tar",
            f"--include={','.join(PACKAGES)}",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED),
            *(f"--customize-hook={command}" for command in CUSTOMIZE),
            SUITE,
            str(partial),
            f"deb {archive} {SUITE} main",
        ],
        env={
            **os.environ,
            "TMPDIR": str(work),
            "PATH": f"{programs / 'usr/bin'}:{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        partial.unlink(missing_ok=True)
        raise EngineUnavailable(f"mmdebstrap failed ({done.returncode}): {done.stdout.strip()[-1500:]}")
    partial.rename(path)


def files_layer(name: str, files: Mapping[str, Path | bytes | str], modes: Mapping[str, int] | None = None) -> Layer:
    """A layer of the given files, kept in the cache by its content.

    files: path inside the image -> a file or directory of this machine, the content itself, or (text) a link's target.
    modes: path inside the image -> permission bits, 0644 otherwise (0755 for programs).
    """
    modes = modes or {}
    entries: list[tuple[str, Path | bytes | str]] = []
    for inside, source in sorted(files.items()):
        if isinstance(source, Path) and source.is_dir():
            for path in sorted(source.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    entries.append((f"{inside}/{path.relative_to(source)}", path))
        else:
            entries.append((inside, source))
    facts = hashlib.sha256()
    for inside, source in entries:
        if not isinstance(source, Path):
            content = source if isinstance(source, bytes) else f"-> {source}".encode()
            facts.update(f"{inside} {modes.get(inside)} ".encode() + content)
        else:
            status = source.stat()
            facts.update(f"{inside} {modes.get(inside)} {status.st_size} {status.st_mtime_ns} {source}\n".encode())
    path = IMAGES / f"{name}-{facts.hexdigest()[:12]}.tar"
    with locked(IMAGES / ".lock"):
        if not path.exists():
            for old in IMAGES.glob(f"{name}-????????????.tar*"):
                old.unlink()
            partial = path.with_name(f".{path.name}.partial")
            with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as archive:
                made: set[str] = set()
                for inside, source in entries:
                    _add(archive, made, inside, source, modes.get(inside))
            partial.rename(path)
    return _layer(path)


def _add(archive: tarfile.TarFile, made: set[str], inside: str, source: Path | bytes | str, mode: int | None) -> None:
    parent = ""
    for part in Path(inside).parts[:-1]:
        parent = f"{parent}/{part}".lstrip("/")
        if parent not in made:
            made.add(parent)
            directory = tarfile.TarInfo(parent)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(directory)
    entry = tarfile.TarInfo(inside.lstrip("/"))
    if isinstance(source, str):
        entry.type, entry.linkname = tarfile.SYMTYPE, source
        archive.addfile(entry)
        return
    entry.mode = mode if mode is not None else 0o644
    if isinstance(source, bytes):
        entry.size = len(source)
        archive.addfile(entry, io.BytesIO(source))
        return
    if mode is None and os.access(source, os.X_OK):
        entry.mode = 0o755
    with source.open("rb") as handle:
        entry.size = os.fstat(handle.fileno()).st_size
        archive.addfile(entry, handle)


# -- loading -----------------------------------------------------------------------------------------------------------


def load(engine: Engine, images: Sequence[Image]) -> None:
    """Load images into an engine, in one archive; those whose tags are all there already are left out."""
    missing = [image for image in images if not image.tags or not all(has_image(engine, tag) for tag in image.tags)]
    if not missing:
        return
    status, answer = engine.request(
        "POST", "/images/load?quiet=1", _archive(missing), {"Content-Type": "application/x-tar"}
    )
    if status != 200 or b'"error"' in answer:
        raise EngineError("loading images", status, answer.decode("utf-8", "replace").strip())


def has_image(engine: Engine, name: str) -> bool:
    return engine.request("GET", f"/images/{name}/json")[0] == 200


def _archive(images: Sequence[Image]) -> Iterator[bytes]:
    """The bytes of a docker-archive, in pieces: the root filesystem is too large to hold in memory."""
    layers = {layer.digest: layer for image in images for layer in image.layers}
    for layer in layers.values():
        yield _header(f"{layer.digest}.tar", layer.size)
        yield from layer.pieces()
        yield b"\0" * (-layer.size % 512)
    manifest = []
    for image in images:
        document = image.document()
        name = f"{image.id.partition(':')[2]}.json"
        manifest.append(
            {
                "Config": name,
                "RepoTags": list(image.tags) or None,
                "Layers": [f"{layer.digest}.tar" for layer in image.layers],
            }
        )
        yield _member(name, document)
    yield _member("manifest.json", json.dumps(manifest).encode())
    yield b"\0" * 1024


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry.tobuf(tarfile.GNU_FORMAT)


def _member(name: str, content: bytes) -> bytes:
    return _header(name, len(content)) + content + b"\0" * (-len(content) % 512)


# -- the images --------------------------------------------------------------------------------------------------------


def _tag(name: str, layers: Sequence[Layer]) -> str:
    return f"{name}:{hashlib.sha256(''.join(layer.digest for layer in layers).encode()).hexdigest()[:12]}"


def base_image(engine: Engine) -> str:
    """Load Debian 12 with Python and return the image's name."""
    layers = (root_filesystem(),)
    name = _tag("miniecom-base", layers)
    load(engine, [Image((name,), layers, {"Cmd": ["/bin/bash"], "Env": [PATH]})])
    return name


def systemd_image(engine: Engine) -> str:
    """Load Debian 12 that boots systemd, with sshd, sudo, cron and logrotate, and return the image's name.

    It is run with SYSTEMD_RUN_ARGUMENTS; the user ``ops`` has sudo without a password.
    """
    layers = (root_filesystem(),)
    name = _tag("miniecom-systemd", layers)
    config = {"Cmd": ["/lib/systemd/systemd"], "StopSignal": "SIGRTMIN+3", "Env": [PATH, "container=docker"]}
    load(engine, [Image((name,), layers, config)])
    return name


PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SYSTEMD_RUN_ARGUMENTS = (
    "--cap-add=SYS_ADMIN --cgroupns=private --tmpfs=/run --tmpfs=/run/lock --tmpfs=/tmp --stop-signal=SIGRTMIN+3"
).split()


def pymongo_layer() -> Layer:
    """The PyMongo of the running interpreter for the image's Python; its compiled part is optional."""
    files: dict[str, Path | bytes | str] = {}
    for package in ("pymongo", "bson", "gridfs", "dns"):
        found = importlib.util.find_spec(package)
        if found is None or not found.submodule_search_locations:
            if package == "gridfs":
                continue
            raise EngineUnavailable(f"the Python package {package} is missing: the API image needs it")
        files[f"usr/local/lib/{PYTHON}/dist-packages/{package}"] = Path(next(iter(found.submodule_search_locations)))
    return files_layer("pymongo", files)


APPLETS = "cat cp dd echo false head httpd ls mkdir rm seq sh sleep sync touch true wget yes".split()


def tiny_layer() -> Layer:
    """A shell and the usual commands, for images that other tests make of it."""
    try:
        busybox = next(debian_package(["busybox-static"], SUITE).rglob("bin/busybox"))
    except PackagesUnavailable as error:
        raise EngineUnavailable(f"the tiny image cannot be made: {error}") from error
    files: dict[str, Path | bytes | str] = {f"bin/{name}": "busybox" for name in APPLETS}
    return files_layer("tiny", {**files, "bin/busybox": busybox, "www/index.html": b"served\n"})


def tiny_image(engine: Engine) -> str:
    """Load an image of two megabytes with a shell and the usual commands, and return its name.

    For tests that need containers rather than Debian: it is there at once, and gone at once.
    """
    layers = (tiny_layer(),)
    name = _tag("miniecom-tiny", layers)
    load(engine, [Image((name,), layers, {"Cmd": ["sh"], "Env": [PATH]})])
    return name


def nginx_image(engine: Engine) -> str:
    """Load an nginx as the official image has it, its log on the container's output, and return the image's name."""
    try:
        nginx = debian_package(["nginx", "nginx-common"], SUITE)
    except PackagesUnavailable as error:
        raise EngineUnavailable(f"the nginx image cannot be made: {error}") from error
    files: dict[str, Path | bytes | str] = {
        "usr/sbin/nginx": nginx / "usr/sbin/nginx",
        "etc/nginx/mime.types": nginx / "etc/nginx/mime.types",
        "etc/nginx/nginx.conf": NGINX_CONF,
        "var/lib/nginx/.keep": b"",
        "usr/share/nginx/html/index.html": b"Handmade Harmony\n",
    }
    layers = (root_filesystem(), files_layer("nginx", files))
    name = _tag("miniecom-nginx", layers)
    load(engine, [Image((name,), layers, {"Cmd": ["nginx", "-g", "daemon off;"], "Env": [PATH]})])
    return name


NGINX_CONF = b"""user www-data;
worker_processes 1;
error_log /dev/stderr notice;
pid /run/nginx.pid;
events { worker_connections 256; }
http {
    include /etc/nginx/mime.types;
    access_log /dev/stdout;
    include /etc/nginx/conf.d/*.conf;
}
"""


def small_image(
    tag: str | None, content: bytes, created: datetime | None = None, labels: Mapping[str, str] | None = None
) -> Image:
    """A tiny image that only stands there to be kept or removed: one layer with one file of the given content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _add(archive, set(), "content", content, None)
    return Image((tag,) if tag else (), (bytes_layer(buffer),), {"Labels": dict(labels or {})}, created)


def bytes_layer(buffer: io.BytesIO) -> Layer:
    return Layer(buffer.getvalue(), hashlib.sha256(buffer.getvalue()).hexdigest())


def program_image(
    files: Mapping[str, Path | bytes | str], config: Mapping[str, Any], modes: Mapping[str, int]
) -> Image:
    """A tiny image with files of its own in a layer that is kept nowhere. Arguments as for files_layer."""
    buffer = io.BytesIO()
    made: set[str] = set()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for inside, source in sorted(files.items()):
            _add(archive, made, inside, source, modes.get(inside))
    return Image((), (tiny_layer(), bytes_layer(buffer)), {"Env": [PATH], **config})


# -- the shop's images -------------------------------------------------------------------------------------------------

STANDIN = Path(__file__).resolve().parent / "standin"

# As the official image does: the root user is made at the first start, before anybody else can connect.
MONGO_ENTRYPOINT = b"""#!/usr/bin/python3
import os, subprocess, sys, time
import pymongo

arguments = sys.argv[1:]
user, password = (os.environ.pop("MONGO_INITDB_ROOT_" + name, "") for name in ("USERNAME", "PASSWORD"))
if arguments[:1] == ["mongod"] and user and password:
    if not os.path.exists("/data/db/storage.bson"):
        first = subprocess.Popen([*arguments, "--bind_ip", "127.0.0.1", "--quiet"], stdout=subprocess.DEVNULL)
        client = pymongo.MongoClient("127.0.0.1", 27017, directConnection=True, serverSelectionTimeoutMS=60000)
        client.admin.command("createUser", user, pwd=password, roles=["root"])
        client.close()
        first.terminate()
        if first.wait(60):
            sys.exit("the first mongod ended with %d" % first.returncode)
    arguments += ["--auth", "--bind_ip_all"]
os.execvp(arguments[0], arguments)
"""


@dataclass(frozen=True)
class ShopImages:
    """Names of the images that the compose file of the shop refers to."""

    base: str
    mongo: str
    api: str
    frontend: str


def shop_images(engine: Engine) -> ShopImages:
    """Load all images of the shop in one go and return their names."""
    debian = root_filesystem()
    pymongo = pymongo_layer()
    mongod = files_layer("mongod", {"usr/bin/mongod": mongod_binary()})
    entrypoint = files_layer(
        "mongo-entrypoint",
        {"usr/local/bin/mongo-entrypoint": MONGO_ENTRYPOINT},
        {"usr/local/bin/mongo-entrypoint": 0o755},
    )
    api = files_layer("api", {"app/src/server.py": STANDIN / "api.py", "app/package.json": b'{"name": "miniecom"}\n'})
    frontend = files_layer("frontend", {"app/server.py": STANDIN / "frontend.py"})
    images: dict[str, tuple[list[Layer], dict[str, Any]]] = {
        "miniecom-base": ([debian], {"Cmd": ["/bin/bash"]}),
        "miniecom-mongo": (
            [debian, pymongo, mongod, entrypoint],
            {
                "Entrypoint": ["mongo-entrypoint"],
                "Cmd": ["mongod", "--dbpath", "/data/db", "--wiredTigerCacheSizeGB", "0.25"],
                "Volumes": {"/data/db": {}, "/data/configdb": {}},
                "ExposedPorts": {"27017/tcp": {}},
            },
        ),
        "miniecom-api": (
            [debian, pymongo, api],
            {"Cmd": ["python3", "src/server.py"], "WorkingDir": "/app", "ExposedPorts": {"3001/tcp": {}}},
        ),
        "miniecom-frontend": (
            [debian, frontend],
            {"Cmd": ["python3", "server.py"], "WorkingDir": "/app", "ExposedPorts": {"80/tcp": {}}},
        ),
    }
    made = {
        name: Image((_tag(name, layers),), tuple(layers), {"Env": [PATH], **config})
        for name, (layers, config) in images.items()
    }
    load(engine, list(made.values()))
    return ShopImages(*(made[f"miniecom-{name}"].tags[0] for name in ("base", "mongo", "api", "frontend")))
