"""`ckpt2hf.toml`: every word, whom it is about, what comes first, and what is said about mistakes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt2hf.batch.gather import Said, gather
from ckpt2hf.errors import CheckpointError, FactsError, UsageError
from ckpt2hf.output import WeightFormat
from ckpt2hf.run import Request, plan, units
from ckpt2hf.run.patterns import Pattern, parts_of
from ckpt2hf.run.settings import Settings
from ckpt2hf.run.settings_file import read_settings
from ckpt2hf.run.settings_words import FileTable, words_of
from ckpt2hf.tensors import DType
from ckpt2hf.verify import Level

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.batch.job import Job

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "manifest.md").read_text(encoding="utf-8")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for path in ("a.pt", "b.pt", "big/one.pt", "big/two.pt", "big/train.pt", "old/c.pt"):
        (tmp_path / "runs" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "runs" / path).write_bytes(path.encode())
    return tmp_path / "runs"


def manifest(folder: Path, text: str, name: str = "ckpt2hf.toml") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def jobs(inputs: str, said: Said | None = None, **more: Any) -> dict[str, Job]:
    return {job.name: job for job in gather([inputs], Path(inputs).parent / "converted", said, **more).jobs}


def refusal(text: str, folder: Path) -> str:
    with pytest.raises(UsageError) as error:
        jobs(manifest(folder, text))
    assert "ckpt2hf.toml" in str(error.value)
    return str(error.value)


def test_every_word_reaches_the_job(runs: Path) -> None:
    text = """
        dialect = "nanogpt"
        weights_key = "ema.model"
        dtype = "bf16"
        verify = "bytes"
        formats = ["bin"]
        max_shard_size = "2GiB"
        allow_nonfinite = true
        timeout = "1h30m"
        retries = 0
        [set]
        heads = 6
        norm_eps = 1e-6
        qkv_bias = false
        bos_token_id = 0
        [batch]
        workers = 3
        memory = "8GB"
        grace = 0
    """
    path = manifest(runs, text)
    gathered = gather([path], runs / "converted")
    job = gathered.jobs[0]
    assert job.request == Request(
        source=runs / "a.pt",
        dialect="nanogpt",
        facts=("heads=6", "norm_eps=1e-06", "qkv_bias=false", "bos_token_id=0"),
        weights_key="ema.model",
        dtype=DType.BF16,
    )
    assert job.writing.out == runs / "converted" / "a"
    assert (job.writing.level, job.writing.formats) == (Level.BYTES, (WeightFormat.BIN,))
    assert (job.writing.max_shard_bytes, job.writing.allow_nonfinite, job.writing.force) == (2 << 30, True, False)
    assert (job.timeout, job.retries) == (5400, 0)
    assert (gathered.options.workers, gathered.options.memory, gathered.options.grace) == (3, 8 * 10**9, 0)


def test_what_nobody_says_has_a_default(runs: Path) -> None:
    gathered = gather([str(runs)], runs / "converted")
    job = gathered.jobs[0]
    assert job.request == Request(source=runs / "a.pt")
    assert (job.writing.level, job.writing.formats) == (Level.LOGITS, (WeightFormat.SAFETENSORS, WeightFormat.BIN))
    assert (job.timeout, job.retries, gathered.options.workers, gathered.options.memory) == (None, 2, 0, None)


def test_entries_override_and_facts_are_merged(runs: Path) -> None:
    text = """
        dialect = "nanogpt"
        [set]
        heads = 1
        vocab = 7
        [batch]
        [[checkpoint]]
        path = "big"
        verify = "bytes"
        set = { heads = 2, layers = 3 }
        [[checkpoint]]
        path = "big/t*.pt"
        set.heads = 4
        dialect = "mingpt"
    """
    made = jobs(manifest(runs, text))
    assert made["a"].request.facts == ("heads=1", "vocab=7")
    assert made["big/one"].request.facts == ("heads=2", "vocab=7", "layers=3")
    assert made["big/two"].request.facts == ("heads=4", "vocab=7", "layers=3")
    assert [made[n].request.dialect for n in ("a", "big/one", "big/two")] == ["nanogpt", "nanogpt", "mingpt"]
    assert [made[n].writing.level for n in ("a", "big/one", "big/two")] == [Level.LOGITS, Level.BYTES, Level.BYTES]


def test_who_comes_first(runs: Path) -> None:
    """The command line, an entry, the file beside the checkpoint, the top of the manifest."""
    top = '{}[set]\nheads = 1\nvocab = 1\nlayers = 1\ncontext = 1\n[batch]\n[[checkpoint]]\npath = "big/one.pt"\n{}'
    entry = "[checkpoint.set]\nheads = 3\nvocab = 3\n"
    manifest(runs / "big", "retries = 5\n[set]\nheads = 2\nvocab = 2\nlayers = 2\n")
    said = Said(settings=Settings(facts={"heads": "4"}), threads=2)
    made = jobs(manifest(runs, top.format("retries = 9\n", entry)), said)
    assert set(made["big/one"].request.facts) == {"heads=4", "vocab=3", "layers=2", "context=1"}
    assert set(made["big/two"].request.facts) == {"heads=4", "vocab=2", "layers=2", "context=1"}
    assert set(made["a"].request.facts) == {"heads=4", "vocab=1", "layers=1", "context=1"}
    assert (made["big/one"].retries, made["a"].retries) == (5, 9)
    assert made["a"].writing.threads == 2


def test_the_command_line_comes_first_for_the_batch_too(runs: Path) -> None:
    path = manifest(runs, "[batch]\nworkers = 3\ngrace = 20\n")
    options = gather([path], runs / "o", Said(workers=1, memory=5)).options
    assert (options.workers, options.memory, options.grace) == (1, 5, 20)


def test_manifests_that_disagree_are_refused_unless_the_command_line_decides(runs: Path) -> None:
    paths = [manifest(runs / "big", "[batch]\nworkers = 3"), manifest(runs / "old", "[batch]\nworkers = 4")]
    with pytest.raises(UsageError, match="disagree"):
        gather(paths, runs / "o")
    assert gather(paths, runs / "o", Said(workers=1)).options.workers == 1


def test_inputs_and_exclude(runs: Path) -> None:
    path = manifest(runs, '[batch]\ninputs = ["big", "*.pt"]\nexclude = ["two.*", "b.pt"]\n')
    assert list(jobs(path)) == ["a", "big/one"]
    assert list(jobs(path, exclude=["one.pt"])) == ["a"]
    why = {Path(s.path).name: s.why for s in gather([path], runs / "o").skipped}
    assert why["two.pt"] == "excluded by two.*"
    Path(path).unlink()
    assert list(jobs(str(runs), exclude=[f"{runs}/big", "old"])) == ["a", "b"]


def test_a_manifest_anywhere_looks_beside_itself(runs: Path) -> None:
    path = manifest(runs.parent, '[batch]\ninputs = ["runs/big", "runs/../runs/old/c.pt"]', "night.toml")
    assert list(jobs(path)) == ["runs/big/one", "runs/big/two", "runs/old/c"]


def test_inputs_outside_of_the_manifest_s_directory(runs: Path) -> None:
    path = manifest(
        runs / "old", '[batch]\ninputs = ["../big", "."]\n[[checkpoint]]\npath = "../big/one.pt"\nretries = 7'
    )
    made = jobs(path)
    assert {name: job.retries for name, job in made.items()} == {"big/one": 7, "big/two": 2, "old/c": 2}


def test_a_directory_with_a_manifest_is_that_manifest(runs: Path) -> None:
    manifest(runs, 'dialect = "mingpt"\n[batch]\ninputs = ["big"]')
    assert {name: job.request.dialect for name, job in jobs(str(runs)).items()} == {
        "big/one": "mingpt",
        "big/two": "mingpt",
    }


def test_a_file_of_settings_speaks_of_its_own_directory_only(runs: Path) -> None:
    manifest(runs, 'dialect = "mingpt"')
    assert {name: job.request.dialect for name, job in jobs(str(runs)).items()} == {
        "a": "mingpt",
        "b": "mingpt",
        "big/one": None,
        "big/two": None,
        "old/c": None,
    }


def test_an_entry_makes_a_checkpoint_of_what_its_name_denies(runs: Path) -> None:
    assert "big/train" not in jobs(manifest(runs, "[batch]"))
    made = jobs(manifest(runs, '[[checkpoint]]\npath = "big/train.pt"'))
    assert made["big/train"].request.source == runs / "big" / "train.pt"


def test_chosen_names(runs: Path) -> None:
    text = '[[checkpoint]]\npath = "big/one.pt"\nname = "a"\n[[checkpoint]]\npath = "big/two.pt"\nname = "x/y"\n'
    made = jobs(manifest(runs, text))
    assert {name: job.request.source.name for name, job in made.items()} == {
        "a": "one.pt",
        "a.pt": "a.pt",
        "b": "b.pt",
        "old/c": "c.pt",
        "x/y": "two.pt",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("heads = 6", "there is no word heads; it is a fact: write it below [set]"),
        ("workers = 6", "there is no word workers; it belongs below [batch]"),
        ('path = "a"', "there is no word path; it belongs below [[checkpoint]]"),
        ("[batch]\nretries = 6", "[batch]: there is no word retries; it belongs above [batch]"),
        ('[[checkpoint]]\npath = "a.pt"\nworkers = 1', "[[checkpoint]] 1 (a.pt): there is no word workers; it belongs"),
        ('[[checkpoint]]\npath = "a.pt"\nheads = 1', "write it below [checkpoint.set]"),
        ('tokens = "x"', "there is no word tokens"),
        ('dialct = "x"', "there is no word dialct; did you mean dialect?"),
        ("[set]\nhead = 6", "there is no fact called 'head'; did you mean heads?"),
        ('[set]\nheads = 6\ndtype = "bf16"', "dtype is no fact: it belongs above [set]"),
        ("[set]\nheads = 1.5", "heads takes a whole number"),
        ("set = 3", "takes a table"),
        ('dialect = "nanogtp"', "did you mean nanogpt?"),
        ("dialect = 3", "3 is none of affjljoo"),
        ('verify = "logit"', '"logit" is none of structure, bytes, logits; did you mean logits?'),
        ('dtype = "int8"', "float32, bfloat16, float16 or float64"),
        ('formats = ["gguf"]', "takes a list out of safetensors, bin"),
        ("formats = []", "takes a list out of safetensors, bin"),
        ("formats = [[]]", "takes a list out of safetensors, bin"),
        ('max_shard_size = "big"', "5GB, 500MiB or 1000"),
        ("max_shard_size = 0", "5GB, 500MiB or 1000"),
        ("max_shard_size = 1.5", 'such as "5GB"'),
        ('allow_nonfinite = "yes"', "takes true or false"),
        ('timeout = "soon"', "30m, 1h30m, 90s or 90"),
        ("timeout = 0", "30m, 1h30m, 90s or 90"),
        ("timeout = inf", "30m, 1h30m, 90s or 90"),
        ("timeout = true", 'such as "30m"'),
        ("retries = -1", "whole number from 0 on"),
        ("retries = true", "whole number from 0 on"),
        ("retries = 1000", "up to 100"),
        ("[batch]\nworkers = 1.5", "[batch]: workers: takes a whole number"),
        ("[batch]\ninputs = []", "at least one"),
        ("[batch]\ninputs = [3]", "text in quotes, not 3"),
        ("batch = 3", "batch must be written as [batch]"),
        ('[checkpoint]\npath = "a"', "checkpoint must be written as [[checkpoint]]"),
        ("checkpoint = [3]", "checkpoint must be written as [[checkpoint]]"),
        ("[[checkpoint]]\nretries = 1", "[[checkpoint]] 1: path is missing"),
        ('[[checkpoint]]\npath = ""', "text in quotes"),
        ('[[checkpoint]]\npath = "a.pt"\nname = "../x"', "takes a relative path"),
        ('[[checkpoint]]\npath = "a.pt"\nname = "/x"', "takes a relative path"),
        ('[[checkpoint]]\npath = "a.pt"\nname = ".x"', "takes a relative path"),
        ('[[checkpoint]]\npath = "a.pt"\nname = "x/"', "takes a relative path"),
        ('[[checkpoint]]\npath = "a.pt"\nname = "Batch.JSON"', "a batch keeps something of its own"),
        ('[[checkpoint]]\npath = "*.pt"\nname = "x"', "2 checkpoints cannot all be called x"),
        ('[[checkpoint]]\npath = "none.pt"', 'path = "none.pt": no checkpoint is there'),
        ('[[checkpoint]]\npath = "big/train*"', "no checkpoint is there"),
        ('[batch]\nexclude = ["a.pt"]\n[[checkpoint]]\npath = "a.pt"', "(excluded by a.pt)"),
        ('[batch]\ninputs = ["big"]\n[[checkpoint]]\npath = "a.pt"', "no checkpoint is there"),
        ('[batch]\ninputs = ["bog"]', "did you mean"),
        ('[batch]\ninputs = ["b.toml"]', "is a manifest itself"),
        ('[batch]\ninputs = ["bog/*.pt"]', "nothing fits bog/*.pt"),
        ("a = = 1", "line 1"),
    ],
)
def test_mistakes_are_told_with_their_remedy(text: str, said: str, runs: Path) -> None:
    message = " ".join(refusal(text, runs).split())
    assert said in message


def test_all_mistakes_are_told_at_once(runs: Path) -> None:
    text = (
        'verify = "x"\nbogus = 1\n[set]\nheadz = 1\nlayers = "x"\n[batch]\nworkers = -1\n[[checkpoint]]\nretries = -1\n'
    )
    with pytest.raises(UsageError) as error:
        jobs(manifest(runs, text))
    assert error.value.what == "7 problems are in ckpt2hf.toml"
    assert len(error.value.details) == 7
    assert any("max_shard_size" in remedy for remedy in error.value.remedies)


def test_chosen_names_that_exclude_each_other_are_refused(runs: Path) -> None:
    for one, two in (("x", "X"), ("x", "x/y"), ("x/y/z", "x")):
        text = f'[[checkpoint]]\npath = "a.pt"\nname = "{one}"\n[[checkpoint]]\npath = "b.pt"\nname = "{two}"\n'
        with pytest.raises(UsageError, match="two checkpoints cannot be called"):
            jobs(manifest(runs, text))


def test_broken_settings_beside_checkpoints_are_told_before_anything_runs(runs: Path) -> None:
    manifest(runs / "big", "bogus = 1")
    manifest(runs / "old", 'dialect = "x"')
    with pytest.raises(UsageError) as error:
        jobs(str(runs))
    assert len([line for line in error.value.details if line.endswith("ckpt2hf.toml:")]) == 2


def test_entries_for_thousands_of_checkpoints_are_looked_up(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(1500):
        (runs / f"n{k}.pt").touch()
    text = "".join(f'[[checkpoint]]\npath = "n{k}.pt"\nset.heads = {k + 1}\n' for k in range(1500))
    calls: list[int] = []
    matches = Pattern.matches
    monkeypatch.setattr(Pattern, "matches", lambda *args: calls.append(1) or matches(*args))
    made = jobs(manifest(runs, text))
    assert all(made[f"n{k}"].request.facts == (f"heads={k + 1}",) for k in range(1500))
    assert not calls


# The same file beside a checkpoint that is converted alone


def test_convert_obeys_a_manifest_beside_its_checkpoint(golden: Callable[[str], Any], tmp_path: Path) -> None:
    for name in ("one.pt", "two.pt"):
        (tmp_path / name).write_bytes(golden("nanogpt_nobias_raw").path.read_bytes())
    text = """
        dialect = "nanogpt"
        dtype = "bf16"
        [set]
        activation = "gelu"
        heads = 3
        [batch]
        inputs = ["nowhere"]
        workers = 2
        [[checkpoint]]
        path = "two.pt"
        set.heads = 6
    """
    manifest(tmp_path, text)
    assert plan(Request(source=tmp_path / "one.pt")).spec.heads == 3
    made = plan(Request(source=tmp_path / "two.pt"))
    assert made.spec.heads == 6
    assert made.candidate.resolution.facts["heads"].where == "ckpt2hf.toml: heads"
    assert {str(tensor.meta.dtype.torch_name) for tensor in made.tensors.values()} == {"bfloat16"}
    assert plan(Request(source=tmp_path / "two.pt", facts=("heads=2",))).spec.heads == 2


def test_an_entry_reaches_a_checkpoint_that_is_named_by_its_directory(
    golden: Callable[[str], Any], tmp_path: Path
) -> None:
    (tmp_path / "ckpt.pt").write_bytes(golden("nanogpt_nobias_raw").path.read_bytes())
    manifest(tmp_path, 'dialect = "nanogpt"\nset.activation = "gelu"\n[[checkpoint]]\npath = "ckpt.pt"\nset.heads = 6')
    assert plan(Request(source=tmp_path)).spec.heads == 6
    manifest(tmp_path, 'dialect = "nanogpt"\nset.activation = "gelu"\n[[checkpoint]]\npath = "other.pt"\nset.heads = 6')
    with pytest.raises(FactsError):
        plan(Request(source=tmp_path))


def test_the_weights_key_of_the_file_counts(golden: Callable[[str], Any], tmp_path: Path) -> None:
    (tmp_path / "ckpt.pt").write_bytes(golden("nanogpt_bias").path.read_bytes())
    manifest(tmp_path, 'weights_key = "nothing.here"')
    with pytest.raises((UsageError, CheckpointError), match=r"nothing\.here"):
        plan(Request(source=tmp_path / "ckpt.pt", facts=("activation=gelu",)))


# Sizes, times, types


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5GB", 5 * 10**9), ("1.5 KiB", 1536), ("500mb", 5 * 10**8), (1000, 1000), ("7", 7), ("2T", 2 * 10**12)],
)
def test_sizes(text: str | int, expected: int) -> None:
    assert units.byte_count(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("90s", 90), (0.5, 0.5), ("1.5m", 90), ("1h30m", 5400), ("1d 2h", 93600), (3600, 3600), ("2H", 7200)],
)
def test_times(text: str | float, expected: float) -> None:
    assert units.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "0", "-1", "h", "5 5", "5x", "nan", "inf", "1m1h", "0GB", "0.1"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="a size is written like"):
        units.byte_count(text)


@pytest.mark.parametrize("text", ["", "0", "-1", "h", "5 5", "5x", "nan", "inf", "1m1h"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="a time is written like"):
        units.seconds(text)


def test_types() -> None:
    assert {units.number_type(name) for name in ("bf16", "BFloat16", "torch.bfloat16")} == {DType.BF16}


# Patterns

SIGNS = st.text("ab*?", min_size=1, max_size=3)


@given(
    st.lists(st.one_of(SIGNS, st.just("**")), min_size=1, max_size=4),
    st.lists(st.text("ab", min_size=1, max_size=2), max_size=4),
)
def test_a_pattern_fits_what_the_regular_expression_fits(parts: list[str], path: list[str]) -> None:
    def piece(part: str) -> str:
        return re.sub(r"\*+", "[^/]*", part).replace("?", "[^/]")

    expression = "".join("(?:[^/]+/)*" if part == "**" else f"{piece(part)}/" for part in parts)
    pattern = Pattern.of("/".join(["/r", *parts]), Path("/"))
    expected = re.match(rf"r/{expression}(?:.*)$", "/".join(["r", *path]) + "/") is not None
    assert pattern.matches(("r", *path)) == expected
    if expected:
        assert all(
            pattern.leads_to(("r", *path)[:end]) or pattern.matches(("r", *path)[:end]) for end in range(len(path) + 2)
        )


def test_names_that_look_like_patterns_are_taken_literally_too() -> None:
    assert Pattern.of("[x]/a.pt", Path("/r")).matches(("r", "[x]", "a.pt"))
    assert Pattern.of("[x]/a.pt", Path("/r")).matches(("r", "x", "a.pt"))
    assert parts_of(Path("/r/../s/./t")) == ("s", "t")


# The page


def test_the_examples_of_the_page_are_valid(tmp_path: Path) -> None:
    examples = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) >= 4
    for text in examples:
        assert tomllib.loads(text)
        read_settings(Path(manifest(tmp_path, text)))


def test_the_page_tells_every_word() -> None:
    for table in (FileTable, *(each for each in FileTable.__subclasses__())):
        assert all(f"`{word}`" in PAGE or f"`[{word}]`" in PAGE or f"`[[{word}]]`" in PAGE for word in words_of(table))
