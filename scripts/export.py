"""``python scripts/export.py ...`` is ``hatlit export ...``."""

import sys

from hatlit.cli import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))
