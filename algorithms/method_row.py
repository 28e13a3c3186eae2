"""What a method is: one row of constants, column by column. `methods` has the table of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from ..envs.quantities import Count, NotNegative, Positive, whole
from .aggregate import Mode
from .credit import Credit
from .preferences import Preference
from .rewards import Rewards
from .weighting import Weighting


@dataclass(frozen=True)
class Update:
    """How a batch becomes steps of the optimiser."""

    epochs: Annotated[int, whole(1, 10_000)] = 1  # passes over the batch; 1 with 1 minibatch is strictly on-policy
    minibatches: Count = 1  # steps per pass
    minibatch_units: Count | None = None
    """Units that a minibatch should have, in the place of a number of minibatches: for whole episodes that grow
    longer as they learn, of which a fixed number of minibatches first makes too many and then too few."""
    aggregation: Mode = "unit_mean"
    length: Count | None = None  # L of "constant_length"; None: the most units that an episode can have
    cut_replies: Literal["keep", "leave_out"] = "keep"
    """Whether replies that ended because they had no tokens left are trained on (overlong filtering of DAPO: Yu et al.
    2025, arXiv:2503.14476). They count in no mean of the loss either, but their rewards are compared with others'."""
    flat_groups: Literal["keep", "leave_out"] = "keep"
    """Whether groups whose rewards are all equal, and which therefore teach nothing, count in the mean of the loss; see
    `flat_groups`. Rewards are compared as the world gave them."""
    value_coefficient: NotNegative = 0.5
    value_clip: Positive | None = None
    entropy_coefficient: NotNegative = 0.0
    entropy_target: Positive | None = None
    """In nats a unit. The bonus counts only while the entropy is at or below it, and its coefficient c, which begins as
    `entropy_coefficient`, moves after each update: c + `entropy_step` below the target, c − `entropy_step` above, never
    below 0 (Skywork-OR1: He et al. 2025, arXiv:2505.22312). None: the coefficient stays."""
    entropy_step: Positive = 0.005

    observation_coefficient: NotNegative = 0.0
    """Of the mean of −log π over what the world said (a tool's results, a user's answers, with the chat template's
    marks around them), which a policy then learns to expect (ECHO: Shrivastava et al. 2026, arXiv:2605.24517)."""

    imitation_coefficient: NotNegative = 0.0
    """Of the mean of −log π over the units of demonstrations, which are imitated beside what the policy learns from its
    own (the pre-training term of PPO-ptx, γ there: Ouyang et al. 2022, arXiv:2203.02155, eq. 2)."""

    def steps_per_pass(self, units: float) -> int:
        """How many minibatches a batch of so many units makes."""
        if self.minibatch_units is None:
            return self.minibatches
        return max(1, round(units / self.minibatch_units))

    @property
    def has_bonus(self) -> bool:
        """Whether entropy is part of the loss, now or after some updates."""
        return bool(self.entropy_coefficient) or self.entropy_target is not None

    @property
    def is_one_step(self) -> bool:
        """Whether one step is made on each batch, whatever its size."""
        return self.epochs == self.minibatches == 1 and self.minibatch_units is None

    @property
    def moves_every_row(self) -> bool:
        """Whether a row without any advantage has a gradient all the same."""
        return self.has_bonus or bool(self.observation_coefficient)


@dataclass(frozen=True)
class Method:
    """One row."""

    name: str
    summary: str
    paper: str = ""
    parent: str | None = None  # the row that it is told apart from
    elsewhere: str = ""  # where frameworks differ from it, and from each other
    source: Literal["own", "demonstrations", "pairs"] = "own"  # whose actions; pairs: of two replies, one preferred
    learns: Literal["policy", "reward", "process"] = "policy"
    """To act; or to score what somebody did (see `reward_model`): by its end, or each beginning of it, turn by turn."""
    rewards: Rewards = field(default_factory=Rewards)
    credit: Credit = field(default_factory=Credit)
    preference: Preference = field(default_factory=Preference)
    weighting: Weighting = field(default_factory=Weighting)
    update: Update = field(default_factory=Update)

    @property
    def judges(self) -> bool:
        """Whether what is learned is to score replies, and nobody acts."""
        return self.learns != "policy"

    @property
    def needs_critic(self) -> bool:
        """A critic bootstraps, so episodes may be cut; without one, every row is a whole episode."""
        return self.credit.baseline == "critic"

    @property
    def needs_head(self) -> bool:
        """Whether the policy has a scalar head: as its critic, or as the score of a reward model."""
        return self.needs_critic or self.judges

    @property
    def needs_groups(self) -> bool:
        """Whether episodes are compared with others that started alike."""
        compared = self.credit.baseline in ("group_mean", "leave_one_out", "optimal") or self.credit.ranks
        return compared or self.update.flat_groups == "leave_out"

    @property
    def imitates_beside(self) -> bool:
        """Whether demonstrations are learned from beside what the policy does itself."""
        return self.source == "own" and self.update.imitation_coefficient > 0

    @property
    def needs_reference(self) -> bool:
        """Whether a reference is read: by default a frozen copy of the policy as it was when the stage began."""
        return self.preference.kind is not None or (
            self.weighting.kl is not None and self.weighting.kl_to == "reference"
        )

    @property
    def needs_teacher(self) -> bool:
        """Whether somebody else says how likely the policy's units would have been."""
        return self.rewards.teacher is not None

    @property
    def compares(self) -> bool:
        """Whether the policy is compared with its teacher over all that both might choose."""
        return self.needs_teacher and self.rewards.teacher_pays == "all"

    @property
    def needs_judge(self) -> bool:
        """Whether a reward model says what episodes are worth."""
        return self.rewards.model is not None

    @property
    def roles(self) -> dict[str, Literal["start", "demonstration"] | None]:
        """The models that are read beside the policy, by role, and in which context the policy itself plays each where
        nobody else is named: as it was when the stage began (`start`), or so and after it was shown a demonstration.
        None: somebody else has to be named."""
        roles: dict[str, Literal["start", "demonstration"] | None] = {}
        if self.needs_reference:
            roles["reference"] = "start"
        if self.needs_teacher:
            roles["teacher"] = "demonstration" if self.rewards.teacher == "self" else None
        if self.needs_judge:
            roles["reward"] = None
        return roles

    @property
    def of_single_units(self) -> bool:
        """Whether a unit's weight is known without the others of its sequence."""
        alone = not self.judges and self.preference.kind is None and not self.update.observation_coefficient
        return alone and self.weighting.of_single_units
