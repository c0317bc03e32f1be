import CSystem
import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

/// A system bus and an avahi-daemon in the network namespace of a test, with a /run of their own.
private struct AvahiDaemon {
    static let isInstalled = ["/usr/bin/dbus-daemon", "/usr/sbin/avahi-daemon", "/usr/bin/avahi-browse"].allSatisfy {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    private static let bus = """
        <busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><pidfile>/run/dbus/pid</pidfile><fork/>
        <policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
        <allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
        <allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/></policy>
        </busconfig>
        """
    private static let daemon = "[server]\nhost-name=tester\nuse-ipv4=yes\nuse-ipv6=yes\n[publish]\npublish-hinfo=no\npublish-workstation=no\n"

    /// On the thread of `NetworkNamespace.run`.
    static func run(_ body: (AvahiDaemon) throws -> Void) throws {
        try NetworkNamespace.separateFiles()
        try NetworkNamespace.shell("mount -t tmpfs tmpfs /run && mkdir /run/dbus /run/avahi-daemon")
        try NetworkNamespace.shell("ip link set lo up && ip link add c0 type veth peer name c1 && ip link set c0 up && ip link set c1 up")
        try NetworkNamespace.shell("ip addr add 192.0.2.7/24 dev c0")
        try bus.write(toFile: "/run/bus.conf", atomically: false, encoding: .utf8)
        try daemon.write(toFile: "/run/avahi.conf", atomically: false, encoding: .utf8)
        try NetworkNamespace.shell("dbus-daemon --config-file=/run/bus.conf")
        defer { try? NetworkNamespace.shell("kill -9 $(cat /run/dbus/pid)") }
        let avahi = AvahiDaemon()
        try avahi.start()
        defer { try? avahi.signal("KILL") }
        try body(avahi)
    }

    func start() throws {
        try NetworkNamespace.shell("avahi-daemon --daemonize --file=/run/avahi.conf --no-drop-root --no-chroot --no-rlimits 2>/run/avahi.log")
    }

    func signal(_ name: String) throws { try NetworkNamespace.shell("kill -\(name) $(cat /run/avahi-daemon/pid)") }

    /// What avahi-browse sees now.
    func browse() throws -> String {
        try NetworkNamespace.shell("timeout 20 avahi-browse --terminate --resolve --parsable _p2p._udp >/run/seen 2>/run/browse.log")
        return try String(contentsOfFile: "/run/seen", encoding: .utf8)
    }

    func waitUntilBrowsed(_ text: String, isThere: Bool = true) throws {
        let limit = Instant.now() + TestNode.patience
        while Instant.now() < limit {
            if let seen = try? browse(), seen.contains(text) == isThere { return }
        }
        throw CallError.timedOut
    }
}

extension Event {
    fileprivate var isMissingDaemon: Bool {
        if case .discoverySource(.avahi, .failed(let failure, _)) = self { failure.kind == .notAvailable } else { false }
    }
}

extension SystemTests {
    @Suite(
        .enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.reason),
        .enabled(if: AvahiDaemon.isInstalled && AvahiLibrary.shared != nil, "dbus-daemon, avahi-daemon or avahi-browse is not installed"))
    struct AvahiTests {
        private static func node(_ backend: MDNSBackend = .avahi, _ change: (inout Configuration) -> Void = { _ in }) throws -> TestNode {
            try TestNode {
                $0.listenAddresses = []
                $0.discovery.modes = .mdns
                $0.discovery.mdnsBackend = backend
                change(&$0)
            }
        }

        @Test func nodesMeetThroughTheDaemonAndItsToolsShowThem() throws {
            try NetworkNamespace.run {
                try AvahiDaemon.run { avahi in
                    let a = try Self.node { $0.discovery.appID = "peat" }, b = try Self.node { $0.discovery.appID = "peat" }
                    try a.awaitConnected()
                    try b.awaitConnected()
                    for node in [a, b] { try avahi.waitUntilBrowsed("/ip4/192.0.2.7/tcp/\(node.port)/p2p/\(node.engine.localPeer)") }
                    let seen = try avahi.browse()
                    #expect(seen.contains("app_id=peat"))
                    a.engine.close()
                    b.engine.close()
                    for node in [a, b] { try avahi.waitUntilBrowsed(node.engine.localPeer.description, isThere: false) }
                }
            }
        }

        @Test func aDaemonThatIsRestartedKnowsUsAgain() throws {
            try NetworkNamespace.run {
                try AvahiDaemon.run { avahi in
                    let node = try Self.node()
                    try avahi.waitUntilBrowsed(node.engine.localPeer.description)
                    try avahi.signal("KILL")
                    try node.event { $0.isMissingDaemon ? () : nil }
                    try NetworkNamespace.shell("rm -f /run/avahi-daemon/*")
                    try avahi.start()
                    try avahi.waitUntilBrowsed(node.engine.localPeer.description)
                    node.engine.close()
                }
            }
        }

        /// One that embeds the responder and one that has Avahi, each also seeing itself by both ways.
        @Test func bothWaysTogetherGiveEachPeerOnce() throws {
            try NetworkNamespace.run {
                try AvahiDaemon.run { avahi in
                    let a = try Self.node(.auto), b = try Self.node(.embedded)
                    try a.awaitConnected()
                    try b.awaitConnected()
                    try avahi.waitUntilBrowsed(a.engine.localPeer.description)
                    guard case .peers(let peers) = try a.engine.call(.peers, timeout: TestNode.patience) else { throw CallError.timedOut }
                    #expect(peers.map(\.peer) == [b.engine.localPeer])
                    a.engine.close()
                    b.engine.close()
                }
            }
        }

        @Test func aDaemonThatHangsStopsNoNode() throws {
            try NetworkNamespace.run {
                try AvahiDaemon.run { avahi in
                    let node = try Self.node()
                    try avahi.waitUntilBrowsed(node.engine.localPeer.description)
                    try avahi.signal("STOP")
                    // What is new goes to the daemon, which does not answer.
                    try NetworkNamespace.shell("ip addr add 192.0.2.8/24 dev c0")
                    let limit = Instant.now() + TestNode.patience
                    while !node.engine.listenAddresses().contains(where: { $0.description.hasPrefix("/ip4/192.0.2.8/") }), Instant.now() < limit {
                        _ = try node.engine.call(.peers, timeout: .seconds(2))
                    }
                    _ = try node.engine.call(.peers, timeout: .seconds(2))
                    let start = Instant.now()
                    node.engine.close()
                    // Twice the patience of the worker, and what a busy machine takes.
                    #expect(Instant.now() - start < .seconds(2))
                }
            }
        }

        @Test func withoutABusTheSourceFailsAndTheNodeWorks() throws {
            try NetworkNamespace.run {
                try NetworkNamespace.separateFiles()
                try NetworkNamespace.shell("mount -t tmpfs tmpfs /run && ip link set lo up")
                let node = try Self.node()
                try node.event { $0.isMissingDaemon ? () : nil }
                node.engine.close()
            }
        }
    }
}
