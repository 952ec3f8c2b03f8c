"""The batched proof of equal exponents: it accepts what is right and nothing else."""
from __future__ import annotations

import gmpy2
import pytest
from gmpy2 import mpz

from mpc.errors import IntegrityError
from mpc.paillier import proofs
from mpc.paillier.noise import random_below
from tests.paillier.safe_primes import OTHER

N = mpz(OTHER[0]) * OTHER[1]
MODULUS, BITS = N * N, int(N.bit_length())
W = random_below(N * N)


def square() -> mpz:
    return random_below(MODULUS) ** 2 % MODULUS


def statement(count: int) -> tuple[mpz, mpz, list[mpz], list[mpz]]:
    v, bases = square(), [square() for _ in range(count)]
    return v, gmpy2.powmod(v, W, MODULUS), bases, [gmpy2.powmod(x, W, MODULUS) for x in bases]


def accepted(proof: proofs.Proof, context: bytes, v: mpz, v_power: mpz, bases: list[mpz], powers: list[mpz]) -> bool:
    return proofs.holds(proof, context, MODULUS, v, v_power, bases, powers, BITS)


def made(context: bytes, v: mpz, v_power: mpz, bases: list[mpz], powers: list[mpz]) -> proofs.Proof:
    return proofs.prove(context, MODULUS, v, v_power, bases, powers, W, BITS)


@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_a_right_proof_is_accepted(count: int) -> None:
    given = statement(count)
    assert accepted(made(b"here", *given), b"here", *given)


def test_one_wrong_power_among_many_is_refused_wherever_it_is() -> None:
    v, v_power, bases, powers = statement(40)
    for place in (0, 17, 39):
        for wrong in (powers[place] * bases[0] % MODULUS, powers[place - 1], mpz(1), powers[place] * (1 + N) % MODULUS):
            forged = list(powers)
            forged[place] = wrong
            assert not accepted(made(b"", v, v_power, bases, forged), b"", v, v_power, bases, forged)
    assert accepted(made(b"", v, v_power, bases, powers), b"", v, v_power, bases, powers)


def test_errors_that_cancel_in_a_plain_product_are_found() -> None:
    v, v_power, bases, powers = statement(2)
    error = square()
    forged = [powers[0] * error % MODULUS, powers[1] * gmpy2.invert(error, MODULUS) % MODULUS]
    assert forged[0] * forged[1] % MODULUS == powers[0] * powers[1] % MODULUS
    assert not accepted(made(b"", v, v_power, bases, forged), b"", v, v_power, bases, forged)


def test_another_exponent_than_the_verification_keys_is_refused() -> None:
    v, v_power, bases, _ = statement(3)
    other = [gmpy2.powmod(x, W + 1, MODULUS) for x in bases]
    for w in (W, W + 1):
        proof = proofs.prove(b"", MODULUS, v, v_power, bases, other, w, BITS)
        assert not accepted(proof, b"", v, v_power, bases, other)


def test_a_proof_belongs_to_its_whole_statement() -> None:
    v, v_power, bases, powers = statement(3)
    proof = made(b"a", v, v_power, bases, powers)
    assert accepted(proof, b"a", v, v_power, bases, powers)
    assert not accepted(proof, b"b", v, v_power, bases, powers)
    assert not accepted(proof, b"a", v, v_power, bases[::-1], powers[::-1])
    assert not accepted(proof, b"a", v, v_power, bases[:2], powers[:2])
    assert not accepted(proof, b"a", *statement(3))
    assert not accepted(proof._replace(z=proof.z + 1), b"a", v, v_power, bases, powers)
    assert not accepted(proof._replace(e=proof.e ^ 1), b"a", v, v_power, bases, powers)
    assert not accepted(proofs.Proof(-1, proof.z), b"a", v, v_power, bases, powers)
    assert not accepted(proofs.Proof(proof.e, -proof.z), b"a", v, v_power, bases, powers)


def test_a_power_that_is_no_unit_is_refused_without_an_exception() -> None:
    v, v_power, bases, powers = statement(2)
    proof = made(b"", v, v_power, bases, powers)
    assert not accepted(proof, b"", v, v_power, bases, [mpz(OTHER[0]), powers[1]])
    assert not accepted(proof, b"", v, v_power, bases, [mpz(0), powers[1]])


def test_bytes_come_back_and_other_lengths_do_not() -> None:
    proof = made(b"", *statement(1))
    data = proof.to_bytes(BITS)
    assert len(data) == proofs.proof_bytes(BITS)
    assert proofs.from_bytes(data, BITS) == proof
    for wrong in (data[:-1], data + b"\0", b""):
        with pytest.raises(IntegrityError, match="bytes; want"):
            proofs.from_bytes(wrong, BITS)


def test_answers_are_spread_over_their_whole_range() -> None:
    """An answer's high bits come from r alone, which hides the exponent."""
    given = statement(1)
    answers = [made(b"", *given).z for _ in range(40)]
    top = 8 * (proofs.answer_bytes(BITS) - 1)
    ones = sum((z >> (top - 2)) & 1 for z in answers)
    assert len(set(answers)) == 40 and 5 <= ones <= 35  # a fair coin is outside once in 10^6


def test_product_is_the_product_of_powers() -> None:
    bases = [square() for _ in range(5)]
    exponents = [bytes(16), b"\1" + bytes(15), bytes(15) + b"\xff", b"\xff" * 16, bytes(range(16))]
    want = mpz(1)
    for base, exponent in zip(bases, exponents, strict=True):
        want = want * gmpy2.powmod(base, int.from_bytes(exponent, "little"), MODULUS) % MODULUS
    assert proofs.product(bases, exponents, MODULUS) == want
