"""`python -m peripatos` is the command `peripatos`."""

from typing import NoReturn

from .scenarios.run.signals import ending_by_signals


def main() -> NoReturn:
    """The entry point. Signals are heard from here on, while the rest is still being imported."""
    with ending_by_signals():
        from .scenarios.cli import main as command_line

        command_line()


if __name__ == "__main__":
    main()
