"""A model with a table and a dense layer, trained on batches of every kind."""

import functools

import torch

import rowlane
from rowlane import optim

NUM_ROWS, DIM, PADDING = 30, 5, 3


def batches(steps=200):
    """Indices with repeats; at times none, the padding row alone, or one row alone."""
    generator = torch.Generator().manual_seed(1)
    for step in range(steps):
        indices = torch.randint(NUM_ROWS, (4, 3), generator=generator)
        if step % 10 == 3:
            indices = indices[:0]
        elif step % 10 == 5:
            indices = torch.full((4,), PADDING)
        elif step % 10 == 7:
            indices = torch.full((6,), step % NUM_ROWS)
        yield indices


class Model(torch.nn.Module):
    """A table and a dense layer: one optimizer trains both."""

    def __init__(self, module=rowlane.nn.Embedding, dtype=torch.float32, **arguments):
        super().__init__()
        torch.manual_seed(0)
        self.table = module(NUM_ROWS, DIM, padding_idx=PADDING, dtype=dtype, **arguments)
        self.layer = torch.nn.Linear(DIM, 2)
        with torch.no_grad():
            self.table.weight.mul_(0.3)

    def loss(self, indices):
        return (self.layer(self.table(indices).float()).sin() + 1).pow(2).mean(-1).sum()


def train(model, optimizer, steps=200, after_step=lambda: None):
    """The losses."""
    losses = []
    for indices in batches(steps):
        optimizer.zero_grad()
        loss = model.loss(indices)
        loss.backward()
        optimizer.step()
        after_step()
        losses.append(loss.item())
    return losses


def make_rowlane(make, fused, **arguments):
    model = Model(row_gradient=True, **arguments)
    optimizer = make(model.parameters())
    (model.table.fuse if fused else model.table.attach)(optimizer)
    return model, optimizer


# Every optimizer that takes dense gradients, too.
ALL = {
    "SGD": functools.partial(optim.SGD, momentum=0.9, lr=0.01), "Adagrad": optim.Adagrad,
    "Adam": optim.Adam, "AdamW": optim.AdamW, "RowWiseAdagrad": optim.RowWiseAdagrad,
    "PartialRowWiseAdam": optim.PartialRowWiseAdam, "LAMB": optim.LAMB}

# Of dense_equivalent: Rowlane's, torch's, and the arguments of both.
DENSE = {
    "sgd": (optim.SGD, torch.optim.SGD, {"lr": 0.02, "weight_decay": 0.1}),
    "sgd_momentum": (optim.SGD, torch.optim.SGD,
                     {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.01, "dampening": 0.1}),
    "sgd_nesterov": (optim.SGD, torch.optim.SGD, {"lr": 0.01, "momentum": 0.8, "nesterov": True}),
    "adagrad": (optim.Adagrad, torch.optim.Adagrad, {"lr": 0.02, "weight_decay": 0.05}),
    "adam": (optim.Adam, torch.optim.Adam, {"lr": 0.01}),
    "adam_decay": (optim.Adam, torch.optim.Adam, {"lr": 0.01, "weight_decay": 0.1}),
    "amsgrad": (optim.Adam, torch.optim.Adam, {"lr": 0.01, "amsgrad": True}),
    "adamw": (optim.AdamW, torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.1}),
    "maximize": (optim.Adam, torch.optim.Adam, {"lr": 0.001, "maximize": True}),
}
