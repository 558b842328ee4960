"""`speaker` against transformers' own generation; text that comes in pieces; prompts that cannot be read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import GPT2Config, GPT2LMHeadModel, OpenAIGPTConfig, OpenAIGPTLMHeadModel

from ckpt2hf.api import Sampling, Speech, Spoken, Stop, speaker
from ckpt2hf.errors import NotFoundError, TokenizerError, UsageError
from evaluate.conftest import byte_level, with_tokenizer

if TYPE_CHECKING:
    from pathlib import Path


def spoken(directory: Path, *prompts: str, **more: Any) -> list[Spoken]:
    with speaker(Speech(directory=directory, prompts=prompts, **more)) as ready:
        return [ready.speak(prompt) for prompt in ready.prompts]


def by_transformers(model: Any, ids: list[int], count: int) -> list[int]:
    given = torch.tensor([ids])
    settings = {"max_new_tokens": count, "do_sample": False, "pad_token_id": 0}
    found = model.generate(given, attention_mask=torch.ones_like(given), **settings)
    return list(found[0, len(ids) :].tolist())


def test_greedy_is_what_transformers_generates(mini: Path, hf: Any) -> None:
    found = spoken(mini, "Bu gün hava", "The cow eats", "Yanvar", most=40)
    for one in found:
        assert list(one.ids) == by_transformers(hf, list(one.prompt_ids), 40)
        assert one.stop is Stop.LENGTH
    assert found[0].text.startswith(" soyuq")


@pytest.mark.parametrize(("kind", "config"), [(GPT2LMHeadModel, GPT2Config), (OpenAIGPTLMHeadModel, OpenAIGPTConfig)])
def test_with_and_without_a_cache(kind: Any, config: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    made = config(vocab_size=61, n_positions=24, n_embd=24, n_layer=2, n_head=3, bos_token_id=None, eos_token_id=None)
    model = kind(made).eval()
    for parameter in model.parameters():
        parameter.data *= 8  # so that what comes next depends on everything before
    model.save_pretrained(tmp_path / "model")
    first, second = spoken(tmp_path / "model", "5 17 3", "8", as_ids=True, most=20)
    assert list(first.ids) == by_transformers(model, [5, 17, 3], 20)
    assert list(second.ids) == by_transformers(model, [8], 20)
    assert len(set(first.ids)) > 2


def test_it_ends_where_the_context_is_full(mini: Path) -> None:
    (one,) = spoken(mini, "Bu gün hava", most=1000)
    assert one.stop is Stop.CONTEXT
    assert len(one.prompt_ids) + len(one.ids) == 64 + 1


@pytest.mark.parametrize("several", [False, True])
def test_it_ends_with_the_token_that_ends_a_text_and_does_not_show_it(several: bool, changed: Path) -> None:
    (free,) = spoken(changed, "Bu gün hava", most=20)
    last = free.ids[7]
    path = changed / "generation_config.json"
    path.write_text(json.dumps({"eos_token_id": [767, last] if several else last}))
    (one,) = spoken(changed, "Bu gün hava", most=20)
    assert one.stop is Stop.END
    assert one.ids == free.ids[: free.ids.index(last) + 1]
    assert free.text.startswith(one.text)
    assert len(one.text) < len(free.text)


def test_the_same_seed_gives_the_same_text_wherever_the_prompt_stands(mini: Path) -> None:
    drawn = Sampling(0.9, top_k=40, top_p=0.95, seed=3)
    one, other, again = spoken(mini, "Yanvar", "Bu gün", "Yanvar", sampling=drawn, most=20)
    assert one == again
    assert one != other
    seeds = {spoken(mini, "Yanvar", sampling=Sampling(0.9, seed=seed), most=20)[0].ids for seed in range(4)}
    assert len(seeds) > 1


def test_pieces_are_the_text_and_no_letter_is_cut(changed: Path) -> None:
    with_tokenizer(changed, byte_level())
    with speaker(Speech(directory=changed, prompts=("ab",), most=60, sampling=Sampling(50.0, seed=1))) as ready:
        pieces: list[str] = []
        made = ready.speak(ready.prompts[0], pieces.append)
    assert "".join(pieces) == made.text
    assert len(pieces) > 10


def test_letters_of_several_tokens_come_whole(changed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_tokenizer(changed, byte_level())
    wanted = byte_level().encode("əşü日").ids
    monkeypatch.setattr("ckpt2hf.run.generate.continuation", lambda *_: iter(wanted))
    with speaker(Speech(directory=changed, prompts=("a",), most=len(wanted))) as ready:
        pieces: list[str] = []
        made = ready.speak(ready.prompts[0], pieces.append)
    assert [piece for piece in pieces if piece] == ["ə", "ş", "ü", "日"]
    assert made.text == "əşü日"


def test_a_letter_that_never_ends_is_said_in_the_end(changed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_tokenizer(changed, byte_level())
    wanted = byte_level().encode("日").ids[:2]
    monkeypatch.setattr("ckpt2hf.run.generate.continuation", lambda *_: iter(wanted))
    with speaker(Speech(directory=changed, prompts=("a",), most=2)) as ready:
        pieces: list[str] = []
        ready.speak(ready.prompts[0], pieces.append)
    assert "".join(pieces) == "\N{REPLACEMENT CHARACTER}"


def with_frame(directory: Path, example: Path) -> Path:
    """The directory with a tokenizer that puts [CLS] before a text and [SEP] after it."""
    tokenizer = Tokenizer.from_file(str(example / "tokenizer.json"))
    ids = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ids)
    return with_tokenizer(directory, tokenizer, bos_token="[CLS]", eos_token="[SEP]")  # noqa: S106 - no passwords


def test_what_ends_a_text_is_not_put_behind_a_prompt(mini: Path, changed: Path, example: Path) -> None:
    with_frame(changed, example)
    framed, empty = spoken(changed, "Bu gün", "", most=3)
    (plain,) = spoken(mini, "Bu gün", most=3)
    cls = Tokenizer.from_file(str(example / "tokenizer.json")).token_to_id("[CLS]")
    assert framed.prompt_ids == (cls, *plain.prompt_ids)
    assert empty.prompt_ids == (cls,)


def test_an_unknown_character_is_told_or_refused(mini: Path, changed: Path) -> None:
    with speaker(Speech(directory=mini, prompts=("日 hava", "hava"))) as ready:
        assert [prompt.note for prompt in ready.prompts] == ["the tokenizer does not know '日': read as [UNK]", ""]
    table = Tokenizer(models.WordLevel({letter: k for k, letter in enumerate("abc ")}, unk_token="<unk>"))  # noqa: S106
    table.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    table.decoder = decoders.Fuse()
    with_tokenizer(changed, table)
    with pytest.raises(TokenizerError, match="has no token for 'ə'") as caught:
        spoken(changed, "abc əb")
    assert caught.value.remedies
    letters = Tokenizer(models.BPE({letter: k for k, letter in enumerate("abc")}, []))
    with_tokenizer(changed, letters)
    with pytest.raises(TokenizerError, match="has no token for 'ş', 'ə'"):
        spoken(changed, "aşbəc")


@pytest.mark.parametrize(
    ("prompt", "more", "what"),
    [
        ("", {}, "the prompt is empty, and the tokenizer has no token that begins a text"),
        ("   ", {}, "the prompt is empty"),
        ("Bu gün " * 70, {}, "tokens, and the model reads 64 at most"),
        ("5 768", {"as_ids": True}, "the token id 768 is outside the vocabulary of 768"),
        ("5 -1", {"as_ids": True}, "a prompt is token ids"),
        ("", {"as_ids": True}, "a prompt is token ids"),
        ("5 ٣", {"as_ids": True}, "a prompt is token ids"),
        ("a", {"most": 0}, "--max-new-tokens is 1 at least"),
        ("a", {"sampling": Sampling(-1.0)}, "--temperature is 0 or more"),
        ("a", {"sampling": Sampling(float("nan"))}, "--temperature is 0 or more"),
        ("a", {"sampling": Sampling(1.0, top_k=0)}, "--top-k is 1 at least"),
        ("a", {"sampling": Sampling(1.0, top_p=0.0)}, "--top-p is above 0"),
        ("a", {"sampling": Sampling(1.0, top_p=1.5)}, "--top-p is above 0"),
        ("a", {"sampling": Sampling(1.0, seed=-1)}, "--seed is 0 or more"),
    ],
)
def test_what_cannot_be_continued_is_refused(prompt: str, more: dict[str, Any], what: str, mini: Path) -> None:
    with pytest.raises(UsageError) as caught:
        spoken(mini, prompt, **more)
    assert what in str(caught.value)


def test_ids_in_the_forms_that_people_have(bare: Path) -> None:
    spaces, commas = spoken(bare, "5 17 3", "5, 17,3", as_ids=True, most=4)
    assert spaces.ids == commas.ids
    assert spaces.text == "".join(f" {number}" for number in spaces.ids)


def test_directories_that_cannot_speak(bare: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no tokenizer in the directory") as caught:
        spoken(bare, "Bu gün")
    assert any(remedy.startswith("--ids") for remedy in caught.value.remedies)
    with pytest.raises(NotFoundError, match="there is no directory"):
        spoken(tmp_path / "gone", "a")
    (tmp_path / "ckpt.pt").write_bytes(b"")
    with pytest.raises(UsageError, match=r"ckpt.pt is a file, not a Hugging Face directory"):
        spoken(tmp_path / "ckpt.pt", "a")
