"""`python -m peripatos` is the command `peripatos`."""

import signal
from typing import NoReturn

from .scenarios.run.signals import ending_by_signals
from .scenarios.streams import ending_in_time


def main() -> NoReturn:
    """The entry point, where the process is the command's. Signals are heard from here on, while the rest is still
    being imported; before and after that, Ctrl-C ends the process without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    with ending_in_time(), ending_by_signals():
        from .scenarios.cli import main as command_line

        command_line()


if __name__ == "__main__":
    main()
