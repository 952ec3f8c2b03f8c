"""Paillier encryption: vectors that can be added and scaled unseen, with a key that nobody holds alone.

::

    public, private = generate_keypair()
    layout = Layout(bound=1.0, frac_bits=24, addends=10)
    total = EncryptedVector.sum(public.encrypt(update, layout) for update in updates)
    private.decrypt(total)
"""
from mpc.paillier.conversion import from_shares, to_shares
from mpc.paillier.dealing import deal
from mpc.paillier.keyfile import load_private_key, write_private_key
from mpc.paillier.keys import PrivateKey, PublicKey, generate_keypair
from mpc.paillier.noise import Noise
from mpc.paillier.packing import DEFAULT, Layout, mask_bits_for
from mpc.paillier.serial import from_bytes, public_key_from_bytes, public_key_to_bytes, to_bytes
from mpc.paillier.share_file import load_key_share, write_key_share
from mpc.paillier.threshold import KeyShare, PartialDecryption, ThresholdKey
from mpc.paillier.vector import EncryptedVector

__all__ = [
    "DEFAULT",
    "EncryptedVector",
    "KeyShare",
    "Layout",
    "Noise",
    "PartialDecryption",
    "PrivateKey",
    "PublicKey",
    "ThresholdKey",
    "deal",
    "from_bytes",
    "from_shares",
    "generate_keypair",
    "load_key_share",
    "load_private_key",
    "mask_bits_for",
    "public_key_from_bytes",
    "public_key_to_bytes",
    "to_bytes",
    "to_shares",
    "write_key_share",
    "write_private_key",
]
