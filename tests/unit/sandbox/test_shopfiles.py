# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import stat
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.dotenv import parse
from tests.sandbox.shopfiles import Owner, ShopSettings, env_text, let_through, root_password, web_server, write_shop
from tests.sandbox.standin.api import read_env

# What a password may hold and still stand in double quotes.
PASSWORDS = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters='"\\$\x7f\x85\xa0'), min_size=8
)


def shop(root: Path, password: str) -> ShopSettings:
    return ShopSettings(root, "127.0.0.1:27999", password, api_port=3210, frontend_port=3211, host="127.0.0.1")


def test_password_breaks_naive_readers() -> None:
    password = root_password()
    assert password != root_password()
    assert set("@:/?#[]%+&= '<>") <= set(password)
    assert not set('"\\$') & set(password)


@settings(max_examples=50)
@given(password=PASSWORDS)
def test_any_password_reaches_the_connection_string(password: str) -> None:
    made = shop(Path("/opt/miniecom"), password)
    values = parse(env_text(made))
    assert values["MONGODB_URI"] == made.uri
    assert unquote(urlsplit(values["MONGODB_URI"]).password or "") == password
    assert values["MONGO_ROOT_PASSWORD"] == password


def test_stand_in_reads_env_as_the_collection_does(tmp_path: Path) -> None:
    write_shop(shop(tmp_path / "miniecom", root_password()))
    path = tmp_path / "miniecom/.env"
    text = path.read_bytes().decode()
    assert read_env(str(path)) == parse(text)
    # All that the syntax allows is there.
    assert "\r\n" in text
    assert "export " in text
    assert text.count("\nPORT=") == 2
    values = parse(text)
    assert values["PORT"] == "3210"
    assert values["SHOP_NAME"] == "Handmade Harmony #1 shop"
    assert values["SHOP_MOTTO"] == "Gifts that aren't made by machines"
    assert values["ALERT_EMAIL"] == "Ops Team <ops@example.org>"
    assert values["CURRENCY"] == "INR"
    assert "ecommerce" in values["MONGO_URI"]  # the other address, which does not win


def test_directory_is_in_good_order_before_trouble(tmp_path: Path) -> None:
    root = tmp_path / "miniecom"
    write_shop(shop(root, root_password()))
    assert stat.S_IMODE((root / ".env").stat().st_mode) == 0o600
    for path in root.rglob("*"):
        assert not path.stat().st_mode & 0o002, path
    for name in ("docker-compose.yml", "docker-compose.prod.yml", "backend/package-lock.json", "nginx/default.conf"):
        assert (root / name).is_file(), name
    assert "mongo_data_prod" in (root / "docker-compose.prod.yml").read_text()
    scripts = list((root / "scripts").glob("*.sh"))
    assert scripts
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o644 for path in scripts)


def test_other_compose_files(tmp_path: Path) -> None:
    root = tmp_path / "miniecom"
    write_shop(shop(root, "x" * 8), {"docker-compose.yml": "services: {}\n"})
    assert (root / "docker-compose.yml").read_text() == "services: {}\n"
    assert not (root / "docker-compose.prod.yml").exists()


def test_the_directory_of_the_logs_is_the_web_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[Path, int, int]] = []
    monkeypatch.setattr("os.chown", lambda path, uid, gid: given.append((Path(path), uid, gid)))
    write_shop(shop(tmp_path / "miniecom", "x" * 8), logs_owner=Owner(33, 44))
    logs = tmp_path / "miniecom/storage/logs"
    assert given == [(logs, 33, 44)]
    assert stat.S_IMODE(logs.stat().st_mode) == 0o775
    let_through(tmp_path, Owner(33, 44))
    assert given[1:] == [(tmp_path, -1, 44)]
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o710
    let_through(tmp_path, None)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_nothing_is_given_to_whom_cannot_get_there(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    assert web_server(tmp_path / "closed" / "native") is None


@pytest.mark.parametrize("kind", ["uploads/products", "storage/invoices", "storage/labels"])
def test_application_files(tmp_path: Path, kind: str) -> None:
    write_shop(shop(tmp_path, "x" * 8))
    assert len(list((tmp_path / "backend" / kind).iterdir())) >= 15
