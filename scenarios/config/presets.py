"""Settings of papers, each as a stage that a scenario can take: `peripatos list presets [--show NAME]`.

A preset has every constant that its paper gives and a stage has a key for, those too that are the row's own. What the
paper leaves open is left out, and is the row's. What it gives and no key is there for stands in `besides`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from ...envs.errors import UserError, unknown

Settings = Mapping[str, JsonValue]


@dataclass(frozen=True)
class Preset:
    """A stage without its name, and what of the scenario belongs to it."""

    name: str
    paper: str
    stage: Settings
    sampling: Settings = field(default_factory=dict)
    besides: str = ""


_PRESETS = (
    Preset(
        "ppo-2017",
        "arXiv:1707.06347, table 3",
        {
            "method": "ppo",
            "collect": {"groups": 1, "horizon": 2048},
            "overrides": {
                "rewards": {"scale": None, "clip": None},
                "credit": {"gamma": 0.99, "lam": 0.95},
                "weighting": {"clip_low": 0.2, "clip_high": 0.2},
                "update": {"epochs": 10, "minibatch_units": 64, "entropy_coefficient": 0.0},
            },
            "optimizer": {"lr": 3e-4, "schedule": "constant"},
            "budget": {"env_steps": 1_000_000},
        },
        besides="Two layers of 64 tanh units each for policy and values.",
    ),
    Preset(
        "instructgpt",
        "arXiv:2203.02155, appendix C.4",
        {
            "method": "rlhf_ppo",
            "collect": {"groups": 512},
            "overrides": {
                "credit": {"gamma": 1.0},
                "weighting": {"clip_low": 0.2, "clip_high": 0.2, "kl": "k1", "kl_in": "reward", "beta": 0.02},
                "update": {"epochs": 1, "minibatches": 8, "imitation_coefficient": 27.8},
            },
            "optimizer": {"schedule": "constant", "warmup": 10},
            "budget": {"updates": 500},
        },
        {"temperature": 1.0, "max_tokens": 1024},
        "PPO-ptx. Name the reward model, models: {reward: RUN, critic: RUN}, and a file of pre-training text, "
        "demonstrations: {text: FILE}: of its windows one comes with each episode here, and eight in the paper. It "
        "averages its weights as well (0.992).",
    ),
    Preset(
        "deepseekmath-grpo",
        "arXiv:2402.03300, section 4.2",
        {
            "method": "grpo",
            "collect": {"groups": 16, "group_size": 64},
            "overrides": {
                "weighting": {"kl": "k3", "beta": 0.04},
                "update": {"epochs": 1, "minibatches": 1, "aggregation": "sequence_mean"},
            },
            "optimizer": {"lr": 1e-6},
        },
        {"max_tokens": 1024},
        "Rewards are those of a reward model.",
    ),
    Preset(
        "r1-zero",
        "arXiv:2501.12948",
        {
            "method": "grpo",
            "collect": {"groups": 512, "group_size": 16},
            "overrides": {
                "weighting": {"kl": "k3", "beta": 0.001},
                "update": {"epochs": 1, "minibatches": 16},
            },
            "optimizer": {"lr": 3e-6},
        },
        {"temperature": 1.0, "max_tokens": 32768},
        "The policy becomes its own reference anew after every 400 steps of 512 outputs, of which an update here "
        "makes 16: stages of 25 updates, one behind the other.",
    ),
    Preset(
        "dapo",
        "arXiv:2503.14476, section 4.1",
        {
            "method": "dapo",
            "collect": {"groups": 512, "group_size": 16, "refill": 8},
            "overrides": {
                "rewards": {"overlong_share": None, "overlong_buffer": 4096, "overlong_limit": 20480},
                "weighting": {"clip_low": 0.2, "clip_high": 0.28},
                "update": {"minibatches": 16, "aggregation": "unit_mean", "flat_groups": "leave_out"},
            },
            "optimizer": {"lr": 1e-6, "warmup": 20},
        },
        {"max_tokens": 20480},
    ),
    Preset(
        "gspo",
        "arXiv:2507.18071, section 5.1",
        {
            "method": "gspo",
            "overrides": {
                "weighting": {"clip_low": 3e-4, "clip_high": 4e-4},
                "update": {"minibatches": 4, "aggregation": "sequence_mean"},
            },
        },
    ),
)
PRESETS = {preset.name: preset for preset in _PRESETS}


def preset_table() -> list[dict[str, str]]:
    """The rows of `peripatos list presets`."""
    return [{"preset": one.name, "method": str(one.stage["method"]), "paper": one.paper} for one in _PRESETS]


def show_preset(name: str) -> list[str]:
    """The preset as YAML, line by line. `UserError` names the nearest."""
    import yaml

    if name not in PRESETS:
        raise UserError(unknown("preset", name, PRESETS))
    one = PRESETS[name]
    parts: dict[str, object] = {"stages": [{"name": "learn", **one.stage}]}
    parts |= {"sampling": dict(one.sampling)} if one.sampling else {}
    text = yaml.safe_dump(parts, sort_keys=False, allow_unicode=True)
    return [f"# {one.name}: {one.paper}", *([f"# {one.besides}"] if one.besides else []), *text.splitlines()]
