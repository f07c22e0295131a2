# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The standard library's dataclasses, made when the first of their objects is, or when somebody asks for their fields.

A module process knows some hundred small classes and makes objects of a few. What `dataclasses.dataclass` writes and compiles for each of them when
it is defined took more of a process's time than anything else of ours: 0.7 to 0.9 ms a class, a third of a short call with CPython 3.11. Nothing but
the moment is another one here: the methods are those that the standard library makes.
"""

from __future__ import annotations

import dataclasses
from threading import RLock
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

_INIT = "__init__"
_ASKED = ("__dataclass_fields__", "__dataclass_params__")
_ELSEWHERE = frozenset(("__annotate_func__", "__annotations_cache__"))
_NOT_MADE = frozenset(("__dict__", "__weakref__", "__annotations__")) | _ELSEWHERE
_NOT_OF_THE_BODY = _NOT_MADE | {_INIT, *_ASKED}
_LATE = frozenset(("repr", "eq", "order", "unsafe_hash", "frozen"))
_LOCK = RLock()  # a base is made while what inherits from it is

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls: Optional[type] = None, **options: Any) -> Any:
        """As `dataclasses.dataclass`, with its options.

        A class that has a metaclass or an `__init__` of its own, or options that ask for another class or for none, is made at once.
        """
        if cls is None:
            return lambda given: dataclass(given, **options)
        if cls.__class__ is not type or _INIT in vars(cls) or not set(options) <= _LATE:
            return dataclasses.dataclass(**options)(cls)
        _Late(cls, options)
        return cls


class _Late:
    """A class that is not made yet."""

    def __init__(self, cls: type, options: Dict[str, Any]) -> None:
        self.cls, self.options, self.made = cls, options, False
        setattr(cls, _INIT, _init_of(self))
        for name in _ASKED:
            setattr(cls, name, _Asked(self, name))

    def make(self) -> None:
        """Give the class what the standard library gives one that is like it; another thread waits meanwhile."""
        with _LOCK:
            if self.made:
                return
            own = dict(vars(self.cls))
            body = {name: value for name, value in own.items() if name not in _NOT_OF_THE_BODY}
            # Python 3.14 keeps them elsewhere; before 3.10 a class without any answers with those of its base.
            annotations = own.get("__annotations__") or (self.cls.__annotations__ if _ELSEWHERE & set(own) else {})
            # The name is for the messages.
            more = {"__qualname__": self.cls.__qualname__, "__annotations__": dict(annotations)}
            like: type = dataclasses.dataclass(**self.options)(
                type(self.cls.__name__, self.cls.__bases__, {**body, **more})
            )
            made = {name: value for name, value in vars(like).items() if name not in _NOT_MADE}
            for name in set(body) - set(made):
                delattr(self.cls, name)  # a field whose default is made for each object
            for name, value in made.items():
                if name != _INIT and (name not in own or own[name] is not value):
                    _meaning(value, like, self.cls)
                    setattr(self.cls, name, value)
            # From here on objects can be made, so this comes last: until then other threads meet the lock.
            setattr(self.cls, _INIT, made[_INIT])
            self.made = True


class _Asked:
    """Stands where the standard library will put what it says of a class: to ask for it makes the class."""

    def __init__(self, late: _Late, name: str) -> None:
        self.late, self.name = late, name

    def __get__(self, instance: Any, owner: Optional[type] = None) -> Any:
        self.late.make()
        return vars(self.late.cls)[self.name]


def _meaning(method: Any, like: type, cls: type) -> None:
    """What a method made for a class that is like another says of the class itself (a frozen one's `__setattr__`) means the other."""
    for cell in getattr(method, "__closure__", None) or ():
        if cell.cell_contents is like:
            cell.cell_contents = cls


def _init_of(late: _Late) -> Callable[..., None]:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        late.make()
        vars(late.cls)[_INIT](self, *args, **kwargs)

    return __init__
