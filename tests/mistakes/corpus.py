"""The whole corpus, by class."""

from __future__ import annotations

import command_cases
import data_cases
import flag_cases
import model_cases
import role_cases
import run_cases
import world_cases
import yaml_cases
from mistake_cases import Case

CORPUS: dict[str, list[Case]] = {
    "yaml": yaml_cases.CASES,
    "--set": flag_cases.CASES,
    "command": command_cases.CASES,
    "world": world_cases.CASES,
    "model": model_cases.CASES,
    "role": role_cases.CASES,
    "data": data_cases.CASES,
    "run": run_cases.CASES,
}
