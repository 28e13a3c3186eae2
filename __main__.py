"""`python -m peripatos` is the command `peripatos`."""

from .scenarios.cli import main

if __name__ == "__main__":
    main()
