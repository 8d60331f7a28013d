"""`python -m vicinal` is the command `vicinal`, for launchers such as torchrun."""

import sys

from vicinal.cli.command import main

if __name__ == "__main__":
    sys.exit(main())
