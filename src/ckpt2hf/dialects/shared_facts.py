"""Facts that the layouts of a dialect file share: written once, and read as if each layout said them itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.dialects.toml_lines import Path


def with_shared_facts(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """The file, `facts` spread over its layouts. What is no table stays as it is, for the schema to tell."""
    layouts = tree.get("layout")
    if not isinstance(layouts, list):
        return tree
    return {**tree, "layout": [_with(_shared(layout, tree), layout) for layout in layouts]}


def where_written(path: Path, tree: Mapping[str, Any]) -> Path:
    """The place of a layout's fact in the file: its own, or the one it shares."""
    match path:
        case ("layout", int(n), "facts", name, *rest) if name in _shared(tree["layout"][n], tree):
            return ("facts", name, *rest)
    return path


def _shared(layout: object, tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """The shared facts that a layout does not answer itself; one that is refused has no facts."""
    facts = tree.get("facts")
    own = layout.get("facts", {}) if isinstance(layout, dict) and "refuse" not in layout else None
    if not isinstance(facts, dict) or not isinstance(own, dict):
        return {}
    return {name: said for name, said in facts.items() if name not in own}


def _with(shared: Mapping[str, Any], layout: Any) -> object:  # noqa: ANN401 - whatever stands in the file
    return {**layout, "facts": {**shared, **layout.get("facts", {})}} if shared else layout
