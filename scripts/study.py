"""``python scripts/study.py NAME ...`` is ``hatlit study NAME ...``."""

import sys

from hatlit.cli import main

if __name__ == "__main__":
    sys.exit(main(["study", *sys.argv[1:]]))
