"""The page that compares two partitions: its counts, its texts, the images of parts, and that it is harmless."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import (
    Dataset,
    DatasetError,
    Descriptor,
    Partition,
    compare_partitions,
    plot_flow,
    write_comparison_page,
)


@pytest.fixture
def other(flat: Descriptor) -> Partition:
    """The first group in two parts, the second whole, the third as noise."""
    return Partition(np.repeat([0, 1, 2, -1], [18, 12, 20, 10]), flat, "<i>kmeans")


@pytest.fixture(params=["en", "ru"])
def page(request, tmp_path, dataset, partition, other, read_page):
    path = write_comparison_page(
        tmp_path / "page.html", partition, other, dataset=dataset, language=request.param, n_images=3
    )
    return read_page(path)


def test_page_says_what_compare_partitions_found(page, dataset, partition, other) -> None:
    language = "ru" if "кластер" in page.text else "en"
    found = compare_partitions(partition, other, dataset.images, language=language)
    text = " ".join(page.text.split())
    assert all(" ".join(said.split()) in text for said in found.texts["text"])
    n_parts = found.table[found.table["named"]]["cluster"].value_counts()
    articles = [attributes for tag, attributes in page.tags if tag == "article"]
    assert [article["aria-labelledby"] for article in articles] == [f"split-{c}" for c in n_parts.index[n_parts > 1]]
    assert ("kept" in {attributes.get("id") for _, attributes in page.tags}) == (n_parts == 1).any()


def test_cells_hold_the_shares_of_each_cluster(page, partition, other) -> None:
    counts = pd.crosstab(partition.labels, other.labels).to_numpy()
    shares = counts / counts.sum(axis=1, keepdims=True)
    drawn = [a["style"] for tag, a in page.tags if tag == "td" and "style" in a]
    expected = [f"--share: {100 * share:.1f}%" for share in shares[shares > 0]]
    assert sorted(drawn) == sorted(expected)


def test_images_of_parts_lie_in_both(page, dataset, partition, other) -> None:
    rows = {path: row for row, path in enumerate(dataset.images["path"])}
    shown = [rows[attributes["alt"]] for tag, attributes in page.tags if tag == "img" and attributes["alt"] in rows]
    table = compare_partitions(partition, other).table.query("named")
    parts = table[table.groupby("cluster")["part"].transform("size") > 1]
    assert len(parts)
    for cluster, own in parts.groupby("cluster"):
        assert set(partition.labels[shown[:3]]) == {cluster}
        shown = shown[3:]
        for part in own["part"]:
            assert {(cluster, part)} == set(zip(partition.labels[shown[:3]], other.labels[shown[:3]], strict=True))
            assert len({dataset.images["vehicle_id"][row] for row in shown[:3]}) == 3
            shown = shown[3:]
    assert shown == []


def test_page_is_harmless_and_accessible(page) -> None:
    assert all(load.startswith(("data:", "#")) for load in page.loads)
    assert page.policy.startswith("default-src 'none'")
    assert "script-src" not in page.policy
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.unclosed == []
    assert "<i>kmeans" in page.text
    assert all(attributes["alt"] for tag, attributes in page.tags if tag == "img")
    assert [tag for tag, _ in page.tags].count("h1") == 1


def test_a_partition_compared_with_itself_splits_nothing(tmp_path, dataset, partition, read_page) -> None:
    page = read_page(write_comparison_page(tmp_path / "page.html", partition, partition, dataset=dataset))
    assert "article" not in {tag for tag, _ in page.tags}
    assert "adjusted Rand index 1.00" in " ".join(page.text.split())


def test_many_clusters_are_told_of_the_largest(tmp_path, read_page) -> None:
    rng = np.random.default_rng(0)
    space = Descriptor("space", rng.normal(size=(900, 3)).astype(np.float32))
    one, two = (Partition(rng.integers(0, 40, size=900), space, name) for name in ("one", "two"))
    dataset = Dataset(pd.DataFrame({"path": [f"{i}.jpg" for i in range(900)]}))
    path = write_comparison_page(tmp_path / "page.html", one, two, dataset=dataset, max_clusters=5)
    page = read_page(path)
    assert "The 5 largest of 40 clusters are told of." in page.text
    assert [tag for tag, _ in page.tags].count("tr") == 1 + 5 + 1  # a heading, the five, the others as one
    assert path.stat().st_size < 500_000


@pytest.mark.parametrize("labels", [[-1, -1, -1, -1], [0, 0, 0, 0], [0, 0, 1, -1]])
def test_noise_alone_and_one_cluster_can_be_compared(tmp_path, read_page, labels) -> None:
    space = Descriptor("toy", np.eye(4))
    first, second = Partition(labels, space, "a"), Partition([0, 1, 0, -1], space, "b")
    dataset = Dataset(pd.DataFrame({"path": list("abcd")}))
    page = read_page(write_comparison_page(tmp_path / "page.html", first, second, dataset=dataset, language="ru"))
    assert page.unclosed == []
    assert "b() on toy" in page.text


def test_bars_of_a_flow_are_labelled_as_asked(partition, other) -> None:
    _, ax = plot_flow(partition, other, max_clusters=2, label=lambda cluster, size: f"[{cluster}] {size}")
    written = {text.get_text() for text in ax.texts}
    assert {"[0] 25", "[1] 20", "[-2] 10", "[-1] 5"} <= written


def test_what_is_wrong_is_named(tmp_path, dataset, partition, other) -> None:
    path = tmp_path / "page.html"
    shorter = Partition([0, 1], Descriptor("two", np.eye(2)), "short")
    with pytest.raises(ValueError, match=r"`second.labels` must have one entry per image, shape \(60,\)"):
        write_comparison_page(path, partition, shorter, dataset=dataset)
    with pytest.raises(ValueError, match="`max_clusters` must be an int"):
        write_comparison_page(path, partition, other, dataset=dataset, max_clusters=0)
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(DatasetError, match=r"Cannot write .*folder\.html"):
        write_comparison_page(tmp_path / "folder.html", partition, other, dataset=dataset)
    assert not Path(path).exists()
