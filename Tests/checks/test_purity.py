"""The protocol machines and the swarm import no clock, socket, thread, file or entropy: all of that comes in as a value."""

from __future__ import annotations

import re

import pytest

from conftest import ROOT, run

MODULES = ["MeshNetProtocol", "MeshNetSwarm"]

# Named so that a failure says what is wrong. Whatever else is imported must be on the list of what is allowed.
DENIED = {
    "a clock": r"clock_\w+|gettimeofday|time|times|nanosleep|usleep|sleep|timer\w*|\$ss15ContinuousClockV.*|\$ss15SuspendingClockV.*|swift_get_time",
    "a socket": r"socket\w*|connect|bind|listen|accept4?|send\w*|recv\w*|[gs]etsockopt|epoll_\w+|poll|ppoll|select|getaddrinfo|ares_\w+",
    "a thread": r"pthread_\w+|dispatch_\w+|swift_task_\w+|swift_async\w*|swift_continuation\w*|futex|fork|vfork",
    "entropy": r"getrandom|getentropy|randombytes\w*|arc4random\w*|rand|rand_r|random|s?rand48|RAND_\w+|swift_stdlib_random|\w*_keygen"
    r"|crypto_(?:sign|box|kx)_keypair|\$ss27SystemRandomNumberGeneratorV.*",
    "files or output": r"f?open(?:at)?|f?read|f?write|readv|writev|close|ioctl|fcntl|printf|puts|fputs|syslog|stdout|stderr|\$ss5print_.*|getenv|environ",
    "Foundation": r"\$s10Foundation.*|\$s20FoundationEssentials.*",
}

# C functions that compute from their arguments alone, and the runtime of the language.
ALLOWED = re.compile(
    r"\$s.*|_?swift\w+|__swift_\w+|_\$s.*|symbolic .*"
    r"|mem(?:cpy|move|set|cmp|chr)|str(?:len|cmp|ncmp)|malloc|malloc_usable_size|calloc|realloc|free|posix_memalign|(?:explicit_)?bzero|bcmp"
    r"|sodium_(?:memzero|memcmp|malloc|free|bin2hex|hex2bin)"
    r"|crypto_(?:hash|shorthash|pwhash|auth|sign|scalarmult|stream|core|aead|onetimeauth|verify)\w*"
    r"|(?:EVP|OSSL|OPENSSL|CRYPTO|ERR|BN|EC|ECDSA|RSA|X509|ASN1|OBJ|d2i|i2d|o2i|i2o)_\w+"
    r"|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__tls_get_addr|__bswap\w*|__udivti3|__umodti3|__multi3"
)


def imports(module: str) -> set[str]:
    """Symbols that the object files of a module do not define themselves. An object without its source is left over: not counted."""
    folder = ROOT / ".build" / "debug" / f"{module}.build"
    sources = {path.stem for path in (ROOT / "Sources" / module).rglob("*.swift")}
    objects = sorted(path for path in folder.glob("*.swift.o") if path.name.removesuffix(".swift.o") in sources)
    assert {path.name.removesuffix(".swift.o") for path in objects} == sources
    return {line.split(maxsplit=1)[1].split("@")[0] for line in run("nm", "-u", *map(str, objects)).splitlines() if line.lstrip().startswith(("U ", "w "))}


@pytest.fixture(scope="session")
def built() -> None:
    for module in MODULES:
        run("swift", "build", "--target", module)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("what", DENIED)
def test_sans_io_module_imports_no(what: str, module: str, built: None) -> None:
    assert sorted(name for name in imports(module) if re.fullmatch(DENIED[what], name)) == []


@pytest.mark.parametrize("module", MODULES)
def test_sans_io_module_imports_nothing_unknown(module: str, built: None) -> None:
    # A symbol that shows up here and only computes may be added to ALLOWED.
    assert sorted(name for name in imports(module) if not ALLOWED.fullmatch(name)) == []


def test_the_check_sees_imports(built: None) -> None:
    """The platform module does all of this; if nothing of it is seen, the test above is blind."""
    run("swift", "build", "--target", "MeshNetSystem")
    seen = imports("MeshNetSystem")
    assert {what for what, pattern in DENIED.items() if any(re.fullmatch(pattern, name) for name in seen)} >= {"a clock", "a socket", "entropy"}
