"""A scenario's model stops at its template's own end of a turn and at those that its generation_config names."""

from pathlib import Path

import pytest
import torch
from faithful_templates import tokenizer_of

from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import TEMPLATE, tiny_llama
from peripatos.envs.errors import UserError
from peripatos.scenarios.assembly.actors import make_stage
from peripatos.scenarios.assembly.policies import make_policy
from peripatos.scenarios.assembly.worlds import WorldSources
from peripatos.scenarios.config.schema import Scenario


def scenario_of(folder: Path, template: str, ends: int | list[int] | None) -> Scenario:
    model, _ = tiny_llama(seed=0, hidden=32, layers=1, heads=2)
    model.generation_config.eos_token_id = ends
    LanguagePolicy(model, tokenizer_of(template)).save(folder)
    return Scenario.model_validate(
        {
            "name": "stop",
            "world": {"id": "peripatos/Arithmetic-v0"},
            "agent": {"kind": "causal_lm", "model": str(folder)},
            "sampling": {"max_tokens": 16},
            "stages": [{"name": "look"}],
        }
    )


@pytest.mark.parametrize(("said", "ends"), [("<|pad|>", 2), ("<|tool|>", [2, 6]), ("<|tool|>", 6), ("<|end|>", None)])
def test_a_model_that_says_only_its_end_says_one_token(said: str, ends: int | list[int] | None, tmp_path: Path) -> None:
    scenario = scenario_of(tmp_path, TEMPLATE.replace("<|end|>", "<|pad|>"), ends)
    policy = make_policy(scenario, "cpu", WorldSources.of(scenario).first)
    assert isinstance(policy, LanguagePolicy)
    size, token = len(policy.tokenizer), policy.tokenizer.convert_tokens_to_ids(said)
    policy.logits = lambda hidden: 50.0 * torch.nn.functional.one_hot(torch.full(hidden.shape[:-1], token), size)
    episode = make_stage(scenario, scenario.stages[0], policy, WorldSources.of(scenario)).evaluator.evaluate(
        1, seed=0, version=0
    )[0]
    assert episode.units == 1
    assert episode.messages[1]["content"] == ""


def test_a_run_refuses_a_template_whose_replies_nothing_ends(tmp_path: Path) -> None:
    endless = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}"
    with pytest.raises(UserError, match="no token that ends one"):
        make_policy(scenario_of(tmp_path, endless, 2), "cpu", WorldSources.of(scenario_of(tmp_path, endless, 2)).first)
