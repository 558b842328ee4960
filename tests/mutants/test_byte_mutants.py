"""Small lies: one element, one bit, one sign of a zero. Nothing but the level `bytes` can see them all, and it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from ckpt2hf.naming import link, to_names
from ckpt2hf.ops import Mosaic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.view(torch.int32).reshape(-1)


def one_bit(tensor: torch.Tensor, k: int) -> None:
    bits(tensor)[k] ^= 1


def one_sign(tensor: torch.Tensor, k: int) -> None:
    bits(tensor)[k] ^= torch.iinfo(torch.int32).min


def one_thousandth(tensor: torch.Tensor, k: int) -> None:
    tensor.reshape(-1)[k] += 1e-3 * float(tensor.abs().max().clamp(min=1e-3))


CHANGES: dict[str, Callable[[torch.Tensor, int], None]] = {
    "the last bit of one element": one_bit,
    "the sign of one element, also of a zero": one_sign,
    "a thousandth of the largest": one_thousandth,
}


@pytest.mark.parametrize("name", CHANGES)
def test_one_element_of_any_tensor_is_seen(name: str, benches: Any, tally: Any, tmp_path: Path) -> None:
    survivors = []
    for bench in benches:
        random = torch.Generator().manual_seed(1)
        directory = bench.write(tmp_path, *bench.copy())
        assert bench.byte_failures(directory) == []
        for key, tensor in bench.state.items():
            state, config = bench.copy()
            CHANGES[name](state[key], int(torch.randint(tensor.numel(), (), generator=random)))
            failures = bench.byte_failures(bench.write(tmp_path, state, config))
            if tally("seen by the bytes", killed=bool(failures)):
                survivors.append((bench.name, key))
    assert survivors == []


def test_bfloat16_passed_off_as_float32_is_seen_in_every_tensor(benches: Any, tally: Any, tmp_path: Path) -> None:
    survivors = []
    for bench in benches:
        for key in bench.state:
            state, config = bench.copy()
            state[key] = state[key].bfloat16().float()
            if bench.changed(state, config):
                failures = bench.byte_failures(bench.write(tmp_path, state, config))
                if tally("seen by the bytes", killed=bool(failures)):
                    survivors.append((bench.name, key))
    assert survivors == []


def test_another_type_is_seen_by_the_structure(benches: Any, tally: Any, tmp_path: Path) -> None:
    survivors = []
    for bench in benches:
        for dtype in (torch.bfloat16, torch.float16, torch.float64):
            state, config = bench.copy()
            state = {key: value.to(dtype) for key, value in state.items()}
            if tally("of types", killed=bool(bench.structure_failures(bench.write(tmp_path, state, config)))):
                survivors.append((bench.name, dtype))
    assert survivors == []


def swapped_rules(naming: Any, sizes: Any) -> Any:
    """Every naming in which two rules whose slots have the same shapes give each other's."""
    rules = list(naming.rules)
    for a in range(len(rules)):
        for b in range(a):
            one, other = rules[a], rules[b]
            if sizes(one) and sizes(one) == sizes(other):
                changed = list(rules)
                changed[a] = type(one)(one.names, other.slots, one.ops)
                changed[b] = type(one)(other.names, one.slots, other.ops)
                yield f"{one.names[0]} and {other.names[0]}", type(naming)(tuple(changed), naming.ties, naming.drops)


def unturned_rules(naming: Any) -> Any:
    """Every naming that forgets one op."""
    for k, rule in enumerate(naming.rules):
        for forgotten in range(len(rule.ops)):
            kept = rule.ops[:forgotten] + rule.ops[forgotten + 1 :]
            if len(rule.slots) == 1:
                changed = [*naming.rules[:k], type(rule)(rule.names, rule.slots, kept), *naming.rules[k + 1 :]]
                yield f"{rule.names[0]} without {rule.ops[forgotten]}", type(naming)(tuple(changed), naming.ties, ())


def test_every_exchange_within_the_target_s_own_naming_is_seen(benches: Any, tally: Any) -> None:
    """The mutants a careless edit of the target makes: its naming run on the right slots, and the wrong file read."""
    survivors = []
    for bench in benches:
        plan = bench.plan
        spec, slots = plan.final_spec, plan.final_slots

        def sizes(rule: Any, slots: Any = slots) -> Any:
            names = [p.format({"i": 0}) for p in rule.slots]
            per_layer = ["{i}" in p.text for p in rule.slots]
            return all(n in slots for n in names) and (per_layer, [slots[n].meta.shape for n in names])

        for what, naming in [*swapped_rules(plan.target.naming, sizes), *unturned_rules(plan.target.naming)]:
            written = to_names(link(naming, spec), {name: Mosaic.of(slot) for name, slot in slots.items()})
            state = {name: torch.from_numpy(part.load().copy()) for name, part in written.items()}
            if any(state[name].shape != bench.state[name].shape for name in bench.state):
                killed = True  # strict loading refuses a tensor of another shape
            elif not bench.changed(state, bench.config):
                continue  # both zero biases, or both ones of a folded norm
            else:
                killed = bench.first_failure(state) is not None
            if tally("of the target's naming", killed=killed):
                survivors.append((bench.name, what))
    assert survivors == []
