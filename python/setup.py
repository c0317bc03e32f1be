"""Builds the extension module and puts libmeshnet.so.0 beside it.

Works from a checkout only (pip builds in place): the sources of both lie outside this folder, and there is no source distribution.
The library is built by scripts/build-library.sh unless it is there already; MESHNET_LIBRARY names another one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

CHECKOUT = Path(__file__).resolve().parent.parent
HEADER = CHECKOUT / "include" / "meshnet.h"
SOURCES = CHECKOUT / "bindings" / "python"
LIBRARY_NAME = "libmeshnet.so.0"


def library() -> Path:
    """The shared library to carry, built when it is missing."""
    named = os.environ.get("MESHNET_LIBRARY")
    if named:
        return Path(named).resolve(strict=True)
    path = CHECKOUT / ".build" / "lib" / LIBRARY_NAME
    if not path.exists():
        subprocess.run([str(CHECKOUT / "scripts" / "build-library.sh")], cwd=CHECKOUT, check=True)
    return path.resolve(strict=True)


class BuildExtension(build_ext):
    """Links the library by its file name, and lets the module find it in its own folder."""

    def build_extension(self, ext: Extension) -> None:
        if not HEADER.exists():
            raise SystemExit(f"{HEADER} is missing: install from a checkout of the repository, as in `pip install ./python`")
        shared = library()
        ext.extra_link_args += [str(shared), "-Wl,-rpath,$ORIGIN"]
        super().build_extension(ext)
        # A file of its own: what stood there may be in use, or a link.
        target = Path(self.get_ext_fullpath(ext.name)).parent / LIBRARY_NAME
        target.unlink(missing_ok=True)
        shutil.copyfile(shared, target)

    def get_outputs(self) -> list[str]:
        folder = Path(self.get_ext_fullpath("meshnet._meshnet")).parent
        return [*super().get_outputs(), str(folder / LIBRARY_NAME)]


class Wheel(bdist_wheel):
    """One wheel for every CPython from 3.10."""

    def finalize_options(self) -> None:
        self.py_limited_api = "cp310"
        super().finalize_options()


setup(
    ext_modules=[
        Extension(
            "meshnet._meshnet",
            sorted(str(path) for path in SOURCES.glob("*.c")),
            depends=[str(HEADER), str(SOURCES / "module.h")],
            include_dirs=[str(HEADER.parent)],
            define_macros=[("Py_LIMITED_API", "0x030A0000")],
            extra_compile_args=["-std=c11", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden"],
            py_limited_api=True,
        )
    ],
    cmdclass={"build_ext": BuildExtension, "bdist_wheel": Wheel},
)
