"""Inside DistributedDataParallel: right, or refused before anything has changed."""

import json
import pathlib
import subprocess
import sys

import data_parallel
import pytest
import torch


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each rank printed: by case."""
    file = tmp_path_factory.mktemp("rendezvous") / "file"
    script = pathlib.Path(data_parallel.__file__)
    ranks = [subprocess.Popen([sys.executable, script, str(rank), file], stdout=subprocess.PIPE,
                              text=True) for rank in range(data_parallel.WORLD)]
    outputs = [rank.communicate(timeout=300)[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0]
    return [{tuple(case): result for case, result in map(json.loads, output.splitlines())}
            for output in outputs]


@pytest.mark.parametrize("arguments", data_parallel.ARGUMENTS)
@pytest.mark.parametrize("way", data_parallel.WAYS)
@pytest.mark.parametrize("semantics", data_parallel.SEMANTICS)
@pytest.mark.parametrize("gradient", data_parallel.GRADIENTS)
def test_is_the_training_of_the_joined_batch_or_refused(results, gradient, semantics, way,
                                                        arguments):
    first, second = (result[gradient, semantics, way, arguments] for result in results)
    assert first == second  # to the bit
    if way == "fused":
        assert first["unchanged"]
        assert "DistributedDataParallel" in first["refused"] and "unfuse() it" in first["refused"]
        return
    expected = data_parallel.train(gradient, semantics, way, lambda model, step: sum(
        model(data_parallel.batch(step, rank)) for rank in range(2)) / 2)
    for ours, theirs in zip(first["parameters"], expected["parameters"]):
        torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), rtol=0, atol=1e-5)
