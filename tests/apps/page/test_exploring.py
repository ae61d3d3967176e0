"""The page from a notebook: it opens beside the kernel and leaves nothing behind."""

from __future__ import annotations

import httpx
import pytest

from veriwild_clustering import Dataset, DatasetError, Partition, explore


def test_the_page_shows_given_partitions_and_closes(page_dataset: Dataset) -> None:
    given = [Partition([row % n for row in range(90)], page_dataset["osnet"], f"modulo {n}") for n in (3, 2)]
    with explore(page_dataset, given, umap=False) as page:
        assert f'src="{page.url}"' in page._repr_html_()
        assert "modulo 3" in httpx.get(f"{page.url}/api/partitions").text
        policy = httpx.get(page.url).headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'self' http://localhost:*" in policy
        folder = page.workspace.folder
        assert folder.is_dir()
    assert not folder.exists()
    assert "closed" in repr(page)
    assert "closed" in page._repr_html_()
    with pytest.raises(httpx.ConnectError):
        httpx.get(page.url)


def test_what_is_wrong_is_said_before_a_server_starts(page_dataset: Dataset, toy_dataset: Dataset) -> None:
    with pytest.raises(ValueError, match=r"partition\.labels"):
        explore(page_dataset, Partition([0] * 120, toy_dataset["toy"], "of other images"))
    with pytest.raises(ValueError, match="port"):
        explore(page_dataset, port=70_000)


def test_a_port_that_is_taken_is_an_error(toy_dataset: Dataset) -> None:
    labels = Partition([row % 2 for row in range(120)], toy_dataset["toy"], "by hand")
    with explore(toy_dataset, labels, umap=False) as page, pytest.raises(DatasetError, match="is not to be had"):
        explore(toy_dataset, labels, umap=False, port=int(page.url.rpartition(":")[2]))
