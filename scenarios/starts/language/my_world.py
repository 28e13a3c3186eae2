"""A world of messages: digits are to be put in order."""

import gymnasium

from peripatos.envs.conversation import ConversationEnv, Outcome


class MyWorld(ConversationEnv):
    """Say the digits that are given, the smallest first."""

    weights = {"right": 1.0}  # the reward is a weighted sum of named terms
    max_turns = 1
    has_success = True

    def opening(self, rng, split):
        """What the agent is told. All chance comes from `rng`; tasks for training and for tests must differ."""
        while True:
            self.digits = rng.integers(0, 10, size=4).tolist()
            held_out = sum(self.digits) % 5 == 0
            if held_out == (split == "test"):
                return "".join(map(str, self.digits))

    def respond(self, reply):
        """What comes of a reply: the reward, and here the end."""
        right = reply.text == self.oracle()
        return Outcome(terms={"right": float(right)}, terminated=True, success=right)

    def oracle(self):
        """What an expert would reply: for demonstrations, and so that `peripatos check` can see a reward."""
        return "".join(map(str, sorted(self.digits)))


gymnasium.register(id="my_world/MyWorld-v0", entry_point=MyWorld)
