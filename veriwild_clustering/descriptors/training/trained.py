"""TrainedDescriptor: what training made, as plain arrays; torch is needed only to use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.html import card
from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.descriptors.training.pixels import input_of
from veriwild_clustering.images.models.catalog import user_model
from veriwild_clustering.images.models.inputs import image_batch
from veriwild_clustering.images.models.record import Model, ModelFile

if TYPE_CHECKING:
    from veriwild_clustering.descriptors.training.autoencoder import Autoencoder

__all__ = ["TrainedDescriptor", "need_torch"]

SOURCE = "https://doi.org/10.1126/science.1127647"  # autoencoders: Hinton and Salakhutdinov, 2006
BATCH = 256


def need_torch() -> None:
    """Raise, saying what to install, where torch or its exporter is missing."""
    try:
        import onnxscript  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise DatasetError(
            f"Training a descriptor needs the package {error.name!r}. "
            f"Install it with: pip install 'veriwild-clustering[train,models]'."
        ) from error


@dataclass(frozen=True, eq=False, repr=False)
class TrainedDescriptor:
    """An encoder of images and the history of its training; made by `fit_autoencoder`.

    Parameters
    ----------
    weights : mapping of str to array
        The network after its best epoch.
    history : DataFrame
        One row per epoch: `epoch`, `train_loss`, `validation_loss`, `seconds`.
    params : mapping
        What decided the result: the parameters of `fit_autoencoder`, and the fingerprint of the images.
    n_images : int
        How many images were trained on and judged by.
    unreadable : tuple of str
        Paths of images that could not be read and were left out.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from veriwild_clustering import draw_sample, fit_autoencoder
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = draw_sample(folder / "raw_data", n_images=50, random_state=0, progress=False)
    >>> trained = fit_autoencoder(folder / "raw_data", n_features=8, size=32, epochs=1)
    >>> trained
    TrainedDescriptor(8 features of 32 x 32 pixels, best of 1 epochs: 1)
    >>> model = trained.export(folder / "own.onnx")
    >>> model.name, model.n_features
    ('own', 8)
    """

    weights: Mapping[str, NDArray[Any]]
    history: pd.DataFrame
    _: KW_ONLY
    params: Mapping[str, Any]
    n_images: int
    unreadable: tuple[str, ...] = ()

    def __repr__(self) -> str:
        size = self.params["size"]
        return (
            f"TrainedDescriptor({self.params['n_features']} features of {size} x {size} pixels, "
            f"best of {len(self.history)} epochs: {self.best_epoch})"
        )

    def _repr_html_(self) -> str:
        best = self.history.loc[self.history["epoch"] == self.best_epoch].iloc[0]
        rows = {
            "images": f"{self.n_images:,}, {len(self.unreadable):,} unreadable ones left out",
            "features": self.params["n_features"],
            "best epoch": f"{self.best_epoch} of {len(self.history)}",
            f"loss ({self.params['loss']})": f"{best['train_loss']:.4f}, {best['validation_loss']:.4f} held out",
        }
        return card("Trained descriptor", rows)

    @property
    def best_epoch(self) -> int:
        """The epoch with the lowest validation loss, the one whose weights are kept."""
        return int(self.history["epoch"].iloc[int(np.argmin(self.history["validation_loss"]))])

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return the vectors of images.

        Parameters
        ----------
        images : sequence of array of shape (height, width, 3), uint8
            RGB, of any sizes.

        Returns
        -------
        array of shape (n_images, n_features), float32
            What the exported file gives, up to rounding.
        """
        from veriwild_clustering.descriptors.training.autoencoder import Encoder

        return self._run(Encoder(self._network()), images, (self.params["n_features"],))

    def reconstruct(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Return images as the network sees them and as it remembers them, for a look at what a vector holds.

        Parameters
        ----------
        images : sequence of array of shape (height, width, 3), uint8
            RGB, of any sizes.

        Returns
        -------
        array of shape (n_images, 2, size, size, 3), uint8
            Before and after, both of unit contrast: mid-grey is an image's mean colour.
        """
        from veriwild_clustering.descriptors.training.autoencoder import Reconstruction

        size = self.params["size"]
        pairs = self._run(Reconstruction(self._network()), images, (2, 3, size, size))
        return np.clip(np.rint(127.5 + 63 * pairs.transpose(0, 1, 3, 4, 2)), 0, 255).astype(np.uint8)

    def export(self, path: str | Path) -> Model:
        """Write the encoder as ONNX: any software that runs ONNX can use it, and the library as a model.

        The file takes uint8 RGB of shape (n, size, size, 3) and normalises it inside. How an image becomes that is
        in its metadata, under "veriwild.model" as JSON, where `user_model` finds it; under "veriwild.params" are the
        parameters of the training.

        Parameters
        ----------
        path : path
            The file to write, with the suffix .onnx.

        Returns
        -------
        Model
            The record of the network, for every function that takes a model.

        Raises
        ------
        DatasetError
            If the file cannot be written, or torch is not installed.
        ValueError
            If `path` does not end in .onnx.
        """
        need_torch()
        from veriwild_clustering.descriptors.training.autoencoder import Encoder
        from veriwild_clustering.descriptors.training.exporting import write_onnx

        file = Path(path).absolute()
        if file.suffix.lower() != ".onnx":
            raise ValueError(f"`path` must end in .onnx. Got {str(path)!r} instead.")
        model = Model(
            file.stem,
            "embedding",
            (ModelFile(str(file)),),
            license="",  # whoever has the images says
            source=SOURCE,
            input=input_of(self.params["size"]),
            n_features=self.params["n_features"],
        )
        write_onnx(Encoder(self._network()), file, model=model, params=self.params)
        return user_model(file)

    def _network(self) -> Autoencoder:
        need_torch()
        import torch

        from veriwild_clustering.descriptors.training.autoencoder import Autoencoder

        with torch.random.fork_rng(devices=[]):  # building draws weights, which are then replaced
            network = Autoencoder(self.params["n_features"], self.params["size"])
        network.load_state_dict({key: torch.from_numpy(value) for key, value in self.weights.items()})
        return network.eval()

    def _run(self, network: Any, images: Sequence[NDArray[np.uint8]], shape: tuple[int, ...]) -> NDArray[np.float32]:
        import torch

        spec = input_of(self.params["size"])
        output = np.empty((len(images), *shape), dtype=np.float32)
        with torch.no_grad():
            for start in range(0, len(images), BATCH):
                batch = image_batch(images[start : start + BATCH], spec)
                output[start : start + BATCH] = network(torch.from_numpy(batch)).numpy()
        return output
