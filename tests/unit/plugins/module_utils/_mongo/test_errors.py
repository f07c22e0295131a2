# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import bson
import pytest
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import errors


def test_error_text_quotes_no_command_and_no_document():
    texts = (
        'not authorized on shop to execute command { delete: "orders", deletes: [ { q: { mail: "anna" } } ] }',
        'E11000 duplicate key error collection: shop.users index: mail_1 dup key: { mail: "anna" }',
    )
    for text in texts:
        error = errors.translate(OperationFailure(text, 13, {"errmsg": text, "code": 13}), "cannot", "shop.orders")
        assert "anna" not in str(error) and "shop" in str(error)


@pytest.mark.parametrize("kind", [dict, lambda answer: RawBSONDocument(bson.encode(answer))])
def test_the_server_s_code_has_its_name_however_the_answer_was_read(kind):
    answer = {"ok": 0.0, "errmsg": "in few words", "code": 246, "codeName": "SnapshotUnavailable"}
    error = OperationFailure("in few words, full error: {...}", 246, kind(answer))
    assert errors.error_code(error) == "246 SnapshotUnavailable"
    assert errors.error_text(error) == "in few words"


def test_who_refuses_a_connection_is_named_once():
    text = (
        "127.0.0.1:26151: [Errno 111] Connection refused (configured timeouts: socketTimeoutMS: 20000.0ms), Timeout: 5s"
    )
    error = ServerSelectionTimeoutError(text)
    said = str(errors.translate(error, "cannot restore documents", "shop.photos"))
    assert said.startswith("cannot restore documents: connection refused by 127.0.0.1:26151: shop.photos. Nothing ")
    said = str(errors.translate(error, "cannot connect to MongoDB", "127.0.0.1:26151"))
    assert said.startswith("cannot connect to MongoDB: connection refused: 127.0.0.1:26151. Nothing ")
