"""Write the generated parts of README.md and of the pages in docs/ from the code they describe.

With `--check` nothing is written: it shows what is stale, as a diff, and exits with 1 if anything is.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import sys
import typing
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.models import OptionInfo

import ckpt2hf.dialects.rule_entry
import ckpt2hf.dialects.saving
import ckpt2hf.dialects.schema
import ckpt2hf.errors
import ckpt2hf.ir.spec
import ckpt2hf.report.batch
import ckpt2hf.report.evidence
import ckpt2hf.report.parts
import ckpt2hf.report.report
import ckpt2hf.report.stages
from ckpt2hf.api import dialects
from ckpt2hf.cli.commands import app
from ckpt2hf.cli.dialects import dialects_app
from ckpt2hf.errors import Ckpt2hfError
from ckpt2hf.ir import FIELDS, accepts, choices, plain
from ckpt2hf.report.batch import BATCH_SCHEMA, Status
from ckpt2hf.report.report import SCHEMA
from dialect_pages import dialect_rows, every_dialect, plain_text, table
from vocabulary_page import vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
BEGIN = "<!-- From here on made by scripts/make_docs.py: change the code it describes, then run `make docs`. -->\n"
END = "<!-- To here. -->\n"
USUAL = {
    "layers": "12", "d_model": "768", "heads": "12", "head_dim": "64", "d_ff": "3072", "vocab": "32000",
    "context": "256", "norm_placement": "pre", "norm_eps": "1e-5", "activation": "gelu",
    "attention_scale": "'head_dim**-0.5'", "kv_heads": "4", "embed_rows": "32000", "head_rows": "32000",
    "experts": "8", "experts_per_token": "2", "position_scale": "1", "rope_layout": "halves", "rope_theta": "10000",
    "rope_dims": "64", "rope_scaling": "llama3:8,1,4,8192", "rope_local_theta": "10000", "layer_pattern": "sssssf",
    "sliding_window": "512", "embed_scale": "'d_model**0.5'", "logit_scale": "0.25", "logit_softcap": "15",
}  # fmt: skip
"""A value to show for each field that is not true or false."""


def main(arguments: Sequence[str]) -> int:
    """Write every page, or with `--check` compare: 1 when one is stale."""
    stale = False
    for name, text in pages().items():
        path = ROOT / name
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
        elif old != text:
            stale = True
            lines = (old.splitlines(keepends=True), text.splitlines(keepends=True))
            sys.stdout.writelines(difflib.unified_diff(*lines, name, f"{name} (as it should be: make docs)"))
    return int(stale)


def pages() -> dict[str, str]:
    """Every page with a generated part, as it should be, by its path in the repository."""
    parts = {
        "README.md": dialect_rows,
        "docs/batch-report.md": batch_report,
        "docs/cli.md": commands,
        "docs/dialect-file.md": dialect_file,
        "docs/dialects.md": every_dialect,
        "docs/errors.md": errors,
        "docs/facts.md": facts,
        "docs/report.md": report,
    }
    return {name: filled(name, part()) for name, part in parts.items()}


def filled(name: str, part: str) -> str:
    """The page with this text between its two marks. Raises ValueError for a page without marks."""
    head, begin, rest = (ROOT / name).read_text(encoding="utf-8").partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{name} has no lines {BEGIN.strip()} and {END.strip()}")
    return f"{head}{BEGIN}\n{part.strip()}\n\n{END}{tail}"


# --- the command line


def commands() -> str:
    """Every command with its arguments and options."""
    found = [(f"ckpt2hf {c.name or c.callback.__name__}", c.callback) for c in app.registered_commands if c.callback]
    group = dialects_app.registered_callback
    found += [("ckpt2hf dialects", group.callback)] if group and group.callback else []
    found += [(f"ckpt2hf dialects {c.name}", c.callback) for c in dialects_app.registered_commands if c.callback]
    return "\n".join(command_part(name, callback) for name, callback in found)


def command_part(name: str, callback: Callable[..., Any]) -> str:
    """One command: its purpose, then a table."""
    arguments, options = [], []
    hints = typing.get_type_hints(callback, include_extras=True)
    for parameter in inspect.signature(callback).parameters.values():
        hint = hints[parameter.name]
        info = next((extra for extra in getattr(hint, "__metadata__", ()) if hasattr(extra, "param_decls")), None)
        if info is None:
            continue
        if not isinstance(info, OptionInfo):
            arguments.append(f"{info.metavar}")
            options.append((f"`{info.metavar}`", "", info.help or ""))
            continue
        metavar = f" {words}" if (words := value_words(info, hint.__origin__)) else ""
        names = ", ".join(f"`{word}{metavar}`" if k == 0 else f"`{word}`" for k, word in enumerate(option_names(info)))
        options.append((names, default_of(parameter), info.help or ""))
    usage = " ".join([name, *arguments, "[OPTIONS]"])
    return f"## {name}\n\n{inspect.getdoc(callback)}\n\n    {usage}\n\n" + table(("", "default", ""), options)


def option_names(info: OptionInfo) -> list[str]:
    """The spellings; inside `Annotated`, typer keeps the first one where a default would be."""
    return [word for word in (info.default, *(info.param_decls or ())) if isinstance(word, str)]


def value_words(info: OptionInfo, kind: object) -> str:
    """What stands after an option: nothing for a switch."""
    if kind is bool:
        return ""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(member.value for member in kind)
    return info.metavar or ("N" if kind is int else "TEXT")


def default_of(parameter: inspect.Parameter) -> str:
    """The default, where there is one worth saying."""
    if parameter.default is inspect.Parameter.empty:
        return "required"
    value = parameter.default.value if isinstance(parameter.default, Enum) else parameter.default
    return "" if value is None or value is False else f"`{value}`"


# --- errors


def errors() -> str:
    """Every error with its code."""
    order = list(vars(ckpt2hf.errors))
    found = [kind for kind in vars(ckpt2hf.errors).values() if isinstance(kind, type)]
    kinds = sorted(
        (kind for kind in found if issubclass(kind, Ckpt2hfError) and kind is not Ckpt2hfError),
        key=lambda kind: order.index(kind.__name__),
    )
    rows = ((f"`{k.code}`", f"`{k.__name__}`", str(k.exit_code), k.__doc__ or "") for k in kinds)
    return table(("code", "exception", "exit", "meaning"), rows)


# --- the reports


def report() -> str:
    """The tree of conversion.json, from its root."""
    report = ckpt2hf.report
    return tree("Report", SCHEMA, report.report, report.parts, report.evidence, report.stages)


def batch_report() -> str:
    """The tree of batch.json, from its root, and the words it has for what became of a job."""
    words = table(("status", ""), ((f"`{value}`", said) for value, said in member_docs(Status)))
    return f"{tree('BatchReport', BATCH_SCHEMA, ckpt2hf.report.batch)}\n## Status\n\n{Status.__doc__}\n\n{words}"


def tree(root: str, schema: int, *modules: ModuleType) -> str:
    """Every dataclass of some modules, from its root."""
    kinds = {name: found for module in modules for name, found in field_docs(module).items() if found[1]}
    parts = [f"Version {schema} of the schema.\n"]
    for name, (doc, fields) in sorted(kinds.items(), key=lambda item: item[0] != root):
        rows = ((f"`{field}`", f"`{kind}`", said) for field, kind, said in fields)
        parts.append(f"## {name}\n\n{doc}\n\n{table(('field', 'type', ''), rows)}")
    return "\n".join(parts)


def field_docs(module: ModuleType) -> dict[str, tuple[str, list[tuple[str, str, str]]]]:
    """Of every dataclass: its docstring, its fields with type and the text below. Raises TypeError where none is."""
    found = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        fields = []
        for part, after in zip(node.body, [*node.body[1:], None], strict=True):
            if not isinstance(part, ast.AnnAssign):
                continue
            said = getattr(getattr(after, "value", None), "value", None)
            if not isinstance(said, str):
                raise TypeError(f"{node.name}.{ast.unparse(part.target)} has no text below it")
            fields.append((ast.unparse(part.target), ast.unparse(part.annotation), said))
        found[node.name] = (ast.get_docstring(node) or "", fields)
    return found


def member_docs(kind: type[Enum]) -> list[tuple[str, str]]:
    """Of every member of an enumeration: its value and the text below it. Raises TypeError where there is none."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    if not isinstance(body, ast.ClassDef):
        raise TypeError(f"{kind} is no class")
    said = [getattr(getattr(node, "value", None), "value", None) for node in body.body]
    texts = [text for text, before in zip(said[1:], body.body, strict=False) if isinstance(before, ast.Assign)]
    if len(texts) != len(kind) or not all(isinstance(text, str) for text in texts):
        raise TypeError(f"a member of {kind.__name__} has no text below it")
    return [(str(member.value), str(text)) for member, text in zip(kind, texts, strict=True)]


# --- dialect files


def dialect_file() -> str:
    """Every word of a dialect file."""
    d = ckpt2hf.dialects
    kinds = (d.schema, d.rule_entry, d.fact_source, d.saving)
    return vocabulary({name: doc for module in kinds for name, doc in field_docs(module).items()})


# --- facts


def facts() -> str:
    """Every field of the spec: meaning, spelling, sources."""
    said = {name: text for name, _, text in field_docs(ckpt2hf.ir.spec)["ModelSpec"][1]}
    rows = []
    for name in FIELDS:
        takes = plain_text(accepts(name))
        first = next((str(plain(choice)) for choice in choices(name)), "0").lower()
        value = USUAL.get(name, first)
        rows.append((f"`{name}`", said[name], takes, ", ".join(origins(name)), f"`--set {name}={value}`"))
    return table(("field", "meaning", "takes", "dialects look in", "spelling"), rows)


def origins(name: str) -> list[str]:
    """Where the built-in dialects look for a field."""
    words = {
        "count": "names", "shape": "shapes", "same": "tensors", "present": "names", "meta": "metadata",
        "side": "settings files", "module": "pickled module", "const": "dialect", "quotient": "other facts",
        "equals": "other facts", "angles": "tensors",
    }  # fmt: skip
    sources = (
        s for d in dialects() for layout in d.layout if not layout.refuse for s in layout.sources(name) if not s.ask
    )
    return list(dict.fromkeys(words[source.kind] for source in sources))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
