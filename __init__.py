"""Peripatos: one gymnasium for thinkers and walkers.

Worlds (`peripatos.envs`) give states and rewards, agents (`peripatos.agents`) act in them, algorithms
(`peripatos.algorithms`) turn what happened into weights on log-likelihoods, and scenarios
(`peripatos.scenarios`) say what to run. Imports go one way: scenarios → algorithms → agents → envs.

Nothing heavy is imported here; import the sub-package that you need.
"""

__version__ = "0.2.0.dev0"
