# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A message in each of its shapes, and where mail goes."""

from __future__ import annotations

import json
import smtplib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._alerts.channels import read_channels
from ansible_collections.miniecom.maintenance.plugins.module_utils._alerts.mail import (
    AUTO,
    TLS,
    _log_in,
    as_mail,
    is_local,
    mail_addresses,
    mail_server,
    send_mail,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._alerts.messages import (
    SHAPES,
    SHOWN,
    plain_text,
    shaped,
    subject,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._alerts.planning import Message
from ansible_collections.miniecom.maintenance.plugins.module_utils._alerts.problems import (
    Concern,
    Recalled,
    RunSeen,
    line,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._alerts.web import filled_in, register_address, tell
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.redaction import SECRETS

RUN = RunSeen(
    "weekly maintenance",
    "20261129T030000Z-ab",
    "shop1",
    "failed",
    "1 of 3 steps failed: backup",
    record="/var/lib/x.json",
)
AT = "2026-11-29T03:00:00Z"


def standing(text: str, step: str = "backup", over: str = "") -> Recalled:
    return Recalled(Concern("step", f"step:{step}", "critical", text, step), AT, AT, (), over)


def test_a_mail_says_what_where_and_where_to_read_on() -> None:
    message = Message(RUN, new=(standing("no space left"),), over=(standing("was down", "health", AT),))
    assert subject(message) == "[shop1] critical: backup (weekly maintenance)"
    assert plain_text(message).splitlines() == [
        "weekly maintenance on shop1: 1 of 3 steps failed: backup",
        "",
        "New:",
        "  critical  backup: no space left",
        "",
        "Over:",
        "  health: was down (since 2026-11-29T03:00:00Z)",
        "",
        "Run 20261129T030000Z-ab, recorded on the host in /var/lib/x.json",
    ]
    assert subject(Message(RUN, over=message.over)) == "[shop1] over: health (weekly maintenance)"


def test_a_hundred_problems_are_counted_and_not_listed() -> None:
    text = plain_text(Message(RUN, new=tuple(standing("wrong", f"s{number}") for number in range(100))))
    assert text.count("wrong") == SHOWN
    assert "... and 80 more" in text


@given(st.text(max_size=80), st.text(max_size=80))
def test_every_shape_takes_any_text(text: str, host: str) -> None:
    # As problems are read: one line each.
    run = RunSeen("weekly", "", line(host), "failed", line(text))
    message = Message(run, new=(standing(line(text)),))
    for shape in SHAPES:
        json.loads(json.dumps(shaped(message, shape)).encode())
    server = mail_server({"to": ["ops@example.org"], "host": "localhost"}, {}, "")
    mail = as_mail(server, message)
    assert b"\n\nBcc" not in mail.as_bytes()
    assert len(mail["Subject"].splitlines()) == 1


def test_slack_reads_no_markup_of_ours_from_a_message() -> None:
    text = shaped(Message(RUN, new=(standing("<!channel> & <http://x|y>"),)), "slack")["text"]
    assert "&lt;!channel&gt; &amp; &lt;http://x|y&gt;" in text
    assert "<" not in text


def test_teams_gets_a_card() -> None:
    (attachment,) = shaped(Message(RUN, new=(standing("a [link](x) *bold*"),)), "teams")["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    texts = [block["text"] for block in attachment["content"]["body"]]
    assert any(r"a \[link\](x) \*bold\*" in text for text in texts)


ENV = {
    "SMTP_HOST": "mail.example.org",
    "SMTP_PORT": "587",
    "SMTP_USER": "shop@example.org",
    "SMTP_PASS": "secret of mail",
    "ALERT_EMAIL": "Ops Team <ops@example.org>, me@example.org",
}


def test_mail_goes_where_the_shop_says() -> None:
    server = mail_server({}, ENV, "/opt/miniecom/.env")
    assert (server.host, server.port, server.user, server.password) == (
        ENV["SMTP_HOST"],
        587,
        ENV["SMTP_USER"],
        "secret of mail",
    )
    assert server.recipients == (("Ops Team", "ops@example.org"), ("", "me@example.org"))
    assert server.sender == ("", "shop@example.org")
    assert server.security == AUTO
    assert "secret" not in repr(server)


@pytest.mark.parametrize(
    ("own", "options", "user"),
    [
        (ENV["SMTP_HOST"], {"host": ENV["SMTP_HOST"].upper()}, ENV["SMTP_USER"]),
        (ENV["SMTP_HOST"], {"host": "mail.elsewhere.example"}, ""),
        (ENV["SMTP_HOST"], {"host": "localhost"}, ""),
        (ENV["SMTP_HOST"], {"host": "mail.elsewhere.example", "user": "ops"}, "ops"),
        ("127.0.0.1", {"host": "localhost"}, ENV["SMTP_USER"]),
        ("", {"host": "mail.elsewhere.example"}, ""),
    ],
)
def test_the_password_of_the_shops_server_goes_to_no_other(own: str, options: dict[str, str], user: str) -> None:
    server = mail_server(options, {**ENV, "SMTP_HOST": own}, "")
    assert server.user == user
    assert server.user == "ops" or server.sender == ("", "shop@example.org")


def test_letters_of_a_password_are_in_no_message() -> None:
    server = mail_server({}, {**ENV, "SMTP_PASS": "p\u00e4ssword"}, "")
    client = smtplib.SMTP()
    client.esmtp_features = {"auth": "PLAIN"}
    client.does_esmtp, client.ehlo_resp = True, b"x"
    with pytest.raises(MaintenanceError, match="other than ASCII") as raised:
        _log_in(server, client, "mail:25")
    assert "xe4" not in str(raised.value)


@pytest.mark.parametrize("host", ["mail..example.org", ".mail", "m" * 64 + ".example.org"])
def test_a_slip_in_the_name_of_the_server_is_no_defect(host: str) -> None:
    with pytest.raises(MaintenanceError, match="does not resolve"):
        send_mail(mail_server({}, {**ENV, "SMTP_HOST": host}, ""), Message(RUN, new=(standing("no room"),)))


def test_addresses_and_passwords_of_channels_are_masked_before_anything_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "OPS=https://hooks.example/T0/B0/canary-one\nBEAT=https://b/canary-two\nM=canary-three\n"
    )
    read_channels(
        {
            "env_file": str(tmp_path / ".env"),
            "mail": {"password_key": "M"},
            "webhooks": [{"url_key": "OPS"}, {"url_key": "NOT_THERE", "name": "x"}],
            "heartbeat": {"url_key": "BEAT"},
        }
    )
    text = SECRETS.clean_text("T0/B0/canary-one https://b/canary-two canary-three")
    assert "canary" not in text


@pytest.mark.parametrize("url", ["https://[bad/T0/B0/canary", "T0/B0/canary", "ftp://x/canary", "https:///canary"])
def test_what_is_no_address_of_a_web_service_is_not_shown(url: str) -> None:
    register_address(url)
    with pytest.raises(MaintenanceError, match="not the address of a web service") as raised:
        tell("ops", url, {})
    assert "canary" not in str(raised.value) and "canary" not in SECRETS.clean_text("to %s" % url)


@pytest.mark.parametrize(
    ("change", "options", "expected"),
    [
        ({"SMTP_PORT": "465"}, {}, TLS),
        ({"SMTP_SECURE": "true"}, {}, TLS),
        ({"SMTP_SECURE": "false"}, {}, AUTO),
        ({"SMTP_PORT": "465"}, {"security": "none"}, "none"),
    ],
)
def test_how_the_connection_is_made_safe(change: dict[str, str], options: dict[str, str], expected: str) -> None:
    assert mail_server(options, {**ENV, **change}, "").security == expected


@pytest.mark.parametrize(
    ("without", "told"),
    [("SMTP_HOST", "Set SMTP_HOST"), ("ALERT_EMAIL", "Set ALERT_EMAIL")],
)
def test_what_is_missing_is_named(without: str, told: str) -> None:
    with pytest.raises(MaintenanceError, match=told):
        mail_server({}, {key: value for key, value in ENV.items() if key != without}, "/opt/miniecom/.env")


@pytest.mark.parametrize("text", ["nobody", "a@b@c", "ops@example.org bcc: all@example.org", "a b@example.org, c"])
def test_what_is_no_address_gets_no_mail(text: str) -> None:
    with pytest.raises(MaintenanceError, match="not a mail address"):
        mail_addresses([text], "ALERT_EMAIL")


def test_a_line_end_in_an_address_adds_no_header() -> None:
    with pytest.raises(MaintenanceError):
        mail_addresses(["ops@example.org\nBcc: all@example.org"], "ALERT_EMAIL")


@pytest.mark.parametrize(
    ("host", "local"), [("localhost", True), ("127.0.0.9", True), ("::1", True), ("10.0.0.1", False), ("mail", False)]
)
def test_what_leaves_this_machine(host: str, local: bool) -> None:
    assert is_local(host) is local


def test_names_in_a_heartbeat() -> None:
    assert filled_in("https://x/{run}/{host}", "weekly maintenance", "Shop_1") == "https://x/weekly-maintenance/shop-1"
