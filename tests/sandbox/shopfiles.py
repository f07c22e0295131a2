# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shop's directory as it lies on a host: its files, and an ``.env`` as people write them."""

from __future__ import annotations

import os
import pwd
import random
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

STANDIN = Path(__file__).resolve().parent / "standin"
DATABASE = "handmade_harmony"
ROOT_USER = "root"

# The shop's scripts. None is executable in its repository. Those of HABITS do what the shop's own do, the others nothing.
SCRIPTS = (
    "backup disk_alert enter_maintenance exit_maintenance healthcheck logs_collect monitor_services restore "
    "rotate_backups run_maintenance_tasks sec_audit test_backup"
).split()

_COMMON = """\
#!/usr/bin/env bash
# stands for the shop's own script
set -euo pipefail
SCRIPT_DIR="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
PROJECT_ROOT="${PROJECT_ROOT:-$(cd "$SCRIPT_DIR/.." && pwd)}"
BACKUP_DIR="${BACKUP_DIR:-$PROJECT_ROOT/storage/backups}"
"""
# What is dangerous beside anybody else's maintenance: the backup ends by running the rotation.
HABITS = {
    "backup": _COMMON
    + """\
STAMP="$(date +%Y%m%d_%H%M%S)"
WORK="$BACKUP_DIR/$STAMP"
mkdir -p "$WORK"
cp "$PROJECT_ROOT/.env" "$PROJECT_ROOT/docker-compose.yml" "$WORK/"
cp -r "$PROJECT_ROOT/storage/uploads" "$WORK/uploads"
tar -czf "$WORK.tar.gz" -C "$BACKUP_DIR" "$STAMP"
rm -rf "$WORK"
"$SCRIPT_DIR/rotate_backups.sh" || bash "$SCRIPT_DIR/rotate_backups.sh"
""",
    "rotate_backups": _COMMON
    + """\
RETENTION="${BACKUP_RETENTION_DAYS:-14}"
find "$BACKUP_DIR" -type f -name '*.tar.gz*' -mtime +"$RETENTION" -delete
find "$BACKUP_DIR" -type d -name '20*' -mtime +"$RETENTION" -exec rm -rf {} +
""",
}


# Whom the shop's guides give the folder of its logs to, by distribution.
WEB_SERVERS = ("www-data", "http", "nginx", "apache")


class Owner(NamedTuple):
    """A user and his own group."""

    uid: int
    gid: int


def web_server(directory: Path) -> Owner | None:
    """The user of the machine's web server; None for whoever may give nothing away, or where he could not get there.

    directory: what his files lie in; he must be able to pass through all that is above it.
    """
    if os.geteuid() != 0 or not all(path.stat().st_mode & 0o001 for path in directory.absolute().parents):
        return None
    for name in WEB_SERVERS:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(found.pw_uid, found.pw_gid)
    return None


def let_through(directory: Path, owner: Owner | None) -> None:
    """Close a directory to everybody but its owner, and to the web server, who may pass through it to what is his."""
    directory.chmod(0o700 if owner is None else 0o710)
    if owner is not None:
        os.chown(directory, -1, owner.gid)


def crontab(root: Path | str) -> str:
    """The crontab that comes with the shop: its variable, and the scripts by it."""
    return (
        f"PROJECT_ROOT={root}\n"
        "0 2 * * * $PROJECT_ROOT/scripts/backup.sh >> $PROJECT_ROOT/storage/logs/backups.log 2>&1\n"
        "0 1 * * * $PROJECT_ROOT/scripts/logs_collect.sh >> $PROJECT_ROOT/storage/logs/cron.log 2>&1\n"
        "0 6 * * * $PROJECT_ROOT/scripts/disk_alert.sh >> $PROJECT_ROOT/storage/logs/cron.log 2>&1\n"
        "0 * * * * $PROJECT_ROOT/scripts/monitor_services.sh >> $PROJECT_ROOT/storage/logs/cron.log 2>&1\n"
        "0 3 * * 0 $PROJECT_ROOT/scripts/run_maintenance_tasks.sh >> $PROJECT_ROOT/storage/logs/cron.log 2>&1\n"
        "0 4 * * 1 $PROJECT_ROOT/scripts/sec_audit.sh >> $PROJECT_ROOT/storage/logs/cron.log 2>&1\n"
    )


def root_password() -> str:
    """A random password with the characters that break naive scripts and connection strings.

    It can stand in double quotes: there is no ``$``, no backslash and no double quote in it.
    """
    return f"{secrets.token_hex(6)}@:/?#[]%+&= '<{secrets.token_hex(3)}>é"


@dataclass
class ShopSettings:
    """What the shop's ``.env`` is made from.

    root: the shop's directory.
    mongo: host and port as the API reaches them.
    host: address that API and frontend listen on; empty for all, as the shop itself does.
    api_port, frontend_port: their ports.
    password: of the database's root user.
    former_database: what MONGODB_URI names where compose passes only MONGO_URI to the API, as the shop's own file does: a database
        that was given up, and that nothing but this line still speaks of. Empty: the API reads .env itself, and one is enough.
    extra: further assignments, or other values for those below.
    """

    root: Path
    mongo: str
    password: str
    api_port: int = 3001
    frontend_port: int = 8080
    host: str = ""
    database: str = DATABASE
    former_database: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

    def uri_of(self, database: str) -> str:
        login = f"{ROOT_USER}:{quote(self.password, safe='')}"
        return f"mongodb://{login}@{self.mongo}/{database}?authSource=admin"

    @property
    def uri(self) -> str:
        return self.uri_of(self.database)

    def uri_lines(self) -> list[str]:
        """MONGODB_URI wins in the application, whatever stands in the other and in whichever order."""
        if self.former_database:
            return [f"MONGO_URI='{self.uri}'", f"export MONGODB_URI='{self.uri_of(self.former_database)}'\r"]
        return [f"MONGO_URI=mongodb://{self.mongo}/ecommerce", f"export MONGODB_URI='{self.uri}'\r"]


def env_text(settings: ShopSettings) -> str:
    """The shop's ``.env``, with all that its syntax allows: quotes, spaces, ``#``, apostrophes, ``export``, CRLF,
    and keys that occur twice, of which the last wins."""
    jwt, passphrase, smtp = secrets.token_hex(32), secrets.token_hex(12), secrets.token_urlsafe(12)
    lines = [
        "# Handmade Harmony: production settings",
        "NODE_ENV=production",
        "PORT=5000  # the example's; see below",
        'SHOP_NAME="Handmade Harmony #1 shop"',
        "SHOP_MOTTO=Gifts that aren't made by machines",
        "SHOP_TAGLINE='Made with \"love\" # and clay'",
        "ALERT_EMAIL=Ops Team <ops@example.org>",
        "export CURRENCY=INR\r",
        "EMPTY=",
        "  SPACED =  value with spaces   # and a comment",
        "WHITELIST=*",
        "",
        "# database",
        "MONGO_ROOT_USER=admin",
        "MONGO_ROOT_PASSWORD=changeme",
        f"MONGO_ROOT_USER={ROOT_USER}",
        f'MONGO_ROOT_PASSWORD="{settings.password}"',
        *settings.uri_lines(),
        "",
        f"JWT_SECRET={jwt}",
        "SMTP_HOST=127.0.0.1\r",
        "SMTP_PORT=25",
        "SMTP_USER=shop@example.org",
        f'SMTP_PASS="{smtp} # not a comment"',
        "",
        "# maintenance",
        f'BACKUP_DIR="{settings.root}/storage/backups"',
        "ENCRYPT_BACKUP=false",
        f"BACKUP_PASSPHRASE='{passphrase} it is'",
        "COMPRESS_BACKUP=true",
        "BACKUP_RETENTION_DAYS=30",
        "BACKUP_RETENTION_DAYS=14",
        "BACKUP_RETENTION_WEEKS=12",
        "BACKUP_RETENTION_MONTHS=12",
        # The shop's are 80 and 90; a workstation's disk may well be fuller than a server's should be.
        "DISK_WARN_PCT=96",
        "DISK_CRITICAL_PCT=99",
        "LOG_RETENTION_DAYS=30",
        "MAX_LOG_SIZE=100M",
        "MAX_LOG_SIZE=2M\r",
        "MAINTENANCE_MODE=false",
        "UPDATE_IMAGES=false",
        "",
        f"PORT={settings.api_port}",
        f"FRONTEND_PORT={settings.frontend_port}",
    ]
    if settings.host:
        lines.append(f"HOST={settings.host}")
    lines += [f'{key}="{value}"' for key, value in settings.extra.items()]
    return "\n".join(lines) + "\n"


def write_shop(
    settings: ShopSettings, compose_files: Mapping[str, str] | None = None, logs_owner: Owner | None = None
) -> None:
    """Write the shop's directory in good order: what is wrong with it comes from trouble.py.

    compose_files: file name -> text, instead of the shop's own compose files (for a shop that really runs from them).
    logs_owner: whom the folder of its logs is given to, as the shop's guides do; it stays the caller's otherwise.
    """
    root = settings.root
    shutil.copytree(STANDIN / "shop", root, dirs_exist_ok=True)
    for directory in ("backend/src", "backend/uploads/products"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    for directory in ("storage/logs", "storage/backups", "storage/uploads", "scripts"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(STANDIN / "api.py", root / "backend/src/server.py")
    shutil.copyfile(STANDIN / "frontend.py", root / "frontend/server.py")
    _write_compose(root, compose_files)
    example = "".join(
        f"{line}\n" for line in ("PORT=5000", "MONGODB_URI=mongodb://mongo:27017/miniecom", "JWT_SECRET=")
    )
    (root / ".env.example").write_text(example * 2, encoding="utf-8")
    for name in SCRIPTS:
        text = f'#!/usr/bin/env bash\n# stands for the shop\'s own script\necho "{name}: nothing to do in a sandbox"\n'
        (root / "scripts" / f"{name}.sh").write_text(HABITS.get(name, text), encoding="utf-8")
    # As it comes. A sandbox has it active as well, in a directory of its own beside the machine's crontabs.
    (root / "scripts" / "crontab.example").write_text(crontab("/opt/miniecom"), encoding="utf-8")
    extra = settings.extra
    write_application_files(root / "backend", extra.get("UPLOAD_DIR", "uploads"), extra.get("STORAGE_PATH", "storage"))
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    # The shop's guides open it to a group, so that its user and those of the scripts can write there.
    (root / "storage/logs").chmod(0o775)
    if logs_owner is not None:
        os.chown(root / "storage/logs", *logs_owner)
    descriptor = os.open(root / ".env", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as handle:
        handle.write(env_text(settings))


def _write_compose(root: Path, files: Mapping[str, str] | None) -> None:
    if files is None:
        base = (root / "docker-compose.yml").read_text(encoding="utf-8")
        files = {}
        for variant in ("prod", "dev"):
            text = base.replace("mongo_data", f"mongo_data_{variant}").replace(
                "mongo_config", f"mongo_config_{variant}"
            )
            for name in ("mongo", "api", "frontend", "worker", "nginx", "mongo_express"):
                text = text.replace(
                    f"container_name: miniecom_{name}\n", f"container_name: miniecom_{name}_{variant}\n"
                )
            files[f"docker-compose.{variant}.yml"] = text
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")


# How many images, and invoices and labels each, the shop has; documents name them.
IMAGES, PAGES = 24, 15


def write_application_files(
    directory: Path, uploads: str = "uploads", storage: str = "storage", rng_seed: int = 1
) -> None:
    """What customers and staff have uploaded and the API has written, from the API's working directory.

    uploads: where its UPLOAD_DIR puts what is uploaded.
    storage: where its STORAGE_PATH puts invoices and labels.
    """
    rng = random.Random(rng_seed)
    products = directory / uploads / "products"
    for kind in (f"{uploads}/products", f"{storage}/invoices", f"{storage}/labels"):
        (directory / kind).mkdir(parents=True, exist_ok=True)
    for number in range(IMAGES):
        image = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + rng.randbytes(rng.randrange(4_000, 40_000)) + b"\xff\xd9"
        (products / f"bowl-{number}.jpg").write_bytes(image)
    # A name as a customer's camera and language make them.
    (products / "Schüssel (1) it's new.jpg").write_bytes(b"\xff\xd8\xff\xe0" + rng.randbytes(5_000))
    for kind, prefix in (("invoices", "INV"), ("labels", "LBL")):
        for number in range(PAGES):
            page = b"%PDF-1.4\n" + rng.randbytes(2_000).hex().encode() + b"\n%%EOF\n"
            (directory / storage / kind / f"{prefix}-{number:06d}.pdf").write_bytes(page)
