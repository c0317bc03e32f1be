// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "meshnet",
    products: [
        .library(name: "MeshNet", targets: ["MeshNet"]),
        .library(name: "meshnet", type: .dynamic, targets: ["MeshNetExports"]),
        .executable(name: "meshnet-cli", targets: ["MeshNetCommand"]),
        .executable(name: "meshnet-counts", targets: ["MeshNetCounts"]),
    ],
    targets: [
        .systemLibrary(name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CSystem", pkgConfig: "libcares", providers: [.apt(["libc-ares-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CJansson", pkgConfig: "jansson", providers: [.apt(["libjansson-dev"])]),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CMeshNet"),
        .systemLibrary(name: "CSalsa20"),

        .target(name: "MeshNetProtocol", dependencies: ["CSodium", "COpenSSL", "CSalsa20"], swiftSettings: settings),
        .target(name: "MeshNetSwarm", dependencies: ["MeshNetProtocol"], swiftSettings: settings),
        .target(
            name: "MeshNetSystem",
            dependencies: ["MeshNetSwarm", "MeshNetProtocol", "CSodium", "COpenSSL", "CSystem", "CCurl", "CJansson", "CSQLite"], swiftSettings: settings),
        .target(name: "MeshNetSimulator", dependencies: ["MeshNetSwarm", "MeshNetProtocol"], swiftSettings: settings),
        .target(name: "MeshNet", dependencies: ["MeshNetSystem", "MeshNetSwarm", "MeshNetProtocol"], swiftSettings: settings),
        .target(name: "MeshNetExports", dependencies: ["MeshNetSystem", "MeshNetSwarm", "MeshNetProtocol", "CMeshNet"],
                exclude: ["meshnet.map"], swiftSettings: settings),
        // Types of these two are part of MeshNet's interface: without naming them, a change of their layout would leave what was built before as it is.
        .executableTarget(name: "MeshNetCommand", dependencies: ["MeshNet", "MeshNetSwarm", "MeshNetProtocol", "CSystem"], swiftSettings: settings),

        .executableTarget(
            name: "MeshNetCounts", dependencies: ["MeshNetSwarm", "MeshNetProtocol", "CAllocationCounter"], path: "bench/counts", swiftSettings: settings),

        .target(name: "CAllocationCounter", path: "Tests/CAllocationCounter"),
        .target(name: "TestSupport", dependencies: ["MeshNetProtocol"], path: "Tests/TestSupport", swiftSettings: settings),
        .testTarget(name: "MeshNetProtocolTests", dependencies: ["MeshNetProtocol", "CSalsa20", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "MeshNetSwarmTests", dependencies: ["MeshNetSwarm", "MeshNetProtocol", "MeshNetSimulator", "TestSupport", "CAllocationCounter"],
            swiftSettings: settings),
        .testTarget(
            name: "MeshNetSystemTests", dependencies: ["MeshNet", "MeshNetSystem", "MeshNetSwarm", "MeshNetProtocol", "CSystem", "TestSupport"],
            swiftSettings: settings),
        .testTarget(name: "MeshNetTests", dependencies: ["MeshNet", "MeshNetSwarm", "MeshNetProtocol", "TestSupport"], swiftSettings: settings),
    ]
)
