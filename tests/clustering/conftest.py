"""Spaces that the clustering tests share."""

from __future__ import annotations

import numpy as np
import pytest

from veriwild_clustering import Descriptor


@pytest.fixture
def noisy_space(toy_space: Descriptor) -> Descriptor:
    """The toy space with scattered points between the clusters and two rows that hold no usable vector."""
    low, high = toy_space.vectors.min(axis=0), toy_space.vectors.max(axis=0)
    scattered = np.random.default_rng(1).uniform(low, high, size=(15, toy_space.n_features))
    vectors = np.vstack([toy_space.vectors, scattered]).astype(np.float32)
    vectors[[5, 90]] = np.nan
    return Descriptor("noisy", vectors)
