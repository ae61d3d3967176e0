"""Lets `python -m veriwild_clustering` do what the console script `veriwild` does."""

import sys

from veriwild_clustering.apps.cli import main

if __name__ == "__main__":
    sys.exit(main())
