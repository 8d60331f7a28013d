"""The command line: `vicinal train | evaluate | reproduce | list`, one file per subcommand.

Only `argparse` is imported before a subcommand runs, so that `--help` answers at once.
"""

from vicinal.cli.command import main

__all__ = ["main"]
