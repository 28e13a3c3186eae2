import numpy as np
from gymnasium.utils.env_checker import check_env
from my_world import MyWorld


def test_it_is_a_gymnasium_environment():
    check_env(MyWorld(), skip_render_check=True)


def test_a_push_to_the_right_moves_it_to_the_right():
    world = MyWorld()
    before, _ = world.reset(seed=0)
    after, *_ = world.step(np.array([1.0], np.float32))
    assert after[0] > before[0]
