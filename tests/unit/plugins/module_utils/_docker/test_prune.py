# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the planner promises, whatever an engine holds and whatever is asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action, Plan, Result
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.draft import Policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.image_rules import references
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.inventory import (
    PROJECT_LABEL,
    STACK_LABEL,
    SWARM_SERVICE_LABEL,
    CacheEntry,
    Container,
    Declared,
    Image,
    ImageNeed,
    Inventory,
    Layer,
    Mount,
    Network,
    Volume,
    repository_of,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.outcome import (
    expected_range,
    gone_after_all,
    measured_bytes,
    removal_headline,
    still_there,
    vanished_volumes,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.protect import (
    Protection,
    has_label,
    parse_protection,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.prune import plan_removals
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.pruning import waves
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.usage import usage_by_kind
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.works import (
    Removal,
    RemoveBuildCache,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
)
from tests.support.docker_worlds import DAY, NO_DATES, NOW, inventories, place, policies

ALL = Policy("stopped", "unused", "anonymous", (), "unused", "unused")
HEX = "0123456789abcdef" * 4
MANY = settings(max_examples=80, deadline=None)
SOME = settings(max_examples=30, deadline=None)


def identity(action: Action[Removal]) -> str:
    return action.work.name if isinstance(action.work, RemoveVolume) else action.work.id


def ids(plan: Plan[Removal]) -> set[str]:
    return {f"{action.action} {identity(action)}" for action in plan.actions}


def applied(inventory: Inventory, plan: Plan[Removal]) -> Inventory:
    """The engine after a plan: a cache entry that was shared is shared no more when its image is gone."""
    gone = ids(plan)
    return replace(
        inventory,
        containers=tuple(c for c in inventory.containers if f"remove_container {c.id}" not in gone),
        images=tuple(i for i in inventory.images if f"remove_image {i.id}" not in gone),
        parents={name: of for name, of in inventory.parents.items() if f"remove_image {name}" not in gone},
        volumes=tuple(v for v in inventory.volumes if f"remove_volume {v.name}" not in gone),
        networks=tuple(n for n in inventory.networks if f"remove_network {n.id}" not in gone),
        build_cache=tuple(b for b in inventory.build_cache if f"remove_build_cache {b.id}" not in gone),
    )


# -- promises ---------------------------------------------------------------------------------------------------------


@SOME
@given(inventories())
def test_nothing_by_default(inventory: Inventory) -> None:
    plan = plan_removals(inventory, Policy(), NOW)
    assert not plan.actions
    assert not plan.kept


def test_the_worlds_of_these_properties_let_each_kind_go() -> None:
    """A property about what goes says nothing where nothing goes."""
    worlds, removed, kept = 0, Counter[str](), Counter[str]()

    @settings(max_examples=300, deadline=None, derandomize=True, database=None)
    @given(inventories(), policies())
    def count(inventory: Inventory, policy: Policy) -> None:
        nonlocal worlds
        worlds += 1
        plan = plan_removals(inventory, policy, NOW)
        removed.update({action.action for action in plan.actions})
        kept.update({entry.reason.partition(" ")[0] for entry in plan.kept})

    count()
    verbs = ("container", "image", "build_cache", "network", "volume")
    assert {kind: removed[f"remove_{kind}"] for kind in verbs if removed[f"remove_{kind}"] < worlds / 10} == {}
    # And they reach the rules that keep something.
    assert {word for word in ("mounted", "used", "it", "comes", "protected", "its", "among") if not kept[word]} == set()


@MANY
@given(inventories(), policies())
def test_a_volume_that_any_container_mounts_never_goes(inventory: Inventory, policy: Policy) -> None:
    plan = plan_removals(inventory, policy, NOW)
    for action in plan.actions:
        if not isinstance(action.work, RemoveVolume):
            continue
        volume = next(item for item in inventory.volumes if item.name == action.target)
        for container in inventory.containers:
            for mount in container.mounts:
                assert mount.name != volume.name
                if mount.kind == "image":
                    continue
                [real] = mount.real
                assert not (real + "/").startswith(volume.mountpoint + "/")
                assert not (volume.mountpoint + "/").startswith(real + "/")
        assert volume.driver == "local"
        assert not volume.options
        assert volume.measured
        assert inventory.hidden_containers == 0
        named = volume.name in policy.volume_names
        assert named or (policy.volumes == "anonymous" and volume.anonymous)


@MANY
@given(inventories(), policies())
def test_what_a_container_that_stays_uses_never_goes(inventory: Inventory, policy: Policy) -> None:
    plan = plan_removals(inventory, policy, NOW)
    going = {action.work.id for action in plan.actions if isinstance(action.work, RemoveContainer)}
    staying = [container for container in inventory.containers if container.id not in going]
    for action in plan.actions:
        if isinstance(action.work, RemoveImage):
            assert all(container.image_id != action.work.id for container in staying)
            mounted = {mount.name for container in staying for mount in container.mounts if mount.kind == "image"}
            assert not mounted & set(action.work.tags)
            assert not {container.image for container in staying} & set(action.work.tags)
            named = [tag for tag in action.work.tags if any(need.meets([tag]) for need in inventory.needs)]
            assert not named
            assert not (inventory.needs_unseen and action.work.tags)
        if isinstance(action.work, RemoveNetwork):
            assert inventory.hidden_containers == 0
            used = {name for container in staying for name in container.networks}
            assert not used & {action.work.id, action.work.name}
            assert action.target != "bridge"
    for container in inventory.containers:
        if container.id in going:
            assert not any({container.id, container.name} & set(other.joins) for other in staying)
            assert container.state in ("exited", "created")
            assert not container.project or f"{PROJECT_LABEL}={container.project}" in policy.only_labels
            assert container.restart in ("", "no") or container.name in policy.container_names
            assert policy.containers == "stopped" or container.name in policy.container_names


@MANY
@given(inventories(), policies())
def test_an_image_goes_after_all_that_was_built_upon_it(inventory: Inventory, policy: Policy) -> None:
    plan = plan_removals(inventory, policy, NOW)
    order = [action.work.id for action in plan.actions if isinstance(action.work, RemoveImage)]
    listed = {image.id for image in inventory.images}
    going = {action.work.id for action in plan.actions if isinstance(action.work, RemoveContainer)}
    made_from = {container.image_id for container in inventory.containers if container.id not in going}
    for name in [*listed, *made_from]:
        parent = inventory.parents.get(name, "")
        while parent:
            if parent in order:
                assert name in order, "the engine would refuse: something that stays was built upon it"
                assert order.index(name) < order.index(parent)
            parent = inventory.parents.get(parent, "")


def labels_of(inventory: Inventory) -> dict[str, tuple[str, Any, float]]:
    found: dict[str, tuple[str, Any, float]] = {}
    for container in inventory.containers:
        found[container.id] = (container.name, container.labels, container.idle_since or 0.0)
    for image in inventory.images:
        found[image.id] = (" ".join(image.tags), image.labels, image.created)
    for network in inventory.networks:
        found[network.id] = (network.name, network.labels, network.created)
    for volume in inventory.volumes:
        found[volume.name] = (volume.name, volume.labels, volume.created)
    for entry in inventory.build_cache:
        found[entry.id] = (entry.id, {}, entry.used)
    return found


@MANY
@given(inventories(), policies())
def test_what_is_protected_out_of_scope_or_too_young_never_goes(inventory: Inventory, policy: Policy) -> None:
    known = labels_of(inventory)
    for action in plan_removals(inventory, policy, NOW).actions:
        name, labels, moment = known[identity(action)]
        assert not any(has_label(labels, wanted) for wanted in policy.protection.labels)
        assert labels.get(PROJECT_LABEL, "-") not in policy.protection.projects
        assert not policy.only_labels or any(has_label(labels, wanted) for wanted in policy.only_labels)
        if moment in NO_DATES:
            assert policy.older_than == 0
            assert not isinstance(action.work, RemoveImage) or not policy.keep_per_repository or not name
        else:
            assert NOW - moment >= policy.older_than
        if "c1" in policy.protection.names:
            assert name != "c1"
            assert not name.startswith("app:")


@MANY
@given(inventories(), policies())
def test_everything_looked_at_goes_or_stays_with_a_reason(inventory: Inventory, policy: Policy) -> None:
    plan = plan_removals(inventory, policy, NOW)
    looked_at = 0
    if policy.containers != "none" or policy.container_names:
        present = {container.name for container in inventory.containers}
        looked_at += len(inventory.containers) + sum(name not in present for name in policy.container_names)
    looked_at += len(inventory.images) if policy.images != "none" else 0
    looked_at += len(inventory.build_cache) if policy.build_cache != "none" else 0
    looked_at += len(inventory.networks) if policy.networks != "none" else 0
    if policy.volumes != "none" or policy.volume_names:
        present = {volume.name for volume in inventory.volumes}
        looked_at += len(inventory.volumes) + sum(name not in present for name in policy.volume_names)
    assert len(plan.actions) + len(plan.kept) == looked_at
    assert all(kept.reason for kept in plan.kept)
    assert len(ids(plan)) == len(plan.actions)
    order = ["container", "image", "build_cache", "network", "volume"]
    places = [order.index(action.action.partition("_")[2]) for action in plan.actions]
    assert places == sorted(places)


@MANY
@given(inventories(), policies(), st.sampled_from(["age", "keep", "protect", "scope", "kinds"]))
def test_asking_for_less_never_removes_more(inventory: Inventory, policy: Policy, how: str) -> None:
    narrower = {
        "age": replace(policy, older_than=policy.older_than + DAY),
        "keep": replace(policy, keep_per_repository=policy.keep_per_repository + 1),
        "protect": replace(policy, protection=replace(policy.protection, labels=("keep", "team=shop", "team"))),
        "scope": replace(policy, only_labels=policy.only_labels[:1] or ("team",)),
        "kinds": replace(policy, images="dangling" if policy.images == "unused" else "none", volumes="none"),
    }[how]
    if how == "scope" and policy.only_labels == ():
        # Naming a project brings its containers into reach: only other labels narrow.
        narrower = replace(policy, only_labels=("team",))
    assert ids(plan_removals(inventory, narrower, NOW)) <= ids(plan_removals(inventory, policy, NOW))


@MANY
@given(inventories(), policies())
def test_a_second_run_finds_only_volumes_that_containers_gave_up(inventory: Inventory, policy: Policy) -> None:
    plan = plan_removals(inventory, policy, NOW)
    after = applied(inventory, plan)
    second = plan_removals(after, policy, NOW)
    assert {action.action for action in second.actions} <= {"remove_volume"}
    given_up = {
        volume.name
        for volume in inventory.volumes
        for user in inventory.users_of_volume(volume)
        if f"remove_container {user.id}" in ids(plan)
    }
    assert {action.target for action in second.actions} <= given_up
    assert not plan_removals(applied(after, second), policy, NOW).actions


@SOME
@given(inventories(), policies(), st.integers(0, 5))
def test_the_cap_fails_before_anything_is_done(inventory: Inventory, policy: Policy, cap: int) -> None:
    free = plan_removals(inventory, policy, NOW)
    capped = replace(policy, max_delete=cap)
    if len(free.actions) <= cap:
        assert plan_removals(inventory, capped, NOW) == free
    else:
        with pytest.raises(MaintenanceError, match=rf"more than max_delete \({cap}\)") as caught:
            plan_removals(inventory, capped, NOW)
        assert len(caught.value.details["plan"]) == len(free.actions)


@SOME
@given(inventories(), policies(), st.integers(0, 2 * 10**6))
def test_a_target_takes_no_more_than_it_needs(inventory: Inventory, policy: Policy, target: int) -> None:
    whole = plan_removals(inventory, policy, NOW)
    some = plan_removals(inventory, replace(policy, target_free=target), NOW)
    assert ids(some) <= ids(whole)
    assert len(some.kept) + len(some.actions) == len(whole.kept) + len(whole.actions)
    free = inventory.free_bytes or 0
    if any("are free without it" in entry.reason for entry in some.kept):
        assert free + some.bytes >= target
    if some.actions:
        assert free + sum(action.bytes for action in some.actions[:-1]) < target
    # Whatever the ranks, nothing goes before what has to go before it, and a layer goes with the last image that has it.
    there = {image.id: image for image in inventory.images}
    containers = {container.id: container for container in inventory.containers}
    entries = {entry.id: entry for entry in inventory.build_cache}
    for action in some.actions:
        work = action.work
        if isinstance(work, RemoveContainer):
            gone = containers.pop(work.id)
            assert not [c for c in containers.values() if {gone.name, gone.id} & set(c.joins)]
        elif isinstance(work, RemoveBuildCache):
            assert not [entry for entry in entries.values() if work.id in entry.parents]
            del entries[work.id]
        elif isinstance(work, RemoveImage):
            image = there.pop(work.id)
            assert not [c for c in containers.values() if c.image_id == work.id]
            assert not [other for other in there if inventory.parents.get(other) == work.id]
            if not action.predicted and inventory.store == "classic":
                held = {chain for other in there.values() for chain in other.chains or ()}
                assert action.bytes == sum(10 ** int(chain[1:]) for chain in set(image.chains or ()) - held)


def test_the_oldest_and_largest_go_first() -> None:
    def made(name: str, days: float, size: int) -> Volume:
        return volume(name, created=NOW - days * DAY, size=size)

    things = (made("new-large", 1, 900), made("old-small", 90, 9), made("old-large", 60, 800), made("empty", 99, 0))
    user = Container("c", "user", "a", "i1", "exited", NOW - 2 * DAY, finished=NOW - 2 * DAY, size=1)
    layer = Layer("l", 2000)
    image = Image("i1", ("app:1",), NOW - 50 * DAY, 2000, chains=("l",), layers=(layer,))
    twin = Image("i2", ("app:2",), NOW - 40 * DAY, 2000, chains=("l",), layers=(layer,))
    world = Inventory(
        volumes=things, containers=(user,), images=(image, twin), networks=(), free_bytes=0, hidden_containers=0
    )
    policy = replace(ALL, volume_names=tuple(item.name for item in things), target_free=10**6)
    plan = plan_removals(world, policy, NOW)
    # The container of the image goes before it; what both images have comes free with the second.
    order = [("user", 1), ("app:1", 0), ("app:2", 2000), ("old-large", 800), ("new-large", 900), ("old-small", 9)]
    assert [(action.target, action.bytes) for action in plan.actions] == order
    for target, count in ((0, 0), (1, 1), (2, 3), (2001, 3), (2002, 4), (3702, 6)):
        some = plan_removals(world, replace(policy, target_free=target), NOW)
        assert [action.target for action in some.actions] == [name for name, _size in order[:count]]
    assert {entry.target: entry.reason for entry in plan.kept}["volume empty"].startswith("nothing comes free by it")


@SOME
@given(inventories(), policies())
def test_build_cache_goes_children_first_and_never_from_under_a_child(inventory: Inventory, policy: Policy) -> None:
    plan = plan_removals(inventory, policy, NOW)
    order = [action.target for action in plan.actions if action.action == "remove_build_cache"]
    for entry in inventory.build_cache:
        for parent in entry.parents:
            if parent in order:
                assert entry.id in order
                assert order.index(entry.id) < order.index(parent)
        if entry.id in order:
            assert not entry.in_use
            assert entry.kind != "internal"


@SOME
@given(inventories())
def test_usage_never_promises_more_than_there_is(inventory: Inventory) -> None:
    for kind, facts in usage_by_kind(inventory, NOW).items():
        assert 0 <= facts["unused"] <= facts["total"]
        assert facts["reclaimable_bytes"] <= facts["reclaimable_bytes_max"]
        if kind in ("containers", "volumes"):
            assert facts["reclaimable_bytes"] <= facts["bytes"]


# -- single rules -----------------------------------------------------------------------------------------------------


def reasons(inventory: Inventory, policy: Policy) -> dict[str, str]:
    return {kept.target: kept.reason for kept in plan_removals(inventory, policy, NOW).kept}


def stopped(name: str = "c", **facts: Any) -> Container:
    values: dict[str, Any] = {"finished": NOW - 40 * DAY, **facts}
    return Container(name, name, "app:1", values.pop("image_id", "i"), "exited", NOW - 50 * DAY, **values)


def test_the_age_of_a_container_counts_from_when_it_stopped() -> None:
    policy = replace(ALL, older_than=7 * DAY)
    assert reasons(Inventory(containers=(stopped(finished=NOW - DAY),)), policy) == {"container c": "stopped 1 d ago"}
    assert not reasons(Inventory(containers=(stopped(),)), policy)
    made = Container("c", "c", "app:1", "i", "created", NOW - 50 * DAY)
    assert not reasons(Inventory(containers=(made,)), policy)
    # One that ran, and of which nobody knows when it ended.
    assert reasons(Inventory(containers=(stopped(finished=None),)), policy) == {"container c": "its age is not known"}


def test_a_compose_project_is_reached_only_by_its_name() -> None:
    inventory = Inventory(containers=(stopped(labels={PROJECT_LABEL: "blog"}),))
    assert reasons(inventory, ALL) == {"container c": "belongs to the compose project blog"}
    assert reasons(inventory, replace(ALL, only_labels=(PROJECT_LABEL,)))
    assert not reasons(inventory, replace(ALL, only_labels=(f"{PROJECT_LABEL}=blog",)))


def test_what_a_stopped_project_needs_stays() -> None:
    container = stopped(
        labels={PROJECT_LABEL: "shop"},
        networks=frozenset(["shop_default"]),
        mounts=(Mount("volume", "", place(HEX), "/d"),),
    )
    inventory = Inventory(
        containers=(container,),
        images=(Image("i", (), 0.0, 5),),
        networks=(
            Network("n1", "shop_default", "bridge", "local", 0.0),
            Network("n2", "shop_tools", "bridge", "local", 0.0, {PROJECT_LABEL: "shop"}),
        ),
        volumes=(Volume(HEX, "local", place(HEX), 1.0, size=1, measured=True),),
        hidden_containers=0,
    )
    plan = plan_removals(inventory, ALL, NOW)
    assert not plan.actions
    assert len(plan.kept) == 5


def test_a_container_stays_that_another_one_needs_which_stays() -> None:
    network, memory = stopped("network"), stopped("memory", joins=("network",))
    service = stopped("service", joins=("memory",), restart="always", finished=NOW - 50 * DAY)
    inventory = Inventory(containers=(network, memory, service))
    plan = plan_removals(inventory, ALL, NOW)
    assert not plan.actions
    assert {kept.target: kept.reason for kept in plan.kept}["container network"] == (
        "the container memory (exited), which stays, does not start without it"
    )
    # Where all go, what needs another one goes before it.
    plan = plan_removals(replace(inventory, containers=(network, replace(service, restart=""), memory)), ALL, NOW)
    assert [action.target for action in plan.actions] == ["service", "memory", "network"]


def test_an_image_that_was_pulled_by_its_digest_has_a_name() -> None:
    pulled = Image("sha256:" + HEX, (), NOW - 9 * DAY, 1, digests=("reg.example.com:5000/mongo@sha256:1",))
    inventory = Inventory(images=(pulled,))
    for pattern in ("reg.example.com:5000/mongo", "*mongo@sha256:1", "reg.example.com:5000/*"):
        policy = replace(ALL, protection=Protection(names=(pattern,)))
        assert not plan_removals(inventory, policy, NOW).actions, pattern
    for images in ("dangling", "unused"):
        plan = plan_removals(inventory, replace(ALL, images=images, keep_per_repository=1), NOW)
        assert plan.kept[0].reason == "among the 1 newest of reg.example.com:5000/mongo"
    assert plan_removals(inventory, ALL, NOW).actions


def test_the_newest_images_of_a_repository_stay() -> None:
    images = tuple(Image(f"i{day}", (f"app:{day}",), NOW - day * DAY, 1) for day in range(1, 5))
    plan = plan_removals(Inventory(images=images), replace(ALL, keep_per_repository=2), NOW)
    assert [action.target for action in plan.actions] == ["app:4", "app:3"]
    assert {kept.reason for kept in plan.kept} == {"among the 2 newest of app"}


def test_an_image_of_two_repositories_stays_when_one_of_them_wants_it() -> None:
    both = Image("i", ("app:1", "mirror/app:1"), NOW - 9 * DAY, 1)
    newer = Image("j", ("app:2",), NOW - DAY, 1)
    plan = plan_removals(Inventory(images=(both, newer)), replace(ALL, keep_per_repository=1), NOW)
    assert not plan.actions
    assert repository_of("mirror/app:1") == "mirror/app"


def test_an_image_stays_as_long_as_one_stays_that_was_built_upon_it() -> None:
    base, top = Image("i", ("base:1",), NOW - 9 * DAY, 1), Image("j", ("app:1",), NOW - DAY, 1)
    world = Inventory(images=(base, top), parents={"j": "step", "step": "i"})
    assert not plan_removals(world, ALL, NOW).kept
    kept = reasons(world, replace(ALL, older_than=7 * DAY))
    assert kept["image base:1"] == "the image app:1, which stays, was built upon it"
    assert set(kept) == {"image base:1", "image app:1"}


def test_what_is_younger_than_wanted_stays() -> None:
    young, old = Image("i", ("app:1",), NOW - 6 * DAY, 1), Image("j", ("app:2",), NOW - 8 * DAY, 1)
    plan = plan_removals(Inventory(images=(young, old)), replace(ALL, older_than=7 * DAY), NOW)
    assert [action.target for action in plan.actions] == ["app:2"]


def test_an_image_that_was_tagged_here_lately_is_young() -> None:
    old = Image("i", ("app:1",), NOW - 400 * DAY, 1, tagged=NOW - DAY)
    policy = replace(ALL, older_than=7 * DAY)
    assert reasons(Inventory(images=(old,)), policy) == {"image app:1": "tagged here 1 d ago"}
    assert not reasons(Inventory(images=(replace(old, tags=()),)), policy)


def test_an_image_of_which_the_engine_knows_more_containers_stays() -> None:
    image = Image("i", (), NOW - DAY, 1, containers=1)
    assert "counts 1 containers" in reasons(Inventory(images=(image,)), ALL)["image i"]


def test_images_with_several_names_go_name_by_name() -> None:
    image = Image("i", ("a:1", "b:1"), 0.0, 1, digests=("a@sha256:1", "b@sha256:1"))
    assert references(image, "classic") == ("a:1", "i")
    assert references(replace(image, tags=("a:1",)), "classic") == ("i",)
    assert references(replace(image, tags=()), "classic") == ("a@sha256:1", "i")
    # There the removal of one digest would take the whole image.
    assert references(replace(image, tags=()), "containerd") == ("i",)


def test_volumes_and_networks_stay_when_containers_are_hidden_or_may_be() -> None:
    volume = Volume(HEX, "local", place(HEX), NOW - 9 * DAY, size=1, measured=True)
    network = Network("n", "net", "bridge", "local", NOW - 9 * DAY)
    inventory = Inventory(volumes=(volume,), networks=(network,), hidden_containers=0)
    assert len(plan_removals(inventory, ALL, NOW).actions) == 2
    plan = plan_removals(replace(inventory, hidden_containers=2), ALL, NOW)
    assert not plan.actions
    assert plan.warnings[0].startswith("no network and no volume is removed: 2 containers are on disk")
    plan = plan_removals(replace(inventory, hidden_containers=None, root="/var/lib/docker"), ALL, NOW)
    assert not plan.actions
    assert "its directory /var/lib/docker cannot be read" in plan.warnings[0]
    assert "as root" in plan.warnings[0]
    assert {kept.reason.partition(" ")[0] for kept in plan.kept} == {"whether"}
    # Nothing of the kind was asked for: nothing is said.
    assert not plan_removals(replace(inventory, hidden_containers=None), Policy("stopped", "unused"), NOW).warnings


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"options": {"type": "none"}}, "mount of something else"),
        ({"driver": "nfs"}, "its driver is nfs"),
        ({"measured": False}, "does not count it"),
        ({"labels": {PROJECT_LABEL: "shop"}}, "compose project shop"),
    ],
)
def test_volumes_that_stay_even_when_they_are_named(facts: dict[str, Any], said: str) -> None:
    volume = Volume("v", "local", place("v"), NOW - DAY, size=1, measured=True)
    policy = Policy(volumes="anonymous", volume_names=("v",), protection=Protection(projects=("shop",)))
    assert [
        a.target for a in plan_removals(Inventory(volumes=(volume,), hidden_containers=0), policy, NOW).actions
    ] == ["v"]
    assert said in reasons(Inventory(volumes=(replace(volume, **facts),), hidden_containers=0), policy)["volume v"]


def volume(name: str = "data", **facts: Any) -> Volume:
    return Volume(
        **{
            "name": name,
            "driver": "local",
            "mountpoint": place(name),
            "created": NOW - 9 * DAY,
            "measured": True,
            **facts,
        }
    )


def why(inventory: Inventory, **options: Any) -> dict[str, str]:
    """Why each thing stays of those that nothing else keeps."""
    policy = replace(ALL, volume_names=tuple(item.name for item in inventory.volumes), **options)
    inventory = replace(inventory, hidden_containers=0)
    return {entry.target: entry.reason for entry in plan_removals(inventory, policy, NOW).kept}


@pytest.mark.parametrize("device", [place("data"), place("data") + "/sub", "/d/volumes", "/d/volumes/data/"])
def test_a_volume_whose_directory_another_one_mounts_stays(device: str) -> None:
    other = volume("other", options={"device": device}, elsewhere=(device,))
    assert why(Inventory(volumes=(volume(), other))) == {
        "volume data": "the volume other is a mount of its directory",
        "volume other": f"a mount of something else, by the options of its driver ({device})",
    }


def test_a_volume_of_a_mount_elsewhere_keeps_no_other_one() -> None:
    other = volume("other", options={"device": place("data2")}, elsewhere=(place("data2"),))
    assert "volume data" not in why(Inventory(volumes=(volume(), other)))


def test_what_compose_files_and_services_name_stays() -> None:
    declared = (Declared("volume", "da*", "the compose file f"), Declared("network", "nid", "the swarm's service s"))
    network = Network("nid", "front", "bridge", "local", NOW - 9 * DAY)
    found = why(Inventory(volumes=(volume(), volume("other")), networks=(network,), declared=declared))
    assert found == {
        "volume data": "named by the compose file f, which has no container that mounts it now",
        "network front": "named by the swarm's service s, which has no container that uses it now",
    }


def test_what_may_be_of_a_service_that_is_not_seen_stays() -> None:
    mine = volume(labels={PROJECT_LABEL: "shop"})
    stack = volume("other", labels={STACK_LABEL: "shop"})
    world = Inventory(volumes=(mine, stack))
    assert why(world) == {}
    assert why(replace(world, projects_unread={"": "x"})) == {}
    found = why(replace(world, needs_unseen="no manager", projects_unread={"shop": "x"}))
    assert found["volume data"] == "belongs to the compose project shop, not all of whose services are known"
    assert found["volume other"] == "it may be that of a service of the swarm: this node does not tell"


def test_tasks_of_a_swarm_are_its_own() -> None:
    task = Container("c", "c", "a", "i", "exited", NOW - DAY, {SWARM_SERVICE_LABEL: "shop_api"}, finished=NOW - DAY)
    assert "the swarm's service shop_api" in why(Inventory(containers=(task,), swarm=True))["container c"]
    # After the swarm was left nobody removes them.
    assert why(Inventory(containers=(task,))) == {}


def test_a_volume_that_was_changed_lately_is_young() -> None:
    found = why(Inventory(volumes=(volume(changed=NOW - DAY),)), older_than=7 * DAY)
    assert found == {"volume data": "changed 1 d ago"}
    assert why(Inventory(volumes=(volume(changed=NOW - 8 * DAY),)), older_than=7 * DAY) == {}
    # A date that is none makes nothing older or younger than it is.
    for moment in NO_DATES:
        assert why(Inventory(volumes=(volume(changed=moment),)), older_than=7 * DAY) == {}
        assert why(Inventory(volumes=(volume(created=moment),)), older_than=7 * DAY) != {}


def test_cache_mounts_go_only_when_asked_for() -> None:
    entry = CacheEntry("e" * 25, "exec.cachemount", "mount / from exec", (), False, False, 9, NOW - DAY, NOW - DAY)
    world = Inventory(build_cache=(entry,))
    assert "a cache mount of builds" in why(world)[f"build cache {entry.id}"]
    assert why(world, cache_mounts=True) == {}


def test_a_stack_is_protected_by_its_name() -> None:
    network = Network("nid", "front", "bridge", "local", NOW, labels={STACK_LABEL: "shop"})
    found = why(Inventory(networks=(network,)), protection=Protection(projects=("shop",)))
    assert found == {"network front": "protected: it belongs to the stack shop"}


def test_what_goes_side_by_side() -> None:
    one, two = (Action("", name, "", RemoveContainer(name, name, "", 0)) for name in "ab")
    image = Action("", "i", "", RemoveImage("i", ("t:1",), ("i",), 0))
    twice = Action("", "j", "", RemoveImage("j", ("t:1", "t:2"), ("t:1", "j"), 0))
    cache = Action("", "e", "", RemoveBuildCache("e", False, 0, 0))
    net = Action("", "n", "", RemoveNetwork("n", "n"))
    kind = Action("", "v", "", RemoveVolume("v", "", "", {}))
    actions: list[Action[Removal]] = [one, two, image, image, twice, image, cache, cache, net, net, kind, kind]
    expected = [[one, two], [image, image], [twice], [image], [cache], [cache], [net, net], [kind, kind]]
    assert waves(actions, Inventory()) == expected
    joined = Inventory(containers=(Container("b", "b", "a", "i", "exited", 1.0, joins=("a",)),))
    assert waves(actions[:3], joined) == [[one], [two], [image]]
    assert waves(actions[1:4], Inventory(parents={"i": "j"})) == [[two], [image], [image]]


def test_a_volume_name_that_does_not_exist_is_told() -> None:
    assert reasons(Inventory(), Policy(volume_names=("x",))) == {"volume x": "there is no volume of this name"}


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (Network("n", "bridge", "bridge", "local", NOW - DAY), "made by the engine"),
        (Network("n", "settings", "bridge", "local", NOW - DAY, special=True), "made by the engine"),
        (Network("n", "shop", "overlay", "swarm", NOW - DAY), "reaches beyond this host (scope swarm)"),
    ],
)
def test_networks_that_no_container_tells_the_use_of_stay(network: Network, said: str) -> None:
    assert reasons(Inventory(networks=(network,), hidden_containers=0), ALL)[f"network {network.name}"].startswith(said)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"in_use": True}, "in use"),
        ({"kind": "internal"}, "internal to the builder"),
        ({"kind": "frontend"}, "internal to the builder"),
        ({"shared": True}, "shared with an image"),
        ({"used": NOW - 60}, "last used 1 min ago"),
    ],
)
def test_build_cache_that_stays(facts: dict[str, Any], said: str) -> None:
    entry = CacheEntry("b", "regular", "", (), False, False, 5, NOW - 9 * DAY, NOW - 9 * DAY)
    policy = replace(ALL, older_than=DAY)
    assert not reasons(Inventory(build_cache=(entry,)), policy)
    assert reasons(Inventory(build_cache=(replace(entry, **facts),)), policy) == {"build cache b": said}


def test_a_name_is_exact() -> None:
    volume = Volume("data2", "local", place("data2"), NOW, size=1, measured=True)
    assert not plan_removals(
        Inventory(volumes=(volume,), hidden_containers=0), Policy(volume_names=("data", "data*")), NOW
    ).actions


def test_what_the_classic_builder_built_goes_from_its_end() -> None:
    base, middle, top = (Image(f"i{n}", (f"{n}:1",), NOW - (9 - n) * DAY, 1) for n in range(3))
    parents = {"i2": "step", "step": "i1", "i1": "i0"}
    inventory = Inventory(images=(base, middle, top), parents=parents)
    assert [action.target for action in plan_removals(inventory, ALL, NOW).actions] == ["2:1", "1:1", "0:1"]
    running = Container("c", "keeper", "2:1", "i2", "running", NOW)
    assert reasons(replace(inventory, containers=(running,)), ALL) == {
        "container keeper": "is running",
        "image 2:1": "used by the container keeper (running)",
        "image 1:1": "the image 2:1, which stays, was built upon it",
        "image 0:1": "the image 2:1, which stays, was built upon it",
    }
    # Made from a step that has no name and is in no list of images.
    running = Container("c", "keeper", "step", "step", "running", NOW)
    plan = plan_removals(replace(inventory, containers=(running,)), ALL, NOW)
    assert [action.target for action in plan.actions] == ["2:1"]
    assert plan.kept[1].reason == "the container keeper (running) uses what was built upon it"


@pytest.mark.parametrize("moment", [None, *NO_DATES])
def test_a_date_that_is_none_makes_nothing_old(moment: float | None) -> None:
    made = moment or 0.0
    inventory = Inventory(
        containers=(stopped(finished=moment, image_id="x"), Container("d", "d", "a", "x", "created", made)),
        images=(Image("i", ("other:1",), made, 1),),
        volumes=(Volume(HEX, "local", place(HEX), made, size=1, measured=True),),
        networks=(Network("n", "net", "bridge", "local", made),),
        build_cache=(CacheEntry("b", "regular", "", (), False, False, 1, made, made),),
        hidden_containers=0,
    )
    plan = plan_removals(inventory, replace(ALL, older_than=DAY), NOW)
    assert not plan.actions
    assert {kept.reason for kept in plan.kept} == {"its age is not known"}
    # Without an age asked for all of it goes, and nothing claims to know its age.
    plan = plan_removals(inventory, ALL, NOW)
    assert len(plan.actions) == 6
    assert all("at an unknown time" in action.reason for action in plan.actions)


@pytest.mark.parametrize("moment", NO_DATES)
def test_an_image_of_unknown_age_counts_as_the_newest(moment: float) -> None:
    images = (
        Image("i1", ("app:1",), NOW - DAY, 1),
        Image("i2", ("app:2",), NOW - 2 * DAY, 1),
        Image("i3", ("app:3",), moment, 1),
    )
    plan = plan_removals(Inventory(images=images), replace(ALL, keep_per_repository=2), NOW)
    assert [action.target for action in plan.actions] == ["app:2"]
    # Which of several is the newest nobody knows.
    images = (replace(images[0], created=moment), replace(images[1], created=moment), images[2])
    assert not plan_removals(Inventory(images=images), replace(ALL, keep_per_repository=1), NOW).actions
    assert len(plan_removals(Inventory(images=images), ALL, NOW).actions) == 3


@pytest.mark.parametrize(
    ("restart", "said"),
    [
        ("always", "comes back with the engine: its restart policy is always"),
        ("on-failure", "comes back with the engine: its restart policy is on-failure"),
        ("unless-stopped", "is a service that was stopped: its restart policy is unless-stopped"),
    ],
)
def test_a_container_with_a_restart_policy_goes_only_when_it_is_named(restart: str, said: str) -> None:
    inventory = Inventory(containers=(stopped(restart=restart), stopped("other")))
    assert reasons(inventory, ALL) == {"container c": said}
    assert not reasons(inventory, replace(ALL, container_names=("c",)))
    only = Policy(container_names=("c", "gone"))
    [action] = plan_removals(inventory, only, NOW).actions
    assert (action.target, action.work) == ("c", RemoveContainer("c", "c", "", 0, restart))
    assert reasons(inventory, only) == {
        "container other": "not named in container_names",
        "container gone": "there is no container of this name",
    }
    # A name opens this one door.
    protected = replace(only, protection=Protection(names=("c",)))
    assert "container c" in reasons(inventory, protected)
    for facts in ({"labels": {PROJECT_LABEL: "shop"}}, {"finished": NOW - 60}):
        kept = Inventory(containers=(stopped(restart=restart, **facts),))
        assert "container c" in reasons(kept, replace(only, older_than=DAY))


@pytest.mark.parametrize(
    ("world", "said"),
    [
        ({"needs": (ImageNeed("app:*", "the compose file /x"),)}, "it may be that of the compose file /x"),
        ({"needs": (ImageNeed("app", "y"), ImageNeed("app:1", "the service x"))}, "it is that of the service x"),
        ({"needs_unseen": "no manager"}, "it may be that of a service of the swarm: this node does not tell"),
        (
            {"containers": (Container("c", "web", "app:1", "older", "running", NOW),)},
            "the container web was made from an earlier image of this name",
        ),
        (
            {"projects_unread": {"shop": "gone"}},
            "compose built it for the project shop, not all of whose services are known",
        ),
    ],
)
def test_an_image_that_something_would_start_from_stays(world: dict[str, Any], said: str) -> None:
    image = Image("i", ("app:1",), NOW - 9 * DAY, 1, labels={PROJECT_LABEL: "shop"})
    inventory = Inventory(images=(image, Image("j", (), NOW - 9 * DAY, 1)), hidden_containers=0, **world)
    plan = plan_removals(inventory, ALL, NOW)
    assert [action.target for action in plan.actions] == ["j"]
    assert {kept.target: kept.reason for kept in plan.kept}["image app:1"] == said
    assert bool(plan.warnings) == ("needs_unseen" in world or "projects_unread" in world)
    assert plan_removals(
        replace(inventory, containers=(), needs=(), needs_unseen="", projects_unread={}), ALL, NOW
    ).actions


def test_an_image_that_a_service_names_by_its_digest_is_not_dangling_for_us() -> None:
    """A swarm, and `docker pull name@sha256:...`, give an image no tag under the classic store."""
    image = Image("i", (), NOW - 9 * DAY, 1, digests=("mongo@sha256:12",))
    dangling = Policy(images="dangling")
    need = ImageNeed("mongo:7@sha256:12", "the swarm's service mongo")
    assert plan_removals(Inventory(images=(image,)), dangling, NOW).actions
    assert reasons(Inventory(images=(image,), needs=(need,)), dangling) == {"image i": f"it is that of {need.by}"}
    plan = plan_removals(Inventory(images=(image,), needs_unseen="no manager"), dangling, NOW)
    assert not plan.actions and plan.warnings == ["no image with a name is removed: no manager"]
    assert not plan_removals(Inventory(needs_unseen="no manager"), dangling, NOW).warnings


def test_an_image_without_a_name_may_be_what_a_container_mounts() -> None:
    mounting = Container("c", "web", "x", "x", "running", NOW - 5 * DAY, mounts=(Mount("image", "data:1", "/m", "/d"),))
    lost = Image("i", (), NOW - 9 * DAY, 1)
    assert (
        "may be what the container web mounts as data:1"
        in reasons(Inventory(containers=(mounting,), images=(lost,)), ALL).values()
    )
    # The name is still that of the image that the container was made with.
    named = Image("j", ("data:1",), NOW - 8 * DAY, 1)
    plan = plan_removals(Inventory(containers=(mounting,), images=(lost, named)), ALL, NOW)
    assert [action.target for action in plan.actions] == ["i"]
    # It was given to a later one.
    for later in (replace(named, created=NOW - DAY), replace(named, tagged=NOW - DAY)):
        assert not plan_removals(Inventory(containers=(mounting,), images=(lost, later)), ALL, NOW).actions


def test_pods_of_podman_go_as_a_whole() -> None:
    infra = Container("f" * 64, "pod-infra", "", "sha256:", "exited", NOW - 9 * DAY, finished=NOW - 8 * DAY)
    member = stopped("member", joins=("f" * 64,))
    plan = plan_removals(Inventory(containers=(infra, member), engine="podman"), ALL, NOW)
    assert not plan.actions
    assert {kept.reason.partition(",")[0] for kept in plan.kept} == {
        "holds together a pod of Podman's",
        "belongs to a pod of Podman's",
    }


def test_without_sizes_of_containers_all_else_is_planned() -> None:
    half = Container("1" * 64, "half", "a", "x", "dead", NOW - 9 * DAY)
    words = f"rw layer snapshot not found for container {half.id}"
    plan = plan_removals(Inventory(containers=(half, stopped()), hidden_containers=0), ALL, NOW)
    assert not plan.warnings
    plan = plan_removals(Inventory(containers=(half, stopped()), hidden_containers=0, sizes_unknown=words), ALL, NOW)
    assert [(action.target, action.predicted) for action in plan.actions] == [("c", True)]
    assert "docker rm --force half" in plan.warnings[0]


def test_no_object_at_all_is_a_cap_as_well() -> None:
    nothing = replace(ALL, max_delete=0)
    with pytest.raises(MaintenanceError, match=r"1 objects would be removed, more than max_delete \(0\)"):
        plan_removals(Inventory(containers=(stopped(),)), nothing, NOW)
    assert not plan_removals(Inventory(), nothing, NOW).actions


def test_what_is_of_unknown_age_is_not_old() -> None:
    volume = Volume("v", "local", place("v"), 0.0, size=1, measured=True)
    policy = Policy(volume_names=("v",), older_than=DAY)
    assert reasons(Inventory(volumes=(volume,), hidden_containers=0), policy) == {"volume v": "its age is not known"}


def test_cache_of_an_image_that_goes_goes_along() -> None:
    layer = Layer("l", 500)
    image = Image("i", (), NOW - DAY, 500, chains=("l",), layers=(layer,))
    entry = CacheEntry("b", "regular", "", (), False, True, 500, NOW - DAY, NOW - DAY)
    plan = plan_removals(Inventory(images=(image,), build_cache=(entry,)), ALL, NOW)
    assert [(a.target, a.bytes, a.predicted) for a in plan.actions] == [("i", 0, True), ("b", 0, True)]
    assert expected_range(plan.actions) == (0, 500)
    plan = plan_removals(Inventory(images=(image,), build_cache=(entry,)), replace(ALL, images="none"), NOW)
    assert not plan.actions


MIB = 1 << 20


def containerd_build() -> Inventory:
    """One image of a base and a layer of 20 MiB, as BuildKit makes it: the cache has the layer and the blob once more."""
    base, layer = Layer("base", 2 * MIB), Layer("layer", 20 * MIB)
    kept = Image("base", ("base:1",), NOW - 9 * DAY, 3 * MIB, chains=("base",), layers=(base,), unpacked=2 * MIB)
    image = Image(
        "i", ("app:1",), NOW - DAY, 42 * MIB, chains=("base", "layer"), layers=(base, layer), unpacked=22 * MIB
    )
    day = NOW - DAY
    cache = (
        CacheEntry("b-base", "regular", "", (), False, True, 2 * MIB, day, day),
        CacheEntry("b-layer", "regular", "", ("b-base",), False, True, 40 * MIB - 4096, day, day),
        CacheEntry("b-other", "regular", "", ("b-base",), False, True, 70 * MIB, day, day),
    )
    return Inventory(store="containerd", images=(kept, image), build_cache=cache, layers_size=1000 * MIB)


def test_cache_that_an_image_of_the_containerd_store_shares_goes_along() -> None:
    policy = replace(ALL, protection=Protection(names=("base:*",)))
    plan = plan_removals(containerd_build(), policy, NOW)
    assert [(a.target, a.bytes, a.predicted) for a in plan.actions] == [("app:1", 0, True), ("b-layer", 0, True)]
    assert expected_range(plan.actions) == (0, 82 * MIB - 4096)
    stays = reasons(containerd_build(), policy)
    assert stays["build cache b-other"] == "shared with an image"
    after = applied(containerd_build(), plan)
    assert not plan_removals(after, policy, NOW).actions


def test_blobs_that_build_cache_may_hold_are_not_counted_twice() -> None:
    before = containerd_build()
    policy = replace(ALL, protection=Protection(names=("base:*",)))
    image, cached = plan_removals(before, policy, NOW).actions
    # The image alone: its layer is freed, its blob is held by build cache. The sum falls by both.
    after = replace(before, images=before.images[:1], layers_size=960 * MIB)
    assert measured_bytes(before, after, [Result(image, "done", 0)]) == 20 * MIB
    # With the entry, whose own layer and blob are told by the engine.
    after = replace(after, build_cache=before.build_cache[:1], layers_size=940 * MIB)
    done = [Result(image, "done", 0), Result(cached, "done", 40 * MIB)]
    assert measured_bytes(before, after, done) == 60 * MIB


def test_a_target_that_cannot_be_judged_fails() -> None:
    with pytest.raises(MaintenanceError, match="cannot tell how much is free"):
        plan_removals(Inventory(), replace(ALL, target_free=1), NOW)


def test_protection_that_would_protect_nothing_fails() -> None:
    assert parse_protection(None) == Protection()
    assert parse_protection({"names": ["a*"], "labels": None}) == Protection(names=("a*",))
    with pytest.raises(MaintenanceError, match="volumes"):
        parse_protection({"volumes": ["x"]})
    with pytest.raises(MaintenanceError, match="list"):
        parse_protection({"names": "a*"})


# -- after the fact ---------------------------------------------------------------------------------------------------


def test_bytes_are_measured_by_what_the_engine_holds() -> None:
    image = Image("i", (), NOW - DAY, 500, chains=("l",), layers=(Layer("l", 500),))
    shared = CacheEntry("b", "regular", "", (), False, True, 500, NOW - DAY, NOW - DAY)
    before = Inventory(images=(image,), build_cache=(shared,), layers_size=700)
    plan = plan_removals(before, replace(ALL, build_cache="none"), NOW)
    done = [Result(action, "done", action.bytes) for action in plan.actions]
    # The sum of layers has fallen, but build cache holds the layer now.
    after = Inventory(build_cache=(replace(shared, shared=False),), layers_size=200)
    assert measured_bytes(before, after, done) == 0
    assert measured_bytes(before, Inventory(layers_size=200), done) == 500
    assert measured_bytes(before, None, []) == 0


def test_bytes_under_the_containerd_store_count_layers_once() -> None:
    before = Inventory(store="containerd", containers=(stopped(size=100, log_bytes=30),), layers_size=40_000)
    before = replace(before, images=(Image("j", (), NOW - DAY, 500),))
    plan = plan_removals(before, ALL, NOW)
    done = [Result(action, "done", action.bytes) for action in plan.actions]
    after = Inventory(store="containerd", layers_size=40_000 - 100 - 28672 - 450)
    assert measured_bytes(before, after, done) == 100 + 30 + 28672 + 450


def test_what_the_engine_did_not_remove_is_noticed() -> None:
    before = Inventory(containers=(stopped("a"), stopped("b")))
    actions = plan_removals(before, ALL, NOW).actions
    assert [a.target for a in still_there(Inventory(containers=(stopped("b"),)), actions)] == ["b"]
    volumes = tuple(Volume(name, "local", "", NOW) for name in "xyz")
    assert vanished_volumes(Inventory(volumes=volumes), Inventory(volumes=volumes[:1]), []) == ["y", "z"]


def test_what_went_after_nobody_waited_any_more_is_our_own_doing() -> None:
    volumes = tuple(Volume(name, "local", place(name), NOW, size=1, measured=True) for name in "xyz")
    before = Inventory(containers=(stopped("a"), stopped("b")), volumes=volumes, hidden_containers=0)
    actions = plan_removals(before, replace(ALL, volume_names=("x", "y")), NOW).actions
    after = Inventory(containers=(stopped("b"),), volumes=volumes[1:2])
    assert [a.target for a in gone_after_all(after, actions)] == ["a", "x"]
    assert vanished_volumes(before, after, actions) == ["z"]


def test_headlines() -> None:
    plan = plan_removals(Inventory(containers=(stopped("a", size=2048), stopped("b"))), ALL, NOW)
    assert removal_headline(plan.actions, None) == "would remove 2 containers and free 2.0 KiB"
    assert removal_headline(plan.actions, 1024) == "removed 2 containers and freed 1.0 KiB (predicted 2.0 KiB)"
    work = RemoveBuildCache("a", False, 0, 1024)
    entries: list[Action[Removal]] = [Action("remove_build_cache", name, "unused", work, 1024) for name in ("a", "b")]
    assert removal_headline(entries, None) == "would remove 2 entries of the build cache and free 2.0 KiB"
    assert removal_headline(entries[:1], None) == "would remove 1 entry of the build cache and free 1.0 KiB"
    assert removal_headline([], None) == "nothing to remove"
    assert removal_headline([], None, 604800) == "nothing to remove; younger than 7 d stays"
    assert removal_headline([], 0, 604800) == "nothing removed; younger than 7 d stays"
    aged = removal_headline(entries[:1], 5, 3600)
    assert aged == "removed 1 entry of the build cache and freed 5 B (predicted 1.0 KiB); younger than 1 h stays"
