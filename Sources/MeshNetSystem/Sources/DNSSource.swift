import MeshNetProtocol
import MeshNetSwarm

/// Peers behind names: what `DNSServices` decides, asked of the name servers by c-ares on the reactor.
final class DNSSource: ExternalSource {
    let source = DiscoverySource.dns
    private var services: DNSServices
    private let resolver: Resolver
    private let tokenBase: UInt64
    private var reports = StableFifo<SourceReport>()
    private var now: Instant

    /// nil unless DNS is among the modes.
    static func make(_ context: SourceContext) -> (any ExternalSource)? {
        context.configuration.modes?.contains(.dns) == true ? DNSSource(context) : nil
    }

    init(_ context: SourceContext) {
        services = DNSServices(
            context.configuration.dnsServices, interval: context.configuration.interval, random: context.random, now: context.now)
        resolver = Resolver(readiness: context.readiness, tokenBase: context.tokenBase, servers: context.nameServers)
        tokenBase = context.tokenBase
        now = context.now
    }

    var deadline: Instant? { earlier(services.deadline, resolver.deadline(now: now)) }

    func handleTimeout(now: Instant) {
        self.now = now
        resolver.handleTimeout()
        services.handleTimeout(now: now)
        drain()
    }

    func ready(_ descriptor: Int32, readable: Bool, writable: Bool, now: Instant) {
        self.now = now
        resolver.ready(descriptor, readable: readable, writable: writable)
        drain()
    }

    func listening(on addresses: [Multiaddr], now: Instant) {
        self.now = now
        services.listening(on: addresses)
    }

    func connectedPeers(_ count: Int, now: Instant) { self.now = now }

    func poll() -> SourceReport? {
        drain()
        return reports.popFirst()
    }

    func close() {
        resolver.close()
        while resolver.pollLookup() != nil {}
        reports = StableFifo()
        reports.append(.stopped)
    }

    /// An answer may be there at once, from /etc/hosts or because nothing can be asked; so until nothing moves.
    private func drain() {
        while true {
            if let answer = resolver.pollLookup() {
                services.answered(answer.query, answer.result, now: now)
                continue
            }
            switch services.poll() {
            case .lookup(let query, let name, let kind): resolver.lookup(query: query, name: name, kind: kind)
            case .report(let report): reports.append(report)
            case nil: return
            }
        }
    }
}
