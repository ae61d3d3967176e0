"""Two sentences per cluster, composed from what was measured, each claim with its figure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import pandas as pd

from veriwild_clustering.core.partition import Partition
from veriwild_clustering.interpretation.findings import Findings, gather
from veriwild_clustering.interpretation.language.grammar import Claim, Contrast, Language
from veriwild_clustering.interpretation.language.languages import language_of

__all__ = ["compose", "contrast_of", "describe", "say_claims"]


def describe(
    partition: Partition, images: pd.DataFrame, *, columns: Sequence[str] | None = None, language: str = "en"
) -> pd.DataFrame:
    """Say in two sentences what each cluster holds.

    Parameters
    ----------
    partition : Partition
        The clusters.
    images : DataFrame
        The image table, one row per image.
    columns : sequence of str, optional
        The attributes to speak of; by default those that `profile` finds.
    language : {"en", "ru"}, default="en"
        The language of the sentences. Colours, types, views and the like are translated; other values stay.

    Returns
    -------
    DataFrame
        One row per cluster: cluster, size, share (of all images), text.

    Raises
    ------
    ValueError
        If the image table has another number of rows than the partition, or a column or the language is not known.

    See Also
    --------
    summarize : The same sentences with the tables from which they are made.

    Notes
    -----
    The first sentence names at most three attribute values that are more frequent in the cluster than overall: those
    whose 95 % interval of the share lies above the overall share and which hold for at least a fifth of the cluster,
    at least 1.1 times as often as overall; at most two values of one attribute, what is known of the vehicle and the
    view before what is measured on the image, in the order of share · log(lift). Since all values of all clusters are
    candidates, their p-values are adjusted after Benjamini & Hochberg [1]_ and must be at most 0.05.

    The second sentence says how far the images spread around the centre of their cluster, against the average over
    all clustered images; which centre is nearest, and the attribute value whose shares in the two clusters differ
    most (to within a tenth; then rather one that is more frequent here), where the difference is at least 20 points,
    its 95 % interval excludes 0 and its adjusted p-value is at most 0.05; and what share of the cluster's vehicles, of
    those seen more than once, lies wholly in it, against clusters of the same sizes drawn at random.

    O(n_images * n_features), and what `profile` costs.

    References
    ----------
    .. [1] Benjamini, Y. & Hochberg, Y. (1995). Controlling the false discovery rate. JRSS B 57(1).
       https://doi.org/10.1111/j.2517-6161.1995.tb02031.x

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Descriptor, Partition, describe
    >>> points = np.repeat([[0.0], [1], [9], [10]], 5, axis=0)
    >>> partition = Partition(np.repeat([0, 1], 10), Descriptor("osnet", points), "kmeans")
    >>> images = pd.DataFrame({"type": ["bus"] * 10 + ["car"] * 10})
    >>> print(describe(partition, images)["text"][1])
    Cluster 1 (10 images, 50.0 %): 100 % car (2.0 times its share overall). Spread 1.00 times the average; nearest to
    cluster 0, told from it by type: 100 % car here, 0 % there.
    >>> print(describe(partition, images, language="ru")["text"][0].partition(". ")[0])
    Кластер 0 (10 изображений, 50,0 %): 100 % — автобусы (в 2,0 раза чаще, чем в целом)
    """
    spoken = language_of(language)
    findings = gather(partition, images, columns)
    return findings.facts.table[["cluster", "size", "share"]].assign(text=compose(findings, spoken, partition))


def compose(findings: Findings, language: Language, partition: Partition) -> list[str]:
    """Return the two sentences of each cluster."""
    told = findings.differences[findings.differences["clear"]].drop_duplicates("cluster").set_index("cluster")
    texts = []

    def numbered(cluster: int) -> str:
        return language.numbered(cluster, partition.own_name(cluster))

    for fact in findings.facts.table.to_dict("records"):
        cluster = fact["cluster"]
        n_vehicles = None if pd.isna(fact["n_vehicles"]) else int(fact["n_vehicles"])
        head = language.head(numbered(cluster), fact["size"], share=fact["share"], n_vehicles=n_vehicles)
        own = findings.claims[findings.claims["cluster"] == cluster]
        said = say_claims(own, language)
        contrast = contrast_of(told.loc[cluster].to_dict()) if cluster in told.index else None
        place = language.place(fact["spread"], numbered(fact["nearest"]) if fact["nearest"] >= 0 else None, contrast)
        whole = fact["vehicle_purity"], fact["vehicle_purity_chance"]
        say_whole = fact["nearest"] >= 0 and not pd.isna(whole[0])
        vehicles = f"; {language.vehicles(*whole)}" if say_whole else ""
        texts.append(f"{head}: {said}. {place}{vehicles}.")
    return texts


def say_claims(claims: pd.DataFrame, language: Language) -> str:
    """Return what is said of the claims of one cluster, or that nothing stands out."""
    return ", ".join(language.claim(_claim(row)) for row in claims.to_dict("records")) or language.nothing


def contrast_of(row: dict[Hashable, Any]) -> Contrast:
    """Return a row of a table of differences as what is said of it."""
    return Contrast(row["column"], row["value"], row["share"], row["other_share"], row["missing"] > 0)


def _claim(row: dict[Hashable, Any]) -> Claim:
    known = row["known"] if row["missing"] else None
    return Claim(row["column"], row["value"], row["share"], row["lift"], known)
