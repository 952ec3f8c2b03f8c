"""Correlated randomness: what the dealer computes and what each party holds of it."""
