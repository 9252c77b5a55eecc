"""Two processes train one model inside DistributedDataParallel, in every way; prints JSON lines.

    data_parallel.py RANK RENDEZVOUS_FILE
"""

import itertools
import json
import sys

import torch
from torch.nn.parallel import DistributedDataParallel

import rowlane
from rowlane import optim

NUM_STEPS, WORLD = 6, 2
GRADIENTS = {"dense": {}, "sparse": {"sparse": True}, "row_gradient": {"row_gradient": True}}
SEMANTICS = ("lazy", "dense_equivalent")
WAYS = ("unfused", "fused")
ARGUMENTS = {"default": {}, "find_unused_parameters": {"find_unused_parameters": True},
             "static_graph": {"static_graph": True}}


class Model(torch.nn.Module):
    def __init__(self, **arguments):
        super().__init__()
        torch.manual_seed(0)
        self.table = rowlane.nn.Embedding(20, 4, padding_idx=3, **arguments)
        self.layer = torch.nn.Linear(4, 1)

    def forward(self, indices):
        return self.layer(self.table(indices)).pow(2).mean()


def batch(step, rank):
    generator = torch.Generator().manual_seed(10 * step + rank)
    return torch.randint(20, (6,), generator=generator)


def train(gradient, semantics, way, losses_of, wrap=lambda model: model):
    model = Model(**GRADIENTS[gradient])
    optimizer = optim.Adam(model.parameters(), lr=0.05, semantics=semantics)
    (model.table.fuse if way == "fused" else model.table.attach)(optimizer)
    wrapped = wrap(model)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for step in range(NUM_STEPS):
        optimizer.zero_grad()
        try:
            losses_of(wrapped, step).backward()
            optimizer.step()
        except RuntimeError as error:
            unchanged = all(map(torch.equal, before, model.parameters()))
            return {"refused": str(error).splitlines()[0], "unchanged": step == 0 and unchanged}
    optimizer.flush()
    return {"parameters": [parameter.tolist() for parameter in model.parameters()]}


def main():
    rank, file = int(sys.argv[1]), sys.argv[2]
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank,
                                         world_size=WORLD)
    for case in itertools.product(GRADIENTS, SEMANTICS, WAYS, ARGUMENTS):
        *how, arguments = case
        result = train(*how, lambda model, step: model(batch(step, rank)),
                       lambda model: DistributedDataParallel(model, **ARGUMENTS[arguments]))
        print(json.dumps([case, result]), flush=True)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
