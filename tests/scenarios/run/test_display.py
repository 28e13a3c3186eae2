"""What a person reads while a run works."""

from __future__ import annotations

from peripatos.scenarios.run.display import time_split


def test_the_time_split_weighs_every_update_by_how_long_it_took() -> None:
    rows = [
        {"time/simulate": 1.0, "time/collect": 2.0, "time/update": 2.0, "time/env_steps_per_second": 100.0},
        {"time/simulate": 3.0, "time/collect": 4.0, "time/update": 2.0, "time/env_steps_per_second": 50.0},
    ]
    # 100·4 + 50·6 = 700 steps in 10 s; simulate 4 s and update 4 s of them
    assert time_split(rows) == "70 steps/s: simulate 40 %, update 40 %"


def test_where_a_clock_stood_still_the_time_split_is_still_said() -> None:
    row = {"time/collect": 0.0, "time/update": 0.0, "time/env_steps_per_second": 5e9}
    assert time_split([row]) == "0 steps/s: update 0 %"
