"""The reference of a stage: the policy as it was when the stage began, from which a KL penalty keeps the learner near.

    checkpoints/reference-1/     what `policy.save` writes, and a manifest.json as a checkpoint has one

It is written as a checkpoint is, and verified at each resume. A damaged one is made again from the checkpoint of the
update at which its stage began, or, where the run began with this stage, from the scenario.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from ...agents.protocols import Policy
from ..assembly.policies import make_reference
from .checkpoint import BadCheckpoint, install, verify, write_manifest
from .disk import disk_errors


def write_reference(folder: Path, policy: Policy) -> Policy:
    """Keep `policy` as it is now in `folder`; gives the frozen copy."""
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    with disk_errors(folder.parents[1]):
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            policy.save(unfinished)
            write_manifest(unfinished)
            install(unfinished, folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return make_reference(policy)


def read_reference(
    folder: Path, policy: Policy, begun: int, first: Callable[[], Policy] | None, say: Callable[[str], None]
) -> Policy:
    """What was kept in `folder`, whole. A damaged one is made again, which `say` is told.

    Args:
        policy: of the same architecture.
        begun: the update at which the stage began.
        first: makes the policy with which the run began, where that is the one; None where it is not.

    Raises:
        BadCheckpoint: it is damaged, and what it could be made from is gone.
    """
    reference = make_reference(policy)
    try:
        verify(folder)
    except BadCheckpoint as problem:
        damage = f"the reference {str(problem).removeprefix('checkpoint ')}"
    else:
        reference.load(folder)
        return reference
    origin = folder.parent / f"{begun:06d}"
    try:
        verify(origin)
    except BadCheckpoint as problem:
        if first is None:
            raise BadCheckpoint(
                f"{damage}; it could be made again from checkpoint {origin.name}, which is no longer there or whole: "
                "put either back, or run the scenario anew"
            ) from problem
        made, source = first(), "the scenario, by which the run began"
    else:
        made, source = reference, f"checkpoint {origin.name}, at which the stage began"
        made.load(origin / "policy")
    say(f"{damage}; it is made again from {source}")
    return write_reference(folder, made)
