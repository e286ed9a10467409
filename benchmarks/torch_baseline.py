"""The PyTorch baseline of `training.py`: the same network, eager, channels last.

It runs in PyTorch's own environment: `python torch_baseline.py FOLDER SETTINGS`, where FOLDER
holds problem.npz (images, labels, first weights) and SETTINGS is JSON. The last line it prints is
a JSON list of (seconds of training so far, accuracy on validation).
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

SMALLEST_MAP = 4  # as in src/training/architectures.py
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}


def stage(inside: int, width: int, pooled: bool, activation: type) -> list[nn.Module]:
    """Two convolutions, each normalised, with pooling after the first."""
    return [
        nn.Conv2d(inside, width, 3, padding=1, bias=False),
        *([nn.MaxPool2d(2)] if pooled else []),
        nn.BatchNorm2d(width, eps=1e-3),
        activation(),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width, eps=1e-3),
        activation(),
    ]


def network(
    widths: list[int], activation: str, side: int, channels: int, classes: int
) -> nn.Sequential:
    """Whitening convolution, stages, mean, linear layer: (n, C, H, W) → logits (n, K)."""
    whitened, size = 8 * channels, side - 1
    layers: list[nn.Module] = [nn.Conv2d(channels, whitened, 2), nn.ReLU()]
    inside = whitened
    for width in widths:
        pooled = size > SMALLEST_MAP
        layers += stage(inside, width, pooled, ACTIVATIONS[activation])
        inside, size = width, size // 2 if pooled else size
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, classes))


def start_from(model: nn.Sequential, arrays: list[np.ndarray]) -> None:
    """The first weights of the Keras network: its 4-D arrays are the filters, in order."""
    filters = [torch.from_numpy(a.transpose(3, 2, 0, 1).copy()) for a in arrays if a.ndim == 4]
    convolutions = [layer for layer in model if isinstance(layer, nn.Conv2d)]
    with torch.no_grad():
        for layer, values in zip(convolutions, filters, strict=True):
            layer.weight.copy_(values)
        convolutions[0].bias.zero_()
    convolutions[0].weight.requires_grad_(False)


def augmented(images: torch.Tensor) -> torch.Tensor:
    """Each image mirrored or not and shifted by up to two pixels, the batch at once."""
    n, _, height, width = images.shape
    mirrored = torch.rand(n, 1, 1, 1) < 0.5
    images = functional.pad(
        torch.where(mirrored, images.flip(-1), images), (2, 2, 2, 2), mode="reflect"
    )
    rows = torch.randint(5, (n, 1)) + torch.arange(height)
    columns = torch.randint(5, (n, 1)) + torch.arange(width)
    picked = images[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)


def main(folder: Path, settings: dict) -> list[tuple[float, float]]:
    """Train and look at validation after every epoch."""
    torch.manual_seed(1)
    data = np.load(folder / "problem.npz")
    images, held = (standardised(data[name], data["images"]) for name in ("images", "held_images"))
    labels, held_labels = (torch.from_numpy(data[n]) for n in ("labels", "held_labels"))
    planned = settings["widths"], settings["activation"]
    model = network(*planned, images.shape[-1], images.shape[1], int(labels.max()) + 1)
    start_from(model, [data[f"w{i}"] for i in range(len(data.files) - 4)])
    model = model.to(memory_format=torch.channels_last)
    trained = [p for p in model.parameters() if p.requires_grad]
    steps = settings["epochs"] * -(-len(labels) // settings["batch"])
    optimizer = torch.optim.SGD(trained, lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.4, total_steps=steps)
    half = torch.autocast("cpu", torch.bfloat16, enabled=settings["bfloat16"])
    curve, spent = [], 0.0
    for _ in range(settings["epochs"]):
        started = time.perf_counter()
        model.train()
        for rows in torch.randperm(len(labels)).split(settings["batch"]):
            batch = augmented(images[rows]).contiguous(memory_format=torch.channels_last)
            with half:
                loss = functional.cross_entropy(model(batch), labels[rows], label_smoothing=0.2)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        spent += time.perf_counter() - started
        curve.append((spent, accuracy(model, held, held_labels)))
    return curve


def standardised(images: np.ndarray, known: np.ndarray) -> torch.Tensor:
    """Images (n, H, W, C) uint8 → (n, C, H, W) float32 by the training images' statistics."""
    mean, spread = known.mean((0, 1, 2)), known.std((0, 1, 2))
    values = ((images - mean) / spread).astype(np.float32)
    return torch.from_numpy(values.transpose(0, 3, 1, 2).copy())


def accuracy(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of images that get their label."""
    model.eval()
    with torch.no_grad():
        answers = torch.cat([model(part).argmax(1) for part in images.split(500)])
    return float((answers == labels).float().mean())


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), json.loads(sys.argv[2]))))
