# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading

import pytest

from tests.sandbox.__main__ import Progress


def test_what_takes_long_is_said_again_until_it_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(silence=0.01)
    thread = threading.Thread(target=progress.beat)
    progress("filling the database")
    printed = ""
    thread.start()
    while "... filling the database" not in printed:
        printed += capsys.readouterr().out
    progress.over.set()
    thread.join()
