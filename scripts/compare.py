"""``python scripts/compare.py ...`` is ``hatlit compare ...``."""

import sys

from hatlit.cli import main

if __name__ == "__main__":
    sys.exit(main(["compare", *sys.argv[1:]]))
