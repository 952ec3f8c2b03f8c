"""How parties exchange frames: bytes and ranks, nothing of what they mean."""
