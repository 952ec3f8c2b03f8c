"""Build: one extension, and the folders beside `mpc/` that install under its name (architecture.md, layout)."""

from glob import glob
from pathlib import Path

from setuptools import Extension, find_packages, setup

MAPPED = {"mpc._native": "native", "mpc.parties": "parties", "mpc.benchmarks": "benchmarks"}


def mapped_packages():
    for name, folder in MAPPED.items():
        if Path(folder, "__init__.py").exists():
            yield name
            yield from (f"{name}.{package}" for package in find_packages(folder))


core = Extension(
    "mpc._native.core",
    ["native/core.pyx", *sorted(glob("native/csrc/*.c"))],
    depends=[*glob("native/*.pxi"), *glob("native/csrc/*.h")],
    extra_compile_args=["-O3", "-std=gnu11", "-ffp-contract=off"],
)

setup(
    packages=[*find_packages(include=["mpc", "mpc.*"]), *mapped_packages()],
    package_dir=MAPPED,
    ext_modules=[core],
)
