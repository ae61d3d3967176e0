"""The chart of explained variance: a line per descriptor, and how many components are enough."""

from __future__ import annotations

import numpy as np
import pytest

from veriwild_clustering import plot_explained_variance


def test_each_descriptor_has_a_line_and_its_number_of_components():
    import matplotlib.pyplot as plt

    fig, ax = plot_explained_variance({"a": [0.5, 0.75, 1.0], "b": np.linspace(0.001, 1, 1000)}, shares=[0.7, 0.9])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["a · 70% in 2 of 3", "b · 70% in 700 of 1,000"]
    curve = next(line for line in ax.lines if line.get_label() == labels[0])
    np.testing.assert_array_equal(curve.get_xydata(), [[1, 0.5], [2, 0.75], [3, 1.0]])
    plt.close(fig)


def test_no_curve_is_refused():
    with pytest.raises(ValueError, match="at least one curve"):
        plot_explained_variance({})
