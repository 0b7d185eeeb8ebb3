"""A small network, and a recorder of it, for loops of other people's."""

import torch
from torch import nn

import ncore

LOSS = nn.CrossEntropyLoss()
GENERATOR = torch.Generator().manual_seed(3)
X, Y = torch.randn(64, 5, generator=GENERATOR), torch.randint(3, (64,), generator=GENERATOR)


def network(seed=0, dtype=torch.float32):
    torch.manual_seed(seed)
    body = (nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Dropout(0.3))
    return nn.Sequential(*body, ncore.NCPUnit(6, 3, widths=(8, 8, 8), seed=seed)).to(dtype)


def recorder(place, model, **options):
    options = {"probe": (X, Y), "loss": LOSS, "candidate": "c", "dataset": "d", "epochs": 4} | options
    return ncore.Recorder(place, model, unit=model[3], **options)
