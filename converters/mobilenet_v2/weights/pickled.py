"""Pickles of state dicts, read as data: nothing in them is ever called or imported.

A pickle is a program for a stack machine, and Python's own machine calls whatever it names. This
one knows the operations that containers, numbers and strings need, and the few names by which
PyTorch stores tensors; every other name is collected and refused. The operations are those of
https://docs.python.org/3/library/pickletools.html, of which `genops` only splits the bytes.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from converters.mobilenet_v2.weights.pickled_tensors import (
    CALLS,
    STORAGES,
    Name,
    PickleError,
    Plain,
    Storage,
    count_of,
)
from edge.text import printable

MAX_OPERATIONS = 1_000_000
KEYS = (str, bytes, int, float, type(None))


@dataclass(slots=True)
class _Machine:
    """The stack, the marks in it, the memo, and every name that is not allowed."""

    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)

    def pop_to_mark(self) -> list[Any]:
        start = self.marks.pop()
        if start > len(self.stack):
            raise PickleError("a mark above the stack")
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def name(self, module: str, name: str) -> None:
        full = f"{module}.{name}"
        is_storage = module == "torch" and name in STORAGES
        if full not in CALLS and not is_storage:
            self.refused.add(full)
        self.stack.append(Name(full))

    def call(self) -> None:
        arguments, what = self.stack.pop(), self.stack.pop()
        if not isinstance(arguments, tuple) or not isinstance(what, Name):
            raise PickleError("a call of something without a name")
        # What is refused gives an inert value, so that all refused names can be told at once.
        known = CALLS.get(what.full)
        self.stack.append(known(arguments) if known else what)

    def persistent(self) -> None:
        match self.stack.pop():
            case ("storage", Name(full=full), str(key), str(), int(count), *views):
                if views not in ([], [None]):
                    raise PickleError("a storage that is part of another")
                dtype = STORAGES.get(full.removeprefix("torch."))
                if dtype is None:
                    raise PickleError(f"a storage of {full}")
                self.stack.append(Storage(key, dtype, count_of(count)))
            case other:
                raise PickleError(f"a reference that is no storage, but {type(other).__name__}")

    def set_items(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict | Name) or len(items) % 2:
            raise PickleError("keys without a dictionary")
        # The hash of tuples within tuples, a million deep, would overflow the interpreter's stack.
        if not all(isinstance(key, KEYS) for key in items[::2]):
            raise PickleError("a key that is neither a number nor text")
        if isinstance(self.stack[-1], dict):
            self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def append(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list | Name):
            raise PickleError("items without a list")
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)


def _push(machine: _Machine, argument: Plain) -> None:
    machine.stack.append(argument)


def _stack_name(machine: _Machine, _: object) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise PickleError("a name that is no text")
    machine.name(module, name)


def _build(machine: _Machine, _: object) -> None:
    """Drop an object's state: of an OrderedDict it is how many versions its modules had."""
    machine.stack.pop()


def _tuple_of(count: int) -> Callable[[_Machine, Any], None]:
    def make(machine: _Machine, _: object) -> None:
        if len(machine.stack) < count:
            raise IndexError
        items = tuple(machine.stack[len(machine.stack) - count :])
        del machine.stack[len(machine.stack) - count :]
        machine.stack.append(items)

    return make


def _ignore(_: _Machine, __: object) -> None:
    pass


def _put(machine: _Machine, place: int | None) -> None:
    machine.memo[len(machine.memo) if place is None else place] = machine.stack[-1]


OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _ignore,
    "FRAME": _ignore,
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "NONE": lambda m, _: m.stack.append(None),
    "NEWTRUE": lambda m, _: m.stack.append(True),
    "NEWFALSE": lambda m, _: m.stack.append(False),
    "EMPTY_DICT": lambda m, _: m.stack.append({}),
    "EMPTY_LIST": lambda m, _: m.stack.append([]),
    "EMPTY_TUPLE": lambda m, _: m.stack.append(()),
    "EMPTY_SET": lambda m, _: m.stack.append([]),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.pop_to_mark())),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "SETITEM": lambda m, _: m.set_items([m.stack.pop(-2), m.stack.pop()]),
    "SETITEMS": lambda m, _: m.set_items(m.pop_to_mark()),
    "APPEND": lambda m, _: m.append([m.stack.pop()]),
    "APPENDS": lambda m, _: m.append(m.pop_to_mark()),
    "ADDITEMS": lambda m, _: m.append(m.pop_to_mark()),
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": _put,
    "BINGET": lambda m, place: m.stack.append(m.memo[place]),
    "LONG_BINGET": lambda m, place: m.stack.append(m.memo[place]),
    "GLOBAL": lambda m, both: m.name(*both.split(" ", 1)),
    "STACK_GLOBAL": _stack_name,
    "REDUCE": lambda m, _: m.call(),
    "NEWOBJ": lambda m, _: m.call(),
    "BUILD": _build,
    "BINPERSID": lambda m, _: m.persistent(),
} | dict.fromkeys(
    (
        "BININT",
        "BININT1",
        "BININT2",
        "LONG1",
        "LONG4",
        "BINFLOAT",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINSTRING",
        "SHORT_BINSTRING",
    ),
    _push,
)


def read_pickle(stream: BinaryIO) -> Plain:
    """Read one pickle and leave the stream behind it.

    Returns dictionaries (OrderedDicts among them), lists, tuples, numbers, strings and `Tensor`s.
    Raises: PickleError: it is broken, or names anything beside tensors and containers; the message
        has every such name.
    """
    machine = _Machine()
    try:
        with warnings.catch_warnings():
            # Python's splitter calls escape sequences that it does not know deprecated.
            warnings.simplefilter("ignore", DeprecationWarning)
            _run(machine, stream)
        result = machine.stack.pop()
    except (IndexError, KeyError, TypeError, ValueError, RecursionError) as cause:
        if machine.refused:
            raise PickleError(refusal(machine.refused)) from cause
        if isinstance(cause, PickleError):
            raise
        raise PickleError(
            f"a broken pickle ({type(cause).__name__}: {printable(str(cause)[:80])})"
        ) from cause
    if machine.refused:
        raise PickleError(refusal(machine.refused))
    return result


def _run(machine: _Machine, stream: BinaryIO) -> None:
    for done, (operation, argument, _) in enumerate(pickletools.genops(stream)):
        if operation.name == "STOP":
            return
        if done > MAX_OPERATIONS:
            raise PickleError(f"more than {MAX_OPERATIONS:,} operations")
        run = OPERATIONS.get(operation.name)
        if run is None:
            raise PickleError(f"the operation {operation.name}, which no state dict needs")
        run(machine, argument)


def refusal(names: set[str]) -> str:
    found = ", ".join(printable(name[:100]) for name in sorted(names)[:20])
    return (
        f"it would have Python call or load {found}, and nothing in a file "
        "of weights is ever run; allowed: tensors, dictionaries, lists and numbers"
    )
