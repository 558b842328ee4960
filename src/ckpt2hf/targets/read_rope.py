"""RoPE and sliding layers in a `config.json`, as transformers 4 (`rope_theta`) and 5 (`rope_parameters`) spell them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import LayerPattern, RopeScaling, parse_field
from ckpt2hf.targets.settings import Said

if TYPE_CHECKING:
    from ckpt2hf.targets.settings import Settings

    Facts = dict[str, Said]

_LLAMA3 = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
_NUMBERS: dict[str, tuple[str, ...]] = {"default": (), "linear": ("factor",), "llama3": _LLAMA3}
"""The kinds of scaling a spec can say, and their numbers in its order."""
_KINDS = {"sliding_attention": "s", "full_attention": "f"}


def rope(s: Settings, theta: float) -> Facts:
    """Base and scaling of a class whose layers are alike; `theta` where nothing is said."""
    return {"rope_theta": _theta(s, "rope_theta", theta, "full_attention"), "rope_scaling": _scaling(s)}


def windowed_rope(s: Settings, pattern: LayerPattern, *, full: float, sliding: float, local: str = "") -> Facts:
    """The bases of both kinds of layers; zero for a kind that does not occur. `local` is a setting of its own."""
    scaling = _scaling(s)
    if scaling.value.kind != "none":
        s.refused.append(
            f"{scaling.where.removeprefix('config.json: ')} stretches frequencies of sliding layers' class"
        )
    seen = _theta(s, "rope_theta", full, "full_attention")
    near = _theta(s, "rope_local_theta", sliding, "sliding_attention", local or "rope_theta")
    absent = Said(0.0, f"{s.hf_class}: no layer of that kind", told=False)
    return {
        "rope_theta": seen if "f" in pattern.text else absent,
        "rope_local_theta": near if "s" in pattern.text else absent,
    }


_FOUR, _FIVE = 1e4, 5e5
"""The base of OLMo 3 where nothing is said, in each generation of transformers."""


def olmo3_rope(s: Settings, pattern: LayerPattern) -> Facts:
    """The bases of OLMo 3. `rope_theta` alone is that of all layers in transformers 4, and of full ones in 5.

    Source: transformers 4.57.6 and 5.24, models/olmo3/configuration_olmo3.py (convert_rope_params_to_dict).
    """
    found = windowed_rope(s, pattern, full=_FOUR, sliding=_FOUR)
    said = s.at("rope_theta") is not None
    if found["rope_theta"].value and not said and "rope_theta" not in _parameters(s, "full_attention"):
        found["rope_theta"] = s.between("rope_theta", _FOUR, _FIVE, "rope_theta is not said")
    four = found["rope_local_theta"].value
    if four and "rope_theta" not in _parameters(s, "sliding_attention"):
        why = "rope_theta is not that of sliding layers in 5"
        found["rope_local_theta"] = s.between("rope_local_theta", four, _FIVE, why)
    return found


def layer_types(s: Settings, layers: int, period: int, window: int) -> Facts:
    """Which layers slide, and how far they see; without a list, every `period`-th sees everything."""
    kinds = s.config.get("layer_types")
    told = isinstance(kinds, list)
    every = s.at("sliding_window_pattern", "_sliding_window_pattern")
    step = every[1] if every and isinstance(every[1], int) and every[1] > 0 else period
    letters = [_KINDS.get(str(kind), "?") for kind in kinds] if isinstance(kinds, list) else []
    if told and ("?" in letters or len(letters) != layers):
        s.refused.append(f"layer_types has to name full_attention or sliding_attention {layers} times")
        letters = []
    text = "".join(letters) or "".join("f" if (i + 1) % step == 0 else "s" for i in range(layers))
    where = "config.json: layer_types" if told else f"{s.hf_class}, where layer_types is not said"
    pattern = LayerPattern(shortest(text or "f"))
    slides = "s" in pattern.text
    width = s.said("sliding_window", "sliding_window", window)
    none = Said(0, f"{s.hf_class}: no layer slides", told=False)
    return {"layer_pattern": Said(pattern, where, told), "sliding_window": width if slides else none}


def shortest(text: str) -> str:
    """The shortest text that, repeated and cut off, gives this one."""
    return next(text[:k] for k in range(1, len(text) + 1) if (text[:k] * len(text))[: len(text)] == text)


def _parameters(s: Settings, kind: str) -> dict[str, Any]:
    """The `rope_parameters` of a kind of layers; empty in the spelling of transformers 4."""
    found = s.config.get("rope_parameters")
    if not isinstance(found, dict):
        return {}
    if any(name in found for name in _KINDS):
        found = found.get(kind)
    return found if isinstance(found, dict) else {}


def _theta(s: Settings, fact: str, default: float, kind: str, name: str = "rope_theta") -> Said:
    new = _parameters(s, kind).get("rope_theta")
    if new is None:
        return s.said(fact, name, default)
    if s.config.get(name) not in (None, new):
        s.refused.append(f"rope_parameters has rope_theta {new!r}, and {name}, which is older, is {s.config[name]!r}")
    try:
        return Said(parse_field(fact, new), "config.json: rope_parameters", told=True)
    except ValueError as error:
        s.refused.append(f"rope_parameters: {error}")
        return Said(default, "config.json: rope_parameters", told=True)


def _scaling(s: Settings) -> Said:
    """How frequencies are stretched, by either spelling."""
    found, name = s.config.get("rope_scaling"), "rope_scaling"
    if not found:
        found, name = _parameters(s, "full_attention"), "rope_parameters"
    none = RopeScaling("none")
    if not found:
        return Said(none, f"{s.hf_class}, where rope_scaling is not said", told=False)
    table = found if isinstance(found, dict) else {}
    kind = str(table.get("rope_type", table.get("type", "default" if name == "rope_parameters" else "")))
    if kind not in _NUMBERS:
        s.refused.append(f"{name} is {kind or found!r}: a spec knows {', '.join(_NUMBERS)}")
        return Said(none, name, told=True)
    if table.get("partial_rotary_factor") not in (None, 1, 1.0):
        s.refused.append(f"{name} has partial_rotary_factor {table['partial_rotary_factor']!r}")
    numbers = ",".join(str(table.get(word)) for word in _NUMBERS[kind])
    try:
        text = "none" if kind == "default" else f"{kind}:{numbers}"
        return Said(parse_field("rope_scaling", text), f"config.json: {name}", told=True)
    except ValueError as error:
        s.refused.append(f"{name}: {error}")
        return Said(none, name, told=True)
