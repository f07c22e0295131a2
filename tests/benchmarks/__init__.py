# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements: each module of this package with a main() gives one table.

main() returns rows, each a dict of the same keys (the columns). What carries from machine to machine is the ratio of two
rows of one run, so a table has a column `ratio` to its first row where that makes sense. The module's docstring is the
table's title.
"""
