"""Functions on shares, built on a protocol's kernels: the same for every protocol (protocols.md, section 7)."""
