"""``python -m meshsim`` is ``meshsim``."""

from meshsim.cli import main

main()
