"""Federated learning: clients train where their data are; updates are combined where nobody sees one alone."""
