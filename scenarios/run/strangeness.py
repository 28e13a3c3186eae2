"""What the worlds of strangers report in episodes that is not as it should be, and costs none of them: said once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...envs.vocabulary import Episode


class Strangeness:
    """Tells `said` of it. `worlds` are their ids by their names, as episodes bear these."""

    def __init__(self, said: Callable[[str], None], worlds: dict[str, str]) -> None:
        self._said, self._worlds = said, worlds
        self._told: set[tuple[str, str]] = set()

    def tell(self, stage: str, episodes: Sequence[Episode]) -> None:
        """Once in a stage what nobody counts, and once of a world what it observes."""
        found = [episode.left_out for episode in episodes if episode.left_out is not None]
        if found and self._is_new(("left out", stage)):
            self._said(
                f"{stage}: in {len(found)} of {len(episodes)} episodes the world reports what has no form of ours, and "
                f"it is left out (left_out): {found[0]}"
            )
        for episode in episodes:
            if episode.misfit is not None and self._is_new(("misfit", episode.world)):
                self._said(
                    f"{self._worlds.get(episode.world, '')!r}: later than at its reset, {episode.misfit}. Agents see "
                    "it in float32 all the same, and `peripatos check` refuses it"
                )

    def _is_new(self, what: tuple[str, str]) -> bool:
        new = what not in self._told
        self._told.add(what)
        return new
