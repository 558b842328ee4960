"""Where each fact of a draft comes from: names and shapes, settings beside the weights, or a question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.dialects.draft import asking
from ckpt2hf.dialects.draft.buffers import rope_base
from ckpt2hf.dialects.draft.metadata import general, said, said_by_module
from ckpt2hf.dialects.draft.parts import FactLine, text
from ckpt2hf.dialects.families import FAMILIES
from ckpt2hf.ir import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects.draft.parts import Kind, LeftOut
    from ckpt2hf.dialects.draft.understood import Understood

_ACTIVATIONS = frozenset({"GELU", "ReLU", "SiLU"})
_ROPE_TABLES = frozenset({"rope_frequencies", "rope_angles", "rope_cosines", "rope_sines"})


def const(value: str, why: str) -> str:
    """A value with its reason, as TOML writes it."""
    return f"{{ const = {value}, why = {text(why)} }}"


def shape(kind: Kind, axis: int, more: str = "") -> str:
    """The length of an axis, as TOML writes it."""
    return f"{{ shape = {text(kind.pattern)}{f', axis = {axis}' if axis else ''}{more} }}"


def rope_tables(left_out: Sequence[LeftOut]) -> tuple[LeftOut, ...]:
    """The tables of RoPE that a checkpoint holds."""
    return tuple(left for left in left_out if left.expect in _ROPE_TABLES)


@dataclass(frozen=True)
class Facts:
    """Everything that facts are read off."""

    checkpoint: Checkpoint
    model: Understood
    family: str

    def lines(self) -> tuple[FactLine, ...]:
        """Every fact that the family does not say, or that another model of the family may answer differently."""
        given: dict[str, tuple[tuple[str, ...], bool]] = {}
        for name, sources in (*self._lengths(), *self._norms(), *self._rest(), *self._rope()):
            asked = sources[-1].startswith("{ ask") and len(sources) == 1
            given[name] = (sources, asked)
        missing = [name for name in FIELDS if name not in given and name not in FAMILIES[self.family]]
        assert not missing, missing  # noqa: S101 - each has its line above
        return tuple(FactLine(name, *given[name]) for name in FIELDS if name in given)

    def _lengths(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        model = self.model
        yield "layers", (f"{{ count = {text(model.counted.pattern)} }}",)
        wide = model.of_width
        yield "d_model", (shape(wide, wide.shape.index(model.wide)),)
        yield from self._heads()
        if model.feed_forward is not None:
            yield "d_ff", (shape(model.feed_forward, _axis(model.feed_forward, model.d_ff, model.d_ff_axis)),)
        else:
            yield "d_ff", ('{ ask = "How wide is the MLP inside?" }',)
        for name, sources in model.lengths.items():
            if sources:
                yield name, sources
            elif name == "vocab":
                yield name, ('{ ask = "How many words are there?" }',)
            else:
                yield name, self._said_or_asked(name, lambda n: n > 1)

    def _heads(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        model, inner = self.model, self.model.inner or self.model.wide
        head_dim = self._head_dim()
        rows = model.query_rows
        if model.per_head is not None:
            yield "heads", (f'{{ count = {text(model.per_head.pattern)}, of = "h" }}',)
        elif model.by_heads is not None:
            yield "heads", (shape(*model.by_heads[:2]),)
        elif head_dim is not None:
            yield "heads", (shape(*rows, ', per = "head_dim"') if rows else '{ quotient = ["d_model", "head_dim"] }',)
        else:
            yield "heads", self._said_or_asked("heads", lambda n: n == int(n) > 0 and inner % int(n) == 0)
        if head_dim is not None:
            yield "head_dim", (head_dim,)
        elif inner == model.wide:
            yield "head_dim", ('{ quotient = ["d_model", "heads"] }',)
        elif model.by_heads is not None:
            yield "head_dim", (shape(model.by_heads[0], model.by_heads[2]),)
        elif rows:
            yield "head_dim", (shape(*rows, ', per = "heads"'),)
        else:
            yield "head_dim", ('{ ask = "How wide is a head?" }',)
        yield "kv_heads", self._kv_heads()

    def _kv_heads(self) -> tuple[str, ...]:
        model = self.model
        if model.kv_inner in {0, model.inner}:
            return ('{ equals = "heads" }',)
        if model.keys_by_heads is not None:
            return (shape(*model.keys_by_heads[:2]),)
        if model.key_rows:
            return (shape(*model.key_rows, ', per = "head_dim"'),)
        return self._said_or_asked("kv_heads", lambda n: n == int(n) > 0 and model.kv_inner % int(n) == 0)

    def _head_dim(self) -> str | None:
        """The width of a head, where a norm or a table of RoPE shows it."""
        model = self.model
        if model.qk_norm is not None and model.qk_norm[1] == "head":
            return shape(model.qk_norm[0], 0)
        for left in rope_tables(model.left_out) if model.by_heads is None and model.per_head is None else ():
            found, _ = rope_base(left.kind, left.expect, self.checkpoint.tensors)
            if (model.inner or model.wide) % found == 0:
                return const(str(found), f"{left.kind.pattern} turns {found // 2} pairs")
        return None

    def _norms(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        model = self.model
        if self._module_classes("Norm") == {"LayerNorm"} or model.norm_bias:
            yield "norm", (const('"layernorm"', "its norms have biases" if model.norm_bias else "nn.LayerNorm"),)
        elif self._module_classes("Norm") == {"RMSNorm"}:
            yield "norm", (const('"rmsnorm"', "nn.RMSNorm"),)
        else:
            yield "norm", (asking.question("norm"),)
        for name, there in (("norm_weight", model.norm_weight), ("norm_bias", model.norm_bias)):
            leaf = name.removeprefix("norm_")
            yield name, (const(_truth(there), f"its norms have {'a' if there else 'no'} {leaf}"),)
        if model.norm_weight or model.norm_bias:
            why = "there is a norm outside the blocks" if model.final_norm else "there is no norm outside the blocks"
            yield "final_norm", (const(_truth(model.final_norm), why),)
        else:
            yield (
                "final_norm",
                (asking.ask("Is there a norm before the output layer?", {"true": "yes", "false": "no"}),),
            )
        if model.norms in {(), ("attn_norm", "mlp_norm")}:
            yield "norm_placement", (asking.question("norm_placement"),)
        else:
            form = "parallel" if len(model.norms) == 1 else "sandwich"
            yield "norm_placement", (const(f'"{form}"', f"norms in each block: {len(model.norms)}"),)
        usual = () if model.norm_bias else (asking.ask(asking.QUESTIONS["norm_eps"][0], asking.RMS_EPS),)
        found = self._said_or_asked("norm_eps", lambda n: 0 < n < 1)
        yield "norm_eps", (*found[:-1], *(usual or found[-1:]))
        if self.family == "llama" and not model.norm_bias and model.norm_weight:
            yield "norm_offset", (asking.question("norm_offset", self._mean()),)
        if model.qk_norm is not None:
            yield "qk_norm", (const(f'"{model.qk_norm[1]}"', f"{model.qk_norm[0]}"),)
            yield "qk_norm_weight", (const("true", f"{model.qk_norm[0]}"),)
            if self.family == "llama":
                yield "qk_norm_after_rope", (asking.question("qk_norm_after_rope"),)

    def _mean(self) -> str:
        """What the weights of the norms look like, for a person to judge."""
        kinds = self.model.norm_kinds
        if not kinds:
            return ""
        mean = float(
            np.mean([self.checkpoint.tensors[kind.names[0]].load().astype(np.float64).mean() for kind in kinds])
        )
        return f"(They are {mean:.2f} on average in the first layer; training starts from 1 or from 0.)"

    def _rest(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        model = self.model
        if model.gated is None:
            yield "mlp", (asking.ask("Is the MLP gated?", asking.MLP),)
        else:
            kind, matrices = ("gated", "three matrices") if model.gated else ("plain", "two matrices")
            yield "mlp", (const(text(kind), f"its MLP has {matrices}"),)
        answers = asking.GATED_ACTIVATION if model.gated else asking.ACTIVATION
        activation = self._activation()
        yield "activation", (*activation, asking.ask("Which function is inside the MLP?", answers))
        yield "attention_scale", (asking.question("attention_scale"),)
        if model.experts is not None:
            yield "experts", (f'{{ count = {text(model.experts.pattern)}, of = "e" }}',)
            yield "experts_per_token", self._said_or_asked("experts_per_token", lambda n: n > 0)
        for name, biased in model.biases.items():
            if biased is None:
                yield name, (asking.ask(f"Is there such a bias? ({name})", {"true": "yes", "false": "no"}),)
            else:
                yield name, (const(_truth(biased), "there is such a bias" if biased else "there is no such bias"),)
        yield "tied", (model.tied,)

    def _rope(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        model, tables = self.model, rope_tables(self.model.left_out)
        if self.family == "gpt":
            if not model.has_positions:
                yield (
                    "position",
                    (asking.ask("How does it know the order of tokens? No table is stored.", asking.NO_TABLE),),
                )
            return
        if tables:
            yield "position", (const('"rope"', f"{tables[0].kind.pattern} is a table of RoPE"),)
        else:
            yield (
                "position",
                (asking.ask("How does it know the order of tokens? No table is stored.", asking.POSITION),),
            )
        yield "rope_layout", (asking.question("rope_layout"),)
        bases = {rope_base(left.kind, left.expect, self.checkpoint.tensors)[1] for left in tables}
        if len(bases) == 1 and (base := bases.pop()) is not None:
            yield "rope_theta", (const(f"{base:g}", f"the angles in {tables[0].kind.pattern}"),)
        else:
            yield "rope_theta", self._said_or_asked("rope_theta", lambda n: n >= 1)

    def _said_or_asked(self, field: str, fits: Callable[[float], bool]) -> tuple[str, ...]:
        found = said_by_module(self.checkpoint, self.model.kinds, field, fits) or said(self.checkpoint, field, fits)
        return (found.source, asking.question(field)) if found else (asking.question(field),)

    def _activation(self) -> tuple[str, ...]:
        """The module of a pickled model that is an activation, if there is one kind of them."""
        found = {
            general(name, self.model.kinds): module.class_name.rpartition(".")[2]
            for name, module in self.checkpoint.modules.items()
            if module.class_name.startswith("torch.nn.modules.activation.")
        }
        known = [place for place, name in found.items() if name in _ACTIVATIONS]
        return (f"{{ module = {text(known[0])} }}",) if len(known) == 1 and "{" in known[0] else ()

    def _module_classes(self, ending: str) -> set[str]:
        """The classes of torch among the modules of a pickled model whose names end so."""
        names = {module.class_name for module in self.checkpoint.modules.values()}
        return {name.rpartition(".")[2] for name in names if name.startswith("torch.nn.") and name.endswith(ending)}


def _truth(value: bool) -> str:  # noqa: FBT001 - a value to write
    return "true" if value else "false"


def _axis(kind: Kind, length: int, usual: int) -> int:
    return usual if kind.shape[usual] == length else kind.shape.index(length)
