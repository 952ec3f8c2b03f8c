"""Flower (flwr 1.41) with aggregation that nobody sees into: a mod for the ClientApp, a strategy for the ServerApp."""
