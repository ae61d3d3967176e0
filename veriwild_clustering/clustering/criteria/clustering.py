"""The verb: partitions by criteria in words, from whoever labels images or answers questions about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.criteria.conversation import Conversation, image_prompt
from veriwild_clustering.clustering.criteria.grouping import Groups
from veriwild_clustering.clustering.criteria.naming import name_groups
from veriwild_clustering.clustering.criteria.propagation import rows_to_ask
from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.validation import check_int, check_real
from veriwild_clustering.images.captioning.prompts import Answerer, Prompt
from veriwild_clustering.images.criteria.criterion import Criterion, Labeller
from veriwild_clustering.images.criteria.measured import MeasuredAnswers
from veriwild_clustering.images.criteria.vocabulary import UNCERTAIN

__all__ = ["cluster_by", "image_questions"]

_FEWEST = 10


def cluster_by(
    dataset: Dataset,
    criteria: Criterion | str | Sequence[Criterion | str],
    answerer: Answerer | Labeller | None = None,
    *,
    space: Descriptor | None = None,
    n_asked: int | None = None,
    n_repeats: int = 5,
    min_share: float = 0.01,
    random_state: int = 0,
    progress: bool | None = None,
) -> list[Partition]:
    """Cluster images by criteria written in words.

    Parameters
    ----------
    dataset : Dataset
        The images.
    criteria : Criterion, str, or a sequence of them
        What to tell the images apart by; a text is a criterion without further wishes.
    answerer : Answerer or Labeller, optional
        Who says what an image shows: `ChatEndpoint` asks a model, `ZeroShotAnswers` CLIP, `MeasuredAnswers` nobody.
        By default `MeasuredAnswers()`.
    space : Descriptor, optional
        The descriptor of the partitions, in which they are scored and drawn; its images without a vector are noise. By
        default the answers themselves: as many features as groups, the confidence in the column of the group.
    n_asked : int, optional
        Ask about so many images, chosen in `space`, and let their nearest neighbours there decide on the others. By
        default all images are asked about.
    n_repeats : int, default 5
        How many times names are proposed, each time from another bootstrap sample of the labels.
    min_share : float, default 0.01
        Share of the images with a label below which the label makes no group, where nothing else says how many groups.
    random_state : int, default 0
        Seed of the choice of images and of the bootstrap samples.
    progress : bool, optional
        Whether to show progress bars; by default in a terminal or a notebook.

    Returns
    -------
    list of Partition
        One per criterion, with `cluster_names`. Noise are the images without an answer, whose answer is "uncertain", or
        whose label belongs to no group. `confidence` is that of the answer times the share of the repetitions that
        agree on its label. `params["outcome"]` says how many images have a group and how far the repetitions agree;
        `state["repetitions"]` holds the groups of each, shape (n_repeats, n_images), for `criterion_scores`, and
        `state["labels"]` the label of each image before it was given to a group, "" without an answer.

    Raises
    ------
    DatasetError
        If the answerer cannot say anything by a criterion.
    TypeError, ValueError
        If an argument is not as said, or `n_asked` is given without `space`.

    See Also
    --------
    criterion_scores : Compare with known classes, over the repetitions.
    criteria_table : What several criteria say of each image.

    Notes
    -----
    Each image is asked about once for all criteria, equal descriptions are read once, and only labels that differ are
    given to groups, so the text questions do not grow with the images. Labels are compared without case, plural,
    punctuation and chatter, and with the synonyms of common words for colours, vehicles, views and light merged;
    `labels` of the criterion are not merged. An image's description reaches no question but its own, and of its label
    others see no more than that it occurs, so what is written in an image can change its own group alone.

    O(n_images) answers, or `n_asked` of them and O(n_images * n_asked * n_features). The method follows [1]_; that
    names are proposed repeatedly and agreed upon is our addition, since there single proposals decide.

    References
    ----------
    .. [1] Kwon, S., Park, J., Kim, M., Cho, J., Ryu, E. K., & Lee, K. (2024). Image clustering conditioned on text
       criteria. ICLR. https://doi.org/10.48550/arXiv.2310.18297

    Examples
    --------
    >>> import pandas as pd
    >>> from veriwild_clustering import Dataset, cluster_by
    >>> images = pd.DataFrame({"path": [f"{i}.jpg" for i in range(6)],
    ...                        "measured_color": ["red", "red", "blue", "red", "blue", "uncertain"]})
    >>> [partition] = cluster_by(Dataset(images), "colour of the vehicle")
    >>> partition.labels, partition.cluster_names
    (array([ 0,  0,  1,  0,  1, -1], dtype=int32), ('red', 'blue'))
    """
    started = perf_counter()
    asked = _listed(criteria)
    check_int("n_repeats", n_repeats, low=1)
    check_real("min_share", min_share, low=0, high=0.5)
    rows = _rows(len(dataset), space, n_asked, random_state=random_state)
    who = MeasuredAnswers() if answerer is None else answerer
    labeller = _labeller(who)
    partitions = []
    for criterion, labels in zip(asked, labeller.label(dataset, asked, rows=rows, progress=progress), strict=True):
        naming = name_groups(
            Counter(label for label in labels.labels if label not in {"", UNCERTAIN}), criterion,
            who if isinstance(who, Answerer) else None, n_repeats=n_repeats, min_share=min_share,
            random_state=random_state, progress=progress,
        )  # fmt: skip
        groups = Groups.of(labels, naming)
        params = {"criterion": criterion.text, "answerer": labeller.name, "random_state": random_state}
        params |= {"n_clusters": criterion.n_clusters} if criterion.n_clusters else {}
        params |= {"ignore": ", ".join(criterion.ignore)} if criterion.ignore else {}
        if len(rows) < len(dataset) and n_asked is not None and space is not None:
            groups, params["approximation"] = groups.spread(space, rows)
        params["outcome"] = groups.outcome()
        seconds = perf_counter() - started
        partitions.append(groups.partition(f"answers to {criterion.text!r}", space, params=params, seconds=seconds))
        started = perf_counter()
    return partitions


def image_questions(
    dataset: Dataset,
    criteria: Criterion | str | Sequence[Criterion | str],
    *,
    space: Descriptor | None = None,
    n_asked: int | None = None,
    random_state: int = 0,
) -> list[Prompt]:
    """Return what `cluster_by`, called alike, would ask about images, to know beforehand what that takes.

    Questions in words come on top, for descriptions that name no label and for names of groups.
    """
    asked = _listed(criteria)
    rows = _rows(len(dataset), space, n_asked, random_state=random_state)
    return [image_prompt(asked, row) for row in rows.tolist()]


def _listed(criteria: Criterion | str | Sequence[Criterion | str]) -> list[Criterion]:
    given = [criteria] if isinstance(criteria, Criterion | str) else list(criteria)
    listed = [Criterion(one) if isinstance(one, str) else one for one in given]
    if not listed or not all(isinstance(one, Criterion) for one in listed):
        raise TypeError(f"`criteria` must be a Criterion, a text, or a sequence of them. Got {criteria!r} instead.")
    return listed


def _labeller(who: object) -> Labeller:
    if isinstance(who, Labeller):
        return who
    if isinstance(who, Answerer):
        return Conversation(who)
    raise TypeError(f"`answerer` must answer questions or label images, such as `ChatEndpoint()`. Got {who!r} instead.")


def _rows(n_images: int, space: Descriptor | None, n_asked: int | None, *, random_state: int) -> NDArray[np.int64]:
    """Return the images to ask about."""
    if space is not None and len(space) != n_images:
        raise ValueError(f"`space` must have {n_images} rows, one per image of the dataset. Got {len(space)} instead.")
    if n_asked is None:
        return np.arange(n_images)
    if space is None:
        raise ValueError("`n_asked` needs `space`: the descriptor whose nearest neighbours decide on the other images.")
    n_asked = check_int("n_asked", n_asked, low=_FEWEST)
    return np.arange(n_images) if n_asked >= n_images else rows_to_ask(space, n_asked, random_state=random_state)
