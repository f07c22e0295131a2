# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our own rules for Kingfisher, in its YAML format: what a shop has that no provider's token format matches.

They are text in a Python file because only Python files travel to the target with a module. The patterns find; whether
a match is a secret, a default everybody knows, or a label on a form is decided in `secret_matches.classify`, where it is
tested value by value. Each pattern captures the value alone.
"""

from __future__ import annotations

PREFIX = "miniecom."
QUOTED, FALLBACK, UNQUOTED, SHELL_DEFAULT = (
    PREFIX + name for name in ("quoted", "fallback", "unquoted", "shell-default")
)

RULES_YAML = r"""
rules:
  - name: Secret in a quoted assignment
    id: miniecom.quoted
    pattern: |
      (?xi)
      (?: passw(?:or)?d | passphrase | pwd | secret | api_?key | auth_?key | auth_?token | access_?token
        | private_?key | encryption_?key )
      [a-z0-9_]{0,24}
      ["']? \s{0,4} (?: = | : | => | := ) \s{0,4}
      ["'`] ( [^"'`\r\n]{4,200} ) ["'`]
    min_entropy: 0
    confidence: medium
    examples:
      - "const password = 'S3cr3tExample';"
      - '"smtpPassword": "Example-4471"'
      - "apiKey => 'ak_example_12345'"
    negative_examples:
      - "const password = process.env.DB_PASSWORD;"

  - name: Secret as the fallback of an environment variable
    id: miniecom.fallback
    pattern: |
      (?xi)
      process\.env (?: \. | \[ ["'] )
      [a-z0-9_]{0,40} (?: passw(?:or)?d | passphrase | secret | key | token ) [a-z0-9_]{0,40}
      (?: ["'] \] )? \s{0,4} (?: \|\| | \?\? ) \s{0,4}
      ["'`] ( [^"'`\r\n]{4,200} ) ["'`]
    min_entropy: 0
    confidence: medium
    examples:
      - "jwt.sign(payload, process.env.JWT_SECRET || 'example-fallback')"
      - 'process.env["API_KEY"] ?? "example-fallback"'
    negative_examples:
      - "process.env.JWT_SECRET || ''"

  - name: Secret in an unquoted assignment of a configuration file
    id: miniecom.unquoted
    pattern: |
      (?xm)
      ^ [\x20\t]{0,40} (?: -\x20{1,4} )? (?: (?: export | ENV | ARG ) \x20{1,4} )? ["']?
      [A-Z0-9_]{0,40} (?: PASSWORD | PASSWD | PASSPHRASE | SECRET | API_?KEY | TOKEN | PRIVATE_KEY | ENCRYPTION_KEY ) [A-Z0-9_]{0,24}
      ["']? [\x20\t]{0,4} [:=] [\x20\t]{0,4}
      ( [^\s"'`$\#<{\[\(] [^\s"'`\#]{3,200} )
    min_entropy: 0
    confidence: medium
    examples:
      - "      MONGO_INITDB_ROOT_PASSWORD: changeme"
      - "      - JWT_SECRET=Example-4417"
    negative_examples:
      - "      MONGO_INITDB_ROOT_PASSWORD: ${MONGO_PASSWORD}"

  - name: Secret as the default of a shell or compose variable
    id: miniecom.shell-default
    pattern: |
      (?x)
      \$\{ [A-Z0-9_]{0,40} (?: PASSWORD | PASSWD | PASSPHRASE | SECRET | API_?KEY | TOKEN | PRIVATE_KEY | ENCRYPTION_KEY ) [A-Z0-9_]{0,24}
      :?- ( [^}\s$]{3,200} ) \}
    min_entropy: 0
    confidence: medium
    examples:
      - "MONGO_PASSWORD: ${MONGO_PASSWORD:-changeme}"
    negative_examples:
      - "MONGO_PASSWORD: ${MONGO_PASSWORD:?set it in .env}"
"""
