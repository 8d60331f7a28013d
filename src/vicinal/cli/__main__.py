"""`python -m vicinal.cli` is the command `vicinal`."""

import sys

from vicinal.cli.command import main

if __name__ == "__main__":
    sys.exit(main())
