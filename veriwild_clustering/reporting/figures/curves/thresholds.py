"""What each threshold of similarity would give: groups, outliers, similar pairs, with the one that was taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from veriwild_clustering.clustering.similar.groups import SimilarGroups
from veriwild_clustering.reporting.figures.style import INK, palette

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["plot_thresholds"]

_HOVER = (
    "threshold %{x:.3f}<br>%{customdata[0]:,} groups, %{customdata[1]:,} outliers<br>"
    "about %{customdata[2]:,.0f} similar pairs<br>largest groups: %{customdata[3]}<extra></extra>"
)


def plot_thresholds(groups: SimilarGroups, *, title: str | None = None) -> go.Figure:
    """Draw groups, outliers and expected similar pairs over the threshold; pointing at a curve tells the groups.

    Parameters
    ----------
    groups : SimilarGroups
        Made without a threshold, so that it holds the curve.
    title : str, optional
        By default the method, the threshold and how many images were looked at.

    Returns
    -------
    plotly.graph_objects.Figure
        Interactive; `show`, or `write_html` into a file.

    Raises
    ------
    ValueError
        If the threshold was given, so that there is no curve.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor, group_similar, plot_thresholds
    >>> space = Descriptor("toy", np.random.default_rng(0).normal(size=(40, 8)).repeat(2, axis=0))
    >>> dataset = Dataset(pd.DataFrame({"path": [f"{i}.jpg" for i in range(80)]}), {"toy": space})
    >>> figure = plot_thresholds(group_similar(dataset, method="toy"))
    >>> [trace.name for trace in figure.data]
    ['groups', 'outliers', 'similar pairs, expected in all']
    """
    import plotly.graph_objects as go

    curve = groups.curve
    if curve.empty:
        raise ValueError("`groups` must hold a curve: call `group_similar` without `threshold`.")
    texts = curve["largest"].where(curve["largest"] != "", "none")
    details = list(zip(curve["n_groups"], curve["n_outliers"], curve["n_pairs"], texts, strict=True))
    names = {"n_groups": "groups", "n_outliers": "outliers", "n_pairs": "similar pairs, expected in all"}
    colors, dashes = palette(len(names)), ("solid", "dash", "dot")
    figure = go.Figure()
    for (column, name), color, dash in zip(names.items(), colors, dashes, strict=True):
        figure.add_scatter(
            x=curve["threshold"].round(4).tolist(), y=curve[column].round(1).tolist(), name=name, mode="lines",
            line={"color": color, "dash": dash, "width": 2.5}, customdata=details, hovertemplate=_HOVER,
        )  # fmt: skip
    figure.add_vline(x=groups.threshold, line={"color": INK, "dash": "dash", "width": 1})
    figure.add_annotation(
        x=groups.threshold, y=1, yref="paper", text=f"taken: {groups.threshold:g}", showarrow=False, xanchor="right",
        yanchor="bottom", font={"color": INK},
    )  # fmt: skip
    n_images = int(curve["n_images"].iloc[0])
    figure.update_layout(
        title=title or f"{groups.partition.algorithm}: groups by threshold, {n_images:,} images looked at",
        template="plotly_white", font={"color": INK}, height=420, margin={"l": 60, "r": 20, "t": 70, "b": 60},
        xaxis={"title": "least similarity of similar images"},
        yaxis={"title": "number (log scale)", "type": "log", "dtick": 1},
        legend={"orientation": "h", "y": -0.25},
    )  # fmt: skip
    return figure
