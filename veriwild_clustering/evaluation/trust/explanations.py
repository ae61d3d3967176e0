"""What each column of a leaderboard says, in a line."""

from __future__ import annotations

__all__ = ["SILHOUETTE_IN", "explanation"]

SILHOUETTE_IN = "silhouette_in_"
"""What the names of columns begin with that score partitions in the space of another descriptor."""

_MEANINGS = {
    "descriptor": "The space in which the clusters were found.",
    "algorithm": "The family of the algorithm.",
    "params": "The parameters that differ from the algorithm's defaults.",
    "approximation": "What was done in place of the exact algorithm; empty where it ran exactly on all images.",
    "n_clusters": "Number of clusters, noise not counted.",
    "smallest_cluster": "Images in the smallest cluster.",
    "largest_cluster": "Images in the largest cluster.",
    "noise_fraction": "Share of images in no cluster; the three metrics beside it leave these out.",
    "calinski_harabasz": "Variance between over variance within clusters, per degree of freedom; higher is better, "
    "within one descriptor.",
    "davies_bouldin": "Mean over clusters of their spread over their distance to the most similar one; lower is "
    "better, within one descriptor.",
    "silhouette": "How much nearer images are to their own cluster than to the next, −1 to 1; higher is better, "
    "within one descriptor.",
    "mean_agreement": "Mean adjusted Rand index with all other partitions: 1 the same, 0 chance.",
    "algorithm_agreement": "Mean adjusted Rand index with partitions of the same descriptor by other algorithms with "
    "about as many clusters.",
    "stability": "Mean adjusted Rand index with what the algorithm finds in a random half of the images: 1 the same, "
    "0 chance.",
    "stability_low": "Lower end of the 95 % t interval of stability over repeats.",
    "stability_high": "Upper end of the 95 % t interval of stability over repeats.",
    "prediction_strength": "Share of pairs in a cluster of one half that the clusters of the other half keep together, "
    "in the worst cluster; from 0.8 on clusters are well predicted.",
    "seed_stability": "Mean adjusted Rand index with what other seeds find; 1 without random steps.",
    "vehicle_stability": "Like stability, with half of the vehicles, all their images together.",
    "null_calinski_harabasz": "Mean Calinski–Harabasz that the algorithm reaches on Gaussian data of the same "
    "covariance, which hold no clusters.",
    "null_davies_bouldin": "Mean Davies–Bouldin on Gaussian data of the same covariance.",
    "null_silhouette": "Mean silhouette on Gaussian data of the same covariance.",
    "explained_share": "Share of the variance that the clusters explain, noise unexplained: 0 to 1, 0 if there are no "
    "two clusters.",
    "null_explained_share": "Mean explained share on Gaussian data of the same covariance: what needs no structure.",
    "null_z": "By how many standard deviations between Gaussian data (of at least 0.001) the logarithm of the "
    "unexplained share lies below its mean there.",
    "permuted_calinski_harabasz": "Mean Calinski–Harabasz on data whose columns are shuffled, each on its own.",
    "permuted_davies_bouldin": "Mean Davies–Bouldin on data whose columns are shuffled.",
    "permuted_silhouette": "Mean silhouette on data whose columns are shuffled.",
    "permuted_explained_share": "Mean explained share on data whose columns are shuffled.",
    "permuted_z": "Like null_z, against data whose columns are shuffled.",
    "structure": "Whether the clusters explain more than chance clusters of Gaussian data do; weak if no more than in "
    "data whose columns are shuffled.",
    "pair_share": "Share of pairs of images of one vehicle that share a cluster.",
    "pair_chance": "That share for pairs of any images.",
    "pair_consistency": "The first corrected for the second: 1 if images of a vehicle stay together, 0 chance.",
    "accuracy": "Share of images in the right class under the best match of clusters and classes; noise is wrong.",
    "ari": "Adjusted Rand index with the classes: 1 the same, 0 chance.",
    "ami": "Adjusted mutual information with the classes: 1 the same, 0 chance.",
    "nmi": "Normalised mutual information with the classes, 0 to 1; grows with the number of clusters.",
    "v_measure": "Harmonic mean of homogeneity and completeness, which equals the normalised mutual information.",
    "n_scored": "Images whose class is known.",
    "at_grid_edge": "Whether a swept parameter has its least or greatest value: a wider grid may hold more.",
    "seconds": "Time that fitting took.",
}


def explanation(column: str) -> str:
    """Return what a column of a leaderboard says, "" for one that is not the leaderboard's own."""
    if column.startswith(SILHOUETTE_IN):
        space = column.removeprefix(SILHOUETTE_IN)
        return f"Silhouette of the clusters in the space of {space}: compare down this column only."
    return _MEANINGS.get(column, "")
