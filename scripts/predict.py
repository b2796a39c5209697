"""``python scripts/predict.py ...`` is ``hatlit predict ...``."""

import sys

from hatlit.cli import main

if __name__ == "__main__":
    sys.exit(main(["predict", *sys.argv[1:]]))
