"""The policy that has been shown a demonstration, as a reader of what it said without one.

    who acts sees    opening                           ▸ reply
    who reads sees   opening ▸ demonstration ▸ opening ▸ reply

It is the policy as it was when the stage began; of a model with LoRA that is its small matrices, and no second model in
memory. The tokens of the reply are the same, each further to the right by as much as the prompt is longer; what is read
is put back to where they stand.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..protocols import Scores
from .comparison import Whole
from .language_policy import LanguagePolicy


class Demonstrated:
    """A `Scorer`: `policy` behind the prompts `shown_B_T` of `shown_first_B` tokens in a batch's inputs."""

    def __init__(self, policy: LanguagePolicy) -> None:
        self._policy = policy

    def score(self, inputs: Mapping[str, Tensor]) -> Scores:
        """What the policy says of the units in `inputs`, having been shown; where no unit is, 0."""
        longer = _longer(inputs)
        chosen, shift_B = inputs["chosen_B_T"], inputs["shown_first_B"] - inputs["first_B"]
        column = torch.arange(chosen.shape[1], device=chosen.device) + shift_B[:, None]
        column = column.clamp(0, longer["tokens_B_T"].shape[1] - 1)
        scores = self._policy.score(longer)
        return Scores(*(torch.where(chosen, x.gather(1, column), 0.0) for x in scores))

    def whole(self, inputs: Mapping[str, Tensor]) -> Whole:
        """As `Teaching`, having been shown."""
        return self._policy.whole(_longer(inputs))

    def module(self) -> nn.Module:
        """The policy that reads, which holds weights of its own where it is no LoRA of the agent's."""
        return self._policy.module()

    def positions(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """As `Sharing`: what each row adds to a pass, which is longer than the row that it is read for."""
        longer = _longer(inputs)
        added = self._policy.positions(longer)
        return longer["length_B"] if added is None else added


def _longer(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The rows of `inputs` with the shown prompt in the place of their own."""
    tokens, first, before = inputs["tokens_B_T"], inputs["first_B"], inputs["shown_first_B"]
    length = before + inputs["length_B"] - first
    column = torch.arange(int(length.max()) + 1, device=tokens.device).expand(len(tokens), -1)  # one to spare
    in_prompt, last = column < before[:, None], tokens.shape[1] - 1
    own = (column - before[:, None] + first[:, None]).clamp(0, last)
    prompt = inputs["shown_B_T"].gather(1, column.clamp(max=last))
    reply = column < length[:, None]
    return {
        "tokens_B_T": torch.where(in_prompt, prompt, torch.where(reply, tokens.gather(1, own), 0)),
        "first_B": before,
        "length_B": length,
        "chosen_B_T": inputs["chosen_B_T"].gather(1, own) & ~in_prompt & reply,
    }
