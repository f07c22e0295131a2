# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What apt prints, and what follows from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._packages.reading import (
    InstalledPackage,
    PackageChange,
    Update,
    apt_complaint,
    is_security,
    newer_kernel,
    read_changes,
    read_installed,
    read_releases,
    read_updates,
    silent_sources,
)

NOBLE = "http://archive.example/ubuntu noble"
SOURCES = f"""Package files:
 100 /var/lib/dpkg/status
     release a=now
 500 {NOBLE}-security/main amd64 Packages
     release v=24.04,o=Ubuntu,a=noble-security,n=noble,l=Ubuntu,c=main,b=amd64
     origin archive.example
 500 {NOBLE}-updates/main amd64 Packages
     release v=24.04,o=Ubuntu,a=noble-updates,n=noble,l=Ubuntu,c=main,b=amd64
     origin archive.example
 500 https://repo.example/apt/ubuntu noble/multiverse amd64 Packages
     release o=vendor,l=vendor,c=multiverse,b=amd64
     origin repo.example
Pinned packages:
"""
TABLE = f"""openssl:
  Installed: 3.0.1
  Candidate: 3.0.3
  Version table:
     3.0.3 500
        500 {NOBLE}-updates/main amd64 Packages
     3.0.2 500
        500 {NOBLE}-security/main amd64 Packages
 *** 3.0.1 100
        100 /var/lib/dpkg/status
libc6:i386:
  Installed: 2.39
  Candidate: 2.40 (phased 10%)
  Version table:
     2.40 500 (phased 10%)
        500 {NOBLE}-updates/main amd64 Packages
 *** 2.39 500
        500 {NOBLE}-security/main amd64 Packages
        100 /var/lib/dpkg/status
vendored:
  Installed: 1:7.0
  Candidate: 1:7.1
  Version table:
     1:7.1 500
        500 https://repo.example/apt/ubuntu noble/multiverse amd64 Packages
 *** 1:7.0 100
        100 /var/lib/dpkg/status
current:
  Installed: 5
  Candidate: 5
  Version table:
 *** 5 500
        500 {NOBLE}-security/main amd64 Packages
        100 /var/lib/dpkg/status
pinned-back:
  Installed: 2
  Candidate: 1
  Version table:
 *** 2 100
        100 /var/lib/dpkg/status
     1 1001
        500 {NOBLE}-security/main amd64 Packages
gone:
  Installed: (none)
  Candidate: 4
  Version table:
     4 500
        500 {NOBLE}-security/main amd64 Packages
"""


def test_a_security_update_counts_also_when_a_later_version_contains_it() -> None:
    found = read_updates(TABLE, read_releases(SOURCES), frozenset(["vendored"]))
    assert found == [
        Update("openssl", "3.0.1", "3.0.3", "Ubuntu noble-security", True),
        Update("libc6:i386", "2.39", "2.40", "Ubuntu noble-updates", False),
        Update("vendored", "1:7.0", "1:7.1", "vendor", False, True),
    ]


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ({"a": "stable-security", "n": "bookworm-security", "l": "Debian-Security"}, True),
        ({"a": "noble-apps-security", "l": "UbuntuESMApps"}, True),
        ({"a": "oldoldstable", "n": "buster/updates", "l": "Debian-Security"}, True),
        ({"a": "noble-updates", "l": "Ubuntu"}, False),
        ({"a": "stable", "l": "Security-Tools"}, False),
        ({}, False),
    ],
)
def test_where_vulnerabilities_are_mended(release: dict[str, str], expected: bool) -> None:
    assert is_security(release) is expected


def test_what_is_installed() -> None:
    text = (
        "bash\tamd64\tinstall ok installed\nlibc6\ti386\tinstall ok installed\ntzdata\tall\thold ok installed\n"
        "old\tamd64\tdeinstall ok config-files\nhalf\tamd64\tinstall ok half-configured\nwaits\tamd64\tinstall ok triggers-pending\n\n"
    )
    assert read_installed(text, "amd64") == [
        InstalledPackage("bash"),
        InstalledPackage("libc6:i386"),
        InstalledPackage("tzdata", True),
        InstalledPackage("half", False, "half-configured"),
        InstalledPackage("waits", False, "triggers-pending"),
    ]


def test_what_a_simulation_says() -> None:
    text = """Reading package lists...
Remv old [1.0]
Inst openssl [3.0.1] (3.0.3 Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security [amd64]) []
Inst linux-image-6.8.0-60 (6.8.0-60.63 Ubuntu:24.04/noble-security [amd64])
Conf openssl (3.0.3 Ubuntu:24.04/noble-updates [amd64])
"""
    assert read_changes(text) == [
        PackageChange("old", "1.0", ""),
        PackageChange("openssl", "3.0.1", "3.0.3"),
        PackageChange("linux-image-6.8.0-60", "", "6.8.0-60.63"),
    ]


def test_who_did_not_answer() -> None:
    text = """Hit:1 http://archive.example/ubuntu noble InRelease
W: Failed to fetch https://user:geheim@repo.example/dists/x/InRelease  Could not resolve 'repo.example'
E: The repository 'http://gone.example noble Release' does not have a Release file.
E: Failed to fetch https://user:geheim@repo.example/dists/x/InRelease  again
"""
    assert silent_sources(text) == ["https://repo.example/dists/x/InRelease", "http://gone.example"]
    assert apt_complaint(text).startswith("The repository")
    assert apt_complaint("all is well\n") == ""


@pytest.mark.parametrize(
    ("running", "link", "expected"),
    [
        ("6.1.0-30-amd64", "boot/vmlinuz-6.1.0-31-amd64", "6.1.0-31-amd64"),
        ("6.1.0-31-amd64", "vmlinuz-6.1.0-31-amd64", ""),
        ("6.1.0-31-amd64", None, ""),
        ("6.1.0-31-amd64", "/somewhere/else", ""),
    ],
)
def test_a_kernel_that_waits_for_a_reboot(running: str, link: str | None, expected: str) -> None:
    assert newer_kernel(running, link) == expected


@given(st.text(st.sampled_from("ab:.[]() \n-*E1/5"), max_size=200))
def test_no_text_breaks_the_readers(text: str) -> None:
    for update in read_updates(text, read_releases(text)):
        assert update.installed != update.candidate
    read_changes(text), read_installed(text, "a"), silent_sources(text), apt_complaint(text)
