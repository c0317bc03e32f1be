import CSystem
import Foundation
@testable import MeshNetSwarm
@testable import MeshNetSystem

/// dnsmasq on the loopback, whose records change as those of a headless service do.
final class NameDaemon {
    static let program = ["/usr/sbin/dnsmasq", "/usr/bin/dnsmasq", "/usr/local/sbin/dnsmasq"].first { FileManager.default.isExecutableFile(atPath: $0) }

    let port: UInt16
    private let folder: URL
    private var process: pid_t?
    /// Records that dnsmasq reads at its start only: SRV and TXT.
    private var fixed: [String] = []

    /// As the resolver takes it.
    var text: String { "127.0.0.1:\(port)" }

    init?() {
        guard Self.program != nil, let port = Self.freePort() else { return nil }
        self.port = port
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("meshnet-names-\(getpid())-\(port)")
        guard (try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)) != nil else { return nil }
        setAddresses([:])
        start()
    }

    deinit {
        stop()
        try? FileManager.default.removeItem(at: folder)
    }

    /// Each name with its addresses, from now on.
    func setAddresses(_ names: [String: [String]]) {
        let lines = names.sorted { $0.key < $1.key }.flatMap { name, addresses in addresses.map { "\($0) \(name)\n" } }
        try? lines.joined().write(to: hosts, atomically: true, encoding: .utf8)
        if let process { kill(process, SIGHUP) }
    }

    /// Lines of its configuration, for which it starts again.
    func setRecords(_ lines: [String]) {
        fixed = lines
        stop()
        start()
    }

    func stop() {
        guard let process else { return }
        kill(process, SIGTERM)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        self.process = nil
    }

    func start() {
        let configuration = folder.appendingPathComponent("dnsmasq.conf")
        let lines = [
            "port=\(port)", "listen-address=127.0.0.1", "bind-interfaces", "no-resolv", "no-hosts", "no-poll", "local=/#/", "addn-hosts=\(hosts.path)",
            "pid-file=", "user=\(NSUserName())", "keep-in-foreground", "log-facility=/dev/null", "edns-packet-max=1232",
        ]
        try? (lines + fixed).map { $0 + "\n" }.joined().write(to: configuration, atomically: true, encoding: .utf8)
        guard let program = Self.program else { return }
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup(program), strdup("--conf-file=\(configuration.path)"), nil]
        defer { for argument in arguments { free(argument) } }
        // The threads of a dispatch queue block signals, and a child would inherit that.
        var attributes = posix_spawnattr_t(), none = sigset_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var pid: pid_t = 0
        guard posix_spawn(&pid, program, nil, &attributes, &arguments, environ) == 0 else { return }
        process = pid
        awaitAnswer()
    }

    /// It answers: from now on it also takes signals.
    private func awaitAnswer() {
        let question: [UInt8] = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0x78, 4, 0x74, 0x65, 0x73, 0x74, 0, 0, 1, 0, 1]
        let number = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(number) }
        var patience = timeval(tv_sec: 0, tv_usec: 100_000), answer = [UInt8](repeating: 0, count: 512)
        setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        for _ in 0..<200 {
            _ = Self.withAddress(port) { sendto(number, question, question.count, 0, $0, $1) }
            if recv(number, &answer, answer.count, 0) > 0 { return }
            // Refused at once while nobody listens yet.
            usleep(20_000)
        }
    }

    private var hosts: URL { folder.appendingPathComponent("hosts") }

    /// Free for UDP and for TCP when it was looked at.
    private static func freePort() -> UInt16? {
        for _ in 0..<20 {
            let datagram = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0), stream = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { for number in [datagram, stream] { close(number) } }
            guard bound(datagram, 0), let port = Socket.localAddress(datagram)?.port, bound(stream, port) else { continue }
            return port
        }
        return nil
    }

    private static func bound(_ number: Int32, _ port: UInt16) -> Bool { withAddress(port) { bind(number, $0, $1) } == 0 }

    private static func withAddress<Result>(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, size) } }
    }
}
