"""What holds for one model and its chat template in conversations of many turns, found out by trying.

Each finding is a question, its answer, and what follows from it here. A *fatal* one says that the model cannot be
trained as it is; the others say what a scenario has to take into account. Left out: whether the model is any good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from transformers.utils import logging

from ...agents.language.chat_template import Renderer
from ...agents.language.conversation_actor import ConversationActor
from ...agents.language.language_policy import LanguagePolicy
from ...agents.language.model_checks import check_checkpoint, check_context, engine_of, find_path
from ...agents.language.model_files import load_language_model
from ...agents.language.model_names import located
from ...agents.language.tiny_llama import tiny_llama
from ...envs.conversation.conversation_env import ConversationEnv, Outcome
from ...envs.errors import UserError
from ...envs.vocabulary import Reply
from .template import ModelFinding, examine_template

CLOSE = 1e-3  # between log-probabilities of sampler and trainer, in fp32; a few 1e-6 are usual


def examine(model: str, *, revision: str | None = None) -> list[ModelFinding]:
    """Everything about `model`: what `load_language_model` takes, or "tiny" for the built-in one.

    UserError if it cannot be loaded.
    """
    logging.disable_progress_bar()  # findings are all that is said
    if revision is not None and (model == "tiny" or located(model) is not None):
        raise UserError(f"--revision {revision} has no effect: {model!r} is no hub id; leave it out")
    parts = tiny_llama(seed=0) if model == "tiny" else load_language_model(model, revision=revision)
    policy = LanguagePolicy(*parts)
    found = [*examine_model(policy), *examine_template(policy.tokenizer, policy.end_ids)]
    if any(finding.fatal for finding in found):
        return found
    return [*found, _try_a_conversation(policy)]


def examine_model(policy: LanguagePolicy) -> Iterator[ModelFinding]:
    """Size, context, output layer and cache."""
    model, names = policy.model, len(policy.tokenizer)
    rows = int(model.config.get_text_config().vocab_size)
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    yield ModelFinding("model", type(model).__name__, f"{millions:.4g} M parameters, {rows} embeddings")
    if names > rows:
        yield ModelFinding("embeddings for all tokens", "no", f"the tokenizer has {names} tokens", fatal=True)
    unknown = _checked("context", check_context, policy)
    if unknown.fatal:
        yield unknown
    else:
        yield ModelFinding("context", f"{policy.context} tokens", "a longer episode is truncated")
    yield from _paths(policy)
    yield _checked("a checkpoint is read back as it was", check_checkpoint, policy)


def _checked(
    what: str, check: Callable[[LanguagePolicy], None], policy: LanguagePolicy, detail: str = ""
) -> ModelFinding:
    """What the scenario's builder would say to the model."""
    try:
        check(policy)
    except UserError as error:
        return ModelFinding(what, "no", str(error), fatal=True)
    return ModelFinding(what, "yes", detail)


def _paths(policy: LanguagePolicy) -> Iterator[ModelFinding]:
    """On which path the model is read, which were tried before, and how close they came to its own numbers."""
    *failed, taken = find_path(policy)
    if taken.why:
        yield ModelFinding("read by", "nothing", f"{type(policy.model).__name__}: {taken.why}", fatal=True)
        return
    policy.path = taken.path
    gaps = f"from sampler to trainer {taken.sampler:.1e}, from trainer to the model's own forward {taken.trainer:.1e}"
    yield ModelFinding("read by", "the short path" if taken.path.shared_prompts else "the plain path", gaps)
    yield ModelFinding("… in detail", "", str(taken.path))
    for other in failed:
        yield ModelFinding("… and not by", "", f"{other.path}: {other.why}")


class _SmallTalk(ConversationEnv):
    """Three turns about nothing."""

    max_turns = 3

    def opening(self, rng: object, split: object) -> str:
        return "Say something."

    def respond(self, reply: Reply) -> Outcome:
        return Outcome("Go on.")


def _try_a_conversation(policy: LanguagePolicy) -> ModelFinding:
    """Sample two conversations and ask the trainer for the same tokens."""
    what = "sampler and trainer agree"
    renderer = Renderer(policy.tokenizer, policy.end_ids)
    engine = engine_of(policy)(policy, stop_ids=renderer.stop_ids)
    actor = ConversationActor(_SmallTalk, engine, renderer, context=policy.context, max_tokens=6)
    batch = actor.collect([0], 2, seed=0, version=0).batch
    actor.close()
    if batch is None:
        return ModelFinding(what, "no", "no conversation could be held", fatal=True)
    with torch.no_grad():
        gap = (policy.score(batch.inputs).logp_B_T - batch.behavior_logp_B_T)[batch.mask_B_T].abs().max().item()
    detail = f"largest difference {gap:.1e} over {int(batch.mask_B_T.sum())} tokens of 2 conversations"
    return ModelFinding(what, "yes" if gap < CLOSE else "no", detail, fatal=not gap < CLOSE)
