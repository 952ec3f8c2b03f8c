"""What parties decode in threads of one process is prepared at import: msgspec 0.22 crashes where several threads meet a type
for the first time (the second one uses what the first has half made)."""
from __future__ import annotations

import subprocess
import sys

# In a fresh interpreter, whose types nobody has used: a type is prepared by Python code, which a profiler sees.
PROGRAM = """
import contextlib, sys
from functools import partial
from mpc.federated import messages, secret
from mpc.federated.aggregators import paillier_session
from mpc.interop import architecture
from mpc.preprocessing import plan
from mpc.saving import files

def calls(decode):
    seen = []
    sys.setprofile(lambda frame, event, arg: seen.append(frame.f_code.co_name) if event == "call" else None)
    with contextlib.suppress(Exception):
        decode(b"x")
    sys.setprofile(None)
    return seen

for decode in (architecture.decode, partial(plan.decode, where="here"), messages.header_of):
    assert "get_class_annotations" not in calls(decode), decode
for module in (architecture, plan, messages, files, secret, paillier_session):
    assert "get_class_annotations" not in calls(module._DECODER.decode), module

import msgspec
class New(msgspec.Struct):
    x: int
assert "get_class_annotations" in calls(lambda data: msgspec.msgpack.decode(data, type=New)), "the test sees nothing"
"""


def test_no_type_is_prepared_at_its_first_use() -> None:
    done = subprocess.run([sys.executable, "-P", "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
