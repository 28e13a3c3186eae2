"""Do somebody else's tools work as they are? BFCL's multi-turn classes and its 800 reference conversations.

    pip install --no-deps bfcl-eval && python benchmarks/bfcl.py

First the schemas: every parameter of every public method has its name, its description and its default, as the class's
source says. Then the conversations: the reference's calls, written as Python, are the agent's replies; the user says
the next line when they are done. After each turn BFCL's own `state_checker` compares the objects with those of a plain
execution of the same calls.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import bfcl_eval
from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker import state_checker

from peripatos.envs.tools import ToolBox, ToolWorld

DATA = Path(bfcl_eval.__file__).parent / "data"
MODULES = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "TwitterAPI": "posting_api",
    "VehicleControlAPI": "vehicle_control",
}
SETS = ("base", "miss_param", "miss_func", "long_context")


def class_of(name: str) -> Any:
    """One of BFCL's classes."""
    folder = "bfcl_eval.eval_checker.multi_turn_eval.func_source_code"
    return getattr(importlib.import_module(f"{folder}.{MODULES[name]}"), name)


def made(name: str, config: Mapping[str, Any], is_long: bool) -> Any:
    """An object in the state in which a conversation begins."""
    one = class_of(name)()
    if name != "MathAPI":  # which has no state
        one._load_scenario(copy.deepcopy(config.get(name, {})), long_context=is_long)
    return one


def methods() -> Iterator[tuple[str, bool]]:
    """Each method, and whether nothing of it is missing in its schema."""
    for name in MODULES:
        kind = class_of(name)
        for schema in ToolBox.of(kind()).schemas:
            function = schema["function"]
            shown = function["parameters"].get("properties", {})
            parameters = list(inspect.signature(getattr(kind, function["name"])).parameters.values())[1:]
            complete = [parameter.name for parameter in parameters] == list(shown) and all(
                shown[parameter.name].get("description")
                and (parameter.default is parameter.empty or shown[parameter.name]["default"] == parameter.default)
                for parameter in parameters
            )
            yield f"{name}.{function['name']}", complete


def rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of BFCL's."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def replayed(row: Mapping[str, Any], truth: list[list[str]], is_long: bool) -> bool:
    """Whether a conversation of the reference's own calls goes as it should to its end."""
    said = [" ".join(message["content"] for message in turn) or "There are more tools now." for turn in row["question"]]
    task = {"prompt": said[0], "id": row["id"], "split": "test", "lines": said[1:]}
    names, config = row["involved_classes"], row["initial_config"]
    hosts: list[Any] = []

    def tools(_: Any) -> list[Any]:
        hosts[:] = [made(name, config, is_long) for name in names]
        return hosts

    world = ToolWorld([task], tools, lambda *_: True, user="lines", reply_format="python", max_calls=1000, timeout=None)
    world.reset(seed=0, options={"split": "test"})
    plain = [made(name, config, is_long) for name in names]
    known = {name: getattr(one, name) for one in plain for name in dir(one) if not name.startswith("_")}
    terminated, info = False, {}
    for calls in truth:
        if calls:
            world.step(f"[{', '.join(calls)}]")
            for call in calls:
                try:
                    eval(call, dict(known))
                except Exception:  # of the reference, which the agent is told as well
                    continue
            pairs = (dict(zip(names, side, strict=True)) for side in (hosts, plain))
            if not state_checker(*pairs)["valid"]:
                return False
        *_, terminated, _, info = world.step("Done.")
    world.close()
    return bool(terminated and info["success"])


def main() -> None:
    """Print both counts, and what is not right."""
    found = dict(methods())
    print(f"{sum(found.values())} of {len(found)} methods complete", [name for name, full in found.items() if not full])
    right: Counter[str] = Counter()
    for name in SETS:
        truths = {
            row["id"]: row["ground_truth"] for row in rows(DATA / f"possible_answer/BFCL_v4_multi_turn_{name}.json")
        }
        for row in rows(DATA / f"BFCL_v4_multi_turn_{name}.json"):
            if replayed(row, truths[row["id"]], name == "long_context"):
                right[name] += 1
            else:
                print("not replayed:", row["id"])
    print(f"{right.total()} of 800 conversations replayed", dict(right))


if __name__ == "__main__":
    main()
