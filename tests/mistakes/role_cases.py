"""Mistakes with the models that a stage reads beside its agent."""

from __future__ import annotations

from pathlib import Path

from broken_models import model
from mistake_cases import Case, Content, control, language

GRPO = "    method: grpo\n"
TAUGHT = "    method: on_policy_distillation\n"
COMPARED = "    method: gkd\n"
WITH_KL = GRPO + "    overrides: {weighting: {kl: k3, beta: 0.1}}\n"
WALKS = ("ppo", "on_policy_distillation", "horizon: 16", "group_size: 2", ", minibatches: 2", "")
RAN = ("run s.yaml --out ran -q",)


def _other_tokens(folder: Path) -> None:
    from peripatos.agents.language.tiny_llama import byte_tokenizer

    byte_tokenizer().save_pretrained(folder)


def _wider(folder: Path) -> None:
    """More logits than tokens, as models are padded."""
    from transformers import AutoModelForCausalLM

    wide = AutoModelForCausalLM.from_pretrained(folder)
    wide.resize_token_embeddings(wide.config.vocab_size + 8)
    wide.save_pretrained(folder)


def _talks(name: str, method: str, models: str, *needs: str, **more: Content) -> Case:
    files = language(GRPO, f"{method}    models: {models}\n")
    return Case(
        name,
        {**files, **{key.replace("__", "/").replace("_yaml", ".yaml"): content for key, content in more.items()}},
        *needs,
    )


READ = [
    _talks("unread-reference", GRPO, "{reference: {self: start}}", r"line 10.*models\.reference is read by nobody.*kl: k3"),
    _talks("unread-teacher", GRPO, "{teacher: {self: demonstration}}", r"line 10.*models\.teacher is read by nobody.*on_policy_distillation, self_distillation"),
    _talks("unread-reward", GRPO, "{reward: package:x}", r"models\.reward is read by nobody: .*overrides: \{rewards: \{model: 1\}\}"),
    Case("no-teacher", language("grpo", "on_policy_distillation"), r"line 8.*needs a teacher; write such as models: \{teacher: runs/NAME-0\}"),
    Case("no-teacher-who-moves", control(*WALKS), r"needs a teacher; write such as models: \{teacher: runs/NAME-0\}"),
    _talks("teacher-self", TAUGHT, "{teacher: {self: demonstration}}", r"models\.teacher\.self is 'demonstration'; it needs another model"),
    _talks("self-as-it-began", "    method: self_distillation\n", "{teacher: {self: start}}", r"teacher\.self is 'start'; allowed is \{self: demonstration\}"),
    _talks("reference-shown", WITH_KL, "{reference: {self: demonstration}}", r"reference\.self is 'demonstration'; allowed is \{self: start\}"),
    Case("self-who-moves", control("ppo", "self_distillation", *WALKS[2:]), r"line 6.*worlds of bodies have none.*on_policy_distillation"),
    Case("model-who-moves", control(*WALKS, "    budget", "    models: {teacher: package:llm}\n    budget"), r"models\.teacher is a language model, and an agent of kind 'mlp' moves"),
    Case("no-run-who-moves", {**control(*WALKS, "    budget", "    models: {teacher: runs/techer}\n    budget"), "runs/teacher/scenario.yaml": control()["s.yaml"]}, r"models\.teacher is 'runs/techer': there is no such run.*Did you mean 'runs/teacher'\?"),
]  # fmt: skip

FOUND = [
    _talks("no-such-run", TAUGHT, "{teacher: runs/techer}", r"line 10.*no run and no model 'runs/techer'.*'runs/teacher'\?", runs__teacher__a="x"),
    _talks("no-such-name", TAUGHT, "{teacher: techer}", r"there is no model 'techer'.*or name a run"),
    _talks("run-is-none", TAUGHT, "{teacher: {run: nowhere}}", r"nowhere is not a run directory"),
    _talks("run-without-agent", TAUGHT, "{teacher: begun}", r"begun has no checkpoint yet", begun__scenario_yaml=language()["s.yaml"]),
    _talks("agent-of-another-kind", TAUGHT, "{teacher: moves}", r"moves has an agent of kind 'mlp'.*of kind 'tiny_llama'", moves__scenario_yaml=control()["s.yaml"]),
    _talks("other-tokens", TAUGHT, "{teacher: ./m}", r"line 10.*'\./m', whose tokenizer is another than the agent's", m=model(_other_tokens)),
    _talks("same-tokens", TAUGHT, "{teacher: ./m}", m=model()),
    _talks("wider-teacher", COMPARED, "{teacher: ./m}", r"line 10.*'\./m', which gives probabilities to \S+ tokens, and the agent to .*teacher_pays: chosen", m=model(_wider)),
    Case("compared-in-a-nucleus", language("max_tokens: 6", "max_tokens: 6, top_p: 0.9", GRPO, "    method: opsd\n"), r"line 6.*sampling\.top_p is 0\.9, and stage 'learn' compares .* in all tokens; leave it out, or write .*teacher_pays: chosen"),
    Case("no-such-checkpoint", {**language(), "t.yaml": language(GRPO, TAUGHT + "    models: {teacher: {run: ran, checkpoint: 9}}\n")["s.yaml"]}, r"t\.yaml, line 10.*ran has no checkpoint '9'; it has best, last, 000000, 000002", argv="run t.yaml --out out", before=RAN),
]  # fmt: skip

CASES = [*READ, *FOUND]
