"""The choice as a figure: the evidence along the number of clusters, the chosen partition and what each rule takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_known_names
from veriwild_clustering.evaluation.choice.choosing import limits_of, picks_of_rules
from veriwild_clustering.evaluation.choice.evidence import evidence
from veriwild_clustering.evaluation.choice.rules import RULES
from veriwild_clustering.reporting.figures.style import INK, THEME, heading, literal, palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from veriwild_clustering.evaluation.choice.choosing import Choice
    from veriwild_clustering.evaluation.leaderboard import Leaderboard

__all__ = ["plot_choice"]

_CRITERIA = {
    "reproduced_information": "information found again\n(bits)",
    "stability": "half-sample stability\n(ARI, 95 % interval)",
    "pair_consistency": "vehicles stay together\n(corrected for chance)",
    "gap": "gap to Gaussian data\n(log of variance within)",
    "silhouette": "silhouette",
    "mean_agreement": "mean agreement\n(ARI)",
}
_MOST_PANELS = 4
_UNCHOSEN = "#57606a"


def plot_choice(
    board: Leaderboard, choice: Choice, *, descriptors: Sequence[str] | None = None, title: str | None = None
) -> tuple[Figure, NDArray[Any]]:
    """Draw why a partition was chosen: evidence against the number of clusters, and what each rule would take.

    Parameters
    ----------
    board : Leaderboard
        The leaderboard from which was chosen.
    choice : Choice
        What `choose` returned for it.
    descriptors : sequence of str, optional
        Which descriptors to draw, a row of panels each; by default all of the board.
    title : str, optional
        By default the chosen partition and its rule.

    Returns
    -------
    fig : Figure
    axes : array of Axes, shape (n_descriptors, n_panels)
        The columns are criteria, those for which the board has values, four at most; the last one holds the rules.

    Raises
    ------
    ValueError
        If a descriptor or the choice is not on the leaderboard.

    Notes
    -----
    The panels of a column share their scale, unless the criterion is one of a space of its own. The column of the
    rules shows what each would take of that descriptor alone, as `choose(board.of(descriptor))` does, within the
    limits of the choice: there vehicles have no voice if this descriptor splits most of them.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, choose, leaderboard, plot_choice, sweep
    >>> points = np.concatenate([np.random.default_rng(i).normal(loc=9 * i, size=(20, 2)) for i in range(4)])
    >>> board = leaderboard(sweep(Descriptor("toy", points), {"kmeans": {"n_clusters": range(2, 8)}}))
    >>> fig, axes = plot_choice(board, choose(board))
    >>> axes.shape  # silhouette, mean agreement, rules
    (1, 3)
    >>> import matplotlib.pyplot as plt; plt.close(fig)
    """
    import matplotlib.pyplot as plt

    table = evidence(board)
    chosen = table.iloc[_row_of(board, choice)]
    names = list(dict.fromkeys(table["descriptor"])) if descriptors is None else list(descriptors)
    check_known_names("descriptor", names, set(table["descriptor"]))
    shown = [name for name in _CRITERIA if name in table and table[name].notna().any()][:_MOST_PANELS]
    algorithms = list(dict.fromkeys(table["algorithm"]))
    colors = dict(zip(algorithms, palette(len(algorithms)), strict=True))
    picks = {name: picks_of_rules(board.of(name), **limits_of(choice.params)) for name in names}
    rules = [rule for rule in RULES if any(rule in part.index for part in picks.values())]

    with plt.rc_context(THEME):
        n_panels = len(shown) + 1
        height = max(2.1, 0.17 * len(rules) + 0.5)
        fig, axes = plt.subplots(
            len(names), n_panels, figsize=(2.7 * n_panels + 1.6, height * len(names) + 0.9), squeeze=False,
            sharex=True, layout="constrained",
        )  # fmt: skip
        for line, name in zip(axes, names, strict=True):
            part = table[table["descriptor"] == name].sort_values("n_clusters")
            is_chosen = chosen["descriptor"] == name
            for ax, criterion in zip(line, shown, strict=False):
                _draw_criterion(ax, part, criterion, colors=colors)
                if is_chosen:
                    _mark(ax, chosen, criterion)
            _draw_rules(line[-1], picks[name], rules, colors=colors)
            for ax in line if is_chosen else ():
                ax.axvline(chosen["n_clusters"], color=INK, linewidth=0.8, linestyle=":", zorder=0)
            line[0].set_ylabel(literal(fill(name, 22)), fontweight="bold")
        for column, criterion in enumerate(shown):
            axes[0, column].set_title(_CRITERIA[criterion])
            if criterion not in {"gap", "silhouette"}:
                _share_scale(axes[:, column])
        axes[0, -1].set_title("what each rule takes\nof the descriptor")
        for ax in axes[-1]:
            ax.set_xlabel("number of clusters")
            ax.xaxis.get_major_locator().set_params(integer=True)
        fig.legend(handles=_legend(colors), loc="outside right upper")
        rule = "the given criteria" if choice.params.get("criteria") else f"the rule “{choice.params['rule']}”"
        heading(fig, f"Chosen by {rule}: {choice.partition.name}" if title is None else title)
    return fig, axes


def _row_of(board: Leaderboard, choice: Choice) -> int:
    """Return the row of the chosen partition, or raise if the choice is not of this board."""
    rows = [row for row, partition in enumerate(board.partitions) if partition is choice.partition]
    if not rows:
        raise ValueError(f"`choice` must be one of `board`. Got {choice.partition.name}, which is not on it.")
    return rows[0]


def _draw_criterion(ax: Axes, part: pd.DataFrame, criterion: str, *, colors: Mapping[str, str]) -> None:
    """Draw a line per algorithm, with its interval where it has one; partitions with noise as hollow marks."""
    for algorithm, rows in part.groupby("algorithm", sort=False):
        color = colors[str(algorithm)]
        noisy = rows["noise_fraction"] > 0
        full = rows[~noisy]
        ax.plot(full["n_clusters"], full[criterion], color=color, marker="o", markersize=2.8, linewidth=1.2)
        ax.scatter(rows["n_clusters"][noisy], rows[criterion][noisy], s=22, facecolors="none", edgecolors=color)
        if criterion == "stability":
            ax.fill_between(full["n_clusters"], full["stability_low"], full["stability_high"], color=color, alpha=0.15,
                            linewidth=0)  # fmt: skip
    ax.grid(axis="y")


def _mark(ax: Axes, row: pd.Series, criterion: str) -> None:
    ax.plot(row["n_clusters"], row[criterion], marker="*", markersize=13, color="black", markeredgecolor="white",
            linestyle="none", zorder=4)  # fmt: skip


def _draw_rules(ax: Axes, picks: pd.DataFrame, rules: Sequence[str], *, colors: Mapping[str, str]) -> None:
    """Draw a line per rule with the partition that it takes, in the colour of its algorithm."""
    for place, rule in enumerate(rules):
        if rule in picks.index:
            pick = picks.loc[rule]
            ax.plot(pick["n_clusters"], place, marker="o", markersize=5, color=colors[str(pick["algorithm"])])
    ax.set_yticks(range(len(rules)), [rule.replace("_", " ") for rule in rules], fontsize=7.5)
    ax.set_ylim(len(rules) - 0.5, -0.5)
    ax.grid(axis="y")
    ax.tick_params(axis="y", length=0)


def _share_scale(axes: NDArray[Any]) -> None:
    """Give panels of one criterion the same range of values."""
    low, high = (np.array([ax.get_ylim()[end] for ax in axes]) for end in (0, 1))
    for ax in axes:
        ax.set_ylim(low.min(), high.max())


def _legend(colors: Mapping[str, str]) -> list[Any]:
    from matplotlib.lines import Line2D

    marks = [Line2D([], [], color=color, marker="o", markersize=4, label=name) for name, color in colors.items()]
    return [
        *marks,
        Line2D([], [], marker="o", markerfacecolor="none", color=_UNCHOSEN, linestyle="none", label="with noise"),
        Line2D([], [], marker="*", markersize=11, color="black", linestyle="none", label="chosen"),
    ]
