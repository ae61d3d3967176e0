"""Retrieval scores: how good ranked images are, per attribute and value and across cameras, always beside chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.classes import encode
from veriwild_clustering.core.validation import check_int, check_known_names
from veriwild_clustering.evaluation.rankings.expectation import RANKS
from veriwild_clustering.evaluation.rankings.judging import RankedImages, scores_of_queries

__all__ = ["reid_scores", "retrieval_scores"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def retrieval_scores(
    ranking: ArrayLike,
    labels: Mapping[str, ArrayLike] | pd.DataFrame,
    *,
    query_rows: ArrayLike | None = None,
    query_labels: Mapping[str, ArrayLike] | pd.DataFrame | None = None,
    k: int = 10,
) -> pd.DataFrame:
    """Score ranked images by whether they share the query's attributes.

    Parameters
    ----------
    ranking : array of shape (n_queries, n_results), int, or (n_queries, n_images), float
        Whole numbers are rows of the images, best first, −1 where there is no further result. Other numbers say how
        similar each image is, higher is better (negate distances), NaN for one that is not searched; tied images count
        as in random order. Read in blocks of queries: a memory map, or whatever else has `shape`, `dtype` and slices.
    labels : mapping of str to array of shape (n_images,), or DataFrame
        Attributes by name. An image without a value (NaN, None or "") is no result, neither right nor wrong.
    query_rows : array of shape (n_queries,), int, optional
        Which image each query is; it is no result of its own. By default query *i* is image *i*.
    query_labels : mapping of str to array of shape (n_queries,), or DataFrame, optional
        The attributes of queries that are no rows of the images.
    k : int, default=10
        How many results precision and recall look at.

    Returns
    -------
    DataFrame
        For each attribute one row of all queries, whose `value` is missing, and one per value of the queries, by name:
        `attribute`, `value`, `n_queries`, `n_left_out` (queries without a value or without another image of it), means
        over the queries of `precision` (right results among the first k, over k), `recall` (over all right ones) and
        `average_precision`, each with its `…_chance`. NaN where no query is left.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, a row is not of the images, or it is not said what the queries are.

    See Also
    --------
    reid_scores : The same vehicle found by other cameras.

    Notes
    -----
    Average precision runs over the results that a query has, divided by how many of these could be right: of
    similarities it is that of the whole ranking, of n_results rows that at n_results. Chance is the mean over all
    orders: of precision Σp² over the values' shares p, the query itself left out; of recall k / n; of the average
    precision of R right ones among n images, L of them given, R / n (H + (L − H) (R − 1) / (n − 1)) / min(R, L) with
    the harmonic number H of L. Tied similarities are averaged over their orders [1]_ in the same way, so a descriptor
    that cannot tell images apart scores chance. O(n_queries * n_results) for each attribute, and O(n_images log
    n_images) for each query to sort similarities.

    References
    ----------
    .. [1] McSherry, F., & Najork, M. (2008). Computing information retrieval performance measures efficiently in the
       presence of tied scores. ECIR. doi:10.1007/978-3-540-78646-7_38

    Examples
    --------
    >>> from veriwild_clustering.evaluation.retrieval import retrieval_scores
    >>> scores = retrieval_scores([[1, 2], [0, 3], [3, 1], [1, 2]], {"type": ["bus", "bus", "car", "car"]}, k=1)
    >>> scores[["value", "n_queries", "precision", "precision_chance"]].round(2)
      value  n_queries  precision  precision_chance
    0  None          4       0.75              0.33
    1   bus          2       1.00              0.33
    2   car          2       0.50              0.33
    """
    check_int("k", k, low=1)
    columns = _columns("labels", labels)
    n_images = len(next(iter(columns.values())))
    if query_labels is None:
        queries = RankedImages.of_images(ranking, n_images, query_rows)
        asked = {name: values[queries.rows] for name, values in columns.items()}
    elif query_rows is None:
        queries = RankedImages.of(ranking, n_images)
        asked = _columns("query_labels", query_labels)
        check_known_names("attribute", columns, asked)
        if (n_asked := len(next(iter(asked.values())))) != len(queries.rows):
            raise ValueError(
                f"`query_labels` must have one value per query, {len(queries.rows)}. Got {n_asked} instead."
            )
    else:
        raise ValueError(
            "Say by `query_rows` which images the queries are, or by `query_labels` what they show: not both."
        )
    tables = [_attribute_table(name, queries, values, asked[name], k=k) for name, values in columns.items()]
    return pd.concat(tables, ignore_index=True)


def reid_scores(
    ranking: ArrayLike, vehicle_id: ArrayLike, camera: ArrayLike, *, query_rows: ArrayLike | None = None
) -> dict[str, float]:
    """Score how well a vehicle seen by one camera is found again among the images of the others.

    Parameters
    ----------
    ranking : array of shape (n_queries, n_results), int, or (n_queries, n_images), float
        Rows of the images or similarities to all of them, as `retrieval_scores` takes them.
    vehicle_id : array of shape (n_images,)
        The vehicle of each image. An image without one (NaN, None or "") is no result.
    camera : array of shape (n_images,)
        The camera of each image. Images of the query's vehicle from its own camera, or from one that is not known, are
        junk, as is usual [1]_: neither right nor wrong. Those of other vehicles are wrong, whatever their camera.
    query_rows : array of shape (n_queries,), int, optional
        Which image each query is. By default query *i* is image *i*.

    Returns
    -------
    dict of str to float
        Over the queries, `rank_1` and `rank_5`, the share with a right result among the first one or five, and
        `average_precision`, the mean average precision, each with its `…_chance`; `n_queries`, and `n_left_out`, those
        without vehicle, camera or an image of their vehicle from another camera. NaN where no query is left.

    Raises
    ------
    ValueError
        If shapes do not fit or a row is not of the images.

    See Also
    --------
    retrieval_scores : Any attribute, and how ties, chance and incomplete rankings are dealt with.

    Notes
    -----
    Chance of rank m is 1 − C(n − R, m) / C(n, m) for R right ones among n images, the mean over all orders.
    O(n_queries * n_results) for rows, O(n_queries * n_images log n_images) for similarities.

    References
    ----------
    .. [1] Zheng, L. et al. (2015). Scalable person re-identification: a benchmark. ICCV. doi:10.1109/ICCV.2015.133

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering.evaluation.retrieval import reid_scores
    >>> vectors = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.8, 0.6]])
    >>> scores = reid_scores(vectors @ vectors.T, ["a", "a", "b", "b"], [1, 2, 1, 2])
    >>> scores["rank_1"], round(scores["rank_1_chance"], 2), scores["n_queries"]
    (0.75, 0.33, 4)
    """
    n_images = len(pd.Series(vehicle_id))
    vehicles, cameras = encode("vehicle_id", vehicle_id, n_images), encode("camera", camera, n_images)
    queries = RankedImages.of_images(ranking, n_images, query_rows)
    own_vehicle, own_camera = vehicles[queries.rows], cameras[queries.rows]

    def judge(block: slice, rows: Ints) -> tuple[Bools, Bools]:
        vehicle, camera = own_vehicle[block, None], own_camera[block, None]
        known, same = vehicles[rows] >= 0, vehicles[rows] == vehicle
        right = known & same & (cameras[rows] >= 0) & (camera >= 0) & (cameras[rows] != camera)
        return right, known & (right | ~same)

    n_right, n_judged = (totals[queries.rows] for totals in _cross_camera_totals(vehicles, cameras))
    scores = scores_of_queries(queries, judge, (n_right, n_judged), k=1)
    names = [f"{name}{end}" for name in (*RANKS, "average_precision") for end in ("", "_chance")]
    n_queries = int(scores["average_precision"].count())
    means = {name: float(scores[name].mean()) for name in names}
    return means | {"n_queries": n_queries, "n_left_out": len(scores) - n_queries}


def _columns(name: str, labels: Mapping[str, ArrayLike] | pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Return the attributes as arrays of objects, or raise if there is none or they differ in length."""
    if not isinstance(labels, Mapping | pd.DataFrame):
        raise TypeError(f"`{name}` must be a mapping from attributes to values. Got {type(labels).__name__} instead.")
    columns = {str(key): pd.Series(values).to_numpy(dtype=object) for key, values in dict(labels).items()}
    if len({len(values) for values in columns.values()}) != 1:
        raise ValueError(f"`{name}` must hold at least one attribute, each with one value per image.")
    return columns


def _attribute_table(
    name: str, queries: RankedImages, values: NDArray[Any], asked: NDArray[Any], *, k: int
) -> pd.DataFrame:
    """Return the mean scores of all queries and of those of each value of one attribute."""
    both = np.concatenate([values, asked])
    codes, wanted = np.split(encode(name, both, len(both)), [len(values)])

    def judge(block: slice, rows: Ints) -> tuple[Bools, Bools]:
        judged = (codes[rows] >= 0) & (rows != queries.rows[block, None])
        return judged & (codes[rows] == wanted[block, None]), judged

    counts = np.bincount(codes + 1, minlength=both.size + 1)
    is_image = queries.rows >= 0
    n_right = np.where(wanted >= 0, counts[wanted + 1] - is_image, 0)
    scores = scores_of_queries(queries, judge, (n_right, counts[1:].sum() - is_image), k=k)
    known = wanted >= 0
    values_asked = asked[known][np.unique(wanted[known], return_index=True)[1]]
    everything = _means(scores, np.zeros(len(scores))).assign(value=None)
    each = _means(scores[known], wanted[known]).assign(value=values_asked)
    table = pd.concat([everything, each], ignore_index=True).assign(attribute=name)
    names = [f"{column}{end}" for column in ("precision", "recall", "average_precision") for end in ("", "_chance")]
    return table[["attribute", "value", "n_queries", "n_left_out", *names]]


def _means(scores: pd.DataFrame, groups: NDArray[Any]) -> pd.DataFrame:
    """Return the mean scores of each group of queries, in order, and how many of these count."""
    grouped = scores.groupby(groups)
    n_queries = grouped["average_precision"].count()
    return grouped.mean().assign(n_queries=n_queries, n_left_out=grouped.size() - n_queries)


def _cross_camera_totals(vehicles: Ints, cameras: Ints) -> tuple[Ints, Ints]:
    """Return for each image how many others are of its vehicle from other cameras, and how many are no junk."""
    known = vehicles >= 0
    placed = known & (cameras >= 0)
    pairs = vehicles * (cameras.max(initial=0) + 1) + cameras
    _, pair, sizes = np.unique(np.where(placed, pairs, -1), return_inverse=True, return_counts=True)
    of_vehicle = np.bincount(vehicles[known], minlength=len(vehicles) + 1)
    of_vehicle_placed = np.bincount(vehicles[placed], minlength=len(vehicles) + 1)
    right = np.where(placed, of_vehicle_placed[vehicles] - sizes[pair], 0)
    return right, known.sum() - of_vehicle[vehicles] + right
