"""Where the vectors of a search space are kept: in a file here, or in a database on other machines."""
