import MeshNetProtocol
import MeshNetSwarm

/// Somebody who is to be found at an address.
struct DNSFind: Hashable {
    /// nil: whoever answers there.
    var peer: PeerID?
    var address: Multiaddr
}

/// One pass over a service: all lookups that follow from its first one, and what they found, in the order in which the names were met.
struct DNSRound {
    struct Lookup: Equatable {
        /// In small letters.
        let name: String
        let kind: DNSRecordKind
        /// Of the addresses that it finds.
        var port: UInt16
        /// Of dnsaddr in dnsaddr.
        var depth: Int
        /// Only what leads to this peer.
        var peer: PeerID?

        init(name: String, kind: DNSRecordKind, port: UInt16 = 0, depth: Int = 0, peer: PeerID? = nil) {
            self.name = name.lowercased()
            self.kind = kind
            self.port = port
            self.depth = depth
            self.peer = peer
        }

        fileprivate var question: Question { Question(name: name, port: port, peer: peer) }
    }

    fileprivate struct Question: Hashable {
        let name: String
        let port: UInt16
        let peer: PeerID?
    }

    /// dnsaddr in dnsaddr; a loop ends before, since no name is asked for twice.
    static let maximumDepth = 8
    /// Lookups of one round.
    static let maximumLookups = 100
    /// Addresses kept of one service.
    static let maximumAddresses = 256
    private static let prefix = Array("dnsaddr=".utf8)

    /// Found by the last round: kept where there are too many.
    let known: Set<DNSFind>
    private(set) var lookups: [Lookup] = []
    /// No name is asked for twice, at whatever depth it comes up again.
    private var asked: Set<Question> = []
    private var finds: [[DNSFind]] = []
    private var started = 0
    private var answered = 0
    private(set) var failures: [DNSLookupFailure] = []
    /// What is not among the finds.
    private(set) var excess = 0
    private(set) var malformed = 0
    private(set) var undialable = 0

    init(_ service: DNSService, known: [DNSFind]) {
        self.known = Set(known)
        var first = Lookup(name: service.firstName, kind: service.kind)
        switch service {
        case .addresses(_, let port): first.port = port
        case .targets: break
        case .dnsaddr(_, let peer): first.peer = peer
        }
        add(first)
    }

    var isOver: Bool { answered == lookups.count }

    /// The next lookup to start, by its number.
    mutating func next() -> Int? {
        guard started < lookups.count else { return nil }
        started += 1
        return started - 1
    }

    mutating func answer(_ number: Int, _ result: Result<DNSRecords, DNSLookupFailure>) {
        let lookup = lookups[number]
        answered += 1
        switch result {
        case .failure(let failure): failures.append(failure)
        case .success(.addresses(let addresses)):
            keep(addresses.map { address in
                DNSFind(address: SocketAddress(ip: address.ip, port: lookup.port, zone: address.zone).multiaddr)
            }, number)
        case .success(.services(let targets)): follow(targets)
        case .success(.texts(let texts)): follow(texts, of: number)
        }
    }

    /// In the order in which their names were met, each once.
    func found() -> (finds: [DNSFind], excess: Int) {
        var seen: Set<DNSFind> = []
        let all = finds.flatMap { $0 }.filter { seen.insert($0).inserted }
        return bounded(all)
    }

    /// Name servers shuffle their answers: of too many those stay that were there before.
    func bounded(_ all: [DNSFind]) -> (finds: [DNSFind], excess: Int) {
        guard all.count > Self.maximumAddresses else { return (all, 0) }
        let kept = (all.filter(known.contains) + all.filter { !known.contains($0) }).prefix(Self.maximumAddresses)
        return (Array(kept), all.count - Self.maximumAddresses)
    }

    private mutating func keep(_ all: [DNSFind], _ number: Int) {
        let (kept, rest) = bounded(all)
        finds[number] = kept
        excess += rest
    }

    private mutating func add(_ lookup: Lookup) {
        guard !asked.contains(lookup.question) else { return }
        guard lookups.count < Self.maximumLookups, lookup.depth <= Self.maximumDepth else { return excess += 1 }
        asked.insert(lookup.question)
        lookups.append(lookup)
        finds.append([])
    }

    /// By priority, then by weight (RFC 2782, without its lottery: all of them are tried). A single "." means that there is no such service.
    private mutating func follow(_ targets: [DNSServiceTarget]) {
        let order = targets.sorted { $0.priority == $1.priority ? $0.weight > $1.weight : $0.priority < $1.priority }
        for target in order where !target.host.isEmpty && target.host != "." {
            guard target.port > 0 else { malformed += 1; continue }
            // The name is complete: no search domain belongs behind it.
            let host = target.host.hasSuffix(".") ? target.host : target.host + "."
            add(Lookup(name: host, kind: .addresses, port: target.port))
        }
    }

    private mutating func follow(_ texts: [[UInt8]], of number: Int) {
        let lookup = lookups[number]
        var found: [DNSFind] = []
        for text in texts where text.starts(with: Self.prefix) {
            let value = String(validating: text.dropFirst(Self.prefix.count), as: UTF8.self)
            guard let value, value.utf8.count <= Multiaddr.maximumTextByteCount, let address = try? Multiaddr(value) else { malformed += 1; continue }
            if let peer = lookup.peer, address.peerID != peer { continue }
            if case .dnsaddr(let name, _)? = DNSService(address) {
                add(Lookup(name: DNSService.dnsaddrName(name), kind: .text, depth: lookup.depth + 1, peer: address.peerID))
            } else if Self.isDialable(address), let plain = address.withoutPeerID {
                found.append(DNSFind(peer: address.peerID, address: plain))
            } else {
                undialable += 1
            }
        }
        keep(found, number)
    }

    /// TCP, by an address or a name.
    private static func isDialable(_ address: Multiaddr) -> Bool {
        var parts = address.components[...]
        if case .p2p = parts.last { parts = parts.dropLast() }
        guard parts.count == 2, case .tcp(let port)? = parts.last, port > 0 else { return false }
        switch parts.first {
        case .ip4, .ip6, .dns, .dns4, .dns6: return true
        default: return false
        }
    }
}
