"""`python -m gmmdask` is the command `gmmdask`."""

from __future__ import annotations

from gmmdask.cli import main

if __name__ == "__main__":
    main()
