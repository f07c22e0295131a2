# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading nginx's configuration, and what is decided about its layer."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.external_program import Completed
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag import nginx_config, nginx_snippet, switch
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.flag_file import Flag, Note
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.nginx_layer import (
    Nginx,
    Setup,
    close_shop,
    digest_files,
    observe_link,
    remove_layer,
    strangers_in,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.page import Closing, Texts, render_page
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.visitor import (
    SiteAnswer,
    judge_closed,
    judge_served,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.nginx_place import HostNginx
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.nginx_setup import (
    MaintenanceNginx,
    NginxObservation,
    check_place,
    plan_setup,
)

NOW = datetime(2026, 11, 29, 6, 0, tzinfo=timezone.utc)
SITE = """
upstream api { server 127.0.0.1:3001; }  # }
server {
    listen [::]:443 ssl; listen 443 ssl; server_name "shop.example";
    add_header X "a { b; }"; location / { proxy_pass http://api/x; }
}
server { listen 8080; root /opt/miniecom/frontend/dist; }
server { listen 80; server_name other; location ~ ^/(a|b){2}$ { proxy_pass http://127.0.0.1:3002; } }
stream { server { listen 1; proxy_pass 127.0.0.1:3001; } }
"""


def test_the_servers_of_the_shop() -> None:
    found = nginx_config.find_servers({"/etc/nginx/site": SITE})
    mine = [item for item in found if nginx_config.serves_shop(item, [3001], nginx_config.LOOPBACK, "/opt/miniecom")]
    assert [item.host for item in mine] == ["shop.example", "localhost"] and len(found) == 3
    assert nginx_config.chosen_listen(mine[0]) == nginx_config.Listen("127.0.0.1", 443, True)
    assert not nginx_config.serves_shop(found[2], [3001], nginx_config.LOOPBACK, "/opt/miniecom")


@given(st.text("ab{}; \n\"'#\\$server", max_size=60))
def test_whatever_a_file_holds_it_is_read_and_comes_back_to_the_byte(text: str) -> None:
    found = nginx_config.find_servers({"x": text + SITE})
    line = nginx_config.include_of("/page")
    changed = nginx_config.with_includes(text + SITE, [item.offset for item in found], line)
    assert changed.count(nginx_config.include_line(line)) == len({item.offset for item in found})
    assert nginx_config.without_includes(changed, line) == text + SITE


@pytest.mark.parametrize("path", ["", "api", "/", "/*", "/a b", '/a"; return 200 "', "/a$uri", "/a{1}", "/a\n"])
def test_what_nginx_would_read_otherwise_never_becomes_a_pattern(path: str) -> None:
    with pytest.raises(MaintenanceError, match="no path that could stay open"):
        nginx_snippet.open_pattern(path)


def test_paths_that_stay_open() -> None:
    patterns = [re.compile("^" + nginx_snippet.open_pattern(path)) for path in nginx_snippet.DEFAULT_OPEN_PATHS]

    def is_open(path: str) -> bool:
        return any(pattern.search(path) for pattern in patterns)

    assert all(map(is_open, ["/health", "/api/health", "/api/webhooks/razorpay", "/api/payments/webhook"]))
    assert not any(map(is_open, ["/", "/healthy", "/x/health", "/api/orders", "/webhook", "/apixhealth"]))
    with pytest.raises(MaintenanceError):
        nginx_snippet.render_snippet("/var/lib/a b", ["/health"])


@given(st.text(max_size=40), st.text(max_size=40))
def test_options_are_text_on_the_page_and_never_markup(reason: str, shop: str) -> None:
    page = render_page(Texts(shop), Closing("<b>" + reason + '"', "", "<script>" + reason))
    assert page.count("<script>") == 1 and "<b>" not in page


@pytest.mark.parametrize(
    ("nginx", "layers", "expected"),
    [
        (None, ("auto",), (False, True)),
        (Nginx("/page", "it does not run"), ("auto",), (False, True)),
        (Nginx("/page"), ("auto",), (True, False)),
        (Nginx("/page"), ("nginx", "application"), (True, True)),
        (Nginx("/page"), ("application",), (False, True)),
        (Nginx("/page"), ("flag",), (False, False)),
    ],
)
def test_which_layers_turn_visitors_away(
    nginx: Nginx | None, layers: tuple[str, ...], expected: tuple[bool, bool]
) -> None:
    application = switch.Application(False, ("a", "b"), {"present": True}, {}, "settings")
    seen = switch.Layers(Flag(False), None, application, nginx=nginx)
    policy = switch.Policy("present", "/flag", "me", layers=layers)
    choice = switch.choose_layers(seen, policy)
    assert (choice.nginx, choice.application) == expected
    plan = switch.plan_switch(seen, policy, NOW)
    names = [action.action for action in plan.actions]
    assert ("close_nginx" in names, "switch_application_on" in names) == expected
    if nginx is not None and nginx.problem:
        with pytest.raises(MaintenanceError, match="it does not run"):
            switch.choose_layers(seen, replace(policy, layers=("nginx",)))


def test_what_cannot_be_looked_at_keeps_the_note() -> None:
    ours = Note("me", "2026-11-29T05:00:00Z", "r", "/flag", application={"previous": {}}, nginx="/page")
    seen = switch.Layers(Flag(True), ours, None, nginx=Nginx("/page", closed=True), unseen="it is down.")
    plan = switch.plan_switch(seen, switch.Policy("absent", "/flag", "me"), NOW)
    assert [action.action for action in plan.actions] == ["open_nginx"] and switch.remains(seen)
    without = replace(seen, note=replace(ours, application={}))
    plan = switch.plan_switch(without, switch.Policy("absent", "/flag", "me"), NOW)
    assert [action.action for action in plan.actions][-1] == "remove_note" and not switch.remains(without)


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (SiteAnswer(200), "serves visitors"),
        (SiteAnswer(503), "serves visitors"),
        (SiteAnswer(problem="no answer"), "no answer"),
        (SiteAnswer(503, by_nginx=True), "without Retry-After"),
        (SiteAnswer(503, by_nginx=True, retry_after="3600"), "not at 2026"),
        (SiteAnswer(503, by_nginx=True, retry_after="Sun, 29 Nov 2026 09:42:45 GMT"), ""),
    ],
)
def test_what_a_visitor_gets(answer: SiteAnswer, part: str) -> None:
    wrong = judge_closed(answer, "shop", "2026-11-29T09:42:45Z")
    assert (wrong == []) == (part == "") and part in "".join(wrong)


def test_what_a_server_includes_belongs_to_it() -> None:
    files = {
        "/etc/nginx/nginx.conf": "http { include sites/*; upstream api { server 127.0.0.1:3001; } }",
        "/etc/nginx/sites/shop": "server { include snip/tls.conf; server_name .shop.example; include snip/l*.conf; }"
        "server { listen 81; set $up 127.0.0.1; location / { include snip/deep/in.conf; } }"
        "server { listen 82; include snip/*.conf.off; include deep/*.conf; }",
        "/etc/nginx/snip/tls.conf": "listen 443 ssl;",
        "/etc/nginx/snip/locations.conf": "location / { proxy_pass http://api; }",
        "/etc/nginx/snip/deep/in.conf": "proxy_pass http://${up}:3001;",
    }
    found = nginx_config.find_servers(files)
    ours = [nginx_config.serves_shop(item, [3001], nginx_config.LOOPBACK, "/opt/miniecom") for item in found]
    assert ours == [True, True, False]
    assert found[0].listens == (nginx_config.Listen("127.0.0.1", 443, True),) and found[0].host == "shop.example"
    assert {item.path for item in found} == {"/etc/nginx/sites/shop"}


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (["_", "shop.example"], "shop.example"),
        ([".shop.example"], "shop.example"),
        (["*.shop.example"], "www.shop.example"),
        (["shop.*"], "shop.example"),
        (["~^shop", "_", ""], "localhost"),
    ],
)
def test_a_name_to_ask_by(names: list[str], host: str) -> None:
    assert nginx_config.ServerBlock("/x", 0, tuple(names)).host == host


def test_no_file_of_somebody_else_is_written_over_or_removed(tmp_path: Path) -> None:
    wanted = nginx_snippet.render_snippet("/page", [])
    setup = Setup("/elsewhere", "0", (), ())
    seen = NginxObservation(wanted=wanted, setup=setup)
    check_place(replace(seen, snippet=wanted), True, "/page/nginx.conf")
    for other, part in (
        (replace(seen, snippet="user www-data;"), "not ours"),
        (replace(seen, strangers=("index.html",)), "holds other files"),
        (replace(seen, noted=setup), "another directory"),
    ):
        with pytest.raises(MaintenanceError, match=part):
            plan_setup(other, True, "/page/nginx.conf")
    with pytest.raises(MaintenanceError, match="not ours"):
        plan_setup(replace(seen, snippet="user www-data;", noted=setup), False, "/page/nginx.conf")

    (tmp_path / "switch-config").mkdir()
    (tmp_path / "switch-config" / "theirs").write_text("x")
    (tmp_path / "nginx.conf").write_text(wanted)
    close_shop(str(tmp_path), {"page.html": "closed"}, "")
    assert strangers_in(str(tmp_path)) == ["switch-config"]
    remove_layer(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["switch-config"]
    (tmp_path / "switch-config" / "theirs").unlink()
    (tmp_path / "switch-config").rmdir()
    remove_layer(str(tmp_path))
    assert not tmp_path.exists() and strangers_in(str(tmp_path)) == []


def test_what_nginx_runs_with_stays_when_a_new_snippet_is_refused(tmp_path: Path) -> None:
    line = nginx_config.include_of(str(tmp_path))
    site = tmp_path / "site"
    text = nginx_config.with_includes("server {}", [8], line)
    task = object.__new__(MaintenanceNginx)
    nginx = HostNginx("", "")
    nginx.run = lambda *_arguments: Completed(0, b"", b"")  # type: ignore[method-assign]
    task.__dict__.update(present=True, include=line, snippet_path=str(tmp_path / "nginx.conf"), params={}, place=nginx)
    for runs_noted, expected in ((True, text), (False, "server {}")):
        site.write_text(text)
        task._take_back(NginxObservation(texts={str(site): text}, runs_noted=runs_noted))
        assert site.read_text() == expected


def test_a_page_with_any_line_ends_is_known_again(tmp_path: Path) -> None:
    files = {"page.html": "a\r\nb\rc\n", "no-end": ""}
    close_shop(str(tmp_path), files, "")
    assert observe_link(str(tmp_path)).found == digest_files(files, "")


@pytest.mark.parametrize(
    ("answer", "served"),
    [
        (SiteAnswer(200), True),
        (SiteAnswer(301), True),
        (SiteAnswer(401), True),
        (SiteAnswer(404), True),
        (SiteAnswer(502), False),
        (SiteAnswer(503, by_nginx=True), False),
        (SiteAnswer(problem="nothing listens"), False),
    ],
)
def test_an_open_shop_answers(answer: SiteAnswer, served: bool) -> None:
    assert (judge_served(answer, "shop") == []) is served
