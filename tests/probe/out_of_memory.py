"""A candidate that asks for more memory than any machine has when its batch is too large."""

import torch
from torch import nn


class Hungry(nn.Module):
    """Takes batches up to a size; beyond it the allocator really is asked, and really refuses."""

    def __init__(self, most: int, classes: int = 10, norm: bool = True) -> None:
        super().__init__()
        self.most = most
        self.layer = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16) if norm else nn.Identity())
        self.output = nn.Linear(16, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.layer(images)
        if len(images) > self.most:
            torch.empty(1 << 60, dtype=torch.uint8)
        return self.output(torch.relu(features))


def hungry(most: int, norm: bool = True) -> nn.Module:
    return Hungry(most, norm=norm)
