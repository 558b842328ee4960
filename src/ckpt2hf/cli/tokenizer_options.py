"""The words of the command line about tokenizers: eight options that reach a command as one value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ckpt2hf.cli.bundles import bundled
from ckpt2hf.errors import UsageError
from ckpt2hf.remote import path_or_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.api import AskedTokenizer


class _Given:
    """What the options take. The texts are the help of the command line."""

    tokenizer: Annotated[
        Path | None,
        typer.Option(
            "--tokenizer",
            metavar="PATH|none",
            help="The tokenizer of the training run; else the one beside the checkpoint. none: no tokenizer.",
            show_default=False,
            parser=path_or_url,
        ),
    ]
    tokenizer_policy: Annotated[
        str | None,
        typer.Option(
            "--tokenizer-policy",
            metavar="fail|warn",
            help="What becomes of a model whose tokenizer cannot be proved; fail.",
            show_default=False,
        ),
    ]
    eos_token: Annotated[
        str | None, typer.Option("--eos-token", metavar="TOKEN|none", help="What ends a text.", show_default=False)
    ]
    bos_token: Annotated[
        str | None, typer.Option("--bos-token", metavar="TOKEN|none", help="What begins a text.", show_default=False)
    ]
    pad_token: Annotated[
        str | None, typer.Option("--pad-token", metavar="TOKEN|none", help="What fills a batch.", show_default=False)
    ]
    unk_token: Annotated[
        str | None,
        typer.Option("--unk-token", metavar="TOKEN|none", help="What stands for the unknown.", show_default=False),
    ]
    tokenizer_pattern: Annotated[
        str | None,
        typer.Option(
            "--tokenizer-pattern",
            metavar="NAME|REGEX",
            help="How a tiktoken rank file splits text first: gpt2, cl100k_base, o200k_base, llama3, or a regex.",
            show_default=False,
        ),
    ]
    special_token: Annotated[
        list[str] | None,
        typer.Option("--special-token", metavar="TOKEN=ID", help="Of a tiktoken rank file. Repeatable."),
    ]


@dataclass(frozen=True, slots=True)
class TokenizerWords:
    """What was given, as it was given: making sense of it imports what takes time."""

    given: Mapping[str, Any]

    def __bool__(self) -> bool:
        return any(value for value in self.given.values())

    def asked(self) -> AskedTokenizer:
        """What the options say. Raises UsageError."""
        from ckpt2hf.tokenizers import ROLES, AskedTokenizer, Policy, special_tokens

        word = self.given["tokenizer_policy"]
        known = [policy.value for policy in Policy]
        if word is not None and word not in known:
            remedies = [f"--tokenizer-policy {'|'.join(known)}"]
            raise UsageError(f"--tokenizer-policy does not know {word!r}", remedies=remedies)
        return AskedTokenizer(
            path=self.given["tokenizer"],
            tokens={role: token for role in ROLES if (token := self.given[f"{role}_token"]) is not None},
            pattern=self.given["tokenizer_pattern"],
            special_tokens=special_tokens(tuple(self.given["special_token"] or ())),
            policy=Policy(word) if word else None,
        )


with_tokenizer = bundled("tokenizer", _Given, TokenizerWords)
"""The command with the options about tokenizers; it gets them as `tokenizer`."""
