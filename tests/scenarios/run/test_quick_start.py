"""A run of a body waits for nothing that it does not use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scenarios_runs import write_scenario

RUN = """
import sys
import peripatos
peripatos.run(sys.argv[1], out=sys.argv[2])
slow = ("transformers", "torch._dynamo", "torch._inductor", "scipy.stats", "pandas", "sympy")
print([name for name in slow if name in sys.modules])
"""


def test_a_control_run_imports_neither_language_models_nor_compilers(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", RUN, str(write_scenario(tmp_path)), str(tmp_path / "run")]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
