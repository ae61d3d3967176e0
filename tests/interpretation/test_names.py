"""Names of clusters stand beside their numbers wherever a cluster is named to a person."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import (
    Dataset,
    Descriptor,
    Partition,
    compare_partitions,
    describe,
    export_partition,
    plot_confusion,
    plot_flow,
    plot_map,
    write_cluster_pages,
)


@pytest.fixture
def named() -> Partition:
    space = Descriptor("toy", np.repeat([[0.0, 1], [9, 1]], [12, 8], axis=0))
    return Partition(np.repeat([1, 0], [12, 8]), space, "criterion", cluster_names=["buses", "cars"])


@pytest.fixture
def images() -> pd.DataFrame:
    return pd.DataFrame({"path": [f"{i}.jpg" for i in range(20)], "type": np.repeat(["car", "bus"], [12, 8])})


def test_sentences_say_the_name(named: Partition, images: pd.DataFrame) -> None:
    english, russian = (describe(named, images, language=language)["text"] for language in ("en", "ru"))
    assert english[0].startswith("Cluster 0 “cars” (12 images")
    assert "nearest to cluster 0 “cars”" in english[1]
    assert russian[0].startswith("Кластер 0 «cars» (12 изображений")
    whole = Partition(np.zeros(20, int), named.descriptor, "whole")
    assert "clusters 0 “cars” (60 %) and 1 “buses” (40 %)" in compare_partitions(whole, named).texts["text"][0]
    assert "Cluster 1 “buses” of" in compare_partitions(named, whole).texts["text"][1]


def test_figures_and_pages_say_the_name(named: Partition, images: pd.DataFrame, tmp_path: Path) -> None:
    import matplotlib.pyplot as plt

    fig, ax = plot_map(named.descriptor, named)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0 · cars · 12", "1 · buses · 8"]
    plt.close(fig)
    fig, ax = plot_flow(named, Partition(named.labels, named.descriptor, "plain"))
    assert {"cars · 12", "0 · 12"} <= {text.get_text() for text in ax.texts}
    plt.close(fig)
    pages = write_cluster_pages(tmp_path, Dataset(images, {"toy": named.descriptor}), named, progress=False)
    assert "Cluster 1 · buses" in pages[0].read_text(encoding="utf-8")


def test_dollar_signs_in_names_are_drawn(named: Partition, tmp_path: Path) -> None:
    import matplotlib.pyplot as plt

    paid = replace(named, cluster_names=["$5^$", "up to $9_$"])
    truth = np.repeat(["$a^$", "b"], 10)
    for fig, _ in (plot_map(named.descriptor, paid), plot_flow(paid, paid), plot_confusion(paid, truth)):
        shown = " ".join(text.get_text() for text in fig.findobj(plt.Text)).replace("\\$", "$")
        assert "$5^$" in shown
        fig.savefig(tmp_path / "figure.png")  # a formula that is none would raise here
        plt.close(fig)


def test_export_has_a_column_of_names_only_if_there_are_names(
    named: Partition, images: pd.DataFrame, tmp_path: Path
) -> None:
    export_partition(tmp_path / "named.csv", Dataset(images), named)
    written = pd.read_csv(tmp_path / "named.csv")
    assert written.columns.tolist()[2:5] == ["cluster", "cluster_name", "confidence"]
    assert written["cluster_name"].tolist() == ["cars"] * 12 + ["buses"] * 8
    noisy = Partition(np.repeat([-1, 0], [12, 8]), named.descriptor, "criterion", cluster_names=["buses"])
    assert export_partition(tmp_path / "noise.csv", Dataset(images), noisy)["cluster_name"].iloc[0] == ""
    plain = Partition(named.labels, named.descriptor, "plain")
    assert "cluster_name" not in export_partition(tmp_path / "plain.csv", Dataset(images), plain)
