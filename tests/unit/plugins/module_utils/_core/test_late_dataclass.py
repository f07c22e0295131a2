# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A dataclass made late is the standard library's in all but the moment."""

from __future__ import annotations

import ast
import copy
import dataclasses
import importlib
import sys
import threading
from abc import ABC
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core import late_dataclass
from tests.support.made_classes import make_classes

LATE: Callable[..., Any] = late_dataclass.dataclass
UTILS = Path(__file__).resolve().parents[5] / "plugins/module_utils"


def family(dataclass: Callable[..., Any]) -> tuple[Any, Any, Any]:
    """A class, one that inherits from it, and one that inherits without being decorated."""

    @dataclass(frozen=True)
    class Stock:
        """What lies on a shelf."""

        limit: ClassVar[int] = 9
        name: str
        tags: list[str] = dataclasses.field(default_factory=list, compare=False)
        note: str = dataclasses.field(default="", repr=False)

        def loud(self) -> str:
            return self.name.upper()

    @dataclass(frozen=True)
    class Counted(Stock):
        """How much of it."""

        count: int = 3

        def __post_init__(self) -> None:
            if self.count > self.limit:
                raise ValueError(self.count)

    class Plain(Counted):
        pass

    return Stock, Counted, Plain


def seen(dataclass: Callable[..., Any]) -> list[Any]:
    """What can be observed of the three, objects and classes."""
    found: list[Any] = []
    for cls in family(dataclass):
        one, other, third = cls("a", ["x"], note="n"), cls("a", note="n"), cls("b")
        found += [repr(one), one == other, one == third, hash(one) == hash(other), one.loud(), one != (1,)]
        found += [dataclasses.asdict(one), dataclasses.astuple(third), repr(dataclasses.replace(one, name="c"))]
        found += [[(f.name, f.type, f.repr, f.compare, f.init) for f in dataclasses.fields(cls)]]
        found += [cls.__doc__, cls.note, hasattr(cls, "tags"), cls.limit, cls.__name__, cls.__qualname__[-7:]]
        found += [cls.__annotations__, getattr(cls, "__match_args__", None), cls.__dataclass_params__.frozen]
        found += [third.tags is not cls("b").tags, repr(copy.deepcopy(one)), one.__dict__]
        found += [sorted(vars(cls))]
        for name in ("name", "elsewhere"):
            try:
                setattr(one, name, 1)
                found.append(one.__dict__)
            except AttributeError as error:
                found += [type(error), str(error)]
            try:
                delattr(one, name)
            except AttributeError as error:
                found += [type(error), str(error)]
        for wrong in ((), ("a", [], "n", 1, 2)):
            with pytest.raises(TypeError) as refused:
                cls(*wrong)
            found.append(str(refused.value))
    with pytest.raises(ValueError, match="10"):
        family(dataclass)[1]("a", count=10)
    return found


def test_all_but_the_moment_is_as_in_the_standard_library():
    assert seen(LATE) == seen(dataclasses.dataclass)


@pytest.mark.parametrize(
    "ask",
    [dataclasses.fields, dataclasses.is_dataclass, lambda cls: cls.__dataclass_params__, lambda cls: cls("a", [])],
    ids=["fields", "is_dataclass", "parameters", "an object"],
)
def test_a_class_is_made_when_somebody_asks(ask):
    stock, counted, _plain = family(LATE)
    assert "__eq__" not in vars(stock) and "__eq__" not in vars(counted)
    assert ask(counted)
    assert "__eq__" in vars(counted) and "__eq__" in vars(stock), "a base is made before what inherits from it"


def test_other_options_are_the_standard_librarys():
    def made(dataclass: Callable[..., Any]) -> Any:
        @dataclass(order=True)
        class Ordered:
            n: int

        @dataclass
        class Bare:
            n: int = 1

        first, second = Ordered(1), Bare()
        first.n, second.n = 2, 3
        return [Ordered(1) < first, second, Ordered.__hash__, repr(first)]

    assert repr(made(LATE)) == repr(made(dataclasses.dataclass))


def test_a_class_with_a_metaclass_or_an_own_init_is_made_at_once():
    @LATE(frozen=True)
    class Abstract(ABC):
        n: int

    @LATE
    class Own:
        n: int

        def __init__(self) -> None:
            self.n = 7

    assert "__eq__" in vars(Abstract) and "__eq__" in vars(Own)
    assert Abstract(1) == Abstract(1) and Own().n == 7


def test_threads_that_make_the_first_objects_together_have_whole_ones():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(60):
            _stock, counted, plain = family(LATE)
            ready, objects, errors = threading.Barrier(4), [], []

            def make(cls: Any, ready=ready, objects=objects, errors=errors) -> None:
                ready.wait()
                try:
                    objects.append(cls("a", [], count=2))
                except Exception as error:
                    errors.append(error)

            threads = [threading.Thread(target=make, args=(cls,)) for cls in (counted, plain, counted, plain)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not errors and [one.count for one in objects] == [2] * 4
            assert len({repr(one) for one in objects}) == 2
    finally:
        sys.setswitchinterval(before)


def test_every_class_of_ours_can_be_made():
    """A mistake in one would show at its first object, not when it is imported."""
    package = late_dataclass.__name__.rpartition("._core.")[0]
    for path in sorted(UTILS.rglob("[a-z]*.py")):
        importlib.import_module(".".join((package, *path.relative_to(UTILS).with_suffix("").parts)))
    assert make_classes() > 400


def test_no_module_util_has_a_class_made_at_once():
    """What is imported by all and used by few is paid for by each call."""
    direct = {
        str(path.relative_to(UTILS))
        for path in UTILS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "dataclasses" and node.level == 0
        if any(name.name == "dataclass" for name in node.names)
    }
    assert direct == {"_core/late_dataclass.py"}
