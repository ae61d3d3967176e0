"""What icas does with a folder of images, timed: run by the Python of an environment that has icas, not by ours.

Arguments: the folder, a method, a threshold, what to do. "groups" puts the files of the folder together, as one batch,
and tells how long that took; "pairs" tells the similarity of each pair. Prints one JSON line.
"""

from __future__ import annotations

import importlib
import json
import sys
from itertools import combinations
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
    Path(one.result_container_folder).mkdir(exist_ok=True)  # for what it saves each minute
    start = perf_counter(), process_time()
    found = one.calculate_batch_similarity(0, paths)
    ranked = sorted(found.items(), key=lambda item: item[1], reverse=True)
    groups, _ = functions.cluster(ranked, float(threshold))
    seconds, cpu_seconds = perf_counter() - start[0], process_time() - start[1]
    names = [[Path(path).name for path in group] for group in groups]
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "groups": names}))


def _similarity(functions: Any, method: str, features: Any, pair: tuple[str, str]) -> float | None:
    try:
        return float(functions.similarity_methods(method, features, *pair))
    except Exception:
        return None


if __name__ == "__main__":
    main(*sys.argv[1:5])
