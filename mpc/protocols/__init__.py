"""Secure arithmetic on shares, and its plaintext twin."""
