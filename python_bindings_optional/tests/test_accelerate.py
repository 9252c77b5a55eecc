"""Stock models on Rowlane's kernels."""

import torch
import transformers

import rowlane


def train(steps=20):
    """The losses of a small BERT, made from a configuration: nothing is downloaded."""
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=500, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=32, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0)
    model = transformers.BertForMaskedLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    losses = []
    for _ in range(steps):
        tokens = torch.randint(1, 500, (4, 16))
        loss = model(input_ids=tokens, labels=tokens).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def calls(profile, op):
    return sum(event.count for event in profile.key_averages() if event.key == op)


def test_bert_has_the_same_losses():
    stock = train()
    with rowlane.accelerate(), torch.profiler.profile() as profile:
        accelerated = train()
    torch.testing.assert_close(accelerated, stock, rtol=1e-5, atol=1e-6)
    assert stock[-1] < stock[0]
    # Words, positions and token types in each step.
    assert calls(profile, "rowlane::embedding_backward") == 3 * 20
    with torch.profiler.profile() as profile:
        train(1)
    assert calls(profile, "rowlane::embedding_backward") == 0
