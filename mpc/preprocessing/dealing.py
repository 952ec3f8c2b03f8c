"""What the dealer computes: from all parties' keys and a request, the masks behind names and the corrections as frames.

No transport: `mpc.preprocessing.dealer` sends the frames, `mpc.preprocessing.production` stores them.
"""
from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from mpc import masks, prg, ring
from mpc.errors import CorruptFrame, MPCError, PreprocessingExhausted
from mpc.fixed_point import Words
from mpc.masks import Mask, Name
from mpc.preprocessing import limits, requests
from mpc.preprocessing.base import AnyCorrelation
from mpc.transport import frames
from mpc.transport.base import Frame
from mpc.transport.frames import HEADER_BYTES, HEADER_WORDS, Kind

CACHE_BYTES = 1 << 26  # expanded masks the dealer keeps for names that come again; more would only cost fresh pages
CACHE_NUMBERS = 1 << 12  # operations after which a mask that nothing named is dropped: a training's old ones would pile up
_ONE, _TOP = np.uint64(1), np.uint64(63)


class KeyedDealing:
    """The dealer's side of one session, or of one run of a plan: every operation number is dealt once.

    ``keys``: the parties' dealt keys by rank. ``limit``: bytes that one request may need.
    """

    def __init__(self, keys: Sequence[bytes], limit: int = limits.DEFAULT_LIMIT) -> None:
        self.receiver = len(keys) - 1
        self.keys = b"".join(keys)
        self.others = b"".join(keys[:-1])
        self._limit = limit
        self._last = 0
        self._cache: OrderedDict[tuple[int, int, int], tuple[Words, int]] = OrderedDict()  # and the last use's number
        self._cached = 0
        self._r: tuple[Name, Words] | None = None
        self._cut: tuple[int, Words, Words] | None = None

    # --- what correlations are made of
    def total(self, name: Name) -> Words:
        """The mask behind a name, summed over all parties. Callers do not write to it."""
        return masks.evaluate(name, self._expand, self._rows)

    def r(self, name: Name) -> Words:
        """-A, flat; kept for the next correlation on the same opening."""
        if self._r is None or self._r[0] != name:
            self._r = (name, np.negative(np.ascontiguousarray(self.total(name)).reshape(-1)))
            self._cut = None
        return self._r[1]

    def cut(self, name: Name, bits: int) -> tuple[Words, Words]:
        """(r mod 2^63) >> bits and r >> 63; kept like r."""
        r = self.r(name)
        if self._cut is None or self._cut[0] != bits:
            self._cut = (bits, (r << _ONE) >> np.uint64(bits + 1), r >> _TOP)
        return self._cut[1:]

    def _rows(self, mask: Mask, rows: npt.NDArray[np.int64]) -> Words | None:
        """Some rows of a mask that is too large to keep: a batch of a data set. None where expanding it all is right."""
        if math.prod(mask.shape) * 8 <= CACHE_BYTES // 4:
            return None
        out = np.empty((rows.size, *mask.shape[1:]), np.uint64)
        width = math.prod(mask.shape[1:])
        ring.streams_rows(self._keys_of(mask), mask.op, mask.tensor, rows, width, out.reshape(-1), prg.SET)
        return out

    def _keys_of(self, mask: Mask) -> bytes:
        """The keys whose streams add up to a mask: everybody's, or its owner's alone."""
        if mask.owner < 0:
            return self.keys
        if mask.owner > self.receiver:
            raise CorruptFrame(f"a mask of party {mask.owner}; want a rank up to {self.receiver}")
        return self.keys[mask.owner * ring.KEY_BYTES : (mask.owner + 1) * ring.KEY_BYTES]

    def _expand(self, mask: Mask) -> Words:
        key = (mask.op, mask.tensor, mask.owner)
        words, _ = self._cache.pop(key, (None, 0))
        if words is not None:
            self._cached -= words.nbytes
        if words is None or words.shape != tuple(mask.shape):
            size = math.prod(mask.shape)
            words = prg.words(self._keys_of(mask), mask.op, mask.tensor, size).reshape(mask.shape)
        self._cache[key] = words, self._last
        self._cached += words.nbytes
        while True:
            oldest, (kept, used) = next(iter(self._cache.items()))
            if oldest == key or (self._cached <= CACHE_BYTES and used >= self._last - CACHE_NUMBERS):
                return words
            del self._cache[oldest]
            self._cached -= kept.nbytes

    # --- requests
    def answer(self, body: Frame) -> Iterator[Words]:
        """The frames of one request's corrections, each computed when it is asked for.

        Raises CorruptFrame for what cannot be dealt or needs too much, PreprocessingExhausted for a number that was dealt.
        """
        correlations = requests.decode(body)
        self._consume(correlations)
        limits.check(correlations, self._limit, CACHE_BYTES // 4)
        return self._deal(correlations)

    def _consume(self, correlations: Sequence[AnyCorrelation]) -> None:
        """Operation numbers are new and rising, and used up before the first byte leaves."""
        last = self._last
        for c in correlations:
            if c.op <= last:
                raise PreprocessingExhausted(f"operation {c.op} was dealt already (the last one was {last})")
            last = c.op
        self._last = last

    def _deal(self, correlations: Sequence[AnyCorrelation]) -> Iterator[Words]:
        op = correlations[0].op
        try:
            for number, wanted in enumerate(requests.frame_sizes([c.parts() for c in correlations])):
                frame = frames.new(sum(words for _, _, words in wanted))
                at = HEADER_WORDS
                for i, k, words in wanted:
                    correlations[i].deal(self, k, frame[at : at + words])
                    at += words
                nbytes = frame.nbytes - HEADER_BYTES
                frames.seal(frame, frames.pack(Kind.CORRECTION, op, nbytes, bytes(16), flags=number))
                yield frame
        except MPCError:
            raise
        except Exception as error:
            raise CorruptFrame(f"a request that cannot be dealt: {error}") from error
