# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kind of a value that stands behind the name of a secret: a secret, or a number, a label, a path, a reference. Pure.

What a rule has captured is judged here value by value. A password may be a word, a key or token never is one; code holds
texts for people, configuration does not.
"""

from __future__ import annotations

import re

from .secret_rules import (
    ARGUMENT,
    BASICAUTH,
    CHAP,
    COMMAND_OPTION,
    COMMENTED,
    COMPARED,
    FALLBACK,
    FALLBACK_CALL,
    FIRST_ARGUMENT,
    FLOW,
    HEADER,
    HTPASSWD,
    INLINE,
    INLINE_KEY,
    MACHINE,
    PAIR,
    PARAMETER,
    PGPASS,
    PROSE,
    QUOTED,
    QUOTED_KEY,
    QUOTED_PAIR,
    ROW,
    SASL,
    SHELL_DEFAULT,
    UNQUOTED,
    UNQUOTED_KEY,
    URL,
)

# Passwords that everybody tries first, with separators taken out.
WELL_KNOWN = frozenset(
    "changeme changeit changethis password passw0rd pass1234 password1 password123 admin admin123 administrator secret supersecret "
    "mysecret topsecret secret123 secretkey jwtsecret yoursecret yoursecretkey yourjwtsecret yoursupersecretkey yourpassword "
    "yourtoken yourapikey mypassword default root toor letmein qwerty 1234 12345 123456 1234567 12345678 123456789 test test123 testing "
    "guest demo example mongo mongodb postgres mysql miniecom placeholder replaceme replacethis todo dummy insecure devsecret "
    "developmentsecret keyboardcat abc123 foobared passwort passwort1 geheim geheim123".split()
)
PLACEHOLDER = re.compile(
    r"(?i)change.?(?:me|this|it)|replace.?(?:me|this|with|_)|^(?:your|my)[-_. ]|[-_]here$|placeholder|^(?:choose|insert|enter|generate|put)[-_]"
)
# What stands in the place of a value that is not told.
_NOTHING = re.compile(r"^<.*>$|^\W+$|x{4,}|\*{3}|\.{3}|…|•|REDACTED|FILTERED|^(.)\1+$", re.IGNORECASE)
_REFERENCE = re.compile(
    r"process\.env|import\.meta|\$\{|\$\(|\{\{|<%|^\$|^%\(|%s|\{\w*\}|^ENC\[|^!vault|^vault:|os\.environ|getenv"
    r"|^%env\(|^%\w+%|^__\w+__$|^@[\w.]+@$|^#\{|^[*&]\w+$|^\\?\$|^(?i:env|file|fd|stdin|vault|op):|^\w+=\w|^[a-z_]{2,12}=$|^-|^ssh-(?:rsa|ed25519) |^sha\d{3}-"
)
# Words of a user interface, routes, identifiers: letters with separators, one of the words being what the rule looks for.
_WORDS = re.compile(r"^[A-Za-z]+(?:[._:/-][A-Za-z]+)*$")
_KEYWORD = re.compile(r"(?i)pass(?:w|phrase)|pwd|secret|token|key|auth|login|kennwort|geheim")
_LABEL = re.compile(r"^[A-ZÄÖÜÉ][a-zäöüßé]+$")
_FILE = r"[\w./@%~-]*\.(?:pem|key|pub|crt|txt|json|ya?ml|html?|[jt]sx?|php|env|conf|ini|jpe?g|png)"
_PATH = re.compile(
    r"^(?:~|\.{1,2})?/[\w./@:-]+$|^[a-z+]+://[^@]*$|^[A-Za-z]:\\|^%[a-z]/|^[a-z]+(?:/[a-z]+)+$|^" + _FILE + r"$"
)
# What a setting says of a secret instead of being one.
_SETTINGS = frozenset(
    "true false null none nil yes no on off enabled disabled required optional strict strong weak medium standard default auto "
    "text string number boolean object error warn header body query cookie bearer basic digest field email hidden input local "
    "login plain file vault env bcrypt argon2 scrypt pbkdf2 md5 public private secret token key password passwort undefined "
    "always never oncreate oncreated expired invalid valid missing wrong changed reset refresh access current confirm empty "
    "varchar char nvarchar integer unique index jwt session value name label type must should will not".split()
)
# What stands for somebody without a login.
_ROLES = frozenset("guest demo test testing dummy root".split())
_NUMBER = re.compile(r"^\d{1,5}(?:\s?(?:ms|[smhdwy]|min|sec|hours?|days?))?$|^[\d.:,]+$|^\d+\.\w+$")
_DOTTED = re.compile(r"^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+[\])};,]*$")
_CALL = re.compile(r"^[A-Za-z_][\w.]*\(|^String[,;]?$|^[\w.]+\[|^[\w.]+<\w+>")
_KIND = re.compile(
    r"^X-[A-Z][\w-]*$|^(?:HS|RS|ES|PS)\d{3}$|^(?:sha|aes)[\d-]+|^v?\d+(?:\.\d+)+$", re.ASCII | re.IGNORECASE
)
# Dotted names of code, and of what describes infrastructure.
_ROOTS = re.compile(
    r"^(?:var|local|data|module|config|cfg|conf|process|env|this|self|req|request|options|opts|args|params|settings|aws_\w+)\."
)
_RULES_OF_A_FORM = re.compile(r"^\w+(?::[\w,]+)?(?:\|\w+(?::[\w,]+)?)+$")
_NUMBERED_NAME = re.compile(r"^[a-z]+(?:-[a-z]+)*-\d{1,4}$")
_OF_A_SAMPLE = re.compile(r"(?i)characters|zeichen|random|strong|long|digits|string")
_CONFIGURATION_CODE = re.compile(r"(?i)(\.(json|php)|[./](config|settings?)\.\w+|/config/[^/]+)$")
_UPPER_WORD = re.compile(r"^[A-Z_]+$")
# Application passwords of mail providers: four groups of four.
_MAIL_PASSWORD = re.compile(r"^[a-z0-9]{4}(?: [a-z0-9]{4}){3}$")
# Words of sentences, in which no pass phrase would be written.
_SENTENCE = re.compile(
    r"(?i)\b(the|is|are|of|for|your|must|min|minimum|max|at least|characters|digits?|zeichen|please|not|das|ihr|dein|to|"
    r"from|with|this|been|has|have|was|will)\b|[?:]$|[.!] "
)
_LOGIN_FILE = re.compile(r"/[._]?(?:netrc|authinfo|msmtprc|fetchmailrc)(?:[.~-]|$)")
_INTERFACE_FILE = re.compile(
    r"(?i)(/(locales?|i18n|lang|languages|translations?|messages)/|\.min\.js$|\.map$|/dist/|/build/)"
)
# Where values stand in quotes, and a bare word is a name: code, markup, data, logs.
_CODE_FILE = re.compile(
    r"(?i)\.(?:[cm]?[jt]sx?|vue|svelte|py|rb|go|java|kt|cs|php|pl|pm|swift|c|cc|cpp|h|rs|lua|scala|dart|erb|twig|pug|ejs|hbs|html?|xml|svg"
    r"|s?css|less|json|jsonl|map|sql|csv|tsv|log(?:\.\d+)?|graphql|proto|ipynb|lock|snap|po|diff|patch|pyc)$"
)
_TEXT_FILE = re.compile(r"(?i)\.(md|txt|adoc|rst|markdown)$")
# Of a page Kingfisher lets stand only what it finds again, without quotes, among the assignments of its scripts and attributes: that is
# what the rule for texts matches, and not those for quoted values.
_PAGE_FILE = re.compile(r"(?i)\.html?$")
_DIGIT = re.compile(r"\d")


def is_configuration(path: str) -> bool:
    """Whether values stand there without quotes, in files of settings and of commands."""
    return not _CODE_FILE.search(path)


def bare(value: str) -> str:
    """A value without separators and case."""
    return re.sub(r"[^a-z0-9äöüß]", "", value.lower())


def well_known(value: str) -> bool:
    """Whether it is a default that everybody knows, or says that it wants to be replaced."""
    return bare(value) in WELL_KNOWN or bool(PLACEHOLDER.search(value))


def is_secret(rule: str, path: str, value: str, sample: bool = False) -> bool:
    """Whether what one of our rules has captured is a secret, by the kind of the value and of the file.

    Args:
        rule: id of the rule.
        path: the file, absolute.
        value: what was captured, without quotes around it.
        sample: the file is a sample or a document.
    """
    if len(value) < 4:
        return False
    name = path.rpartition("/")[2]
    if rule == BASICAUTH:
        return True
    if rule == HTPASSWD:
        return "htpasswd" in name
    if _REFERENCE.search(value) or _NOTHING.search(value) or (_LABEL.match(value) and _KEYWORD.search(value)):
        return False
    if sample and (_OF_A_SAMPLE.search(value) or (_WORDS.match(value) and _KEYWORD.search(value))):
        return False
    plain = bare(value)
    if rule in (ARGUMENT, FIRST_ARGUMENT):
        return not (plain in _SETTINGS or _KIND.match(value) or _UPPER_WORD.match(value) or _PATH.match(value))
    if rule == MACHINE:
        return bool(_LOGIN_FILE.search(path))
    if rule == CHAP:
        return name in ("chap-secrets", "pap-secrets")
    if rule == FLOW and not path.endswith((".yml", ".yaml")):
        return False
    if rule == ROW and not path.endswith(".sql"):
        return False
    if rule == PGPASS:
        return ".pgpass" in name
    if rule == SASL:
        return "sasl_passwd" in name
    configuration = is_configuration(path)
    if rule in (UNQUOTED, UNQUOTED_KEY, INLINE, INLINE_KEY) and not configuration:
        return False
    if rule == PROSE and not (_TEXT_FILE.search(path) or _PAGE_FILE.search(path)):
        return False
    if rule in (QUOTED, QUOTED_KEY, COMPARED, FALLBACK, PAIR):
        return _is_literal(rule, path, value, plain, configuration)
    if rule in (FALLBACK_CALL, SHELL_DEFAULT):
        return plain not in _SETTINGS or plain in WELL_KNOWN
    if plain in ("pass", "passwd", "pwd") or (rule not in (UNQUOTED, QUOTED_PAIR) and _UPPER_WORD.match(value)):
        return False  # what documentation writes in the place of one
    if rule == URL:
        return True
    if _NUMBER.match(value) or _PATH.match(value) or _KIND.match(value):
        return False
    if _CALL.match(value) or _ROOTS.match(value):
        return False
    if _DOTTED.match(value) and (
        path.endswith((".tf", ".js", ".ts", ".tsx", ".jsx", ".mjs", ".cjs", ".py")) or _KEYWORD.search(value)
    ):
        return False
    if plain in _SETTINGS and not (rule == UNQUOTED and plain in WELL_KNOWN):
        return False
    if rule in (COMMENTED, PROSE, FLOW, ROW):
        return _mixed(value) and not well_known(value)
    if re.search(r"\s", value):
        return _is_phrase(value) and not _TEXT_FILE.search(path)
    if rule == UNQUOTED:
        return not _INTERFACE_FILE.search(path) or _mixed(value)
    if rule in (UNQUOTED_KEY, INLINE_KEY, HEADER):
        return _random(value) or (rule == UNQUOTED_KEY and well_known(value))
    if rule == INLINE:
        return _mixed(value) or not _TEXT_FILE.search(path)
    if rule == PARAMETER:
        return _random(value) or (_mixed(value) and not _KEYWORD.search(value))
    if rule == COMMAND_OPTION:
        return _mixed(value) or (configuration and not _TEXT_FILE.search(path))
    return True


def _mixed(value: str) -> bool:
    """Letters with digits or signs among them, as no word of a language has."""
    return bool(re.search(r"[^\W\d_]", value)) and bool(re.search(r"[\d!#$%&*+=?@^~|]|\w[._:/-]\w", value))


def _random(value: str) -> bool:
    """What a key or token looks like."""
    return bool(_DIGIT.search(value)) or (len(value) >= 20 and (not _WORDS.match(value) or _scrambled(value)))


def _scrambled(value: str) -> bool:
    """Letters whose case changes more often than between the words of a name: one random key in forty has no digit."""
    return value.isalpha() and 5 * len(re.findall(r"[a-z][A-Z]", value)) >= len(value)


def _is_phrase(value: str) -> bool:
    """Whether a value with blanks in it is a pass phrase, not a text for people."""
    if _MAIL_PASSWORD.match(value):
        return True
    return bool(_DIGIT.search(value)) and len(value.split()) <= 8 and not _SENTENCE.search(value)


def _is_literal(rule: str, path: str, value: str, plain: str, configuration: bool) -> bool:
    """Whether a quoted value is a secret, not a label, a message, a route or an identifier."""
    if _MAIL_PASSWORD.match(value):
        return True
    if re.search(r"\s", value):
        # A sentence; in a configuration file, where there are none to be read by people, a pass phrase may have digits.
        data = configuration or _CONFIGURATION_CODE.search(path)
        return bool(data) and _is_phrase(value) and not _INTERFACE_FILE.search(path)
    if _INTERFACE_FILE.search(path) or value[0] in "^[(<#" or _NUMBER.match(value) or _KIND.match(value):
        return False
    if _PATH.match(value) or plain in ("password", "passwd", "pass", "secret", "token"):
        return False
    if _UPPER_WORD.match(value) and (rule != QUOTED or "_" in value):
        return False
    if (
        plain in WELL_KNOWN
        and plain not in ("default", "todo", "example")
        and not (rule == FALLBACK and plain in _ROLES)
    ):
        return rule != COMPARED
    if (
        plain in _SETTINGS
        or (rule == FALLBACK and plain in _ROLES)
        or _RULES_OF_A_FORM.match(value)
        or re.match(r"^pk_(?:example|test)", value)
    ):
        return False
    if _LABEL.match(value) or (_WORDS.match(value) and _KEYWORD.search(value)):
        return well_known(value)
    if rule in (QUOTED, FALLBACK):
        return True
    if rule == COMPARED:
        return _mixed(value) and bool(_DIGIT.search(value))
    if _NUMBERED_NAME.match(value):
        return False
    mixed_case = value != value.lower() and value != value.upper() and re.search(r"[^A-Za-z]", value)
    return _random(value) or bool(mixed_case) or well_known(value)
