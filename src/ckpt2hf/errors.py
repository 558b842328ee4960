"""Every way ckpt2hf can say no, with its exit code.

    Ckpt2hfError                    exit
    ├── UsageError         usage      2   the command has to change
    ├── NotFoundError      not-found  2   a path that is not there or cannot be opened
    ├── FactsError         facts      2   facts are missing, ambiguous or contradict each other
    ├── CheckpointError    checkpoint 1   the file cannot be read as a checkpoint
    ├── TokenizerError     tokenizer  2   the tokenizer cannot be read, or is not this model's
    ├── MappingError       mapping    1   tensors without a rule, slots without a source
    ├── UnsupportedError   target     1   the model is understood, but no target can express it
    │   └── InexactError   inexact    2   it can be expressed, but not exactly, and nobody has allowed that
    ├── HealthError        health     1   the weights themselves are broken (NaN, Inf)
    ├── OutputError        output     1   the result could not be written
    ├── VerificationError  verify     1   a verification could not be carried out
    └── BrokenPromiseError bug       70   a promise of ours did not hold

Exit code 2 means that another command line can help, 1 that this checkpoint cannot be converted or proved,
70 that ckpt2hf is wrong. A negative verdict is a value (`verify.Verdict`), not an exception.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class Ckpt2hfError(Exception):
    """An error a person can act on: what happened, where, what was tried, what to do next."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        what: str,
        *,
        details: Iterable[str] = (),
        where: str | None = None,
        tried: str | None = None,
        remedies: Iterable[str] = (),
    ) -> None:
        """Keep the parts apart, so that a terminal, a log and a JSON report can each lay them out."""
        super().__init__(what)
        self.what = what
        self.details = tuple(details)
        self.where = where
        self.tried = tried
        self.remedies = tuple(remedies)

    def __str__(self) -> str:
        """The whole message as plain text, one part a line."""
        lines = [f"error[{self.code}]: {self.what}"]
        lines += [f"  {detail}" for detail in self.details]
        if self.where:
            lines.append(f"  in     {self.where}")
        if self.tried:
            lines.append(f"  tried  {self.tried}")
        lines += [f"  {'next' if i == 0 else '  or'}   {remedy}" for i, remedy in enumerate(self.remedies)]
        return "\n".join(lines)


class UsageError(Ckpt2hfError):
    """The command line or a configuration file asks for something that makes no sense."""

    code = "usage"
    exit_code = 2


class NotFoundError(Ckpt2hfError):
    """A path does not exist, or may not be opened."""

    code = "not-found"
    exit_code = 2


class FactsError(Ckpt2hfError):
    """Facts the weights do not show are missing, ambiguous, or two sources disagree."""

    code = "facts"
    exit_code = 2


class CheckpointError(Ckpt2hfError):
    """The file is truncated, corrupt, hostile, or not a checkpoint at all."""

    code = "checkpoint"


class TokenizerError(Ckpt2hfError):
    """A tokenizer cannot be read, does not belong to the model, or is one of several."""

    code = "tokenizer"
    exit_code = 2


class MappingError(Ckpt2hfError):
    """Tensors without a rule, slots without a source, shapes that do not fit."""

    code = "mapping"


class UnsupportedError(Ckpt2hfError):
    """The model is understood, but no Hugging Face class computes it."""

    code = "target"


class InexactError(UnsupportedError):
    """A class computes the model, but not exactly, and nobody has allowed that."""

    code = "inexact"
    exit_code = 2


class HealthError(Ckpt2hfError):
    """The weights hold NaN or infinity."""

    code = "health"


class OutputError(Ckpt2hfError):
    """The result could not be written; nothing is left under its final name."""

    code = "output"


class VerificationError(Ckpt2hfError):
    """A verification could not be carried out (which is not the same as a negative verdict)."""

    code = "verify"


class ResourceError(Ckpt2hfError):
    """The machine or the container does not allow the memory this takes; nothing was begun."""

    code = "resources"
    exit_code = 2


class UnreachableError(Ckpt2hfError):
    """A store or a server did not answer, or not sensibly, however often it was asked; that can pass."""

    code = "unreachable"


class BrokenPromiseError(Ckpt2hfError):
    """An internal invariant failed: a bug in ckpt2hf."""

    code = "bug"
    exit_code = 70
