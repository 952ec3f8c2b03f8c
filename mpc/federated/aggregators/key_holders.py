"""Who decrypts the sum: the owner of a private key, or the holders of a shared one. Never the server that adds.

They see ciphertexts of sums and what they decrypt. How many contributions a sum has is the server's word: a server that
gives a single client's message to the key's holders as a sum of many, or a holder that gets at the clients'
messages, sees that client's update. Both must follow the protocol and not work together.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mpc.errors import ConfigError
from mpc.federated.aggregators.base import TooFewContributors
from mpc.federated.weights import Floats
from mpc.paillier.keys import PrivateKey, PublicKey
from mpc.paillier.threshold import KeyShare, PartialDecryption
from mpc.paillier.vector import EncryptedVector


class Holder(Protocol):
    """Whoever can decrypt; somewhere else than the server, in earnest."""

    @property
    def public_key(self) -> PublicKey: ...

    def decrypt(self, vector: EncryptedVector, context: bytes) -> Floats:
        """The values of a sum. ``context``: which training and round it is for."""


class KeyOwner:
    """One that holds the whole key and decrypts sums of at least ``min_clients`` contributions, by the server's count.

    Learns: every sum that it decrypts. Could decrypt any single message, if one came its way.
    """

    def __init__(self, private_key: PrivateKey, min_clients: int = 2) -> None:
        self._private_key, self.min_clients = private_key, min_clients

    @property
    def public_key(self) -> PublicKey:
        return self._private_key.public_key

    def decrypt(self, vector: EncryptedVector, context: bytes) -> Floats:
        """Raises TooFewContributors, and what `PrivateKey.decrypt` raises."""
        allowed(vector, self.min_clients)
        return self._private_key.decrypt(vector)

    def __repr__(self) -> str:
        return f"KeyOwner({self.public_key!r}, min_clients={self.min_clients})"


class SharedKeyHolders:
    """Several that hold a shared key: any ``threshold`` of them decrypt together, fewer learn nothing.

    Each refuses sums of fewer than ``min_clients`` contributions. A forged partial decryption is left out, with its holder's
    rank in ``forged``, as long as ``threshold`` others are right.
    """

    def __init__(self, shares: Sequence[KeyShare], min_clients: int = 2) -> None:
        if not shares or any(share.key != shares[0].key for share in shares):
            raise ConfigError("got no key shares, or shares of different keys; want those of one dealing")
        if len(shares) < shares[0].key.threshold:
            raise ConfigError(f"got {len(shares)} key shares; want at least the key's threshold of {shares[0].key.threshold}")
        self._shares, self.min_clients = tuple(shares), min_clients
        self.forged: set[int] = set()

    @property
    def public_key(self) -> PublicKey:
        return self._shares[0].public_key

    def decrypt(self, vector: EncryptedVector, context: bytes) -> Floats:
        """Raises TooFewContributors; IntegrityError naming who forged, where fewer than ``threshold`` are right."""
        allowed(vector, self.min_clients)
        key = self._shares[0].key
        good: list[PartialDecryption] = []
        for share in self._shares:
            if len(good) == key.threshold:
                break
            if share.rank in self.forged:
                continue
            partial = self.partial(share, vector, context)
            if key.accepts(vector.ciphertexts, partial, context):
                good.append(partial)
            else:
                self.forged.add(share.rank)
        if len(good) < key.threshold:
            raise key.refusal(sorted(self.forged))
        return key.combine(vector, good, context)

    def partial(self, share: KeyShare, vector: EncryptedVector, context: bytes) -> PartialDecryption:
        """What one holder sends. In the local run its share is here; elsewhere a message would be waited for."""
        return share.partial_decrypt(vector, context)

    def __repr__(self) -> str:
        return f"SharedKeyHolders({self._shares[0].key!r}, {len(self._shares)} here, min_clients={self.min_clients})"


def allowed(vector: EncryptedVector, min_clients: int) -> None:
    """Raise TooFewContributors for a sum of too few."""
    if vector.addends < min_clients:
        raise TooFewContributors(f"asked to decrypt a sum of {vector.addends} contributions; want at least {min_clients}")


def holder(of: Holder | PrivateKey | Sequence[KeyShare] | None, min_clients: int) -> Holder | None:
    """A holder from a private key or key shares, or as it is. Raises ConfigError."""
    if isinstance(of, PrivateKey):
        return KeyOwner(of, min_clients)
    if isinstance(of, Sequence) and all(isinstance(share, KeyShare) for share in of):
        return SharedKeyHolders(of, min_clients)
    if of is None or (hasattr(of, "public_key") and hasattr(of, "decrypt")):
        return of
    raise ConfigError(f"got holder={type(of).__name__}; want a PrivateKey, a list of KeyShares, or an object with decrypt()")


