# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a visitor of a closed shop reads: a page, and JSON for programs. Pure.

The page needs nothing from outside, works without its script, and says when to come back in the visitor's own time. Whatever
comes from an option is text, never markup.
"""

from __future__ import annotations

import base64
import hashlib
import html
import ipaddress
import json
import re
from dataclasses import field
from typing import Dict, Mapping, Sequence, Tuple

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass

LANGUAGE = re.compile(r"[A-Za-z]{2,3}")
ENGLISH = {
    "title": "Closed for a short while",
    "headline": "We will be right back",
    "message": "The shop is being maintained and will be back soon.",
    "reason": "What we are doing",
    "until": "We expect to be open again",
    "no_end": "We will be open again as soon as we are done.",
    "again": "This page looks again by itself every minute. There is nothing that you have to do.",
}
RIGHT_TO_LEFT = ("ar", "fa", "he", "ur", "yi", "ps", "sd", "ug", "dv")

_STYLE = """
:root{color-scheme:light dark;--paper:#faf5ec;--card:#fffdf8;--ink:#33291f;--soft:#6e5d4b;--line:#e9dcc7;--clay:#b4552d;--glaze:#2f6f6a}
@media (prefers-color-scheme:dark){:root{--paper:#1b1613;--card:#251e19;--ink:#f3e9da;--soft:#bfae98;--line:#3c3027;--clay:#e8966a;--glaze:#7fc4bb}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;min-height:100vh;min-height:100svh;display:grid;place-items:center;padding:1.25rem;
background:radial-gradient(70rem 40rem at 50% -10%,color-mix(in srgb,var(--clay) 14%,transparent),transparent) var(--paper);color:var(--ink);
font:1.0625rem/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
main{width:100%;max-width:34rem;background:var(--card);border:1px solid var(--line);border-radius:1.25rem;padding:clamp(1.5rem,6vw,3rem);
box-shadow:0 1.5rem 3.5rem -2rem rgba(60,35,15,.45);text-align:center;overflow-wrap:anywhere}
svg{width:5.5rem;height:5.5rem;display:block;margin:0 auto 1rem}
.pot{fill:var(--clay)}.band{fill:none;stroke:var(--card);stroke-width:3;stroke-linecap:round;opacity:.85}.wheel{fill:var(--glaze)}
.steam{fill:none;stroke:var(--soft);stroke-width:3;stroke-linecap:round;opacity:.55}
@media (prefers-reduced-motion:no-preference){.steam{animation:rise 3.2s ease-in-out infinite}.steam+.steam{animation-delay:1.1s}
@keyframes rise{0%,100%{transform:translateY(3px);opacity:.15}50%{transform:translateY(-3px);opacity:.65}}}
.shop{margin:0;color:var(--clay);font-size:.875rem;font-weight:600;letter-spacing:.12em;text-transform:uppercase}
h1{margin:.35rem 0 .75rem;font:600 clamp(1.75rem,7vw,2.4rem)/1.15 ui-serif,"Iowan Old Style",Georgia,serif;text-wrap:balance}
p{margin:0 0 1rem}
dl{margin:1.5rem 0 0;border-top:1px solid var(--line);text-align:start}
dl div{display:flex;flex-wrap:wrap;gap:.1rem 1rem;justify-content:space-between;padding:.8rem 0;border-bottom:1px solid var(--line)}
dt{color:var(--soft)}
dd{margin:0;font-weight:600}
.in{display:block;color:var(--glaze);font-weight:500}
.again{margin:1.25rem 0 0;text-wrap:balance;color:var(--soft);font-size:.9rem}
@media print{body{background:none}main{box-shadow:none}}
"""
_SCRIPT = """
(function(){var t=document.querySelector("time");if(!t||!window.Intl)return;var d=new Date(t.dateTime);if(isNaN(d))return;
var l=document.documentElement.lang||"en";try{var n=new Date(),o={hour:"numeric",minute:"2-digit",timeZoneName:"short"};
if(d.toDateString()!==n.toDateString()){o.weekday="long";o.day="numeric";o.month="long"}
t.textContent=new Intl.DateTimeFormat(l,o).format(d);var m=Math.round((d-n)/60000),s=document.querySelector(".in");
if(s&&m>0&&Intl.RelativeTimeFormat){var f=new Intl.RelativeTimeFormat(l,{numeric:"auto"});
s.textContent=m<90?f.format(m,"minute"):m<2880?f.format(Math.round(m/60),"hour"):f.format(Math.round(m/1440),"day")}}catch(e){}})();
"""
_PICTURE = (
    '<svg viewBox="0 0 96 96" aria-hidden="true"><path class="steam" d="M38 22c-5-6 5-9 0-15"/>'
    '<path class="steam" d="M56 22c-5-6 5-9 0-15"/><path class="pot" d="M30 30h36c-2 7-3 9 3 17 9 12 3 29-8 33H35c-11-4-17-21-8-33 6-8 5-10 3-17z"/>'
    '<path class="band" d="M29 52c12 5 26 5 38 0M27 61c13 6 29 6 42 0"/><rect class="wheel" x="16" y="82" width="64" height="6" rx="3"/></svg>'
)


@dataclass(frozen=True)
class Texts:
    """What the page says. shop: its name. languages: for each language code, keys of ENGLISH with their words in it."""

    shop: str = "Handmade Harmony"
    languages: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Closing:
    """Why and until when. until: a UTC timestamp, "" for no end. message: in English, None for the usual one."""

    reason: str
    until: str = ""
    message: str = ""
    allowed: Tuple[str, ...] = ()


def check_texts(shop: str, languages: Mapping[str, Mapping[str, str]]) -> Texts:
    """Raises MaintenanceError: there is a language or a key that the page does not know."""
    found: Dict[str, Dict[str, str]] = {}
    for code, words in (languages or {}).items():
        if not LANGUAGE.fullmatch(str(code)) or not isinstance(words, Mapping):
            raise MaintenanceError(
                "this is no language with its texts",
                target=repr(code),
                next_step="Write page.texts like {de: {headline: Gleich wieder da}}, with codes of two or three letters.",
            )
        unknown = sorted(set(map(str, words)) - set(ENGLISH))
        if unknown:
            raise MaintenanceError(
                "the page has no such text",
                target="%s: %s" % (code, ", ".join(unknown)),
                next_step="It has %s." % ", ".join(ENGLISH),
            )
        found[str(code).lower()] = {str(key): str(value) for key, value in words.items()}
    return Texts(shop, found)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def render_page(texts: Texts, closing: Closing, language: str = "en") -> str:
    """The page in a language; words that it lacks there are English."""
    words = dict(ENGLISH)
    if closing.message:
        words["message"] = closing.message
    words.update(texts.languages.get(language, {}))
    safe = {key: html.escape(value) for key, value in words.items()}
    rows = ""
    if closing.reason:
        rows += "<div><dt>%s</dt><dd>%s</dd></div>" % (safe["reason"], html.escape(closing.reason))
    if closing.until:
        plain = html.escape(closing.until.replace("T", " ").replace("Z", " UTC"))
        rows += '<div><dt>%s</dt><dd><time datetime="%s">%s</time><span class="in"></span></dd></div>' % (
            safe["until"],
            html.escape(closing.until),
            plain,
        )
    policy = (
        "default-src 'none'; img-src data:; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'"
        % (
            _hash(_STYLE),
            _hash(_SCRIPT),
        )
    )
    head = [
        "<!doctype html>",
        '<html lang="%s"%s>' % (language, ' dir="rtl"' if language in RIGHT_TO_LEFT else ""),
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" content="%s">' % html.escape(policy, quote=False),
        '<meta http-equiv="refresh" content="60">',
        '<meta name="robots" content="noindex">',
        '<link rel="icon" href="data:,">',
        "<title>%s: %s</title>" % (html.escape(texts.shop), safe["title"]),
        "<style>%s</style>" % _STYLE,
        "<main>",
        _PICTURE,
        '<p class="shop">%s</p>' % html.escape(texts.shop),
        "<h1>%s</h1>" % safe["headline"],
        "<p>%s</p>" % safe["message"],
    ]
    if rows:
        head.append("<dl>%s</dl>" % rows)
    if not closing.until:
        head.append('<p class="again">%s</p>' % safe["no_end"])
    head += ['<p class="again">%s</p>' % safe["again"], "</main>", "<script>%s</script>" % _SCRIPT, "</html>"]
    return "\n".join(head) + "\n"


def render_json(closing: Closing) -> str:
    """What programs read: as the application itself answers, and until when."""
    answer = {
        "ok": False,
        "error": "Service Unavailable",
        "message": closing.message or ENGLISH["message"],
        "maintenance": True,
        "until": closing.until or None,
    }
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False) + "\n"


def render_files(texts: Texts, closing: Closing) -> Dict[str, str]:
    """All that nginx serves and looks at while the shop is closed, by name."""
    files = {"page.html": render_page(texts, closing), "api.json": render_json(closing)}
    for language in texts.languages:
        if language != "en":
            files["page.%s.html" % language] = render_page(texts, closing, language)
    # That an English visitor with a second language gets English.
    files["page.en.html"] = render_page(texts, closing, "en")
    if not closing.until:
        files["no-end"] = ""
    for address in address_names(closing.allowed):
        files["allow/" + address] = ""
    return files


def address_names(given: Sequence[str]) -> Sequence[str]:
    """Those that are addresses, as nginx writes them: nothing else may become the name of a file."""
    found = []
    for text in given:
        try:
            found.append(str(ipaddress.ip_address(text)) if "::ffff:" not in text else text.lower())
        except ValueError:
            continue
    return [name for name in found if re.match(r"^[0-9a-f.:]+$", name)]
