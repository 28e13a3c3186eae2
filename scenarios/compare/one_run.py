"""One run of a comparison, in a process of its own:

    python -m peripatos.scenarios.compare.one_run SCENARIO FOLDER

It begins the run of FOLDER, or goes on with it, and ends by the exit codes of the command line. When who began it is
gone, which its standard input tells, it saves itself and ends, as after Ctrl-C. The most memory that it held is written
to FOLDER.peak, in MiB.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

import yaml

from ..cli import explain
from ..entrance import load_run, run
from ..run.signals import ending_by_signals
from .peak import note_peak


def main() -> NoReturn:
    """The entry point."""
    scenario, folder = sys.argv[1], Path(sys.argv[2])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with ending_by_signals() as heard:
        try:
            if (folder / "scenario.yaml").exists():
                load_run(folder).resume()
            else:
                run(_resolved(scenario), out=folder)
        except (Exception, KeyboardInterrupt) as problem:
            if heard:
                raise
            sys.exit(explain(problem))
        finally:
            note_peak(folder)
        sys.exit(0)


def _resolved(scenario: str) -> dict[str, Any]:
    """The scenario as `compare` has resolved and checked it, flags and all."""
    return yaml.safe_load(Path(scenario).read_text(encoding="utf-8"))


def _end_with_parent() -> None:
    while os.read(0, 1):  # nobody writes: it returns when the other end is closed
        pass
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main()
