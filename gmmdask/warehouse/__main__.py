"""Print docs/tables.md: `python -m gmmdask.warehouse > docs/tables.md`."""

import sys

from gmmdask.warehouse.views import page

if __name__ == "__main__":
    sys.stdout.write(page())
