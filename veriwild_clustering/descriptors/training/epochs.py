"""The loop over epochs: batches, optimiser, early stopping. Loaded only when training starts: it needs torch."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from veriwild_clustering.core.progress import track
from veriwild_clustering.descriptors.training.autoencoder import Autoencoder, unit_contrast
from veriwild_clustering.descriptors.training.checkpoints import damaged, read_checkpoint, write_checkpoint
from veriwild_clustering.descriptors.training.losses import LOSSES

__all__ = ["Training"]

WEIGHT_DECAY = 0.01
GAMMA = 1.3  # images are darkened or lightened by an exponent between 1 / GAMMA and GAMMA
NOISE = 0.3  # standard deviation, of images of unit contrast
PATCHES, BLANK = 8, 0.2  # patches along each side, and the share of them that is blanked out
EVALUATION_BATCH = 256


class Training:
    """One training: the network, its optimiser and what came of each epoch.

    What is random in an epoch, order and augmentation, depends on the seed and the number of the epoch alone, so a
    training that goes on from a checkpoint does what an uninterrupted one does.

    Parameters
    ----------
    pixels : array of shape (n_images, size, size, 3), uint8
        All images.
    train, validation : array of int
        Rows to train on and rows to judge by.
    settings : mapping
        The parameters of `fit_autoencoder` that decide the result.
    device : str
        As torch names it.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        train: NDArray[np.intp],
        validation: NDArray[np.intp],
        *,
        settings: Mapping[str, Any],
        device: str,
    ) -> None:
        self.pixels, self.train, self.validation = pixels, train, validation
        self.settings, self.device = settings, torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(settings["random_state"])  # torch.manual_seed would reach GPUs too
            network = Autoencoder(settings["n_features"], settings["size"])
        self.network = network.to(self.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a quarter faster on CPUs
        self.loss = LOSSES[settings["loss"]]
        rate = settings["learning_rate"]
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)
        n_steps = math.ceil(len(train) / settings["batch_size"]) * settings["epochs"]
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, rate, total_steps=n_steps)
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Tensor] = {}

    def run(self, folder: Path | None, *, progress: bool | None) -> None:
        """Train until the last epoch or until the validation loss has not fallen for `patience` epochs."""
        if folder is not None:
            self._take_up(folder)
        epochs = range(len(self.history) + 1, self.settings["epochs"] + 1)
        with torch.backends.cudnn.flags(benchmark=False, deterministic=True):
            for epoch in track(epochs, description=self._told, unit="epoch", show=progress):
                if self._epochs_without_progress() >= self.settings["patience"]:
                    break
                self._epoch(epoch, progress=progress)
                if folder is not None:
                    write_checkpoint(folder, self._state())

    def _epoch(self, epoch: int, *, progress: bool | None) -> None:
        started = time.perf_counter()
        rng = np.random.default_rng([self.settings["random_state"], epoch])
        order = rng.permutation(self.train)
        starts = range(0, len(order), self.settings["batch_size"])
        self.network.train()
        total = 0.0
        for start in track(starts, description=f"Epoch {epoch}", unit="batch", show=progress):
            rows = order[start : start + self.settings["batch_size"]]
            total += len(rows) * self._step(unit_contrast(augment(self._batch(rows), rng)), rng)
        losses = {"train_loss": total / len(order), "validation_loss": self._validation_loss()}
        if not all(map(math.isfinite, losses.values())):
            raise ValueError(
                f"Training diverged in epoch {epoch}: the loss is not a number. Lower `learning_rate`, now "
                f"{self.settings['learning_rate']:g}."
            )
        if not self.history or losses["validation_loss"] < min(row["validation_loss"] for row in self.history):
            self.best = {key: value.detach().cpu().clone() for key, value in self.network.state_dict().items()}
        self.history.append({"epoch": epoch, **losses, "seconds": time.perf_counter() - started})

    def _step(self, images: Tensor, rng: np.random.Generator) -> float:
        loss = self.loss(self.network(corrupt(images, rng)), images)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        return float(loss.item())

    @torch.no_grad()
    def _validation_loss(self) -> float:
        self.network.eval()
        total = 0.0
        for start in range(0, len(self.validation), EVALUATION_BATCH):
            rows = self.validation[start : start + EVALUATION_BATCH]
            images = unit_contrast(self._batch(rows))
            total += len(rows) * float(self.loss(self.network(images), images).item())
        return total / len(self.validation)

    def _batch(self, rows: NDArray[np.intp]) -> Tensor:
        return torch.from_numpy(self.pixels[rows]).to(self.device)

    def _epochs_without_progress(self) -> int:
        losses = [row["validation_loss"] for row in self.history]
        return len(losses) - 1 - int(np.argmin(losses)) if losses else 0

    def _told(self, epoch: int) -> str:
        return f"Epoch {epoch}" + (f", loss {self.history[-1]['validation_loss']:.4f}" if self.history else "")

    def _state(self) -> dict[str, Any]:
        parts: dict[str, Any] = {"network": self.network, "optimizer": self.optimizer, "scheduler": self.scheduler}
        states = {name: part.state_dict() for name, part in parts.items()}
        return {"settings": dict(self.settings), "history": self.history, "best": self.best, **states}

    def _take_up(self, folder: Path) -> None:
        """Go back to where the checkpoint of a folder was written, if it has one."""
        state = read_checkpoint(folder, self.settings)
        if state is None:
            return
        try:
            for name in ("network", "optimizer", "scheduler"):
                getattr(self, name).load_state_dict(state[name])
            self.history, self.best = list(state["history"]), dict(state["best"])
        except Exception as error:  # torch raises anything where parts are missing or of another network
            raise damaged(folder) from error


def augment(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Mirror every second image, left to right, and darken or lighten each a little."""
    mirrored = torch.from_numpy(rng.random(len(pixels)) < 0.5).to(pixels.device)
    exponents = GAMMA ** rng.uniform(-1, 1, len(pixels))
    gamma = torch.from_numpy(exponents.astype(np.float32)).to(pixels.device)
    flipped = torch.where(mirrored[:, None, None, None], pixels.flip(2), pixels)
    return 255 * (flipped.float() / 255) ** gamma[:, None, None, None]


def corrupt(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Add noise and blank out patches: what is missing can only be drawn by who knows what such images look like.

    References
    ----------
    .. [1] Vincent et al., "Extracting and Composing Robust Features with Denoising Autoencoders", 2008,
       https://doi.org/10.1145/1390156.1390294
    """
    noise = torch.from_numpy(rng.standard_normal(images.shape, dtype=np.float32)).to(images.device)
    kept = torch.from_numpy((rng.random((len(images), 1, PATCHES, PATCHES)) >= BLANK).astype(np.float32))
    mask = functional.interpolate(kept.to(images.device), size=images.shape[2:], mode="nearest")
    return (images + NOISE * noise) * mask
