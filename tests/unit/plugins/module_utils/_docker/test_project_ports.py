# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.ports import (
    addresses,
    container_name,
    private_ports,
    published,
    reach,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._docker.project import (
    FoundProject,
    Project,
    find_project,
    place,
)

ROOT = "/opt/miniecom"


def container(name: str, service: str = "", project: str = "", **more: Any) -> dict[str, Any]:
    labels = {}
    if service:
        labels = {
            "com.docker.compose.project": project or "miniecom",
            "com.docker.compose.service": service,
            "com.docker.compose.project.working_dir": more.pop("directory", ROOT),
            "com.docker.compose.project.config_files": more.pop("files", ROOT + "/docker-compose.yml"),
            "com.docker.compose.oneoff": more.pop("oneoff", "False"),
        }
    return {"Id": name * 4, "Names": ["/" + name], "State": "running", "Labels": labels, **more}


def port(private: int, public: int | None = None, address: str = "0.0.0.0", proto: str = "tcp") -> dict[str, Any]:
    found: dict[str, Any] = {"PrivatePort": private, "Type": proto}
    return found if public is None else {**found, "PublicPort": public, "IP": address}


def same(path: str) -> str:
    return path


def found_in(
    containers: list[dict[str, Any]], root: str = ROOT, real: Any = same, there: bool = False
) -> Project | None:
    return find_project(containers, root, real, lambda path: there).project


# -- the project --------------------------------------------------------------------------------------------------------


def test_the_project_is_told_by_its_directory() -> None:
    found = found_in(
        [
            container("web_api", "api", "web"),
            container("web_mongo", "mongo", "web", State="exited"),
            container("web_api_run_1", "api", "web", oneoff="True"),
            container("other_mongo", "mongo", "other", directory="/srv/other", files="/srv/other/docker-compose.yml"),
            container("miniecom_mongo"),
        ],
    )
    assert found is not None
    assert (found.name, [item.name for item in found.containers]) == ("web", ["web_api", "web_mongo"])
    assert found.running and found.files == (ROOT + "/docker-compose.yml",)
    mongo = found.one("mongo")
    assert mongo is not None and not mongo.running and found.one("nginx") is None


def test_of_base_and_prod_the_one_that_runs() -> None:
    stopped = [container("miniecom_" + name, name, "a", State="exited") for name in ("api", "mongo", "frontend")]
    running = [
        container("miniecom_%s_prod" % name, name, "b", files=ROOT + "/docker-compose.prod.yml") for name in ("api",)
    ]
    found = found_in(stopped + running)
    assert found is not None and found.name == "b"


def test_files_are_those_of_the_newest_running_container() -> None:
    old = container("a", "api", Created=1, files=ROOT + "/docker-compose.yml")
    new = container("b", "mongo", Created=2, files="%s/docker-compose.yml,%s/override.yml" % (ROOT, ROOT))
    found = found_in([old, new])
    assert found is not None and found.files == (ROOT + "/docker-compose.yml", ROOT + "/override.yml")


def test_through_a_link_by_name_and_without_compose() -> None:
    elsewhere = container("x", "api", "shop", directory="/srv/real", files="/srv/real/docker-compose.yml")
    found = found_in([elsewhere], "/srv/link", lambda path: path.replace("/srv/link", "/srv/real"))
    assert found is not None and found.name == "shop"
    by_name = found_in([container("y", "api", "miniecom", directory="/home/me", files="")])
    assert by_name is not None and by_name.name == "miniecom"
    loose = found_in([container("miniecom_api_prod"), container("miniecom_mongo")])
    assert loose is not None and loose.name == "" and set(loose.services()) == {"api", "mongo"}
    assert found_in([container("postgres")]) is None
    assert found_in([]) is None


STAGING = "/srv/staging"


@given(
    st.sampled_from(["miniecom", "miniecom-staging", "miniecom_prod", "miniecomshop", "web"]),
    st.sampled_from([ROOT, ROOT + "/deploy", STAGING, "/gone", ""]),
    st.sampled_from([ROOT, ROOT + "/deploy", STAGING, "/gone"]),
    st.sampled_from(["running", "exited"]),
)
def test_another_shop_of_the_host_is_never_taken_for_this_one(
    name: str, directory: str, place: str, state: str
) -> None:
    mine = container("a", "api", name, directory=directory, files=place + "/docker-compose.yml", State=state)
    found = find_project([mine], ROOT, same, lambda path: path in (ROOT, ROOT + "/deploy", STAGING))
    named = name.startswith("miniecom") and name != "miniecomshop"
    if ROOT in (directory, place):
        assert found.project is not None and found.project.by_directory and not found.ignored
    elif STAGING in (directory, place):
        assert found == FoundProject(None, ("%s (made from %s)" % (name, STAGING),) if named else ())
    elif ROOT + "/deploy" in (directory, place):
        assert found.project is not None and found.project.by_directory and not found.ignored
    elif named:
        assert found.project is not None and not found.project.by_directory and not found.ignored
    else:
        assert found == FoundProject(None)


def test_production_is_down_and_staging_is_up() -> None:
    production = container("m", "mongo", "miniecom", State="exited")
    staging = container("s", "mongo", "miniecom-staging", directory=STAGING, files=STAGING + "/docker-compose.yml")
    for containers in ([production, staging], [staging, production]):
        found = find_project(containers, ROOT, same, lambda path: True)
        assert found.project is not None and found.project.name == "miniecom"
    found = find_project([staging], ROOT, same, lambda path: True)
    assert found.project is None and STAGING in found.ignored[0]
    nested = container("s", "mongo", "miniecom-staging", directory=ROOT + "/staging", files="")
    assert find_project([nested], ROOT, same, lambda path: True).project is None, "a second shop inside the first"


def test_a_project_of_a_sub_directory_is_the_shops_when_it_runs_the_shop() -> None:
    inside = {"directory": ROOT + "/deploy", "files": ROOT + "/deploy/compose.yml"}
    found = find_project([container("x", "api", "deploy", **inside)], ROOT, same, lambda path: path == ROOT + "/deploy")
    assert found.project is not None and found.project.why == "made from a directory inside /opt/miniecom"
    # Something else that is kept there, and a second shop.
    assert found_in([container("x", "grafana", "deploy", **inside)], there=True) is None
    assert found_in([container("x", "api", "deploy", **inside)], there=True) is None
    # The shop itself comes first.
    both = [container("x", "api", "deploy", **inside), container("y", "api", "own", State="exited")]
    found = find_project(both, ROOT, same, lambda path: False)
    assert found.project is not None and found.project.name == "own"


def test_a_project_from_standard_input_has_no_files() -> None:
    found = found_in([container("x", "api", "web", files="-")])
    assert found is not None and found.files == () and found.by_directory
    # Piped in from anywhere: where somebody stood says nothing, unless another shop is there.
    stdin = {"directory": "/tmp", "files": "-"}
    found = find_project([container("x", "api", "miniecom", **stdin)], ROOT, same, lambda path: path == "/tmp").project
    assert found is not None and found.name == "miniecom" and not found.by_directory
    found = find_project(
        [container("miniecom_api", "api", "tmp", **stdin)], ROOT, same, lambda path: path == "/tmp"
    ).project
    assert found is not None and found.why == "by the names of its containers"
    assert find_project([container("x", "api", "miniecom", **stdin)], ROOT, same, lambda path: True).project is None


def test_a_file_elsewhere_that_includes_one_of_the_shop() -> None:
    outside = {"directory": "/etc/stacks", "files": "/etc/stacks/all.yml"}
    texts = {"/etc/stacks/all.yml": "include:\n  - ../../opt/miniecom/docker-compose.yml\n"}
    raws = [container("x", "api", "stacks", **outside)]
    found = find_project(raws, ROOT, same, lambda path: path == "/etc/stacks", lambda path: texts.get(path, ""))
    assert found.project is not None and found.project.name == "stacks" and found.project.by_directory
    other = find_project(raws, ROOT, same, lambda path: path == "/etc/stacks", lambda path: "include: [x.yml]")
    assert other.project is None


def test_a_project_of_a_remote_context_is_told_by_its_names() -> None:
    """The paths in its labels are those of somebody's own machine."""
    for directory in ("/Users/me/shop", "C:\\\\Users\\\\me\\\\shop"):
        remote = {"directory": directory, "files": directory + "/docker-compose.yml"}
        found = found_in([container("miniecom_api_prod", "api", "shop", **remote)])
        assert found is not None and found.why == "by the names of its containers"
        assert found_in([container("shop-api-1", "api", "shop", **remote)]) is None
    # It is there: another shop's.
    here = container("miniecom_api", "api", "shop", directory="/srv/x", files="/srv/x/compose.yml")
    assert found_in([here], there=True) is None


def test_where_a_path_of_a_container_really_is() -> None:
    raw = {
        "Mounts": [
            {"Type": "volume", "Name": "store", "Source": "/v/store/_data", "Destination": "/app/storage"},
            {"Type": "bind", "Source": "/srv/labels", "Destination": "/app/storage/labels"},
            {"Type": "tmpfs", "Source": "", "Destination": "/app/tmp"},
        ]
    }
    assert place(raw, "/app/storage/invoices").path == "/v/store/_data/invoices"
    assert place(raw, "/app/storage").volume == "store"
    assert place(raw, "/app/storage/labels/a").path == "/srv/labels/a"
    assert place(raw, "/app/uploads").kind == "layer" and place(raw, "/app/uploads").path == ""
    assert place(raw, "/app/storage2").kind == "layer"
    assert place(raw, "/app/tmp/x").kind == "tmpfs" and place(raw, "/app/tmp/x").path == ""
    assert place({"Mounts": [{"Type": "bind", "Source": "/", "Destination": "/"}]}, "/app/x").path == "/app/x"
    assert place({}, "/app/uploads").kind == "layer"
    memory = {**raw, "HostConfig": {"Tmpfs": {"/app/uploads": "size=1m", "/app/storage/labels/a": ""}}}
    assert place(memory, "/app/uploads/b").kind == "tmpfs" and place(memory, "/app/uploads").path == ""
    assert (
        place(memory, "/app/storage/labels/a").kind == "tmpfs" and place(memory, "/app/storage/labels").kind == "bind"
    )
    assert place({"HostConfig": {"Tmpfs": None}}, "/app/uploads").kind == "layer"


# -- ports --------------------------------------------------------------------------------------------------------------


def test_what_is_published() -> None:
    raw = container(
        "api", Ports=[port(3001, 4001), port(3001, 4001, "::"), port(9229), port(53, 53, "127.0.0.1", "udp")]
    )
    found = published([raw])
    assert [(item.address, item.port, item.proto) for item in found] == [
        ("127.0.0.1", 53, "udp"),
        ("0.0.0.0", 4001, "tcp"),
        ("::", 4001, "tcp"),
    ]
    assert found[1].everywhere and not found[1].loopback and found[0].loopback
    assert private_ports(raw) == [3001, 9229]
    assert container_name({"Names": ["/other/alias", "/api"]}) == "api"


def test_how_the_host_reaches_a_port() -> None:
    networks = {"NetworkSettings": {"Networks": {"b": {"IPAddress": ""}, "a": {"IPAddress": "172.18.0.2"}}}}
    assert reach(container("m", Ports=[port(27017, 27018)]), 27017)[:2] == ("127.0.0.1", 27018)  # type: ignore[index]
    assert reach(container("m", Ports=[port(27017, 27018, "10.0.0.5")]), 27017)[:2] == ("10.0.0.5", 27018)  # type: ignore[index]
    both = container("m", Ports=[port(27017, 1, "10.0.0.5"), port(27017, 2, "127.0.0.1")])
    assert reach(both, 27017)[:2] == ("127.0.0.1", 2)  # type: ignore[index]
    assert reach(container("m", Ports=[port(27017, 3, "::")]), 27017)[:2] == ("::1", 3)  # type: ignore[index]
    assert reach(container("m", Ports=[port(27017)], **networks), 27017)[:2] == ("172.18.0.2", 27017)  # type: ignore[index]
    assert reach(container("m", HostConfig={"NetworkMode": "host"}), 27017)[:2] == ("127.0.0.1", 27017)  # type: ignore[index]
    assert reach(container("m", Ports=[port(80, 81)]), 27017) is None
    assert addresses(container("m", **networks)) == ["172.18.0.2"]
