# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup without the files that its database names says so, and is not taken for one that restores the shop."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.catalogue import read_sidecar
from tests.integration.test_mongo_backup import archives, ok
from tests.sandbox.mongod import Mongod
from tests.support.modules import ModuleResult, run_module
from tests.unit.plugins.filter.test_assessment import lines_of

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "uploads": ("products", {"images": [{"filename": "17_ab.jpg", "url": "http://shop:3001/uploads/17_ab.jpg"}]}),
    "invoices": ("invoices", {"pdfPath": "storage/invoices/INV-1.pdf"}),
    "labels": ("shipments", {"labelFilename": "AWB_1.pdf"}),
}
FILES = {"uploads": "17_ab.jpg", "invoices": "INV-1.pdf", "labels": "AWB_1.pdf"}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for name in KINDS:
        (tmp_path / "shop" / name).mkdir(parents=True)
    return tmp_path / "shop"


@pytest.fixture
def params(mongod: Mongod, mongo_database: str, shop: Path, state_dir: Path, tmp_path: Path) -> dict[str, Any]:
    with mongod.client() as client:
        client[mongo_database].users.insert_one({"name": "somebody"})
    return {
        "uri": mongod.uri_for(mongo_database),
        "dest": str(tmp_path / "dest"),
        "state_dir": str(state_dir),
        "min_free": "1MiB",
        "include": [{"name": name, "path": str(shop / name), "optional": True} for name in KINDS],
    }


def insert(mongod: Mongod, database: str, *kinds: str) -> None:
    with mongod.client() as client:
        for kind in kinds:
            collection, document = KINDS[kind]
            client[database][collection].insert_one(dict(document))


def assessed(dest: Path, state_dir: Path) -> str:
    listed = ok(run_module("backup_info", {"path": str(dest), "state_dir": str(state_dir)}))
    return lines_of(backups=listed.result)["restorable backup"]


def said(result: ModuleResult) -> tuple[str, str]:
    """Headline and warnings."""
    return result.result["summary"]["headline"], str(result.result.get("warnings"))


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("uploads", "empty"),
        ("invoices", "directories"),
        ("labels", "another"),
        ("uploads", "link"),
        ("invoices", "missing"),
    ],
)
def test_what_the_database_names_and_the_directory_does_not_hold(
    mongod: Mongod,
    mongo_database: str,
    params: dict[str, Any],
    shop: Path,
    state_dir: Path,
    tmp_path: Path,
    kind: str,
    state: str,
) -> None:
    insert(mongod, mongo_database, *KINDS)
    for name in KINDS:
        (shop / name / FILES[name]).write_text("content")
    (shop / kind / FILES[kind]).unlink()
    words = "empty, though"
    if state == "directories":
        (shop / kind / "one" / "two").mkdir(parents=True)
    elif state == "another":
        (shop / kind / "README").write_text("put files here")
        words = "holds none of the 1 files that the database names"
    elif state == "link":
        (tmp_path / "elsewhere").write_text("content")
        (shop / kind / FILES[kind]).symlink_to(tmp_path / "elsewhere")
    elif state == "missing":
        (shop / kind).rmdir()
        words = "not found, though"

    would = ok(run_module("mongo_backup", params, check=True))
    made = ok(run_module("mongo_backup", params))
    for result in (would, made):
        headline, warnings = said(result)
        assert f"WARNING: {kind}: {words}" in headline and FILES[kind] in headline
        assert f"{kind} ({shop / kind}): {words}" in warnings and "UPLOAD_DIR" in warnings
        assert set(result.result["summary"]["lacking"]) == {kind}
    (path,) = archives(tmp_path / "dest")
    record = read_sidecar(str(path))
    assert record is not None and dict(record.lacking).keys() == {kind}
    assert made.result["backup"]["lacking"] == dict(record.lacking) == would.result["summary"]["lacking"]
    with tarfile.open(path) as tar:
        handle = tar.extractfile(f"{path.name.split('.')[0]}/manifest.json")
        assert handle is not None
        assert json.load(handle)["lacking"] == dict(record.lacking)
    text = assessed(tmp_path / "dest", state_dir)
    assert text.startswith("NOT PROVEN") and f"{kind}: {words}" in text

    # Another one would be no better; once the files are there, it is.
    again = ok(run_module("mongo_backup", params))
    assert not again.changed and f"WARNING: {kind}" in said(again)[0]
    (shop / kind).mkdir(exist_ok=True)
    (shop / kind / FILES[kind]).unlink(missing_ok=True)
    (shop / kind / FILES[kind]).write_text("content")
    healed = ok(run_module("mongo_backup", params))
    assert healed.changed and "WARNING" not in said(healed)[0] and not healed.result["summary"]["lacking"]
    assert assessed(tmp_path / "dest", state_dir).startswith("yes")


def test_nothing_is_said_where_nothing_is_named(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], state_dir: Path, tmp_path: Path
) -> None:
    with mongod.client() as client:
        shop = client[mongo_database]
        shop.products.insert_one({"images": [{"filename": "x.jpg", "url": "https://cdn.example/x.jpg"}]})
        shop.products.insert_many([{"images": []}, {"images": None}, {}, {"images": ["/images/none.png"]}])
        shop.invoices.insert_one({"pdfPath": None})
        shop.shipments.insert_one({"awb": "1"})
    made = ok(run_module("mongo_backup", params))
    assert "WARNING" not in said(made)[0] and made.result["summary"]["lacking"] == {}
    assert assessed(tmp_path / "dest", state_dir).startswith("yes")


def test_one_of_many_is_enough(mongod: Mongod, mongo_database: str, params: dict[str, Any], shop: Path) -> None:
    """Single images get lost in any shop; the directory is the right one."""
    with mongod.client() as client:
        images = [{"images": [f"/uploads/products/bowl-{number}.jpg"]} for number in range(300)]
        client[mongo_database].products.insert_many(images)
    (shop / "uploads" / "products").mkdir()
    (shop / "uploads" / "products" / "bowl-7.jpg").write_text("image")
    assert ok(run_module("mongo_backup", params)).result["summary"]["lacking"] == {}
    # Behind a link they are not in the archive.
    (shop / "uploads" / "products").rename(shop / "products")
    (shop / "uploads" / "products").symlink_to(shop / "products")
    (shop / "uploads" / "README").write_text("")
    lacking = ok(run_module("mongo_backup", params, check=True)).result["summary"]["lacking"]
    assert "none of the 300 files" in lacking["uploads"]


def test_no_more_names_are_read_than_the_newest(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], shop: Path
) -> None:
    with mongod.client() as client:
        client[mongo_database].shipments.insert_many([{"labelFilename": f"AWB_{n}.pdf"} for n in range(1500)])
    (shop / "labels" / "AWB_0.pdf").write_text("of long ago")
    lacking = ok(run_module("mongo_backup", params, check=True)).result["summary"]["lacking"]
    assert "none of the 1000 files that the database names in its newest documents" in lacking["labels"]
    assert "AWB_1499.pdf" in lacking["labels"]


def test_a_configured_directory_that_is_not_there(
    params: dict[str, Any], shop: Path, state_dir: Path, tmp_path: Path
) -> None:
    """Whether or not anything is named yet."""
    (shop / "uploads").rmdir()
    (shop / "labels").rmdir()
    params["include"][0]["configured_by"] = "UPLOAD_DIR"
    for check in (True, False):
        result = ok(run_module("mongo_backup", params, check=check))
        assert result.result["summary"]["lacking"] == {"uploads": "not found, though UPLOAD_DIR says that it is there"}
        assert result.result["summary"]["missing"] == ["uploads", "labels"]
    assert assessed(tmp_path / "dest", state_dir).startswith("NOT PROVEN")


def test_a_backup_that_lacks_files_does_not_push_out_one_that_has_them(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], shop: Path, tmp_path: Path
) -> None:
    insert(mongod, mongo_database, "uploads")
    (shop / "uploads" / FILES["uploads"]).write_text("image")
    whole = ok(run_module("mongo_backup", params)).result["path"]
    (shop / "uploads" / FILES["uploads"]).rename(shop / "uploads" / "other")
    lacking = ok(run_module("mongo_backup", {**params, "fresh_within": "0"})).result["path"]
    rotation = {"path": params["dest"], "keep_daily": 1, "state_dir": params["state_dir"]}
    planned = ok(run_module("backup_prune", rotation, check=True)).result
    assert {entry["target"] for entry in planned["kept"]} == {whole, lacking}, planned["plan"]


@pytest.mark.usefixtures("mongod_libraries")
def test_a_restore_test_says_what_the_archive_lacks(
    mongod: Mongod, mongo_database: str, params: dict[str, Any], state_dir: Path, tmp_path: Path
) -> None:
    """Also of one whose maker did not look, as the shop's own script does not."""
    insert(mongod, mongo_database, "uploads")
    params["include"] = []
    made = ok(run_module("mongo_backup", params))
    assert made.result["summary"]["lacking"] == {}, "it was not asked for"
    test = {"uri": params["uri"], "src": params["dest"], "state_dir": str(state_dir), "min_free": "1MiB"}
    tested = ok(run_module("mongo_restore", test))
    headline, warnings = said(tested)
    words = "uploads: not in the backup, though the database names files in it (products.images, such as 17_ab.jpg)"
    assert f"WARNING: {words}" in headline and words in warnings and tested.result["summary"]["restored"]
    assert set(tested.result["summary"]["lacking"]) == {"uploads"}
    text = assessed(tmp_path / "dest", state_dir)
    assert text.startswith("NOT PROVEN") and words in text
    # Who does not want uploads in it gets no other backup on their account.
    assert not ok(run_module("mongo_backup", params)).changed
