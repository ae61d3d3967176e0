"""Train a descriptor of one's own on one's own images and write it as an ONNX model."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.descriptors.training.fitting import LOSS_NAMES, fit_autoencoder

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = """\
examples:
  veriwild train --pictures photos/ --output own.onnx
  veriwild train --pictures photos.zip --output own.onnx --loss perceptual --features 64 --epochs 40

When it is interrupted, the same command goes on after the last epoch that was finished.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `veriwild train`."""
    parser.add_argument(
        "--pictures", type=Path, required=True, metavar="SOURCE", help="folder, zip, or CSV with a column `path`"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="ONNX", help="the model to write")
    parser.add_argument("--features", type=int, default=128, help="length of the vector (default: %(default)s)")
    parser.add_argument("--size", type=int, default=64, help="side of the images in pixels (default: %(default)s)")
    parser.add_argument("--loss", choices=LOSS_NAMES, default="mse", help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=20, help="passes over the images, at most (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=32, help="images per step (default: %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="default: %(default)s")
    parser.add_argument(
        "--patience", type=int, default=5,
        help="stop after so many epochs without a lower loss of held-out images (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--device", help="as torch names it; default: cuda where there is one, else cpu")
    parser.add_argument("--random-state", type=int, default=0, metavar="SEED", help="default: %(default)s")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes that decode images (default: one per core)")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--progress", action="store_true", default=None, help="show progress bars, always")
    shown.add_argument("--quiet", dest="progress", action="store_false", help="no progress bars and no summary")


def run(arguments: argparse.Namespace) -> int:
    """Train, write the model and, beside it, the loss of each epoch as CSV; return 0.

    Checkpoints and decoded images are kept in a hidden folder beside the output until the model is written.

    Raises
    ------
    DatasetError
        If an argument or the images cannot be used.
    """
    output: Path = arguments.output
    if output.suffix.lower() != ".onnx":
        raise DatasetError(f"--output must end in .onnx. Got {str(output)!r} instead.")
    if output.is_dir():
        raise DatasetError(f"{output} is a folder. Give --output the name of a file.")
    unfinished = output.parent / f".{output.stem}.unfinished"
    trained = fit_autoencoder(
        arguments.pictures,
        n_features=arguments.features,
        size=arguments.size,
        loss=arguments.loss,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        patience=arguments.patience,
        folder=unfinished,
        device=arguments.device,
        random_state=arguments.random_state,
        n_jobs=arguments.jobs,
        progress=arguments.progress,
    )
    history = output.with_suffix(".history.csv")
    with write_atomically(history) as temporary:
        trained.history.to_csv(temporary, index=False)
    trained.export(output)
    shutil.rmtree(unfinished, ignore_errors=True)
    if arguments.progress is not False:
        losses = trained.history["validation_loss"]
        print(f"{trained.n_images:,} images, {len(trained.unreadable):,} unreadable ones left out")
        print(f"loss of held-out images: {losses.iloc[0]:.4f} -> {losses.min():.4f}, epoch {trained.best_epoch}")
        print(f"model: {output}\nlosses: {history}")
    return 0
