"""The network: a convolutional encoder to a vector and a decoder back. Loaded only when needed: it needs torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Autoencoder", "Encoder", "Reconstruction", "unit_contrast"]

CHANNELS = (32, 64, 128, 256)
DECODER_CHANNELS = (96, 48, 24, 12)
STRIDE = 2 ** len(CHANNELS)
FLAT = 0.02  # contrast below which an image counts as empty; keeps its noise from being blown up


def unit_contrast(pixels: Tensor) -> Tensor:
    """Turn images of 0 to 255, (n, height, width, 3), into floats (n, 3, height, width) of zero mean and unit contrast.

    Each channel is centred by itself, which takes out the colour of the light; one factor scales all three.
    """
    images = pixels.permute(0, 3, 1, 2).float() / 255
    centered = images - images.mean((2, 3), keepdim=True)
    contrast = centered.square().mean((1, 2, 3), keepdim=True).sqrt()
    return centered / (contrast + FLAT)


class Autoencoder(nn.Module):
    """Image of unit contrast -> vector -> image.

    Parameters
    ----------
    n_features : int
        Length of the vector.
    size : int
        Side of the image, a multiple of 16.
    """

    def __init__(self, n_features: int, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for channels in CHANNELS:
            layers += [nn.Conv2d(before, channels, 3, 2, 1, bias=False), nn.BatchNorm2d(channels), nn.LeakyReLU(0.1)]
            before = channels
        side = size // STRIDE
        self.encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * side**2, n_features))
        layers = [nn.Linear(n_features, before * side**2), nn.Unflatten(1, (before, side, side))]
        layers += [nn.BatchNorm2d(before), nn.LeakyReLU(0.1)]
        for channels in DECODER_CHANNELS:
            layers += [nn.ConvTranspose2d(before, channels, 4, 2, 1, bias=False)]
            layers += [nn.BatchNorm2d(channels), nn.LeakyReLU(0.1)]
            before = channels
        self.decoder = nn.Sequential(*layers, nn.Conv2d(before, 3, 3, 1, 1))
        self.float()  # whatever torch takes for a number by default

    def forward(self, images: Tensor) -> Tensor:
        """Return the images as they come back."""
        return self.decoder(self.encoder(images))


class Encoder(nn.Module):
    """Pixels as they are decoded -> vector: what is exported, with the normalisation inside."""

    def __init__(self, autoencoder: Autoencoder) -> None:
        super().__init__()
        self.encoder = autoencoder.encoder

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the vectors of uint8 images of shape (n, size, size, 3)."""
        return self.encoder(unit_contrast(pixels))


class Reconstruction(nn.Module):
    """Pixels as they are decoded -> the images of unit contrast before and after, (n, 2, 3, size, size)."""

    def __init__(self, autoencoder: Autoencoder) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, pixels: Tensor) -> Tensor:
        """Return both, side by side."""
        images = unit_contrast(pixels)
        return torch.stack([images, self.autoencoder(images)], dim=1)
