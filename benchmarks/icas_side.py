"""What icas does with a folder of images, timed: run by the Python of an environment that has icas, not by ours.

Arguments: the folder, a method, a threshold, what to do. "time" computes the similarities of all pairs of the folder as
one batch, "pairs" tells the similarity of each pair, "groups" which files it puts together. Prints one JSON line.
"""

from __future__ import annotations

import importlib
import json
import sys
from itertools import combinations, pairwise
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

SIDES = {"SSIM": 64, "TM": 64, "imagehash": 64, "minhash": 128, "ORB": 128}  # of the squares that ours compares


def main(folder: str, method: str, threshold: str, what: str) -> None:
    size = (SIDES[method],) * 2
    clusteror = importlib.import_module("clusterimg.Clusteror")
    functions = importlib.import_module("clusterimg.helper_functions")
    paths = sorted(str(path) for path in Path(folder).iterdir())
    one = clusteror.Clusteror(folder, method, len(paths), threshold=float(threshold), size=size)
    if what == "pairs":
        features = functions.get_image_features(method, paths, size, (1.0, 1.0))
        answer: Any = [_similarity(functions, method, features, pair) for pair in combinations(paths, 2)]
        own = _similarity(functions, method, features, (paths[0], paths[0]))
        print(json.dumps({"similarities": answer, "own": own}))
        return
    moments = [(perf_counter(), process_time())]
    functions.get_image_features(method, paths, size, (1.0, 1.0))
    moments.append((perf_counter(), process_time()))
    found = one.calculate_batch_similarity(0, paths)  # which makes the features again
    moments.append((perf_counter(), process_time()))
    features, all_of_it = ([b - a for a, b in zip(*part, strict=True)] for part in pairwise(moments))
    answer = dict(
        zip(
            ("seconds", "cpu_seconds"), (max(0.0, b - a) for a, b in zip(features, all_of_it, strict=True)), strict=True
        )
    )
    answer |= dict(zip(("features_seconds", "features_cpu_seconds"), features, strict=True))
    ranked = sorted(found.items(), key=lambda item: item[1], reverse=True)
    groups, _ = functions.cluster(ranked, float(threshold))
    names = [[Path(path).name for path in group] for group in groups]
    print(json.dumps({**answer, "groups": names}))


def _similarity(functions: Any, method: str, features: Any, pair: tuple[str, str]) -> float | None:
    try:
        return float(functions.similarity_methods(method, features, *pair))
    except Exception:
        return None


if __name__ == "__main__":
    main(*sys.argv[1:5])
