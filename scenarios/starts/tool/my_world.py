"""A world of tools: the public methods of an object are the tools, and a check looks at the state that was reached."""

import random

import gymnasium

from peripatos.envs.tools import ToolWorld


class Lockers:
    """The state of one episode: ten lockers with a parcel in each, and a hand."""

    def __init__(self, task):
        self.parcels, self.hand = task["parcels"], None

    def find(self, parcel: str) -> int:
        """The number of the locker that a parcel is in.

        Args:
            parcel: one letter
        """
        return self.parcels.index(parcel)

    def take(self, locker: int) -> str:
        """Take what is in a locker.

        Args:
            locker: 0 to 9
        """
        self.hand = self.parcels[locker]
        return self.hand


def tasks():
    """A dictionary for each task. `oracle` is what an expert would say, turn by turn."""
    rng, made = random.Random(0), []
    for name in 200 * ("Ann", "Bob", "Eve", "Kim", "Max", "Zoe"):
        parcels, locker = rng.sample("ABCDEFGHIJ", 10), rng.randrange(10)
        wanted = parcels[locker]
        work = [f"[find(parcel='{wanted}')]", f"[take(locker={locker})]", "Done."]
        made.append({"prompt": f"{name} wants {wanted}.", "wanted": wanted, "parcels": parcels, "oracle": work})
    return made


def reached(lockers, task, reply):
    """Whether the state is the one that was wanted, when the agent has stopped calling tools."""
    return lockers.hand == task["wanted"]


def MyWorld():
    """Fetch the parcel that somebody wants."""
    return ToolWorld(tasks(), Lockers, reached, reply_format="python")


gymnasium.register(id="my_world/MyWorld-v0", entry_point=MyWorld)
