"""Pages of clusters: what they show, where their links lead, and that they stay small and harmless."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import (
    Dataset,
    DatasetError,
    Descriptor,
    OutlierScores,
    Partition,
    summarize,
    write_cluster_pages,
)

HOSTILE = "</script><script>alert('4')</script>\"<b>"


@pytest.fixture
def outliers() -> OutlierScores:
    """Image 8 is far from all others, image 7 has no vector."""
    evidence = np.linspace(0.1, 1, 60)
    evidence[[7, 8]] = np.nan, 9
    return OutlierScores(pd.DataFrame({"flat <i>: KNN": evidence}))


@pytest.fixture
def told(dataset: Dataset) -> Dataset:
    """The images with cameras of hostile names, and times of day."""
    images = dataset.images.assign(
        camera=[f"{HOSTILE}{i // 30}" for i in range(60)],
        time=[f"2018-03-02 {8 + i % 5:02d}:30" for i in range(60)],
    )
    return Dataset(images, dataset.descriptors, dataset.image_store, origin=dataset.origin)


@pytest.fixture(params=["en", "ru"])
def pages(request, tmp_path, told, partition, outliers) -> list[Path]:
    return write_cluster_pages(tmp_path / "pages", told, partition, outliers=outliers, language=request.param)


def test_index_leads_to_every_cluster_and_back(pages, read_page) -> None:
    index = read_page(pages[0])
    assert [page.name for page in pages] == ["index.html", *(f"cluster_{c:03d}.html" for c in range(3))]
    assert [link for link in index.links if not link.startswith("#")] == [page.name for page in pages[1:]]
    assert all("index.html" in read_page(page).links for page in pages[1:])


def test_every_link_resolves(pages, read_page) -> None:
    for path in pages:
        page = read_page(path)
        anchors = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
        for link in page.links:
            assert link[1:] in anchors if link.startswith("#") else (path.parent / link).is_file()


def test_pages_load_nothing_run_nothing_and_forbid_both(pages, read_page) -> None:
    for path in pages:
        page = read_page(path)
        links = set(page.links)
        assert all(load.startswith(("data:", "#")) or load in links for load in page.loads)
        assert page.policy.startswith("default-src 'none'")
        assert "script-src" not in page.policy
        assert "http" not in page.html.partition("</head>")[0].replace("http-equiv", "")


def test_hostile_names_stay_text(pages, read_page) -> None:
    for path in pages:
        page = read_page(path)
        assert "script" not in {tag for tag, _ in page.tags}
        assert all("style" in attributes for tag, attributes in page.tags if tag in {"i", "b"})
        assert page.unclosed == []
    assert HOSTILE in read_page(pages[1]).text


def test_pages_are_accessible(pages, read_page) -> None:
    for path in pages:
        page = read_page(path)
        assert all(attributes["alt"] for tag, attributes in page.tags if tag == "img")
        levels = [int(tag[1]) for tag, _ in page.tags if tag in {"h1", "h2", "h3", "h4"}]
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
        assert page.tags[0] == ("html", {"lang": "ru" if "кластер" in page.text else "en"})


def test_page_says_what_summarize_found(tmp_path, told, partition, read_page) -> None:
    found = summarize(partition, told.images)
    pages = write_cluster_pages(tmp_path, told, partition, n_exemplars=4)
    for cluster, path in enumerate(pages[1:]):
        page = read_page(path)
        fact = found.table.iloc[cluster]
        assert fact["text"] in page.text.replace("\N{NO-BREAK SPACE}%", " %")
        assert f"images {fact['size']} " in " ".join(page.text.split())
        assert f"cluster_{fact['nearest']:03d}.html" in page.links
        shown = [a["alt"].partition(":")[0] for tag, a in page.tags if tag == "img"]
        for table in (found.exemplars, found.borderline):
            rows = table.query("cluster == @cluster")["row"][:4]
            assert shown[:4] == list(told.images["path"].iloc[rows])
            shown = shown[4:]


def test_borderline_images_lead_to_the_cluster_to_which_they_lean(tmp_path, read_page) -> None:
    line = Descriptor("line", np.array([[0.0], [1], [4], [10], [11], [15]]))
    dataset = Dataset(pd.DataFrame({"path": list("abcdef")}), {"line": line})
    pages = write_cluster_pages(tmp_path, dataset, Partition([0, 0, 0, 1, 1, 1], line, "by hand"))
    border = read_page(pages[1]).section("border")
    # The centres lie at 5/3 and 12: the image at 4 is 7/3 from its own and 8 from the other, the one at 1 2/3 and 11.
    assert "cluster 1: +242.9 %" in border
    assert border.index("+242.9 %") < border.index("+1550.0 %")


def test_shares_intervals_and_marks_are_drawn_as_they_are(tmp_path, told, partition, read_page) -> None:
    profile = summarize(partition, told.images).profile
    row = profile.query("cluster == 1 and column == 'type'").iloc[0]
    page = read_page(write_cluster_pages(tmp_path, told, partition)[2])
    here = f"{row['value']} 100 % ({100 * row['low']:.0f}–100) {100 * row['overall_share']:.0f} % ×{row['lift']:.1f}"
    assert here in page.section("attributes")
    styles = [attributes["style"] for tag, attributes in page.tags if tag in {"i", "s", "b"}]
    assert f"left: {100 * row['low']:.1f}%; width: {100 * (1 - row['low']):.1f}%" in styles
    assert f"left: {100 * row['overall_share']:.1f}%" in styles


def test_hours_and_cameras_are_shown_where_known(tmp_path, told, dataset, partition, read_page) -> None:
    page = read_page(write_cluster_pages(tmp_path / "with", told, partition)[1])
    hours = [attributes for tag, attributes in page.tags if tag == "li" and "title" in attributes]
    assert len(hours) == 24
    assert hours[9]["title"] == "9:00: 20\N{NO-BREAK SPACE}% here, 20\N{NO-BREAK SPACE}% of all images"
    assert hours[20]["title"].startswith("20:00: 0")
    without = read_page(write_cluster_pages(tmp_path / "without", dataset, partition)[1])
    assert "sources" not in {attributes.get("id") for _, attributes in without.tags}


def test_outliers_of_a_cluster_come_with_their_reasons(tmp_path, told, partition, outliers, read_page) -> None:
    pages = write_cluster_pages(tmp_path, told, partition, outliers=outliers)
    section = read_page(pages[1]).section("outliers")
    assert section.index(outliers.reasons[8]) < section.index(outliers.reasons[7])
    assert "outliers" not in {attributes.get("id") for _, attributes in read_page(pages[2]).tags}
    few = read_page(write_cluster_pages(tmp_path, told, partition, outliers=outliers, max_outliers=1)[1])
    assert "The 1 most abnormal of 2." in few.section("outliers")
    assert outliers.reasons[7] not in few.section("outliers")


def test_index_shows_noise_and_one_image_per_cluster(tmp_path, told, partition, read_page) -> None:
    index = read_page(write_cluster_pages(tmp_path, told, partition, n_exemplars=2)[0])
    assert "Images that belong to no cluster: 5." in index.text
    shown = [attributes["alt"] for tag, attributes in index.tags if tag == "img"]
    medoids = summarize(partition, told.images).exemplars.query("rank == 0")["row"]
    assert shown[:3] == list(told.images["path"].iloc[medoids])
    assert set(shown[3:]) <= set(told.images["path"][:5])
    assert len(shown) == 5


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "100 % model St. Louis (2.0 times its share overall)."), ("ru", "100 % — модель St. Louis (в 2,0 раза")],
)
def test_index_has_whole_claims_and_they_alone(tmp_path, read_page, language, said) -> None:
    models = ["St. Louis"] * 20 + ["A"] * 20
    dataset = Dataset(pd.DataFrame({"path": [f"{i}.jpg" for i in range(40)], "model": models}))
    points = Descriptor("toy", np.repeat([[0.0], [9.0]], 20, axis=0))
    pages = write_cluster_pages(
        tmp_path, dataset, Partition(np.repeat([0, 1], 20), points, "by hand"), language=language
    )
    index = read_page(pages[0]).text.replace("\N{NO-BREAK SPACE}%", " %")
    assert said in index
    assert "Spread" not in index
    assert "Разброс" not in index


@pytest.mark.parametrize("language", ["en", "ru"])
def test_names_and_values_cut_no_claim(tmp_path, read_page, language) -> None:
    models = ["(a): B). Spread"] * 20 + ["A"] * 20
    images = pd.DataFrame({"path": [f"{i}.jpg" for i in range(40)], "model": models})
    points = Descriptor("toy", np.repeat([[0.0], [9.0]], 20, axis=0))
    partition = Partition(np.repeat([0, 1], 20), points, "by hand", cluster_names=["light (day): yes", ""])
    pages = write_cluster_pages(tmp_path, Dataset(images, {}), partition, language=language)
    index = " ".join(read_page(pages[0]).text.replace("\N{NO-BREAK SPACE}", " ").split())
    whole = {
        "en": "(50.0 %) 100 % model (a): B). Spread (2.0 times its share overall).",
        "ru": "(50,0 %) 100 % — модель (a): B). Spread (в 2,0 раза чаще, чем в целом).",
    }
    assert whole[language] in index


def test_pages_stay_small_and_few_whatever_the_partition(tmp_path, read_page) -> None:
    n_images = 3000
    space = Descriptor("line", np.random.default_rng(0).normal(size=(n_images, 2)).astype(np.float32))
    images = pd.DataFrame(
        {
            "path": [f"{i}.jpg" for i in range(n_images)],
            "camera": np.arange(n_images) % 300,
            "size": np.arange(n_images),
        }
    )
    outliers = OutlierScores(pd.DataFrame({"line: KNN": np.arange(n_images) ** 2.0}), contamination=0.5)
    partition = Partition(np.arange(n_images) % 50, space, "many")
    pages = write_cluster_pages(tmp_path, Dataset(images, {}), partition, outliers=outliers, max_clusters=3)
    assert [page.name for page in pages] == ["index.html", *(f"cluster_{c:03d}.html" for c in range(3))]
    assert "Clusters smaller than these have no page: 47." in read_page(pages[0]).text
    for path in pages[1:]:
        page = read_page(path)
        assert len([tag for tag, _ in page.tags if tag == "img"]) <= 2 * 12 + 24 + 8
        assert len([tag for tag, _ in page.tags if tag == "tr"]) < 80
        assert all((tmp_path / link).is_file() for link in page.links if not link.startswith("#"))


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [-1, -1, -1, -1], [0, 0, 0, -1]])
@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_lone_cluster_and_none_have_pages(tmp_path, read_page, labels, language) -> None:
    dataset = Dataset(pd.DataFrame({"path": list("abcd"), "vehicle_id": ["1", None, "", "1"]}))
    partition = Partition(labels, Descriptor("toy", np.eye(4)), "by hand")
    pages = write_cluster_pages(tmp_path, dataset, partition, language=language)
    assert len(pages) == 1 + partition.n_clusters
    ids = {attributes.get("id") for page in pages[1:] for _, attributes in read_page(page).tags}
    assert not {"border", "differences"} & ids


def test_pages_of_an_earlier_partition_go_and_other_files_stay(tmp_path, told, partition) -> None:
    folder = tmp_path / "pages"
    write_cluster_pages(folder, told, partition)
    others = ["cluster_map.html", "cluster_2.html", "notes.txt"]
    for name in others:
        (folder / name).write_text("mine")
    pages = write_cluster_pages(folder, told, partition, max_clusters=1)
    assert {file.name for file in folder.iterdir()} == {*others, *(page.name for page in pages)}


@pytest.mark.parametrize("vehicles", [[1.0, np.nan, 2.0, 2.0], ["a", "", None, "b"], [1, 2, 3, 4]])
def test_vehicles_of_any_kind_are_named_where_known(tmp_path, read_page, vehicles) -> None:
    dataset = Dataset(pd.DataFrame({"path": list("abcd"), "vehicle_id": vehicles}))
    pages = write_cluster_pages(tmp_path, dataset, Partition([0, 0, 0, 0], Descriptor("toy", np.eye(4)), "by hand"))
    known = [one for one in vehicles if not pd.isna(one) and one != ""]
    assert all(f"vehicle {one}" in read_page(pages[1]).text for one in known)
    assert f"vehicles {len(set(known))} " in " ".join(read_page(pages[0]).text.split())


def test_russian_pages_translate_what_they_know(tmp_path, told, partition, outliers, read_page) -> None:
    page = read_page(write_cluster_pages(tmp_path, told, partition, outliers=outliers, language="ru")[1])
    bar = page.section("attributes")
    assert "тип" in bar
    assert "type" not in bar
    assert "далеко от соседей по flat <i>: оценка KNN" in page.section("outliers")
    assert "нет пригодного вектора: flat <i>" in page.section("outliers")


def test_what_is_wrong_is_named(tmp_path, told, partition, outliers) -> None:
    with pytest.raises(ValueError, match=r"`language` must be one of 'en', 'ru'. Got 'de'"):
        write_cluster_pages(tmp_path, told, partition, language="de")
    with pytest.raises(ValueError, match=r"`partition.labels` must have one entry per image, shape \(2,\)"):
        write_cluster_pages(tmp_path, told.take([0, 1]), partition)
    with pytest.raises(ValueError, match="`n_exemplars` must be an int"):
        write_cluster_pages(tmp_path, told, partition, n_exemplars=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="Cannot write"):
        write_cluster_pages(tmp_path / "file", told, partition)


def test_a_browser_shows_the_pages_without_errors_or_requests(tmp_path, told, partition, outliers, browse) -> None:
    seen = browse(write_cluster_pages(tmp_path / "pages", told, partition, outliers=outliers)[1])
    assert seen.console == []
    assert seen.requests == []
    assert "Cluster 0" in seen.dom
