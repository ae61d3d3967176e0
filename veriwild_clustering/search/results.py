"""What a search found: rows, scores, and what each descriptor had to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_int

__all__ = ["Results"]


@dataclass(frozen=True, eq=False)
class Results:
    """The rows that a search found, best first.

    Parameters
    ----------
    table : DataFrame
        One row per result: `row` of the dataset and `path`; `score`, the cosine similarity (higher is nearer) or
        Euclidean distance (lower is nearer); with re-ranking `reranked`, the distance by which results are ordered, NaN
        for those beyond its candidates, which follow as they were; and one column per descriptor, named like it, that
        says what it adds. These sum to the score, or with Euclidean distances to its square.
    weights : mapping of str to float
        The descriptors that were searched, with their weights.
    metric : {"cosine", "euclidean"}
        What `score` means.
    params : mapping
        How it was searched: filters, exclusions, re-ranking.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering.search.results import Results
    >>> found = {"row": [7], "path": ["a.jpg"], "score": [0.9], "type_model": [0.65], "color_model": [0.25]}
    >>> results = Results(pd.DataFrame(found), {"type_model": 0.7, "color_model": 0.3}, "cosine")
    >>> results.explain(0)
    'Result 1, row 7 (a.jpg): cosine similarity 0.90, 0.65 of 0.70 from type_model and 0.25 of 0.30 from color_model.'
    """

    table: pd.DataFrame
    weights: Mapping[str, float]
    metric: str
    _: KW_ONLY
    params: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.table)

    def _repr_html_(self) -> str:
        return self.table.round(3).to_html(index=False)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows of the dataset, best first."""
        return self.table["row"].to_numpy(dtype=np.int64)

    @property
    def scores(self) -> NDArray[np.float64]:
        """Cosine similarities or Euclidean distances, in the order of the results."""
        return self.table["score"].to_numpy(dtype=np.float64)

    def explain(self, place: int) -> str:
        """Return in a sentence why a result is where it is.

        Parameters
        ----------
        place : int
            Its place among the results, from 0.

        Returns
        -------
        str
            One sentence with its figures.

        Raises
        ------
        ValueError
            If there is no such place.
        """
        check_int("place", place, low=0, high=len(self), high_name="n_results")
        found = self.table.iloc[place]
        parts = [self._part(name, float(found[name]), float(found["score"])) for name in self.weights]
        listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
        measure = "cosine similarity" if self.metric == "cosine" else "Euclidean distance"
        sentence = f"Result {place + 1}, row {found['row']} ({found['path']}): {measure} {found['score']:.2f}, {listed}"
        if "reranked" in self.table:
            before = self.table["score"].rank(method="first", ascending=self.metric != "cosine").iloc[place]
            sentence += f"; ranked {int(before)} among the results before re-ranking"
        return f"{sentence}."

    def _part(self, name: str, value: float, score: float) -> str:
        if self.metric == "cosine":
            return f"{value:.2f} of {self.weights[name]:.2f} from {name}"
        return f"{value / score**2 if score else 0:.0%} of its square from {name}"
