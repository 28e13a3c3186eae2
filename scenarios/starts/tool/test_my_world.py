from my_world import Lockers, MyWorld


def test_the_tools_do_what_they_say():
    lockers = Lockers({"parcels": list("BADC")})
    assert lockers.find("D") == 2
    assert lockers.take(2) == lockers.hand == "D"


def test_the_expert_reaches_the_goal_and_idleness_does_not():
    world = MyWorld()
    for work, right in ((True, True), (False, False)):
        world.reset(seed=0)
        terminated = False
        while not terminated:
            _, _, terminated, _, info = world.step(world.oracle() if work else "Done.")
        assert info["success"] is right
