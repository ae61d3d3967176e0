"""Cluster the images of a dataset by criteria written in words."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from veriwild_clustering.clustering.criteria.clustering import cluster_by, image_questions
from veriwild_clustering.clustering.criteria.tables import criteria_table
from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.validation import DatasetError, check_known_names
from veriwild_clustering.descriptors.text.labelling import ZeroShotAnswers
from veriwild_clustering.evaluation.criteria.scores import criterion_scores
from veriwild_clustering.images.captioning.endpoint import ChatEndpoint
from veriwild_clustering.images.criteria.criterion import Criterion
from veriwild_clustering.images.criteria.measured import MeasuredAnswers

__all__ = ["EXAMPLES", "add_arguments", "run"]

ANSWERERS = ("measured", "clip", "endpoint")
EXAMPLES = """\
examples:
  veriwild criterion "colour of the vehicle"
  veriwild criterion "day or night" "colour" --output groups.json
  veriwild criterion "type of vehicle" --answerer clip --labels "bus,truck,van,passenger car"
  veriwild criterion "roof of the vehicle" --answerer endpoint --vision-model qwen3-vl --estimate
  veriwild criterion "type of vehicle" --answerer endpoint --vision-model qwen3-vl --asked 2000 --space type_model
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `veriwild criterion`."""
    parser.add_argument("criteria", nargs="+", metavar="CRITERION", help="what to tell images apart by, in words")
    parser.add_argument("--dataset", type=Path, default=Path("transport_dataset.csv"), help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=Path("criteria.csv"), help=".csv or .json; default: %(default)s")
    parser.add_argument("--answerer", choices=ANSWERERS, default="measured", help="who says what an image shows")
    parser.add_argument("--labels", help="the only groups of the one criterion, separated by commas")
    parser.add_argument("--clusters", type=int, help="how many groups; by default as many as the answers need")
    parser.add_argument("--ignore", action="append", default=[], help="what not to consider; may be repeated")
    parser.add_argument("--column", action="append", default=[], metavar="CRITERION=COLUMN",
                        help="for measured answers: the column that says it; may be repeated")  # fmt: skip
    parser.add_argument("--network", action="store_true", help="let a small network name types; it errs on rear views")
    parser.add_argument("--asked", type=int, help="ask about so many images, the others follow their neighbours")
    parser.add_argument("--space", help="the descriptor in which neighbours are looked for")
    parser.add_argument("--truth", help="column with known classes; prints how far the first criterion agrees")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    models = parser.add_argument_group("endpoint", "the address and the key: see docs/criteria.md")
    models.add_argument("--text-model", help="the model that reads and names")
    models.add_argument("--vision-model", help="the model that sees images; by default the text model")
    models.add_argument("--base-url", help="of an OpenAI-compatible endpoint")
    models.add_argument("--cache", type=Path, help="folder of the answers that are known")
    models.add_argument("--max-requests", type=int, help="stop asking after so many requests")
    models.add_argument(
        "--prices", type=float, nargs=2, metavar=("IN", "OUT"), help="of a million tokens sent and received"
    )
    models.add_argument("--max-cost", type=float, help="stop asking before it costs more; needs --prices")
    models.add_argument("--estimate", action="store_true", help="say what asking about the images takes, and stop")
    parser.add_argument("--models-folder", type=Path, help="folder of the weights")


def run(arguments: argparse.Namespace) -> int:
    """Write a row per image with its group by each criterion and the confidence."""
    if arguments.output.suffix.lower() not in {".csv", ".json"}:
        raise DatasetError(f"--output must end in .csv or .json. Got {arguments.output}.")
    criteria = [_criterion(text, arguments) for text in arguments.criteria]
    dataset = Dataset.open(arguments.dataset)
    if arguments.truth is not None:
        check_known_names("column", [arguments.truth], list(map(str, dataset.images)))
    answerer = _answerer(arguments)
    if arguments.estimate:
        return _estimate(answerer, criteria, dataset, arguments)
    partitions = cluster_by(dataset, criteria, answerer, **_asked(dataset, arguments))
    _write(arguments.output, dataset, partitions)
    for partition in partitions:
        print(f"{partition.params['criterion']}: {partition.params['outcome']}")
        for cluster, size in enumerate(partition.sizes):
            print(f"  {partition.cluster_name(cluster)}: {size:,}")
        if not partition.clustered.all():
            print(f"  uncertain: {int((~partition.clustered).sum()):,}")
        if approximation := partition.params.get("approximation"):
            print(f"  {approximation}")
    if arguments.truth is not None:
        scores = criterion_scores(partitions[0], dataset.images[arguments.truth].to_numpy(dtype=object))
        shown = (
            "accuracy",
            "accuracy_by_chance",
            "accuracy_where_grouped",
            "ari",
            "nmi",
            "coverage",
            "accuracy_spread",
        )
        print(f"against {arguments.truth}: " + ", ".join(f"{name} {scores[name]:.3f}" for name in shown))
    print(f"{len(dataset):,} images: {arguments.output}")
    return 0


def _asked(dataset: Dataset, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what decides on the images that are asked about."""
    space = dataset[arguments.space] if arguments.space else None
    return {"space": space, "n_asked": arguments.asked, "random_state": arguments.seed}


def _criterion(text: str, arguments: argparse.Namespace) -> Criterion:
    labels = [label.strip() for label in (arguments.labels or "").split(",") if label.strip()]
    if labels and len(arguments.criteria) > 1:
        raise DatasetError("--labels belong to one criterion: ask by the others in a run of their own.")
    return Criterion(text, labels=labels, n_clusters=arguments.clusters, ignore=arguments.ignore)


def _answerer(arguments: argparse.Namespace) -> Any:
    if arguments.answerer == "measured":
        columns = _columns(arguments.column)
        return MeasuredAnswers(columns, network=arguments.network, folder=arguments.models_folder)
    if arguments.answerer == "clip":
        return ZeroShotAnswers(folder=arguments.models_folder)
    return ChatEndpoint(
        arguments.text_model, arguments.vision_model, base_url=arguments.base_url, cache=arguments.cache,
        max_requests=arguments.max_requests, max_cost=arguments.max_cost,
        prices=tuple(arguments.prices) if arguments.prices else None,
    )  # fmt: skip


def _columns(pairs: list[str]) -> dict[str, str]:
    """Return the column of each criterion that has one."""
    columns = {}
    for pair in pairs:
        criterion, _, column = pair.partition("=")
        if not (criterion and column):
            raise DatasetError(f"--column must be CRITERION=COLUMN, such as 'body type=type'. Got {pair!r}.")
        columns[criterion] = column
    return columns


def _estimate(answerer: Any, criteria: list[Criterion], dataset: Dataset, arguments: argparse.Namespace) -> int:
    """Say what describing the images takes; reading descriptions and naming come on top, far fewer questions."""
    if not isinstance(answerer, ChatEndpoint):
        print(f"Nothing is sent: {arguments.answerer} answers are made on this machine.")
        return 0
    prompts = image_questions(dataset, criteria, **_asked(dataset, arguments))
    print(f"{answerer.estimate(prompts, dataset)}; questions in words on top, for descriptions that name no label")
    return 0


def _write(path: Path, dataset: Dataset, partitions: list[Partition]) -> None:
    table = criteria_table(dataset, partitions)
    for partition in partitions:
        table[f"{partition.params['criterion']} confidence"] = np.round(partition.confidence.astype(float), 4)
    with write_atomically(path) as temporary:
        if path.suffix.lower() == ".csv":
            table.to_csv(temporary, index=False, lineterminator="\n")
        else:
            records = {
                "criteria": [_summary(partition) for partition in partitions],
                "images": table.to_dict("records"),
            }
            Path(temporary).write_text(json.dumps(records, ensure_ascii=False, indent=1), encoding="utf-8")


def _summary(partition: Partition) -> dict[str, Any]:
    sizes = pd.Series(partition.sizes, index=[partition.cluster_name(c) for c in range(partition.n_clusters)])
    return {"params": dict(partition.params), "groups": {str(name): int(size) for name, size in sizes.items()}}
