"""The command line's entry: ``python -m meshsim`` is ``meshsim``."""

from __future__ import annotations

from typing import NoReturn

from meshsim import cli_stopping


def main() -> NoReturn:
    """Run the command line and exit; Ctrl-C ends it without a traceback, be it while Python still loads the rest."""
    cli_stopping.end_at_once()
    from meshsim import cli

    cli.main()


if __name__ == "__main__":
    main()
