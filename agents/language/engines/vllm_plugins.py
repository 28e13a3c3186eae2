# pyright: reportMissingImports=false, reportUntypedBaseClass=false
"""What vLLM itself loads of ours, by name: how weights come in, and what its greedy replies are drawn from.

This module imports vLLM; nothing but vLLM imports this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from vllm.distributed.weight_transfer.base import (
    WeightTransferEngine,
    WeightTransferInitInfo,
    WeightTransferUpdateInfo,
)
from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead, VocabParallelEmbedding
from vllm.model_executor.model_loader.reload import finalize_layerwise_reload, initialize_layerwise_reload
from vllm.sampling_params import SamplingParams
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

from ...protocols import Distribution
from ..distribution import log_probabilities


@dataclass
class WholeWeightsInit(WeightTransferInitInfo):
    """There is nothing to agree on."""


@dataclass
class WholeWeightsUpdate(WeightTransferUpdateInfo):
    """One version, whole: each tensor under its name in a checkpoint, here in memory or in a safetensors `file`."""

    tensors: Iterable[tuple[str, Tensor]] = field(default_factory=tuple)
    file: str | None = None


class WholeWeights(WeightTransferEngine[WholeWeightsInit, WholeWeightsUpdate]):
    """Weights are read where the learner has them, in this process or in this machine's memory. vLLM fuses, shards and
    packs them as it does with those of a file, layer by layer."""

    init_info_cls = WholeWeightsInit
    update_info_cls = WholeWeightsUpdate

    def init_transfer_engine(self, init_info: WholeWeightsInit) -> None:
        """Nothing."""

    def start_weight_update(self) -> None:
        """Layers take weights in a checkpoint's form from now on."""
        initialize_layerwise_reload(self.model)

    def receive_weights(self, update_info: WholeWeightsUpdate) -> None:
        """All of them."""
        if update_info.file is None:
            self.model.load_weights(iter(update_info.tensors))
            return
        with safe_open(update_info.file, "pt") as stored:
            self.model.load_weights((name, stored.get_tensor(name)) for name in stored.keys())  # noqa: SIM118

    def finish_weight_update(self) -> None:
        """Layers compute with the new weights from now on."""
        finalize_layerwise_reload(self.model, self.model_config)
        embeddings = {
            module.weight.data_ptr()
            for module in self.model.modules()
            if isinstance(module, VocabParallelEmbedding) and not isinstance(module, ParallelLMHead)
        }
        for module in self.model.modules():
            # no weight of its own came for a tied head, and on a CPU it multiplies with a packed copy
            if isinstance(module, ParallelLMHead) and module.weight.data_ptr() in embeddings:
                module.quant_method.process_weights_after_loading(module)

    def shutdown(self) -> None:
        """Nothing is held."""


class GreedyOfPolicy(AdapterLogitsProcessor):
    """Gives greedy replies the log-probabilities of the distribution that the policy draws from: vLLM's own are of
    temperature 1, without a nucleus."""

    def is_argmax_invariant(self) -> bool:
        """The likeliest token stays the likeliest, but vLLM would not ask for greedy replies then."""
        return False

    def new_req_logits_processor(self, params: SamplingParams) -> Callable[[list[int], Tensor], Tensor] | None:
        """What is done to each row of logits of a request; None for what is drawn by chance."""
        of: dict[str, Any] | None = (params.extra_args or {}).get("greedy")
        if of is None:
            return None

        def restrict(_said: list[int], logits_V: Tensor) -> Tensor:
            return log_probabilities(logits_V[None], Distribution(**of))[0].to(torch.float32)

        return restrict
