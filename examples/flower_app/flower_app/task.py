"""Model, records and local training: what a data owner replaces by its own."""
import numpy as np
import torch

FEATURES, CLASSES = 20, 4
torch.set_num_threads(1)  # owners share this machine


def make_model() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return torch.nn.Sequential(torch.nn.Linear(FEATURES, 16), torch.nn.ReLU(), torch.nn.Linear(16, CLASSES))


def load_records(owner: int) -> tuple[torch.Tensor, torch.Tensor]:
    """This owner's records (made up here; a file of its own in earnest). Owners differ in size and in how often a class is."""
    centres = np.random.default_rng(0).normal(size=(CLASSES, FEATURES))
    rng = np.random.default_rng(100 + owner)
    y = rng.choice(CLASSES, size=200 + 40 * owner, p=rng.dirichlet(np.ones(CLASSES)))
    x = centres[y] + rng.normal(scale=1.5, size=(len(y), FEATURES))
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


def train(model: torch.nn.Module, owner: int, epochs: int, lr: float, max_norm: float) -> tuple[int, float]:
    """Local epochs of SGD; the change is scaled down to ``max_norm``. Gives the number of records and the last loss."""
    x, y = load_records(owner)
    before = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    order = torch.Generator().manual_seed(owner)
    for _ in range(epochs):
        for rows in torch.randperm(len(y), generator=order).split(32):
            loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    change = torch.nn.utils.parameters_to_vector(model.parameters()).detach() - before
    change *= min(1.0, max_norm / float(change.norm()))
    torch.nn.utils.vector_to_parameters(before + change, model.parameters())
    return len(y), loss.item()


def accuracy(model: torch.nn.Module, owner: int) -> tuple[int, float]:
    x, y = load_records(owner)
    with torch.no_grad():
        return len(y), float((model(x).argmax(1) == y).float().mean())
