"""Train a descriptor of one's own on one's own images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.progress import bars
from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.core.validation import DatasetError, check_choice, check_int, check_real, check_rows, reason_of
from veriwild_clustering.descriptors.training.pixels import decode, fingerprint_of
from veriwild_clustering.descriptors.training.trained import TrainedDescriptor, need_torch

__all__ = ["LOSS_NAMES", "fit_autoencoder"]

LOSS_NAMES = ("mse", "mae", "perceptual")


def fit_autoencoder(
    source: str | Path | Dataset,
    *,
    n_features: int = 128,
    size: int = 64,
    loss: str = "mse",
    epochs: int = 20,
    batch_size: int = 32,
    learning_rate: float = 2e-3,
    patience: int = 5,
    validation_fraction: float = 0.1,
    groups: ArrayLike | None = None,
    folder: str | Path | None = None,
    device: str | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> TrainedDescriptor:
    """Train a convolutional autoencoder: the vector from which an image can be drawn again is its descriptor.

    Parameters
    ----------
    source : path or Dataset
        A folder, a zip or a CSV of images, or a dataset that knows where its images lie.
    n_features : int, default 128
        Length of the vector, at most `size`², the number of values that it is made of.
    size : int, default 64
        Side in pixels that images are brought to, a multiple of 16 from 32 on.
    loss : {"mse", "mae", "perceptual"}, default "mse"
        What the reconstruction is measured by: squared error, absolute error, or structural similarity over three
        scales with absolute error [1]_.
    epochs : int, default 20
        Passes over the images, at most.
    batch_size : int, default 32
        Images per step.
    learning_rate : float, default 0.002
        The highest of a one-cycle schedule [2]_ of AdamW [3]_.
    patience : int, default 5
        Stop after so many epochs in which the loss of the held-out images has not fallen.
    validation_fraction : float, default 0.1
        The share of groups that are held out; one at least is, and one at least is not.
    groups : array of shape (n_images,), optional
        Images of one group are trained on together or held out together. By default `vehicle_id` of a dataset;
        otherwise each image by itself.
    folder : path, optional
        Where a checkpoint is kept after each epoch, and the decoded images. A training that was interrupted goes on
        from there when it is called again with the same settings, and ends as if it had not been.
    device : str, optional
        As torch names it. By default "cuda" where there is one, else "cpu".
    random_state : int, default 0
        Seed of the weights, of what is held out, of the order and of the augmentation. torch's own generator is left
        as it is.
    n_jobs : int, optional
        Processes that decode; by default one per core.
    progress : bool, optional
        Show progress bars; by default where somebody watches.

    Returns
    -------
    TrainedDescriptor
        The network after its best epoch, and the loss after each.

    Raises
    ------
    DatasetError
        If there are too few readable images, the checkpoint is damaged or of another training, the folder cannot be
        written to, or torch is not installed.
    ValueError
        If a parameter is out of range, torch has no such device, or the training diverges.

    Notes
    -----
    O(n_images * size²) per epoch; 3 `size`² bytes per image, in memory without `folder`, in a file with it. Images
    are mirrored and darkened or lightened at random, and the network draws the whole image from one with noise and
    blank patches [4]_. Each is brought to zero mean and unit contrast first, inside the
    exported network too: an autoencoder of plain pixels spends its vector on exposure. So the vector tells shape and
    little of colour; mix it with a colour descriptor where colour counts. Results repeat on the same machine with the
    same number of threads (`torch.set_num_threads`).

    References
    ----------
    .. [1] Zhao, Gallo, Frosio, Kautz, "Loss Functions for Image Restoration With Neural Networks", 2017,
       https://doi.org/10.1109/TCI.2016.2644865
    .. [2] Smith, Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates", 2019,
       https://doi.org/10.1117/12.2520589
    .. [3] Loshchilov, Hutter, "Decoupled Weight Decay Regularization", 2019, https://arxiv.org/abs/1711.05101
    .. [4] Vincent et al., "Extracting and Composing Robust Features with Denoising Autoencoders", 2008,
       https://doi.org/10.1145/1390156.1390294

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from veriwild_clustering import draw_sample, fit_autoencoder
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = draw_sample(folder / "raw_data", n_images=50, random_state=0, progress=False)
    >>> trained = fit_autoencoder(folder / "raw_data", n_features=8, size=32, epochs=2, random_state=0)
    >>> list(trained.history.columns), trained.n_images
    (['epoch', 'train_loss', 'validation_loss', 'seconds'], 50)
    """
    need_torch()
    from veriwild_clustering.descriptors.training.checkpoints import read_checkpoint
    from veriwild_clustering.descriptors.training.epochs import Training

    size, device = _check_size(size), _check_device(device)
    settings: dict[str, Any] = {
        "n_features": check_int("n_features", n_features, low=1, high=size**2 + 1),
        "size": size,
        "loss": check_choice("loss", loss, LOSS_NAMES),
        "epochs": check_int("epochs", epochs, low=1),
        "batch_size": check_int("batch_size", batch_size, low=2),
        "learning_rate": check_real("learning_rate", learning_rate, low=1e-8, high=1.0),
        "patience": check_int("patience", patience, low=1),
        "validation_fraction": check_real("validation_fraction", validation_fraction, low=0.01, high=0.9),
        "random_state": check_int("random_state", random_state, low=0, high=2**32),
    }
    store, paths, known = _images_of(source)
    grouping = known if groups is None else _codes(check_rows("groups", groups, len(paths)))
    settings |= {"images": fingerprint_of(store, paths, size), "groups": _digest(grouping)}
    place = file = None
    if folder is not None:
        place = Path(folder)
        file = place / f"images-{settings['images']}.npy"
        read_checkpoint(place, settings)  # a folder of another training is refused before the long work
    with bars(show=progress):
        images = decode(store, paths, size, file=file, n_jobs=n_jobs, progress=progress)
        train, validation = _split(images.readable, grouping, settings)
        training = Training(images.pixels, train, validation, settings=settings, device=device)
        training.run(place, progress=progress)
    return TrainedDescriptor(
        {key: np.ascontiguousarray(value.numpy()) for key, value in training.best.items()},
        pd.DataFrame(training.history),
        params=settings,
        n_images=len(train) + len(validation),
        unreadable=tuple(paths[row] for row in np.flatnonzero(~images.readable)),
    )


def _check_size(size: int) -> int:
    number = check_int("size", size, low=32, high=513)
    if number % 16:
        raise ValueError(f"`size` must be a multiple of 16. Got {size!r} instead.")
    return number


def _images_of(source: str | Path | Dataset) -> tuple[ImageStore, list[str], NDArray[np.intp]]:
    """Return where the images lie, their paths, and the number of the group of each."""
    if not isinstance(source, Dataset):
        from veriwild_clustering.images.listing import find_images

        store, paths = find_images(source)
        return store, paths, np.arange(len(paths))
    from veriwild_clustering.images.reading import image_store_of

    store = image_store_of(source)
    table = source.images
    groups = _codes(table["vehicle_id"]) if "vehicle_id" in table else np.arange(len(table))
    return store, [str(path) for path in table["path"]], groups


def _codes(groups: ArrayLike) -> NDArray[np.intp]:
    """Return a number per group; an image without a group is one by itself."""
    codes = pd.factorize(np.asarray(groups))[0]
    return np.where(codes < 0, len(codes) + np.arange(len(codes)), codes)


def _split(
    readable: NDArray[np.bool_], groups: NDArray[np.intp], settings: Mapping[str, Any]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows to train on and the rows that are held out, whole groups each."""
    from sklearn.model_selection import GroupShuffleSplit

    rows = np.flatnonzero(readable)
    n_groups = len(np.unique(groups[rows]))
    if len(rows) < 4 or n_groups < 2:
        raise DatasetError(
            f"Training needs at least four readable images in two groups. Got {len(rows)} of "
            f"{len(readable)} images in {n_groups} groups."
        )
    n_held_out = min(ceil(settings["validation_fraction"] * n_groups), n_groups - 1)
    splitter = GroupShuffleSplit(1, test_size=n_held_out, random_state=settings["random_state"])
    train, validation = next(splitter.split(rows, groups=groups[rows]))
    return rows[train], rows[validation]


def _check_device(asked: str | None) -> str:
    import torch

    device = asked or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(1, device=device)
    except Exception as error:  # RuntimeError of a wrong name, AssertionError of what was not compiled in
        raise ValueError(f"`device` must be one that torch has here. Got {asked!r}: {reason_of(error)}.") from error
    return device


def _digest(groups: NDArray[np.intp]) -> str:
    return hashlib.sha256(np.ascontiguousarray(groups, dtype=np.int64).tobytes()).hexdigest()[:16]
