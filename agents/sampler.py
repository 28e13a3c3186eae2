"""The engine in this process: samples replies from a language policy, many at once.

Prompts that are equal (a group's) are read once. Every reply has its own random stream and spends one uniform number
for each token, so what is sampled does not depend on who else is in the batch. Finished rows leave the batch at once.
With precision "bf16" it samples from a bf16 copy of the weights, which `refresh` brings up to date: that is the link
between learner and sampler. Left out: admitting new requests into a running batch.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch

from ..envs.vocabulary import StopReason
from .distribution import draw, log_probabilities
from .language import LanguagePolicy, Precision
from .speakers import Request, Spoken

MAX_ROWS = 512  # in one batch


class Sampler:
    """Speaks with `policy`, at its temperature and top-p, at most `max_tokens` tokens a reply."""

    def __init__(
        self,
        policy: LanguagePolicy,
        *,
        max_tokens: int,
        stop_ids: Sequence[int],
        precision: Precision = "fp32",
    ) -> None:
        self._source = policy
        self._policy = policy
        if precision == "bf16":
            self._policy = copy.deepcopy(policy).requires_grad_(False)
            self._policy.bfloat16()
            self._policy.precision = "fp32"  # the weights are bf16 themselves; autocast would only slow them
        self._max_tokens = max_tokens
        self._stop_ids = torch.tensor(list(stop_ids))

    @torch.no_grad()
    def refresh(self, version: int) -> None:
        """Copy the learner's weights where this engine has its own."""
        if self._policy is not self._source:
            for mine, theirs in zip(self._policy.parameters(), self._source.parameters(), strict=True):
                mine.copy_(theirs)

    def speak(self, requests: Sequence[Request], *, greedy: bool) -> list[Spoken]:
        """One reply for each request; the likeliest token at every step where `greedy`."""
        spoken: list[Spoken] = []
        for start in range(0, len(requests), MAX_ROWS):
            part = requests[start : start + MAX_ROWS]
            limits = [min(self._max_tokens, self._policy.context - len(request.prompt)) for request in part]
            uniforms = np.zeros((len(part), max(limits)), dtype=np.float32)
            for row, request in zip(uniforms, part, strict=True):
                row[:] = request.rng.random(len(row), dtype=np.float32)
            spoken += self._decode([request.prompt for request in part], limits, uniforms, greedy)
        return spoken

    @torch.no_grad()
    def _decode(
        self, prompts: list[tuple[int, ...]], limits: list[int], uniforms: np.ndarray, greedy: bool
    ) -> list[Spoken]:
        policy, device = self._policy, self._policy.device
        number = {prompt: index for index, prompt in enumerate(dict.fromkeys(prompts))}
        which = torch.tensor([number[prompt] for prompt in prompts], device=device)
        hidden_U_H, cache, mask_U_P = policy.read_prompts(list(number))
        hidden, mask = hidden_U_H[which], mask_U_P[which].long()
        cache.batch_select_indices(which)
        row = torch.arange(len(prompts), device=device)  # which reply each row of the batch is
        position = torch.tensor([len(prompt) for prompt in prompts], device=device)
        limit, uniform = torch.tensor(limits, device=device), torch.from_numpy(uniforms).to(device)
        stops = self._stop_ids.to(device)
        tokens: list[list[int]] = [[] for _ in prompts]
        logps: list[list[float]] = [[] for _ in prompts]
        for t in range(max(limits)):
            logp_N_V = log_probabilities(
                policy.logits(hidden), temperature=policy.temperature, top_p=policy.top_p, kept_N=None
            )
            token = logp_N_V.argmax(dim=-1) if greedy else draw(logp_N_V, uniform[row, t])
            logp = logp_N_V.gather(-1, token[:, None])[:, 0]
            for index, chosen, value in zip(row.tolist(), token.tolist(), logp.tolist(), strict=True):
                tokens[index].append(chosen)
                logps[index].append(value)
            going = ~torch.isin(token, stops) & (t + 1 < limit[row])
            if not bool(going.any()):
                break
            if not bool(going.all()):
                kept = torch.nonzero(going)[:, 0]
                cache.batch_select_indices(kept)
                row, token, mask, position = row[kept], token[kept], mask[kept], position[kept]
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            hidden = policy.backbone(
                input_ids=token[:, None],
                attention_mask=mask,
                position_ids=position[:, None],
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state[:, -1]
            position = position + 1
        known_stops = set(self._stop_ids.tolist())
        return [
            Spoken(tuple(ids), tuple(values), StopReason.STOP if ids[-1] in known_stops else StopReason.LENGTH)
            for ids, values in zip(tokens, logps, strict=True)
        ]
