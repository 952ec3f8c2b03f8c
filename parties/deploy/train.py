"""Patients of several sites, one network: each site reads its own file, and nobody learns anything but the accuracy.

    mpc run --config run.toml --as hospital --checkpoint checkpoints train.py patients.csv

A file has one line per patient: numbers of the same columns at all sites, the diagnosis (0 or 1) last. Keep columns within
a few units: years, not days; otherwise `mpc.data.StandardScaler`.
"""
import sys

import mpc

table = mpc.data.read_csv(sys.argv[1])  # stays here
columns, diagnosis = table.names[:-1], table.names[-1:]

with mpc.session() as s:
    mpc.manual_seed(0)  # public: initial weights and shuffles
    x, y = mpc.data.by_rows(table[columns], table[diagnosis])  # public: how many rows and columns each site has
    model = mpc.nn.Sequential(mpc.nn.Linear(len(columns), 16), mpc.nn.ReLU(), mpc.nn.Linear(16, 1))
    optimizer = mpc.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    for xb, yb in mpc.data.batches(x, y, size=50, epochs=10, checkpoint=[model, optimizer]):
        loss = mpc.nn.functional.binary_cross_entropy_with_logits(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    with mpc.no_grad():
        right = ((model(x) > 0) == y).mean().reveal(reason="accuracy on the sites' own patients")
    print(f"party {s.rank}: accuracy {right:.2f} on {len(x)} patients")
    mpc.save(model, "model.shares")  # this party's shares of the model, in the working directory
