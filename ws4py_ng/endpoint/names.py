"""Keep a class's private names from its subclasses in other packages.

`WebSocket` is subclassed by programs that know its public names only. One that calls something of its own
``_state`` would change ours, and break far from there. Names are checked when the subclass is made, so that
a message costs nothing more: what its body defines, and what its methods assign to ``self``. What is set
from elsewhere, or by `setattr`, is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from functools import cache
from types import CodeType, FunctionType
from typing import Any

__all__ = ["Reserving"]

PACKAGE = __name__.partition(".")[0]


class Reserving:
    """Raise TypeError for a subclass in another package that uses one of our private names."""

    __slots__ = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if _is_ours(cls):
            return
        reserved = {name: base for base in reversed(cls.__mro__) if _is_ours(base) for name in _private_names(base)}
        for base in cls.__mro__:
            if base is not object and not _is_ours(base):
                for name in _used(base, reserved.keys()):
                    raise TypeError(
                        f"{base.__qualname__} uses the name {name}, which {reserved[name].__qualname__} of {PACKAGE} "
                        "has for something of its own: give it another name"
                    )


def _is_ours(what: type | FunctionType) -> bool:
    return what.__module__.partition(".")[0] == PACKAGE


@cache
def _private_names(cls: type) -> frozenset[str]:
    names = {*vars(cls), *vars(cls).get("__annotations__", ())}
    if "__init__" in vars(cls):
        names |= _assigned(vars(cls)["__init__"].__code__)
    return frozenset(name for name in names if name[:1] == "_" and name[:2] != "__")


def _used(cls: type, names: Set[str]) -> Iterator[str]:
    """Find which of these names a class defines or assigns; methods may be ours, in a class that we make of another."""
    for name in names & vars(cls).keys():
        value = vars(cls)[name]
        if not (isinstance(value, FunctionType) and _is_ours(value)):
            yield name
    for function in _methods(cls):
        if not _is_ours(function) and not names.isdisjoint(_mentioned(function.__code__)):
            yield from names & _assigned(function.__code__)


def _methods(cls: type) -> Iterator[FunctionType]:
    """Find the methods of a class, those of properties as well."""
    for value in vars(cls).values():
        for each in (value, *(getattr(value, part, None) for part in ("__func__", "fget", "fset"))):
            if isinstance(each, FunctionType):
                yield each


def _mentioned(code: CodeType) -> Iterator[str]:
    """Find all names of attributes in a function, and in functions within it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _mentioned(constant)


def _assigned(code: CodeType, owner: str | None = None) -> set[str]:
    """Find the attributes of its first argument that a method assigns to, itself or in a function within it."""
    import dis  # not needed by who makes no subclass

    owner = owner or next(iter(code.co_varnames[: code.co_argcount]), None)
    found = set()
    before: Any = None
    for step in dis.get_instructions(code):
        if step.opname == "STORE_ATTR" and before is not None:
            # Newer Pythons load two variables by one instruction.
            loaded = before.argval if isinstance(before.argval, tuple) else (before.argval,)
            if "LOAD" in before.opname and loaded[-1] == owner:
                found.add(step.argval)
        if step.opname != "EXTENDED_ARG":
            before = step
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and owner in constant.co_freevars:
            found |= _assigned(constant, owner)
    return found
