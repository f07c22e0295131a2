# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Container engines, MongoDB's tools and service managers: which of their commands are dangerous beside us. Pure."""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, Tuple

from .job_call import Invocation
from .job_places import UNKNOWN, VOLUMES, unknown
from .job_verdict import (
    DELETES_DATA,
    PRUNES_DOCKER,
    RESTARTS_SERVICES,
    Inspection,
    Options,
    Rule,
    options,
)

# -- containers --------------------------------------------------------------------------------------------------------

_ENGINE_TAKING = (
    "-H --host -c --context --config -l --log-level --tlscacert --tlscert --tlskey "
    "--root --runroot --connection --url --identity --storage-driver --storage-opt --cgroup-manager --tmpdir --events-backend "
    "-n --namespace -a --address --data-root --snapshotter"
)
_COMPOSE_TAKING = "-f --file -p --project-name --profile --env-file --project-directory --parallel --progress --ansi"
_EXEC_TAKING = "-e --env --env-file -u --user -w --workdir --index --detach-keys"
_RUN_TAKING = (
    "-v --volume --mount -e --env --env-file -u --user -w --workdir --name --network --net -p --publish --entrypoint "
    "--restart --pull --platform -h --hostname -l --label --cpus -m --memory --volumes-from --tmpfs --log-driver --add-host"
)
_PRUNED = frozenset("system volume volumes image images container containers builder buildx network networks".split())
# Verbs by the object they act on; "" for those that name none.
_REMOVALS: Mapping[str, Tuple[str, ...]] = {
    "volume": ("rm", "remove"),
    "image": ("rm", "remove"),
    "container": ("rm", "remove"),
    "": ("rmi", "rm"),
}
_STOPS = frozenset("restart stop kill pause".split())
_COMPOSE_STOPS = frozenset("restart stop kill pause down up rm".split())
_SWARM = frozenset(
    [("service", "update"), ("service", "rm"), ("service", "scale"), ("stack", "rm"), ("stack", "deploy")]
)
_DATA_VOLUME = re.compile(r"mongo|miniecom|storage|data|db|\*|%s" % UNKNOWN, re.IGNORECASE)


def container_engine(look: Inspection, call: Invocation) -> List[str]:
    """docker, podman, nerdctl: global options may stand before the command."""
    given = options(call.words[1:], _ENGINE_TAKING, leading=True)
    words = given.operands
    if not words:
        return []
    name = "docker" if call.name.startswith("docker") else call.name
    thing, verb = (words[0], words[1]) if len(words) > 1 else (words[0], "")
    rest = words[2:]
    if thing == "compose":
        return compose(look, call.inner(["compose", *words[1:]]))
    if thing in _PRUNED and "prune" in words[1:3]:
        look.verdict.add(PRUNES_DOCKER, "%s %s prune" % (name, thing))
        return []
    if (thing, verb) in _SWARM and look.ours(call):
        look.verdict.add(RESTARTS_SERVICES, "%s %s %s" % (name, thing, verb))
    if thing not in _REMOVALS:
        thing, verb, rest = "", words[0], words[1:]
    objects = options(rest).operands
    if verb in _REMOVALS.get(thing, ()):
        kind = " ".join(word for word in (name, thing, verb) if word)
        _removal(look, kind, thing or ("image" if verb == "rmi" else "container"), objects)
    elif verb in _STOPS and any(_concerns(look, word) for word in objects):
        look.verdict.add(RESTARTS_SERVICES, "%s %s" % (name, verb))
    elif verb == "exec":
        return _inside(look, call, options(rest, _EXEC_TAKING, leading=True), {})
    elif verb == "run":
        return _run(look, call, options(rest, _RUN_TAKING, leading=True))
    return [unknown("container")]


def _concerns(look: Inspection, word: str) -> bool:
    """Whether a container, image or volume may be the shop's: one that names it, or one that nobody can tell."""
    return (
        UNKNOWN in word
        or "*" in word
        or look.places.speaks_of_shop(word)
        or word.split("_")[0].split("-")[0] in look.places.names
    )


def _removal(look: Inspection, kind: str, thing: str, objects: List[str]) -> None:
    if thing == "container" and not any(_concerns(look, word) for word in objects):
        return  # another's, by its name
    look.verdict.add(PRUNES_DOCKER, kind)
    if thing == "volume" and any(_concerns(look, word) and _DATA_VOLUME.search(word) for word in objects):
        look.verdict.add(DELETES_DATA, kind)


def _inside(look: Inspection, call: Invocation, given: Options, mounts: Mapping[str, str]) -> List[str]:
    """A command inside a container: its paths are the host's only where they are mounted from there."""
    look.verdict.note(given.operands[0] if given.operands else "")
    words = [_on_host(word, mounts) for word in given.operands[1:]]
    if not words:
        return []
    directory = "".join(given.values("-w", "--workdir")[-1:])
    frame = call.frame.copy(cwd=_on_host(directory, mounts) or unknown("container"), depth=call.frame.depth + 1)
    return look.run(Invocation(words, frame, call.files, call.text, call.source, call.upstream))


def _on_host(word: str, mounts: Mapping[str, str]) -> str:
    for inside, outside in mounts.items():
        word = re.sub(r"(?<![\w./-])%s(?=$|[/\s\"';*])" % re.escape(inside), lambda _match, to=outside: to, word)  # type: ignore[misc]
    return word


def _run(look: Inspection, call: Invocation, given: Options) -> List[str]:
    mounts: Dict[str, str] = {}
    for volume in given.values("-v", "--volume"):
        outside, _colon, inside = volume.partition(":")
        if inside.startswith("/"):
            inside = inside.partition(":")[0].rstrip("/")
            mounts[inside] = outside if "/" in outside or UNKNOWN in outside else "%s/%s/_data" % (VOLUMES, outside)
    for mount in given.values("--mount"):
        pairs = dict(pair.partition("=")[::2] for pair in mount.split(","))
        inside = pairs.get("target") or pairs.get("dst") or pairs.get("destination") or ""
        if inside:
            mounts[inside.rstrip("/")] = pairs.get("source") or pairs.get("src") or ""
    image = given.operands[0] if given.operands else ""
    if "watchtower" in image:
        look.verdict.add(RESTARTS_SERVICES, "watchtower")
        return []
    entrypoint = given.values("--entrypoint")
    if entrypoint and entrypoint[-1]:
        given = given._replace(operands=[image, entrypoint[-1], *given.operands[1:]])
    return _inside(look, call, given, mounts)


def compose(look: Inspection, call: Invocation) -> List[str]:
    """docker compose, docker-compose, podman-compose: of the shop's project, or of another's."""
    given = options(call.words[1:], _COMPOSE_TAKING, leading=True)
    if not given.operands or given.has("--dry-run"):
        return []
    verb, rest = given.operands[0], given.operands[1:]
    ours = look.ours(call) or any(value in look.places.names for value in given.values("-p", "--project-name"))
    if verb in ("exec", "run"):
        after = options(rest, _EXEC_TAKING if verb == "exec" else _RUN_TAKING, leading=True)
        if ours:
            look.verdict.near = True
        return _inside(look, call, after, {})
    if not ours:
        return [unknown("container")]
    if verb == "down":
        down = options(rest, "--rmi -t --timeout")
        look.verdict.add(RESTARTS_SERVICES, "compose down")
        if down.has("-v", "--volumes"):
            # The database is in a volume of the project.
            look.verdict.add(PRUNES_DOCKER, "compose down -v")
            look.verdict.add(DELETES_DATA, "compose down -v")
        if down.has("--rmi"):
            look.verdict.add(PRUNES_DOCKER, "compose down --rmi")
    elif verb in _COMPOSE_STOPS:
        look.verdict.add(RESTARTS_SERVICES, "compose %s" % verb)
        if verb == "rm" and options(rest).has("-v", "--volumes"):
            look.verdict.add(PRUNES_DOCKER, "compose rm -v")
    return [unknown("container")]


# -- MongoDB -----------------------------------------------------------------------------------------------------------

_SHELL_TAKING = (
    "-u --username -p --password --host --port --eval --authenticationDatabase --authenticationMechanism --db -f --file "
    "--tlsCAFile --tlsCertificateKeyFile --json"
)
_TOOL_TAKING = (
    "-u --username -p --password --host -h --port --uri -d --db -c --collection --authenticationDatabase --nsInclude "
    "--nsExclude --nsFrom --nsTo --numParallelCollections -j --config --readPreference --type --fields --dir"
)
DELETING_SCRIPT = re.compile(
    r"\b(?:deleteMany|deleteOne|dropDatabase|findOneAndDelete|findByIdAndDelete|dropCollection|delete_many|delete_one|drop_database"
    r"|drop_collection)\s*\(|\.(?:drop|remove)\(|[\"']?\bdropDatabase[\"']?\s*:"
)
_TURNS_TO = re.compile(r"(?:^[ \t]*use[ \t]+|getSiblingDB\(\s*[\"'])([\w.-]+)", re.MULTILINE)
_URI_DATABASE = re.compile(r"^mongodb(?:\+srv)?://[^/]*/([^?]*)")


def mongosh(look: Inspection, call: Invocation) -> List[str]:
    given = options(call.words[1:], _SHELL_TAKING)
    code = [*given.values("--eval"), call.text]
    files = [
        *given.values("-f", "--file"),
        *(word for word in given.operands if word.endswith((".js", ".mongodb", ".mjs"))),
    ]
    files += [call.source] if call.source else []
    for path in files:
        found = look.script(_absolute(path, call))
        if found is None:
            look.verdict.not_understood(call.name)
        else:
            code.append(found.text)
    for text in code:
        look.verdict.note(text)
    if any(DELETING_SCRIPT.search(text) for text in code):
        # A database that the script turns to itself outranks the one of the connection.
        inside = [name for text in code for name in _TURNS_TO.findall(text)]
        named = [word for word in given.operands if not word.endswith((".js", ".mongodb", ".mjs"))]
        _data(look, inside or named + given.values("--db"), "mongosh")
    elif any(UNKNOWN in text for text in given.values("--eval")) or (call.files is not None and not call.text):
        if call.files and any(DELETING_SCRIPT.search(word) for word in call.upstream):
            _data(look, given.operands, "mongosh")
        elif call.files != []:
            look.verdict.not_understood(call.name)
    return []


def _absolute(path: str, call: Invocation) -> str:
    return path if path.startswith("/") else "%s/%s" % (call.frame.cwd, path)


def _data(look: Inspection, databases: List[str], kind: str) -> None:
    """Something is deleted in a database: the shop's, unless another one is named."""
    names = []
    for word in databases:
        match = _URI_DATABASE.match(word)
        name = match.group(1) if match else word.rsplit("/", 1)[-1] if "://" not in word else ""
        names.append(name)
    other = [name for name in names if name and UNKNOWN not in name and name != "admin"]
    if other and not any(name in look.places.names or look.places.speaks_of_shop(name) for name in other):
        return
    if other or not databases:
        look.verdict.add(DELETES_DATA, kind)
    else:
        look.verdict.add_if_near(DELETES_DATA, kind)


def mongorestore(look: Inspection, call: Invocation) -> List[str]:
    given = options(call.words[1:], _TOOL_TAKING)
    if given.has("--drop") and not given.has("--dryRun"):
        targets = [value.partition(".")[0] for value in given.values("--nsTo")]
        targets = (
            targets or given.values("-d", "--db") or [uri for uri in given.values("--uri") if _URI_DATABASE.match(uri)]
        )
        _data(look, targets, "%s --drop" % call.name)
    return []


# -- services ----------------------------------------------------------------------------------------------------------

_SERVICES = re.compile(
    r"^(?:docker|containerd|podman|mongod|mongodb|nginx|apache2|httpd|caddy|pm2-?.*|node.*)(?:@.*)?(?:\.\w+)?$"
)
_HALTS = frozenset("reboot poweroff halt kexec".split())
_MANAGER_VERBS = frozenset("restart stop try-restart kill condrestart force-restart isolate".split())
_PM2_VERBS = frozenset(
    "restart reload stop delete kill update startOrRestart startOrReload gracefulReload del resurrect".split()
)


def _service(look: Inspection, name: str, kind: str) -> None:
    if _SERVICES.match(name) or _concerns(look, name):
        look.verdict.add(RESTARTS_SERVICES, kind)


def systemctl(look: Inspection, call: Invocation) -> List[str]:
    words = options(
        call.words[1:], "-M --machine -H --host -t --type --state -p --property -s --signal --root -n -o"
    ).operands
    if words and words[0] in _HALTS:
        look.verdict.add(RESTARTS_SERVICES, words[0])
    elif words and words[0] in _MANAGER_VERBS:
        for name in words[1:]:
            _service(look, name, "systemctl %s" % words[0])
    return []


def service(look: Inspection, call: Invocation) -> List[str]:
    words = options(call.words[1:]).operands
    if call.name == "rc-service" or call.name == "service" or call.name == "invoke-rc.d":
        if len(words) > 1 and words[1] in _MANAGER_VERBS:
            _service(look, words[0], "%s %s" % (call.name, words[1]))
    elif words and words[0] in _MANAGER_VERBS:  # supervisorctl, monit, sv
        for name in words[1:]:
            if name == "all" or _concerns(look, name):
                look.verdict.add(RESTARTS_SERVICES, "%s %s" % (call.name, words[0]))
    return []


def pm2(look: Inspection, call: Invocation) -> List[str]:
    words = options(call.words[1:], "-n --name -i --instances --env --cron").operands
    if words and words[0] in _PM2_VERBS:
        if len(words) == 1 or look.ours(call) or any(name == "all" or _concerns(look, name) for name in words[1:]):
            look.verdict.add(RESTARTS_SERVICES, "pm2 %s" % words[0])
    return []


def halt(look: Inspection, call: Invocation) -> List[str]:
    given = options(call.words[1:])
    if not given.has("-c", "-k") or call.name == "reboot":
        if call.name not in ("init", "telinit") or given.operands[:1] in (["0"], ["6"]):
            look.verdict.add(RESTARTS_SERVICES, call.name)
    return []


def kill(look: Inspection, call: Invocation) -> List[str]:
    words = call.words[1:]
    if any(re.match(r"^-(?:0|l|1|(?:SIG)?(?:HUP|USR1|USR2))$", word) for word in words):
        return []  # looks, or asks to open files anew
    if look.ours(call) or any(re.match(r"^(?:node|mongod|nginx|dockerd)\b", word) for word in words):
        look.verdict.add(RESTARTS_SERVICES, call.name)
    return []


def nginx(look: Inspection, call: Invocation) -> List[str]:
    if options(call.words[1:], "-s -c -g -p").values("-s") in (["stop"], ["quit"]):
        look.verdict.add(RESTARTS_SERVICES, "nginx -s stop")
    return []


def init_script(look: Inspection, call: Invocation) -> List[str]:
    """/etc/init.d/NAME VERB"""
    if any(word in _MANAGER_VERBS for word in call.words[1:]):
        _service(look, call.name, "init.d")
    return []


RULES: Dict[str, Rule] = {
    **dict.fromkeys("docker podman nerdctl docker.io".split(), container_engine),
    **dict.fromkeys("docker-compose podman-compose".split(), compose),
    "mongosh": mongosh,
    "mongo": mongosh,
    "mongorestore": mongorestore,
    "mongoimport": mongorestore,
    "systemctl": systemctl,
    **dict.fromkeys("service rc-service invoke-rc.d supervisorctl monit sv".split(), service),
    "pm2": pm2,
    **dict.fromkeys("reboot poweroff halt shutdown init telinit".split(), halt),
    **dict.fromkeys("kill pkill killall".split(), kill),
    "nginx": nginx,
}
