"""Options that several commands have in common and that reach each of them as one value."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def bundled(
    name: str, options: type, wrapped: Callable[[Mapping[str, Any]], object]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the options that a class names, in place of its parameter `name`.

    The class has an annotation, as typer reads it, for each option, and a value where the default is not None. The
    command gets all of them by name, as `wrapped` makes one value of them.
    """
    annotations = inspect.get_annotations(options, eval_str=True)
    added = [
        inspect.Parameter(
            each, inspect.Parameter.KEYWORD_ONLY, default=getattr(options, each, None), annotation=annotation
        )
        for each, annotation in annotations.items()
    ]

    def with_options(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def told(**words: Any) -> None:  # noqa: ANN401 - whatever the command takes
            given = {each: words.pop(each) for each in annotations}
            command(**words, **{name: wrapped(given)})

        mine = inspect.signature(command, eval_str=True)
        before = list(mine.parameters.values())
        at = next(k for k, parameter in enumerate(before) if parameter.name == name)
        every = [*before[:at], *added, *before[at + 1 :]]
        told.__signature__ = mine.replace(parameters=every)  # type: ignore[attr-defined]
        told.__annotations__ = {parameter.name: parameter.annotation for parameter in every}
        return told

    return with_options
