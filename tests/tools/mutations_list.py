# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guards that keep the modules from doing harm, each with a way to break it and the tests that must notice.

A guard is quoted as it stands in the code, so that whoever changes the code changes the list as well: a guard that is not
there exactly once is an error.
"""

from __future__ import annotations

from dataclasses import dataclass

CODE = "plugins/module_utils/"
TESTS = "tests/unit/plugins/module_utils/"
NEVER = "if False:"
ALWAYS = "if True:"


@dataclass(frozen=True)
class Mutation:
    """One guard.

    Attributes:
        module: the module that it is of; core for what all have in common.
        file: where it stands.
        guard: the text to be replaced.
        broken: by what.
        tests: the files of tests, or single ones, that notice.
    """

    name: str
    module: str
    file: str
    guard: str
    broken: str
    tests: tuple[str, ...]


def _of(module: str, file: str, tests: str, *guards: tuple[str, str, str, str]) -> tuple[Mutation, ...]:
    """Guards of one file: name, guard, what it becomes, and the tests in the file of tests (all of them when empty)."""
    found = []
    for name, guard, broken, names in guards:
        places = tuple(f"{TESTS}{tests}::{test}" for test in names.split()) or (TESTS + tests,)
        found.append(Mutation(name, module, CODE + file, guard, broken, places))
    return tuple(found)


DOCKER = (
    *_of(
        "docker_prune",
        "_docker/client.py",
        "_docker/test_client.py",
        (
            "docker-greeting-of-another",
            r"""_SERVER = re.compile(r"^Docker/(\S+) \(\w+\)$")""",
            r"""_SERVER = re.compile(r"^\w+/(\S+) \(\w+\)$")""",
            "test_what_is_not_said_there_is_asked_for",
        ),
        ("docker-greeting-newer", "<= version_tuple(spoken) <= NEWEST_API", "<= version_tuple(spoken)", ""),
        ("docker-greeting-forbidden", "if status != 200 or engine is None", "if engine is None", ""),
    ),
    *_of(
        "docker_prune",
        "_docker/blobs.py",
        "_docker/test_blobs.py",
        ("docker-blobs-of-another", "if left < 0:", NEVER, ""),
        ("docker-blobs-not-pulled", 'if os.path.exists(_path(directory, blob["digest"]))', "", ""),
    ),
    *_of(
        "docker_prune",
        "_docker/lane.py",
        "_docker/test_lane.py",
        (
            "docker-lane-closed-with-an-answer",
            "            if ends:\n                break\n        return found",
            "        return found",
            "test_many_questions_are_on_their_way_at_a_time",
        ),
    ),
    *_of(
        "docker_prune",
        "_docker/watch.py",
        "_docker/test_watch.py",
        (
            "docker-watch-unknown-event",
            "if action not in _NO_NEW_USER.get(kind, ()) and not inside:",
            NEVER,
            "",
        ),
        (
            "docker-watch-no-event",
            "            unclear = stale = True\n            continue\n",
            "            continue\n",
            "",
        ),
        ("docker-watch-many", "unclear = stale = len(lines) >= MANY_EVENTS", "unclear = stale = False", ""),
        ("docker-watch-stale", "        if news.stale:", "        if False:", ""),
        (
            "docker-watch-ended",
            "                self._unclear, self._users = True, None\n                self._listen()\n",
            "                self._unclear = True\n                self._listen()\n",
            "",
        ),
        (
            "docker-watch-ended-untouched",
            "                self._unclear, self._users = True, None\n                self._listen()\n",
            "                self._users = None\n                self._listen()\n",
            "",
        ),
        ("docker-watch-touched", "seen = (kind, identity) in self._touched", "seen = False", ""),
        ("docker-watch-images", "seen = any(other in", "seen = False and any(other in", ""),
        ("docker-watch-first", "and own in self._gone and", "and", ""),
        ("docker-watch-own-event", "            self._catch_up(own)\n", "            self._catch_up()\n", ""),
        ("docker-watch-believe-stale", "not (self._stale or self._unclear)", "True", ""),
        ("docker-watch-believe-gone", "_without(self._gone, observed.containers)", "observed.containers", ""),
        (
            "docker-watch-own-event-late",
            "                self._unclear, self._users = True, None\n                return\n\n",
            "                self._unclear = True\n                return\n\n",
            "",
        ),
        (
            "docker-watch-network-connected-silently",
            "return (*connected_now, *self.users().containers)",
            "return self.users().containers",
            "",
        ),
        (
            "docker-watch-network-made-since",
            "return (*connected_now, *self.users().containers)",
            "return connected_now",
            "",
        ),
        ("docker-watch-look-old", "self._looked is None or self._looked[0] <= asked", "self._looked is None", ""),
        (
            "docker-watch-podman",
            "            return read_users(self._docker)\n        with",
            "            pass\n        with",
            "",
        ),
    ),
    *_of(
        "docker_prune",
        "_docker/prune.py",
        "_docker/test_prune.py",
        (
            "docker-running-container",
            "if not container.stopped:",
            NEVER,
            "test_what_a_container_that_stays_uses_never_goes",
        ),
        (
            "docker-container-of-a-project",
            "if container.project and not names_project(draft.policy.only_labels, container.project):",
            NEVER,
            "test_a_compose_project_is_reached_only_by_its_name",
        ),
        (
            "docker-container-with-a-restart-policy",
            'if container.restart not in ("", "no") and not named:',
            NEVER,
            "test_a_container_with_a_restart_policy_goes_only_when_it_is_named",
        ),
        (
            "docker-container-of-a-pod",
            "if container.pod_infrastructure:",
            NEVER,
            "test_pods_of_podman_go_as_a_whole",
        ),
        (
            "docker-container-that-another-needs",
            "if users and not stays[container.id]:",
            NEVER,
            "test_a_container_stays_that_another_one_needs_which_stays",
        ),
        (
            "docker-volume-of-a-hidden-container",
            "if _hidden(inventory):\n        return _hidden(inventory)\n    users =",
            "users =",
            "test_volumes_and_networks_stay_when_containers_are_hidden_or_may_be",
        ),
        (
            "docker-network-of-a-hidden-container",
            "if _hidden(inventory):\n        return _hidden(inventory)\n    if network.scope",
            "if network.scope",
            "test_volumes_and_networks_stay_when_containers_are_hidden_or_may_be",
        ),
        (
            "docker-mounted-volume",
            "if users:\n        going",
            "if False:\n        going",
            "test_a_volume_that_any_container_mounts_never_goes",
        ),
        (
            "docker-volume-mounted-by-another",
            "if mounts:",
            NEVER,
            "test_a_volume_whose_directory_another_one_mounts_stays",
        ),
        (
            "docker-volume-declared",
            """declared = inventory.declared_by("volume", volume.name)""",
            'declared = ""',
            "test_what_compose_files_and_services_name_stays",
        ),
        (
            "docker-network-declared",
            """declared = inventory.declared_by("network", network.name, network.id)""",
            'declared = ""',
            "test_what_compose_files_and_services_name_stays",
        ),
        (
            "docker-volume-of-an-unread-project",
            """if volume.labels.get(PROJECT_LABEL, "") in inventory.projects_unread and PROJECT_LABEL in volume.labels:""",
            NEVER,
            "test_what_may_be_of_a_service_that_is_not_seen_stays",
        ),
        (
            "docker-volume-of-an-unseen-stack",
            "if inventory.needs_unseen and STACK_LABEL in volume.labels:",
            NEVER,
            "test_what_may_be_of_a_service_that_is_not_seen_stays",
        ),
        (
            "docker-task-of-a-swarm",
            "if inventory.swarm and SWARM_SERVICE_LABEL in container.labels:",
            NEVER,
            "test_tasks_of_a_swarm_are_its_own",
        ),
        (
            "docker-volume-changed-lately",
            """return reason or (draft.too_young(volume.changed, "changed") if draft.known(volume.changed) else "")""",
            "return reason",
            "test_a_volume_that_was_changed_lately_is_young",
        ),
        (
            "docker-volume-of-a-driver",
            'if volume.driver != "local":',
            NEVER,
            "test_volumes_that_stay_even_when_they_are_named",
        ),
        (
            "docker-volume-with-options",
            "if volume.options:",
            NEVER,
            "test_volumes_that_stay_even_when_they_are_named",
        ),
        (
            "docker-volume-not-measured",
            "if not volume.measured:",
            NEVER,
            "test_volumes_that_stay_even_when_they_are_named",
        ),
        (
            "docker-volume-with-a-name",
            "if not volume.anonymous:",
            NEVER,
            "test_a_volume_that_any_container_mounts_never_goes",
        ),
        (
            "docker-network-beyond-the-host",
            'if network.scope != "local":',
            NEVER,
            "test_networks_that_no_container_tells_the_use_of_stay",
        ),
        (
            "docker-network-in-use",
            "if staying:",
            NEVER,
            "test_what_a_container_that_stays_uses_never_goes",
        ),
        (
            "docker-network-of-a-project",
            "if [item for item in mine if item.id not in draft.containers]:",
            NEVER,
            "test_what_a_stopped_project_needs_stays",
        ),
        (
            "docker-max-delete",
            'refuse_above(plan, policy.max_delete, "objects")',
            "pass",
            "test_the_cap_fails_before_anything_is_done",
        ),
    ),
    *_of(
        "docker_prune",
        "_docker/making_room.py",
        "_docker/test_prune.py",
        ("docker-target-free", "if free >= target:", NEVER, "test_a_target_takes_no_more_than_it_needs"),
        (
            "docker-target-order",
            "        for other in before.get(id(action), ()):\n            take(other)\n",
            "",
            "test_the_oldest_and_largest_go_first",
        ),
    ),
    *_of(
        "docker_prune",
        "_docker/image_rules.py",
        "_docker/test_prune.py",
        (
            "docker-image-in-use",
            "if staying:",
            NEVER,
            "test_what_a_container_that_stays_uses_never_goes",
        ),
        (
            "docker-image-of-unlisted-containers",
            "if image.containers is not None and image.containers > len(users):",
            NEVER,
            "test_an_image_of_which_the_engine_knows_more_containers_stays",
        ),
        (
            "docker-image-among-the-newest",
            "if image.id in newest.get(repository, ()):",
            NEVER,
            "test_the_newest_images_of_a_repository_stay",
        ),
        (
            "docker-image-of-unknown-age",
            "unknown = {item.id for item in mine if draft.known(item.created) is None}",
            "unknown: Set[str] = set()",
            "test_an_image_of_unknown_age_counts_as_the_newest",
        ),
        (
            "docker-image-of-a-service",
            "if need.meets(image.names):",
            NEVER,
            "test_an_image_that_something_would_start_from_stays",
        ),
        (
            "docker-image-of-an-unseen-swarm",
            "if inventory.needs_unseen and image.names:",
            NEVER,
            "test_an_image_that_something_would_start_from_stays",
        ),
        (
            "docker-image-tagged-lately",
            'draft.too_young(image.tagged, "tagged here") if draft.known(image.tagged) and image.tags else ""',
            '""',
            "test_an_image_that_was_tagged_here_lately_is_young",
        ),
        (
            "docker-image-built-upon",
            "stays.update(_built_upon(draft, inventory, stays))",
            "pass",
            "test_an_image_stays_as_long_as_one_stays_that_was_built_upon_it",
        ),
        (
            "docker-cache-mount",
            "if entry.kind == CACHE_MOUNT and not draft.policy.cache_mounts:",
            NEVER,
            "test_cache_mounts_go_only_when_asked_for",
        ),
        ("docker-cache-in-use", "if entry.in_use:", NEVER, "test_build_cache_that_stays"),
        (
            "docker-cache-built-upon",
            "if parent in entries and parent not in stays:",
            NEVER,
            "test_build_cache_goes_children_first_and_never_from_under_a_child",
        ),
    ),
    *_of(
        "docker_prune",
        "_docker/draft.py",
        "_docker/test_prune.py",
        (
            "docker-only-labels",
            "return out_of_scope(self.policy.only_labels, labels) or protected(",
            "return protected(",
            "test_what_is_protected_out_of_scope_or_too_young_never_goes",
        ),
        (
            "docker-protect",
            " or protected(self.policy.protection, names, labels)",
            "",
            "test_what_is_protected_out_of_scope_or_too_young_never_goes",
        ),
        (
            "docker-older-than",
            "if age < self.policy.older_than:",
            NEVER,
            "test_what_is_younger_than_wanted_stays",
        ),
        (
            "docker-unknown-age",
            'return "its age is not known"',
            'return ""',
            "test_a_date_that_is_none_makes_nothing_old",
        ),
    ),
    *_of(
        "docker_prune",
        "_docker/removal.py",
        "_docker/test_removal.py",
        ("docker-removal-started", 'if state.get("Status") not in STOPPED_STATES:', NEVER, ""),
        ("docker-removal-started-and-ended", 'if str(state.get("FinishedAt") or "") != work.finished_at:', NEVER, ""),
        ("docker-removal-restart-policy", "if restart != work.restart:", NEVER, ""),
        (
            "docker-removal-joined",
            "_require_unused([c for c in watch.users().joining if container_joins(c, work.id, work.name)])",
            "pass",
            "",
        ),
        ("docker-removal-image-renamed", "if unknown:", NEVER, ""),
        (
            "docker-removal-image-in-use",
            "_require_unused([c for c in watch.users().containers if container_uses_image(c, work.id, sorted(names))])",
            "pass",
            "",
        ),
        ("docker-removal-image-other-name", "if reference == work.id and len(tags) > 1:", NEVER, ""),
        ("docker-removal-network-connected", 'if raw.get("Containers"):', NEVER, ""),
        (
            "docker-removal-network-in-use",
            "_require_unused([c for c in users if container_uses_network(c, work.id, work.name)])",
            "pass",
            "",
        ),
        (
            "docker-removal-volume-made-anew",
            "if volume.created_at != work.created_at or dict(volume.labels) != dict(work.labels):",
            NEVER,
            "",
        ),
        ("docker-removal-volume-in-use", "    _require_unused(users)\n", "", ""),
        ("docker-removal-volume-mounted-by-another", "if mounts:", NEVER, ""),
        ("docker-removal-cache-id", "if not _CACHE_ID.match(work.id):", NEVER, ""),
        ("docker-removal-force", 'path, force="false")\n            gone', 'path, force="true")\n            gone', ""),
    ),
    *_of(
        "docker_prune",
        "_docker/removal.py",
        "_docker/test_pruning.py",
        (
            "docker-forbidden",
            "busy = isinstance(action.work, RemoveNetwork) and any(",
            "busy = any(",
            "test_what_a_refusal_means",
        ),
        (
            "docker-engine-gone",
            'aborted = AbortPlan.because_of(error, next_step=error.next_step + " Nothing further was tried.")',
            "aborted = error",
            "test_an_engine_that_goes_away_ends_the_plan",
        ),
    ),
    *_of(
        "docker_prune",
        "_docker/pruning.py",
        "_docker/test_pruning.py",
        (
            "docker-enough-is-free",
            "if target is not None and free is not None and free >= target:",
            NEVER,
            "test_nothing_more_goes_when_enough_is_free",
        ),
        ("docker-still-there", "if left:", NEVER, "test_what_is_still_there_is_a_failure"),
    ),
)

RECOVERY_DRILL = (
    *_of(
        "recovery_drill",
        "_backup/unpacking.py",
        "_backup/test_unpacking.py",
        (
            "unpack-out-of-its-place",
            'if any(name in ("", ".", "..") or "\\0" in name for name in names):',
            NEVER,
            "test_nothing_is_written_elsewhere_or_over_what_is_there",
        ),
        (
            "unpack-through-a-link",
            "_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC",
            "_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC",
            "test_nothing_is_written_elsewhere_or_over_what_is_there",
        ),
        (
            "unpack-over-what-is-there",
            "_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL",
            "_NEW_FILE = os.O_WRONLY | os.O_CREAT",
            "test_nothing_is_written_elsewhere_or_over_what_is_there",
        ),
        ("unpack-setuid", "_FILE_MODES = 0o777", "_FILE_MODES = 0o7777", "test_everything_as_it_was"),
    ),
    *_of(
        "recovery_drill",
        "_core/isolation.py",
        "_core/test_isolation.py",
        (
            "isolation-guarded",
            "if not os.statvfs(place).f_flag & os.ST_RDONLY:",
            NEVER,
            "test_a_program_reaches_no_network_and_writes_to_one_directory",
        ),
        (
            "isolation-of-the-null-device",
            "ctypes.c_ulong(_MS_REMOUNT | _MS_BIND | _MS_RDONLY | null_flags), None)",
            "ctypes.c_ulong(_MS_REMOUNT | _MS_BIND | null_flags), None)",
            "test_a_program_reaches_no_socket_of_the_host_but_those_that_it_may",
        ),
        (
            "isolation-of-the-network",
            "check(libc.unshare(_CLONE_NEWNS | _CLONE_NEWNET))",
            "check(libc.unshare(_CLONE_NEWNS))",
            "test_a_program_reaches_no_network_and_writes_to_one_directory",
        ),
    ),
)

COMPOSE_UPDATE_AGAIN = (
    *_of(
        "compose_update",
        "_operations/update_recovery.py",
        "_operations/test_update_recovery.py",
        (
            "update-half-way-back",
            "exchange.write(started=False)",
            "pass",
            "test_who_was_cut_off_going_back_never_goes_forward",
        ),
    ),
    *_of(
        "mongo_users",
        "_mongo/database_roles.py",
        "_mongo/test_database_users.py",
        (
            "users-of-others",
            'if user.roles is not None and "%s@admin" % name not in user.roles:',
            NEVER,
            "test_users_and_roles_of_others_are_left_alone",
        ),
    ),
    *_of(
        "shop_restart",
        "_operations/shop_restart.py",
        "_operations/test_shop_restart.py",
        (
            "restart-what-was-stopped-meanwhile",
            "if health_of(action.work.service).state == STOPPED:",
            NEVER,
            "test_what_was_stopped_since_planning_is_not_started",
        ),
        (
            "restart-a-second-time",
            "elif target in seen.restarted:",
            "elif False:",
            "test_what_is_restarted",
        ),
    ),
    *_of(
        "compose_update",
        "_docker/exchange.py",
        "_docker/test_exchange.py",
        (
            "update-containers-as-seen",
            "if not set(seen) <= set(found):",
            NEVER,
            "test_what_came_while_images_were_fetched_is_not_replaced",
        ),
        (
            "update-layers-as-seen",
            "if odd or (layer.data and len(found) > 1):",
            NEVER,
            "test_what_came_while_images_were_fetched_is_not_replaced",
        ),
        (
            "update-layer-of-a-stranger",
            "if data:",
            NEVER,
            "test_the_data_of_a_container_that_nobody_knows_are_not_given_up",
        ),
    ),
    *_of(
        "recovery_drill",
        "_core/isolation.py",
        "_core/test_isolation.py",
        (
            "drill-sockets-of-the-host",
            "for path in covered:",
            "for path in []:",
            "test_a_program_reaches_no_socket_of_the_host_but_those_that_it_may",
        ),
    ),
)

BACKUP_OFFSITE = (
    *_of(
        "backup_offsite",
        "_backup/offsite.py",
        "_backup/test_offsite_sending.py",
        (
            "offsite-name-taken-meanwhile",
            "if name in {copy.name for copy in (*listing.copies, *others)} or (name in listing.unnoted) != work.unnoted:",
            NEVER,
            "test_what_another_host_has_put_there_since_planning_is_not_overwritten test_nor_what_it_puts_there_during_the_transfer",
        ),
        (
            "offsite-discard-of-another",
            "if self.place.settles or self.place.list().unnoted.get(name) == size:",
            "if True:",
            "test_nor_what_it_puts_there_during_the_transfer",
        ),
        (
            "offsite-removal-of-a-namesakes-copy",
            "return listing.of(self.policy.owner, database, hosts)",
            "return listing.of(self.policy.owner, database)",
            "test_a_copy_that_another_host_of_this_name_has_put_there_since_planning_is_not_removed",
        ),
    ),
    *_of(
        "mongo_backup",
        "_operations/restore_recovery.py",
        "_operations/test_restore_recovery.py",
        (
            "backup-of-a-restore-half-way",
            "        if journal.phase == SWAPPING:\n            raise",
            "        if False:\n            raise",
            "test_no_backup_is_made_of_a_database_that_is_half_way",
        ),
    ),
    *_of(
        "backup_offsite",
        "_backup/offsite_restic.py",
        "_backup/test_offsite_places.py",
        (
            "offsite-restic-namesake",
            'return "%s/%s/%s" % (owner, host, name)',
            'return "%s/%s" % (owner, name)',
            "test_restic_snapshots_tell_what_was_noted",
        ),
        (
            "offsite-which-snapshot",
            "if archive and not chosen:",
            "if not chosen:",
            "test_of_two_archives_in_the_repository_the_one_that_was_noted_is_the_copy",
        ),
    ),
    *_of(
        "backup_offsite",
        "_backup/offsite_planning.py",
        "_backup/test_offsite_planning.py",
        (
            "offsite-unencrypted",
            "if readable[-1] is verified[-1]:",
            NEVER,
            "test_what_is_not_encrypted_is_refused",
        ),
        (
            "offsite-only-verified",
            "if backup.verified]",
            "]",
            "test_only_verified_backups_are_sent_and_without_one_it_fails",
        ),
        (
            "offsite-copies-of-others",
            "mine = listing.of(policy.owner, policy.database, hosts)",
            "mine = listing",
            "test_copies_of_other_hosts_and_databases_are_neither_counted_nor_removed",
        ),
        (
            "offsite-copies-of-a-namesake",
            "mine = listing.of(policy.owner, policy.database, hosts)",
            "mine = listing.of(policy.owner, policy.database)",
            "test_copies_of_another_host_of_this_name_are_neither_counted_nor_removed",
        ),
        (
            "offsite-which-namesake",
            "if len(series_of(listing.copies)) > 1 and not (identity.id and own.copies):",
            NEVER,
            "test_the_newest_copy_of_a_name_that_two_hosts_have_is_not_guessed",
        ),
        (
            "offsite-name-is-taken",
            "if there is not None:",
            NEVER,
            "test_a_name_that_is_taken_by_another_backup_is_left_alone",
        ),
        (
            "offsite-unnoted-archive",
            "reason, unnoted = kept[name], name in listing.unnoted",
            "reason, unnoted = kept[name], False",
            "test_an_archive_without_a_note_must_prove_to_be_the_same",
        ),
        (
            "offsite-max-delete",
            'refuse_above(removals, policy.max_delete, "copies", target=target)',
            "pass",
            "test_caps",
        ),
        (
            "offsite-removal-before-what-takes-its-place",
            "if copy.name not in needed]",
            "]",
            "test_a_copy_goes_only_where_what_takes_its_place_comes_by_this_call",
        ),
        (
            "offsite-copy-proven-bad",
            "if copy is not None and backup.restore_failed and backup.record is not None:",
            NEVER,
            "test_a_copy_that_is_proven_not_to_restore_pushes_no_good_one_out",
        ),
        (
            "offsite-fetch-over-a-file",
            "if here is not None:",
            NEVER,
            "test_what_cannot_be_fetched test_a_copy_that_is_here_already_is_not_fetched_again",
        ),
        (
            "offsite-whose-copy",
            "if len(owners) > 1 or len(databases) > 1:",
            NEVER,
            "test_the_newest_copy_is_fetched_or_the_named_one",
        ),
    ),
    *_of(
        "backup_offsite",
        "_backup/offsite_controller.py",
        "_backup/test_offsite_controller.py",
        (
            "offsite-controller-name-of-two-hosts",
            "if twice:",
            NEVER,
            "test_a_name_in_two_directories_could_be_either",
        ),
        (
            "offsite-controller-not-mounted",
            "if self.options.create:",
            "if True:",
            "test_a_place_that_told_nothing_or_is_not_there_is_no_empty_one",
        ),
    ),
    *(
        Mutation(
            name,
            "backup_offsite",
            "plugins/plugin_utils/copy_store.py",
            guard,
            broken,
            ("tests/unit/plugins/plugin_utils/test_copy_store.py::" + test,),
        )
        for name, guard, broken, test in (
            (
                "copy-store-rules-of-its-own",
                "or name not in unkept_copies(listing, keep, now + _FARTHEST_ZONE):",
                "or False:",
                "test_a_host_can_have_nothing_removed_that_the_rules_keep",
            ),
            (
                "copy-store-sha256",
                "if found != sha256:",
                NEVER,
                "test_what_came_damaged_is_removed_and_never_gets_a_name",
            ),
            (
                "copy-store-over-a-file",
                "if os.path.lexists(path) and name not in broken:",
                NEVER,
                "test_a_file_that_nobody_has_noted_is_not_overwritten",
            ),
            (
                "copy-store-fetched-twice",
                "position = min(os.fstat(handle.fileno()).st_size, size)",
                "position = 0",
                "test_what_was_cut_off_has_no_name_and_is_gone_on_with",
            ),
            (
                "copy-store-name-of-a-path",
                "if parse_name(name) is None or os.path.basename(name) != name or name != name.strip():",
                NEVER,
                "test_a_name_that_no_backup_has_is_refused",
            ),
            (
                "copy-store-note-of-another",
                "if note is None or received is None or found != received or note.copy.owner != self.owner:",
                "if note is None:",
                "test_a_note_that_is_not_of_what_lies_here_is_refused",
            ),
        )
    ),
    *_of(
        "backup_offsite",
        "_backup/offsite_copies.py",
        "_backup/test_offsite_places.py",
        (
            "offsite-size-of-a-copy",
            "elif size != note.copy.size:",
            "elif False:",
            "test_a_copy_counts_while_its_archive_has_its_size",
        ),
    ),
    *_of(
        "mongo_restore",
        "_backup/encryption.py",
        "_backup/test_making.py",
        (
            "encryption-wrong-passphrase",
            "if self._held and not begins_as_archive(self._held):",
            NEVER,
            "test_a_wrong_passphrase_that_openssl_takes_is_noticed",
        ),
    ),
    *_of(
        "backup_prune",
        "_backup/retention.py",
        "_backup/test_retention.py",
        (
            "retention-complete-ones",
            "if item.name not in there:",
            NEVER,
            "test_two_weeks_without_the_uploads_push_no_complete_backup_out",
        ),
        (
            "retention-complete-of-a-period",
            "complete = _of_each([item for item in past if not item.lacking], bucket_of, newest, wanted)",
            "complete = chosen",
            "test_two_weeks_without_the_uploads_push_no_complete_backup_out",
        ),
        (
            "retention-parts-of-complete-ones",
            "for those in ([item for item in verified if not item.lacking], verified):",
            "for those in (verified,):",
            "test_a_complete_backup_of_a_day_stays_beside_one_that_holds_more_and_lacks_something",
        ),
        (
            "retention-tags",
            "if wanted_tags and wanted_tags <= item.tags:",
            NEVER,
            "test_within_counts_from_the_newest_backup_and_tags_only_keep_more",
        ),
    ),
)

BACKUP_PRUNE = (
    *_of(
        "backup_prune",
        "_backup/pruning.py",
        "_backup/test_pruning.py",
        (
            "rotation-newest-verified",
            "if decision.keep or backup is newest:",
            "if decision.keep:",
            "test_check_mode_may_assume_the_backup_before_it test_the_newest_verified_backup_always_stays",
        ),
        (
            "rotation-newest-restored",
            'return "the newest backup that a restore has proven" if backup is restored else ""',
            'return ""',
            "test_the_newest_backup_that_a_restore_has_proven_stays",
        ),
        (
            "rotation-require-verified",
            "_require_verified(age, policy, catalogue.path)",
            "pass",
            "test_without_a_recent_verified_backup_nothing_goes",
        ),
        (
            "rotation-blocked-by-a-job",
            "if surplus and policy.blocked_by:",
            NEVER,
            "test_a_job_of_the_shop_blocks_everything_and_is_a_finding",
        ),
        (
            "rotation-several-databases",
            "if not policy.database and len(databases) > 1 and not policy.keep.empty:",
            NEVER,
            "test_without_a_database_the_backups_of_several_are_no_one_series",
        ),
        (
            "rotation-another-database",
            "catalogue = catalogue.of(policy.database)",
            "catalogue = catalogue.of(None)",
            "test_another_database_proves_nothing_and_takes_no_turn",
        ),
        (
            "rotation-max-delete",
            'refuse_above(plan, policy.max_delete, "backups", target=catalogue.path)',
            "pass",
            "test_the_cap_fails_before_anything_and_shows_the_whole_plan",
        ),
        (
            "rotation-relied-on",
            "if backup.name in observation.relied_on:",
            NEVER,
            "test_what_this_run_has_relied_on_stays",
        ),
        (
            "rotation-empty-policy-keeps-records",
            "if not policy.keep.empty:\n        for path",
            "if True:\n        for path",
            "test_records_without_a_backup_go_too_but_not_with_an_empty_policy",
        ),
    ),
    *_of(
        "backup_prune",
        "_backup/retention.py",
        "_backup/test_retention.py",
        ("retention-empty-policy", "if policy.empty:", NEVER, "test_an_empty_policy_removes_nothing"),
        (
            "retention-future",
            "if item.date > now:",
            NEVER,
            "test_a_backup_dated_in_the_future_stays_and_uses_up_no_place",
        ),
        ("retention-newest", "if past:", NEVER, "test_the_newest_backup_stays_whatever_the_policy"),
        (
            "retention-newest-verified",
            "if newest_verified is not None:",
            NEVER,
            "test_the_newest_verified_backup_stays_whatever_the_policy",
        ),
        (
            "retention-implausible",
            "if item.date <= now and not item.problem]",
            "if item.date <= now]",
            "test_what_cannot_be_a_backup_takes_no_place_and_stays",
        ),
        (
            "retention-verified-first",
            "candidates = [item for item in best if item.parts in most] or list(items)",
            "candidates = list(items)",
            "test_of_one_day_the_newest_verified_backup_is_preferred",
        ),
        (
            "retention-parts",
            "    _keep_parts(past, reasons)\n",
            "",
            "test_what_lacks_parts_takes_no_place_of_what_has_them test_properties",
        ),
    ),
    *_of(
        "backup_prune",
        "_backup/rotation.py",
        "_backup/test_rotation.py",
        (
            "rotation-relied-on-is-gone",
            "_require_unchanged(action.work.relies_on)",
            "pass",
            "test_without_what_it_relies_on_nothing_more_goes",
        ),
        (
            "rotation-a-span-where-a-number-is-wrong",
            'dict.fromkeys(KEEP, 0), "keep_within": "0"}',
            "dict.fromkeys(KEEP, 0)}",
            "test_with_a_mistake_among_the_numbers_there_is_no_rule",
        ),
        (
            "rotation-replaced-file",
            "if not stat.S_ISREG(status.st_mode) or seen != archive:",
            "if not stat.S_ISREG(status.st_mode):",
            "test_a_file_that_was_replaced_since_planning_stays",
        ),
        (
            "rotation-backup-came-back",
            "if os.path.lexists(archive_of(action.work.path)):",
            NEVER,
            "test_a_record_whose_backup_came_back_stays",
        ),
        ("rotation-kept-is-gone", "if lost:", NEVER, "test_that_a_kept_backup_went_meanwhile_is_told"),
        (
            "rotation-assumption",
            'params["assume_verified"] and call.check',
            'params["assume_verified"]',
            "test_an_assumption_counts_in_check_mode_only",
        ),
        ("rotation-alone", "if not free:", NEVER, "test_nothing_goes_while_a_backup_is_written"),
    ),
    *_of(
        "backup_prune",
        "_backup/plausibility.py",
        "_backup/test_plausibility.py",
        ("plausible-tar", 'if not found.head[_USTAR].startswith(b"ustar"):', NEVER, "test_what_is_none"),
        (
            "plausible-cipher-blocks",
            "if size % CIPHER_BLOCK or size < 2 * CIPHER_BLOCK:",
            NEVER,
            "test_encrypted",
        ),
        (
            "plausible-end",
            'return "" if last.ended and last.tail.endswith(_END) else CUT_SHORT',
            'return ""',
            "test_what_we_made_and_was_cut_short test_what_was_cut_between_two_members",
        ),
        (
            "plausible-size-of-gzip",
            'return CUT_SHORT if unpacked % TAR_BLOCK else ""',
            'return ""',
            "test_what_was_cut_short",
        ),
    ),
    *_of(
        "backup_prune",
        "_backup/catalogue.py",
        "_backup/test_catalogue.py",
        (
            "record-of-another-size",
            "if self.size != status.st_size:",
            NEVER,
            "test_a_record_counts_only_while_the_archive_is_unchanged",
        ),
        (
            "record-that-is-a-link",
            "os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK",
            "os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK",
            "test_a_record_that_is_a_link_does_not_count",
        ),
    ),
    *_of(
        "backup_prune",
        "_backup/catalogue.py",
        "_operations/test_restore_test.py",
        (
            "record-of-a-failed-restore",
            "record if fits and record is not None and not record.restore_failed else None",
            "record if fits and record is not None else None",
            "test_a_failure_is_noted_beside_the_archive",
        ),
        (
            "record-that-is-damaged",
            "if values.pop(_SEAL, None) not in (None, _seal(values)):",
            NEVER,
            "test_one_changed_byte_of_a_record_changes_nothing_that_it_says",
        ),
    ),
)

MONGO_BACKUP = (
    *_of(
        "mongo_backup",
        "_backup/making.py",
        "_backup/test_making.py",
        (
            "backup-not-written-over",
            "if os.path.lexists(job.path):",
            NEVER,
            "test_an_existing_backup_is_never_written_over",
        ),
        ("backup-read-back", "if problems:", NEVER, "test_uploads_that_read_back_otherwise_are_no_backup"),
        (
            "backup-manifest-read-back",
            "if found.manifest.to_json() != job.manifest.to_json():",
            NEVER,
            "test_another_manifest_than_was_written_is_no_backup",
        ),
        (
            "backup-decrypted-again",
            "if hashing.digest.hexdigest() != plain_sha256:",
            NEVER,
            "test_what_does_not_decrypt_to_what_was_written_is_no_backup",
        ),
        (
            "backup-min-free",
            "if free - self._unchecked < self._min_free:",
            NEVER,
            "test_it_stops_before_the_disk_is_full",
        ),
        (
            "backup-no-orphaned-record",
            "if not os.path.lexists(path):",
            NEVER,
            "test_no_record_stays_of_an_archive_that_got_no_name",
        ),
        (
            "backup-recorded-first",
            "    write_sidecar(job.path, verification)\n",
            "",
            "test_a_backup_is_verified_when_it_gets_its_name",
        ),
    ),
    Mutation(
        "backup-beside-the-snapshot",
        "mongo_backup",
        CODE + "_mongo/dump.py",
        "if not source.capped:",
        NEVER,
        ("tests/integration/test_mongo_dump.py::test_a_dump_of_collections_that_move_begins_anew_once",),
    ),
    *_of(
        "mongo_backup",
        "_mongo/fsync_lock.py",
        "_mongo/test_fsync_lock.py",
        (
            "backup-lock-without-a-keeper",
            'if end != "released":',
            NEVER,
            "test_a_lock_that_did_not_stand_to_the_end",
        ),
        (
            "backup-lock-of-another-process",
            'if end == "restarted":',
            NEVER,
            "test_a_lock_that_did_not_stand_to_the_end",
        ),
    ),
    *_of(
        "mongo_backup",
        "_operations/backup.py",
        "_operations/test_backup.py",
        (
            "backup-every-document-parsed",
            "            checker.finish()\n",
            "",
            "test_a_document_that_does_not_parse_ends_the_dump_and_its_collection_is_named",
        ),
    ),
    *_of(
        "mongo_backup",
        "_mongo/document_check.py",
        "_mongo/test_dump.py",
        (
            "parsed-to-the-end-of-the-batch",
            "or position >= len(data):",
            "and True:",
            "test_what_stands_after_eight_kilobytes_and_at_the_very_end_is_decoded_too",
        ),
        (
            "parsed-by-all-helpers",
            "        for helper in self._helpers:\n            self._judge(helper)\n        if",
            "        if",
            "test_a_document_that_does_not_parse_is_found_wherever_it_stands",
        ),
    ),
    *_of(
        "mongo_backup",
        "_mongo/document_check.py",
        "_mongo/test_document_shapes.py",
        (
            "parsed-what-numpy-does-not-vouch-for",
            "            check(data[found[unsure[place]]:found[unsure[last] + 1]])\n",
            "",
            "test_the_verdict_and_the_named_place_are_the_same_without_numpy",
        ),
        (
            "parsed-where-documents-do-not-fill-the-batch",
            "if size < 5 or position > end:",
            "if size < 5:",
            "test_the_verdict_and_the_named_place_are_the_same_without_numpy",
        ),
        (
            "vouched-for-by-what-failed",
            "self.numpy, unsure = None, range(len(found) - 1)",
            "self.numpy, unsure = None, []",
            "test_where_the_fast_way_itself_fails_the_driver_decodes_all",
        ),
        (
            "vouched-for-at-all",
            "if self.source and self.after <= 0:",
            NEVER,
            "test_most_documents_are_vouched_for_and_the_others_decoded",
        ),
    ),
    *_of(
        "mongo_backup",
        "_mongo/document_shapes.py",
        "_mongo/test_document_shapes.py",
        (
            "shapes-string-ends-with-nul",
            'failed = data.bytes.take(place - 1, mode="clip") != 0',
            "failed = length < 0",
            "test_no_changed_byte_is_believed_that_the_driver_refuses",
        ),
        (
            "shapes-string-of-no-bytes",
            "failed |= length == 0",
            "pass",
            "test_what_the_driver_refuses_is_never_vouched_for",
        ),
        (
            "shapes-boolean",
            "failed = data.bytes[place] > 1",
            "pass",
            "test_no_changed_byte_is_believed_that_the_driver_refuses",
        ),
        (
            "shapes-binary-subtype",
            "(subtype != 3) & (subtype != 4) | (length != 16)",
            "length < 0",
            "test_what_the_driver_refuses_is_never_vouched_for",
        ),
        (
            "shapes-embedded-document-ends-with-nul",
            'wrong = (end >= data.size) | (data.bytes.take(end, mode="clip") != 0)',
            "wrong = end >= data.size",
            "test_no_changed_byte_is_believed_that_the_driver_refuses",
        ),
        (
            "shapes-cursor-at-the-end",
            "stuck = numpy.flatnonzero((cursor != end) & ~wrong)",
            "stuck = numpy.flatnonzero((cursor < end) & ~wrong)",
            "test_no_changed_byte_is_believed_that_the_driver_refuses",
        ),
        (
            "shapes-few-are-stuck",
            "                wrong[stuck] = True\n",
            "",
            "test_no_changed_byte_is_believed_that_the_driver_refuses",
        ),
        (
            "shapes-doubt-of-what-is-embedded",
            "        doubtful[owner[wrong]] = True\n\n    def _step",
            "        if not place.depth:\n            doubtful[owner[wrong]] = True\n\n    def _step",
            "test_no_changed_byte_is_believed_that_the_driver_refuses",
        ),
        (
            "shapes-name-has-its-end",
            "numpy.uint64(256 ** len(part) - 1)",
            "numpy.uint64(256 ** (len(part) - 1) - 1)",
            "test_no_changed_byte_is_believed_that_the_driver_refuses",
        ),
        (
            "shapes-what-is-left-to-the-driver",
            'header[0] not in _KNOWN or header[1:2] == b"$"',
            "header[0] not in _KNOWN",
            "test_what_is_not_known_is_for_the_driver",
        ),
    ),
    *_of(
        "mongo_backup",
        "_mongo/oplog.py",
        "_mongo/test_oplog.py",
        (
            "oplog-of-transactions-ours-alone",
            "ours = [inner for inner in operations if _namespace(inner.value).startswith(prefix)]",
            "ours = operations",
            "test_of_a_transaction_over_databases_only_ours_is_left",
        ),
        (
            "oplog-transaction-whole",
            "if not ours and not _is_part(fields, command):",
            "if not ours:",
            "test_of_a_transaction_over_databases_only_ours_is_left",
        ),
    ),
    *_of(
        "mongo_backup",
        "_backup/compress.py",
        "_backup/test_compress.py",
        (
            "member-of-another-length",
            "return data if unpacker.eof and not unpacker.unused_data else None",
            "return data",
            "test_any_changed_byte_is_told_alike",
        ),
        (
            "member-that-is-damaged",
            "        if data is None:\n            self._read_plainly(member)\n",
            "",
            "test_any_changed_byte_is_told_alike",
        ),
        (
            "member-larger-than-ours",
            "data: bytes = unpacker.decompress(member, 2 * CHUNK_BYTES)",
            "data: bytes = unpacker.decompress(member)",
            "test_a_bomb_is_read_in_small_pieces",
        ),
    ),
    *_of(
        "mongo_backup",
        "_core/forward_tar.py",
        "_core/test_forward_tar.py",
        (
            "tar-file-that-is-cut-off",
            "        if not data:\n            raise ReadError(",
            "        if False:\n            raise ReadError(",
            "test_a_file_that_is_cut_off_does_not_seem_to_end",
        ),
        (
            "tar-header-without-sense",
            "except (ValueError, IndexError, OverflowError) as error:",
            "except ZeroDivisionError as error:",
            "test_a_damaged_header_is_told_as_such",
        ),
        (
            "tar-attributes-of-all",
            "if archive.global_bytes > MAX_GLOBAL_BYTES:",
            NEVER,
            "test_attributes_of_all_entries_are_held_within_bounds",
        ),
        (
            "tar-content-of-a-link",
            "if not info.isreg():",
            NEVER,
            "test_what_is_no_file_has_no_content",
        ),
        (
            "tar-file-with-holes",
            "if info.issparse():",
            "if False:",
            "test_a_file_with_holes",
        ),
    ),
    *_of(
        "mongo_backup",
        "_mongo/raw_cursor.py",
        "_mongo/test_raw_ids.py",
        ("keys-that-are-no-numbers", "    if rest:\n", "    if False:\n", "test_keys_that_are_no_row_of_numbers"),
    ),
    *_of(
        "mongo_backup",
        "_mongo/document_check.py",
        "_mongo/test_dump.py",
        (
            "parsed-by-a-killed-helper",
            "elif status == _DOES_NOT_PARSE and len(lines) > 1:",
            "elif status:",
            "test_large_and_small_batches_and_a_helper_that_is_killed",
        ),
        (
            "parsed-by-a-feeder-without-memory",
            "            except Exception as error:  # no memory",
            "            except ImportError as error:  # no memory",
            "test_a_feeder_without_memory_keeps_nobody_waiting",
        ),
    ),
    *_of(
        "mongo_restore",
        "_mongo/archive.py",
        "_mongo/test_archive.py",
        (
            "archive-checksum",
            "if not isinstance(crc, int) or crc != signed64(totals.crc):",
            NEVER,
            "test_a_checksum_that_is_no_number_fits_nothing",
        ),
        ("archive-head-without-end", "if held > MAX_HEAD_BYTES:", NEVER, "test_a_head_without_end_is_no_head"),
        (
            "archive-never-announced",
            "if len(self.totals) > len(self.prelude.collections) + MAX_UNANNOUNCED:",
            NEVER,
            "test_collections_that_nobody_announced_are_not_counted_for_ever",
        ),
    ),
    *_of(
        "mongo_restore",
        "_backup/tarball.py",
        "_backup/test_tarball.py",
        (
            "tar-second-archive",
            "    if followed:\n",
            "    if False:\n",
            "test_what_stands_behind_the_end_is_no_part_of_a_backup",
        ),
        (
            "tar-components",
            "if len(found.components) > MAX_COMPONENTS:",
            NEVER,
            "test_what_others_made_up_takes_no_memory_and_comes_to_an_end",
        ),
    ),
    *_of(
        "mongo_restore",
        "_core/forward_tar.py",
        "_backup/test_tarball.py",
        *(
            (name, guard, NEVER, "test_what_others_made_up_takes_no_memory_and_comes_to_an_end")
            for name, guard in (
                ("tar-long-name", "if info.size > MAX_EXTENSION_BYTES:"),
                ("tar-negative-size", "if count < 0:"),
            )
        ),
    ),
    *_of(
        "mongo_backup",
        "_backup/tarball.py",
        "_backup/test_tarball.py",
        (
            "tar-link-swapped-in",
            "os.O_NONBLOCK | os.O_NOFOLLOW",
            "os.O_NONBLOCK",
            "test_a_name_swapped_for_a_link_for_a_moment_is_not_followed",
        ),
        ("tar-without-an-end", "if not complete:", NEVER, "test_a_backup_without_the_end_of_a_tar_is_cut_off"),
        (
            "tar-of-a-container-without-an-end",
            "if not has_end(tar):",
            NEVER,
            "test_a_container_s_copy_that_ends_between_two_entries_is_not_whole",
        ),
        (
            "tar-hard-link-leads-out",
            'if not first.startswith(top + "/"):',
            NEVER,
            "test_a_hard_link_out_of_a_container_s_copy_is_refused",
        ),
    ),
    *_of(
        "mongo_backup",
        "_backup/planning.py",
        "_backup/test_planning.py",
        ("reuse-too-old", "if age > policy.fresh_within:", NEVER, "test_what_is_not_reused_and_why"),
        ("reuse-another-database", "if record.database != database:", NEVER, "test_what_is_not_reused_and_why"),
        (
            "reuse-lacks-something",
            "elif missing:",
            "elif False:",
            "test_what_is_not_reused_and_why test_what_lacks_something_that_was_asked_for_is_not_reused",
        ),
        (
            "reuse-not-encrypted",
            "elif policy.encrypted and not backup.encrypted:",
            "elif False:",
            "test_an_unencrypted_backup_is_no_substitute_for_an_encrypted_one",
        ),
        (
            "backup-needs-space",
            "if observation.free + freed < needed + policy.min_free:",
            NEVER,
            "test_it_never_starts_without_the_space_it_expects_to_need",
        ),
        (
            "backup-of-nothing",
            "if not observation.collections or not observation.documents:",
            NEVER,
            "test_an_empty_database_is_refused",
        ),
        ("backup-lacks-a-source", "if bad:", NEVER, "test_what_is_missing_is_refused_unless_it_is_optional"),
    ),
    *_of(
        "mongo_backup",
        "_operations/backup_completeness.py",
        "_operations/test_backup_completeness.py",
        ("lacking-empty", "if seen.problem or not sources.any_file(entry):", NEVER, "test_what_is_lacking"),
        ("lacking-others-only", "if sources.holds(entry, name):", ALWAYS, "test_what_is_lacking"),
    ),
    *_of(
        "mongo_backup",
        "_backup/planning.py",
        "_backup/test_planning.py",
        (
            "reuse-lacks-files-that-are-there",
            "elif healed:",
            "elif False:",
            "test_what_lacks_files_is_reused_until_they_are_there",
        ),
    ),
    *_of(
        "backup_prune",
        "_backup/catalogue.py",
        "_backup/test_catalogue.py",
        (
            "parts-that-lack-files",
            "{*record.empty, *dict(record.lacking)}",
            "{*record.empty}",
            "test_parts_are_what_holds_files",
        ),
    ),
    *_of(
        "mongo_backup",
        "_backup/planning.py",
        "_backup/test_sabotage_reuse.py",
        (
            "reuse-another-server",
            "elif record.address and address and record.address != address:",
            "elif False:",
            "test_a_backup_of_another_server_is_not_reused",
        ),
    ),
    *_of(
        "mongo_backup",
        "_operations/backup.py",
        "_operations/test_backup.py",
        ("backup-verify", "if backup is None or not backup.verified:", "if backup is None:", ""),
    ),
)

MONGO_RESTORE = (
    *_of(
        "mongo_restore",
        "_mongo/swap.py",
        "_mongo/test_swap.py",
        (
            "swap-old-set-dropped-only-when-committed",
            "if is_live_one and (journal.phase != COMMITTED or here.uuid != swap.old.uuid):",
            NEVER,
            "test_an_old_collection_is_dropped_only_when_the_new_set_counts",
        ),
        (
            "swap-over-what-was-replaced",
            "if not stands(swap.old, listing.get(swap.name), same_view):",
            NEVER,
            "test_a_collection_that_was_replaced_meanwhile_is_not_swapped",
        ),
        (
            "swap-back-without-the-old-one",
            "if swap.old.kind in (COLLECTION, TIMESERIES) and aside is None:",
            NEVER,
            "test_an_old_collection_that_is_nowhere_is_told",
        ),
        (
            "swap-back-over-a-stranger",
            "if here.kind == COLLECTION and here.uuid == swap.new.uuid and swap.new.kind == COLLECTION:",
            "if here.kind == COLLECTION and swap.new.kind == COLLECTION:",
            "test_what_somebody_else_made_in_between_is_kept",
        ),
        (
            "swap-back-where-nothing-was",
            "if not swap.old.kind and here is not None and not _is_new(journal, swap, listing, same_view):",
            NEVER,
            "test_a_database_that_was_restored_by_other_means_is_left_alone",
        ),
        ("swap-back-over-many", "if len(strangers) > 1:", NEVER, "test_a_set_that_others_put_there_is_not_undone"),
    ),
    *_of(
        "mongo_restore",
        "_mongo/staging.py",
        "_mongo/test_staging.py",
        (
            "staging-expiry-before-the-proof",
            "build_indexes(connection, beside, same, expiring=False)",
            "build_indexes(connection, beside, same)",
            "test_documents_that_have_expired_are_proven_before_the_server_may_remove_them",
        ),
    ),
    *_of(
        "mongo_restore",
        "_operations/live_restore.py",
        "_operations/test_live_restore.py",
        *(
            (name, guard, broken, "test_the_journal_goes_ahead_of_the_swap_and_what_would_be_lost_ends_it")
            for name, guard, broken in (
                ("live-restore-written-meanwhile", "if written:", NEVER),
                ("live-restore-safety-gone", "if now is None or not now.verified or now.id != seen.safety.id:", NEVER),
                (
                    "live-restore-journal-first",
                    "write_journal(path, journal)\n        staging.carry_out",
                    "staging.carry_out",
                ),
            )
        ),
    ),
    # The order of the steps, which only a second kill shows: see the tests.
    *_of(
        "mongo_restore",
        "_operations/restore_recovery.py",
        "_operations/test_restore_recovery.py",
        *(
            (name, guard, broken, "test_killed_twice_it_is_the_old_shop_or_the_new_one")
            for name, guard, broken in (
                (
                    "recovery-undone-before-it-is",
                    "        kept_files = files_back(journal)\n",
                    "        write_journal(path, replace(journal, phase=UNDONE))\n        kept_files = files_back(journal)\n",
                ),
                (
                    "recovery-undone-before-the-database-is",
                    "        carry_out(connection, journal.database, steps)\n",
                    "        write_journal(path, replace(journal, phase=UNDONE))\n"
                    "        carry_out(connection, journal.database, steps)\n",
                ),
                (
                    "recovery-journal-kept-until-all-is-tidy",
                    "    files_tidy(journal, committed)\n",
                    "    os.unlink(path)\n    files_tidy(journal, committed)\n",
                ),
                (
                    "recovery-late-files-before-they-are-tidied",
                    "    if committed:\n        finish_files(path, journal, docker_host, timeout)\n",
                    "",
                ),
            )
        ),
        (
            "recovery-kept-before-it-is-dropped",
            "    if journal.phase == UNDONE:\n",
            "    carry_out(connection, journal.database, steps_tidy(journal, list_live(connection, journal.database)))\n"
            "    if journal.phase == UNDONE:\n",
            "test_what_was_written_too_early_outlives_who_puts_it_in_order",
        ),
    ),
    *_of(
        "mongo_restore",
        "_operations/live_restore.py",
        "_operations/test_restore_recovery.py",
        *(
            (name, guard, broken, "test_killed_twice_it_is_the_old_shop_or_the_new_one")
            for name, guard, broken in (
                (
                    "live-restore-files-behind-the-journal",
                    "        journal = replace(journal, phase=swap.SWAPPING)\n",
                    "        self._files.put_in_place(journal)\n        journal = replace(journal, phase=swap.SWAPPING)\n",
                ),
                (
                    "live-restore-committed-when-all-is-in-place",
                    "        self._files.put_in_place(journal)\n",
                    "        write_journal(path, replace(journal, phase=swap.COMMITTED))\n"
                    "        self._files.put_in_place(journal)\n",
                ),
            )
        ),
    ),
    *_of(
        "mongo_restore",
        "_operations/live_files.py",
        "_operations/test_restore_recovery.py",
        (
            "live-files-environment-last",
            'key=lambda place: place.name == ".env"',
            'key=lambda place: place.name != ".env"',
            "test_killed_twice_it_is_the_old_shop_or_the_new_one",
        ),
    ),
    *_of(
        "mongo_restore",
        "_backup/file_swap.py",
        "_operations/test_restore_recovery.py",
        (
            "files-environment-there-at-any-moment",
            "    if place.late:\n        try:\n",
            "    if False:\n        try:\n",
            "test_killed_twice_it_is_the_old_shop_or_the_new_one",
        ),
    ),
    *_of(
        "mongo_restore",
        "_backup/file_swap.py",
        "_backup/test_file_swap.py",
        (
            "files-changed-meanwhile",
            'if print_of(place, "", moved.path) != moved.before:',
            NEVER,
            "test_what_was_written_since_is_not_overwritten",
        ),
        (
            "files-written-between-two-renames",
            'elif _there(place, "", moved.path) and not (place.late',
            "elif False and not (place.late",
            "test_a_write_between_the_two_renames_ends_it",
        ),
        (
            "files-kept-of-somebody-else",
            'if here and print_of(place, "", moved.path) != moved.after:',
            NEVER,
            "test_what_was_written_half_way_is_kept",
        ),
        (
            "files-kept-when-tidied",
            "if os.path.lexists(place.kept) and not committed:",
            NEVER,
            "test_what_was_written_half_way_is_kept",
        ),
        (
            "files-unpacked-changed",
            "if print_of(place, NEW, moved.path) != moved.after:",
            NEVER,
            "test_nothing_is_moved_through_a_directory_of_somebody_elses",
        ),
        (
            "files-own-directory",
            "if status.st_uid != os.geteuid() or status.st_mode & 0o077:",
            NEVER,
            "test_nothing_is_moved_through_a_directory_of_somebody_elses",
        ),
        (
            "files-compared-on-the-disk",
            "if not fits or (entry.kind == FILE and hash_file(place.new, path) != entry.sha256):",
            NEVER,
            "test_what_is_on_the_disk_is_compared",
        ),
    ),
    *_of(
        "mongo_restore",
        "_backup/live_restore_planning.py",
        "_backup/test_live_restore_planning.py",
        (
            "live-restore-files-in-the-safety-backup",
            "if part.replace and part.name not in record.components",
            "if False",
            "test_each_obstacle_ends_it_and_check_mode_tells",
        ),
        ("live-restore-file-conflicts", "if part.conflicts:", NEVER, "test_each_obstacle_ends_it_and_check_mode_tells"),
        (
            "live-restore-space-for-files",
            "if there and there[0].free < needed:",
            NEVER,
            "test_each_obstacle_ends_it_and_check_mode_tells",
        ),
        *(
            (name, guard, broken, "test_each_obstacle_ends_it_and_check_mode_tells")
            for name, guard, broken in (
                ("live-restore-obstacles", "if obstacles and not policy.check:", NEVER),
                ("live-restore-clients", "if observation.clients and not policy.allow_clients:", NEVER),
                ("live-restore-unverified-safety", "if record is None:", NEVER),
                (
                    "live-restore-old-safety",
                    "if not observation.maintenance_since and age > MAX_SAFETY_SECONDS:",
                    NEVER,
                ),
                (
                    "live-restore-safety-holds-less",
                    "if observation.differing and record.documents < observation.live_documents:",
                    NEVER,
                ),
                ("live-restore-space", "observation.free < needed + policy.min_free:", "observation.free < 0:"),
            )
        ),
    ),
    *_of(
        "mongo_restore",
        "_mongo/restore.py",
        "_mongo/test_restore.py",
        (
            "restore-other-documents",
            "elif restored.sha256 != said.sha256:",
            "elif False:",
            "test_other_documents_than_the_archive_differ_without_a_manifest_too",
        ),
        (
            "restore-other-index",
            "elif name in wanted_indexes and wanted_indexes[name] != found_indexes[name]:",
            "elif False:",
            "test_comparing_metadata",
        ),
        (
            "restore-other-option",
            "if wanted_options.get(name) != found_options.get(name):",
            NEVER,
            "test_comparing_metadata",
        ),
    ),
    *_of(
        "mongo_restore",
        "_mongo/assertions.py",
        "_mongo/test_assertions.py",
        (
            "restore-assertion",
            "if assertion.least is not None and count < assertion.least:",
            NEVER,
            "test_an_assertion_that_does_not_hold_is_told",
        ),
        ("restore-assertion-expression", "if result is True:", ALWAYS, "test_only_true_holds_and_no_value_is_told"),
        (
            "restore-sample-that-writes",
            "if any(stage in _WRITING for entry in sample.pipeline for stage in entry):",
            NEVER,
            "test_what_makes_no_sense_is_refused_before_anything_is_done",
        ),
    ),
    *_of(
        "mongo_restore",
        "_mongo/restore.py",
        "_mongo/test_restore_proof.py",
        (
            "restore-fault-of-the-server",
            "if number is None or number in _ENVIRONMENT:",
            NEVER,
            "test_only_what_the_archive_holds_speaks_against_it",
        ),
    ),
    *_of(
        "mongo_restore",
        "_mongo/raw_document.py",
        "_mongo/test_restore_proof.py",
        (
            "restore-empty-timestamp",
            'field.kind == TIMESTAMP and field.name != b"_id" and',
            "False and",
            "test_an_empty_timestamp_at_the_top_is_found_and_no_other",
        ),
        (
            "restore-empty-timestamp-of-odd-name",
            r'b"\x11[^\0\x11]*\0{9}"',
            r'b"\x11[a-z]*\0{9}"',
            "test_an_empty_timestamp_at_the_top_is_found_and_no_other",
        ),
    ),
    *_of(
        "mongo_restore",
        "_mongo/throwaway.py",
        "_mongo/test_restore.py",
        (
            "restore-nothing-expires",
            '"ttlMonitorEnabled=false", ',
            "",
            "test_a_throwaway_server_listens_on_its_socket_alone_and_lets_nothing_expire",
        ),
    ),
    *_of(
        "mongo_restore",
        "_backup/restore_planning.py",
        "_backup/test_restore_planning.py",
        (
            "restore-needs-space",
            "if observation.free < needed + min_free:",
            NEVER,
            "test_too_little_space_is_refused",
        ),
        (
            "restore-needs-a-passphrase",
            "if backup.encrypted and not has_passphrase:",
            NEVER,
            "test_an_encrypted_backup_needs_its_passphrase",
        ),
    ),
    *_of(
        "mongo_restore",
        "_operations/restore_test.py",
        "_operations/test_restore_test.py",
        (
            "restore-changed-byte",
            "changed = stream.sha256() != backup.verification.sha256",
            "changed = False",
            "test_one_changed_byte_anywhere_is_found_and_named",
        ),
        (
            "restore-failure-of-another-archive",
            "if now is None or now.id != backup.id:",
            "if now is None:",
            "test_a_failure_is_not_noted_beside_another_archive",
        ),
        (
            "restore-success-of-another-archive",
            "if not _fits(backup):",
            NEVER,
            "test_a_success_makes_no_other_archive_verified",
        ),
        (
            "restore-wrong-passphrase",
            "return isinstance(error, DamagedBackup) and not backup.encrypted",
            "return isinstance(error, DamagedBackup)",
            "test_what_speaks_against_an_archive",
        ),
        (
            "restore-differences-fail",
            "if tested.differences:\n            failure",
            "if False:\n            failure",
            "test_an_archive_that_differs_fails_and_counts_no_more",
        ),
    ),
)

MONGO_COMPACT = (
    *_of(
        "mongo_compact",
        "_mongo/compaction.py",
        "_mongo/test_compaction.py",
        (
            "compact-lag",
            "if lag_seconds is not None and lag_seconds > policy.max_lag:",
            NEVER,
            "test_every_plan test_member_lag",
        ),
        (
            "compact-snapshots",
            "if left > 0:",
            NEVER,
            "test_nothing_is_compacted_while_a_snapshot_may_need_what_we_have_removed",
        ),
        (
            "compact-others-removals",
            "if left <= 0 or removed < _RECENT_SHARE * expected:",
            ALWAYS,
            "test_what_others_have_removed_of_late_is_waited_for_where_it_is_much",
        ),
        (
            "compact-disk",
            "if not reason and observation.disk_free is not None and observation.disk_free < DISK_NEEDED:",
            NEVER,
            "test_every_plan",
        ),
        (
            "compact-min-reclaimable",
            "if expected < policy.min_reclaimable:",
            NEVER,
            "test_the_reason_names_the_rule",
        ),
        (
            "compact-kind",
            "if statistics.kind in SKIPPED_KINDS:",
            NEVER,
            "test_every_plan test_the_reason_names_the_rule",
        ),
        (
            "compact-time-budget",
            "if policy.time_budget is not None and spent + seconds > policy.time_budget:",
            NEVER,
            "test_a_smaller_one_may_still_fit_into_the_budget",
        ),
    ),
    *_of(
        "mongo_compact",
        "_mongo/compaction.py",
        "_mongo/test_compaction_faults.py",
        (
            "compact-primary",
            'if server.state == "primary" and policy.primary == "skip":',
            NEVER,
            "test_a_member_that_has_become_primary_is_left_alone",
        ),
    ),
    *_of(
        "mongo_compact",
        "_mongo/compactor.py",
        "_mongo/test_compaction_faults.py",
        ("compact-another-one-runs", "if others:", NEVER, "test_somebody_else_compacts"),
        (
            "compact-removed-since",
            "if frozen:",
            NEVER,
            "test_what_was_removed_since_planning_is_not_frozen_into_the_file",
        ),
        ("compact-time-is-up", "if estimate_seconds(before) > left:", NEVER, "test_lag_and_time"),
        ("compact-member-changed", "if obstacle:", NEVER, "test_a_member_that_is_neither_any_more_is_left_alone"),
        (
            "compact-started-anew",
            "if read_server_process(self.connection) != process:",
            NEVER,
            "test_a_server_that_was_started_anew_has_not_gone_on",
        ),
        (
            "compact-own-command",
            'entry.get("command", {}).get("comment") == self.comment',
            "True",
            "test_after_a_lost_connection_nobody_elses_compaction_is_waited_for",
        ),
        (
            "compact-lost-connection",
            "self._wait_for_the_server(work, error)",
            "pass",
            "test_dropped_connection_is_waited_for",
        ),
        (
            "compact-refused",
            "if not isinstance(error.__cause__, ConnectionFailure):",
            NEVER,
            "test_refusal_is_no_lost_connection",
        ),
    ),
    *_of(
        "mongo_compact",
        "_mongo/compaction.py",
        "_mongo/test_rolling.py",
        (
            "rolling-old-server",
            'if server.state == "secondary" and not policy.force and not replicates_while_compacting(server):',
            NEVER,
            "test_secondaries_that_cannot_replicate_meanwhile_are_refused_unless_forced",
        ),
    ),
    *_of(
        "mongo_compact",
        "_mongo/rolling_rules.py",
        "_mongo/test_rolling.py",
        (
            "rolling-majority",
            "if len(up) < min(majority, len(others)):",
            NEVER,
            "test_obstacles test_whoever_may_be_busy_leaves_a_majority_where_there_can_be_one",
        ),
        ("rolling-lag", "if behind > max_lag:", NEVER, "test_obstacles"),
        (
            "rolling-no-primary",
            'if not any(member.healthy and member.state == "PRIMARY" for member in members):',
            NEVER,
            "test_obstacles",
        ),
        ("rolling-state", 'if not own.healthy or own.state not in ("PRIMARY", "SECONDARY"):', NEVER, "test_obstacles"),
    ),
    *_of(
        "mongo_compact",
        "_mongo/rolling.py",
        "_mongo/test_rolling.py",
        (
            "rolling-stranger",
            "if left not in self.names:",
            'if left == "":',
            "test_whom_a_dead_call_made_step_down_may_be_elected_again",
        ),
        ("rolling-one-busy", "if running:", NEVER, "test_only_one_is_busy"),
        ("rolling-lease", "if other:", NEVER, "test_who_stood_still_for_long_asks_for_the_lease_again"),
        (
            "rolling-lease-again",
            "if not reason and not self.lease.fresh:",
            NEVER,
            "test_who_stood_still_for_long_asks_for_the_lease_again",
        ),
        (
            "rolling-still-primary",
            'if server.state == "primary" and self.policy.primary == "stepdown":',
            NEVER,
            "test_a_primary_that_is_to_step_down_is_not_compacted_as_one",
        ),
        (
            "rolling-takes-writes",
            'ready = read_server(self.connections.looking(found[0])).state == "primary"',
            "ready = True",
            "test_who_was_elected_has_to_take_writes_before_anything_goes_on",
        ),
        (
            "rolling-successor",
            "if successors(member, seats, members, self.policy.max_lag):",
            "if True:",
            "test_nobody_steps_down_for_nobody",
        ),
    ),
)

MONGO_COMPACT_KILLED = (
    *_of(
        "mongo_compact",
        "_mongo/former_compactions.py",
        "_mongo/test_former_compactions.py",
        ("former-waited-for", "if not running:", ALWAYS, "test_ours_are_waited_for_on_every_member_and_told_of"),
        ("former-ours", "if begun_by_us(entry)", "", "test_nothing_else_is_waited_for"),
    ),
    *_of(
        "mongo_compact",
        "_core/process_identity.py",
        "_core/test_process_identity.py",
        ("former-lives", "return not _exists(pid)", "return True", "test_what_cannot_be_known_has_not_ended"),
        ("former-elsewhere", "or place != _place(proc) or", "or", "test_what_cannot_be_known_has_not_ended"),
    ),
)

MONGO_INFO = (
    *_of(
        "mongo_info",
        "_mongo/index_advice.py",
        "_mongo/test_index_advice.py",
        (
            "info-needed-index-superfluous",
            "if is_needed(narrow) or not (_is_plain(wide) and _is_plain(narrow)):",
            "if not (_is_plain(wide) and _is_plain(narrow)):",
            "test_which_index_covers_which",
        ),
        (
            "info-unused-on-one-member",
            "return all(rest is not None and rest.rested >=",
            "return any(rest is not None and rest.rested >=",
            "test_every_member_agrees_or_nothing_is_said",
        ),
        (
            "info-needed-index-unused",
            "if is_needed(spec) or not members:",
            "if not members:",
            "test_every_member_agrees_or_nothing_is_said",
        ),
    ),
)

MONGO_USERS = (
    *_of(
        "mongo_users",
        "_mongo/database_roles.py",
        "_mongo/test_database_users.py",
        (
            "users-open-file",
            "if user.kept and not user.safe:",
            NEVER,
            "test_an_open_file_is_refused",
        ),
        (
            "users-killed-between-file-and-server",
            "password = fresh or user.accepted is False",
            "password = fresh",
            "test_a_password_that_the_server_does_not_take_is_told_to_it",
        ),
        (
            "users-observer-who-writes",
            "        DATABASE: _LOOK,\n",
            "        DATABASE: _LOOK | _WRITE,\n",
            "test_who_may_what",
        ),
    ),
    *_of(
        "mongo_users",
        "_mongo/database_users.py",
        "_mongo/test_database_users.py",
        (
            "users-file-open-to-others",
            "status.st_mode & 0o077 or",
            "False or",
            "test_whose_file_it_is",
        ),
    ),
)

MONGO_REINDEX = (
    *_of(
        "mongo_reindex",
        "_mongo/reindex_planning.py",
        "_mongo/test_reindex.py",
        (
            "reindex-in-an-open-shop",
            "if not (policy.keeps_waiting and policy.require_maintenance) or observation.in_maintenance:",
            ALWAYS,
            "test_nobody_is_kept_waiting_while_the_shop_is_open",
        ),
        (
            "reindex-of-a-member",
            'elsewhere = "" if observation.server.topology == "standalone" else _topology_reason(observation.server)',
            'elsewhere = ""',
            "test_elsewhere_it_says_what_to_do_instead",
        ),
        (
            "reindex-of-another-collection",
            "if not entry.same_collection:",
            NEVER,
            "test_another_collection_of_that_name_is_left_to_a_person",
        ),
        (
            "reindex-without-room",
            "observation.disk_free < needed:",
            "observation.disk_free < 0:",
            "test_room_for_the_new_ones_beside_the_old_ones",
        ),
    ),
    *_of(
        "mongo_reindex",
        "_mongo/index_definitions.py",
        "_mongo/test_reindex.py",
        (
            "reindex-over-definitions-that-wait",
            "if os.path.lexists(path):",
            NEVER,
            "test_definitions_that_wait_are_not_written_over",
        ),
        (
            "reindex-order-of-keys",
            "return keys[0] == keys[1] and dict(one) == dict(other)",
            "return dict(one) == dict(other)",
            "test_what_differs",
        ),
    ),
)

MONGO_ORPHANS = (
    *_of(
        "mongo_orphans",
        "_mongo/orphan_planning.py",
        "_mongo/test_orphan_planning.py",
        ("orphans-archive-not-judged", "if not findings.judged:", NEVER, ""),
        ("orphans-archive-no-type-matches", "if findings.incomparable and not findings.references:", NEVER, ""),
        (
            "orphans-archive-share",
            "if holders and holders * 100.0 > policy.max_percent * seen.total:",
            NEVER,
            "",
        ),
        (
            "orphans-archive-unfit",
            "if seen.obstacle:\n        return seen.obstacle",
            "if False:\n        return ''",
            "",
        ),
        ("orphans-archive-needs-a-cap", "if policy.max_delete is None:", NEVER, ""),
        ("orphans-archive-cap", "if orphans > policy.max_delete:", NEVER, ""),
        ("orphans-archive-business-records", "if is_forbidden(relation.collection, policy):", NEVER, ""),
        ("orphans-purge-business-records", "if is_forbidden(seen.collection, policy):", NEVER, ""),
        ("orphans-archive-only-what-says-so", 'if relation.action != "archive":', NEVER, ""),
        (
            "orphans-archive-room",
            "if archiving and observation.disk_free is not None and observation.disk_free < needed:",
            NEVER,
            "",
        ),
        ("orphans-archive-growth", "if observation.replica_set else 0", "if False else 0", ""),
    ),
    *_of(
        "mongo_orphans",
        "_mongo/relations.py",
        "_mongo/test_orphans.py",
        (
            "orphans-archive-of-the-server",
            'elif relation.collection.startswith("system.") or relation.references.startswith("system."):',
            "elif False:",
            "test_what_is_no_name_or_not_the_shops_own",
        ),
    ),
    *_of(
        "mongo_reindex",
        "_mongo/reindex_planning.py",
        "_mongo/test_reindex.py",
        (
            "validate-never-repairs",
            'command["background"] = True',
            'command["repair"] = True',
            "test_validating_never_repairs",
        ),
    ),
    *_of(
        "mongo_orphans",
        "_mongo/orphan_judgement.py",
        "_mongo/test_orphan_judgement.py",
        ("orphans-archive-age", 'return YOUNG if max(moments) > policy.cutoff else ""', 'return ""', ""),
        ("orphans-archive-no-age", 'return "" if policy.any_age else NO_AGE', 'return ""', ""),
        (
            "orphans-archive-unreadable",
            "if document is None:\n        return _Readable([], UNREADABLE)",
            "if document is None:\n        document = {}",
            "",
        ),
        ("orphans-archive-twice", "if len({field.name for field in fields}) < len(fields):", NEVER, ""),
    ),
    *_of(
        "mongo_orphans",
        "_mongo/orphan_originals.py",
        "_mongo/test_orphan_judgement.py",
        (
            "orphans-archive-unchanged",
            'Element(DOCUMENT, b"$expr", bytes(same))',
            'Element(DOCUMENT, b"$comment", bytes(same))',
            "",
        ),
    ),
    *_of(
        "mongo_orphans",
        "_mongo/orphan_task.py",
        "_mongo/test_orphan_task.py",
        (
            "orphans-honest-count",
            "if seen.relation in planned)",
            "if seen.keys)",
            "test_check_mode_counts_what_the_plan_takes_and_no_business_records",
        ),
        (
            "orphans-restore-in-turn",
            "progress = progress and bool(done.collisions)",
            "progress = False",
            "test_elements_of_one_list_and_their_document_come_back_with_one_call",
        ),
    ),
    *_of(
        "mongo_orphans",
        "_mongo/orphan_removal.py",
        "_mongo/test_orphan_removal.py",
        (
            "orphans-archive-claim",
            "return [(raw, entry) for raw, entry in pairs if entry.id in claimed]",
            "return pairs",
            "test_nothing_is_removed_whose_entry_another_run_has_dropped",
        ),
        (
            "orphans-archive-leave-claimed",
            'archive.drop([entry], unless_claimed=True) else "left"',
            'archive.drop([entry]) else "left"',
            "test_another_run_drops_nothing_that_is_being_removed",
        ),
        (
            "orphans-archive-written-again",
            "if self._archive.settle(settled) < len(settled):",
            "if self._archive.settle(settled) < 0:",
            "test_an_entry_that_vanished_while_its_document_was_removed_is_written_again",
        ),
    ),
    *(
        Mutation(name, "mongo_orphans", CODE + file, guard, broken, (f"tests/integration/{tests}",))
        for name, file, guard, broken, tests in (
            (
                "orphans-archive-copy-first",
                "_mongo/orphan_removal.py",
                "self._archive.write([entry for _raw, entry in pairs])",
                "pass",
                "test_mongo_orphans_archive_model.py",
            ),
        )
    ),
    *_of(
        "mongo_orphans",
        "_mongo/orphan_removal.py",
        "_mongo/test_orphan_removal.py",
        (
            "orphans-archive-put-back",
            "if verdict.stay or verdict.positions != entry.positions:",
            NEVER,
            "test_what_gains_its_parent_while_it_is_removed_is_put_back",
        ),
    ),
    *_of(
        "mongo_orphans",
        "_mongo/orphan_removal.py",
        "_mongo/test_orphan_removal.py",
        (
            "orphans-archive-drop-only-copies",
            'if self._originals.judge(entry) == "there"]',
            "]",
            "test_the_only_copy_of_what_has_gone_meanwhile_is_not_dropped",
        ),
    ),
    *_of(
        "mongo_orphans",
        "_mongo/orphans.py",
        "_mongo/test_orphans.py",
        ("orphans-ignored-text", "if value in relation.ignore:", NEVER, "test_ignored_text_is_the_relations_own"),
        (
            "orphans-broken-text",
            ' or "\\ufffd" in value:',
            ":",
            "test_text_that_is_no_utf8_cannot_be_told_and_is_no_orphan",
        ),
        (
            "orphans-other-types",
            'return ReferenceJudgement("reference", possible) if possible else OTHER',
            'return ReferenceJudgement("reference", possible)',
            "test_judgement_against_a_model",
        ),
        (
            "orphans-show-ids-only",
            "(isinstance(identity, str) and _HEX.match(identity))",
            "isinstance(identity, str)",
            "test_only_ids_are_shown",
        ),
        ("orphans-age", "return max(moments)", "return min(moments)", "test_age_is_the_later_of_both_times"),
        (
            "orphans-malformed",
            "return isinstance(value, str) and _MALFORMED.match(value) is not None",
            "return False",
            "test_text_that_a_program_made_of_nothing_is_no_lost_document",
        ),
    ),
    *_of(
        "mongo_orphans",
        "_mongo/orphans.py",
        "_mongo/test_orphan_finder.py",
        ("orphans-empty-collection", 'if parent.find_one({}, {"_id": 1}) is None:', NEVER, ""),
        ("orphans-no-such-key", 'if parent.find_one({relation.key: {"$ne": None}}, {"_id": 1}) is None:', NEVER, ""),
        ("orphans-no-collection", "if name not in self.collections:", NEVER, ""),
        ("orphans-too-young", "if moment is not None and moment > self._cutoff:", NEVER, ""),
        (
            "orphans-appeared-meanwhile",
            "[value for value in values if value not in appeared]",
            "list(values)",
            "",
        ),
        (
            "orphans-partial-index",
            'for option in ("sparse", "partialFilterExpression", "hidden", "collation")',
            'for option in ("hidden",)',
            "",
        ),
        (
            "orphans-other-spelling",
            'certain = self._objectids.discard_existing(left) and not self._types["string"]',
            "certain = self._objectids.discard_existing(left)",
            "test_a_key_in_another_spelling_is_looked_for_before_a_reference_is_lost",
        ),
        (
            "orphans-other-spelling-of-text",
            'certain = self._objectids.discard_existing(absent) and not self._types["string"]',
            "certain = self._objectids.discard_existing(absent)",
            "test_a_key_in_another_spelling_is_looked_for_before_a_reference_is_lost",
        ),
    ),
    *_of(
        "mongo_orphans",
        "_mongo/key_ranges.py",
        "_mongo/test_held_keys.py",
        (
            "orphans-range-read-whole",
            "if read < limit:",
            ALWAYS,
            "test_a_range_that_was_not_read_whole_tells_of_no_absence",
        ),
    ),
    *_of(
        "mongo_orphans",
        "_mongo/plain_references.py",
        "_mongo/test_held_keys.py",
        (
            "orphans-usual-spelling",
            "if together != together.lower():",
            NEVER,
            "test_text_that_is_not_the_usual_spelling_is_asked_about_once",
        ),
        (
            "orphans-equal-only-by-bytes",
            "if kind != TEXT:",
            NEVER,
            "test_what_equals_more_than_its_own_bytes_is_given_up",
        ),
        (
            "orphans-twice-in-a-document",
            "if len(named) > 1:",
            NEVER,
            "test_a_reference_that_stands_twice_is_given_up",
        ),
    ),
    *_of(
        "mongo_orphans",
        "_mongo/held_keys.py",
        "_mongo/test_held_keys.py",
        (
            "orphans-all-keys-held",
            "if ids.texts or ids.others or len(keys) > MOST_KEYS:",
            NEVER,
            "test_all_keys_are_read_or_none",
        ),
    ),
    *_of(
        "mongo_orphans",
        "_mongo/spilled_references.py",
        "_mongo/test_orphan_finder.py",
        (
            "orphans-text-among-keys-in-parts",
            "if ids.texts or any(document[4] == TEXT for document in ids.others):",
            NEVER,
            "test_a_key_that_is_text_gives_the_parts_up",
        ),
    ),
    *_of(
        "mongo_orphans",
        "_mongo/spilled_rows.py",
        "_mongo/test_spilled_rows.py",
        (
            "orphans-spilled-file-cut-short",
            "if len(data) != size:",
            NEVER,
            "test_a_file_that_cannot_be_made_or_was_cut_is_told",
        ),
    ),
    *_of(
        "mongo_orphans",
        "_mongo/orphans.py",
        "_mongo/test_orphan_finder.py",
        ("orphans-appeared-by-bytes", "and key not in appeared", "", ""),
        (
            "orphans-too-young-by-bytes",
            "if not self._raw_cutoff.is_younger(holders.ids[place], created[place])",
            "if True",
            "",
        ),
    ),
    *_of(
        "mongo_orphans",
        "_mongo/raw_tables.py",
        "_mongo/test_raw_tables.py",
        (
            "orphans-documents-of-one-shape",
            "if position not in values and data[position::step] != data[position : position + 1] * rows:",
            NEVER,
            "",
        ),
    ),
    *_of(
        "mongo_orphans",
        "_mongo/raw_holders.py",
        "_mongo/test_raw_tables.py",
        ("orphans-age-by-bytes", "if self._seconds < 0 or identity[:4] > self._in_id:", NEVER, ""),
        ("orphans-date-by-bytes", "moment > self._milliseconds and moment in _MOMENTS", "False", ""),
    ),
    *_of(
        "mongo_orphans",
        "_mongo/raw_ids.py",
        "_mongo/test_raw_ids.py",
        (
            "orphans-ids-of-one-form",
            "if part[digits + 2 + place :: step] != form.head[place : place + 1] * there:",
            NEVER,
            "test_every_value_comes_out_as_it_went_in",
        ),
        (
            "orphans-digits-only",
            "if not _are_digits(ids.texts):",
            NEVER,
            "test_every_value_comes_out_as_it_went_in",
        ),
    ),
)

PERM_AUDIT = (
    *_of(
        "perm_audit",
        "_audit/permission_fix.py",
        "_audit/test_permissions.py",
        (
            "modes-users-keep-access",
            "losers = [user for user in users if granted(status, mode, user) & ~granted(status, candidate, user) & 6]",
            "losers: List[User] = []",
            "test_a_mode_only_ever_narrows_and_nobody_who_uses_it_loses_access",
        ),
        (
            "modes-hard-links",
            "if status.kind == stat.S_IFREG and status.links > 1:",
            NEVER,
            "test_files_with_several_names_are_left_to_a_person",
        ),
        (
            "modes-only-rules-asked-for",
            "if problem.rule.name in wanted and problem.rule.remove:",
            "if problem.rule.remove:",
            "test_nothing_is_fixed_that_was_not_asked_for",
        ),
        (
            "modes-access-control-list",
            "if status.acl and (mode ^ status.mode) & 0o070:",
            NEVER,
            "test_an_access_control_list_is_not_shut",
        ),
        (
            "modes-undo-of-another-file",
            "!= (note.device, note.inode) or (",
            "!= (status.device, status.inode) or (",
            "test_undo_leaves_alone_what_has_changed_since",
        ),
        (
            "modes-undo-of-a-changed-mode",
            "elif status.mode not in chain.stages:",
            "elif False:",
            "test_undo_leaves_alone_what_has_changed_since",
        ),
    ),
    *_of(
        "perm_audit",
        "_audit/file_modes.py",
        "_audit/test_permissions.py",
        (
            "modes-another-file",
            "if (now.device, now.inode) != (change.device, change.inode):",
            NEVER,
            "test_another_file_under_the_name_is_left_alone",
        ),
        (
            "modes-changed-since",
            "if (now.mode, now.uid, now.gid) != (change.before, change.uid, change.gid):",
            NEVER,
            "test_a_mode_changed_since_planning_is_left_alone",
        ),
    ),
    *_of(
        "perm_audit",
        "_core/undo_note.py",
        "_audit/test_undo_store.py",
        (
            "modes-no-note-no-change",
            "raise AbortPlan.because_of(error) from error",
            "raise",
            "test_without_a_note_nothing_further_is_tried",
        ),
    ),
    *_of(
        "perm_audit",
        "_core/state_note.py",
        "_audit/test_undo_store.py",
        (
            "modes-damaged-note",
            "if not damaged:",
            ALWAYS,
            "test_damaged_undo_data_is_told",
        ),
    ),
    *_of(
        "perm_audit",
        "_operations/permission_audit.py",
        "_operations/test_permission_audit.py",
        (
            "modes-note-before-the-first-change",
            "if not os.path.exists(undo_path(self.run.state_dir, undo_id)):",
            NEVER,
            "test_the_note_of_all_changes_stands_before_the_first_and_again_when_it_went",
        ),
        (
            "modes-verify",
            "if status is not None and status.mode != result.action.work.after:",
            NEVER,
            "test_the_report_rests_on_the_second_look",
        ),
    ),
    *_of(
        "perm_audit",
        "_audit/permission_rules.py",
        "_operations/test_permission_audit.py",
        (
            "modes-environment-file",
            "OTHERS | GROUP | 0o100,",
            "OTHERS,",
            "test_the_note_of_all_changes_stands_before_the_first_and_again_when_it_went",
        ),
    ),
)

MAINTENANCE_FLAG = (
    *_of(
        "maintenance_flag",
        "_operations/maintenance_status.py",
        "_flag/test_flag.py",
        (
            "flag-told-as-missing",
            "        flag = Flag(True)\n",
            "        flag = Flag(False)\n",
            "test_a_flag_that_cannot_be_read_is_not_missing",
        ),
    ),
    *_of(
        "maintenance_flag",
        "_flag/switch.py",
        "_flag/test_services.py",
        (
            "flag-services-that-nobody-tells-of",
            "    if silent:",
            "    if False:",
            "test_what_cannot_be_looked_at_keeps_no_layer_up_and_is_not_forgotten",
        ),
    ),
    *_of(
        "maintenance_flag",
        "_flag/services.py",
        "_flag/test_services.py",
        (
            "flag-services-that-ran",
            "if standing or not running.get(service, False)",
            "if standing",
            "test_what_is_stopped_is_not_forgotten_when_somebody_removes_the_flag",
        ),
        (
            "flag-services-that-did-not-run",
            "if s.wanted and s.running and s.service not in kept",
            "if s.wanted and s.service not in kept",
            "test_what_ran_runs_after_and_nothing_else",
        ),
    ),
    *_of(
        "maintenance_flag",
        "_flag/switch.py",
        "_flag/test_flag.py",
        (
            "flag-of-somebody-else",
            "if not owner or owner == policy.owner or policy.force or is_left_behind(layers):",
            ALWAYS,
            "test_somebody_elses_is_left_alone_unless_forced",
        ),
        (
            "flag-how-it-was-before",
            'if not layers.application.enabled or "previous" not in application:',
            ALWAYS,
            "test_whatever_was_killed_the_next_run_completes",
        ),
        (
            "flag-of-a-run-that-is-over",
            "bool(note.around_run) and note.around_run != layers.live_run",
            "bool(note.around_run)",
            "test_what_was_put_up_around_a_run_is_nobodys_once_the_run_is_over",
        ),
        (
            "flag-note-is-not-taken-over",
            "WriteNote(note, policy.force or is_left_behind(layers))",
            "WriteNote(note, True)",
            "test_somebody_elses_note_is_written_over_by_force_only",
        ),
    ),
    *_of(
        "maintenance_flag",
        "_flag/switch.py",
        "_flag/test_nginx.py",
        (
            "flag-note-goes-before-all-is-open",
            "if remains(layers):",
            NEVER,
            "test_what_cannot_be_looked_at_keeps_the_note",
        ),
        (
            "flag-closed-by-an-nginx-that-does-not-run",
            "use_nginx, use_application = not problem, bool(problem)",
            "use_nginx, use_application = nginx is not None, bool(problem)",
            "test_which_layers_turn_visitors_away",
        ),
    ),
    *_of(
        "maintenance_flag",
        "_flag/nginx_snippet.py",
        "_flag/test_nginx.py",
        (
            "flag-path-that-nginx-reads-as-more",
            "if not _PATH.fullmatch(path) or",
            "if",
            "test_what_nginx_would_read_otherwise_never_becomes_a_pattern",
        ),
    ),
    *_of(
        "maintenance_nginx",
        "_operations/nginx_setup.py",
        "_flag/test_nginx.py",
        (
            "nginx-file-that-is-not-ours",
            "if seen.snippet and not is_snippet(seen.snippet):",
            NEVER,
            "test_no_file_of_somebody_else_is_written_over_or_removed",
        ),
    ),
    *_of(
        "maintenance_nginx",
        "_flag/nginx_layer.py",
        "_flag/test_nginx.py",
        (
            "nginx-directory-with-files-of-others",
            "if _MADE.fullmatch(name) or",
            "if name.startswith(_SWITCH) or",
            "test_no_file_of_somebody_else_is_written_over_or_removed",
        ),
    ),
    *_of(
        "maintenance_flag",
        "_operations/maintenance.py",
        "_operations/test_maintenance.py",
        (
            "flag-nginx-whose-setup-is-lost",
            "if found.closed or found.leftovers:",
            NEVER,
            "test_nginx_is_opened_although_nobody_knows_any_more_how_it_was_set_up",
        ),
    ),
    *_of(
        "maintenance_alert",
        "_alerts/mail.py",
        "_alerts/test_messages.py",
        (
            "alert-password-to-another-server",
            'if _is_same(host, env.get("SMTP_HOST", "").strip()) else ()',
            "if host else ()",
            "test_the_password_of_the_shops_server_goes_to_no_other",
        ),
    ),
    *_of(
        "maintenance_flag",
        "_flag/flag_file.py",
        "_flag/test_flag.py",
        ("flag-end-in-the-past", "if moment <= now:", NEVER, "test_ends"),
        (
            "flag-that-cannot-be-read",
            '        raise _error("cannot read the maintenance flag", path, error) from error',
            "        return Flag(False)",
            "test_a_flag_that_cannot_be_read_is_not_missing",
        ),
        (
            "flag-without-a-time",
            "if not separator:",
            "if not separator and not line:",
            "test_a_word_in_the_flag_is_a_reason_and_no_time",
        ),
        (
            "flag-without-a-directory",
            'if not os.path.isdir(os.path.dirname(path) or "."):',
            NEVER,
            "test_files test_a_flag_whose_directory_is_missing_is_refused_before_anything",
        ),
    ),
    *_of(
        "maintenance_flag",
        "_flag/timer.py",
        "_flag/test_timer.py",
        (
            "timer-of-another-version",
            "return current and self.rings_at(expires)",
            "return self.rings_at(expires)",
            "test_what_is_not_right_about_it_is_renewed",
        ),
        (
            "timer-that-does-not-run",
            "return self.running and bool(self.service)",
            "return bool(self.service)",
            "test_a_timer_that_somebody_stopped_is_missed test_what_is_not_right_about_it_is_renewed",
        ),
        (
            "timer-words",
            '.replace("%", "%%")',
            "",
            "test_any_directory_stays_one_word",
        ),
    ),
    *_of(
        "maintenance_flag",
        "_operations/maintenance.py",
        "_operations/test_maintenance.py",
        (
            "flag-two-at-once",
            "if now is not None and now.owner != self.policy.owner and read_flag(self.policy.path).present:",
            NEVER,
            "test_who_enters_at_the_same_moment_and_is_slower_is_refused",
        ),
        (
            "flag-removal-is-noted",
            'self._note_removal(observation) if change.action == "delete" else ()',
            "()",
            "test_a_setting_that_is_taken_away_is_noted_for_compaction",
        ),
        (
            "flag-timer-is-armed",
            "if not observe_timer(self._state_dir, observation.program).armed_for(note.expires):",
            NEVER,
            "test_a_timer_that_is_there_but_does_not_run_is_an_error",
        ),
        (
            "flag-verify",
            "if read_flag(self.policy.path).present != self.present:",
            NEVER,
            "test_a_flag_that_is_not_as_it_was_left_is_an_error",
        ),
        (
            "flag-connection-string-forgotten",
            'if not remembered.get("env_file"):',
            NEVER,
            "test_an_application_that_cannot_be_found_again_keeps_the_note",
        ),
    ),
    *_of(
        "maintenance_flag",
        "_mongo/application_setting.py",
        "_mongo/test_application_setting.py",
        (
            "setting-compare-and-set",
            '"type": "json", "value": setting.text}',
            '"type": "json"}',
            "test_what_somebody_saves_at_the_same_moment_is_not_lost",
        ),
        ("setting-not-written", "if not done:", NEVER, "test_what_somebody_saves_at_the_same_moment_is_not_lost"),
        (
            "setting-read-back",
            "if read_setting(database).enabled != enabled:",
            NEVER,
            "test_a_setting_that_is_switched_again_at_once_is_an_error",
        ),
        (
            "setting-several-documents",
            "if len(documents) > 1:",
            NEVER,
            "test_of_several_documents_nobody_knows_which_counts",
        ),
        (
            "setting-on-before-us",
            'if interpret({"value": text, "type": "json"}).enabled:',
            NEVER,
            "test_it_was_on_before_us",
        ),
        (
            "setting-that-cannot-be-read",
            "if setting.problem and setting.present:",
            NEVER,
            "test_what_the_application_cannot_read_is_off_and_never_overwritten",
        ),
    ),
    *_of(
        "maintenance_flag",
        "_operations/expiry.py",
        "_operations/test_expiry.py",
        (
            "expiry-alerts-only",
            'return LIFT if note.on_expiry == "lift" else ALERT',
            "return LIFT",
            "test_the_note_decides",
        ),
        ("expiry-not-yet", "if left > timedelta(0):", NEVER, "test_the_note_decides"),
    ),
)

LOGS = (
    *_of(
        "log_prune",
        "_logs/retention.py",
        "_logs/test_retention.py",
        ("log-open", "if found.opened:", NEVER, "test_what_goes_and_what_stays"),
        ("log-copy-is-something-else", "elif found.blocked_by:", "elif False:", "test_what_goes_and_what_stays"),
        ("log-opened-meanwhile", "if opened.held or written:", NEVER, "test_what_keeps_from_touching_a_log"),
        (
            "log-writers-not-shown",
            "if len(plan.actions) > number and found.unseen_writers:",
            NEVER,
            "test_what_somebody_unseen_may_write_to_stays",
        ),
    ),
    *_of(
        "log_prune",
        "_logs/pruning.py",
        "_logs/test_pruning.py",
        (
            "log-changed-since",
            'raise SkipAction("it was written to or replaced since it was looked at")',
            "pass",
            "",
        ),
        ("log-in-use-now", "if reason:\n        raise", "if False:\n        raise", ""),
        ("log-copy-differs", "if left != right:", NEVER, ""),
        ("log-copy-is-there", "if os.path.lexists(target):", NEVER, ""),
        ("log-written-while-copied", "    _recheck(log)\n    os.unlink", "    os.unlink", ""),
        ("log-zero-days", "(parse_duration(age) or None) if age else None", "parse_duration(age) if age else None", ""),
        ("log-swapped-for-a-link", "os.O_RDONLY | os.O_NOFOLLOW | ", "os.O_RDONLY | ", ""),
    ),
    *_of(
        "log_rotate",
        "_logs/rotation.py",
        "_logs/test_rotation.py",
        ("rotate-unseen-writers", "if log.unseen:", NEVER, "test_who_is_not_shown_may_hold_it_in_any_way"),
        (
            "rotate-no-handler",
            "if name not in holder.catches:",
            NEVER,
            "test_who_holds_a_log_decides_how_it_is_rotated",
        ),
        (
            "rotate-not-appending",
            "if all(holder.appends for holder in writers):",
            ALWAYS,
            "test_who_holds_a_log_decides_how_it_is_rotated",
        ),
        (
            "rotate-copy-does-not-fit",
            "if log.size > room[directory.device]:",
            NEVER,
            "test_a_copy_that_does_not_fit_is_not_begun",
        ),
        (
            "rotate-workers",
            "if holder.parent in pids:",
            NEVER,
            "test_a_master_is_sent_the_signal_and_its_workers_are_not",
        ),
        ("rotate-hard-links", "if log.links > 1:", NEVER, "test_each_log_is_rotated_safely_or_kept_with_a_reason"),
    ),
    *_of(
        "log_rotate",
        "_logs/holders.py",
        "_logs/test_holders.py",
        (
            "rotate-signal-with-a-handler",
            "if name not in caught(process.pid):",
            NEVER,
            "test_a_signal_is_sent_to_that_process_and_only_with_a_handler",
        ),
        (
            "rotate-signal-to-a-later-process",
            "if not is_running(process.pid, process.start_time):",
            NEVER,
            "test_a_signal_is_sent_to_that_process_and_only_with_a_handler",
        ),
    ),
    *_of(
        "log_rotate",
        "_logs/logrotate.py",
        "_logs/test_logrotate.py",
        (
            "rotate-names",
            " and path.isprintable() and not _SPECIAL & set(path)",
            "",
            "test_what_could_mean_something_else_is_refused",
        ),
    ),
    *_of(
        "log_rotate",
        "_logs/rotating.py",
        "_logs/test_rotating.py",
        (
            "rotate-held-otherwise-now",
            "return way_of(replace(log, holders=held), policy).method == method",
            "return True",
            "",
        ),
        (
            "rotate-replaced-meanwhile",
            "if (status.st_dev, status.st_ino) != (log.device, log.inode):",
            NEVER,
            "",
        ),
    ),
)

COMPILED = (
    *_of(
        "core",
        "_core/code_cache.py",
        "_core/test_code_cache.py",
        (
            "code-of-another-source",
            '"%s.%s.pyc" % (hashlib.sha256(source).hexdigest(), sys.implementation.cache_tag)',
            '"%s.%s.pyc" % (fullname, sys.implementation.cache_tag)',
            "test_another_source_is_compiled_anew",
        ),
        (
            "code-damaged",
            "if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:",
            NEVER,
            "test_damaged_code_is_compiled_anew",
        ),
        (
            "code-others-write",
            " and not status.st_mode & 0o022",
            "",
            "test_a_directory_that_others_write_to_is_not_trusted",
        ),
        (
            "code-through-a-link",
            "status = os.lstat(path)",
            "status = os.stat(path)",
            "test_a_link_is_not_followed",
        ),
        (
            "code-of-others-modules",
            "if not fullname.startswith(OWN_ROOT):",
            NEVER,
            "test_what_mitogen_sends_of_others_is_left_alone",
        ),
        (
            "code-keeps-mitogens-loader",
            "spec.loader = module.__loader__ = self._importer",
            "",
            "test_what_mitogen_sends_is_the_importers_when_it_is_loaded",
        ),
        (
            "code-of-another-kind-of-importer",
            " and all(hasattr(loader, name) for name in _IMPORTER)",
            "",
            "test_an_importer_of_another_kind_is_left_alone",
        ),
        (
            "code-of-a-loader-that-is-no-finder",
            "any(finder is loader for finder in sys.meta_path) and ",
            "",
            "test_a_loader_that_is_no_finder_is_left_alone",
        ),
    ),
)

MAINTENANCE_RUN = (
    *_of(
        "maintenance_run",
        "_core/lease.py",
        "_core/test_lease.py",
        ("lease-module-works", "if not lock_free:", NEVER, "test_who_may_take_the_lease"),
        ("lease-silence", "if silence > SILENCE_SECONDS:", "if silence >= 0:", "test_who_may_take_the_lease"),
        (
            "lease-of-somebody-else",
            "if own and lease.owner == own:",
            "if own:",
            "test_ones_own_run_is_taken_over_once_it_does_not_work",
        ),
        (
            "lease-live-run",
            'if standing.state == "live":',
            NEVER,
            "test_a_second_run_is_refused_and_told_by_whom",
        ),
        (
            "lease-release-of-another",
            "if found is None or found.run_id != run_id:",
            "if found is None:",
            "test_a_lease_is_given_back_by_its_own_run_alone",
        ),
    ),
    *_of(
        "maintenance_run",
        "_core/run_context.py",
        "_core/test_lease.py",
        (
            "lease-lost",
            "if lease is None or lease.run_id != self.run_id:",
            "if lease is None:",
            "test_a_dead_run_is_taken_over_and_its_modules_stop",
        ),
        (
            "lease-check-run",
            " and not check and not str(self.run_id).startswith(CHECK_PREFIX)",
            "",
            "test_check_mode_and_a_check_run_write_nothing",
        ),
    ),
    *_of(
        "maintenance_run",
        "_core/state_dir.py",
        "_core/test_lease.py",
        (
            "run-id-is-no-path",
            'if not run_id or os.sep in run_id or run_id.startswith("."):',
            NEVER,
            "test_a_run_id_is_no_path",
        ),
    ),
    *_of(
        "maintenance_run",
        "_core/leftovers.py",
        "_operations/test_leftovers.py",
        (
            "leftover-in-the-making",
            "return self.is_of_another_boot(boot) or not self.process.runs()",
            "return True",
            "",
        ),
    ),
    *_of(
        "maintenance_run",
        "_operations/leftovers.py",
        "_operations/test_leftovers.py",
        ("leftover-state-directory", " or lies_below(state_dir, path)", "", ""),
        ("leftover-relative-path", 'if not os.path.isabs(path) or path.count("/")', 'if path.count("/")', ""),
        ("leftover-top-directory", 'path.count("/") < 2', 'path.count("/") < 1', ""),
        ("leftover-mount", " or os.path.ismount(path)", "", ""),
        ("leftover-whoever-looks", 'and process.name.startswith("mongo")', "and True", ""),
        ("leftover-later-process", " and process.start_time == left.start_time", "", ""),
        ("leftover-another-boot", "leftover.is_of_another_boot(boot_id()):", "False:", ""),
    ),
    *_of(
        "maintenance_run",
        "_core/state_dir.py",
        "_operations/test_leftovers.py",
        ("leftover-half-written", "is_partial(name) and time.time()", "time.time()", ""),
        ("leftover-being-written", " - os.lstat(path).st_mtime > 3600", " > 3600", ""),
    ),
    *(
        Mutation(name, "several", f"{CODE}_core/in_turn.py", guard, broken, ("tests/integration/test_several.py",))
        for name, guard, broken in (
            ("several-goes-on", 'if result.get("failed") and module.params["stop_on_failure"]:', NEVER),
            ("several-not-made", '            if module.params["stop_on_failure"]:\n                break\n', ""),
            ("several-passwords", "if any(options.get(name) for name in hidden):", NEVER),
            ("several-options", "return None if found else", "return"),
            ("several-common", 'dict(module.params["common"], **call["options"])', 'call["options"]'),
            ("several-common-first", '["common"], **call["options"]', '["common"] or call["options"]'),
        )
    ),
    *_of(
        "maintenance_run",
        "_operations/run.py",
        "_operations/test_run.py",
        ("run-unknown", "if not mine and not first and not before:", NEVER, ""),
        ("run-ended-before", 'if not mine and before.get("status") in ("ok", "failed"):', NEVER, ""),
        ("run-taken-over", 'status = "failed"\n        notes', "notes", ""),
        ("run-lease-of-another", "if mine:\n        context", "if True:\n        context", ""),
        ("run-full-disk", "except OSError as error:", "except MemoryError as error:", ""),
        ("run-check-mode", "if check or run_id.startswith(CHECK_PREFIX):", NEVER, ""),
    ),
)

CORE = (
    *_of(
        "core",
        "_core/atomic_file.py",
        "_core/test_atomic_file.py",
        (
            "atomic-synced-before-it-is-renamed",
            "os.fsync(handle.fileno())",
            "pass",
            "test_it_is_on_the_disk_before_it_has_its_name",
        ),
        (
            "atomic-directory-synced",
            "    sync_directory(os.path.dirname(path))\n",
            "",
            "test_it_is_on_the_disk_before_it_has_its_name",
        ),
        (
            "atomic-failure-leaves-nothing",
            "except BaseException:\n        discard_partial(path)",
            "except BaseException:",
            "test_a_failure_leaves_the_old_file_and_nothing_else",
        ),
        (
            "atomic-exclusive",
            "os.O_CREAT | os.O_EXCL | os.O_CLOEXEC",
            "os.O_CREAT | os.O_CLOEXEC",
            "test_what_is_planted_at_the_last_moment_is_not_written_to",
        ),
        (
            "append-torn-line",
            'if size and os.pread(descriptor, 1, size - 1) != b"\\n":',
            NEVER,
            "test_a_torn_line_is_ended_before_the_next",
        ),
        (
            "append-part-of-a-line",
            "if os.write(descriptor, data) < len(data):",
            "if os.write(descriptor, data) < 0:",
            "test_a_part_of_a_line_is_an_error",
        ),
    ),
    *_of(
        "core",
        "_core/redaction.py",
        "_core/test_redaction.py",
        (
            "redaction-anywhere",
            "text = text.replace(secret, MASK)",
            "pass",
            "test_a_long_secret_is_masked_wherever_it_stands",
        ),
        (
            "redaction-in-uris",
            'text = _IN_URI.sub(r"\\g<scheme>\\g<user>:" + MASK + r"@\\g<rest>", text)',
            "pass",
            "test_a_short_password_is_masked_in_a_uri_only test_a_password_with_an_at_sign_is_masked_whole",
        ),
        (
            "redaction-keys",
            "{self._clean_key(key): self.clean(item)",
            "{key: self.clean(item)",
            "test_a_long_secret_is_masked_wherever_it_stands",
        ),
    ),
    *_of(
        "core",
        "_core/redaction.py",
        "_core/test_sabotage_redaction.py",
        ("redaction-paths-stay", "if _WORD.match(secret):", NEVER, ""),
    ),
    *_of(
        "core",
        "_core/runner.py",
        "_core/test_runner.py",
        (
            "runner-check-mode",
            "if call.check:\n        answer.take(",
            "if False:\n        answer.take(",
            "test_check_mode_stops_after_planning",
        ),
        (
            "runner-abort",
            "isinstance(told, AbortPlan) or task.stop_on_failure",
            "task.stop_on_failure",
            "test_some_failures_forbid_the_rest",
        ),
        (
            "runner-stop-on-failure",
            "if status == FAILED and (isinstance(told, AbortPlan) or task.stop_on_failure):",
            "if status == FAILED and isinstance(told, AbortPlan):",
            "test_where_one_failure_ends_the_plan_nothing_more_is_tried",
        ),
        (
            "runner-verification-fails",
            "if results.verification.failure is not None:",
            NEVER,
            "test_verification_and_report_can_fail",
        ),
        (
            "runner-report-fails",
            "if report.failure is not None:",
            NEVER,
            "test_verification_and_report_can_fail",
        ),
        (
            "runner-failed-action-fails",
            "if results.failed:",
            NEVER,
            "test_a_defect_is_called_one_and_what_was_done_is_told",
        ),
        (
            "runner-result-is-redacted",
            "SECRETS.clean(capped(answer.values))",
            "capped(answer.values)",
            "test_modules_that_read_share_the_frame",
        ),
        (
            "runner-warnings-are-redacted",
            "SECRETS.clean_text(str(warning)) for",
            "str(warning) for",
            "test_the_steps_in_their_order",
        ),
        (
            "runner-record-before-the-action",
            'boundary(task.run, {"event": "begin", "action": action.action, "target": action.target})',
            "pass",
            "test_the_record_holds_every_step_and_what_was_found",
        ),
    ),
    *_of(
        "core",
        "_core/plan.py",
        "_core/test_runner.py",
        (
            "cap-of-removals",
            "len(plan.actions) <= limit:",
            "len(plan.actions) <= limit + 1:",
            "test_one_function_refuses_too_many",
        ),
        ("cap-of-nothing", "if limit is None or", "if not limit or", "test_one_function_refuses_too_many"),
    ),
    *_of(
        "core",
        "_core/paths.py",
        "_core/test_paths.py",
        ("path-lies-below", 'path.startswith(top.rstrip("/") + "/")', "path.startswith(top)", ""),
    ),
    *_of(
        "core",
        "_host/settings.py",
        "_host/test_settings.py",
        ("settings-percentage", "if not 1 <= number <= 100:", NEVER, ""),
        ("settings-path", "if not text.isprintable() or len(text) > 1024:", NEVER, ""),
        ("settings-host", 'if not re.match(r"^[A-Za-z0-9._:\\[\\]-]{1,255}$", text):', NEVER, ""),
    ),
    *_of(
        "core",
        "_host/environment.py",
        "_host/test_environment.py",
        ("environment-of-a-process", "if used.kind == PROCESS:", NEVER, ""),
        ("environment-order", "for source in reversed(sources):", "for source in sources:", ""),
        ("environment-file-of-a-container", "elif used.mongo_uri() is None:", "elif False:", ""),
    ),
)

SECRET_SCAN = (
    *_of(
        "secret_scan",
        "_audit/secret_places.py",
        "_audit/test_secret_places.py",
        (
            "excerpt-begins-where-a-word-begins",
            r'''r"""(?:^|[\s"'`{\[(,;&?])(''',
            r'''r"""(''',
            "test_a_place_in_a_line",
        ),
    ),
    *_of(
        "secret_scan",
        "_audit/secret_matches.py",
        "_audit/test_secret_places.py",
        (
            "excerpt-with-another-secret",
            "if not before or any(value in before for value in values):",
            "if not before:",
            "test_an_excerpt_shows_the_name_alone",
        ),
    ),
    *_of(
        "secret_scan",
        "_audit/scanned_tree.py",
        "_audit/test_scanned_tree.py",
        (
            "scan-time-of-change",
            "status.st_size, status.st_mtime_ns, status.st_ctime_ns]",
            "status.st_size, status.st_mtime_ns]",
            "test_a_change_is_seen test_any_single_change_of_an_entry_is_another_digest",
        ),
        (
            "scan-changed-a-moment-before",
            "if self._troubled or self.newest >= latest:",
            "if self._troubled:",
            "test_what_is_too_fresh_may_have_changed_while_it_was_read",
        ),
        (
            "scan-not-looked-into",
            "if self._troubled or self.newest >= latest:",
            "if self.newest >= latest:",
            "test_what_cannot_be_looked_into_is_never_the_same",
        ),
        (
            "scan-not-looked-into-again",
            "return self._troubled or len(self.digests) != len(digests)",
            "return len(self.digests) != len(digests)",
            "test_what_cannot_be_looked_into_is_never_the_same",
        ),
        (
            "scan-directory-away",
            "!= identity or status.st_ctime_ns >= latest:",
            "!= identity:",
            "test_a_directory_that_was_away_meanwhile_is_noticed",
        ),
        (
            "scan-times-of-other-machines",
            "self._left_out, mounts) <= _TIMED",
            "self._left_out, mounts) is not None",
            "test_times_of_other_machines_are_not_relied_on",
        ),
    ),
    *_of(
        "secret_scan",
        "_audit/scan_memory.py",
        "_audit/test_scan_memory.py",
        (
            "scan-memory-of-the-future",
            "return 0 <= now - self.began <",
            "return now - self.began <",
            "test_it_holds_for_a_time",
        ),
        ("scan-memory-without-secrets", 'fingerprint(key, finding), subject="")', "fingerprint(key, finding))", ""),
        (
            "scan-memory-of-another-user",
            "or status.st_uid != os.geteuid() or",
            "or",
            "test_what_others_could_have_written_is_not_there",
        ),
        (
            "scan-memory-others-may-write",
            "os.geteuid() or status.st_mode & 0o022:",
            "os.geteuid():",
            "test_what_others_could_have_written_is_not_there",
        ),
        (
            "scan-memory-fresh-program",
            "if max(status.st_mtime_ns, status.st_ctime_ns) >= began - RACY_NS:",
            NEVER,
            "test_the_mark_stands_for_all_that_decides",
        ),
        ("scan-memory-code", '    "_audit.secret_values",\n', "", "test_all_code_that_judges_is_part_of_the_mark"),
    ),
    *_of(
        "secret_scan",
        "_audit/secret_conclusion.py",
        "_audit/test_secret_conclusion.py",
        ("scan-remembered-in-check-mode", "elif not self._call.check:", "else:", "test_check_mode_remembers_nothing"),
        (
            "scan-incomplete-remembered",
            "if scan.incomplete:",
            NEVER,
            "test_an_incomplete_scan_is_not_remembered",
        ),
        (
            "scan-clock-set-back",
            "or set_back > _SET_BACK_NS or",
            "or",
            "test_a_clock_that_was_set_back_hides_changes",
        ),
        (
            "scan-unsettled-remembered",
            "or not self._tree.settled(self._began) or",
            "or",
            "test_what_was_changed_a_moment_before_is_not_remembered",
        ),
        (
            "scan-untimed-remembered",
            "or not self._tree.timed():",
            "or False:",
            "test_nothing_is_remembered_where_times_say_nothing",
        ),
        (
            "scan-untimed-taken",
            "self._tree.differs_from(kept.digests) and self._tree.timed() else None",
            "self._tree.differs_from(kept.digests) else None",
            "test_nothing_is_remembered_where_times_say_nothing",
        ),
        (
            "scan-changed-taken",
            "return kept if not self._tree.differs_from(kept.digests) and",
            "return kept if",
            "test_it_ends_with",
        ),
        ("scan-of-another-mark", " or kept.mark != self._mark():", ":", "test_it_ends_with"),
        (
            "scan-too-old",
            "or not kept.recent(self._began, rescan_after) or",
            "or",
            "test_it_ends_with",
        ),
    ),
)

SCHEDULE = (
    *_of(
        "schedule_jobs",
        "_schedule/planning.py",
        "_schedule/test_planning.py",
        ("schedule-what-is-in-the-way", "if in_the_way:", NEVER, "test_what_is_not_ours_is_never_touched"),
        (
            "schedule-what-is-wanted-stays",
            "if path not in wanted and path != CRON_FILE:",
            "if path != CRON_FILE:",
            "test_from_any_schedule_to_any_other",
        ),
    ),
    *_of(
        "schedule_jobs",
        "_schedule/clock_change.py",
        "_schedule/test_clock_change.py",
        (
            "schedule-between-one-and-three",
            "return _FIRST <= moment < _LAST or _is_left_out(_seconds(moment), zone)",
            "return _is_left_out(_seconds(moment), zone)",
            "test_between_one_and_three_there_is_a_warning",
        ),
        (
            "schedule-a-change-at-another-hour",
            "return _FIRST <= moment < _LAST or _is_left_out(_seconds(moment), zone)",
            "return _FIRST <= moment < _LAST",
            "test_a_change_at_another_hour_counts_as_well",
        ),
    ),
    *_of(
        "schedule_jobs",
        "_schedule/cron_table.py",
        "_schedule/test_clock_change.py",
        (
            "schedule-days-that-have-to-fit-both",
            "if calendar.weekdays is not None and calendar.days is not None:",
            NEVER,
            "test_what_cron_cannot_express_is_refused test_a_crontab_means_what_was_asked_for",
        ),
    ),
    *_of(
        "shop_jobs",
        "_schedule/switching.py",
        "_schedule/test_planning.py",
        ("shop-job-not-active", "if not job.active:", NEVER, "test_only_what_is_active_and_understood_is_switched_off"),
        (
            "shop-job-not-understood",
            "elif job.unknown and not unknown:",
            "elif False:",
            "test_only_what_is_active_and_understood_is_switched_off",
        ),
        ("shop-job-not-switched-off", "if entry.off:", ALWAYS, "test_only_what_is_off_is_switched_on"),
    ),
)

HEALTH = (
    *_of(
        "maintenance_flag_info",
        "_mongo/serving.py",
        "_mongo/test_serving.py",
        ("health-lock-of-another-boot", "and not note.is_of_another_boot(boot)", "", "test_whose_lock_it_is"),
        (
            "health-lock-of-a-killed-backup",
            "return BY_KILLED if ours else BY_SOMEBODY",
            'return ""',
            "test_whose_lock_it_is",
        ),
        ("health-member-down", "if not member.healthy:", NEVER, "test_what_is_told"),
    ),
    *_of(
        "maintenance_flag_info",
        "_host/certificates.py",
        "_host/test_certificates.py",
        ("health-certificate-ended", "if left <= 0:", NEVER, "test_when_an_end_is_told"),
    ),
)

DOCKER_LOGS = (
    *_of(
        "docker_logs",
        "_docker/log_stream.py",
        "_docker/test_log_stream.py",
        (
            "logs-end-of-the-last-reading",
            "found = met and seen == before.occurrence",
            "found = met",
            "test_each_line_is_read_once",
        ),
        (
            "logs-lines-that-are-lost",
            "found, self.gap = True, not met",
            "found, self.gap = True, False",
            "test_what_was_rotated_away_is_told",
        ),
        (
            "logs-latest-time-of-all",
            "self._high = max(self._high, piece.stamp)",
            "self._high = piece.stamp",
            "test_each_line_is_read_once",
        ),
    ),
    *_of(
        "docker_logs",
        "_docker/log_export.py",
        "_docker/test_log_export.py",
        (
            "logs-newest-collection",
            "and total > policy.max_size and newest[export.short_id] != export:",
            "and total > policy.max_size:",
            "test_what_goes_is_older_than_what_stays",
        ),
    ),
    *(
        Mutation(name, "docker_logs", CODE + "_operations/log_collection.py", guard, broken, (f"{TESTS}{tests}",))
        for name, guard, broken, tests in (
            (
                "logs-clock-that-was-hours-ahead",
                "MARGIN = 14 * 3600",
                "MARGIN = 300",
                "_operations/test_container_logs.py::test_a_clock_that_was_hours_ahead_hides_no_lines",
            ),
            (
                "logs-damaged-as-far-as-can-be-read",
                "reading.broken = error",
                "raise error",
                "_operations/test_container_logs.py"
                "::test_what_could_be_read_of_a_damaged_log_is_kept_and_the_rest_a_failure",
            ),
        )
    ),
)

FINDING_WAIVER = (
    *_of(
        "finding_waiver",
        "_audit/waiving.py",
        "_audit/test_waivers.py",
        (
            "waiver-of-an-id-of-two-findings",
            "if len({item.fingerprint for item in matching}) > 1:",
            NEVER,
            "test_an_id_of_two_findings_wants_the_fingerprint",
        ),
        ("waiver-without-a-reason", "if not reason:", NEVER, "test_a_request_that_says_too_little_is_refused"),
        ("waiver-without-an-end", 'if not params["expires"]:', NEVER, "test_a_request_that_says_too_little_is_refused"),
    ),
)

MAINTENANCE_NGINX = (
    *_of(
        "maintenance_nginx",
        "_flag/nginx_snippet.py",
        "_flag/test_nginx.py",
        (
            "nginx-path-that-is-a-pattern",
            'if not _PATH.fullmatch(path) or path.strip("/*") == "":',
            NEVER,
            "test_what_nginx_would_read_otherwise_never_becomes_a_pattern",
        ),
    ),
    *_of(
        "maintenance_nginx",
        "_core/in_place.py",
        "_core/test_in_place.py",
        ("nginx-file-half-written", "if torn:", NEVER, "test_a_disk_that_is_full_is_told_and_taken_back"),
        (
            "nginx-file-written-by-somebody-else",
            "return now not in (before, after) and now[same:] == before[same:]",
            "return now not in (before, after)",
            "test_what_somebody_else_has_written_meanwhile_stays",
        ),
    ),
)

SHOP_RESTART = (
    *_of(
        "shop_restart",
        "_operations/shop_restart.py",
        "_operations/test_shop_restart.py",
        ("restart-in-maintenance", "        elif seen.hindered:", "        elif False:", "test_what_is_restarted"),
        ("restart-in-vain", "        elif target in seen.restarted:", "        elif False:", "test_what_is_restarted"),
        ("restart-what-was-stopped", "and health.state != STOPPED and", "and", "test_what_is_restarted"),
    ),
    *_of(
        "shop_restart",
        "_operations/services.py",
        "_operations/test_shop_restart.py",
        (
            "restart-what-the-engine-would-start",
            ' and policy not in ("always", "unless-stopped")',
            "",
            "test_how_a_container_is",
        ),
    ),
)

MAINTENANCE_ALERT = (
    *_of(
        "maintenance_alert",
        "_alerts/planning.py",
        "_alerts/test_planning.py",
        (
            "alert-of-what-nobody-looked-at",
            "return problem.step in run.looked_at\n",
            "return True\n",
            "test_over_is_what_somebody_looked_at_and_did_not_find",
        ),
        (
            "alert-without-a-record",
            "return known_findings and problem.step",
            "return problem.step",
            "test_findings_are_not_over_where_the_record_is_missing",
        ),
        (
            "alert-heartbeat-of-a-failed-run",
            'if run.status == "ok":\n            plan.actions',
            "if True:\n            plan.actions",
            "test_the_heartbeat_hears_of_success_alone",
        ),
    ),
)

MAINTENANCE_CHECKLIST = (
    *_of(
        "maintenance_checklist",
        "_checklist/boxes.py",
        "_checklist/test_boxes.py",
        (
            "checklist-box-of-a-run",
            "if not box.by_hand:\n            raise",
            "if False:\n            raise",
            "test_what_a_run_does_nobody_ticks_by_hand",
        ),
    ),
)

UPDATE = (
    *_of(
        "compose_update",
        "_docker/update_plan.py",
        "_docker/test_update_plan.py",
        (
            "update-database-unnamed",
            "return [service for service in scene.services if not service.database]",
            "return list(scene.services)",
            "test_the_database_only_where_it_is_named",
        ),
        ("update-no-way-back", "if service.unseen:", NEVER, "test_it_refuses_what_cannot_be_done_without_loss"),
        ("update-lost-volume", "if service.lost:", NEVER, "test_it_refuses_what_cannot_be_done_without_loss"),
        ("update-unknown-file", "if service.layer.unknown:", NEVER, "test_it_refuses_what_cannot_be_done_without_loss"),
        (
            "update-two-layers",
            "if service.layer.data and len(service.containers) > 1:",
            NEVER,
            "test_it_refuses_what_cannot_be_done_without_loss",
        ),
        (
            "update-other-variables",
            "if service.variables and not policy.config_changes:",
            NEVER,
            "test_it_refuses_what_cannot_be_done_without_loss",
        ),
        ("update-bystanders", "if scene.bystanders:", NEVER, "test_it_refuses_what_cannot_be_done_without_loss"),
        ("update-no-room", "if needed > scene.free_bytes:", NEVER, "test_it_refuses_what_cannot_be_done_without_loss"),
        (
            "update-not-well",
            "if scene.unhealthy and policy.action != UNDO:",
            NEVER,
            "test_it_refuses_what_cannot_be_done_without_loss",
        ),
        ("update-silent-registry", "if silent:", NEVER, "test_a_registry_that_is_silent_stops_all_before_anything"),
        ("update-undefined", "if undefined:", NEVER, "test_a_project_whose_files_are_named_is_worked_on"),
        ("update-missing-file", "if missing:", NEVER, "test_a_project_whose_files_are_named_is_worked_on"),
        ("update-different-files", "if len(told) > 1:", NEVER, "test_a_project_whose_files_nobody_can_name_is_refused"),
        (
            "update-cut-off",
            "if journal is not None and journal.phase == REPLACING:",
            NEVER,
            "test_what_was_cut_off_comes_first_and_alone",
        ),
        (
            "update-cut-off-migrated",
            "work = SettleUpdate(tuple(sorted(journal.services)), bool(scene.migrated))",
            "work = SettleUpdate(tuple(sorted(journal.services)))",
            "test_what_was_cut_off_comes_first_and_alone",
        ),
    ),
    *_of(
        "compose_update",
        "_docker/writable_layer.py",
        "_docker/test_writable_layer.py",
        (
            "layer-unknown",
            "elif not any(_matches(path, pattern) for pattern in (*DISCARDED, *discard)):",
            "elif False:",
            "test_data_is_told_from_what_may_go_and_from_what_nobody_knows",
        ),
        (
            "layer-compared",
            "if there.get(name) != entry)",
            "if name not in there)",
            "test_every_difference_is_seen",
        ),
        (
            "layer-without-an-end",
            "if not has_end(archive):",
            NEVER,
            "test_a_copy_that_is_cut_short_or_changed_is_no_copy",
        ),
        (
            "layer-going",
            "if state in REMOVED:",
            NEVER,
            "test_a_copy_is_not_replaced_by_what_is_left_of_a_container_that_goes",
        ),
    ),
    *_of(
        "compose_update",
        "_docker/compose_config.py",
        "_docker/test_compose_config.py",
        (
            "update-other-volume",
            "if now == mount:",
            "if now is not None:",
            "test_a_mount_that_would_be_another_one_is_lost",
        ),
    ),
    *_of(
        "compose_update",
        "_docker/compose_program.py",
        "_docker/test_compose_config.py",
        (
            "update-own-environment",
            'COMPOSE_REMOVE_ORPHANS="false",',
            "",
            "test_nothing_of_ours_takes_the_place_of_what_the_project_says",
        ),
    ),
)

OS_PACKAGES = (
    *_of(
        "os_packages",
        "_packages/planning.py",
        "_packages/test_planning.py",
        (
            "packages-nothing-is-removed",
            "if not change.after:",
            NEVER,
            "test_an_upgrade_that_removes_something_is_left_out_and_what_is_on_hold_is_not_asked_for",
        ),
        (
            "packages-what-is-to-stay",
            "if change.name in held or (change.before and kept_by_name(change.name, keep)):",
            NEVER,
            "test_nothing_is_removed_and_what_is_to_stay_stays",
        ),
        (
            "packages-on-hold",
            "if update.held:",
            NEVER,
            "test_an_upgrade_that_removes_something_is_left_out_and_what_is_on_hold_is_not_asked_for",
        ),
    ),
    *_of(
        "maintenance_checklist",
        "_checklist/boxes.py",
        "_checklist/test_boxes.py",
        (
            "checklist-box-with-something-left",
            "if box.clean and not _left_nothing(steps, box.step):",
            NEVER,
            "test_packages_are_updated_when_no_update_is_left",
        ),
    ),
)

NPM_AUDIT = (
    *_of(
        "npm_audit",
        "_audit/npm_lock.py",
        "_audit/test_npm_lock.py",
        (
            "npm-no-major-version",
            'return [change for change in changes if change.direct and change.update == "major"]',
            "return []",
            "test_each_version_that_changes_is_told_once_and_none_beyond",
        ),
        (
            "npm-other-content",
            "if all(marks) and same_kind and marks[0] != marks[1]:",
            NEVER,
            "test_a_version_that_stays_has_the_same_content",
        ),
        (
            "npm-nothing-shows-that-it-works",
            "    if not found:\n        raise MaintenanceError(",
            "    if False:\n        raise MaintenanceError(",
            "test_nothing_shows_that_it_works",
        ),
        (
            "npm-no-tests-are-no-tests",
            'real = [name for name in there if not (name == "test" and _NO_TEST in str(there[name]))]',
            "real = list(there)",
            "test_nothing_shows_that_it_works",
        ),
    ),
)

MUTATIONS: tuple[Mutation, ...] = (
    *OS_PACKAGES,
    *NPM_AUDIT,
    *DOCKER,
    *FINDING_WAIVER,
    *MAINTENANCE_NGINX,
    *SHOP_RESTART,
    *MAINTENANCE_ALERT,
    *MAINTENANCE_CHECKLIST,
    *DOCKER_LOGS,
    *UPDATE,
    *COMPOSE_UPDATE_AGAIN,
    *BACKUP_OFFSITE,
    *BACKUP_PRUNE,
    *RECOVERY_DRILL,
    *MONGO_BACKUP,
    *MONGO_RESTORE,
    *MONGO_COMPACT,
    *MONGO_COMPACT_KILLED,
    *MONGO_INFO,
    *MONGO_USERS,
    *MONGO_REINDEX,
    *MONGO_ORPHANS,
    *PERM_AUDIT,
    *SECRET_SCAN,
    *MAINTENANCE_FLAG,
    *LOGS,
    *COMPILED,
    *MAINTENANCE_RUN,
    *SCHEDULE,
    *HEALTH,
    *CORE,
)
