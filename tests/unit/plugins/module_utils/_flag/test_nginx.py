# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading nginx's configuration, and what is decided about its layer."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag import nginx_config, nginx_snippet, switch
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.flag_file import Flag, Note
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.nginx_layer import Nginx
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.page import Closing, Texts, render_page
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.visitor import SiteAnswer, judge_closed

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
    patterns = [re.compile(nginx_snippet.open_pattern(path)) for path in nginx_snippet.DEFAULT_OPEN_PATHS]

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
