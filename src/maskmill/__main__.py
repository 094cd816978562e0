"""`python -m maskmill` is the command `maskmill`."""

import sys

from maskmill.cli import main

sys.exit(main())
