"""What has to be so of an agent in its worlds, whatever both are, each found out by trying: the table of the checks.

A check measures a figure, which is at most its tolerance where all is well: 0 where numbers have to be equal bit for
bit. `peripatos check` asks more of a world, and `peripatos doctor MODEL` of a model; here both are at work together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from ...envs.check_play import Broken
from ...envs.contained import is_ours
from ...envs.errors import UserError
from ...envs.user_code import described
from ...envs.vocabulary import WorldFailure
from ..run.disk import RunFailed
from .measures import Measured
from .patient import DoesNotApply, Patient
from .reading import check_memory, check_micro_batches, check_packing, check_padding, check_parity
from .resuming import check_resume
from .worlds import check_joined, check_seeding, check_values

Verdict = Literal["passed", "FAILED", "does not apply"]
# By precision, between numbers whose sums were taken in another order. In fp32 1e-5 is usual; in bf16 0.03 is, and of
# many log-probabilities the largest difference may be 0.4.
LOGP, GRADIENT, EXACT = ({"fp32": fp32, "bf16": bf16} for fp32, bf16 in ((1e-3, 0.5), (1e-3, 0.1), (0.0, 0.0)))


@dataclass(frozen=True)
class Check:
    """One of them: its name, what is so where it passes, how it is measured, and the tolerance by precision."""

    name: str
    says: str
    measure: Callable[[Patient], Measured]
    tolerance: Mapping[str, float]


@dataclass(frozen=True)
class Finding:
    """What came of one check. Without a figure where it does not apply, or could not be measured."""

    check: str
    says: str
    verdict: Verdict
    figure: float | None
    tolerance: float | None
    detail: str
    seconds: float


def _template(patient: Patient) -> Measured:
    from .speaking import check_template  # with transformers, which a body does without

    return check_template(patient)


def _stop(patient: Patient) -> Measured:
    from .speaking import check_stop

    return check_stop(patient)


CHECKS = (
    Check("observation values", "what is seen and earned is finite and in its space", check_values, EXACT),
    Check("seeding", "equal seeds give equal episodes, of the world and of the agent in it", check_seeding, EXACT),
    Check("joined parts", "halves collected apart are, joined, the whole", check_joined, EXACT),
    Check("log-probability parity", "who acts and who learns say the same of what was chosen", check_parity, LOGP),
    Check("padding", "a row reads alone as it does among others and padding", check_padding, LOGP),
    Check("packing", "what rows share is read once, and they are as rows read one by one", check_packing, LOGP),
    Check("micro-batches", "an update in many passes has the gradient of one", check_micro_batches, GRADIENT),
    Check("memory", "nothing of what came before an episode is remembered in it", check_memory, LOGP),
    Check("template prefix", "a turn begins with the turn before, or begins a row", _template, EXACT),
    Check("stop token", "a reply ends where the engine stops, and the loss reads its end", _stop, EXACT),
    Check("resume", "a run that was killed ends as one that was not", check_resume, EXACT),
)


def examine(patient: Patient) -> Iterator[Finding]:
    """Each check in turn, as it is done."""
    for check in CHECKS:
        yield _found(check, patient)


def _found(check: Check, patient: Patient) -> Finding:
    begun, tolerance = time.monotonic(), check.tolerance[patient.precision]
    verdict: Verdict = "FAILED"
    figure = None
    try:
        measured = check.measure(patient)
    except DoesNotApply as reason:
        verdict, detail = "does not apply", str(reason)
    except (Broken, UserError, WorldFailure, RunFailed) as problem:
        detail = str(problem)
    except BaseException as error:  # whatever a stranger's world, model or template raises is what we came to learn
        if is_ours(error):
            raise
        detail = described(error)
    else:
        figure, detail = measured.figure, measured.detail
        verdict = "passed" if figure <= tolerance else "FAILED"  # NaN is not close either
    seconds = time.monotonic() - begun
    applies = verdict != "does not apply"
    return Finding(check.name, check.says, verdict, figure, tolerance if applies else None, detail, seconds)
