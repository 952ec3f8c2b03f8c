"""A session without a dealer: correlations from the parties' stores, each dealing for one session only."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np

from mpc import identity, prg
from mpc.errors import IntegrityError, PreprocessingExhausted, ProgramMismatch
from mpc.fixed_point import Words
from mpc.party import Party
from mpc.preprocessing import requests, sealing
from mpc.preprocessing.base import AnyCorrelation
from mpc.preprocessing.client import Client
from mpc.preprocessing.reading import Reader
from mpc.preprocessing.store import Store
from mpc.transport import frames
from mpc.transport.frames import HEADER_WORDS, Kind

SUFFIX: Final = ".store"
_WORDS: Final = 5  # store's common digest (2), plan's digest (2), dealings used up


def name_of(rank: int) -> str:
    """What files of a rank without a name are called."""
    return f"rank-{rank}"


def open_store(path: str, party: Party, secret_key: str | None) -> Store:
    """The store of ``party`` at ``path``: a file, or a directory with one file for each rank or name.

    ``secret_key``: of the party where it has one; otherwise it lies beside the store, as `mpc preprocess` left it.
    """
    names = party.config.names
    name = names[party.rank] if names else name_of(party.rank)
    place = Path(path)
    file = place / (name + SUFFIX) if place.is_dir() else place
    if secret_key is None:
        secret_key = identity.load(file.with_suffix(".key")).secret_key
    keys = party.config.public_keys
    return Store(file, secret_key, sealing.public_bytes(keys[-1]) if len(keys) > party.world_size else None)


class Stored(Client):
    """A `Source` that reads one dealing of a store, chosen with the other parties, and checks requests against the plan.

    The dealing is used up, durably and at every party, before this returns. Raises IntegrityError when the parties' stores
    do not belong together, PreprocessingExhausted when none is left.
    """

    def __init__(self, party: Party, store: Store) -> None:
        super().__init__(party)
        self._store = store
        self._plan = store.plan
        self._asked = 0
        self._reader: Reader | None = None
        try:
            store.check(party.rank, party.config)
            self._number = self._agree()
            store.use(self._number + 1)
            party.post(Kind.STORE, 0, frames.new(0), ()).wait()  # nobody opens anything before all have noted it
            secret, records = store.take(self._number)
            self._reader = Reader(store, self._number, records)
        except BaseException:
            self.close()
            raise
        party.dealt = prg.derive(secret, "dealt")
        party.network = self._plan.network
        party.manual_seed(self._plan.seed)

    def _agree(self) -> int:
        """The number of the dealing to use: the first that no party has used. One round, no operation number."""
        party, header = self.party, self._store.header
        frame = frames.new(_WORDS)
        mine = header.common() + header.plan + self._store.used.to_bytes(8, "little")
        frame[HEADER_WORDS:] = np.frombuffer(mine, np.uint64)
        party.note(Kind.STORE.name)
        got = [words.tobytes() for words in party.post(Kind.STORE, 0, frame, (_WORDS,)).wait()]
        others = [rank for rank, said in enumerate(got) if said[:32] != mine[:32]]
        if others:
            raise IntegrityError(
                f"the stores do not belong together: {self._store.path} is of production {header.store.hex()[:12]}, "
                f"{' and '.join(map(party.config.name, others))} brought another: give every party its file of one "
                "`mpc preprocess`"
            )
        number = max(int.from_bytes(said[32:], "little") for said in got)
        if number >= header.runs:
            raise PreprocessingExhausted(
                f"1 dealing is missing: all {header.runs} of {self._store.path} are used up "
                f"({self._store.used} by this party's own count); make more with `mpc preprocess`"
            )
        return number

    def _request(self, correlations: Sequence[AnyCorrelation]) -> None:
        planned = self._plan.requests
        where = f"party {self.party.rank}, request {self._asked + 1}: the program asks for {requests.describe(correlations)}"
        if self._asked == len(planned):
            left = self._store.header.runs - self._number - 1
            raise PreprocessingExhausted(
                f"{where}, {8 * requests.answer_words(correlations)} bytes that are missing: the plan of {self._store.path} "
                f"ends after {len(planned)} requests of {self._plan.correction_bytes} bytes ({left} more dealings of that "
                "size are left): run `mpc preprocess` for this program, with the same arguments and shapes"
            )
        if requests.encode(correlations) != planned[self._asked]:
            raise ProgramMismatch(
                f"{where}; the plan of {self._store.path} has {requests.describe(requests.decode(planned[self._asked]))} "
                "there. The store was made for another program, other shapes or arguments, or the program branches on "
                "revealed values: run `mpc preprocess` for this one"
            )
        self._asked += 1

    def _receive(self, op: int, number: int, words: int) -> Words:
        assert self._reader is not None
        started = perf_counter()
        out = np.empty(words, np.uint64)
        self._reader.into(out.view(np.uint8).data)
        self.party.books.account.row.dealer_wait += perf_counter() - started
        return out

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._store.close()
