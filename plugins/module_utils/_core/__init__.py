# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ground floor: what every domain of this collection stands on. Private to the collection."""

# Every module imports this package before nearly all else, so that what follows can be found compiled.
from .code_cache import install

CODE = install(__spec__.loader)
