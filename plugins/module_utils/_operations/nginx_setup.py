# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Giving nginx what it needs to turn visitors away, once: the steps of maintenance_nginx.

Our line goes into each server block of the shop, as nothing outside of one can decide about a request. What nginx does not
accept is taken back before it is loaded; a configuration that was broken before is not touched.
"""

from __future__ import annotations

import os
import time
from dataclasses import field, replace
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from .._audit.external_program import Completed
from .._core.atomic_file import sync_directory, write_atomic
from .._core.call import Call
from .._core.errors import MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Outcome, Plan, Report, Results
from .._core.runner import Task
from .._docker.client import resolve_host
from .._flag import nginx_config, visitor
from .._flag.nginx_config import ServerBlock, include_line, include_of
from .._flag.nginx_layer import (
    Setup,
    Site,
    observe_link,
    read_setup,
    remove_layer,
    setup_path,
    strangers_in,
    write_setup,
)
from .._flag.nginx_snippet import SNIPPET, is_snippet, render_snippet
from .nginx_place import NOTE_NAME, ContainerNginx, HostNginx, config_text, finish_write, override_for, reached

PATIENCE, IN_A_ROW = 15.0, 10


@dataclass(frozen=True)
class WriteSnippet:
    """Write the snippet."""

    path: str
    text: str


@dataclass(frozen=True)
class EditServers:
    """Put our line into the shop's server blocks of a file, or take it out."""

    path: str
    include: bool


@dataclass(frozen=True)
class LoadConfiguration:
    """Have nginx check its configuration and load it."""


@dataclass(frozen=True)
class NoteSetup:
    """Note how nginx was set up, for whoever switches it."""

    setup: Setup


@dataclass(frozen=True)
class RemoveSetup:
    """Remove snippet, directory and note."""

    directory: str


SetupWork = Union[WriteSnippet, EditServers, LoadConfiguration, NoteSetup, RemoveSetup]


@dataclass(frozen=True)
class NginxObservation:
    """What was found.

    Attributes:
        problem: why this layer is not applicable on this host, "" when it is. absent: as there is no nginx at all.
        servers: those of the shop. texts: their files as they are, by path.
        snippet: the snippet as it is, "" without one. wanted: as it should be.
        noted: how nginx was set up before. setup: how it is to be.
        loaded: the running nginx knows the snippet as it should be.
        runs_noted: it knows it as it was noted before.
        strangers: names of files in the directory that are not ours.
    """

    problem: str = ""
    absent: bool = False
    servers: Tuple[ServerBlock, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    snippet: str = ""
    wanted: str = field(default="", repr=False)
    noted: Optional[Setup] = None
    setup: Optional[Setup] = None
    loaded: bool = False
    closed: bool = False
    runs_noted: bool = False
    strangers: Tuple[str, ...] = ()


def check_place(seen: NginxObservation, present: bool, snippet_path: str) -> None:
    """That nothing of anybody else is written over or removed. Pure.

    Raises:
        MaintenanceError: the directory is somebody else's, or ours is another one.
    """
    directory = os.path.dirname(snippet_path)
    choose = "Choose a directory for this alone (maintenance_mode_page_directory); it need not exist."
    if seen.snippet and not is_snippet(seen.snippet):
        raise MaintenanceError("this file is not ours, and stays as it is", target=snippet_path, next_step=choose)
    if present and seen.strangers:
        raise MaintenanceError(
            "the directory for what visitors read holds other files",
            target="%s: %s" % (directory, ", ".join(seen.strangers[:3])),
            next_step=choose,
        )
    if seen.noted is not None and seen.noted.directory != directory:
        raise MaintenanceError(
            "nginx was set up with another directory",
            target=seen.noted.directory,
            next_step="Set directory back to that (maintenance_mode_page_directory), or take it back first: state: absent, "
            "with that directory.",
        )


def plan_setup(seen: NginxObservation, present: bool, snippet_path: str) -> Plan[SetupWork]:
    """What to do. Pure."""
    plan: Plan[SetupWork] = Plan()
    check_place(seen, present, snippet_path)
    directory = os.path.dirname(snippet_path)
    include = include_of(directory)
    if present and (seen.problem or seen.setup is None):
        plan.kept.append(Kept("nginx", "not applicable: %s" % seen.problem))
        if not seen.absent:
            plan.warnings.append("nginx cannot turn visitors away: %s" % seen.problem)
        return plan
    if not present and seen.closed:
        raise MaintenanceError(
            "nginx turns visitors away just now", target=directory, next_step="Take maintenance down first."
        )
    if present and seen.snippet != seen.wanted:
        why = "it is another one" if seen.snippet else "there is none"
        plan.actions.append(Action("write_snippet", snippet_path, why, WriteSnippet(snippet_path, seen.wanted)))
    for path in sorted({server.path for server in seen.servers}):
        mine = [server for server in seen.servers if server.path == path]
        names = ", ".join(server.host for server in mine)
        if present and any(include not in server.includes for server in mine):
            why = "the shop's server there does not include it: %s" % names
            plan.actions.append(Action("include_snippet", path, why, EditServers(path, True)))
        elif not present and any(include in server.includes for server in mine):
            plan.actions.append(
                Action("exclude_snippet", path, "it is not wanted any more: %s" % names, EditServers(path, False))
            )
        else:
            plan.kept.append(Kept(path, "includes it already" if present else "does not include it"))
    if plan.actions or (present and not seen.loaded):
        plan.actions.append(
            Action("load_configuration", "nginx", "checked first; visitors are not interrupted", LoadConfiguration())
        )
    if present and seen.setup is not None and seen.noted != seen.setup:
        plan.actions.append(
            Action("note_setup", "note in the state directory", "for whoever switches it", NoteSetup(seen.setup))
        )
    if not present and (seen.noted is not None or seen.snippet):
        plan.actions.append(Action("remove_setup", directory, "it is not wanted any more", RemoveSetup(directory)))
    return plan


class MaintenanceNginx(Task[NginxObservation]):
    """Set nginx up for maintenance, or take that back."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.present = self.params["state"] == "present"
        self.directory = os.path.normpath(self.params["directory"])
        self.snippet_path = os.path.join(self.directory, SNIPPET)
        self.include = include_of(self.directory)
        self.check = call.check
        self.file_note = os.path.join(self.run.state_dir, NOTE_NAME)
        self.place: Optional[Union[HostNginx, ContainerNginx]] = None

    def _open_place(self) -> Union[HostNginx, ContainerNginx]:
        if self.place is None:
            name, config = self.params["container"] or "", self.params["config"] or ""
            if name:
                engine = resolve_host(self.params["docker_host"])
                self.place = ContainerNginx(name, engine, config, self.directory, self.file_note)
            else:
                self.place = HostNginx(self.params["program"] or "", config)
        return self.place

    # -- the steps ---------------------------------------------------------------------------------------------------

    def observe(self) -> NginxObservation:
        wanted = render_snippet(self.directory, self.params["open_paths"])
        noted = reached(read_setup(self.run.state_dir))
        known = NginxObservation(
            snippet=config_text(self.snippet_path),
            wanted=wanted,
            noted=noted,
            closed=observe_link(self.directory).closed,
            runs_noted=noted is not None and not visitor.loaded_problem(noted),
            strangers=tuple(strangers_in(self.directory)),
        )
        if not self.check:
            # Before nginx is asked: it does not accept a half of a file.
            finish_write(self.file_note)
        nginx = self._open_place()
        if nginx.missing:
            return _but(replace(known, absent=not nginx.container), problem=nginx.missing)
        dumped = nginx.run("-T")
        if dumped.status:
            problem = "its configuration is broken already: %s" % _complaint(dumped)
            if known.runs_noted:
                problem += "; what it still runs with turns visitors away, until it is restarted"
            return _but(known, problem=problem)
        found = nginx.read(nginx_config.split_dump(dumped.output.decode("utf-8", "surrogateescape")), self.snippet_path)
        if found.problem:
            return _but(known, problem=found.problem)
        texts = found.texts
        servers = tuple(server for server in found.servers if self._is_ours(nginx, server))
        if not servers:
            return _but(known, problem="none of its %d servers serves the shop" % len(found.servers))
        sites: List[Site] = []
        for server in servers:
            listen = nginx_config.chosen_listen(server)
            if listen is None:
                return _but(known, problem="its server %s cannot be asked from this host" % server.host)
            site = Site(server.host, listen.address, listen.port, listen.tls, nginx.container, nginx.pid)
            if site not in sites:
                sites.append(site)
        files = tuple(sorted({server.path for server in servers}))
        setup = Setup(
            self.directory,
            _digest_in(wanted),
            tuple(sites),
            tuple(self.params["open_paths"]),
            files,
            nginx.container,
            nginx.docker_host,
        )
        for site in sites:
            answer = visitor.ask(site, "/", "HEAD")
            if answer.problem:
                return _but(known, problem="it does not run: %s" % answer.problem, servers=servers, texts=texts)
        return replace(
            known,
            servers=servers,
            texts={path: texts[path] for path in files},
            setup=setup,
            loaded=not visitor.loaded_problem(setup),
        )

    def _is_ours(self, nginx: Union[HostNginx, ContainerNginx], server: ServerBlock) -> bool:
        if not self.present and self.include in server.includes:
            return True
        if self.params["server_names"]:
            return bool(set(server.names) & set(self.params["server_names"]))
        ports = [port for port in (self.params["api_port"], self.params["frontend_port"]) if port]
        return nginx.serves_shop(server, ports, self.params["root"])

    def plan(self, observation: NginxObservation, now: datetime) -> Plan[SetupWork]:
        return plan_setup(observation, self.present, self.snippet_path)

    def _write_snippet(self, action: Action[WriteSnippet], observation: NginxObservation) -> Outcome:
        try:
            if not os.path.isdir(self.directory):
                os.mkdir(self.directory)
                os.chmod(self.directory, 0o755)  # noqa: S103  # nginx's workers look into it, whatever the umask
                sync_directory(os.path.dirname(self.directory))
            write_atomic(action.work.path, action.work.text.encode("utf-8"), 0o644)
        except OSError as error:
            raise from_os_error(
                "cannot write the snippet for nginx",
                error,
                target=action.work.path,
                missing="Make the directory above it, or set directory.",
            ) from error
        return Outcome()

    def _edit(self, action: Action[EditServers], observation: NginxObservation) -> Outcome:
        path, text = action.work.path, observation.texts[action.work.path]
        if config_text(path) != text:
            raise MaintenanceError(
                "somebody else has just changed nginx's configuration", target=path, next_step="Run it again."
            )
        if action.work.include:
            missing = [s.offset for s in observation.servers if s.path == path and self.include not in s.includes]
            changed = nginx_config.with_includes(text, missing, self.include)
        else:
            changed = nginx_config.without_includes(text, self.include)
        self._open_place().write(path, changed)
        return Outcome()

    def _load(self, action: Action[LoadConfiguration], observation: NginxObservation) -> Outcome:
        nginx = self._open_place()
        tested = nginx.run("-t")
        if tested.status:
            complaint = _complaint(tested)
            raise MaintenanceError(
                "nginx does not accept its configuration: %s" % complaint,
                target=", ".join(observation.setup.files if observation.setup else ()),
                code=tested.status,
                next_step=self._take_back(observation),
            )
        reloaded = nginx.run("-s", "reload")
        if reloaded.status:
            raise MaintenanceError(
                "nginx could not be told to load its configuration: %s" % _complaint(reloaded),
                code=reloaded.status,
                next_step="Does it run? Its configuration is in order: systemctl reload nginx loads it.",
            )
        if self.present and observation.setup is not None:
            problem = _wait_until_loaded(observation.setup)
            if problem:
                raise MaintenanceError(
                    "nginx accepted its configuration and was told to load it, but %s" % problem,
                    next_step="Look at its error log, then run it again.",
                )
        return Outcome()

    def _take_back(self, observation: NginxObservation) -> str:
        """Undo what this call, or a killed one before it, has written; what became of that, in words."""
        if not self.present:
            return "Nothing of it was loaded. Put it in order, then run it again."
        for path, text in observation.texts.items():
            now = config_text(path)
            # Only what nginx runs with already may stay: without it, a later reload would open a shop that is closed.
            runs = observation.loaded or observation.runs_noted
            before = text if runs else nginx_config.without_includes(now, self.include)
            if before != now:
                self._open_place().write(path, before)
        if observation.snippet and observation.snippet != observation.wanted:
            write_atomic(self.snippet_path, observation.snippet.encode("utf-8"), 0o644)
        again = self._open_place().run("-t")
        if again.status:
            return "Our lines were taken out again, and it still does not: %s" % _complaint(again)
        return "Our lines were taken out again, nothing was loaded, and nginx goes on as before."

    def _note(self, action: Action[NoteSetup], observation: NginxObservation) -> Outcome:
        write_setup(self.run.state_dir, action.work.setup)
        return Outcome()

    def _remove(self, action: Action[RemoveSetup], observation: NginxObservation) -> Outcome:
        if observe_link(self.directory).closed:
            raise MaintenanceError(
                "somebody has just put up maintenance", target=self.directory, next_step="Take it down first."
            )
        noted = observation.noted
        remove_layer(self.directory, bool(self.params["container"] or (noted is not None and noted.container)))
        try:
            if os.path.lexists(setup_path(self.run.state_dir)):
                os.unlink(setup_path(self.run.state_dir))
        except OSError as error:
            raise from_os_error("cannot remove what nginx was given", error, target=self.directory) from error
        return Outcome()

    handlers = {
        WriteSnippet: _write_snippet,
        EditServers: _edit,
        LoadConfiguration: _load,
        NoteSetup: _note,
        RemoveSetup: _remove,
    }

    def close(self) -> None:
        if self.place is not None:
            self.place.close()

    def report(
        self, observation: NginxObservation, plan: Plan[SetupWork], results: Results[SetupWork, NginxObservation]
    ) -> Report:
        setup, problem = observation.setup, observation.problem
        values: Dict[str, Any] = {
            "applicable": not problem,
            "reason": problem,
            "servers": [site.label for site in setup.sites] if setup else [],
            "directory": self.directory,
        }
        if isinstance(self.place, ContainerNginx):
            values["compose_override"] = override_for(self.place.service, self.directory)
        if results.failed:
            headline = "nginx was not set up for maintenance"
        elif problem and self.present:
            headline = "nginx is not used for maintenance: %s" % problem
        elif not results.effective:
            headline = "nginx is set up for maintenance" if self.present else "nginx is not set up for maintenance"
        elif self.present:
            done = results.words("was set up", "would be set up")
            headline = "nginx %s for maintenance, for %s" % (done, ", ".join(values["servers"]))
        else:
            headline = "what nginx was given for maintenance %s" % results.words("was removed", "would be removed")
        return Report(headline, bool(results.effective), values=values)

    def diff(self, observation: NginxObservation, plan: Plan[Any]) -> Optional[Dict[str, Any]]:
        before, after = [], []
        for action in plan.actions:
            if isinstance(action.work, WriteSnippet):
                before.append("%s:\n%s" % (self.snippet_path, observation.snippet))
                after.append("%s:\n%s" % (self.snippet_path, observation.wanted))
            elif isinstance(action.work, EditServers):
                for server in [item for item in observation.servers if item.path == action.work.path]:
                    block = "%s: server %s {\n" % (server.path, server.host)
                    line = include_line(self.include).lstrip("\n") + "\n"
                    before.append(block + ("" if action.work.include else line))
                    after.append(block + (line if action.work.include else ""))
        return {"before": "".join(before), "after": "".join(after)} if before else None


def _but(
    seen: NginxObservation, problem: str, servers: Sequence[ServerBlock] = (), texts: Optional[Mapping[str, str]] = None
) -> NginxObservation:
    """The same, with why this layer is not applicable."""
    used = {server.path for server in servers}
    kept = {path: text for path, text in (texts or {}).items() if path in used}
    return replace(seen, problem=problem, servers=tuple(servers), texts=kept)


def _wait_until_loaded(setup: Setup) -> str:
    """Wait until nginx answers by the new configuration and nothing else; why it does not, "" when it does.

    For a moment workers of before and after take requests side by side: one good answer is not enough.
    """
    deadline, good = time.monotonic() + PATIENCE, 0
    while True:
        problem = visitor.loaded_problem(setup)
        good = 0 if problem else good + 1
        if good == IN_A_ROW or time.monotonic() > deadline:
            return problem
        time.sleep(0.03)


def _digest_in(snippet: str) -> str:
    """The digest that the first line of a snippet tells."""
    return snippet.split("\n", 1)[0].rpartition(" ")[2]


def _complaint(done: Completed) -> str:
    """What nginx says is wrong."""
    lines = done.errors.decode("utf-8", "replace").strip().splitlines()
    loud = [line for line in lines if "[emerg]" in line or "[alert]" in line]
    return (loud or lines or ["it ended with %d, without a word" % done.status])[0].replace("nginx: ", "").strip()
