# pyright: reportMissingImports=false
"""`python -m peripatos.agents.language.engines.vllm_server MODEL [--port 8000] […]`: vLLM's own server, of the kind
that `engine: {vllm: {url: …}}` speaks with, in an environment that may hold another transformers and another torch
than the learner's. What follows MODEL is for `vllm serve`.

Whoever reaches the port can give it other weights and have it read files, so it listens to this machine alone unless
`--host` says otherwise.
"""

from __future__ import annotations

import os
import sys

from .vllm_library import NO_REPORTS, PLUGINS, TRANSFER, check_vllm

ARGUMENTS = (
    "--enable-scale-out",  # ids in, ids out
    "--skip-tokenizer-init",
    "--logprobs-mode=processed_logprobs",
    "--generation-config=vllm",  # no penalty or ban that the model's folder asks for: a trainer knows of none
    "--no-enable-chunked-prefill",  # which a CPU's seeded generator cannot take back
    f"--logits-processors={PLUGINS}:GreedyOfPolicy",
    f'--weight-transfer-config={{"backend": "{TRANSFER}"}}',
    "--host=127.0.0.1",
)


def main(given: list[str]) -> None:
    """Serve until somebody ends it."""
    check_vllm()
    os.environ.update(NO_REPORTS, VLLM_SERVER_DEV_MODE="1")  # which the ways of taking weights belong to
    from vllm.entrypoints.launchers.api_server.entry import main as serve  # `vllm serve` looks for a package "vllm"

    sys.argv = ["vllm_server", "--model", given[0], *ARGUMENTS, *given[1:]]
    serve()


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(__doc__)
    main(sys.argv[1:])
