# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""os_packages with the real apt, in a Debian of its own and with a repository that the tests make."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.engine import Engine, base_image
from tests.sandbox.image import SYSTEMD_RUN_ARGUMENTS
from tests.support.modules import ModuleResult, for_other_users
from tests.support.playbooks import PlaybookRun, run_playbook

# Suite, package, version, and what else its control file says.
PACKAGES = [
    ("stable", "shop-ssl", "1.0", "Depends: shop-base"),
    ("stable", "shop-base", "1.0", ""),
    ("stable", "shop-tool", "1.0", ""),
    ("stable", "shop-held", "1.0", ""),
    ("stable", "docker-ce-cli", "1.0", ""),
    ("stable", "shop-client", "1.0", ""),
    ("stable", "shop-clash", "1.0", ""),
]
NEWER = [
    # Its security update was followed by another: what comes from elsewhere contains it.
    ("stable-security", "shop-ssl", "1.1", "Depends: shop-base, shop-new"),
    ("stable-updates", "shop-ssl", "1.2", "Depends: shop-base, shop-new"),
    ("stable-updates", "shop-new", "1.0", ""),
    ("stable-security", "shop-base", "1.0+deb1", ""),
    ("stable-updates", "shop-tool", "2.0", ""),
    ("stable-security", "shop-held", "1.1", ""),
    ("stable-security", "docker-ce-cli", "1.1", ""),
    # The first takes along what is to stay, the second takes something away.
    ("stable-security", "shop-client", "1.1", "Depends: docker-ce-cli (>= 1.1)"),
    ("stable-security", "shop-clash", "1.1", "Conflicts: shop-tool"),
]
INSTALLED = [name for _suite, name, _version, _more in PACKAGES]
SOURCES = "printf '%s\\n' > /etc/apt/sources.list" % "\\n".join(
    f"deb [trusted=yes] file:/repository/{name} ./" for name in ("stable", "stable-security", "stable-updates")
)


def build(repository: Path, packages: list[tuple[str, str, str, str]], work: Path) -> None:
    """Add packages to a flat repository for each suite, with a Release file that tells its suite and label."""
    for suite, name, version, more in packages:
        source = work / f"{name}-{version}"
        (source / "DEBIAN").mkdir(parents=True)
        (source / "etc").mkdir()
        (source / "etc" / f"{name}.conf").write_text(f"version = {version}\n")
        (source / "DEBIAN" / "conffiles").write_text(f"/etc/{name}.conf\n")
        lines = [
            f"Package: {name}",
            f"Version: {version}",
            "Architecture: all",
            "Maintainer: Tests <tests@example.com>",
        ]
        lines += [line for line in (more, "Description: for tests") if line]
        (source / "DEBIAN" / "control").write_text("\n".join(lines) + "\n")
        (repository / suite).mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Znone", "--build", source, repository / suite],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    for directory in repository.iterdir():
        entries = []
        for path in sorted(directory.glob("*.deb")):
            control = subprocess.run(["dpkg-deb", "--field", path], check=True, capture_output=True, text=True).stdout
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            entries.append(
                f"{control.strip()}\nFilename: ./{path.name}\nSize: {path.stat().st_size}\nSHA256: {digest}\n"
            )
        index = "\n".join(entries).encode()
        (directory / "Packages").write_bytes(index)
        (directory / "Packages.gz").write_bytes(gzip.compress(index))
        sums = "".join(
            f" {hashlib.sha256((directory / name).read_bytes()).hexdigest()} {(directory / name).stat().st_size} {name}\n"
            for name in ("Packages", "Packages.gz")
        )
        label = "Debian-Security" if directory.name.endswith("-security") else "Debian"
        (directory / "Release").write_text(
            f"Origin: Debian\nLabel: {label}\nSuite: {directory.name}\nCodename: {directory.name}\n"
            f"Date: Sun, 29 Nov 2026 12:00:00 UTC\nSHA256:\n{sums}"
        )


class Host:
    """A Debian in a container, with apt and nothing else to ask than the tests' repository."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine, self.name = engine, name

    def sh(self, command: str) -> str:
        return self.engine.docker("exec", self.name, "sh", "-ec", command)

    def versions(self) -> dict[str, str]:
        text = self.sh("dpkg-query --show --showformat='${Package} ${Version} ${db:Status-Status}\\n'")
        return {words[0]: words[1] for words in (line.split() for line in text.splitlines()) if words[2] == "installed"}

    def module(self, check: bool = False, **params: Any) -> ModuleResult:
        given = {"_ansible_check_mode": check, "_ansible_diff": True, "state_dir": "/var/lib/miniecom", **params}
        environment = "PYTHONPATH=/checkout/.cache/ansible-package:/checkout/collections PYTHONDONTWRITEBYTECODE=1"
        done = subprocess.run(
            [
                *("docker", "exec", "-i", self.name, "env", *environment.split(), "/usr/bin/python3"),
                *("/checkout/tests/support/module_process.py", "os_packages"),
            ],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": given}),
            env=self.engine.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stdout.strip().startswith("{"), done.stdout + done.stderr
        return ModuleResult(done.returncode, json.loads(done.stdout), done.stdout, done.stderr)

    def state(self) -> str:
        """All that apt and dpkg keep, without what reading rebuilds."""
        return self.sh(
            "find /etc /var/lib/apt /var/lib/dpkg /var/log /var/lib/miniecom /boot -printf '%p %T@ %s\\n' 2>/dev/null | sort || true"
        )


@pytest.fixture(scope="module")
def image(docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, Path]]:
    """A Debian with the packages installed, of which the repository has newer ones that apt has not heard of."""
    directory = tmp_path_factory.mktemp("packages")
    repository = directory / "repository"
    build(repository, PACKAGES, directory / "old")
    place = for_other_users(directory)
    start(docker_engine, base_image(docker_engine), "os-packages-made", repository, place)
    host = Host(docker_engine, "os-packages-made")
    sources = "\\n".join(f"deb [trusted=yes] file:/repository/{name} ./" for name in ("stable",))
    host.sh(
        f"rm -rf /etc/apt/sources.list.d/* /var/lib/apt/lists/*; printf '{sources}\\n' > /etc/apt/sources.list;"
        f" apt-get -q update; apt-get -q install -y {' '.join(INSTALLED)}; apt-mark hold shop-held; apt-mark auto shop-base;"
        " rm -rf /var/lib/apt/lists/*"
    )
    docker_engine.docker("commit", "os-packages-made", "os-packages:made")
    docker_engine.docker("rm", "-f", "os-packages-made")
    build(repository, NEWER, directory / "new")
    yield "os-packages:made", repository, place
    docker_engine.docker("image", "rm", "-f", "os-packages:made")


def start(
    engine: Engine, image: str, name: str, repository: Path, place: Path, *more: str, command: str = "sleep 1000"
) -> None:
    mounts = ("-v", f"{repository}:/repository", "-v", f"{place}:/checkout:ro")
    engine.docker("run", "-d", "--name", name, "--network", "none", *mounts, *more, image, *command.split())


@pytest.fixture
def host(docker_engine: Engine, image: tuple[str, Path, Path]) -> Iterator[Host]:
    start(docker_engine, image[0], "os-packages", image[1], image[2])
    found = Host(docker_engine, "os-packages")
    found.sh(SOURCES)
    yield found
    docker_engine.docker("rm", "-f", "os-packages")


def kept(result: ModuleResult) -> dict[str, str]:
    return {entry["target"]: entry["reason"] for entry in result.result["kept"]}


def test_what_mends_vulnerabilities_is_installed_and_nothing_else(host: Host) -> None:
    before = host.versions()

    unknown = host.module()
    assert unknown.result["audit"] == {"available": False, "reason": "apt has no lists of packages: run apt-get update"}
    assert "no security update" not in unknown.result["summary"]["headline"]
    assert "findings_total" not in unknown.result["summary"]

    host.sh("apt-get -q update; printf 'version = mine\\n' > /etc/shop-ssl.conf; touch /run/reboot-required")
    state = host.state()
    told = host.module()
    assert told.changed is False and told.result["plan"] == []
    found = {entry["name"]: entry for entry in told.result["available"]}
    safe = {name for name, entry in found.items() if entry["security"]}
    assert safe == {"shop-ssl", "shop-base", "shop-held", "docker-ce-cli", "shop-client", "shop-clash"}
    assert found["shop-ssl"]["candidate"] == "1.2"
    assert found["shop-ssl"]["origin"] == "Debian-Security stable-security"
    assert found["shop-tool"]["origin"] == "Debian stable-updates"
    assert told.result["summary"]["findings_total"] == 6 and told.result["reboot_required"] is True

    checked = host.module(check=True, upgrade="security")
    assert host.state() == state, "neither a report nor check mode changes anything"
    assert host.versions() == before

    done = host.module(upgrade="security")
    assert not done.failed, done.msg
    for key in ("plan", "kept", "upgraded", "diff", "changed"):
        assert done.result[key] == checked.result[key], key
    expected = {"shop-ssl": "1.2", "shop-base": "1.0+deb1", "shop-new": "1.0"}
    assert host.versions() == {**before, **expected}
    assert {entry["name"]: entry["after"] for entry in done.result["upgraded"]} == expected
    assert set(kept(done)) == {"shop-tool", "shop-held", "docker-ce-cli", "shop-client", "shop-clash"}
    assert "on hold" in kept(done)["shop-held"]
    assert "docker-ce-cli, which is to stay" in kept(done)["shop-client"]
    assert "remove" in kept(done)["shop-clash"].lower()
    assert host.sh("cat /etc/shop-ssl.conf").strip() == "version = mine"
    assert "shop-base" in host.sh("apt-mark showauto").split(), "it counts as installed by itself as before"
    assert "shop-ssl" in host.sh("apt-mark showmanual").split()

    again = host.module(upgrade="security")
    assert again.changed is False and not again.failed and again.result["plan"] == []
    assert again.result["summary"]["security"] == 4


def test_a_source_that_does_not_answer_fails_after_the_others_were_served(host: Host) -> None:
    host.sh("echo 'deb [trusted=yes] file:/nowhere ./' >> /etc/apt/sources.list")
    done = host.module(upgrade="security")
    assert done.failed and "/nowhere" in done.msg and "not known" in done.msg
    assert host.versions()["shop-ssl"] == "1.2", "what is known is installed all the same"


def test_a_package_that_cannot_be_installed(host: Host) -> None:
    for name in ("shop-ssl", "shop-base"):
        host.sh(f"cd /var/lib/dpkg/info; printf '#!/bin/sh\\nexit 1\\n' > {name}.prerm; chmod 755 {name}.prerm")
    done = host.module(upgrade="security")
    assert done.failed and "apt-get failed" in done.msg
    assert done.result["actions"][0]["status"] == "failed" and done.result["upgraded"] == []
    before = dict.fromkeys(INSTALLED, "1.0")
    assert before.items() <= host.versions().items()


def test_what_is_half_installed_is_told_and_nothing_is_done(host: Host) -> None:
    host.sh(
        "apt-get -q update; sed -i '/^Package: shop-tool$/,/^$/s/^Status: .*/Status: install ok half-configured/' /var/lib/dpkg/status"
    )
    assert "half installed: shop-tool" in host.module().result["summary"]["headline"]
    before = host.versions()
    for check in (True, False):
        refused = host.module(check=check, upgrade="security")
        assert refused.failed and "shop-tool" in refused.msg and "dpkg --configure -a" in refused.msg
    assert host.versions() == before


# -- a host that is rebooted ---------------------------------------------------------------------------------------------

# A shop of which only the health endpoint is there; and what the kernel of a machine does itself, as systemd-nspawn does it for its
# containers: an id for each boot.
BOOTED = """
cat > /srv/shop.py <<'END'
import http.server
class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header('Content-Type', 'application/json'); self.end_headers()
        self.wfile.write(b'{"status": "ok", "mongoConnected": true}')
http.server.ThreadingHTTPServer(('127.0.0.1', 3001), Shop).serve_forever()
END
cd /etc/systemd/system
printf '[Service]\\nExecStart=/usr/bin/python3 /srv/shop.py\\n[Install]\\nWantedBy=multi-user.target\\n' > shop.service
cat > boot-id.service <<'END'
[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/bin/sh -ec 'cat /proc/sys/kernel/random/uuid | tee -a /srv/boots > /run/boot-id'
ExecStart=/bin/mount --bind /run/boot-id /proc/sys/kernel/random/boot_id
[Install]
WantedBy=sysinit.target
END
systemctl daemon-reload; systemctl enable shop boot-id; systemctl start boot-id shop
printf '#!/bin/sh\\n! [ "$1" = upgrade ] || touch /run/reboot-required\\n' > /var/lib/dpkg/info/shop-ssl.prerm; chmod 755 /var/lib/dpkg/info/shop-ssl.prerm
"""
ROLE = """
- hosts: all
  gather_facts: false
  vars:
    context_root: /opt/miniecom
    context_state_dir: /var/lib/miniecom
    os_packages_health_url: http://127.0.0.1:3001/api/health
  tasks:
    - miniecom.maintenance.maintenance_run: {state: begun, name: update, owner: ops, state_dir: "{{ context_state_dir }}"}
      register: context_run
    - ansible.builtin.import_role:
        name: miniecom.maintenance.os_packages
    - miniecom.maintenance.maintenance_run: {state: ended, run_id: "{{ context_run.run_id }}", state_dir: "{{ context_state_dir }}"}
"""


def test_a_host_is_rebooted_only_where_that_is_wished(
    docker_engine: Engine, image: tuple[str, Path, Path], tmp_path: Path
) -> None:
    """With systemd, and the same run going on after the boot."""
    name, play = "os-packages-booted", tmp_path / "play.yml"
    play.write_text(ROLE)
    booted = (*SYSTEMD_RUN_ARGUMENTS, "--restart=always", "-e", "container=docker")
    start(docker_engine, image[0], name, image[1], image[2], *booted, command="/lib/systemd/systemd")
    host = Host(docker_engine, name)

    def role(*arguments: str, **variables: Any) -> PlaybookRun:
        given = {
            "ansible_connection": "community.docker.docker_api",
            "ansible_docker_docker_host": docker_engine.docker_host,
            "ansible_python_interpreter": "/usr/bin/python3",
            **variables,
        }
        return run_playbook(str(play), f"{name},", *arguments, "-e", json.dumps(given), log=tmp_path / "tasks.jsonl")

    def boots() -> list[str]:
        return host.sh("cat /srv/boots").split()

    try:
        deadline = time.monotonic() + 90
        while "running" not in docker_engine.docker("exec", name, "systemctl", "is-system-running", check=False):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        host.sh(SOURCES + "; apt-get -q update")
        host.sh(BOOTED)
        assert len(boots()) == 1

        wanted = {"os_packages_upgrade": "security", "os_packages_reboot": True}
        role("--check", "--diff", **wanted).assert_ok()
        assert host.versions()["shop-ssl"] == "1.0" and len(boots()) == 1
        # It asks for a reboot, and nobody has allowed one.
        told = role(os_packages_upgrade="security").assert_ok().result("os_packages")
        assert host.versions()["shop-ssl"] == "1.2" and told["reboot_required"] is True
        assert "has to be rebooted" in told["summary"]["headline"] and len(boots()) == 1
        done = role(**{**wanted, "os_packages_upgrade": "all"}).assert_ok()
        assert done.result("reboot")["rebooted"] is True and len(set(boots())) == 2
        assert host.versions()["shop-tool"] == "2.0" and host.sh("ls /run/reboot-required || true").strip() == ""
        # The same run, with its lease, has seen the shop come up after the boot.
        assert done.result("maintenance_flag_info")["probe"]["state"] == "up"
        assert "probe" in done.tasks[-2]["result"] and "warnings" not in done.result("maintenance_run")
    finally:
        docker_engine.docker("rm", "-f", "-v", name)
