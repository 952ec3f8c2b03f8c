"""Compiled kernels (`core`) and their numpy twin (`twin`): arrays in, arrays out; no parties, no policy.

Nothing is imported here: `mpc.ring` picks one of the two.
"""
