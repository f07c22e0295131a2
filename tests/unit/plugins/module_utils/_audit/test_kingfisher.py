# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From matches to findings: what is a secret, what is a label, and that none of it is ever shown."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit import kingfisher
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.kingfisher import (
    BUILT_FOR,
    PACKAGE,
    find_kingfisher,
    scan_command,
    scanning_paths,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.kingfisher_output import (
    complaint,
    parse_output,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_matches import (
    Match,
    classify_secret,
    to_secret_findings,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_rules import (
    FALLBACK,
    FALLBACK_CALL,
    HEADER,
    HTPASSWD,
    INLINE,
    MACHINE,
    PGPASS,
    QUOTED,
    RULES_YAML,
    SASL,
    SHELL_DEFAULT,
    UNQUOTED,
    UNQUOTED_KEY,
    URL,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError

CODE, COMPOSE = "/srv/shop/backend/src/config.js", "/srv/shop/docker-compose.yml"
PROVIDER = "betterleaks.mongodb-connection-string"

FINDING: dict[str, Any] = {"rule": {"id": QUOTED}, "finding": {"path": CODE, "line": 3, "snippet": "S3cr3t-4471"}}
AUDIT: dict[str, Any] = {
    "audit": {"summary": {"scan_partial": 1}, "repositories": [{"stats": {"blobs_scanned": 5, "bytes_scanned": 9}}]}
}


@pytest.mark.parametrize(
    ("rule", "path", "value", "expected"),
    [
        (QUOTED, CODE, "S3cr3t-4471", ("hard-coded-secret", "high")),
        (QUOTED, CODE, "hunter", ("hard-coded-secret", "high")),
        (QUOTED, CODE, "changeme", ("default-credentials", "high")),
        (QUOTED, CODE, "change-me", ("default-credentials", "high")),
        (QUOTED, CODE, "your-secret-key", ("default-credentials", "high")),
        (QUOTED, CODE, "supersecret", ("default-credentials", "high")),
        (QUOTED, CODE, "password", None),
        (QUOTED, CODE, "Password", None),
        (QUOTED, CODE, "Enter your password", None),
        (QUOTED, CODE, "auth.password.label", None),
        (QUOTED, CODE, "newPassword", None),
        (QUOTED, CODE, "/api/reset-password", None),
        (QUOTED, CODE, "/etc/ssl/private/site.key", None),
        (QUOTED, CODE, "https://example.com/reset", None),
        (QUOTED, CODE, "${process.env.DB_PASSWORD}", None),
        (QUOTED, CODE, "{{ secret }}", None),
        (QUOTED, CODE, "********", None),
        (QUOTED, CODE, "^(?=.*[A-Z]).{8,}$", None),
        (QUOTED, "/srv/shop/frontend/src/locales/de.json", "Passwort1", None),
        (QUOTED, "/srv/shop/backend/tests/login.test.js", "S3cr3t-4471", ("hard-coded-secret", "medium")),
        (QUOTED, "/srv/shop/docs/setup.md", "S3cr3t-4471", ("hard-coded-secret", "low")),
        (QUOTED, "/srv/shop/docs/setup.md", "changeme", None),
        (FALLBACK, CODE, "dev-only-4471", ("secret-fallback", "high")),
        (FALLBACK, CODE, "your-secret-key", ("default-credentials", "high")),
        (UNQUOTED, COMPOSE, "changeme", ("default-credentials", "high")),
        (UNQUOTED, COMPOSE, "password", ("default-credentials", "high")),
        (UNQUOTED, COMPOSE, "Real-4471", ("hard-coded-secret", "high")),
        (UNQUOTED, COMPOSE, "/run/secrets/mongo", None),
        (UNQUOTED, COMPOSE, "true", None),
        (UNQUOTED, CODE, "config.apiKey", None),
        (UNQUOTED, "/srv/shop/.env", "Real-4471", None),
        (UNQUOTED, "/srv/shop/.env.production", "Real-4471", None),
        (UNQUOTED, "/srv/shop/.env.example", "changeme", None),
        (UNQUOTED, "/srv/shop/.env.example", "Real-4471", ("hard-coded-secret", "low")),
        (UNQUOTED, "/srv/shop/backend/Dockerfile", "Real-4471", ("hard-coded-secret", "high")),
        (UNQUOTED, COMPOSE, "enabled", None),
        (UNQUOTED, "/srv/shop/prod.env", "hunter", ("hard-coded-secret", "high")),
        (UNQUOTED, "/srv/shop/shop.env.20260901", "Real-4471", ("hard-coded-secret", "high")),
        (UNQUOTED, "/srv/shop/config.old", "Real-4471", ("hard-coded-secret", "high")),
        (UNQUOTED, "/srv/shop/backup.example.env", "Real-4471", ("hard-coded-secret", "low")),
        (UNQUOTED, "/srv/shop/main.tf", "var.db_password", None),
        (UNQUOTED_KEY, COMPOSE, "Real-4471", ("hard-coded-secret", "high")),
        (UNQUOTED_KEY, COMPOSE, "standard", None),
        (UNQUOTED_KEY, COMPOSE, "storefront", None),
        (UNQUOTED_KEY, COMPOSE, "15m", None),
        (UNQUOTED_KEY, COMPOSE, "mysecret", ("default-credentials", "high")),
        (INLINE, "/etc/cron.d/shop", "Real-4471", ("hard-coded-secret", "high")),
        (INLINE, CODE, "Real-4471", None),
        (QUOTED, CODE, "abcd efgh ijkl mnop", ("hard-coded-secret", "high")),
        (QUOTED, CODE, "must have 8 characters", None),
        (QUOTED, COMPOSE, "moos 31 farn", ("hard-coded-secret", "high")),
        (QUOTED, CODE, "text", None),
        (QUOTED, CODE, "%s:%s", None),
        (QUOTED, CODE, "RS256", None),
        (MACHINE, "/home/shop/.netrc", "Real-4471", ("hard-coded-secret", "high")),
        (MACHINE, CODE, "Real-4471", None),
        (PGPASS, "/home/shop/.pgpass", "Real-4471", ("hard-coded-secret", "high")),
        (PGPASS, COMPOSE, "Real-4471", None),
        (HTPASSWD, "/srv/shop/nginx/.htpasswd", "$apr1$k2Jd81mz$Zr0bQpX7mVb2sGkQw1T5e", ("hard-coded-secret", "high")),
        (HTPASSWD, COMPOSE, "$apr1$k2Jd81mz$Zr0bQpX7mVb2sGkQw1T5e", None),
        (HEADER, CODE, "c2hvcDpleGFtcGxl", ("hard-coded-secret", "high")),
        (HEADER, CODE, "undefined", None),
        (SASL, "/etc/postfix/sasl_passwd", "Real-4471", ("hard-coded-secret", "high")),
        (SASL, "/srv/shop/notes.txt", "Real-4471", None),
        (FALLBACK_CALL, "/srv/shop/config/database.php", "Real-4471", ("secret-fallback", "high")),
        (URL, CODE, "Real-4471", ("hard-coded-secret", "high")),
        (URL, CODE, "PASSWORD", None),
        (URL, CODE, "pass", None),
        (URL, COMPOSE, "changeme", ("default-credentials", "high")),
        (SHELL_DEFAULT, COMPOSE, "changeme", ("default-credentials", "high")),
        (SHELL_DEFAULT, COMPOSE, "Real-4471", ("secret-fallback", "high")),
        (PROVIDER, CODE, "mongodb://a:b@c/d", ("mongodb-connection-string", "high")),
        (PROVIDER, "/srv/shop/.env", "mongodb://a:b@c/d", None),
        ("betterleaks.generic-credential-uri", COMPOSE, "changeme", ("default-credentials", "high")),
        ("betterleaks.private-key", "/srv/shop/nginx/ssl/site.pem", "-----BEGIN PRIVATE KEY-----", None),
        ("betterleaks.private-key", CODE, "-----BEGIN PRIVATE KEY-----", ("private-key", "high")),
        ("betterleaks.razorpay-key-id.1", CODE, "rzp_live_4471", ("razorpay-key-id", "high")),
        ("betterleaks.cloudflare-api-key.2", CODE, "4471", ("cloudflare-api-key", "high")),
        ("veles.secrets/slackappconfigaccesstoken", CODE, "xoxe-1", ("slackappconfigaccesstoken", "high")),
    ],
)
def test_what_a_match_is(rule: str, path: str, value: str, expected: tuple[str, str] | None) -> None:
    verdict = classify_secret(rule, path, value)
    assert (verdict and (verdict.rule, verdict.severity)) == expected


@pytest.mark.parametrize(
    ("rule", "path", "value", "remedy"),
    [
        (QUOTED, CODE, "S3cr3t-4471", "Move it to .env"),
        (PROVIDER, CODE, "mongodb://a:b@c/d", "Move it to .env"),
        (UNQUOTED, "/srv/shop/.env.20261101", "Real-4471", "Remove this copy"),
        (UNQUOTED, "/srv/shop/.env~", "Real-4471", "Remove this copy"),
        (PROVIDER, "/srv/shop/.env.bak", "mongodb://a:b@c/d", "Remove this copy"),
        (MACHINE, "/srv/shop/.netrc", "Real-4471", "Keep it in the home of the user"),
        (PGPASS, "/srv/shop/.pgpass.old", "Real-4471", "Keep it in the home of the user"),
        (
            HTPASSWD,
            "/srv/shop/nginx/.htpasswd",
            "$apr1$k2Jd81mz$Zr0bQpX7mVb2sGkQw1T5e",
            "Keep it out of what is served",
        ),
    ],
)
def test_what_to_do_fits_the_file(rule: str, path: str, value: str, remedy: str) -> None:
    """A copy is not read from .env, and a program's own login file cannot be."""
    verdict = classify_secret(rule, path, value)
    assert verdict is not None and verdict.remediation.startswith(remedy)


rules = st.sampled_from([QUOTED, FALLBACK, UNQUOTED, SHELL_DEFAULT, PROVIDER])
values = st.text(min_size=11, max_size=30).map(lambda text: "\u2603" + text)


def test_no_value_ever_stands_in_a_finding() -> None:
    reached = 0

    one = st.builds(Match, rules, st.sampled_from([CODE, COMPOSE]), st.integers(1, 9), values)

    @given(st.lists(one, min_size=1))
    def property_of_matches(matches: list[Match]) -> None:
        nonlocal reached
        found = to_secret_findings(matches, ["/srv/shop"], [])
        reached += bool(found)
        shown = json.dumps([item.as_dict() for item in found], ensure_ascii=False) + repr(found) + repr(matches)
        assert "\u2603" not in shown

    property_of_matches()
    assert reached > 20


def test_one_finding_for_a_secret_in_a_file_with_all_its_lines() -> None:
    matches = [Match(QUOTED, CODE, line, "S3cr3t-4471") for line in (9, 3, 5)] + [
        Match(QUOTED, COMPOSE, 1, "S3cr3t-4471")
    ]
    found = {item.target: item for item in to_secret_findings(matches, ["/srv/shop"], [])}
    assert found[CODE].line == 3 and "also on lines 5, 9" in found[CODE].message
    assert len(found) == 2
    many = [Match(QUOTED, CODE, line, "S3cr3t-4471") for line in range(1, 31)]
    [item] = to_secret_findings(many, ["/srv/shop"], [])
    assert item.message.endswith("19, 20 and 10 more")


def test_a_providers_rule_comes_before_ours() -> None:
    matches = [Match(QUOTED, CODE, 8, "mongodb://a:S3cr3t@h/d"), Match(PROVIDER, CODE, 8, "mongodb://a:S3cr3t@h/d")]
    assert [item.rule for item in to_secret_findings(matches, ["/srv/shop"], [])] == ["mongodb-connection-string"]
    matches.append(Match(QUOTED, CODE, 8, "other-4471"))
    assert len(to_secret_findings(matches, ["/srv/shop"], [])) == 2


def test_two_patterns_of_one_kind_of_secret_are_one_finding() -> None:
    matches = [Match(f"betterleaks.cloudflare-api-key.{number}", CODE, 8, "4471-4471") for number in (1, 2)]
    [found] = to_secret_findings(matches, ["/srv/shop"], [])
    assert "(cloudflare api key)" in found.message and "also on" not in found.message


def test_scopes_and_exclusions() -> None:
    matches = [
        Match(QUOTED, path, 1, "S3cr3t-4471") for path in ("/srv/shop/a.js", "/srv/shop/cache/b.js", "/opt/c.js")
    ]
    found = to_secret_findings(matches, ["/srv/shop", "/opt"], ["cache"])
    assert {(item.target, item.scope) for item in found} == {("/srv/shop/a.js", "/srv/shop"), ("/opt/c.js", "/opt")}


def test_the_command_line_keeps_kingfisher_off_the_network_and_out_of_archives() -> None:
    line = scan_command("/bin/kf", "/tmp/rules.yml", ["/srv/shop"], ["node_modules"])
    assert {"--no-validate", "--no-update-check", "--no-extract-archives", "--no-ignore"} <= set(line)
    assert line[line.index("--git-history") + 1] == "none"
    assert line[-2:] == ["--", "/srv/shop"]


def test_its_output_is_read_line_by_line() -> None:
    scan, understood = parse_output((json.dumps(FINDING) + "\n\n" + json.dumps(AUDIT) + "\n").encode())
    assert understood and scan.matches == [Match(QUOTED, CODE, 3, "S3cr3t-4471")]
    assert (scan.files, scan.bytes, scan.incomplete) == (5, 9, 1)


@pytest.mark.parametrize(
    "text", ["no json", '{"finding": {}}', '{"finding": 3}', '[1, 2, "finding"]', '{"finding": {"path": 1}}']
)
def test_what_is_not_understood_is_noticed(text: str) -> None:
    assert parse_output(text.encode())[1] is False


def test_no_output_breaks_the_parser() -> None:
    """Bytes alone hardly ever come past the first brace: mostly it is JSON, with something else in a place of it."""
    reached: Counter[str] = Counter()
    odd = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2) | st.just({})
    whole = [FINDING, FINDING["rule"], FINDING["finding"], AUDIT, AUDIT["audit"]]
    part = st.sampled_from(whole) | odd
    broken = st.dictionaries(st.sampled_from(["finding", "rule", "audit", "id", "summary", "repositories"]), part)
    line = (st.sampled_from([FINDING, AUDIT]) | broken).map(json.dumps).map(str.encode) | st.binary(max_size=40)

    @given(st.lists(line, max_size=4))
    def property_of_output(lines: list[bytes]) -> None:
        scan, understood = parse_output(b"\n".join(lines))
        reached["understood" if understood else "not understood"] += 1
        reached["with a match"] += bool(scan.matches)
        good = sum(line == json.dumps(FINDING).encode() for line in lines)
        assert len(scan.matches) >= good

    property_of_output()
    assert min(reached["understood"], reached["not understood"], reached["with a match"]) > 5, reached


def test_complaints_are_cleaned() -> None:
    text = "\x1b[31mINFO x\x1b[0m\nError: cannot read S3cr3t-4471\n"
    assert complaint(text, [Match(QUOTED, CODE, 1, "S3cr3t-4471")]) == "Error: cannot read ********"
    assert complaint("", []) == "nothing"


def test_a_named_program_must_be_one() -> None:
    with pytest.raises(MaintenanceError, match="cannot be run"):
        find_kingfisher("/nonexistent/kingfisher")


def test_a_machine_without_a_build_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kingfisher, "sys", SimpleNamespace(path=[], executable="/nonexistent/python"))
    monkeypatch.setenv("PATH", "/nonexistent")
    for machine in ("x86_64", "aarch64", "riscv64"):
        monkeypatch.setattr(os, "uname", lambda machine=machine: SimpleNamespace(machine=machine))
        with pytest.raises(MaintenanceError) as raised:
            find_kingfisher(None)
        said = str(raised.value)
        assert ("prerequisites" in said, "has no build" in said) == (machine in BUILT_FOR, machine not in BUILT_FOR), (
            said
        )


def test_a_build_for_another_machine_says_what_to_do(tmp_path: Path) -> None:
    program = tmp_path / "kingfisher"
    program.write_bytes(bytes.fromhex("cffaedfe0c000001"))  # how one for macOS begins
    program.chmod(0o755)
    with (
        pytest.raises(
            MaintenanceError, match=r"(?s)cannot start Kingfisher.*ENOEXEC.*miniecom\.maintenance\.prerequisites"
        ),
        scanning_paths(find_kingfisher(str(program)), [str(tmp_path)], [], str(tmp_path), str(tmp_path), 5),
    ):
        pass


def test_each_kind_of_machine_gets_the_release_that_is_tested() -> None:
    """A build of one release for one machine may lack what our rules and our reading of its output need."""
    root = Path(__file__).resolve().parents[5]
    lines = (root / "roles/prerequisites/files/requirements.txt").read_text(encoding="utf-8").splitlines()
    development = (root / "requirements-dev.txt").read_text(encoding="utf-8")
    wanted = [Requirement(line) for line in lines if line.startswith(PACKAGE)]
    tested = {str(Requirement(line).specifier) for line in development.splitlines() if line.startswith(PACKAGE)}
    assert {str(item.specifier) for item in wanted} == tested == {f"=={kingfisher.RELEASE}"}
    for machine in BUILT_FOR:
        about = {"platform_machine": machine, "sys_platform": "linux"}
        assert [item.marker is None or item.marker.evaluate(about) for item in wanted].count(True) == 1, machine


def test_our_rules_are_there() -> None:
    named = (QUOTED, FALLBACK, UNQUOTED, UNQUOTED_KEY, INLINE, SHELL_DEFAULT, HEADER, MACHINE, PGPASS, HTPASSWD, URL)
    for rule in named:
        assert f"id: {rule}\n" in RULES_YAML
