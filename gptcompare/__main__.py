"""`python -m gptcompare` is the command `gptcompare`."""

import sys

from .cli import main

sys.exit(main())
