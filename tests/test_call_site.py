"""Which line of the program a message names; at a command that runs none (`mpc dealer`), no line."""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any

import pytest

from mpc import exchange


def call(inner: Callable[[], Any]) -> Any:
    return inner()


LINE = call.__code__.co_firstlineno + 1


def frame_of(module: str, file: str) -> Callable[[Callable[[], Any]], Any]:
    """`call` as if it were in this module."""
    scope = {"__name__": module, "__package__": module.rpartition(".")[0]}
    return FunctionType(call.__code__.replace(co_filename=file), scope)


@pytest.mark.parametrize(
    "inside, said", [(("mpc.dealer", "dealer.py"), ""), (("train", "train.py"), f" (here at train.py:{LINE})")]
)
def test_no_line_of_the_command_is_named(inside: tuple[str, str], said: str) -> None:
    script, command, inner = frame_of("__main__", "bin/mpc"), frame_of("typer.main", "main.py"), frame_of(*inside)
    assert script(partial(command, partial(inner, exchange.here))) == said
