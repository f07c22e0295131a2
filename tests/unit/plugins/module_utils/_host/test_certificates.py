# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dates of certificates, read from their encoding."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._host.certificates import (
    FILE,
    Certificate,
    as_served,
    certificates_in,
    in_file,
    of_ders,
    read_validity,
)
from tests.sandbox.mongod import free_port
from tests.support.certificates import make_dated

NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
DAY = 86400.0
moments = st.datetimes(datetime(1950, 1, 1), datetime(2199, 12, 31)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=timezone.utc)
)


def element(tag: int, content: bytes) -> bytes:
    length = len(content)
    head = bytes([length]) if length < 128 else bytes([0x82]) + length.to_bytes(2, "big")
    return bytes([tag]) + head + content


def encoded(moment: datetime) -> bytes:
    # As RFC 5280 has it: two digits for the year until 2049.
    if moment.year < 2050:
        return element(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())
    return element(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())


def certificate(begins: datetime, ends: datetime, version: bool = True, issuer: bytes = b"CN" * 100) -> bytes:
    parts = [
        element(0xA0, element(2, b"\x02")) if version else b"",
        element(2, b"\x01\x02"),
        element(0x30, b"algorithm"),
        element(0x30, issuer),
        element(0x30, encoded(begins) + encoded(ends)),
        element(0x30, b"subject"),
    ]
    return element(0x30, element(0x30, b"".join(parts)) + element(0x30, b"") + element(3, b"signature"))


@given(moments, moments, st.booleans(), st.binary(max_size=300))
def test_what_was_written_is_read(begins: datetime, ends: datetime, version: bool, issuer: bytes) -> None:
    assert read_validity(certificate(begins, ends, version, issuer)) == (begins, ends)


@given(st.binary(max_size=200), st.integers(0, 400))
def test_what_is_no_certificate_is_said_to_be_none(junk: bytes, cut: int) -> None:
    whole = certificate(NOW, NOW)
    for data in (junk, whole[: min(cut, len(whole) - 1)]):
        found = of_ders("x", FILE, [data])
        assert found.problem and found.ends is None


def test_of_a_chain_the_first_end_counts() -> None:
    leaf, between = certificate(NOW, NOW + timedelta(90)), certificate(NOW, NOW + timedelta(20))
    pem = b"".join(
        b"-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n" % base64.encodebytes(der)
        for der in (leaf, between)
    )
    assert certificates_in(pem) == [leaf, between] and certificates_in(leaf) == [leaf]
    assert of_ders("chain", FILE, certificates_in(pem)).ends == NOW + timedelta(20)
    assert certificates_in(b"-----BEGIN PRIVATE KEY-----\nx") == []


@pytest.mark.parametrize(
    ("lives", "left", "told"),
    [
        (90, 15, ""),
        (90, 13, "ends in 13 d"),
        (90, 0, "has ended"),
        (90, -400, "has ended"),
        # Those of a few days are renewed late: a quarter of their time.
        (6, 2, ""),
        (6, 1, "ends in 1 d"),
    ],
)
def test_when_an_end_is_told(lives: int, left: int, told: str) -> None:
    ends = NOW + timedelta(left)
    text = Certificate("shop:443", FILE, ends - timedelta(lives), ends).warning(NOW, 14 * DAY)
    assert told in text and bool(told) == bool(text)


def test_one_of_tomorrow_and_one_that_cannot_be_read() -> None:
    early = Certificate("shop:443", FILE, NOW + timedelta(1), NOW + timedelta(90))
    assert "is not valid before 2026-11-30" in early.warning(NOW, DAY)
    assert "cannot be read: ENOENT" in in_file("/nowhere/shop.pem").warning(NOW, DAY)
    assert early.as_dict(NOW)["days_left"] == 90


def test_a_real_one(tmp_path: Path) -> None:
    pem = make_dated(tmp_path, "shop.example", "20260101000000Z", "20270203040506Z")
    found = in_file(str(pem))
    assert found.begins == datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert found.ends == datetime(2027, 2, 3, 4, 5, 6, tzinfo=timezone.utc) and not found.problem


def test_where_nothing_listens_there_is_none() -> None:
    assert as_served("127.0.0.1", free_port()) is None
