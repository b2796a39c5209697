"""``python scripts/train.py ...`` is ``hatlit train ...``."""

import sys

from hatlit.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
