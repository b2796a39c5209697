"""``python scripts/expand.py ...`` is ``hatlit expand ...``."""

import sys

from hatlit.cli import main

if __name__ == "__main__":
    sys.exit(main(["expand", *sys.argv[1:]]))
