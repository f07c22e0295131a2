# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs that remove files: what of their words they would remove, and what they print for others to remove. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Dict, FrozenSet, List, Sequence

from .job_call import Invocation
from .job_places import BACKUPS, BELOW, LIKE_BACKUPS, like_backups, unknown
from .job_verdict import Inspection, Rule, options

_NOWHERE = "/dev/null"
_FIND_PATHS = frozenset("-L -H -P -D -O".split())
_FIND_ENDS = frozenset([";", "\\;", "+"])
_RSYNC_TAKING = (
    "-e --rsh --exclude --exclude-from --include --include-from --filter -f --log-file --log-file-format --bwlimit "
    "--password-file --files-from --link-dest --compare-dest --copy-dest --backup-dir --suffix --chown --chmod --port "
    "--max-delete --max-size --min-size --timeout --contimeout -T --temp-dir --partial-dir --out-format -M -B"
)
_XARGS_TAKING = "-a --arg-file -d --delimiter -E -I -L --max-lines -n --max-args -P --max-procs -s --max-chars"
_PARALLEL_TAKING = "-j --jobs -I -a --arg-file -n -N --max-args -d --delimiter --joblog --timeout --delay --colsep -C"
_DELETING_VERBS = frozenset("prune forget delete purge remove-older-than rm del rb deletefile".split())
_PASSING_FOLDER = re.compile(r"(?:^|[/*])(?:logs?|te?mp|cache|node_modules)(?:/|$)")
_REMOTE = re.compile(r"^(?:[\w.@-]+:(?!/)|[\w.@\[\]:-]+::|[\w.@-]+:/|rsync://|ssh://)")


def rm(look: Inspection, call: Invocation) -> List[str]:
    given = options(call.words[1:])
    deep = given.has("-r", "-R", "--recursive")
    look.remove(given.operands, call, deep, call.name)
    return []


def _all_operands(look: Inspection, call: Invocation) -> List[str]:
    look.remove(options(call.words[1:], "-n -s --size -r --reference -c -m -u -g").operands, call, False, call.name)
    return []


def _below(paths: Sequence[str], patterns: Sequence[str]) -> List[str]:
    return [path + BELOW + pattern for path in paths for pattern in (patterns or ("",))]


def find(look: Inspection, call: Invocation) -> List[str]:
    """find: its actions are -delete and those that call a program; without one it prints what lies below its directories."""
    words = [word for word in call.words[1:] if word not in ("(", ")")]
    start = 0
    while start < len(words) and words[start] in _FIND_PATHS:
        start += 1
    end = start
    while end < len(words) and not words[end].startswith(("-", "!")):
        end += 1
    paths = words[start:end] or [call.frame.cwd or unknown()]
    tests = words[end:]
    depth = 99
    patterns: List[str] = []
    harmless, spared = False, False
    for position, word in enumerate(tests):
        value = tests[position + 1] if position + 1 < len(tests) else ""
        negated = position > 0 and tests[position - 1] in ("!", "-not")
        pruned = "-prune" in tests[position + 2 : position + 5]
        if word == "-maxdepth" and value.isdigit():
            depth = int(value)
        elif word in ("-name", "-iname", "-path", "-ipath", "-wholename", "-regex", "-iregex"):
            if negated or pruned:
                spared = spared or any(name in value for name in ("backup", "storage"))
            elif word in ("-name", "-iname"):
                patterns.append(value)
            else:
                harmless = harmless or bool(_PASSING_FOLDER.search(value))
        elif word == "-empty" or (word == "-size" and value == "0"):
            harmless = harmless or not negated
    kept: List[str] = []
    for target in _below(paths, patterns):
        reached = look.places.reached(target, call.frame.cwd, True, depth)
        kept.append(_NOWHERE if harmless or (spared and BACKUPS in reached) or not reached else target)
    _find_actions(look, call, tests, kept, depth)
    return kept


def _find_actions(look: Inspection, call: Invocation, tests: Sequence[str], targets: Sequence[str], depth: int) -> None:
    for position, word in enumerate(tests):
        if word == "-delete":
            look.remove(targets, call, True, "find -delete", depth)
        elif word in ("-exec", "-execdir", "-ok", "-okdir"):
            end = next((n for n in range(position + 1, len(tests)) if tests[n] in _FIND_ENDS), len(tests))
            inner = list(tests[position + 1 : end])
            _for_each(look, call, inner, targets, "{}", append=False)


def _for_each(
    look: Inspection, call: Invocation, inner: List[str], targets: Sequence[str], mark: str, append: bool
) -> List[str]:
    """Call a program for each target: in the place of the mark, or after its own words."""
    if not inner:
        return list(targets)
    words: List[str] = []
    marked = False
    for word in inner:
        if mark and mark in word:
            marked = True
            words.extend(targets if word == mark else [word.replace(mark, "*")])
        else:
            words.append(word)
    if append and not marked:
        words.extend(targets)
    frame = call.frame.copy(depth=call.frame.depth + 1)
    return look.run(Invocation(words, frame, upstream=call.upstream))


def xargs(look: Inspection, call: Invocation) -> List[str]:
    given = options(call.words[1:], _XARGS_TAKING, leading=True)
    inner = given.operands
    targets = call.files if call.files is not None and not given.values("-a", "--arg-file") else [unknown("input")]
    mark = "".join(given.values("-I") or (["{}"] if given.has("-i", "--replace") else []))
    return _for_each(look, call, inner, targets, mark, append=not mark)


def parallel(look: Inspection, call: Invocation) -> List[str]:
    given = options(call.words[1:], _PARALLEL_TAKING, leading=True)
    inner, targets = list(given.operands), list(call.files or [unknown("input")])
    for mark in (":::", "::::"):
        if mark in inner:
            position = inner.index(mark)
            targets = inner[position + 1 :] if mark == ":::" else [unknown("input")]
            inner = inner[:position]
    if len(inner) == 1 and " " in inner[0]:
        inner = inner[0].split()
    return _for_each(look, call, inner, targets, "{}", append=True)


def mv(look: Inspection, call: Invocation) -> List[str]:
    """A backup that is moved out of its directory is gone for everybody who looks for it there; a new name is no loss."""
    given = options(call.words[1:], "-t --target-directory -S --suffix")
    sources, directory = given.operands, "".join(given.values("-t", "--target-directory"))
    if not directory and sources:
        sources, directory = sources[:-1], sources[-1]
    target = look.places.reached(directory, call.frame.cwd, True)
    for source in sources:
        reached = look.places.reached(source, call.frame.cwd, True)
        if BACKUPS in reached - target:
            look.verdict.remove(frozenset([BACKUPS]), "mv")
    return []


def _mirror(look: Inspection, call: Invocation, sources: Sequence[str], kind: str) -> None:
    """A mirror of the backups, wherever it is, loses what is no longer here: all of it once the directory is empty or not mounted."""
    for source in sources:
        if BACKUPS in look.places.reached(source.rstrip("/"), call.frame.cwd, True) and look.places.in_backups(
            source, call.frame.cwd
        ):
            look.verdict.remove(frozenset([BACKUPS]), kind)


def rsync(look: Inspection, call: Invocation) -> List[str]:
    given = options(call.words[1:], _RSYNC_TAKING)
    if given.has("-n", "--dry-run", "--list-only") or len(given.operands) < 2:
        return []
    if any(name == "--del" or name.startswith("--delete") for name, _value in given.options):
        if not _REMOTE.match(given.operands[-1]):
            look.remove(given.operands[-1:], call, True, "rsync --delete")
        _mirror(look, call, given.operands[:-1], "rsync --delete")
    if given.has("--remove-source-files", "--remove-sent-files"):
        sources = [source for source in given.operands[:-1] if not _REMOTE.match(source)]
        look.remove(sources, call, True, "rsync --remove-source-files")
    return []


def tmpreaper(look: Inspection, call: Invocation) -> List[str]:
    given = options(
        call.words[1:], "--protect --runtime --delay -T -x --exclude -X --exclude-pattern -U --exclude-user"
    )
    if not given.has("--test", "-t"):
        # The first operand is an age; it may stand in a variable, too.
        directories = [word for word in given.operands if not re.match(r"^\d+[smhdw]?$", word)]
        look.remove([directory.rstrip(".") for directory in directories], call, True, call.name)
    return []


def git(look: Inspection, call: Invocation) -> List[str]:
    given = options(call.words[1:], "-C -c --git-dir --work-tree", leading=True)
    if given.operands[:1] == ["clean"]:
        clean = options(given.operands[1:], "-e --exclude")
        if clean.has("-x", "-X") and clean.has("-f", "--force") and not clean.has("-n", "--dry-run"):
            directory = "".join(given.values("-C")[:1]) or call.frame.cwd or unknown()
            look.remove(clean.operands or [directory], call, True, "git clean")
    return []


def repository(look: Inspection, call: Invocation) -> List[str]:
    """Programs that keep copies or repositories of their own: what they delete concerns us in the shop's directory, or by its name."""
    given = options(
        call.words[1:], "-r --repo --keep-daily --keep-weekly --keep-monthly --keep-last --include --exclude --profile"
    )
    verbs = [word for word in given.operands if re.match(r"^[a-z][a-z-]*$", word)]
    paths = [*given.values("-r", "--repo"), *(word for word in given.operands if re.search(r"[/:]", word))]
    paths = [path.partition("::")[0] for path in paths]
    mirrors = ("sync" in verbs and call.name == "rclone") or ("mirror" in verbs and given.has("--remove"))
    if mirrors or any(name.startswith("--delete") for name, _value in given.options):
        _mirror(look, call, paths[:-1], call.name)
        look.remove([path for path in paths[-1:] if path.startswith("/")], call, True, call.name)
    elif any(verb in _DELETING_VERBS for verb in verbs):
        for path in paths:
            if path.startswith("/"):
                look.remove([path], call, True, call.name)
            elif like_backups(path):
                look.verdict.remove(frozenset([LIKE_BACKUPS]), call.name)
    elif "move" in verbs:
        look.remove(paths[:1], call, True, call.name)
    return []


def tar(look: Inspection, call: Invocation) -> List[str]:
    if "--remove-files" in call.words:
        given = options(call.words[1:], "-f --file -C --directory -X --exclude-from -T --files-from")
        cwd = "".join(given.values("-C", "--directory")[-1:]) or call.frame.cwd
        frame = call.frame.copy(cwd=cwd)
        look.remove(given.operands, replace(call, frame=frame), True, "tar --remove-files")
    return []


def btrfs(look: Inspection, call: Invocation) -> List[str]:
    if call.words[1:3] == ["subvolume", "delete"]:
        look.remove(options(call.words[3:]).operands, call, True, "btrfs subvolume delete")
    return []


def listing(look: Inspection, call: Invocation) -> List[str]:
    """ls prints names of what it is given, or of what is in a directory."""
    given = options(call.words[1:], "-I --ignore -w --width -T --block-size --time --sort --format --hide")
    if not given.operands:
        return [(call.frame.cwd or unknown()) + BELOW]
    return [word if re.search(r"[*?\[]", word) else word + BELOW for word in given.operands]


def passing(look: Inspection, call: Invocation) -> List[str]:
    """Filters print some of what comes in; awk may hand it to a shell itself."""
    if call.name.endswith("awk") and any(re.search(r"system\s*\(.*\brm\b", word) for word in call.words):
        look.remove(call.files or call.words[2:] or [unknown("input")], call, True, "awk, rm")
    return list(call.files) if call.files is not None else [unknown("input")]


def speech(look: Inspection, call: Invocation) -> List[str]:
    """echo and its kind do nothing with their words but print them."""
    return [word for word in call.words[1:] if not re.match(r"^-|^%s", word)]


_PASSING = "head tail sort grep egrep fgrep zgrep sed cut tr uniq tac awk gawk mawk tee nl rev shuf column pv cat"
RULES: Dict[str, Rule] = {
    "rm": rm,
    "srm": rm,
    "trash": rm,
    "trash-put": rm,
    "unlink": _all_operands,
    "shred": _all_operands,
    "truncate": _all_operands,
    "find": find,
    "xargs": xargs,
    "parallel": parallel,
    "mv": mv,
    "rsync": rsync,
    "tmpreaper": tmpreaper,
    "tmpwatch": tmpreaper,
    "savelog": _all_operands,
    "tar": tar,
    "btrfs": btrfs,
    "git": git,
    "ls": listing,
    "dir": listing,
    **dict.fromkeys(_PASSING.split(), passing),
    **dict.fromkeys("echo printf".split(), speech),
    **dict.fromkeys(
        "restic borg borgmatic rclone duplicity rdiff-backup kopia aws s3cmd gsutil mc".split(), repository
    ),
}
SPEECH: FrozenSet[str] = frozenset("echo printf logger mail mailx sendmail wall write notify-send : true".split())
