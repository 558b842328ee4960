"""`generate` and `eval` as a person meets them: streams, terminals, pipes, signals, other interpreters."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckpt2hf.cli import show_speech
from ckpt2hf.cli.remedies import whole_commands
from evaluate.conftest import COMMAND, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow  # each run imports transformers

NANOCHAT = """
import sys, torch
from transformers import NanoChatConfig, NanoChatForCausalLM
torch.manual_seed(0)
none = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
sizes = {"vocab_size": 97, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 48}
model = NanoChatForCausalLM(NanoChatConfig(**sizes, **heads, **none)).eval()
model.save_pretrained(sys.argv[1])
ids = torch.arange(0, 97)[None, :49]
with torch.no_grad():
    print(torch.nn.functional.cross_entropy(model(ids[:, :-1]).logits[0], ids[0, 1:]).item())
    print(model.generate(ids[:, 5:8], max_new_tokens=6, do_sample=False)[0, 3:].tolist())
"""


def test_text_goes_to_stdout_and_talk_to_stderr(mini: Path, cli: Callable[..., Any]) -> None:
    done = cli("generate", mini, "Bu gün hava", "-", "--max-new-tokens", "8", given="Yanvar\n")
    assert done.returncode == 0, done.stderr
    first, empty, second = done.stdout.splitlines()
    assert first.startswith("Bu gün hava soyuq")
    assert empty == ""
    assert second.startswith("Yanvar ")
    told = done.stderr.splitlines()
    assert told == ["ckpt2hf: read", *["ckpt2hf: 8 tokens, as many as --max-new-tokens allows"] * 2]
    quiet = cli("generate", mini, "Bu gün hava", "Yanvar", "--max-new-tokens", "8", "-q")
    assert (quiet.stdout, quiet.stderr) == (done.stdout, "")


def test_generate_as_json(mini: Path, cli: Callable[..., Any]) -> None:
    done = cli("generate", mini, "Bu gün 日", "--json", "--temperature", "0.7", "--seed", "2", "--max-new-tokens", "5")
    assert done.returncode == 0
    (one,) = json.loads(done.stdout)
    assert one.keys() == {"prompt", "text", "prompt_ids", "ids", "stopped"}
    assert (one["prompt"], one["stopped"], len(one["ids"])) == ("Bu gün 日", "length", 5)
    assert done.stderr == "ckpt2hf: the tokenizer does not know '日': read as [UNK]\n"


def test_ids_without_a_tokenizer(bare: Path, cli: Callable[..., Any]) -> None:
    done = cli("generate", bare, "--ids", "5 17 3", "--max-new-tokens", "4")
    assert done.returncode == 0
    assert done.stdout.startswith("5 17 3 ")
    assert len(done.stdout.split()) == 7


def test_eval_on_stdout(mini: Path, example: Path, cli: Callable[..., Any]) -> None:
    words = ("eval", mini, "--tokens", example / "heldout.npy")
    done = cli(*words)
    assert done.returncode == 0, done.stderr
    assert "loss      0.450263 nats per token  +- 0.009135 (standard error over windows)" in done.stdout
    assert "8,064 tokens predicted in 128 stretches" in done.stdout
    assert "128 of up to 64 tokens, not overlapping; the first token of each stretch is not predicted" in done.stdout
    assert "bits per byte, over 33,332 bytes" in done.stdout
    assert done.stderr.splitlines() == ["ckpt2hf: read", "ckpt2hf: predict"]
    as_json = cli(*words, "--json", "--max-tokens", "63", "--stride", "20")
    assert as_json.stderr == ""
    found = json.loads(as_json.stdout)
    assert (found["tokens"], found["windows"], found["stride"], found["standard_error"]) == (63, 1, 20, None)


def test_refusals_end_with_what_helps(mini: Path, bare: Path, example: Path, cli: Callable[..., Any]) -> None:
    for words, said in (
        (("generate", bare, "a"), "--ids '5 17 3'"),
        (("generate", mini, "a", "--seed", "3"), f"ckpt2hf generate {mini} a --seed 3 --temperature 0.8"),
        (("generate", mini, "-", "-"), "'-' stands there twice"),
        (("eval", mini), f"ckpt2hf eval {mini} --text FILE"),
        (("eval", mini, "--tokens", example / "heldout.npy", "--stride", "65"), "--stride 32"),
        (("eval", bare, "--text", example / "README.md"), "token ids after --tokens, in place of a text"),
    ):
        done = cli(*words)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr


def test_a_remedy_takes_the_place_of_what_was_wrong() -> None:
    words = ["eval", "DIR", "--tokens", "x.bin", "--stride", "99"]
    (told,) = whole_commands(["--stride 32"], words, replaceable_only=True)
    assert told[0] == "ckpt2hf eval DIR --tokens x.bin --stride 32"


class Terminal:
    """A command on a terminal of its own, and what it has shown so far."""

    def __init__(self, *words: object) -> None:
        self.number, other = pty.openpty()
        self.process = subprocess.Popen(
            [COMMAND, *map(str, words)], stdin=other, stdout=other, stderr=other, env=environment(), close_fds=True
        )
        os.close(other)
        self.shown = ""

    def until(self, text: str, seconds: float = 60) -> str:
        """Everything shown until a text appears, or until it ends."""
        end = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < end, self.shown[-200:]
            if select.select([self.number], [], [], 0.1)[0]:
                try:
                    data = os.read(self.number, 4096)
                except OSError:  # how Linux says that nobody has the other side open
                    break
                self.shown += data.decode("utf-8", "replace")
        return self.shown

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.number)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def begin(*words: object) -> Terminal:
        opened.append(Terminal(*words))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


def test_on_a_terminal_the_bar_is_gone_before_the_text(mini: Path, terminal: Callable[..., Terminal]) -> None:
    on = terminal("generate", mini, "Bu gün hava", "--max-new-tokens", "5")
    shown = on.until("--max-new-tokens allows")
    assert "read" in shown
    text = shown.partition("Bu gün hava")[2]
    assert text.startswith(" soyuq")
    assert "read" not in text
    assert "━" not in text


def test_a_prompt_is_typed(mini: Path, terminal: Callable[..., Terminal]) -> None:
    on = terminal("generate", mini, "-", "--max-new-tokens", "3")
    on.until("type the prompt, then Enter and Ctrl-D")
    os.write(on.number, b"Yanvar\n\x04")
    on.until("--max-new-tokens allows")
    assert on.process.wait(30) == 0


def test_eval_shows_a_bar_of_tokens(mini: Path, tmp_path: Path, terminal: Callable[..., Terminal]) -> None:
    np.save(tmp_path / "long.npy", np.arange(200_000) % 768)
    on = terminal("eval", mini, "--tokens", tmp_path / "long.npy", "--stride", "8")
    on.until("of 199,999 tokens")
    on.process.send_signal(signal.SIGINT)  # the terminal is not its controlling one, so Ctrl-C would be a letter
    assert "ckpt2hf: stopped" in on.until("stopped")
    assert on.process.wait(30) == 130


def test_a_signal_stops_it(mini: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "long.npy", np.arange(2_000_000) % 768)
    words = [COMMAND, "eval", mini, "--tokens", tmp_path / "long.npy", "--stride", "1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()) as run:
        assert run.stderr
        while run.stderr.readline() != "ckpt2hf: predict\n":
            assert run.poll() is None
        run.send_signal(signal.SIGTERM)
        out, err = run.communicate()
    assert (run.returncode, out) == (143, "")
    assert "ckpt2hf: stopped" in err


def test_a_reader_that_goes_away_ends_it(mini: Path) -> None:
    words = [COMMAND, "generate", mini, "Bu gün", "Yanvar", "--max-new-tokens", "50"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()) as run:
        assert run.stdout
        assert run.stderr
        run.stdout.close()
        assert run.stderr.read() == "ckpt2hf: read\n"
        assert run.wait() == 0


def test_a_terminal_is_not_given_what_would_command_it(monkeypatch: pytest.MonkeyPatch) -> None:
    wild = "\x1b[2J\x9b1mə\r\x07\n\tş日"
    for terminal, expected in ((True, "�[2J�1mə��\n\tş日"), (False, wild)):
        written: list[str] = []
        monkeypatch.setattr(show_speech.sys.stdout, "isatty", lambda terminal=terminal: terminal, raising=False)
        monkeypatch.setattr(show_speech, "write", lambda text, written=written: written.append(text) or True)
        show_speech.say(wild)
        assert "".join(written) == expected


@pytest.mark.transformers5
def test_a_class_of_transformers_5_is_asked_elsewhere(python_5x: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    made = subprocess.run(
        [python_5x, "-W", "ignore", "-c", NANOCHAT, tmp_path / "nano"], capture_output=True, text=True, check=True
    )
    loss, ids = made.stdout.splitlines()[-2:]
    np.save(tmp_path / "ids.npy", np.arange(49))
    for words in (("generate", "nano", "5 6 7", "--ids"), ("eval", "nano", "--tokens", "ids.npy")):
        refused = cli(*words)
        assert refused.returncode == 2
        assert "NanoChatForCausalLM needs transformers 5.0 or later" in refused.stderr
        assert "--python-5x" in refused.stderr
    words = ("--python-5x", python_5x)
    spoken = cli("generate", "nano", "5 6 7", "--ids", "--max-new-tokens", "6", "--json", *words)
    assert json.loads(spoken.stdout)[0]["ids"] == json.loads(ids), spoken.stderr
    measured = cli("eval", "nano", "--tokens", "ids.npy", "--json", *words)
    assert json.loads(measured.stdout)["loss"] == pytest.approx(float(loss), abs=1e-6)
    assert json.loads(measured.stdout)["hf_class"] == "NanoChatForCausalLM"


def test_an_interpreter_that_is_none(tmp_path: Path, cli: Callable[..., Any]) -> None:
    (tmp_path / "nano").mkdir()
    (tmp_path / "nano" / "config.json").write_text('{"architectures": ["NanoChatForCausalLM"]}')
    for python, code, said in (
        ("gone", 2, "gone is no interpreter that can be run"),
        ("/bin/false", 1, "/bin/false gave no answer, and ended with status 1"),
        ("/bin/echo", 1, "/bin/echo gave no answer, and ended with status 0"),
    ):
        done = cli("generate", "nano", "--ids", "5", "--python-5x", python)
        assert (done.returncode, done.stdout) == (code, "")
        assert said in done.stderr
