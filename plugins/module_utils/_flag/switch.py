# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deciding what to do to put maintenance up or take it down, layer by layer. Pure.

The order is the safety: on entry our note comes first and the application last, on exit the application first and the note
last. Killed in between, the note still tells the next run whose maintenance it was and how everything was before. The timer
that ends maintenance stands around all of it: without maintenance it does no harm, maintenance without it does.
"""

from __future__ import annotations

from dataclasses import asdict, field, replace
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Plan
from .flag_file import Flag, Note, flag_line, moment_text, one_line, parse_expires, parse_flag
from .nginx_layer import Nginx, digest_files
from .page import Closing, Texts, render_files
from .services import Service, ServiceState, to_note, to_start
from .timer import Timer, render_timer

NOBODY = "somebody else than this collection"
NOTE_TARGET = "note in the state directory"
AUTO, FLAG, NGINX, APPLICATION = "auto", "flag", "nginx", "application"
LAYERS = (AUTO, FLAG, NGINX, APPLICATION)
BLOCKED = "its health endpoint, payment webhooks and its administration included"


@dataclass(frozen=True)
class Application:
    """The application's own setting, as far as deciding needs it.

    Attributes:
        enabled: visitors are turned away now.
        change: what would have to be written to get where we want, as before and after of the maintenance block; None when
            nothing.
        remember: how it is now, to be put back later.
        place: env_file, address and database, to find it again.
    """

    enabled: bool
    change: Optional[Tuple[str, str]] = None
    remember: Mapping[str, Any] = field(default_factory=dict)
    place: Mapping[str, Any] = field(default_factory=dict)
    target: str = ""


@dataclass(frozen=True)
class Layers:
    """Everything that is known. application and timer are None when that layer was not asked for, nginx where it was never set up.

    live_run: id of the run that holds the host, "" when none does.
    unseen: why the application's setting could not be looked at, "" when it was, or was not asked for.
    nginx_unknown: why nobody can tell how nginx was set up.
    services: what the note says was stopped, and what is to be.
    """

    flag: Flag
    note: Optional[Note]
    application: Optional[Application] = None
    timer: Optional[Timer] = None
    live_run: str = ""
    nginx: Optional[Nginx] = None
    unseen: str = ""
    nginx_unknown: str = ""
    services: Tuple[ServiceState, ...] = ()


NO_TEXTS = Texts()


@dataclass(frozen=True)
class Policy:
    """What is wanted; see the options of maintenance_flag. expires is the option's text, "" for no end."""

    state: str
    path: str
    owner: str
    reason: str = ""
    expires: str = ""
    on_expiry: str = "alert"
    force: bool = False
    run_id: str = ""
    visitor_message: Optional[str] = None
    allow_ips: Optional[Tuple[str, ...]] = None
    around_run: bool = False
    layers: Tuple[str, ...] = (AUTO,)
    texts: Texts = NO_TEXTS


@dataclass(frozen=True)
class WriteNote:
    """Write our note. overwrite: also over somebody else's."""

    note: Note
    overwrite: bool = False


@dataclass(frozen=True)
class RemoveNote:
    """Remove our note, and what a killed run may have left of a flag beside path."""

    path: str


@dataclass(frozen=True)
class WriteFlag:
    """Write the flag file."""

    path: str
    line: str


@dataclass(frozen=True)
class RemoveFlag:
    """Remove the flag file."""

    path: str


@dataclass(frozen=True)
class SwitchApplicationOn:
    """Let the application turn visitors away. None leaves what is set there."""

    visitor_message: Optional[str] = None
    allow_ips: Optional[Tuple[str, ...]] = None


@dataclass(frozen=True)
class SwitchApplicationOff:
    """Let the application serve everybody again, with the setting as it was before, as far as our note knows it."""


@dataclass(frozen=True)
class CloseNginx:
    """Let nginx turn visitors away with these files, until a moment in UTC, "" for no end."""

    directory: str
    until: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class OpenNginx:
    """Let nginx serve everybody again."""

    directory: str


@dataclass(frozen=True)
class StopService:
    """Stop what our note says is to be started again."""

    service: Service


@dataclass(frozen=True)
class StartService:
    """Start what was stopped for maintenance."""

    service: Service


@dataclass(frozen=True)
class ArmTimer:
    """Have the host's timer end maintenance at that time, in UTC."""

    expires: str


@dataclass(frozen=True)
class DisarmTimer:
    """Remove the host's timer."""


SwitchWork = Union[
    WriteNote,
    RemoveNote,
    WriteFlag,
    RemoveFlag,
    SwitchApplicationOn,
    SwitchApplicationOff,
    CloseNginx,
    OpenNginx,
    StopService,
    StartService,
    ArmTimer,
    DisarmTimer,
]


def is_up(layers: Layers) -> bool:
    enabled = bool(layers.application and layers.application.enabled)
    return layers.flag.present or enabled or bool(layers.nginx and layers.nginx.closed)


@dataclass(frozen=True)
class LayerChoice:
    """The layers that turn visitors away. why: why it is not nginx, "" when it is, or when nobody asked for a choice."""

    nginx: bool
    application: bool
    why: str = ""


def choose_layers(layers: Layers, policy: Policy) -> LayerChoice:
    """Which layers maintenance is to be in, beside the flag file. Pure.

    What is up stays up: nothing is opened by putting up maintenance again.

    Raises:
        MaintenanceError: a layer was named that cannot be had.
    """
    nginx, note = layers.nginx, standing_note(layers)
    problem = layers.nginx_unknown or ("nginx was not set up for it" if nginx is None else nginx.problem)
    wanted = set(policy.layers)
    if AUTO in wanted:
        use_nginx, use_application = not problem, bool(problem)
    else:
        use_nginx, use_application = NGINX in wanted, APPLICATION in wanted
        if use_nginx and problem:
            raise MaintenanceError(
                "the layer nginx cannot be put up: %s" % problem,
                target=nginx.directory if nginx else "",
                next_step="Set it up with maintenance_nginx (maintenance_mode_nginx=auto), or leave layers at auto.",
            )
        if use_application and layers.application is None:
            raise MaintenanceError(
                "the layer application cannot be put up: how to reach it is not known",
                next_step="Give application_setting as well.",
            )
    if note is not None:
        use_nginx = use_nginx or bool(note.nginx and nginx is not None and nginx.closed)
        mine = "previous" in note.application and bool(layers.application and layers.application.enabled)
        use_application = use_application or mine
    return LayerChoice(use_nginx, use_application and layers.application is not None, problem if AUTO in wanted else "")


def needs_application(layers: Layers, policy: Policy) -> bool:
    """Whether maintenance cannot be put up without the application's setting, for all that is known without it. Pure."""
    if layers.note is not None and "previous" in layers.note.application:
        return True
    if AUTO in policy.layers:
        return layers.nginx is None or bool(layers.nginx.problem)
    return APPLICATION in policy.layers


def standing_note(layers: Layers) -> Optional[Note]:
    """Our note, unless it is what a killed run left of maintenance that is not up (any more, or yet)."""
    note = layers.note
    if note is None or is_up(layers):
        return note
    unseen = layers.application is None and bool(note.application.get("previous") is not None)
    return note if unseen else None


def owner_of(layers: Layers) -> str:
    """Who put maintenance up: "" when it is not up, NOBODY when no note of ours says."""
    note = standing_note(layers)
    if note is not None:
        return note.owner
    return NOBODY if is_up(layers) else ""


def is_left_behind(layers: Layers) -> bool:
    """Whether maintenance was put up around a run that is over or dead: then it is nobody's any more."""
    note = standing_note(layers)
    return note is not None and bool(note.around_run) and note.around_run != layers.live_run


def check_owner(layers: Layers, policy: Policy) -> None:
    """Raises MaintenanceError: it is somebody else's maintenance, and force is not set."""
    owner = owner_of(layers)
    if not owner or owner == policy.owner or policy.force or is_left_behind(layers):
        return
    note, flag = layers.note, layers.flag
    since = note.since if note else flag.since
    reason = note.reason if note else flag.reason
    where = []
    if flag.present:
        where.append("the flag file")
    if layers.application and layers.application.enabled:
        where.append("the application's own setting")
    if layers.nginx and layers.nginx.closed:
        where.append("nginx")
    raise MaintenanceError(
        "maintenance was put up by %s%s%s%s"
        % (
            owner,
            " at %s" % since if since else "",
            ", because: %s" % reason if reason else "",
            " (%s)" % " and ".join(where) if where else "",
        ),
        target=policy.path,
        next_step="Ask them first. To %s it nevertheless, set force: true (maintenance_mode_force=true); this run is that of %s."
        % ("take over" if policy.state == "present" else "take down", policy.owner),
        details={"owner": owner},
    )


def wanted_note(layers: Layers, policy: Policy, now: datetime) -> Note:
    """The note that maintenance is to have."""
    old = standing_note(layers)
    mine = old is not None and old.owner == policy.owner
    since = layers.flag.since or moment_text(now)
    if old is not None and old.since:
        since = old.since
    expires, option = "", policy.expires
    if option:
        # The same words again mean the same window, not a new one: else a repeated run would never come to rest.
        if mine and old is not None and old.expires_option == option and old.expires and not old.expired(now):
            expires = old.expires
        else:
            expires = moment_text(parse_expires(option, now))
    application = dict(old.application) if old is not None else {}
    choice = choose_layers(layers, policy)
    if layers.application is not None and choice.application:
        if not layers.application.enabled or "previous" not in application:
            application["previous"] = dict(layers.application.remember)
        application.update(layers.application.place)
    return Note(
        policy.owner,
        since,
        one_line(policy.reason),
        policy.path,
        expires,
        option,
        policy.on_expiry,
        application,
        policy.run_id if not mine or old is None else old.run_id,
        _timer_of(layers, old, expires),
        policy.run_id if policy.around_run else "",
        layers.nginx.directory if layers.nginx is not None and choice.nginx else "",
        to_note(layers.services, layers.note.services if layers.note is not None else (), old is not None),
    )


def _timer_of(layers: Layers, old: Optional[Note], expires: str) -> str:
    """Name of the timer that ends maintenance at that time, "" when there is to be none."""
    if layers.timer is None:
        return old.timer if old is not None and old.expires == expires else ""
    return layers.timer.unit if expires and not layers.timer.problem else ""


def plan_timer(layers: Layers, note: Note, plan: Plan[SwitchWork]) -> List[Action[SwitchWork]]:
    """Plan the timer of maintenance that is to be up: its arming goes into the plan, its removal is returned."""
    timer = layers.timer
    if timer is None:
        return []
    if not note.expires:
        if timer.installed and not timer.problem:
            return [Action("disarm_timer", timer.unit, "maintenance has no end any more", DisarmTimer())]
        return []
    if timer.problem:
        plan.warnings.append(
            "no timer will end maintenance at %s: %s. Take it down in time, or have maintenance_flag_info tell when it is over"
            % (note.expires, timer.problem)
        )
        return []
    if note.on_expiry == "lift" and "previous" in note.application and not note.application.get("env_file"):
        plan.warnings.append(
            "the timer will not be able to switch the application back on, as a connection string is not remembered: "
            "give application_setting.env_file instead of uri"
        )
    if timer.armed_for(note.expires):
        plan.kept.append(Kept(timer.unit, "is armed for %s already" % note.expires))
        return []
    then = "takes maintenance down" if note.on_expiry == "lift" else "alerts"
    again = "" if not timer.rings_at(note.expires) else "; it was made by another version or for another Python"
    plan.actions.append(
        Action("arm_timer", timer.unit, "it %s at %s%s" % (then, note.expires, again), ArmTimer(note.expires))
    )
    return []


def plan_present(layers: Layers, policy: Policy, now: datetime) -> Plan[SwitchWork]:
    """Raises MaintenanceError: it is somebody else's, or the expiry makes no sense."""
    check_owner(layers, policy)
    note = wanted_note(layers, policy, now)
    plan: Plan[SwitchWork] = Plan()
    removal = plan_timer(layers, note, plan)
    if note != layers.note:
        why = "to know who closed the shop, and how it was before"
        if layers.note is not None:
            changed = [key for key, value in asdict(note).items() if value != asdict(layers.note)[key]]
            why = "changed: " + ", ".join(sorted(changed))
        plan.actions.append(
            Action("write_note", NOTE_TARGET, why, WriteNote(note, policy.force or is_left_behind(layers)))
        )
    else:
        plan.kept.append(Kept(NOTE_TARGET, "says so already"))
    line = flag_line(note.since, note.reason)
    if layers.flag.line != line:
        why = "its text is another one" if layers.flag.present else "there is none"
        plan.actions.append(Action("write_flag", policy.path, why, WriteFlag(policy.path, line)))
    else:
        plan.kept.append(Kept(policy.path, "says so already"))
    choice = choose_layers(layers, policy)
    if layers.nginx is not None and choice.nginx:
        plan_nginx(layers.nginx, note, policy, plan)
    elif choice.why:
        plan.kept.append(Kept(layers.nginx.target if layers.nginx else NGINX, "not applicable: %s" % choice.why))
    application = layers.application
    if not choice.nginx and not choice.application:
        plan.warnings.append(
            "the application was not told, and turns nobody away by the flag file: give application_setting as well"
            if application is None
            else "nobody is turned away: of the layers that do so, none was asked for"
        )
    elif application is None or not choice.application:
        if application is not None:
            plan.kept.append(
                Kept(application.target, "not used: nginx turns visitors away, and lets through what must stay open")
            )
    elif application.change is not None:
        why = "its message or its allowed addresses are others" if application.enabled else "it serves everybody"
        if choice.why and (layers.nginx is not None or layers.nginx_unknown):
            plan.warnings.append(
                "the application answers 503 to everything, %s: it is the only layer that can turn visitors away, as %s"
                % (BLOCKED, choice.why)
            )
        work = SwitchApplicationOn(policy.visitor_message, policy.allow_ips)
        plan.actions.append(Action("switch_application_on", application.target, why, work))
    else:
        plan.kept.append(Kept(application.target, "is on already"))
    plan_stops(layers, choice, plan)
    plan.actions.extend(removal)
    return plan


def plan_stops(layers: Layers, choice: LayerChoice, plan: Plan[SwitchWork]) -> None:
    """Plan the stopping of services, after visitors are turned away."""
    wanted = [state for state in layers.services if state.wanted]
    for state in wanted:
        if state.running:
            why = "it is started again when maintenance is over"
            plan.actions.append(Action("stop_service", state.service.target, why, StopService(state.service)))
        elif layers.note is not None and state.service in layers.note.services:
            plan.kept.append(Kept(state.service.target, "is stopped already"))
        else:
            plan.kept.append(Kept(state.service.target, "does not run, and will not be started"))
    if wanted and choice.application and not choice.nginx:
        plan.warnings.append(
            "the application turns visitors away only while it runs with its database: where these are stopped, visitors get an error "
            "in place of your message"
        )


def plan_nginx(nginx: Nginx, note: Note, policy: Policy, plan: Plan[SwitchWork]) -> None:
    """Plan the layer of nginx of maintenance that is to be up."""
    closing = Closing(
        note.reason, note.expires, policy.visitor_message or "", (policy.allow_ips or ()) + (nginx.inside,)
    )
    files = render_files(policy.texts, closing)
    if nginx.closed and nginx.found == digest_files(files, note.expires) and not nginx.leftovers:
        plan.kept.append(Kept(nginx.target, "turns visitors away already"))
        return
    why = "what it tells visitors has changed" if nginx.closed else "it serves everybody"
    assumes = "that maintenance_nginx has set it up" if nginx.assumed else ""
    work = CloseNginx(nginx.directory, note.expires, files)
    plan.actions.append(Action("close_nginx", nginx.target, why, work, assumes=assumes))


def remains(layers: Layers) -> str:
    """What cannot be taken down or started again now, as it cannot be looked at; "" when that does not matter. Pure."""
    note, found = layers.note, []
    # That layer may never have been put up.
    if layers.unseen and (note is None or "previous" in note.application):
        unseen = layers.unseen.rstrip(".")
        found.append(
            "the application may still turn visitors away: its own setting could not be looked at (%s)" % unseen
        )
    silent = [
        state for state in layers.services if state.unseen and note is not None and state.service in note.services
    ]
    if silent:
        names = ", ".join(state.service.target for state in silent)
        why = silent[0].unseen.rstrip(".")
        found.append("what was stopped for maintenance may not run: %s could not be looked at (%s)" % (names, why))
    return "; ".join(found)


def plan_starts(layers: Layers, plan: Plan[SwitchWork]) -> None:
    """Plan the starting of what was stopped, before visitors are let in."""
    noted = layers.note.services if layers.note is not None else ()
    for service in to_start(layers.services, noted):
        why = "it was stopped for maintenance"
        plan.actions.append(Action("start_service", service.target, why, StartService(service)))
    for state in layers.services:
        if state.service in noted and state.unseen:
            plan.kept.append(Kept(state.service.target, "cannot be looked at: %s" % state.unseen))
        elif state.service in noted and state.running:
            plan.kept.append(Kept(state.service.target, "runs already"))
        elif state.service in noted and not state.present:
            plan.kept.append(Kept(state.service.target, "is not there any more"))
            plan.warnings.append(
                "%s was stopped for maintenance and is not there any more: whoever has removed it has to make it anew"
                % state.service.target
            )


def plan_absent(layers: Layers, policy: Policy) -> Plan[SwitchWork]:
    """Raises MaintenanceError: it is somebody else's, or the application's layer was put up and cannot be found again."""
    check_owner(layers, policy)
    plan: Plan[SwitchWork] = Plan()
    application, note = layers.application, layers.note
    plan_starts(layers, plan)
    if layers.unseen and note is not None and "previous" not in note.application:
        plan.warnings.append(
            "the application's own setting, which was not put up, could not be looked at: %s" % layers.unseen
        )
    if application is not None:
        strangers = note is not None and bool(note.nginx) and "previous" not in note.application
        if application.enabled and strangers and not policy.force:
            plan.kept.append(Kept(application.target, "somebody else has switched it on"))
            plan.warnings.append(
                "the application still turns visitors away: somebody else has switched it on. To switch it off as well, set "
                "force: true (maintenance_mode_force=true)"
            )
        elif application.change is not None:
            plan.actions.append(
                Action("switch_application_off", application.target, "it turns visitors away", SwitchApplicationOff())
            )
        else:
            plan.kept.append(Kept(application.target, "is off already"))
    nginx = layers.nginx
    if nginx is not None:
        if nginx.closed or nginx.leftovers:
            why = "it turns visitors away" if nginx.closed else "a killed run has left a part of it"
            plan.actions.append(Action("open_nginx", nginx.target, why, OpenNginx(nginx.directory)))
        else:
            plan.kept.append(Kept(nginx.target, "serves everybody already"))
    if remains(layers):
        # The flag goes on telling people that it is not over; note and timer are what is needed to finish it.
        plan.kept.append(Kept(policy.path, remains(layers)))
        return plan
    if layers.flag.present:
        plan.actions.append(Action("remove_flag", policy.path, "maintenance is over", RemoveFlag(policy.path)))
    else:
        plan.kept.append(Kept(policy.path, "is not there"))
    if layers.note is not None:
        plan.actions.append(
            Action("remove_note", NOTE_TARGET, "nothing is left to be put back", RemoveNote(policy.path))
        )
    if layers.timer is not None and layers.timer.installed and not layers.timer.problem:
        plan.actions.append(Action("disarm_timer", layers.timer.unit, "maintenance is over", DisarmTimer()))
    return plan


def plan_switch(layers: Layers, policy: Policy, now: datetime) -> Plan[SwitchWork]:
    """What to do, in the order in which it is safe."""
    return plan_present(layers, policy, now) if policy.state == "present" else plan_absent(layers, policy)


def note_of(layers: Layers, plan: Plan[SwitchWork]) -> Optional[Note]:
    """The note that stands when a plan has been carried out; None when there is none."""
    note = layers.note
    for action in plan.actions:
        if isinstance(action.work, WriteNote):
            note = action.work.note
        elif isinstance(action.work, RemoveNote):
            note = None
    return note


def previous_of(layers_note: Optional[Note]) -> Optional[Dict[str, Any]]:
    """How the application's setting was before we switched it on, None when we do not know."""
    found = layers_note.application.get("previous") if layers_note is not None else None
    return dict(found) if isinstance(found, dict) else None


def names_of(note: Note) -> List[str]:
    """The layers that a note tells of."""
    found = [FLAG]
    if note.nginx:
        found.append(NGINX)
    if "previous" in note.application:
        found.append(APPLICATION)
    return found


def who_turns_away(note: Note) -> str:
    """Who turns visitors away, and what that blocks, in words."""
    names = names_of(note)
    if APPLICATION in names:
        both = "nginx and the application turn" if NGINX in names else "the application turns"
        return "%s visitors away, health and webhooks included" % both
    return "nginx turns visitors away, health and webhooks stay open" if NGINX in names else "nobody is turned away"


def layers_after(layers: Layers, plan: Plan[SwitchWork]) -> Layers:
    """The layers as they are when a plan has been carried out, for the difference shown."""
    done = replace(layers, note=note_of(layers, plan))
    for action in plan.actions:
        work = action.work
        if isinstance(work, WriteFlag):
            done = replace(done, flag=parse_flag(work.line))
        elif isinstance(work, RemoveFlag):
            done = replace(done, flag=Flag(False))
        elif isinstance(work, (SwitchApplicationOn, SwitchApplicationOff)) and done.application is not None:
            enabled = isinstance(work, SwitchApplicationOn)
            done = replace(done, application=replace(done.application, enabled=enabled, change=None))
        elif isinstance(work, (CloseNginx, OpenNginx)) and done.nginx is not None:
            done = replace(done, nginx=replace(done.nginx, closed=isinstance(work, CloseNginx)))
        elif isinstance(work, (StopService, StartService)):
            runs = isinstance(work, StartService)
            states = [replace(s, running=runs) if s.service == work.service else s for s in done.services]
            done = replace(done, services=tuple(states))
        elif isinstance(work, (ArmTimer, DisarmTimer)) and done.timer is not None:
            units = render_timer(work.expires) if isinstance(work, ArmTimer) else ""
            done = replace(done, timer=replace(done.timer, timer=units, service=""))
    return done


def render_layers(layers: Layers, policy: Policy, block: Optional[str]) -> str:
    """The layers as text, for diff mode.

    Args:
        block: the application's maintenance block at that time; None when that layer is not looked at.
    """
    lines = ["flag %s: %s" % (policy.path, layers.flag.line if layers.flag.present else "absent")]
    if block is not None:
        lines.append("application: %s" % (block or "no setting"))
    if layers.nginx is not None:
        lines.append("nginx: %s" % ("turns visitors away" if layers.nginx.closed else "serves everybody"))
    for state in layers.services:
        seen = "runs" if state.running else "stopped"
        lines.append("%s: %s" % (state.service.target, "not known" if state.unseen else seen))
    note = layers.note
    if note is None:
        lines.append("note: absent")
    else:
        expiry = "%s (%s)" % (note.expires, note.on_expiry) if note.expires else "never"
        lines.append("note: owner %s, since %s, expires %s, reason %s" % (note.owner, note.since, expiry, note.reason))
    if layers.timer is not None and not layers.timer.problem:
        lines.append("timer %s: %s" % (layers.timer.unit, layers.timer.moment or "absent"))
    return "".join(line + "\n" for line in lines)
