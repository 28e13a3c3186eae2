"""Transcripts: what is shown of a kept episode is what was said, earned and trained."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from faithful_templates import EMPTY_THOUGHTS
from rich.console import Console
from scenarios_runs import TINY, command, write_scenario

from peripatos.agents.language import tiny_llama
from peripatos.agents.language.tiny_llama import byte_tokenizer
from peripatos.envs.errors import UserError
from peripatos.envs.vocabulary import Episode, Seen, StopReason
from peripatos.scenarios.report.terminal import color, print_transcript
from peripatos.scenarios.report.transcript import Line, Token, Transcript, read_transcript, replies, spell

TALK = """\
name: talk
seed: 4
world: {id: peripatos/ToolMaths-v0, options: {digits: 1, operators: ["+"], weights: {length: 0.125}}}
agent: {kind: tiny_llama, hidden: 32, layers: 1, heads: 2}
sampling: {max_tokens: 8, temperature: 0.8}
stages:
  - name: imitate
    method: sft
    demonstrations: {agent: {kind: oracle}}
    collect: {groups: 4}
    budget: {updates: 1}
  - name: reinforce
    method: grpo
    collect: {groups: 3, group_size: 4}
    budget: {updates: 2}
evaluation: {every: 1, episodes: 2}
checkpoint: {every: 1}
log: {episodes: 6}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("talk")
    assert command("run", write_scenario(folder, TALK), "--out", folder / "run", "-q") == 0
    return folder / "run"


def shown(transcript: Transcript, *, colors: bool) -> str:
    system = "truecolor" if colors else None
    console = Console(file=io.StringIO(), width=110, markup=False, highlight=False, color_system=system)
    console._force_terminal = colors
    print_transcript(transcript, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def kept(run: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (run / "episodes" / f"{name}.jsonl").read_text().splitlines()]


def test_a_token_has_the_advantage_of_its_episode_within_the_whole_group(run: Path) -> None:
    rewards = [row["reward"] for row in kept(run, "000003-train")[:4]]
    mean = sum(rewards) / 4
    deviation = (sum((r - mean) ** 2 for r in rewards) / 3) ** 0.5
    assert deviation > 0
    for place, reward in enumerate(rewards):
        transcript = read_transcript(run, place)
        (value,) = {token.value for line in transcript.lines for token in line.tokens}
        assert value == pytest.approx((reward - mean) / (deviation + 1e-6), rel=1e-5)
        assert (transcript.measure, transcript.episode.group) == ("advantage", 3)


def test_the_advantage_is_known_though_only_a_part_of_the_group_was_kept(run: Path) -> None:
    transcript = read_transcript(run, 4)  # the group has four members, of which two were kept
    assert transcript.measure == "advantage"
    assert len({token.value for line in transcript.lines for token in line.tokens}) == 1


def test_an_episode_that_nobody_learned_from_shows_the_sign_of_its_reward(run: Path) -> None:
    transcript = read_transcript(run, split="test")
    assert (transcript.measure, "nobody learned from" in transcript.basis) == ("sign", True)
    (value,) = {token.value for line in transcript.lines for token in line.tokens}
    assert value == -1.0  # every token costs, and nothing was right


def test_weights_of_a_first_on_policy_pass_are_the_advantages(run: Path) -> None:
    weights, advantages = (
        [token.value for line in read_transcript(run, 1, by=by).lines for token in line.tokens]
        for by in ("weight", "advantage")
    )
    assert weights == pytest.approx(advantages, rel=1e-4)
    entropy = [token.value for line in read_transcript(run, 1, by="entropy").lines for token in line.tokens]
    assert all(value is not None and value > 0 for value in entropy)


def test_without_a_critic_no_value_is_kept_or_shown(run: Path) -> None:
    (learned, *_) = kept(run, "000002-train")[1]["learned"]
    assert set(learned["value"]) == {None}
    with pytest.raises(UserError, match=r"--by value shows what a critic says, and no stage of .* has one; allowed"):
        read_transcript(run, 1, by="value")


def test_demonstrations_show_calls_results_rewards_and_weight_one(run: Path) -> None:
    transcript = read_transcript(run, 0, update=1)
    assert [line.role for line in transcript.lines] == ["user", "assistant", "tool", "assistant"]
    call, result, answer = transcript.lines[1:]
    assert (call.turn, call.calls, result.name) == (0, ("calculator",), "calculator")
    assert (answer.turn, answer.calls) == (1, ())
    assert answer.reward == pytest.approx(1.1 - 0.125 * len(answer.tokens))
    assert {token.value for line in transcript.lines for token in line.tokens} == {1.0}
    text = shown(transcript, colors=False)
    assert "turn 0: reward " in text
    assert "calls calculator" in text
    assert "advantage +1" in text
    assert "\x1b" not in text


def test_the_tokens_of_a_turn_spell_what_was_said_with_its_stop_token(run: Path) -> None:
    for place in range(6):
        for line in read_transcript(run, place).lines:
            spelled = "".join(token.text for token in line.tokens)
            assert spelled.removesuffix("<|end|>") == (line.text if line.tokens else "")


def test_the_gap_is_nothing_for_the_policy_that_sampled(run: Path) -> None:
    transcript = read_transcript(run, 1, by="gap")
    gaps = [token.value for line in transcript.lines for token in line.tokens]
    assert gaps
    assert max(abs(gap) for gap in gaps if gap is not None) < 1e-5


def test_log_probabilities_are_those_of_the_sampler(run: Path) -> None:
    row = kept(run, "000003-train")[2]
    tokens = [token for line in read_transcript(run, 2, by="logp").lines for token in line.tokens]
    assert [token.value for token in tokens] == [
        logp for logp, chosen in zip(row["behavior_logp"], row["mask"], strict=True) if chosen
    ]


def test_json_holds_every_token(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("show", run, "--episode", 1, "--json") == 0
    data, row = json.loads(capsys.readouterr().out), kept(run, "000003-train")[1]
    ids = [token["id"] for line in data["lines"] for token in line["tokens"]]
    assert ids == [id_ for id_, chosen in zip(row["tokens"], row["mask"], strict=True) if chosen]
    assert (data["reward"], data["stop_reason"], data["measure"]) == (row["reward"], row["stop_reason"], "advantage")


def test_no_color_is_respected_and_the_numbers_stay(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transcript = read_transcript(run, 0)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "48;2;" not in shown(transcript, colors=True)
    monkeypatch.delenv("NO_COLOR")
    assert "48;2;" in shown(transcript, colors=True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--episode", 6], "of update 3 there are 6 train episodes, numbered 0 to 5"),
        (["--update", 9], "they were after the updates 0, 1, 2, 3"),
        (["--by", "gpa"], "Did you mean 'gap'?"),
        (["--split", "tset"], "Did you mean 'test'?"),
        (["--update", 1, "--by", "gap"], "were written and not sampled"),
        (["--split", "test", "--by", "gap"], "nobody learned from an episode of an evaluation"),
    ],
)
def test_what_is_not_there_is_named(
    run: Path, arguments: list[object], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("show", run, *arguments) == 2
    assert expected in capsys.readouterr().err


def test_an_episode_without_words_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = TINY.replace("updates: 12", "updates: 1")
    assert command("run", write_scenario(tmp_path, text), "--out", tmp_path / "run", "-q") == 0
    assert command("show", tmp_path / "run") == 2
    assert "is not made of words, but of" in capsys.readouterr().err


def episode_of(mask: str, turns: int, rewards: tuple[float, ...] = (), failure: str | None = None) -> Episode:
    chosen = tuple(letter == "x" for letter in mask)
    record = Episode(group=0, index=0, seed=0, version=0, split="train", reward=sum(rewards), turns=turns)
    tokens, logp = tuple(range(len(mask))), tuple(-0.5 * c for c in chosen)
    return replace(record, tokens=tokens, mask=chosen, behavior_logp=logp, turn_rewards=rewards, failure=failure)


def with_earlier(episode: Episode, *masks: str) -> Episode:
    earlier = []
    for mask in masks:
        chosen = [letter == "x" for letter in mask]
        earlier.append(Seen(tokens=list(range(len(mask))), mask=chosen, behavior_logp=[-0.25 * c for c in chosen]))
    return replace(episode, earlier=tuple(earlier))


def test_replies_are_found_in_the_mask_and_numbered_from_the_last_turn() -> None:
    assert replies(episode_of("..xx..xxx", 2)) == {0: (0, range(2, 4)), 1: (0, range(6, 9))}
    cut = episode_of("..xx..xxx..", 2)  # before the next reply
    assert replies(cut) == {0: (0, range(2, 4)), 1: (0, range(6, 9))}
    unanswered = episode_of("..xx..xxx", 1, failure="no answer")
    assert replies(unanswered) == {0: (0, range(2, 4)), 1: (0, range(6, 9))}
    assert replies(episode_of("..", 0)) == {}
    assert replies(episode_of("...xx", 3)) == {2: (0, range(3, 5))}  # a record without its earlier sequences


def test_replies_of_turns_that_were_rewritten_are_found_in_the_sequence_in_which_they_were_sampled() -> None:
    rewritten = with_earlier(episode_of("....x", 4), ".xx.x", "...xx.")
    assert replies(rewritten) == {0: (0, range(1, 3)), 1: (0, range(4, 5)), 2: (1, range(3, 5)), 3: (2, range(4, 5))}
    broken = with_earlier(episode_of("....", 1, failure="the world is gone"), ".xx")  # before the second reply
    assert replies(broken) == {0: (0, range(1, 3))}


@pytest.fixture(scope="module")
def rewritten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose chat template writes into earlier replies, so that every turn is a sequence of its own."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("rewritten")
    text = TALK.replace(TALK[TALK.index("world:") : TALK.index("agent:")], "world: {id: agents_worlds:Echo}\n")
    text = text.replace(text[text.index("  - name: imitate") : text.index("  - name: reinforce")], "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_llama, "TEMPLATE", EMPTY_THOUGHTS)
        assert command("run", write_scenario(folder, text), "--out", folder / "run", "-q") == 0
    return folder / "run"


def test_every_turn_keeps_its_tokens_where_the_template_rewrites_them(rewritten: Path) -> None:
    rewards = [row["reward"] for row in kept(rewritten, "000002-train")[:4]]
    mean = sum(rewards) / 4
    deviation = (sum((r - mean) ** 2 for r in rewards) / 3) ** 0.5  # of four episodes, and not of their twelve rows
    assert deviation > 0
    for place, row in enumerate(kept(rewritten, "000002-train")[:4]):
        assert len(row["earlier"]) == 2
        seen = [*row["earlier"], row]
        transcript = read_transcript(rewritten, place)
        lines = [line for line in transcript.lines if line.turn is not None]
        assert [line.turn for line in lines] == [0, 1, 2]
        for line, sequence in zip(lines, seen, strict=True):
            chosen = [id_ for id_, mine in zip(sequence["tokens"], sequence["mask"], strict=True) if mine]
            assert [token.id for token in line.tokens] == chosen
            assert "".join(token.text for token in line.tokens).removesuffix("<|end|>") == line.text
            for token in line.tokens:
                assert token.value == pytest.approx((row["reward"] - mean) / (deviation + 1e-6), rel=1e-5)
        assert sum(len(line.tokens) for line in lines) == row["units"]
        assert "not kept" not in shown(transcript, colors=False)
        assert shown(transcript, colors=True).count("48;2;") >= row["units"]


def test_gaps_and_log_probabilities_of_every_sequence_are_those_of_the_sampler(rewritten: Path) -> None:
    transcript = read_transcript(rewritten, 1, by="gap")
    gaps = [token.value for line in transcript.lines for token in line.tokens]
    assert len(gaps) == transcript.episode.units
    assert max(abs(gap) for gap in gaps if gap is not None) < 1e-5
    logp = [token for line in read_transcript(rewritten, 1, by="logp").lines for token in line.tokens]
    assert all(token.value == token.logp < 0 for token in logp)


def test_characters_of_several_tokens_stand_at_the_last_of_them() -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({letter: index for index, letter in enumerate(alphabet)}, []))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core)
    ids = tokenizer("aé€!")["input_ids"]
    assert spell(tokenizer, ids) == ["a", "", "é", "", "", "€", "!"]
    assert "".join(spell(tokenizer, ids[:3])) == "aé"


def test_text_from_a_model_cannot_command_the_terminal() -> None:
    said = "\x1b]0;owned\x07\x1b[2J[bold]ok[/bold]\u202e"
    line = Line("assistant", said, turn=0, reward=0.0, tokens=(Token(1, said, -1.0, 1.0),))
    user = Line("user", said)
    record = replace(episode_of("x", 1, (0.0,)), task=said, stop_reason=StopReason.STOP)
    text = shown(Transcript(record, 0, 0, 1, (user, line), "advantage", "advantage"), colors=False)
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert text.count("[bold]ok[/bold]") == 3
    assert "\\x1b[2J" in text


@pytest.mark.parametrize(
    ("value", "measure", "expected"),
    [
        (2.0, "advantage", (0, 150, 70)),  # the largest: pure green
        (-2.0, "advantage", (215, 40, 40)),
        (0.0, "advantage", None),
        (None, "advantage", None),
        (1e-7, "gap", None),
        (-1.0, "gap", (215, 40, 40)),
        (1e-3, "gap", (235, 148, 148)),  # half-way on a logarithmic scale
        (-5.0, "logp", (40, 110, 215)),
        (float("-inf"), "logp", None),
    ],
)
def test_colors_by_hand(value: float | None, measure: str, expected: tuple[int, int, int] | None) -> None:
    assert color(value, measure, 2.0) == expected


def test_the_tokenizer_of_an_agent_without_weights_is_one_of_bytes(tmp_path: Path) -> None:
    text = TINY[: TINY.index("world:")] + (
        "world: {id: peripatos/Arithmetic-v0}\nagent: {kind: oracle}\n"
        "stages: [{name: look}]\nevaluation: {episodes: 1}\n"
    )
    assert command("run", write_scenario(tmp_path, text), "--out", tmp_path / "run", "-q") == 0
    reply = read_transcript(tmp_path / "run").lines[-1]
    assert "".join(token.text for token in reply.tokens) == reply.text + byte_tokenizer().eos_token
