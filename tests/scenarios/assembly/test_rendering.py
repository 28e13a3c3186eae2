"""The keys of `agent` that say how conversations become tokens: chat_template, template, stop, context, …"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from faithful_templates import ENDLESS, tokenizer_of
from model_templates import FOLDER

from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import TEMPLATE, tiny_llama
from peripatos.envs.errors import UserError
from peripatos.scenarios.assembly.policies import make_policy
from peripatos.scenarios.assembly.rendering import context_of, make_renderer, template_remarks
from peripatos.scenarios.assembly.worlds import WorldSources
from peripatos.scenarios.config.agents import CausalLMAgentSpec
from peripatos.scenarios.config.schema import Scenario
from peripatos.scenarios.doctor.model import examine
from peripatos.scenarios.run.run_directory import RunDirectory

DATED = "{{ strftime_now('%d %b %Y') }}" + TEMPLATE
VARIED = TEMPLATE.replace("<|assistant|>", "<|assistant|>{% if not enable_thinking %}</answer>{% endif %}")
NO_TOOLS = TEMPLATE.replace("{{ message.content }}", "{% if message.role != 'tool' %}{{ message.content }}{% endif %}")
DROPS_SYSTEM = TEMPLATE.replace(
    "{{ message.content }}", "{% if message.role != 'system' %}{{ message.content }}{% endif %}"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved(tmp_path / "model", TEMPLATE)


def saved(folder: Path, template: str) -> Path:
    model, _ = tiny_llama(seed=0, hidden=32, layers=1, heads=2)
    LanguagePolicy(model, tokenizer_of(template)).save(folder)
    return folder


def scenario_of(folder: Path, world: str = "peripatos/Arithmetic-v0", **agent: Any) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "rendered",
            "world": {"id": world},
            "agent": {"kind": "causal_lm", "model": str(folder), **agent},
            "stages": [{"name": "look"}],
        }
    )


def policy_of(scenario: Scenario) -> LanguagePolicy:
    policy = make_policy(scenario, "cpu", WorldSources.of(scenario).first)
    assert isinstance(policy, LanguagePolicy)
    return policy


def prompt_of(scenario: Scenario) -> str:
    return make_renderer(policy_of(scenario), scenario).prompt([{"role": "user", "content": "?"}])


def test_a_template_comes_from_a_file_or_from_another_models_folder(folder: Path, tmp_path: Path) -> None:
    other = TEMPLATE.replace("<|assistant|>", "<|assistant|>!")
    (tmp_path / "other.jinja").write_text(other)
    for name in (tmp_path / "other.jinja", saved(tmp_path / "donor", other)):
        assert prompt_of(scenario_of(folder, chat_template=str(name))) == "<|user|>?<|end|><|assistant|>!"
    with pytest.raises(UserError, match=r"nothing\.jinja' is no file, no model's folder and no hub id"):
        policy_of(scenario_of(folder, chat_template=str(tmp_path / "nothing.jinja")))


def test_a_model_without_a_template_is_given_one(tmp_path: Path) -> None:
    bare = saved(tmp_path / "bare", TEMPLATE)
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match=r"agent\.chat_template"):
        policy_of(scenario_of(bare))
    assert prompt_of(scenario_of(bare, chat_template=str(FOLDER.parent / "templates" / "phi3.jinja"), stop=[])) != ""


def test_a_templates_variables_are_given(tmp_path: Path) -> None:
    model = saved(tmp_path / "model", VARIED)
    assert prompt_of(scenario_of(model)).endswith("<|assistant|></answer>")
    assert prompt_of(scenario_of(model, template={"enable_thinking": True})).endswith("<|assistant|>")


def test_stops_are_given_by_text_or_id(folder: Path) -> None:
    scenario = scenario_of(folder, stop=["</answer>", 5])
    policy = policy_of(scenario)
    expected = {policy.tokenizer.convert_tokens_to_ids("</answer>"), 5, policy.tokenizer.eos_token_id}
    assert set(make_renderer(policy, scenario).stop_ids) == expected
    with pytest.raises(UserError, match=r'agent\.stop: "Question" is 8 tokens'):
        policy_of(scenario_of(folder, stop=["Question"]))
    with pytest.raises(UserError, match=r"agent\.stop: there is no token 108; ids go from 0 to 107"):
        policy_of(scenario_of(folder, stop=[108]))


def test_a_context_may_be_lower_than_the_models_and_not_higher(folder: Path) -> None:
    scenario = scenario_of(folder, context=64)
    assert context_of(policy_of(scenario), scenario) == 64
    with pytest.raises(UserError, match=r"agent\.context is 513, and the model holds 512"):
        policy_of(scenario_of(folder, context=513))


def test_calls_are_written_as_the_scenario_says(folder: Path) -> None:
    for said, found in (("glm", "glm"), ("auto", None)):
        scenario = scenario_of(folder, reply_format=said)
        assert make_renderer(policy_of(scenario), scenario).reply_format == found


def test_a_run_keeps_the_day_on_which_it_began(tmp_path: Path) -> None:
    scenario = scenario_of(saved(tmp_path / "model", DATED))
    run = RunDirectory.create(tmp_path / "run", scenario, ["peripatos"])
    agent = run.scenario().agent
    assert isinstance(agent, CausalLMAgentSpec)
    assert agent.today is not None
    with pytest.raises(UserError, match=r"agent\.today is '2021-02-30', which is no day"):
        policy_of(scenario_of(tmp_path / "model", today="2021-02-30"))
    pinned = scenario_of(tmp_path / "model", today="2021-02-03")
    assert prompt_of(pinned).startswith("03 Feb 2021")
    policy = policy_of(pinned)
    assert any("2021-02-03" in remark for remark in template_remarks(policy, pinned, WorldSources.of(pinned)))
    assert RunDirectory.create(tmp_path / "again", pinned, ["peripatos"]).scenario().agent == pinned.agent


@pytest.mark.parametrize(
    ("template", "words"),
    [(TEMPLATE, "shows no tools"), (NO_TOOLS, "knows no role for tools")],
)
def test_what_a_template_does_not_show_is_said(template: str, words: str, tmp_path: Path) -> None:
    scenario = scenario_of(saved(tmp_path / "model", template), "peripatos/Store-v0")
    remarks = list(template_remarks(policy_of(scenario), scenario, WorldSources.of(scenario)))
    assert any(words in remark for remark in remarks)
    told = scenario.model_copy(
        update={"world": scenario.world.model_copy(update={"options": {"tools_in_prompt": True}})}
    )
    said = list(template_remarks(policy_of(told), told, WorldSources.of(told)))
    assert not any("shows no tools" in remark for remark in said)
    silent = scenario_of(tmp_path / "model")
    assert list(template_remarks(policy_of(silent), silent, WorldSources.of(silent))) == []


def test_a_system_message_that_a_template_drops_is_refused(tmp_path: Path) -> None:
    scenario = scenario_of(saved(tmp_path / "model", DROPS_SYSTEM))
    renderer = make_renderer(policy_of(scenario), scenario)
    with pytest.raises(UserError, match="drops system messages"):
        renderer.opening([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "?"}])


@pytest.mark.parametrize("template", [ENDLESS, TEMPLATE.partition("{% if add")[0]])
def test_what_the_doctor_calls_fatal_a_run_refuses_in_the_same_words(template: str, tmp_path: Path) -> None:
    model = saved(tmp_path / "model", template)
    (finding,) = [finding for finding in examine(str(model)) if finding.fatal]
    with pytest.raises(UserError) as refused:
        policy_of(scenario_of(model))
    assert str(refused.value).endswith(finding.detail)
