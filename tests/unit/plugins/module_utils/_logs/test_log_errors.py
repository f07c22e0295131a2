# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lines are errors, and which say the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._logs import log_errors
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.log_errors import (
    Tally,
    first_kinds,
    generalise,
    message_of,
)

ERRORS = {
    "2026-11-29T03:00:01.123Z [ERROR] payment 4711 failed": "[ERROR] payment # failed",
    "[2026-11-29 03:00:01] ERROR: cannot send mail to anna@example.org": "ERROR: cannot send mail to <address>",
    "2026/11/29 03:00:01 [error] 12#12: *7 connect() failed (111: Connection refused), client: 203.0.113.9": (
        "[error] ###: *# connect() failed (#: Connection refused), client: <ip>"
    ),
    '{"level":50,"time":1764385201000,"msg":"order 65f0c3e0a9b7d1c22f3a4b5c lost"}': "order <id> lost",
    '{"level":"error","message":"timeout after 5000 ms"}': "timeout after # ms",
    '{"severity":"CRITICAL","err":{"message":"no stock"}}': "no stock",
    '{"t":{"$date":"2026-11-29T03:00:01Z"},"s":"E","c":"STORAGE","msg":"WiredTiger error"}': "WiredTiger error",
    '{"level":60}': "an error without a message",
    'level=error msg="disk slow"': 'level=error msg="disk slow"',
    "MongoServerError: E11000 duplicate key": "MongoServerError: E# duplicate key",
    "Error [ERR_HTTP_HEADERS_SENT]: Cannot set headers": "Error [ERR_HTTP_HEADERS_SENT]: Cannot set headers",
    "(node:4711) UnhandledPromiseRejectionWarning: x": "(node:#) UnhandledPromiseRejectionWarning: x",
    "Nov 29 03:00:01 shop api: FATAL out of memory": "shop api: FATAL out of memory",
    "ValueError: bad date": "ValueError: bad date",
}
OTHERS = [
    "",
    "2026-11-29T03:00:01Z [INFO] 0 errors, all is well",
    "error handling enabled",
    "2026-11-29T03:00:01Z INFO GET /errors/ERROR-codes.html 200",
    "[WARN] slow: retry after error",
    '{"level":30,"msg":"recovered from error"}',
    '{"level":"info","message":"ERROR was yesterday"}',
    '{"level":true,"msg":"error"}',
    "    at Object.error (/srv/app/server.js:10:5)",
    '  File "/srv/app.py", line 3, in error',
    "Traceback (most recent call last):",
    "x" * 400 + " ERROR quoted far behind",
    "error_log is /var/log/nginx/error.log",
    "no-ERROR-here",
]


@pytest.mark.parametrize("line", ERRORS)
def test_errors_are_known_and_generalised(line: str) -> None:
    assert log_errors.MAY_BE_ERROR.search(line.encode()), "the quick look must let it through"
    assert message_of(line) == ERRORS[line]


@pytest.mark.parametrize("line", OTHERS)
def test_other_lines_are_none(line: str) -> None:
    assert message_of(line) is None


@pytest.mark.parametrize(
    ("message", "private"),
    [
        ("cannot reach mongodb://shop:geheim@db/miniecom", "geheim"),
        ("login failed, password=hunter-two", "hunter-two"),
        ("Authorization: Bearer-abc rejected", "Bearer-abc"),
        ("session eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig1234 expired", "eyJ"),
        ("guest from 2001:db8::17:1:2 refused", "2001:db8"),
        ("user anna.b+shop@example.co.uk unknown", "anna"),
        ("customer 1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed gone", "9b5d"),
    ],
)
def test_nothing_private_is_kept(message: str, private: str) -> None:
    assert private not in generalise(message)


@given(st.text(max_size=2000))
def test_a_kind_is_short_printable_and_final(message: str) -> None:
    kind = generalise(message)
    assert len(kind) <= log_errors.MESSAGE_WIDTH
    assert kind.isprintable()
    assert not any(letter in "0123456789" for letter in kind)


@given(st.binary(max_size=300))
def test_no_line_is_too_odd(raw: bytes) -> None:
    tally = Tally()
    tally.add(b"ERROR " + raw.replace(b"\n", b""), "/x")
    assert (tally.lines, tally.errors) == (1, 1)


def test_new_kinds_come_first_then_the_most_frequent() -> None:
    tally = Tally()
    for line in [b"ERROR a"] * 3 + [b"ERROR b"] * 5 + [b"ERROR c"] + [b"all is well"]:
        tally.add(line, "/log")
    known = frozenset(log_errors.kind_id(message) for message in ("ERROR a", "ERROR b"))
    assert [(kind["message"], kind["count"], kind["new"]) for kind in tally.kinds(known)] == [
        ("ERROR c", 1, True),
        ("ERROR b", 5, False),
        ("ERROR a", 3, False),
    ]
    assert (tally.lines, tally.errors) == (10, 9)
    for _ in range(2):
        tally.add(b"ERROR d", "/log")
    assert first_kinds(tally.kinds(known)) == "/log: ERROR d (2); /log: ERROR c (1); /log: ERROR b (5)"


def test_kinds_without_number_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_errors, "MAX_KINDS", 3)
    tally = Tally()
    for letter in "abcdefa":
        tally.add(b"ERROR " + letter.encode(), "/log")
    assert len(tally.kinds(frozenset())) == 3
    assert (tally.errors, tally.uncounted) == (7, 3)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([b"ERROR one", b"ERROR two 2", b"fine", b"[error] x"]))))
def test_two_tallies_are_as_good_as_one(lines: list[tuple[bool, bytes]]) -> None:
    whole, parts = Tally(), (Tally(), Tally())
    for second, line in lines:
        whole.add(line, "api")
        parts[second].add(line, "api")
    parts[0].merge(parts[1])
    assert parts[0].kinds(frozenset()) == whole.kinds(frozenset())
    assert (parts[0].lines, parts[0].errors) == (whole.lines, whole.errors)
