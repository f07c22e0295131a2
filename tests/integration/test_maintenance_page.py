# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page that visitors of a closed shop see, in a real browser, from a real nginx that serves it with 503."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.nginx_config import include_line, include_of
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.nginx_layer import close_shop
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.nginx_snippet import (
    DEFAULT_OPEN_PATHS,
    SNIPPET,
    render_snippet,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.page import Closing, Texts, render_files
from tests.conftest import lacking
from tests.sandbox.browser import Browser, BrowserUnavailable
from tests.sandbox.nginx import Nginx

HINDI = {"headline": "हम जल्द वापस आएँगे", "until": "फिर से खुलने का समय"}
LONG = "Moving<script>alert(1)</script> " + "verylongwordwithoutanyblank" * 6


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    try:
        found = Browser(tmp_path_factory.mktemp("browser"))
    except BrowserUnavailable as error:
        lacking(f"a browser: {error}")
        raise
    with found:
        yield found


@pytest.fixture(scope="module")
def closed() -> Iterator[str]:
    """Address of a closed shop."""
    directory = Path(tempfile.mkdtemp(prefix="miniecom-page-"))
    directory.chmod(0o711)
    page = directory / "page"
    page.mkdir(mode=0o755)
    (page / SNIPPET).write_text(render_snippet(str(page), DEFAULT_OPEN_PATHS))
    until = (datetime.now(timezone.utc) + timedelta(minutes=44, seconds=40)).strftime("%Y-%m-%dT%H:%M:%SZ")
    texts = Texts("Handmade Harmony", {"hi": HINDI})
    close_shop(str(page), render_files(texts, Closing(LONG, until, "The kiln is firing & glowing.")), until)
    nginx = Nginx(directory / "nginx", 1)
    text = nginx.site.read_text(encoding="utf-8")
    nginx.site.write_text(
        text.replace("server {", "server {" + include_line(include_of(str(page))), 1), encoding="utf-8"
    )
    nginx.start()
    yield f"http://127.0.0.1:{nginx.port}/cart?x=1"
    nginx.stop()
    shutil.rmtree(directory)


def contrast(browser: Browser, selector: str, ground: str) -> float:
    """Of text against its ground, by WCAG 2.1."""
    script = """(function(){function light(c){var v=c.match(/[\\d.]+/g).slice(0,3).map(function(x){x/=255;
      return x<=0.03928?x/12.92:Math.pow((x+0.055)/1.055,2.4)});return 0.2126*v[0]+0.7152*v[1]+0.0722*v[2]}
      var a=light(getComputedStyle(document.querySelector("%s")).color),
      b=light(getComputedStyle(document.querySelector("%s")).backgroundColor);
      return (Math.max(a,b)+0.05)/(Math.min(a,b)+0.05)})()""" % (selector, ground)
    return float(browser.value(script))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_readable_on_a_phone_dark_and_light(browser: Browser, closed: str, scheme: str, width: int) -> None:
    browser.show(closed, scheme, width=width)
    responses = [event["params"] for event in browser.events if event.get("method") == "Network.responseReceived"]
    assert [item["response"]["status"] for item in responses if item["type"] == "Document"] == [503]
    requested = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event.get("method") == "Network.requestWillBeSent"
    ]
    assert [url for url in requested if not url.startswith("data:")] == [closed], "nothing from outside"
    problems = [
        event for event in browser.events if event.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")
    ]
    assert [event for event in problems if "503" not in str(event)] == [], "no refused style or script"

    assert browser.value("document.documentElement.scrollWidth") <= width, "nobody has to scroll sideways"
    text = str(browser.value("document.querySelector('main').innerText"))
    for part in (
        "HANDMADE HARMONY",
        "We will be right back",
        "The kiln is firing & glowing.",
        "<script>alert(1)</script>",
    ):
        assert part in text
    assert "GMT+5:30" in text and ("in 44 minutes" in text or "in 45 minutes" in text), "in the visitor's own time"
    for selector in ("main p", "dt", "dd", ".shop", ".again", ".in"):
        assert contrast(browser, selector, "main") >= 4.5, selector
    dark = str(browser.value("getComputedStyle(document.querySelector('main')).backgroundColor"))
    assert (sum(map(int, dark[4:-1].split(","))) < 200) == (scheme == "dark")
    assert browser.screenshot().startswith(b"\x89PNG")


def test_in_the_language_of_the_visitor(browser: Browser, closed: str) -> None:
    browser.show(closed, language="hi-IN,en;q=0.8")
    assert browser.value("document.documentElement.lang") == "hi"
    text = str(browser.value("document.querySelector('main').innerText"))
    assert HINDI["headline"] in text and HINDI["until"] in text
    assert "44 मिनट" in text or "45 मिनट" in text
    browser.show(closed, language="fr")
    assert browser.value("document.documentElement.lang") == "en"


def test_readable_without_its_script(browser: Browser, closed: str) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.show(closed)
        found = browser.call("DOM.getDocument", depth=-1)
        assert " UTC" in str(found)
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
