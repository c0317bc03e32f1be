import MeshNetProtocol
import MeshNetSwarm

/// A machine that asks a control server, with its HTTP client on the reactor.
final class ControlSource<Machine: ControlMachine>: ExternalSource {
    let source: DiscoverySource
    private var machine: Machine
    private let client: HTTPClient
    /// Where tailscaled may answer now.
    private let findSocket: () -> String?
    private var reports = StableFifo<SourceReport>()
    private var request: UInt64 = 0
    private var now: Instant
    private var isClosed = false

    init(_ source: DiscoverySource, _ machine: Machine, _ context: SourceContext, findSocket: @escaping () -> String? = { nil }) {
        self.source = source
        self.machine = machine
        self.findSocket = findSocket
        now = context.now
        client = HTTPClient(readiness: context.readiness, tokenBase: context.tokenBase, nameServers: context.nameServers)
        settle()
    }

    var deadline: Instant? { isClosed ? nil : earlier(machine.deadline, client.deadline(now: now)) }

    func handleTimeout(now: Instant) {
        self.now = now
        client.handleTimeout(now: now)
        if let time = machine.deadline, time <= now { machine.handleTimeout(surroundings, now: now) }
        settle()
    }

    func ready(_ descriptor: Int32, readable: Bool, writable: Bool, now: Instant) {
        self.now = now
        client.ready(descriptor, readable: readable, writable: writable, now: now)
        settle()
    }

    func listening(on addresses: [Multiaddr], now: Instant) {
        self.now = now
        machine.listening(on: addresses)
        settle()
    }

    func connectedPeers(_ count: Int, now: Instant) {
        self.now = now
        machine.connectedPeers(count, now: now)
        settle()
    }

    func poll() -> SourceReport? { reports.popFirst() }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        client.close()
        reports.append(.stopped)
    }

    private var surroundings: ControlSurroundings {
        ControlSurroundings(
            wallClock: Int64(clamping: WallClock.nanoseconds() / 1_000_000_000), addresses: Interfaces.addresses().map(\.ip),
            tailscaledSocket: findSocket())
    }

    private func settle() {
        guard !isClosed else { return }
        while true {
            if let action = machine.poll() {
                switch action {
                case .report(let report): reports.append(report)
                case .request(let wanted):
                    request += 1
                    client.start(wanted, id: request, now: now)
                }
            } else if let outcome = client.poll() {
                machine.receive(outcome.result, surroundings, now: now)
            } else {
                return
            }
        }
    }
}

enum ControlSources {
    static func headscale(_ context: SourceContext) -> (any ExternalSource)? {
        guard context.configuration.modes?.contains(.headscale) == true else { return nil }
        // Without a server the machine says what is missing.
        let configuration = context.configuration.headscale ?? HeadscaleConfiguration(apiBaseURL: "", apiKey: APIKey(""), port: 0)
        let machine = HeadscaleMachine(configuration, localPeer: context.localPeer, random: context.random, now: context.now)
        return ControlSource(.headscale, machine, context)
    }

    static func tailscale(_ context: SourceContext) -> (any ExternalSource)? {
        guard context.configuration.modes?.contains(.tailscale) == true else { return nil }
        let configuration = context.configuration.tailscale
        let machine = TailscaleMachine(configuration, localPeer: context.localPeer, random: context.random, now: context.now)
        return ControlSource(.tailscale, machine, context) { TailscaledSocket.find(configuration.socketPath) }
    }
}
