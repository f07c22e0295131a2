# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removing what nothing uses: the steps of docker_prune."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence

from .._core.call import Call
from .._core.errors import MaintenanceError, SkipAction
from .._core.plan import Action, Outcome, Plan, Report, Results, Verification
from .._core.runner import Task
from .._core.units import format_size, parse_duration, parse_size
from .client import THREADS, Docker
from .draft import Policy
from .inventory import Inventory
from .observation import Wanted, free_bytes, read_inventory
from .outcome import expected_range, gone_after_all, measured_bytes, removal_headline, still_there, vanished_volumes
from .protect import parse_protection
from .prune import plan_removals
from .removal import Unsure, remove
from .watch import Watch
from .works import (
    VERBS,
    Removal,
    RemoveBuildCache,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
    kind_of_work,
)

# After each removal of an image, or of a container's snapshot, the containerd store collects its garbage before it answers, as it seems
# once for all that wait for it. Measured with Engine 28.5: 200 images take 2.2 to 5.4 s by four at a time, mostly 1.0 s by sixteen, and
# no less by thirty-two.
COLLECTED = 16


def policy_of(params: Mapping[str, Any]) -> Policy:
    """The options as data.

    Raises:
        MaintenanceError: an option's value makes no sense.
    """
    for option in ("max_delete", "keep_per_repository"):
        if params[option] is not None and params[option] < 0:
            raise MaintenanceError("must not be negative", target="%s: %d" % (option, params[option]))
    return Policy(
        containers=params["containers"],
        images=params["images"],
        volumes=params["volumes"],
        volume_names=tuple(params["volume_names"]),
        networks=params["networks"],
        build_cache=params["build_cache"],
        older_than=parse_duration(params["older_than"]),
        keep_per_repository=params["keep_per_repository"],
        protection=parse_protection(params["protect"]),
        only_labels=tuple(params["only_labels"]),
        max_delete=params["max_delete"],
        target_free=parse_size(params["target_free"]) if params["target_free"] else None,
        container_names=tuple(params["container_names"]),
        cache_mounts=params["build_cache_mounts"],
    )


def wanted_for(policy: Policy, compose_paths: Sequence[str]) -> Wanted:
    """What has to be looked at to decide about what may go."""
    return Wanted(
        containers=policy.containers != "none" or bool(policy.container_names),
        images="" if policy.images == "none" else policy.images,
        volumes=policy.volumes != "none" or bool(policy.volume_names),
        networks=policy.networks != "none",
        build_cache=policy.build_cache != "none",
        free_bytes=policy.target_free is not None,
        compose_paths=tuple(compose_paths),
    )


def waves(actions: Sequence[Action[Removal]], inventory: Inventory) -> List[List[Action[Removal]]]:
    """What may go side by side: things of one kind of which none has to go before another. Pure.

    Entries of the build cache go one by one: the engine works on one at a time. So do containers that join others, and images
    while any was built upon another one.
    """
    joining = {container.id for container in inventory.containers if container.joins}
    found: List[List[Action[Removal]]] = []
    before: Any = None
    for action in actions:
        work = action.work
        alone = (
            isinstance(work, RemoveBuildCache)
            or (isinstance(work, RemoveContainer) and bool(joining))
            or (isinstance(work, RemoveImage) and (bool(inventory.parents) or len(work.references) > 1))
        )
        if alone or before is not type(work):
            found.append([])
        found[-1].append(action)
        before = None if alone else type(work)
    return found


def at_a_time(wave: Sequence[Action[Removal]], store: str) -> int:
    """How many of a wave the engine gets at a time. Pure."""
    collects = store == "containerd" and isinstance(wave[0].work, (RemoveContainer, RemoveImage))
    return COLLECTED if collects else THREADS


class DockerPrune(Task[Inventory]):
    """Remove exactly what was planned."""

    stop_on_failure = False
    threads = THREADS

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.policy = policy_of(self.params)
        self.wanted = wanted_for(self.policy, self.params["compose_paths"])
        self._docker: Optional[Docker] = None
        self._watch: Optional[Watch] = None

    def docker(self) -> Docker:
        """The connection, made when it is first needed; `close` gives it back."""
        if self._docker is None:
            self._docker = Docker.connect(self.params["docker_host"], self.params["docker_timeout"])
        return self._docker

    def watch(self) -> Watch:
        """Who uses what, kept up to date while things go; `close` gives it back."""
        if self._watch is None:
            self._watch = Watch(self.docker())
        return self._watch

    def observe(self) -> Inventory:
        # Whoever comes between this look and a removal is told by an event.
        self.watch().listen()
        inventory = read_inventory(self.docker(), self.wanted)
        self.watch().believe(inventory)
        return inventory

    def plan(self, observation: Inventory, now: datetime) -> Plan[Removal]:
        return plan_removals(observation, self.policy, now.timestamp())

    def waves(self, observation: Inventory, plan: Plan[Removal]) -> List[List[Action[Removal]]]:
        if self.policy.target_free is not None:
            return [[action] for action in plan.actions]
        return waves(plan.actions, observation)

    def at_a_time(self, observation: Inventory, wave: Sequence[Action[Removal]]) -> int:
        return at_a_time(wave, observation.store)

    def _remove(self, action: Action[Removal], observation: Inventory) -> Outcome:
        self.run.renew()
        target = self.policy.target_free
        free = free_bytes(self.docker()) if target is not None else None
        if target is not None and free is not None and free >= target:
            raise SkipAction("%s are free by now" % format_size(free))
        return remove(self.docker(), self.watch(), action)

    handlers = {
        RemoveContainer: _remove,
        RemoveImage: _remove,
        RemoveBuildCache: _remove,
        RemoveNetwork: _remove,
        RemoveVolume: _remove,
    }

    def verify(
        self, observation: Inventory, plan: Plan[Removal], results: Results[Removal, Inventory]
    ) -> Verification[Inventory]:
        if not results.done and not results.details(Unsure):
            return Verification()
        after = read_inventory(self.docker(), self.wanted.briefly())
        left = still_there(after, results.effective)
        failure = None
        if left:
            failure = MaintenanceError(
                "%d objects are still there although the engine removed them" % len(left),
                target=left[0].target,
                next_step="Look at the engine's log (journalctl -u docker).",
            )
        return Verification(after, failure)

    def report(self, observation: Inventory, plan: Plan[Removal], results: Results[Removal, Inventory]) -> Report:
        unsure = [detail.action for detail in results.details(Unsure)]
        removed_late: List[Action[Removal]] = []
        warnings: List[str] = []
        if results.after is not None:
            removed_late = gone_after_all(results.after, unsure)
            warnings = [
                "the %s %s was removed after all: the engine went on when it was waited for no longer"
                % (kind_of_work(action), action.target)
                for action in removed_late
            ]
            warnings += [
                "the volume %s was removed by somebody else meanwhile" % name
                for name in vanished_volumes(observation, results.after, [*results.effective, *unsure])
            ]
        low, high = expected_range(results.effective)
        freed = measured_bytes(observation, results.after, results.done)
        summary: Dict[str, Any] = {
            "bytes": low if results.check else freed,
            "bytes_freed": freed,
            "bytes_predicted": low,
            "bytes_predicted_max": high,
            "store": observation.store,
            "objects_kept": len(plan.kept),
            "objects_skipped": len(results.skipped),
        }
        for work, (verb, _kind) in VERBS.items():
            kind = verb.partition("_")[2]
            name = kind if kind == "build_cache" else kind + "s"
            summary[name + "_removed"] = sum(isinstance(action.work, work) for action in results.effective)
        return Report(
            removal_headline(results.effective, None if results.check else freed, self.policy.older_than),
            changed=bool(results.effective or removed_late),
            summary=summary,
            warnings=warnings,
        )

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
        if self._docker is not None:
            self._docker.close()
