"""The encoder as an ONNX file that says how images go in. Loaded only when needed: it needs torch and onnx."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
import torch

from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.descriptors.training.autoencoder import Encoder
from veriwild_clustering.images.models.catalog import METADATA
from veriwild_clustering.images.models.record import Model

__all__ = ["write_onnx"]

PARAMS = "veriwild.params"  # the key, in the metadata of the file, of what training was told, as JSON


def write_onnx(encoder: Encoder, path: Path, *, model: Model, params: Mapping[str, Any]) -> None:
    """Write the encoder: uint8 images of shape (n, size, size, 3) -> vectors, n free."""
    side = params["size"]
    example = torch.zeros((2, side, side, 3), dtype=torch.uint8)  # two: one would fix the batch axis
    with _quiet_exporter():
        program: Any = torch.onnx.export(
            encoder.eval(),
            (example,),
            input_names=["images"],
            output_names=["vectors"],
            dynamic_shapes=({0: torch.export.Dim("n_images")},),
            dynamo=True,
            verbose=False,
        )
    proto = program.model_proto
    for part in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        part.ClearField(
            "metadata_props"
        )  # there the exporter notes the lines of code, with the folders of this machine
    facts = {key: value for key, value in asdict(model).items() if key != "files"}
    for key, value in {METADATA: facts, PARAMS: dict(params)}.items():
        proto.metadata_props.add(key=key, value=json.dumps(value))
    with write_atomically(path) as temporary:
        onnx.save(proto, temporary)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence what the exporter says about itself: nothing in it is about the network."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
