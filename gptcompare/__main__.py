"""Run the command `gptcompare` by `python -m gptcompare`."""

import sys

from .cli import main

sys.exit(main())
