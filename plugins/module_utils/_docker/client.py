# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one way to a Docker Engine: where it is, which one answers, and what its errors mean."""

from __future__ import annotations

import errno
import http.client
import json
import os
import re
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, TypeVar

from .._core.arguments import ArgumentSpec
from .._core.errors import MaintenanceError, MissingLibrary, errno_name
from .lane import Lanes, refusal_text

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
# Bytes of a socket's path (sun_path of unix(7), less the closing zero byte).
LONGEST_SOCKET = 107
# How many requests an engine gets at a time. More than a few gain nothing: it does most of its work under locks.
THREADS = 4
# From how many questions on two connections are worth a second thread.
_MANY = 16
Item = TypeVar("Item")
Answer = TypeVar("Answer")

# The version is always negotiated: an engine that is spoken to as 1.41 or older prunes named volumes with the
# anonymous ones. From 1.53 on the engine leaves out keys that are read here; every engine known answers to 1.52.
NEWEST_API = (1, 52)
# The SDK speaks none older.
OLDEST_API = (1, 24)
# How Docker calls itself in the head of an answer; Podman and those that stand between call themselves something else.
_SERVER = re.compile(r"^Docker/(\S+) \(\w+\)$")

# One option under one name in all modules that may talk to an engine, so that module_defaults reach them all.
DOCKER_ARGUMENTS = ArgumentSpec(
    {
        "docker_host": {"type": "str"},
        "docker_timeout": {"type": "int", "default": 120, "aliases": ["timeout"]},
    }
)


class DockerUnavailable(MaintenanceError):
    """No Docker Engine can be talked to.

    Attributes:
        reason: missing (no socket there), refused (nobody listens), permission, timeout, tls, version, address (it makes
            no sense or does not resolve) or connection (it broke). Only `missing` and `refused` say that there may be no
            engine at all; the others say that there is one, or that nobody can tell.
        docker_host: where it was looked for.
    """

    def __init__(
        self, what: str, docker_host: str, reason: str, code: Any = None, next_step: str = "", words: str = ""
    ) -> None:
        super().__init__(
            what,
            target=docker_host,
            code=code,
            next_step=next_step,
            details={"docker": {"available": False, "reason": reason, "docker_host": docker_host}},
        )
        self.docker_host = docker_host
        self.reason = reason
        self.words = words


class EngineError(MaintenanceError):
    """The engine refused a request; `status` is that of HTTP and `words` are its own."""

    def __init__(self, what: str, target: str, status: int, words: str, next_step: str = "") -> None:
        super().__init__("%s: %s" % (what, words) if words else what, target=target, code=status, next_step=next_step)
        self.status = status
        self.words = words


def resolve_host(docker_host: Optional[str], environment: Optional[Mapping[str, str]] = None) -> str:
    """Where the engine is: the option, else DOCKER_HOST, else the engine's usual socket.

    Raises:
        DockerUnavailable: the address is of a kind that does not work here.
    """
    found = (docker_host or "").strip() or (environment if environment is not None else os.environ).get(
        "DOCKER_HOST", ""
    ).strip()
    host = found or DEFAULT_SOCKET
    if host.startswith("/"):
        host = "unix://" + host
    if not re.match(r"^(unix://.+|(tcp|http|https)://[^/].*)$", host):
        raise DockerUnavailable(
            "this is not the address of a Docker Engine that can be used here",
            host,
            "address",
            next_step="Write unix:///path/to/docker.sock or tcp://HOST:PORT. The module runs on the Docker host itself, "
            "so ssh:// is not needed.",
        )
    return host


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and all that it was made from: the libraries wrap the operating system's error three times."""
    seen: List[int] = []
    waiting: List[Any] = [error]
    while waiting:
        item = waiting.pop(0)
        if not isinstance(item, BaseException) or id(item) in seen:
            continue
        seen.append(id(item))
        yield item
        waiting += [item.__cause__, item.__context__, getattr(item, "reason", None), *item.args]


def _os_error(error: BaseException) -> Optional[OSError]:
    # requests' own exceptions are OSErrors without a number.
    return next((item for item in _chain(error) if isinstance(item, OSError) and item.errno), None)


def unavailable(error: BaseException, host: str, timeout: int) -> DockerUnavailable:
    """Say what kept us from the engine, and what to do about it.

    Not `from_os_error`: what failed is a connection, whose error libraries wrap, and its numbers mean something else
    here (ENOENT is an engine that does not run, not a wrong path).
    """
    import requests
    from docker import errors as sdk

    chain = list(_chain(error))
    texts = " ".join(str(item) for item in chain)
    system = _os_error(error)
    number = system.errno if system is not None else None
    code = errno_name(system) if system is not None else None
    if any(isinstance(item, ssl.SSLError) for item in chain) or isinstance(error, (sdk.TLSParameterError,)):
        return DockerUnavailable(
            "the encrypted connection to the Docker Engine failed: %s" % _brief(chain, ssl.SSLError),
            host,
            "tls",
            None,
            "Check DOCKER_TLS_VERIFY and the certificates in DOCKER_CERT_PATH of the user this module runs as.",
        )
    if "HTTP request to an HTTPS server" in texts:
        return DockerUnavailable(
            "the Docker Engine wants an encrypted connection",
            host,
            "tls",
            None,
            "Set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH for this task.",
        )
    timeouts = (requests.exceptions.Timeout, socket.timeout)
    if any(isinstance(item, timeouts) for item in chain) or number == errno.ETIMEDOUT:
        return DockerUnavailable(
            "the Docker Engine did not answer within %d s" % timeout,
            host,
            "timeout",
            code,
            "It may be busy: allow more seconds (docker_timeout). It goes on with a request it has begun, so look before you "
            "repeat it.",
        )
    if "AF_UNIX path too long" in texts:
        return _too_long(host)
    if number in (errno.ENOENT, errno.ENOTDIR):
        return _missing(host, code)
    if number in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH):
        return DockerUnavailable(
            "no Docker Engine is listening",
            host,
            "refused",
            code,
            "Start it (systemctl start docker), or name the right address in docker_host.",
        )
    if number in (errno.EACCES, errno.EPERM):
        return DockerUnavailable(
            "the Docker Engine's socket may not be opened by uid %d" % os.geteuid(),
            host,
            "permission",
            code,
            "Run as root (become: true), or as a user who is allowed to.",
        )
    if isinstance(error, (sdk.InvalidVersion,)) or "client version" in texts:
        return DockerUnavailable(
            "the Docker Engine and the Docker SDK for Python have no API version in common: %s" % str(error),
            host,
            "version",
            None,
            "Upgrade the one that is older.",
        )
    if "Invalid bind address" in texts or "NameResolution" in texts or "Name or service not known" in texts:
        return DockerUnavailable(
            "the Docker Engine's address cannot be used", host, "address", None, "Check docker_host for a typing error."
        )
    if number is None and (
        "Invalid response from docker daemon" in texts
        or any(isinstance(item, (ValueError, KeyError, TypeError)) for item in chain)
    ):
        return DockerUnavailable(
            "what answers here is not a Docker Engine: %s" % str(error), host, "address", None, "Check docker_host."
        )
    return DockerUnavailable(
        "the connection to the Docker Engine broke: %s" % str(error),
        host,
        "connection",
        code,
        "Look at the engine's log (journalctl -u docker) and run this again: what was not done is done then.",
    )


def _missing(host: str, code: Any) -> DockerUnavailable:
    return DockerUnavailable(
        "there is no Docker Engine here, the socket does not exist",
        host,
        "missing",
        code,
        "Start it (systemctl start docker), or name its socket in docker_host: that of a rootless engine is "
        "unix:///run/user/UID/docker.sock.",
    )


def _look_for_socket(host: str) -> None:
    """Raise what a missing socket means before the SDK is imported: that takes as long as all else that is done without an engine.

    Raises:
        DockerUnavailable: there is no socket.
    """
    if host.startswith("unix://"):
        try:
            os.stat(host[len("unix://") :])
        except (FileNotFoundError, NotADirectoryError) as error:
            path = os.fsencode(host[len("unix://") :])
            raise (_too_long(host) if len(path) > LONGEST_SOCKET else _missing(host, errno_name(error))) from error
        except (OSError, ValueError):
            pass  # to connect tells more


def _too_long(host: str) -> DockerUnavailable:
    """The kernel takes no more than 107 bytes for a socket's path: nobody connects by a longer one, whoever listens there."""
    path = host.partition("://")[2] or host
    size = len(os.fsencode(path))
    if os.path.lexists(path):
        return DockerUnavailable(
            "the path of the Docker Engine's socket is too long (%d bytes, and the system allows 107)" % size,
            host,
            "address",
            None,
            "Name a shorter path in docker_host, such as that of a link to its directory.",
        )
    return DockerUnavailable(
        "there is no Docker Engine here, the socket does not exist and could not, with a path of %d bytes (107 are allowed)"
        % size,
        host,
        "missing",
        None,
        "Start it (systemctl start docker), and name its socket in docker_host.",
    )


def _brief(chain: List[BaseException], kind: type) -> str:
    found = [item for item in chain if isinstance(item, kind)]
    return str(found[-1] if found else chain[0])


@contextmanager
def docker_errors(what: str, target: str, docker_host: str = "", timeout: int = 0) -> Iterator[None]:
    """Translate the SDK's and the transport's exceptions.

    Args:
        what: what failed when something does ("cannot remove the image").
        target: the object.

    Raises:
        EngineError: the engine refused; its status and its words are in it.
        DockerUnavailable: the engine went away, or does not answer in time.
    """
    try:
        yield
    except Exception as error:
        translated = _translated(error, what, target, docker_host or target, timeout)
        if translated is None:
            raise
        raise translated from error


def _translated(error: Exception, what: str, target: str, docker_host: str, timeout: int) -> Optional[MaintenanceError]:
    """What an exception of the SDK or the transport means; None for those of anybody else."""
    if isinstance(error, MaintenanceError):
        return None  # translated already, and the SDK takes long to import
    import requests
    from docker import errors as sdk

    if isinstance(error, sdk.APIError):
        status = int(error.response.status_code) if error.response is not None else 0
        words = error.explanation or str(error)
        if isinstance(words, bytes):
            words = words.decode("utf-8", "replace")
        words = str(words).strip().rstrip(".")
        if status == 400 and "client version" in words:
            return unavailable(error, docker_host, timeout)
        return _refused(what, target, status, words)
    transport = (sdk.DockerException, requests.exceptions.RequestException, http.client.HTTPException)
    if isinstance(error, (*transport, OSError, ValueError, TypeError)):
        return unavailable(error, docker_host, timeout)
    return None


def _refused(what: str, target: str, status: int, words: str) -> EngineError:
    step = ""
    if status == 403:
        step = "An authorization plugin or proxy of the engine may forbid it."
    elif status >= 500:
        step = "Look at the engine's log (journalctl -u docker)."
    return EngineError(what, target, status, words, step)


def _understood(what: str, target: str, status: int, body: bytes) -> Any:
    """What an answer says. Raises EngineError: the engine refused."""
    if status >= 400:
        raise _refused(what, target, status, refusal_text(body))
    return json.loads(body.decode("utf-8")) if body.strip() else None


def _require_spoken(version: Mapping[str, Any], spoken: str, host: str) -> None:
    """Raises DockerUnavailable: the engine has given up all versions of the API up to the newest that is understood here."""
    oldest = str(version.get("MinAPIVersion") or "")
    if version_tuple(oldest) > version_tuple(spoken):
        raise DockerUnavailable(
            "the Docker Engine speaks version %s of its API and later ones, and this collection %s at most"
            % (oldest, spoken),
            host,
            "version",
            None,
            "Upgrade the collection miniecom.maintenance.",
        )


def _greeting(lanes: Lanes) -> Optional[Dict[str, str]]:
    """What an engine says of itself in the heads of its answer to a ping, by the names that it has in GET /version, for which it
    asks runc and others; None where that is not Docker's own, or not enough, and the SDK has to find out.

    Raises:
        socket.timeout: it does not answer; to ask again would take as long again.
    """
    try:
        status, headers = lanes.ping()
    except socket.timeout:
        raise
    except (OSError, ValueError, http.client.HTTPException):
        return None
    engine = _SERVER.match(headers.get("server", ""))
    spoken = headers.get("api-version", "")
    if status != 200 or engine is None or not OLDEST_API <= version_tuple(spoken) <= NEWEST_API:
        return None
    return {"Version": engine.group(1), "ApiVersion": spoken}


class Docker:
    """A connection to an engine. A context manager.

    Attributes:
        api: the SDK's low-level client.
        docker_host: where the engine is.
        version: the engine's version ("28.5.2").
        api_version: the version of the API that is spoken.
        engine: docker, or podman, whose socket speaks the same language and does not always mean the same by it.
    """

    def __init__(
        self, api: Any, docker_host: str, timeout: int, version: Mapping[str, Any], lanes: Optional[Lanes] = None
    ) -> None:
        self.api = api
        self.docker_host = docker_host
        self.timeout = timeout
        self.version = str(version.get("Version", ""))
        self.api_version = str(api._version)
        self.engine = engine_of(version)
        self.lanes = lanes
        self._info: Optional[Dict[str, Any]] = None

    @classmethod
    def connect(cls, docker_host: Optional[str] = None, timeout: int = 120) -> Docker:
        """Open a connection and prove that an engine answers.

        Args:
            docker_host: its address; None or "" means DOCKER_HOST, else the usual socket.
            timeout: in seconds, for each answer.

        Raises:
            MaintenanceError: the timeout makes no sense.
            MissingLibrary: the Docker SDK for Python is not there.
            DockerUnavailable: no engine can be talked to; `reason` says why.
        """
        if timeout <= 0:
            raise MaintenanceError(
                "the time to wait for an answer of the Docker Engine must be one second at least",
                target="%d s" % timeout,
                next_step="Correct docker_timeout.",
            )
        host = resolve_host(docker_host)
        _look_for_socket(host)
        try:
            from docker import APIClient
            from docker.utils import kwargs_from_env
        except ImportError as error:
            raise MissingLibrary("docker", str(error)) from error
        # Certificates are the environment's business, as for docker itself.
        with docker_errors("cannot connect to the Docker Engine", host, host, timeout):
            environment = dict(os.environ, DOCKER_HOST=host)
            options: Dict[str, Any] = dict(kwargs_from_env(environment=environment))
            options.update(base_url=options.get("base_url") or host, timeout=timeout)
            lanes = Lanes(host[len("unix://") :], timeout) if host.startswith("unix://") else None
            greeting = _greeting(lanes) if lanes is not None else None
            if greeting is not None:
                return cls(APIClient(version=greeting["ApiVersion"], **options), host, timeout, greeting, lanes)
            api: Any = APIClient(version="auto", **options)
            try:
                if version_tuple(api._version) > NEWEST_API:
                    newest = ".".join(str(number) for number in NEWEST_API)
                    api.close()
                    api = APIClient(version=newest, **options)
                version = api.version(api_version=False)
                _require_spoken(version, str(api._version), host)
            except BaseException:
                api.close()
                raise
        return cls(api, host, timeout, version, lanes)

    def __enter__(self) -> Docker:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.close()

    def close(self) -> None:
        if self.lanes is not None:
            self.lanes.close()
        self.api.close()

    @property
    def info(self) -> Dict[str, Any]:
        """What the engine says about itself; asked for once."""
        if self._info is None:
            self._info = dict(self.get("/info"))
        return self._info

    @property
    def store(self) -> str:
        """The image store: classic or containerd."""
        return store_of(self.info)

    # -- requests ------------------------------------------------------------------------------------------------

    def get(self, path: str, **parameters: Any) -> Any:
        """One GET with JSON as the answer; the SDK's methods do not know every parameter that is needed here."""
        return self.request("GET", path, "the Docker Engine did not answer %s" % path, self.docker_host, parameters)

    def post(self, path: str, **parameters: Any) -> Any:
        return self.request("POST", path, "the Docker Engine did not accept %s" % path, self.docker_host, parameters)

    def delete(self, path: str, what: str, target: str, **parameters: Any) -> None:
        """Remove one object.

        Args:
            what, target: as for `docker_errors`.
        """
        self.request("DELETE", path, what, target, parameters)

    def request(self, method: str, path: str, what: str, target: str, parameters: Mapping[str, Any]) -> Any:
        """One request, with JSON as the answer; None for an answer without a word.

        Raises:
            EngineError: the engine refused.
            DockerUnavailable: it went away, or does not answer in time.
        """
        with self.errors(what, target):
            url = "/v%s%s" % (self.api_version, path)
            if self.lanes is not None:
                status, body = self.lanes.request(method, url, dict(parameters))
            else:
                response = self.api.request(
                    method, self.api.base_url + url, params=dict(parameters), timeout=self.timeout
                )
                status, body = response.status_code, response.content
            return _understood(what, target, status, body)

    def get_all(self, paths: Sequence[str]) -> List[Any]:
        """Many GETs, each with JSON as the answer; None for what the engine does not have (404).

        Raises:
            as request().
        """
        if len(paths) > _MANY:
            # By two connections: while one answer is made sense of the engine works on others.
            half = len(paths) // 2
            return [answer for part in self.each(self.get_all_by_one, (paths[:half], paths[half:])) for answer in part]
        return self.get_all_by_one(paths)

    def get_all_by_one(self, paths: Sequence[str]) -> List[Any]:
        """The same by one connection."""
        if self.lanes is None:
            return self.each(self._get_if_there, paths)
        what = "the Docker Engine did not answer %s"
        with self.errors(what % (paths[0] if paths else ""), self.docker_host):
            answers = self.lanes.get_all(["/v%s%s" % (self.api_version, path) for path in paths])
            return [
                None if status == 404 else _understood(what % path, self.docker_host, status, body)
                for path, (status, body) in zip(paths, answers)
            ]

    def _get_if_there(self, path: str) -> Any:
        try:
            return self.get(path)
        except EngineError as error:
            if error.status == 404:
                return None
            raise

    def each(self, function: Callable[[Item], Answer], items: Iterable[Item], threads: int = THREADS) -> List[Answer]:
        """What a function makes of each item, in their order; a few are asked about at a time."""
        waiting = list(items)
        if len(waiting) < 2:
            return [function(item) for item in waiting]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(function, waiting))

    def errors(self, what: str, target: str) -> Any:
        """docker_errors() that knows which engine this is."""
        return docker_errors(what, target, self.docker_host, self.timeout)

    def containers(self, **parameters: Any) -> List[Dict[str, Any]]:
        """All containers, stopped ones too, as the engine lists them."""
        return list(self.get("/containers/json", all=1, **parameters) or [])

    def df(self, types: Sequence[str] = ()) -> Dict[str, Any]:
        """What uses disk, in the form that the engine's version has.

        Args:
            types: of container, image, volume and build-cache those that matter. Engines before 23 count everything
                nevertheless, which takes long where volumes are large.
        """
        parameters: Dict[str, Any] = {}
        if types and version_tuple(self.api_version) >= (1, 42):
            parameters["type"] = sorted(types)
        if version_tuple(self.api_version) >= (1, 52):
            # The new form, which later engines give alone.
            parameters["verbose"] = 1
        return dict(self.get("/system/df", **parameters))

    def images(self, **parameters: Any) -> List[Dict[str, Any]]:
        return list(self.get("/images/json", **parameters) or [])

    def services(self) -> List[Dict[str, Any]]:
        """The services of the swarm; only a manager tells."""
        return list(self.get("/services") or [])

    def networks(self) -> List[Dict[str, Any]]:
        return list(self.get("/networks") or [])

    def volumes(self) -> List[Dict[str, Any]]:
        return list((self.get("/volumes") or {}).get("Volumes") or [])


def version_tuple(text: str) -> Tuple[int, ...]:
    """1.45 -> (1, 45); anything that is not a number counts as 0."""
    return tuple(int(part) if part.isdigit() else 0 for part in str(text).split("."))


def engine_of(version: Mapping[str, Any]) -> str:
    """docker or podman, from what is said about the version: Podman 5.8 calls itself API 1.44 of Docker's."""
    names = [str((component or {}).get("Name") or "") for component in version.get("Components") or []]
    return "podman" if any(name.startswith("Podman") for name in names) else "docker"


def store_of(info: Mapping[str, Any]) -> str:
    """classic or containerd, from what the engine says about itself."""
    for entry in info.get("DriverStatus") or []:
        if len(entry) >= 2 and entry[0] == "driver-type" and str(entry[1]).startswith("io.containerd.snapshotter"):
            return "containerd"
    return "classic"
