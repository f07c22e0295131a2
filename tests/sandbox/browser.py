# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A headless Chromium in the cache, driven by the DevTools protocol over a pipe; nothing is installed on the machine."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import select
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

from tests.sandbox.apt import CACHE, locked

# A package of npm that carries the program, its libraries and a font, all compressed with Brotli, which Node.js reads.
PACKAGE, SHA256 = "@sparticuz/chromium@147.0.0", "18fe5404ce845594cd7d592fc07f37a19514079ba4d9c27192ad8b908743f16b"
_UNPACK = """
const fs = require('fs'), zlib = require('zlib');
for (const name of ['chromium', 'al2023.tar', 'fonts.tar'])
  fs.writeFileSync(name, zlib.brotliDecompressSync(fs.readFileSync(`package/bin/${name}.br`)));
"""
_FLAGS = (
    "--headless=shell --no-sandbox --no-zygote --single-process --in-process-gpu --disable-gpu --disable-software-rasterizer "
    "--disable-dev-shm-usage --no-first-run --hide-scrollbars --remote-debugging-pipe"
).split()


class BrowserUnavailable(Exception):
    """There is no browser on this machine; the text says why."""


def chromium() -> Path:
    """The directory with the program, downloaded at the first call."""
    home = CACHE / "chromium"
    if (home / "ready").exists():
        return home
    for program in ("npm", "node"):
        if shutil.which(program) is None:
            raise BrowserUnavailable(f"{program} is not on this machine: the browser cannot be fetched")
    with locked(CACHE / "chromium.lock"):
        if not (home / "ready").exists():
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir(parents=True)
            _run("npm", "pack", "--silent", PACKAGE, cwd=home)
            archive = next(home.glob("*.tgz"))
            digest = hashlib.sha256(archive.read_bytes()).hexdigest()
            if digest != SHA256:
                raise BrowserUnavailable(f"{archive.name} has the SHA-256 {digest}, not the expected {SHA256}")
            _extract(archive, home)
            _run("node", "-e", _UNPACK, cwd=home)
            for name in ("al2023.tar", "fonts.tar"):
                _extract(home / name, home)
                (home / name).unlink()
            shutil.rmtree(home / "package")
            archive.unlink()
            (home / "chromium").chmod(0o755)
            (home / "ready").touch()
    return home


def _run(*command: str, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise BrowserUnavailable(f"{command[0]} failed ({done.returncode}): {done.stdout.strip()[-400:]}")


def _extract(archive: Path, directory: Path) -> None:
    """Unpack an archive whose SHA-256 is known; Python before 3.11.4 knows no filter, and newer ones warn without."""
    with tarfile.open(archive) as packed:
        packed.extraction_filter = getattr(tarfile, "data_filter", None)
        packed.extractall(directory)


class Browser:
    """One browser with one tab; to be used with ``with``.

    directory: for its profile.
    """

    def __init__(self, directory: Path) -> None:
        home = chromium()
        from_us, to_browser = os.pipe()
        from_browser, to_us = os.pipe()
        environment = {
            "PATH": os.defpath,
            "HOME": str(directory),
            "LD_LIBRARY_PATH": str(home / "lib"),
            "FONTCONFIG_PATH": str(home / "fonts"),
        }

        def connect() -> None:  # pragma: no cover - runs in the child
            # The protocol's own descriptors, 3 and 4; first out of the way of each other.
            os.dup2(from_us, 13)
            os.dup2(to_us, 14)
            os.dup2(13, 3)
            os.dup2(14, 4)

        self._process = subprocess.Popen(
            [home / "chromium", *_FLAGS, f"--user-data-dir={directory}/profile", "about:blank"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=False,
            preexec_fn=connect,
        )
        os.close(from_us)
        os.close(to_us)
        self._write, self._read = to_browser, from_browser
        self._buffer, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol; what happens meanwhile goes into ``events``."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while b"\0" not in self._buffer:
            ready = select.select([self._read], [], [], max(0, deadline - time.monotonic()))[0]
            got = os.read(self._read, 1 << 16) if ready else b""
            assert got, "the browser does not answer"
            self._buffer += got
        one, _end, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(one))

    def show(self, url: str, scheme: str = "light", language: str = "en", width: int = 390) -> None:
        """Load a page as a phone of that width does, and wait for all of it."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=844, deviceScaleFactor=2, mobile=True)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setTimezoneOverride", timezoneId="Asia/Kolkata")
        self.call("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def value(self, expression: str) -> Any:
        """What JavaScript makes of an expression on the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def screenshot(self) -> bytes:
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
