"""``mpc.save`` and ``mpc.load``: what all parties do together around one file each (protocols.md, section 10).

A file holds this party's shares and public state, never keys, operation numbers, opened forms or mask names. A share in
a file is one summand of a fresh sharing of the value: `save` adds a zero share, so files of different saves, or of a
save and of the session's memory, do not add up to anything. `load` makes new shares that nothing has opened; whatever
is computed with them opens them under masks of the new session, whose keys come from every party's new randomness. So
no mask and no correction serves twice, whatever was done before the interruption.
"""
from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from mpc import party as current_party
from mpc import prg
from mpc.config import VERSION
from mpc.errors import ConfigError, ProgramMismatch
from mpc.exchange import publish
from mpc.fixed_point import Words
from mpc.party import Party
from mpc.saving import files, placing, tree
from mpc.saving.agreement import RECORD_WORDS, Held, Record, choose, last_common, look, unpack
from mpc.sharing import Share
from mpc.transport.frames import Kind

NONCE_BYTES: Final = 32
_NONCE: Final = slice(0, 4)
_DIGEST: Final = slice(4, 6)
_RECORDS: Final = 6


def save(obj: Any, path: str | os.PathLike[str]) -> Path:
    """Write this party's shares of ``obj`` to a file of its own; the path written.

    ``obj``: secret tensors, models, optimisers and whatever else has ``state_dict``, public numbers, strings, bytes and
    NumPy arrays (alike at all parties), in dicts and lists: ``mpc.save({"model": model, "optimizer": opt, "epoch": 3},
    "run.shares")``. The file's name gets the rank, "run.rank0.shares", or has it where the path says "{rank}". All
    parties call it together; each file alone is uniformly random numbers beside the public state and shapes. Under
    ``protocol="clear"``, which hides nothing, it holds the values.

    Mode 0600; written beside, synced, exchanged for the old file once every party's is safe, in one step. The save
    before stays as ``path + ".previous"``. Rounds: 2 small ones, and a truncation for each tensor with a product pending.
    Reveals: nothing. Raises NotSupported for what cannot be saved, ProgramMismatch when public values differ between the
    parties, ConfigError at all of them when one cannot write; the files are then as before.
    """
    party = current_party.current()
    store(party, obj, path)
    return path_of(path, party.rank)


def store(party: Party, obj: Any, path: str | os.PathLike[str], own: bytes = b"") -> bytes:
    """`save`; the save's identifier, random and common to all parties.

    ``own``: what this party alone keeps in its file; nobody compares it.
    """
    target = path_of(path, party.rank)
    with party.scope("save"):
        party.note("save")
        shares: list[Share] = []
        node = tree.flatten(obj, shares)
        words = _fresh(party, shares)
        held = _held(party, target)
        got = publish(party, Kind.SAVED, np.concatenate([
            np.frombuffer(os.urandom(NONCE_BYTES), np.uint64),
            np.frombuffer(_digest(node), np.uint64),
            held[0].record.pack(),
            held[1].record.pack(),
        ]))  # fmt: skip
        if len({g[_DIGEST].tobytes() for g in got}) > 1:
            raise ProgramMismatch("save: the parties save different things. Everything but secret tensors must be alike at "
                                  "all of them: no clocks, no paths, nothing that was revealed to one party alone")
        pairs = [_pair(g[_RECORDS:]) for g in got]
        common = last_common(pairs)
        header = files.Header(
            VERSION, party.world_size, party.rank, party.frac_bits, party.config.protocol,
            prg.combine(*(g[_NONCE].tobytes() for g in got))[: files.ID_BYTES],
            1 + max(r.sequence for pair in pairs for r in pair), node, own,
        )  # fmt: skip
        _replace(party, path, files.encode(header, words), _keeps(held, common))
    return header.save


def load(
    path: str | os.PathLike[str], into: Any = None, *, generation: str = "newest", missing_ok: bool = False
) -> Any:
    """What `save` wrote, from this party's file, in a session with the same parties and settings.

    Returns the saved object: tensors as SecretTensors, everything with a ``state_dict`` as its state dict. ``into``: an
    object with ``load_state_dict``, or a dict that has such objects under keys of the saved dict; they are filled, all
    or none, and stand in the result. ``generation="previous"``: the complete save before the newest. Where a crash came
    between two parties' replacements of their files, the last save that all parties hold is loaded, with a warning.
    ``missing_ok``: None when no party has any file (a first start). Loaded tensors are new: opened under this session's
    masks only. Rounds: 1 small one. Reveals: nothing.

    Raises, the same class at every party: IntegrityError for a damaged file, one of another rank, or files of different
    saves; ConfigError for a missing file, another number of parties, frac_bits, protocol or format version, and an
    ``into`` that does not fit; ShapeError for a model of other shapes.
    """
    if generation not in ("newest", "previous"):
        raise ConfigError(f"load: got generation {generation!r}; want 'newest' or 'previous'")
    party = current_party.current()
    target = path_of(path, party.rank)
    with party.scope("load"):
        found = fetch(party, target, generation, missing_ok, placing.outline(into))
        if found is None:
            if missing_ok:
                return None
            raise ConfigError(f"load: no party has a file there; here there is none at {target}")
        if found.note:
            warnings.warn(f"load: {found.note}; loaded save number {found.header.sequence}", RuntimeWarning, stacklevel=2)
        made = tree.rebuild(found.header.tree, found.words, party)
        return made if into is None else placing.place(found.header.tree, made, into)


class Found(NamedTuple):
    """What all parties load; ``note`` says why it is not the newest save."""

    header: files.Header
    words: Words
    note: str


def fetch(party: Party, target: Path, generation: str, *structure: object) -> Found | None:
    """What the parties agree to load from their files (see `agreement.choose`); None when nobody has any.

    ``structure``: what else must be alike at all of them.
    """
    held = _held(party, target)
    party.note("load", generation, *structure)
    got = publish(party, Kind.SAVED, np.concatenate([h.record.pack() for h in held]))
    choice = choose([_pair(g) for g in got], generation, party.rank, [h.trouble for h in held])
    if choice is None:
        return None
    mine = held[choice.generation[party.rank]]
    assert mine.header is not None and mine.words is not None
    party.note("loaded", mine.header.save, mine.header.common())
    return Found(mine.header, np.zeros_like(mine.words) if party.dry else mine.words, choice.note)


def _held(party: Party, target: Path) -> list[Held]:
    return [look(path, party.rank, party.config) for path in (target, files.previous(target))]


def path_of(path: str | os.PathLike[str], rank: int) -> Path:
    """Where that rank's file is: "{rank}" replaced, or the rank before the last suffix: model.shares -> model.rank0.shares."""
    text = os.fspath(path)
    if "{rank}" in text:
        return Path(text.replace("{rank}", str(rank)))
    whole = Path(text)
    if not whole.name:
        raise ConfigError(f"got path {text!r}; want the name of a file")
    return whole.with_name(f"{whole.stem}.rank{rank}{whole.suffix}")


def _fresh(party: Party, shares: list[Share]) -> Words:
    """All words in order, as summands of a new sharing."""
    flat = [np.asarray(share.words, order="C").reshape(-1) for share in shares]
    words: Words = np.concatenate(flat) if flat else np.empty(0, np.uint64)
    op = party.next_op()
    if party.config.protocol != "clear":  # there every party holds the value itself
        words = words + party.zero_share(op, words.size)
    return words


def _digest(node: tree.Node) -> bytes:
    return prg.combine(msgspec.msgpack.encode(node))[:16]


def _keeps(held: list[Held], common: bytes | None) -> bool:
    """Whether the newest file becomes the previous one: not when it is the rest of an interrupted save and the previous
    file is what all parties share, so that there is always one save that everybody has."""
    newest = held[0].record
    return held[0].header is not None and (common is None or newest.save == common)


def _replace(party: Party, path: str | os.PathLike[str], data: bytes, keep: bool) -> None:
    """Write, hear that everybody has written, then replace."""
    target = path_of(path, party.rank)
    if party.dry:
        publish(party, Kind.SAVED, np.zeros(1, np.uint64))  # as if all had written
        return
    writing: files.Writing | None = None
    trouble = ""
    try:
        try:
            writing = files.Writing(target, data)
        except OSError as error:
            trouble = f"{target}: {error.strerror or error}"
        got = publish(party, Kind.SAVED, np.array([writing is None], np.uint64))
        failed = [rank for rank, g in enumerate(got) if g[0]]
        if failed:
            own = party.rank in failed
            there = trouble if own else f"{path_of(path, failed[0]).name}; its own output says why"
            refusal = ConfigError(f"save: party {party.rank if own else failed[0]} cannot write its file {there}. "
                                  "Nothing was replaced: what was saved before is as it was")
            refusal.echo = None if own else failed[0]
            raise refusal
    except BaseException:
        if writing is not None:
            writing.drop()
        raise
    assert writing is not None
    try:
        writing.finish(keep)
    except OSError as error:
        raise ConfigError(f"save: {target} could not be replaced by {target}.new: {error.strerror or error}") from error


def _pair(words: Words) -> tuple[Record, Record]:
    return unpack(words[:RECORD_WORDS]), unpack(words[RECORD_WORDS : 2 * RECORD_WORDS])
