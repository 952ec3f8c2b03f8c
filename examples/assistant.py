"""An assistant at home learns from many people's days; what leaves a home is redacted, anonymised, added up, and audited.

    python examples/assistant.py

Utterances are put together from a few phrases. On real records, `python examples/assistant.py --data DIR` takes SLURP's
utterances (assistant/slurp/devel.jsonl) and MotionSense's activities (assistant/motionsense/motionsense_windows128.npz).
"""
import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from torch import nn, set_num_threads

from mpc import federated
from mpc.privacy import AdversarialEncoder, audit, masking

WISHES = {
    "music": ["play some jazz", "play the song that {} likes", "turn the music up", "skip this track"],
    "calendar": ["put dinner with {} on my calendar", "cancel the meeting with {}", "what is on today", "move the lunch"],
    "messages": ["send an email to {} about tomorrow", "read my messages", "tell {} that i am late", "call {} back"],
    "house": ["switch off the lights", "make it warmer in here", "lock the door", "start the vacuum cleaner"],
}
MANNERS = [["could you please {}", "would you kindly {}", "{} if you please"], ["hey {} now", "yo {}", "just {} ok"]]
NAMES = ["john", "maria", "my sister", "uncle", "doctor patel", "my boss", "jane", "carlos", "grandma", "mister smith"]


def days() -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """What 24 people say: sentence, kind of wish (the task), manner of the speaker (private), and who it is."""
    rng, rows = np.random.default_rng(0), []
    for person in range(24):
        for _ in range(40):
            kind = str(rng.choice(list(WISHES)))
            wish = str(rng.choice(WISHES[kind])).format(rng.choice(NAMES))
            rows.append((str(rng.choice(MANNERS[person % 2])).format(wish), kind, person % 2, person))
    texts, task, private, person = zip(*rows, strict=True)
    return list(texts), np.array(task), np.array(private), np.array(person)


def network() -> nn.Module:
    return nn.Linear(DIM, len(kinds))


parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path)
parser.add_argument("--page", type=Path, help="where to keep the audit's page, an .html file")
options = parser.parse_args()
if options.page is not None and not options.page.absolute().parent.is_dir():
    parser.error(f"--page {options.page}: want a file in a directory that exists")
if options.data is not None and not (options.data / "assistant").is_dir():
    parser.error(f"--data {options.data}: want a directory with assistant/slurp and assistant/motionsense in it")
set_num_threads(1)
DIM = 8

# 1. Words: what names a person is replaced at home, before anything else happens. By lists of names alone, which miss many: a
#    masking.text.Tagger trained on marked utterances finds more.
texts, task, private, person = days()
if options.data is not None:
    texts = [json.loads(line)["sentence"] for line in (options.data / "assistant/slurp/devel.jsonl").read_text().splitlines()]
redacted = masking.text.Redactor().redact(texts)
changed = [(before, after) for before, after in zip(texts, redacted, strict=True) if after != before]
print(f"{len(changed)} of {len(texts)} utterances were redacted, for example:")
print("\n".join(f"  {before}  ->  {after}" for before, after in sorted(set(changed))[::37][:3]))

# 2. Features, and a representation that keeps the task and hides the private attribute, learned from volunteers.
if options.data is None:
    x = HashingVectorizer(n_features=128, ngram_range=(1, 2)).transform(redacted).toarray()
else:
    with np.load(options.data / "assistant/motionsense/motionsense_windows128.npz", allow_pickle=False) as file:
        x, task, private, person = (file[name][::3] for name in ("X_feat", "activity", "gender", "subject"))
volunteer = np.isin(person, np.unique(person)[:12])
encoder = AdversarialEncoder(DIM, epochs=15, batch_size=128).fit(x[volunteer], task=task[volunteer], private=private[volunteer])

# 3. The others learn together: each trains on its own representations, nobody sees one person's update.
kinds, label = np.unique(task, return_inverse=True)
clients, test = [], []
for who in np.unique(person[~volunteer]):
    rows = np.flatnonzero(person == who)
    clients.append(federated.Client(encoder.transform(x[rows[::2]]), label[rows[::2]], f"home {who}"))
    test.append(rows[1::2])
rows = np.concatenate(test)
fed = federated.FedAvg(network, aggregator="shares", min_clients=6, epochs=3, lr=0.3, max_norm=8.0, seed=0)
fed.fit(clients, rounds=4, evaluate=(encoder.transform(x[rows]), label[rows]), progress=False)
print(f"\n{fed.history}\n")

# 4. The audit: what could the provider tell from each thing that leaves a home?
hides = audit.attribute_inference(
    encoder, raw=x, private=private, groups=person, task=task, attacker=volunteer, attackers=("logistic", "mlp"), queries=()
)
records = encoder.transform(x[rows])
updates = []
for k in range(12):  # the worst case: an update of one single record
    alone = federated.Client(records[k : k + 1], label[rows[k : k + 1]])
    updates.append(alone.update(network(), fed.training, seed=k))
sealed = [fed.aggregator.client_message(u, 1, client=f"home {k}", round=9) for k, u in enumerate(updates)]
shapes = [(len(kinds), DIM), (len(kinds),)]
owners = [records[k : k + 1] for k in range(12)]
seen = [audit.update_inversion(m, owners, records[50:], shapes=shapes) for m in (updates, sealed)]
report = audit.audit(
    audit.Exposure("representation", hides),
    audit.Exposure("update of one record, to a server", seen[0]),
    audit.Exposure("the same, to secure aggregation", seen[1]),
    title="What a home tells its assistant's provider",
)
print(report)
print(f"accuracy of the task with features, then with the representation: {' '.join(map(str, hides.task_accuracy))}")
with tempfile.TemporaryDirectory() as temporary:
    page = options.page or Path(temporary) / "audit.html"
    report.to_html(page)
    print(f"the page has {page.stat().st_size / 1000:.0f} kB:", options.page or "keep it with --page FILE.html")
