"""``python scripts/zoo.py ...`` is ``hatlit zoo ...``."""

import sys

from hatlit.cli import main

if __name__ == "__main__":
    sys.exit(main(["zoo", *sys.argv[1:]]))
