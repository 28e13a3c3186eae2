"""The models that a stage reads beside its agent (`models:` of a scenario): found, checked and loaded, frozen.

{self: start}           `checkpoints/reference-N`, see `reference`: the policy as the stage began
{self: base}            of a policy with LoRA, the model beside which it learns: nothing that has to be kept
run, checkpoint         another run's agent. Which checkpoint is the best may change, so that a run notes its number
model                   a language model by name, as `agent.model` names one
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ...agents.protocols import Holding, Policy, Scorer
from ...envs.errors import UserError, nearest
from ..assembly.engines import model_that_does_not_learn
from ..assembly.method_fits import compares
from ..assembly.policies import make_base, make_policy, make_twin
from ..assembly.rendering import context_of, make_renderer
from ..assembly.roles import CRITIC, has_own_critic, role
from ..assembly.settings import judging_stage, stage_method
from ..assembly.worlds import WorldSources
from ..config.agents import MlpAgentSpec
from ..config.keys import Place
from ..config.mistakes import at
from ..config.roles import ModelSpec
from ..config.schema import Sampling, Scenario
from ..config.voices import CausalLMVoice
from .context import RunContext
from .logs import number_of
from .reference import read_reference, write_reference
from .run_directory import RunDirectory
from .saved_agent import find_checkpoint
from .verified import trusted_scenario

if TYPE_CHECKING:
    from ...agents.language.judgement import RewardModel
    from ...agents.language.language_policy import LanguagePolicy

JUDGE = "reward"  # the role that reads text, whatever its tokens are, and says one number of all


def check_models(scenario: Scenario) -> Scenario:
    """The scenario with the checkpoint of each run that is read by its number. UserError for a run or a model that is
    not there, or an agent of another kind."""
    stages = list(scenario.stages)
    for place, spec in _others(scenario):
        number, name = cast(int, place[1]), str(place[3])
        with at(*place):
            if name == JUDGE:
                _check_judge(spec)
            if spec.run is None:
                _check_name(spec)
                continue
            found = spec.model_copy(update={"checkpoint": _check_run(scenario, number, name, spec)})
        models = stages[number].models
        assert models is not None, "the role is one of them"
        stages[number] = stages[number].model_copy(update={"models": models.model_copy(update={name: found})})
    return scenario.model_copy(update={"stages": stages})


def check_models_fit(scenario: Scenario, policy: Policy, sources: WorldSources) -> None:
    """UserError for a model in a role that reads what the agent does and has other tokens, or that lives in another
    body."""
    if scenario.speaks:
        _check_tokens(scenario, policy)
        return
    for place, spec in _others(scenario):
        with at(*place):
            open_model(scenario, spec, "cpu", sources)


def _check_tokens(scenario: Scenario, policy: Policy) -> None:
    from ...agents.language.model_files import load_tokenizer, vocabulary

    own, tokens = cast("LanguagePolicy", policy).tokenizer, cast("LanguagePolicy", policy).vocabulary
    for place, spec in _others(scenario):
        if place[3] == JUDGE:
            continue
        with at(*place):
            name = spec.model or str(_folder(spec) / "policy")
            if load_tokenizer(name, revision=spec.revision).get_vocab() != own.get_vocab():
                raise UserError(
                    f"models.{place[3]} is {spec.model or spec.run!r}, whose tokenizer is another than the agent's: "
                    "what the agent writes are no tokens of its; name a model of the same family"
                )
            taught = place[3] == "teacher" and compares(scenario, scenario.stages[cast(int, place[1])])
            if taught and (theirs := vocabulary(name, revision=spec.revision)) != tokens:
                raise UserError(
                    f"models.teacher is {spec.model or spec.run!r}, which gives probabilities to {theirs:,} tokens, "
                    f"and the agent to {tokens:,}: they cannot be compared in all; what was written alone is read by "
                    "overrides: {rewards: {teacher_pays: chosen}}"
                )


def open_model(scenario: Scenario, spec: ModelSpec, device: str, sources: WorldSources) -> Policy:
    """The model that `spec` names, frozen, which reads by the sampling of `scenario`. UserError where it does not fit
    the world."""
    sampling = scenario.sampling or Sampling()
    if spec.model is not None:
        drawn = sampling.model_dump(include={"temperature", "top_p", "top_k", "min_p"})
        named = CausalLMVoice(kind="causal_lm", model=spec.model, revision=spec.revision, **drawn)
        return model_that_does_not_learn(named, device)
    theirs = _scenario_of(spec).model_copy(update={"sampling": scenario.sampling})
    policy = make_policy(theirs, device, sources.first)
    assert policy is not None, "check_models has seen an agent that learns"
    try:
        policy.load(_folder(spec) / "policy")
    except ValueError as problem:
        raise UserError(f"the agent of {spec.run} does not fit {scenario.world.id!r}: {problem}") from problem
    policy.module().requires_grad_(False)
    return policy


def stage_models(context: RunContext, index: int, policy: Policy, begun: bool) -> dict[str, Scorer]:
    """By role, those that the method of stage `index` reads; `begun`: the stage goes on."""
    stage = context.scenario.stages[index]
    models: dict[str, Scorer] = {}
    own: Policy | None = None  # as it began, once for all roles
    row = stage_method(stage)
    for name in [name for name in row.roles if name != JUDGE]:
        spec = role(stage, row, name)
        assert spec is not None, "check_roles has seen it"
        with at("stages", index, "models", name):
            if spec.self is None:
                models[name] = open_model(context.scenario, spec, context.device, context.sources)
                continue
            if spec.self == "base":
                models[name] = make_base(policy)
                continue
            own = own or _as_it_began(context, index, policy, begun)
            models[name] = own if spec.self == "start" else _demonstrated(own)
    return models


def stage_judge(context: RunContext, index: int) -> RewardModel | None:
    """The reward model that the method of stage `index` reads, in tokens of its own."""
    stage = context.scenario.stages[index]
    spec = role(stage, stage_method(stage), JUDGE)
    if spec is None:
        return None
    from ...agents.language.judgement import RewardModel  # with transformers, which a body's run does without

    with at("stages", index, "models", JUDGE):
        theirs = _scenario_of(spec)
        policy = cast("LanguagePolicy", open_model(context.scenario, spec, context.device, context.sources))
        return RewardModel(policy, make_renderer(policy, theirs), context_of(policy, theirs))


def remarks_on_judges(scenario: Scenario) -> Iterator[str]:
    """What is to be said of reward models that are asked for what they have not learned, a sentence each."""
    for place, spec in _others(scenario):
        stage = scenario.stages[cast(int, place[1])]
        if place[3] != JUDGE or spec.run is None or stage_method(stage).rewards.model_at == "end":
            continue
        made = judging_stage(_scenario_of(spec))
        if made is not None and stage_method(made).learns != "process":
            yield (
                f"{stage.name}: rewards.model_at is 'turn', and {spec.run} has learned by {made.method} what ends are "
                "worth: what it says of a turn before is a guess; process_reward_model learns that as well"
            )


def stage_critic(context: RunContext, index: int, policy: Policy) -> Policy | None:
    """The model that learns what states are worth in stage `index`, where that is no head of the agent: it begins as
    the agent does, with a head that says 0, or as the agent of a run."""
    models = context.scenario.stages[index].models
    spec = None if models is None else models.critic
    if spec is None:
        return None
    if spec.self is not None:
        critic = cast("LanguagePolicy", make_twin(policy))
        critic.add_head()
        return critic
    with at("stages", index, "models", CRITIC):
        critic = make_policy(_scenario_of(spec), context.device, context.sources.first)
        assert critic is not None, "check_models has seen an agent that learns"
        critic.load(_folder(spec) / "policy")
        return critic


def _demonstrated(policy: Policy) -> Scorer:
    """The agent itself, after it has been shown what the world's expert does."""
    from ...agents.language.demonstrated import Demonstrated

    return Demonstrated(cast("LanguagePolicy", policy))


def spell_memory(policy: Policy, others: Mapping[str, object]) -> str | None:
    """What the models of other roles hold beside `policy`, weights that both share left out; None where that is
    nothing: `reference 1.6 MB, reward 1.6 MB`."""
    counted = {parameter.data_ptr() for parameter in policy.module().parameters()}
    parts = []
    for name, other in others.items():
        if isinstance(other, Holding):
            weights = {x.data_ptr(): x.nbytes for x in other.module().parameters() if x.data_ptr() not in counted}
            counted |= set(weights)  # of an agent that plays two roles
            parts += [f"{name} {sum(weights.values()) / 1e6:,.1f} MB"] * bool(weights)
    return ", ".join(parts) or None


def _as_it_began(context: RunContext, index: int, policy: Policy, begun: bool) -> Policy:
    folder = context.run.checkpoints / f"reference-{index}"
    if not begun:
        return write_reference(folder, policy)
    at_update, say = int(context.progress.begun["update"]), context.journal.warned
    return read_reference(folder, policy, at_update, None if at_update else context.first_policy, say)


def _others(scenario: Scenario) -> Iterator[tuple[Place, ModelSpec]]:
    """Where in the scenario a model other than the agent itself plays a role."""
    for number, stage in enumerate(scenario.stages):
        for name, spec in (stage.models.played() if stage.models else {}).items():
            if spec.self is None:
                yield ("stages", number, "models", name), spec


def _check_run(scenario: Scenario, number: int, name: str, spec: ModelSpec) -> str:
    """The number of a run's checkpoint, whose agent plays the role `name` in stage `number`."""
    theirs = _scenario_of(spec)
    if theirs.speaks != scenario.speaks or not theirs.learns:
        kinds = f"an agent of kind {theirs.agent.kind!r}, and that of this scenario is of kind {scenario.agent.kind!r}"
        raise UserError(f"{spec.run} has {kinds}, which reads nothing of its")
    if name == CRITIC and not _has_head(theirs):
        raise UserError(
            f"the agent of {spec.run} has no head that says what states are worth; a critic is a run of reward_model "
            "or of a method with a critic"
        )
    if name not in (JUDGE, CRITIC) and judging_stage(theirs) is not None:
        raise UserError(
            f"the agent of {spec.run} is a reward model: it scores replies, and its probabilities mean nothing; a "
            f"{name} is a run that learns to act"
        )
    stage = scenario.stages[number]
    remembers = isinstance(theirs.agent, MlpAgentSpec) and theirs.agent.memory is not None
    if remembers and stage_method(stage).needs_critic:
        raise UserError(
            f"the agent of {spec.run} has a memory, and reads segments here, of which it has not seen what came "
            f"before: name a {name} without a memory, or use a method of whole episodes, such as grpo or "
            "on_policy_distillation without a critic"
        )
    return f"{number_of(_folder(spec)):06d}"


def _has_head(scenario: Scenario) -> bool:
    learning = [stage for stage in scenario.stages if stage.method and not has_own_critic(stage)]
    return any(stage_method(stage).needs_head for stage in learning)


def _check_judge(spec: ModelSpec) -> None:
    """UserError for what scores no replies."""
    remedy = "a reward model is a run of `method: reward_model` or `process_reward_model`"
    if spec.run is None:
        raise UserError(f"there is no run {spec.model!r}; {remedy}")
    if judging_stage(_scenario_of(spec)) is None:
        raise UserError(f"the agent of {spec.run} acts, and scores nothing; {remedy}")


def _check_name(spec: ModelSpec) -> None:
    """UserError for a name that means no model, or that will have meant a run."""
    from ...agents.language.model_names import check_model_is_there, located

    assert spec.model is not None, "there is no other form"
    try:
        path = located(spec.model)
    except UserError as problem:
        raise UserError(f"{str(problem).rstrip('.')}; or name a run, such as runs/NAME-0") from problem
    parent = Path(spec.model).parent
    if path is None and parent.is_dir():
        beside = sorted(str(other) for other in parent.iterdir() if other.is_dir())
        raise UserError(f"there is no run and no model {spec.model!r}.{nearest(spec.model, beside)}")
    check_model_is_there(spec.model, spec.revision)


def _scenario_of(spec: ModelSpec) -> Scenario:
    assert spec.run is not None, "asked only of runs"
    return trusted_scenario(RunDirectory.open(Path(spec.run).expanduser()))


def _folder(spec: ModelSpec) -> Path:
    """A run's checkpoint, verified."""
    assert spec.run is not None, "asked only of runs"
    return find_checkpoint(RunDirectory.open(Path(spec.run).expanduser()), spec.checkpoint or "best")
