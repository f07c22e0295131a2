# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the shop is in maintenance, from all layers: what maintenance_flag_info tells."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .._core.call import Call
from .._core.clock import utc_now
from .._core.errors import MaintenanceError
from .._core.lease import boot_id
from .._core.leftovers import Leftover
from .._core.plan import Report
from .._core.units import parse_duration
from .._flag import probe
from .._flag.ending import ending
from .._flag.flag_file import Flag, Note, parse_moment, read_flag, read_note
from .._flag.nginx_layer import read_setup
from .._flag.timer import Timer, observe_timer
from .._flag.visitor import ask, parse_http_date, stranger
from .._mongo.application_setting import read_setting
from .._mongo.client import connect
from .._mongo.serving import look_at_serving
from .environment import with_environment
from .maintenance import observe_nginx
from .nginx_place import reached
from .services import look_at_noted
from .site_certificates import look_at_certificates


def look_at_nginx(state_dir: str, note: Optional[Note]) -> Dict[str, Any]:
    """The layer of nginx, and what it tells a visitor just now."""
    layer: Dict[str, Any] = {"set_up": False, "closed": None, "turns_away": None, "retry_after": "", "problem": ""}
    try:
        setup = reached(read_setup(state_dir))
        found = observe_nginx(setup, note)
    except MaintenanceError as error:
        layer["problem"] = str(error)
        return layer
    if found is None:
        return layer
    layer.update(set_up=setup is not None, closed=found.closed, directory=found.directory, problem=found.problem)
    # As a stranger: this host's own addresses may be let through.
    sites = setup.sites if setup is not None and not setup.unreached else ()
    answers = [ask(site, "/", source=stranger(found.inside)) for site in sites]
    if answers and not any(answer.problem for answer in answers):
        layer["turns_away"] = all(answer.by_nginx for answer in answers)
        layer["retry_after"] = parse_http_date(answers[0].retry_after)
    return layer


def look_at_application(
    options: Optional[Mapping[str, Any]], server: Optional[Dict[str, Any]] = None, notes: Sequence[Leftover] = ()
) -> Dict[str, Any]:
    """The layer of the application.

    Args:
        server: is told how MongoDB serves, as that is connected to.
        notes: of what runs may have left.
    """
    layer: Dict[str, Any] = {
        "looked_at": options is not None,
        "enabled": None,
        "message": None,
        "allow_ips": None,
        "database": "",
        "problem": "",
    }
    if options is None:
        return layer
    try:
        with connect(with_environment(options)) as connection:
            layer["database"] = connection.require_database(options.get("database") or None)
            if server is not None:
                server.update(look_at_serving(connection, notes, boot_id()).as_dict())
            setting = read_setting(connection.client[layer["database"]])
    except MaintenanceError as error:
        layer["problem"] = str(error)
        return layer
    layer.update(
        enabled=setting.enabled,
        message=setting.message,
        allow_ips=list(setting.allow_ips) if setting.allow_ips is not None else None,
        # That there is no setting at all is the ordinary state of a shop that was never in maintenance.
        problem=setting.problem if setting.present else "",
    )
    return layer


CLOCK_STEP = timedelta(minutes=1)
NO_NGINX: Mapping[str, Any] = {"closed": False, "turns_away": None, "problem": ""}


def nginx_problems(flag: Flag, note: Optional[Note], nginx: Mapping[str, Any]) -> List[str]:
    """What is wrong about the layer of nginx. Pure."""
    problems = []
    closed, used = bool(nginx["closed"]), note is not None and bool(note.nginx)
    if closed and nginx["turns_away"] is False:
        problems.append("nginx is to turn visitors away, and serves them")
    if closed and nginx["problem"]:
        problems.append("nginx is to turn visitors away, and %s" % nginx["problem"])
    if closed and not flag.present:
        problems.append("nginx turns visitors away, but there is no flag file")
    if flag.present and used and not closed:
        problems.append("the flag file is there, but nginx turns nobody away")
    if not closed and nginx["turns_away"]:
        problems.append("nginx still turns visitors away")
    if nginx["closed"] is None and nginx["problem"]:
        problems.append(str(nginx["problem"]))
    return problems


def lies_ahead(moment: str, now: datetime) -> bool:
    """Whether a moment that has been is still to come, by more than clocks differ. Pure."""
    try:
        return parse_moment(moment) - now > CLOCK_STEP
    except MaintenanceError:
        return False  # somebody has written it by hand


def merge_layers(
    flag: Flag,
    note: Optional[Note],
    application: Mapping[str, Any],
    now: datetime,
    timer: Optional[Timer] = None,
    nginx: Optional[Mapping[str, Any]] = None,
    stopped: Sequence[str] = (),
) -> Dict[str, Any]:
    """One answer from all layers. Pure.

    timer: None when nobody looked. stopped: names of what was stopped for it and does not run.
    """
    nginx = NO_NGINX if nginx is None else nginx
    enabled = application["enabled"]
    closed = bool(nginx["closed"])
    active = flag.present or bool(enabled) or closed
    problems: List[str] = nginx_problems(flag, note, nginx)
    # Where nginx turns visitors away, the application need not.
    alone = flag.present and enabled is False and not closed and not (note is not None and note.nginx)
    if alone:
        problems.append("the flag file is there, but the application turns nobody away")
    if enabled and not flag.present:
        problems.append("the application turns visitors away, but there is no flag file")
    if note is not None and not active and enabled is not None:
        problems.append("a run was killed while it put maintenance up or took it down; run it again")
    if stopped and not active:
        problems.append(
            "what was stopped for maintenance does not run: %s; exit_maintenance starts it" % ", ".join(stopped)
        )
    if application["problem"] and not (note is not None and note.nginx and "previous" not in note.application):
        problems.append(str(application["problem"]))
    standing = note if active else None
    expired = standing is not None and standing.expired(now)
    if expired and standing is not None:
        problems.append("its end, %s, has passed" % standing.expires)
    if standing is not None and lies_ahead(standing.since, now):
        problems.append(
            "its beginning, %s, lies ahead: the clock of this host was set back, and what is left is longer than was meant"
            % standing.since
        )
    armed = bool(standing is not None and standing.timer)
    if standing is not None and armed and timer is not None and not timer.rings_at(standing.expires):
        armed = False
        problems.append("the timer that is to end it, %s.timer, is not armed" % standing.timer)
    return {
        "active": active,
        "since": standing.since if standing else flag.since,
        "owner": standing.owner if standing else "",
        "reason": standing.reason if standing else flag.reason,
        "expires": standing.expires if standing else "",
        "on_expiry": standing.on_expiry if standing else "",
        "timer": standing.timer if standing else "",
        "timer_armed": armed,
        "expired": expired,
        "nginx": closed,
        "stopped": list(stopped),
        "consistent": not alone
        and not (stopped and not active)
        and not (enabled and not flag.present)
        and not application["problem"]
        and not nginx_problems(flag, note, nginx),
        "problems": problems,
    }


def status_headline(found: Mapping[str, Any], answer: Optional[probe.Probe]) -> str:
    text = "maintenance is not up"
    if found["active"]:
        text = "maintenance is up"
        if found["nginx"]:
            text += " in nginx, which lets health and webhooks through,"
        if found["since"]:
            text += " since %s" % found["since"]
        text += " by %s" % (found["owner"] or "somebody else than this collection")
        if found["reason"]:
            text += ": %s" % found["reason"]
        if found["stopped"]:
            text += ", stopped for it: %s" % ", ".join(found["stopped"])
        if found["expires"]:
            over = "until %s, which has passed" % found["expires"]
            text += " (%s)" % (
                over if found["expired"] else ending(found["expires"], found["on_expiry"], found["timer_armed"])
            )
    if found["problems"]:
        text += "; " + "; ".join(found["problems"])
    if answer is None:
        return text
    words = {"up": "the shop is up", "maintenance": "the shop answers that it is in maintenance"}
    shop = words.get(answer.state, "the shop is %s: %s" % (answer.state, answer.reason))
    return "%s (%.3f s); %s" % (shop, answer.seconds, text)


def stopped_services(note: Optional[Note]) -> Tuple[List[str], List[str]]:
    """What was stopped for maintenance and does not run, and why nobody can tell."""
    if note is None or not note.services:
        return [], []
    states = look_at_noted(note.services)
    unseen = [state.unseen for state in states if state.unseen]
    stopped = [state.service.name for state in states if not state.running and not state.unseen]
    return stopped, ["whether what was stopped for maintenance runs is not known: %s" % why for why in unseen[:1]]


def look_at_files(path: str, state_dir: str) -> Tuple[Flag, Optional[Note], List[str]]:
    """Flag and note, and why one of them cannot be read. A flag that cannot be is there all the same."""
    problems = []
    try:
        flag = read_flag(path)
    except MaintenanceError as error:
        flag = Flag(True)
        problems.append(str(error))
    try:
        return flag, read_note(state_dir), problems
    except MaintenanceError as error:
        return flag, None, [*problems, str(error)]


def maintenance_status(call: Call) -> Report:
    """What the module maintenance_flag_info does."""
    params = call.params
    answer = None
    # First: a database that is down takes its time, and the shop shall not be asked later for it.
    if params["probe_url"] is not None:
        answer = probe.probe(params["probe_url"].strip(), float(params["probe_timeout"]))
        call.run.renew()
    flag, note, unreadable = look_at_files(params["path"], call.run.state_dir)
    server: Dict[str, Any] = {}
    application = look_at_application(params["application_setting"], server, call.run.leftovers.found())
    timer = observe_timer(call.run.state_dir) if note is not None and note.timer else None
    nginx = look_at_nginx(call.run.state_dir, note)
    stopped, unknown = stopped_services(note)
    found = merge_layers(flag, note, application, utc_now(), timer, nginx, stopped)
    found["problems"] += unknown + unreadable
    found["consistent"] = found["consistent"] and not unreadable
    values: Dict[str, Any] = {
        "maintenance": found,
        "layers": {
            "flag": {"present": flag.present, "since": flag.since, "reason": flag.reason, "path": params["path"]},
            "application": application,
            "nginx": nginx,
            "note": {"present": note is not None},
        },
    }
    if answer is not None:
        values["probe"] = answer.as_dict()
    if server:
        values["mongo"] = server
    seen = [*server.get("problems", ()), *server.get("notes", ())]
    if params["certificates"] is not None:
        values["certificates"], values["certificate_problems"] = certificate_values(params["certificates"], utc_now())
        seen = [*values["certificate_problems"], *seen]
    # First, as it is what somebody has to do something about.
    return Report("; ".join([*seen, status_headline(found, answer)]), values=values)


def certificate_values(options: Mapping[str, Any], now: datetime) -> Tuple[List[Dict[str, Any]], List[str]]:
    """The shop's certificates as they are returned, and a sentence for each that has to be looked after."""
    within = parse_duration(options["within"])
    certificates = look_at_certificates(options)
    warnings = [certificate.warning(now, within) for certificate in certificates]
    return [certificate.as_dict(now) for certificate in certificates], [text for text in warnings if text]
