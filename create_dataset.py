"""Join the raw data into transport_dataset.csv: `python create_dataset.py --help`."""

import sys

if __name__ == "__main__":
    try:
        from veriwild_clustering.apps.cli import main

        sys.exit(main(["create-dataset", *sys.argv[1:]]))
    except ModuleNotFoundError as error:
        sys.exit(f"The Python package {error.name!r} is missing. Install all with: pip install -r requirements.txt")
