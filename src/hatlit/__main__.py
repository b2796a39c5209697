"""``python -m hatlit`` is ``hatlit``."""

import sys

from hatlit.cli import main

if __name__ == "__main__":
    sys.exit(main())
