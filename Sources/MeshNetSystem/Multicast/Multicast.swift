import Glibc
import MeshNetProtocol
import MeshNetSwarm

/// The sockets of the embedded mDNS responder, as `MulticastPlan` wants them. Lives on the reactor thread.
final class Multicast {
    /// What the loop does with it.
    enum Output {
        case name([MDNSInterface])
        case restart(UInt32)
        case report(SourceReport)
    }

    /// Packets read from one socket in one turn, so that a flood does not hold the connections up. What is left wakes the reactor again.
    static let packetsPerTurn = 64

    private let readiness: Readiness
    private let tokenBase: UInt64
    private let allowedInterfaces: [String]
    private let deniedInterfaces: [String]
    private var plan = MulticastPlan()
    private var sockets: [MulticastChannel: MulticastSocket] = [:]
    private var channels: [Int32: MulticastChannel] = [:]
    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: DNSMessage.maximumByteCount + 1, alignment: 16)

    /// Descriptors have the token `tokenBase + descriptor`.
    init(_ configuration: DiscoveryConfiguration, readiness: Readiness, tokenBase: UInt64) {
        self.readiness = readiness
        self.tokenBase = tokenBase
        allowedInterfaces = configuration.allowedInterfaces
        deniedInterfaces = configuration.deniedInterfaces
    }

    deinit {
        close()
        memory.deallocate()
    }

    /// The network may have changed. `linkLocalPort`: of a listener on every IPv6 address.
    func refresh(linkLocalPort: UInt16? = nil) {
        let (used, leftOut) = MulticastInterfaces.usable(MulticastInterfaces.all(), allowed: allowedInterfaces, denied: deniedInterfaces)
        plan.setInterfaces(used, leftOut: leftOut.map(\.name), linkLocalPort: linkLocalPort)
    }

    var deadline: Instant? { plan.deadline }

    func handleTimeout(now: Instant) { plan.handleTimeout(now: now) }

    /// What is to be done outside; opens and closes sockets on the way.
    func poll(now: Instant) -> Output? {
        while let action = plan.poll() {
            switch action {
            case .open(let channel): plan.opened(channel, open(channel), now: now)
            case .close(let channel): close(channel)
            case .name(let interfaces): return .name(interfaces)
            case .restart(let interface): return .restart(interface)
            case .report(let report): return .report(report)
            }
        }
        return nil
    }

    private func open(_ channel: MulticastChannel) -> MulticastError? {
        switch MulticastSocket.open(channel) {
        case .failure(let error): return error
        case .success(let socket):
            do throws(SystemError) {
                try readiness.add(socket.descriptor, token: tokenBase + UInt64(socket.descriptor), .readable)
            } catch {
                switch error { case .failed(let call, let code): return MulticastError(call: call, errno: code) }
            }
            sockets[channel] = socket
            channels[socket.descriptor] = channel
            return nil
        }
    }

    private func close(_ channel: MulticastChannel) {
        guard let socket = sockets.removeValue(forKey: channel) else { return }
        channels[socket.descriptor] = nil
        readiness.remove(socket.descriptor)
    }

    /// To both groups, as far as the interface has them.
    func send(_ packet: [UInt8], interface: UInt32, now: Instant) {
        for family in MulticastFamily.allCases {
            for isLoopback in [false, true] {
                let channel = MulticastChannel(interface: interface, family: family, isLoopback: isLoopback)
                guard let socket = sockets[channel] else { continue }
                plan.sent(packet, on: channel, socket.send(packet).map { MulticastError(call: "sendto", errno: $0) }, now: now)
            }
        }
    }

    /// Calls `body` with each packet of others that waits, up to the bound. The memory is reused.
    func receive(_ descriptor: Int32, now: Instant, _ body: (UnsafeRawBufferPointer, _ interface: UInt32) -> Void) {
        for _ in 0..<Self.packetsPerTurn {
            guard let channel = channels[descriptor], let socket = sockets[channel] else { return }
            switch socket.receive(into: memory) {
            case .nothing: return
            case .packet(let count):
                // Longer ones are cut, and refused by their length.
                let packet = UnsafeRawBufferPointer(rebasing: memory[..<min(count, memory.count)])
                if plan.heard(packet, on: channel, now: now) { body(packet, channel.interface) }
            case .broken(let code):
                close(channel)
                return plan.broke(channel, MulticastError(call: "recv", errno: code), now: now)
            }
        }
    }

    func close() {
        for channel in sockets.keys { close(channel) }
    }
}
