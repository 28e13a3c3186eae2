"""Worlds: state, action, reward. Importing this package registers the `peripatos/…` ids with Gymnasium.

Entry points are strings, so that no world's module (and no physics) is imported before a world is made.
"""

from gymnasium import register

register(id="peripatos/Arithmetic-v0", entry_point="peripatos.envs.worlds.maths.arithmetic:Arithmetic")
register(id="peripatos/Coding-v0", entry_point="peripatos.envs.worlds.coding.world:Coding")
register(id="peripatos/Mathematics-v0", entry_point="peripatos.envs.worlds.maths.mathematics:Mathematics")
register(id="peripatos/ToolMaths-v0", entry_point="peripatos.envs.worlds.maths.tool_maths:ToolMaths")
register(id="peripatos/Tasks-v0", entry_point="peripatos.envs.conversation.task_world:TaskWorld")
register(id="peripatos/Store-v0", entry_point="peripatos.envs.worlds.store.world:Store")
for _id, _options in (("peripatos/Walker-v0", {}), ("peripatos/WalkerHard-v0", {"world_damping": False})):
    register(
        id=_id,
        entry_point="peripatos.envs.worlds.robots.walker:Walker",
        vector_entry_point="peripatos.envs.worlds.robots.walker:make_vec_walker",
        max_episode_steps=400,
        kwargs=_options,
    )
register(
    id="peripatos/CartpoleSwingup-v0",
    entry_point="peripatos.envs.worlds.robots.cartpole_swingup:CartpoleSwingup",
    vector_entry_point="peripatos.envs.worlds.robots.cartpole_swingup:make_vec_swingup",
    max_episode_steps=500,
)

if __name__ != "peripatos.envs":
    raise ImportError(
        "import this package as peripatos.envs, not as envs: its folder name is too common to stand alone"
    )
