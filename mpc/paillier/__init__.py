"""Paillier encryption: vectors that can be added and scaled unseen, with a key that nobody holds alone."""
