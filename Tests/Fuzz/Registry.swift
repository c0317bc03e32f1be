// One libFuzzer program for all parsers; the environment variable MESHNET_FUZZ_TARGET picks one, `list` prints their names.
// Built and run by scripts/fuzz.sh. A property that does not hold is a `precondition`: the fuzzer reports it like a crash.

import Glibc

struct FuzzTarget: Sendable {
    let name: String
    let run: @Sendable (UnsafeRawBufferPointer) -> Void
}

let everyTarget: [FuzzTarget] =
    wireTargets + identityTargets + addressTargets + handshakeTargets + muxerTargets + gossipsubTargets + mdnsTargets + peerExchangeTargets
    + retainedTargets + messageTargets

/// Crashes on purpose, to show that crashes are seen. Not in the list.
private let canary = FuzzTarget(name: "canary") { bytes in
    if bytes.count > 2, bytes[0] == 0x73, bytes[1] == 0x69 { precondition(bytes[2] != 0x6e, "the canary sings") }
}

private let chosen: FuzzTarget = {
    let name = getenv("MESHNET_FUZZ_TARGET").map { String(cString: $0) } ?? ""
    if name == "list" {
        for target in everyTarget { print(target.name) }
        exit(0)
    }
    guard let target = (everyTarget + [canary]).first(where: { $0.name == name }) else {
        print("MESHNET_FUZZ_TARGET must be one of:", everyTarget.map(\.name).joined(separator: " "))
        exit(2)
    }
    return target
}()

@_cdecl("LLVMFuzzerInitialize")
public func initializeFuzzer(_ count: UnsafeMutablePointer<Int32>, _ arguments: UnsafeMutableRawPointer) -> Int32 {
    _ = chosen
    return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    chosen.run(UnsafeRawBufferPointer(start: bytes, count: count))
    return 0
}
