# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host to maintain, as operators have it: a container that boots systemd, reached by SSH as a user with sudo.

The shop runs in it natively, as systemd services. The engine is a private one; nothing in the container can reach
another network, so wheels and Debian packages for it lie in directories that are mounted into it.

``python -m tests.support.machine up --directory DIR`` prints how to reach it as JSON; ``down`` removes it without trace.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import json
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.sandbox.apt import CACHE, _apt, locked
from tests.sandbox.engine import Engine
from tests.sandbox.fetch import mongod_binary
from tests.sandbox.image import OPERATOR, PYTHON, SUITE, SYSTEMD_RUN_ARGUMENTS, systemd_image
from tests.sandbox.mongod import Mongod
from tests.sandbox.seed import add_reclaimable, seed_shop
from tests.sandbox.shopfiles import ShopSettings, root_password, write_shop
from tests.sandbox.trouble import make_trouble

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "roles" / "prerequisites" / "files" / "requirements.txt"
TARGET_PYTHON = PYTHON.removeprefix("python")
PACKAGES = ("python3-pymongo", "python3-docker", "python3-jmespath")
MEGABYTES = 60
NAME = "shop"
SHOP = "/opt/miniecom"
MONGO_PORT, API_PORT, FRONTEND_PORT = 27017, 3001, 8080

MONGOD_UNIT = f"""[Unit]
Description=The shop's MongoDB
[Service]
ExecStart=/usr/local/bin/mongod --dbpath /var/lib/mongodb --port {MONGO_PORT} --bind_ip 127.0.0.1 --auth \
 --wiredTigerCacheSizeGB 0.25 --setParameter diagnosticDataCollectionEnabled=false
[Install]
WantedBy=multi-user.target
"""
API_UNIT = f"""[Unit]
Description=The shop's API
After=miniecom-mongod.service
[Service]
WorkingDirectory={SHOP}/backend
Environment=PYTHONPATH=/srv/libraries PYTHONDONTWRITEBYTECODE=1
ExecStart=/usr/bin/python3 {SHOP}/backend/src/server.py
[Install]
WantedBy=multi-user.target
"""
FRONTEND_UNIT = API_UNIT.replace("API", "frontend").replace("backend/src", "frontend").replace("backend", "frontend")


class MachineUnavailable(Exception):
    """The machine cannot be raised here; the text says why."""


@dataclass(frozen=True)
class Access:
    """How to reach the machine."""

    address: str
    port: int
    user: str
    identity_file: str
    docker_host: str


class Machine:
    """One such host, with everything it needs inside ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory).absolute()
        self.engine = Engine(self.directory / "engine")

    def up(self) -> Access:
        """Raise it and return when SSH answers and the shop is healthy."""
        if shutil.which("ssh-keygen") is None or shutil.which("ssh") is None:
            raise MachineUnavailable("no ssh on this machine. Install it with:  sudo apt-get install openssh-client")
        self.directory.mkdir(parents=True, exist_ok=True)
        self.engine.start()
        image = systemd_image(self.engine)
        database = self._database()
        mounts = {
            str(mongod_binary()): "/usr/local/bin/mongod",
            str(wheels()): "/srv/wheels",
        }
        arguments = [part for source, target in mounts.items() for part in ("--volume", f"{source}:{target}:ro")]
        self.engine.docker(
            *("create", "--name", NAME, "--hostname", NAME, "--publish", "127.0.0.1::22"),
            *(*SYSTEMD_RUN_ARGUMENTS, *arguments, image),
        )
        debs = self._debian_packages()
        self._copy_in(database, debs)
        self.engine.docker("start", NAME)
        self._wait()
        # As on any Debian that is in use, apt knows what there is.
        self.engine.docker("exec", NAME, "apt-get", "-qq", "update")
        port = int(self.engine.docker("port", NAME, "22/tcp").split(":")[-1])
        return Access("127.0.0.1", port, OPERATOR, str(self.directory / "id_ed25519"), self.engine.docker_host)

    def down(self) -> None:
        """Remove it with its engine and directory."""
        if self.directory.exists():
            self.engine.stop()
            shutil.rmtree(self.directory)

    # -- what goes into it ------------------------------------------------------------------------------------------

    def _database(self) -> Path:
        """The shop's database, filled on this machine: the directory of its files."""
        directory = self.directory / "mongo"
        self.password = root_password()
        with Mongod(directory, auth=True, root_password=self.password) as server:
            with server.client() as client:
                settings = self._settings()
                seed_shop(client[settings.database], users=100, orders=300)
                add_reclaimable(client[settings.database], MEGABYTES)
            return server.data

    def _settings(self) -> ShopSettings:
        return ShopSettings(
            root=self.directory / "files" / SHOP[1:],
            mongo=f"127.0.0.1:{MONGO_PORT}",
            password=self.password,
            api_port=API_PORT,
            frontend_port=FRONTEND_PORT,
            # The directory has another name here than there.
            extra={"BACKUP_DIR": f"{SHOP}/storage/backups"},
        )

    def _debian_packages(self) -> Path:
        """Packages that the container lacks, as an archive of their own that its apt can use."""
        status = self.directory / "dpkg-status"
        self.engine.docker("cp", f"{NAME}:/var/lib/dpkg/status", str(status))
        digest = hashlib.sha256(status.read_bytes() + " ".join(PACKAGES).encode()).hexdigest()[:12]
        target = CACHE / "debs" / digest
        with locked(CACHE / "debs" / ".lock"):
            if target.is_dir():
                return target
            partial = target.with_name(target.name + ".partial")
            shutil.rmtree(partial, ignore_errors=True)
            (partial / "partial").mkdir(parents=True)
            own = [f"-oDir::State::status={status}", f"-oDir::Cache::archives={partial}", "-oDebug::NoLocking=1"]
            apt = [*_apt(SUITE), *own]
            self._run([*apt, "update"])
            self._run([*apt, "install", "--yes", "--download-only", "--no-install-recommends", *PACKAGES])
            index = []
            for deb in sorted(partial.glob("*.deb")):
                control = self._run(["dpkg-deb", "--field", str(deb)]).strip()
                content = deb.read_bytes()
                facts = f"Filename: ./{deb.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}"
                index.append(f"{control}\n{facts}\n")
            (partial / "Packages").write_text("\n".join(index), encoding="utf-8")
            shutil.rmtree(partial / "partial")
            (partial / "lock").unlink(missing_ok=True)
            partial.rename(target)
        return target

    def _copy_in(self, database: Path, debs: Path) -> None:
        """Send the shop, its units, its database and the operator's key into the container that is not yet started."""
        settings = self._settings()
        write_shop(settings)
        make_trouble(settings.root)
        key = self.directory / "id_ed25519"
        if not key.exists():
            self._run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
        archive_path = self.directory / "files.tar"
        with tarfile.open(archive_path, "w") as archive:
            archive.add(settings.root, SHOP[1:], filter=_as_root)
            archive.add(database, "var/lib/mongodb", filter=_as_root)
            archive.add(debs, "srv/debs", filter=_as_root)
            for package in ("pymongo", "bson", "dns"):
                found = importlib.util.find_spec(package)
                if found and found.submodule_search_locations:
                    archive.add(found.submodule_search_locations[0], f"srv/libraries/{package}", filter=_as_root)
            home = f"home/{OPERATOR}/.ssh"
            _add(archive, home, None, 0o700, 1000)
            _add(archive, f"{home}/authorized_keys", key.with_suffix(".pub").read_bytes(), 0o600, 1000)
            _add(archive, "etc/apt/sources.list", b"deb [trusted=yes] file:/srv/debs ./\n")
            units = "etc/systemd/system"
            for name, text in (("mongod", MONGOD_UNIT), ("api", API_UNIT), ("frontend", FRONTEND_UNIT)):
                _add(archive, f"{units}/miniecom-{name}.service", text.encode())
                _link(
                    archive, f"{units}/multi-user.target.wants/miniecom-{name}.service", f"../miniecom-{name}.service"
                )
        with archive_path.open("rb") as handle:
            self.engine.docker("cp", "--archive", "-", f"{NAME}:/", stdin=handle)
        archive_path.unlink()

    # -- waiting ----------------------------------------------------------------------------------------------------

    def _wait(self, seconds: float = 90) -> None:
        probe = (
            "import json, socket, urllib.request as u; "
            f"assert json.load(u.urlopen('http://127.0.0.1:{API_PORT}/api/health'))['mongoConnected']; "
            "socket.create_connection(('127.0.0.1', 22)).close()"
        )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                self.engine.docker("exec", NAME, "python3", "-c", probe)
                return
            except Exception as error:
                last = error
                time.sleep(0.3)
        journal = self.engine.docker("exec", NAME, "journalctl", "--no-pager", "-n", "60", check=False)
        raise MachineUnavailable(f"the shop in the container is not healthy after {seconds:.0f} s: {last}\n{journal}")

    @staticmethod
    def _run(command: list[str]) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MachineUnavailable(f"{' '.join(command[:3])}: {(done.stderr or done.stdout).strip()[-800:]}")
        return done.stdout


def wheels() -> Path:
    """What role prerequisites installs, as wheels for the container's Python."""
    text = REQUIREMENTS.read_text(encoding="utf-8")
    target = CACHE / "wheels" / hashlib.sha256(f"{TARGET_PYTHON}\n{text}".encode()).hexdigest()[:12]
    with locked(CACHE / "wheels" / ".lock"):
        if target.is_dir():
            return target
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "download", "-qq", "--no-input", "--only-binary=:all:"]
        command += ["--python-version", TARGET_PYTHON, "--dest", str(partial), "--requirement", str(REQUIREMENTS)]
        Machine._run(command)
        partial.rename(target)
    return target


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if "__pycache__" in entry.name or entry.name.endswith("mongod.lock"):
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def _add(archive: tarfile.TarFile, name: str, content: bytes | None, mode: int = 0o644, owner: int = 0) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.uid, entry.gid, entry.mtime = mode, owner, owner, int(time.time())
    if content is None:
        entry.type = tarfile.DIRTYPE
        archive.addfile(entry)
    else:
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))


def _link(archive: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    archive.addfile(entry)


def main() -> int:
    parser = argparse.ArgumentParser(description="Raise or remove a host with a shop, for tests.")
    parser.add_argument("command", choices=("up", "down"))
    parser.add_argument("--directory", type=Path, required=True)
    options = parser.parse_args()
    machine = Machine(options.directory)
    if options.command == "down":
        machine.down()
        return 0
    try:
        print(json.dumps(asdict(machine.up())))
    except BaseException:
        machine.down()
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
