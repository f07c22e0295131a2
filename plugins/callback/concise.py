# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person wants to read of a run: what changed, what failed and why, that it lives, and how it ended on all hosts."""

from __future__ import annotations

DOCUMENTATION = r"""
name: concise
type: stdout
short_description: What changed, what failed and why, and how the run ended on all hosts
version_added: 0.1.0
description:
  - Prints one line for each task that changed something or failed. What went well without a change, what was skipped and the checks of roles' arguments
    are left out, and so are the results of failed tasks but for their message.
  - When nothing was printed for four seconds it says which task is running; after a minute it does so less often.
  - Where the record of a host's run lies on this machine and may be read, as when the maintained host is the controller itself and the playbook is
    run as root, it also says how far a module has come that carries out several actions. That is which action and on what, how many of how
    many, the bytes so far, and how long the rest may take. Of a host that is reached with P(ansible.builtin.ssh#connection) it says the same of the
    modules for compaction, orphans, audits and logs; it reads the record there every few seconds, with a connection and the become method of the
    task's own. Of any other module and connection it is not known here, and stands in the file of the run below C(runs) of the state directory.
    The lines are the same with and without a terminal.
  - The last line sums up all hosts, those included that could not be reached.
  - With C(-v) and more it is the callback P(ansible.builtin.default#callback).
options:
  display_ok_hosts:
    name: Show what went well without a change
    description: As in P(ansible.builtin.default#callback).
    type: bool
    default: false
    env:
      - name: ANSIBLE_DISPLAY_OK_HOSTS
    ini:
      - key: display_ok_hosts
        section: defaults
  display_skipped_hosts:
    name: Show what was skipped
    description: As in P(ansible.builtin.default#callback).
    type: bool
    default: false
    env:
      - name: ANSIBLE_DISPLAY_SKIPPED_HOSTS
    ini:
      - key: display_skipped_hosts
        section: defaults
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - set as stdout in configuration
"""

import os
import threading
import time
from datetime import timedelta
from typing import Any, Dict, List, Mapping, Sequence, Set, Tuple

from ansible import constants
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback.default import CallbackModule as Default

from ..module_utils._core.clock import utc_now
from ..plugin_utils.audience import width
from ..plugin_utils.command_line import from_here, read_command
from ..plugin_utils.concise_text import HostEnd, beat, closing, due, harmless, sentence, title
from ..plugin_utils.known_names import known_variables, named_variable, prefix_of
from ..plugin_utils.moments import local_moments
from ..plugin_utils.progress import RunPlace, read_progress, run_place
from ..plugin_utils.step_report import fold
from ..plugin_utils.watching import notes_directory, read_note

TICK = 0.5


def outcome(result: Any) -> Dict[str, Any]:
    """What a task returned; ansible-core 2.19 has made a public attribute of it."""
    return dict(result.result if hasattr(result, "result") else result._result)


def host_of(result: Any) -> str:
    return str((result.host if hasattr(result, "host") else result._host).get_name())


def task_of(result: Any) -> Any:
    return result.task if hasattr(result, "task") else result._task


class CallbackModule(Default):
    """The default callback with less to read."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "miniecom.maintenance.concise"

    def __init__(self) -> None:
        super().__init__()
        self._last_task_banner: Any = None
        self._running: Dict[Tuple[str, str], Tuple[str, float]] = {}
        self._runs: Dict[str, RunPlace] = {}
        self._last = time.monotonic()
        self._over = threading.Event()
        self._failed: Dict[str, str] = {}
        self._meant: Set[str] = set()

    @property
    def _whole(self) -> bool:
        """Somebody looks for the details."""
        return bool(self._display.verbosity)

    def _line(self, word: str, result: Any, colour: str, text: str = "") -> None:
        name = "[%s] %s" % (host_of(result), title(task_of(result).get_name()))
        told = local_moments(": " + text, utc_now()) if text else ""
        self._display.display(harmless("%s: %s%s" % (word, name, told)), color=colour)
        self._last = time.monotonic()

    # -- that it lives ----------------------------------------------------------------------------------------------

    def v2_playbook_on_start(self, playbook: Any) -> None:
        super().v2_playbook_on_start(playbook)
        try:
            os.makedirs(notes_directory(), 0o700, exist_ok=True)
        except OSError:
            pass  # nothing is told of other hosts then
        threading.Thread(target=self._beat, daemon=True).start()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        super().v2_playbook_on_play_start(play)
        inventory = getattr(play.get_variable_manager(), "_inventory", None)
        if inventory is not None and play.serial:
            # With miniecom_serial a failure keeps the hosts of later batches from their turn, and no result names them.
            self._meant.update(host.name for host in inventory.get_hosts(play.hosts, ignore_restrictions=True))

    def _beat(self) -> None:
        while not self._over.wait(TICK):
            now, running = time.monotonic(), list(self._running.items())
            if running and due(now - self._last, now - min(since for _key, (_name, since) in running)):
                self._last = now
                lasting = [(host, name, now - since) for (host, _task), (name, since) in running]
                text = beat(lasting, self._progress(running, now))
                try:
                    # Past Python's buffers and Ansible's locks, which a worker that is forked in this moment would inherit.
                    os.write(1, text.encode("utf-8", "replace"))
                except OSError:
                    return

    def _progress(self, running: Sequence[Tuple[Tuple[str, str], Tuple[str, float]]], now: float) -> Dict[str, str]:
        """How far the hosts have come whose records can be read, here or by who carries out the task.

        Args:
            running: host and task, its name and since when.
            now: by the same clock.
        """
        moment = utc_now()
        told: Dict[str, str] = {}
        for (host, task), (_name, since) in running:
            run, begun = self._runs.get(host), moment - timedelta(seconds=now - since)
            here = read_progress(run.state_dir, run.run_id, moment, begun) if run is not None else ""
            told[host] = here or read_note(task, host)
        return told

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        super().v2_runner_on_start(host, task)
        self._running[str(host.get_name()), str(task._uuid)] = (title(task.get_name()), time.monotonic())

    def _ended(self, result: Any) -> None:
        self._running.pop((host_of(result), str(task_of(result)._uuid)), None)

    # -- what happened ----------------------------------------------------------------------------------------------

    def v2_runner_on_ok(self, result: Any) -> None:
        self._ended(result)
        begun = run_place(outcome(result))
        if begun:
            self._runs[host_of(result)] = begun
        if self._whole or self.get_option("display_ok_hosts"):
            super().v2_runner_on_ok(result)
            return
        found = outcome(result)
        self._handle_warnings(found)
        if found.get("changed") and not isinstance(task_of(result), TaskInclude):
            self._line("changed", result, constants.COLOR_CHANGED)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        if self._whole or self.get_option("display_ok_hosts"):
            super().v2_runner_item_on_ok(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._ended(result)
        super().v2_runner_on_skipped(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._ended(result)
        if self._whole:
            super().v2_runner_on_failed(result, ignore_errors)
            return
        found = outcome(result)
        self._handle_warnings(found)
        text = sentence(found)
        try:
            text = from_here(self._named(text, result), host_of(result))
        except Exception:  # pylint: disable=broad-except
            # Whatever becomes of its name, the failure is told.
            self._display.debug("concise: the variable behind this failure cannot be named")
        if ignore_errors:
            self._line("ignored", result, constants.COLOR_SKIP, text)
            return
        self._failed[host_of(result)] = title(task_of(result).get_name())
        self._line("FAILED", result, constants.COLOR_ERROR, text)

    def _named(self, text: str, result: Any) -> str:
        """With the variable that somebody has typed, where a module speaks of its option."""
        host = result.host if hasattr(result, "host") else result._host
        given = {**host.get_vars(), **read_command().variables}
        names = known_variables()
        role = title(task_of(result).get_name()).partition(" : ")[0]
        return named_variable(text, prefix_of(role + "_", names.prefixes), given, names)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        # The task's own line has it.
        if self._whole:
            super().v2_runner_item_on_failed(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._ended(result)
        if self._whole:
            super().v2_runner_on_unreachable(result)
            return
        found = outcome(result)
        self._handle_warnings(found)
        text = sentence(found)
        if task_of(result).ignore_unreachable:
            self._line("ignored", result, constants.COLOR_SKIP, text)
        else:
            self._line("UNREACHABLE", result, constants.COLOR_UNREACHABLE, text)

    def v2_playbook_on_include(self, included_file: Any) -> None:
        if self._whole or self.get_option("display_ok_hosts"):
            super().v2_playbook_on_include(included_file)

    def v2_on_file_diff(self, result: Any) -> None:
        if not self._whole:
            # A diff names its file: no banner before it.
            self._last_task_banner = task_of(result)._uuid
        super().v2_on_file_diff(result)

    # -- how it ended -----------------------------------------------------------------------------------------------

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._over.set()
        super().v2_playbook_on_stats(stats)
        runs = (stats.custom.get("_run") or {}).get("miniecom_maintenance") or {}
        ends = [self._end(host, stats.summarize(host), runs.get(host) or {}) for host in sorted(stats.processed)]
        ends += [HostEnd(host, "waiting") for host in sorted(self._meant - set(stats.processed))]
        if ends:
            well = all(end.state == "well" for end in ends)
            colour = constants.COLOR_OK if well else constants.COLOR_ERROR
            self._display.display("\n".join(fold(closing(ends), width())), color=colour)

    def _end(self, host: str, numbers: Mapping[str, int], run: Mapping[str, Any]) -> HostEnd:
        if numbers["unreachable"]:
            return HostEnd(host, "unreachable")
        failed: List[str] = [str(step["step"]) for step in run.get("steps") or () if step.get("status") == "failed"]
        if numbers["failures"] or failed or run.get("status") == "failed":
            return HostEnd(host, "failed", ", ".join(failed) or self._failed.get(host, ""))
        return HostEnd(host, "well")
