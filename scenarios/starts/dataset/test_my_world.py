from my_world import MyWorld, right

from peripatos.envs.vocabulary import Reply


def test_only_the_answer_is_right():
    row = {"prompt": "abc", "answer": "cba"}
    assert right(Reply(" cba\n"), row)
    assert not right(Reply("abc"), row)


def test_a_task_for_tests_is_none_for_training():
    world, asked = MyWorld(), {}
    for split in ("train", "test"):
        asked[split] = {world.reset(seed=seed, options={"split": split})[0] for seed in range(50)}
    assert not asked["train"] & asked["test"]
