"""`python -m wallet_cli` is `wallet`."""

import sys

from wallet_cli.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
