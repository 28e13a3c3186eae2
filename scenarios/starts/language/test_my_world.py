from my_world import MyWorld


def test_the_oracle_is_paid_and_others_are_not():
    world = MyWorld()
    world.reset(seed=0)
    *_, info = world.step(world.oracle())
    assert info["success"] is True
    world.reset(seed=0)
    _, reward, terminated, _, _ = world.step("I do not know")
    assert (reward, terminated) == (0.0, True)


def test_tasks_for_tests_are_others():
    world, asked = MyWorld(), {}
    for split in ("train", "test"):
        asked[split] = {world.reset(seed=seed, options={"split": split})[0] for seed in range(50)}
    assert not asked["train"] & asked["test"]
