/// Finds peers on the local network and lets them find us (libp2p specs, discovery/mdns; RFC 6762, RFC 6763), sans-IO.
///
/// The driver names the interfaces with `setInterfaces`, hands in what it hears on port 5353 of the two groups, and sends `send` actions
/// there. Hand in only packets that were addressed to a group: unicast from afar has no business here (RFC 6762, 11). Answers go to the
/// group, also to those who ask from another port, because rust-libp2p asks from one where it does not listen.
package struct MDNSService {
    /// The service of libp2p peers outside private networks.
    package static let defaultTag = "_p2p._udp.local"

    /// Silence after each query; the last one repeats for ever. rust stops for minutes after the first answer, which loses peers where packets
    /// are lost.
    static let firstInterval: Duration = .milliseconds(250)
    private static let longestInterval: Duration = .seconds(60)
    /// Between two answers on one interface (RFC 6762, 6).
    static let answerInterval: Duration = .seconds(1)
    /// Announcements that nobody asked for, when an interface or an address comes (RFC 6762, 8.3).
    private static let announcements = 2
    /// What we announce holds for this: six queries of the slowest pace. rust: 6 minutes.
    static let timeToLive: UInt32 = 360

    let localPeer: PeerID
    let attributes: MDNSAttributes
    let limits: MDNSLimits
    let service: DNSName
    /// Our instance of the service, and the host of its SRV record: the random peer name of this start in two places.
    let instance: DNSName
    let host: DNSName
    var random: RandomSource
    var links: [MDNSLink] = []
    var listenAddresses: [Multiaddr] = []
    var table: MDNSTable
    var actions = Fifo<MDNSAction>()
    package internal(set) var counters = MDNSCounters()
    var isClosed = false

    /// `tag`: `_p2p._udp.local`, without `.local`, or the bare name, as CHORUS has it. nil when it is no domain name with room for a peer name
    /// of 63 bytes, and when an attribute is not within its bounds.
    package init?(
        localPeer: PeerID, tag: String = MDNSService.defaultTag, attributes: MDNSAttributes = MDNSAttributes(), limits: MDNSLimits = MDNSLimits(),
        random: RandomSource
    ) {
        guard attributes.areValid else { return nil }
        self.localPeer = localPeer
        self.attributes = attributes
        self.limits = limits
        table = MDNSTable(limits: limits)
        var random = random
        let name = Self.peerName(&random)
        self.random = random
        guard let service = Self.serviceName(tag), service.wire.count > 1, DNSName(label: String(repeating: "a", count: 63), in: service) != nil,
            let instance = DNSName(label: name, in: service), let local = DNSName("local"), let host = DNSName(label: name, in: local)
        else { return nil }
        self.service = service
        self.instance = instance
        self.host = host
    }

    /// The tag of a private network: only those with the key answer to it (libp2p specs, discovery/mdns, "Private Networks").
    package static func tag(of key: PreSharedKey) -> String {
        "_p2p-" + key.fingerprint + "._udp.local"
    }

    /// The tag as other programs want it: `_p2p._udp`. nil for what `init` does not take.
    package static func serviceType(_ tag: String) -> String? {
        guard let name = serviceName(tag), name.wire.count > 1, DNSName(label: String(repeating: "a", count: 63), in: name) != nil else { return nil }
        return String(name.description.dropLast(".local".count))
    }

    private static func serviceName(_ tag: String) -> DNSName? {
        guard !tag.isEmpty else { return nil }
        if !tag.contains(".") { return DNSName((tag.hasPrefix("_") ? tag : "_" + tag) + "._udp.local") }
        return DNSName(tag.hasSuffix(".local") || tag.hasSuffix(".local.") ? tag : tag + ".local")
    }

    /// 32 to 63 letters and digits (libp2p specs, discovery/mdns, "peer-name").
    package static func peerName(_ random: inout RandomSource) -> String {
        let alphabet = Array("abcdefghijklmnopqrstuvwxyz0123456789".utf8)
        let count = Int.random(in: 32...63, using: &random)
        return String(decoding: (0..<count).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)] }, as: UTF8.self)
    }

    // MARK: - What the driver knows

    /// The interfaces as they are now; called again at every change. One that is gone takes what was heard on it along.
    package mutating func setInterfaces(_ interfaces: [MDNSInterface], now: Instant) {
        guard !isClosed else { return }
        let wanted = interfaces.sorted { $0.id < $1.id }.prefix(limits.interfaces)
        for link in links where !wanted.contains(where: { $0.id == link.interface.id }) {
            forget(table.remove(interface: link.interface.id))
        }
        links = wanted.map { interface in
            if let link = links.first(where: { $0.interface == interface }) { return link }
            // New, or renumbered: everything starts again, but what was said a moment ago is not said again too soon.
            // Not at once: a switch that comes back wakes all of its nodes together (RFC 6762, 5.2).
            var link = MDNSLink(interface: interface, nextQuery: now + jitter())
            if let old = links.first(where: { $0.interface.id == interface.id }) { link.lastAnswer = old.lastAnswer }
            return link
        }
        refreshAnnouncements(now: now)
    }

    /// What was sent on the interface for a while went nowhere: it is asked and told again from the start.
    package mutating func restart(interface: UInt32, now: Instant) {
        guard !isClosed, let index = links.firstIndex(where: { $0.interface.id == interface }) else { return }
        links[index].nextQuery = now + jitter()
        links[index].queryInterval = Self.firstInterval
        links[index].announcementsLeft = Self.announcements
        answer(on: index, after: jitter(), now: now)
    }

    /// Where the node can be reached, wildcards expanded. Each interface is told those whose IP address it has.
    package mutating func setListenAddresses(_ addresses: [Multiaddr], now: Instant) {
        guard !isClosed else { return }
        listenAddresses = addresses
        refreshAnnouncements(now: now)
    }

    private mutating func refreshAnnouncements(now: Instant) {
        for index in links.indices {
            let told = MDNSAnnouncement(listenAddresses, on: links[index].interface, limit: limits.addressesAnnounced)
            guard told != links[index].announcement else { continue }
            if told.isEmpty {
                sayGoodbye(on: links[index])
                links[index].answerAt = nil
            }
            links[index].announcement = told
            links[index].announcementsLeft = Self.announcements
            answer(on: index, after: jitter(), now: now)
        }
    }

    /// A sign of life by other means, such as a connection: what is known of the peer holds again for its full time.
    package mutating func signOfLife(of peer: PeerID, now: Instant) {
        for link in links { table.refresh(MDNSTable.Key(peer: peer, interface: link.interface.id), now: now) }
    }

    /// All that is known of a peer, with its peer id at the end.
    package func addresses(of peer: PeerID) -> [Multiaddr] {
        var found: [Multiaddr] = []
        for link in links {
            for address in addresses(of: peer, on: link.interface) where !found.contains(address) { found.append(address) }
        }
        return found
    }

    /// Peers known, counted once for each interface.
    package var entryCount: Int { table.count }

    /// Says goodbye where we were announced, and ends: nothing has an effect afterwards.
    package mutating func close() {
        guard !isClosed else { return }
        isClosed = true
        for link in links { sayGoodbye(on: link) }
        links = []
    }

    private mutating func sayGoodbye(on link: MDNSLink) {
        guard link.lastAnswer != nil, !link.announcement.isEmpty else { return }
        actions.append(.send(interface: link.interface.id, link.announcement.message(self, timeToLive: 0).encoded()))
    }

    // MARK: - Time

    package var deadline: Instant? {
        mutating get {
            var time = isClosed ? nil : table.nextSweep
            for index in links.indices {
                time = earlier(earlier(time, links[index].nextQuery), earlier(links[index].answerAt, links[index].serviceListAt))
            }
            return time
        }
    }

    package mutating func handleTimeout(now: Instant) {
        guard !isClosed else { return }
        forget(table.sweep(now: now))
        for index in links.indices {
            if links[index].nextQuery <= now { query(on: index, now: now) }
            if let due = links[index].serviceListAt, due <= now {
                links[index].serviceListAt = nil
                links[index].lastServiceList = now
                actions.append(.send(interface: links[index].interface.id, serviceList.encoded()))
            }
            if let due = links[index].answerAt, due <= now { announce(on: index, now: now) }
        }
    }

    package mutating func poll() -> MDNSAction? { actions.popFirst() }

    private mutating func query(on index: Int, now: Instant) {
        var message = DNSMessage(isResponse: false)
        message.questions = [DNSQuestion(name: service, type: DNSType.pointer)]
        actions.append(.send(interface: links[index].interface.id, message.encoded()))
        counters.queriesSent += 1
        // Up to a tenth earlier, so that nodes that started together do not ask together for ever.
        let interval = links[index].queryInterval.saturatedNanoseconds
        links[index].nextQuery = now + .nanoseconds(interval - Int64.random(in: 0...interval / 10, using: &random))
        links[index].queryInterval = min(links[index].queryInterval * 2, Self.longestInterval)
    }

    private mutating func announce(on index: Int, now: Instant) {
        links[index].answerAt = nil
        links[index].lastAnswer = now
        let message = links[index].announcement.message(self, timeToLive: Self.timeToLive)
        actions.append(.send(interface: links[index].interface.id, message.encoded()))
        counters.answersSent += 1
        links[index].announcementsLeft = max(0, links[index].announcementsLeft - 1)
        if links[index].announcementsLeft > 0 { answer(on: index, after: Self.answerInterval, now: now) }
    }

    /// Plans an answer, not before a second after the last one; one that is due earlier serves as well.
    mutating func answer(on index: Int, after delay: Duration, now: Instant) {
        guard !links[index].announcement.isEmpty else { return }
        var time = now + delay
        if let last = links[index].lastAnswer { time = max(time, last + Self.answerInterval) }
        links[index].answerAt = earlier(links[index].answerAt, time)
    }

    /// Before an answer that others give too (RFC 6762, 6).
    mutating func jitter() -> Duration { .milliseconds(Int64.random(in: 20...120, using: &random)) }

    /// Peers of which nothing is left on any interface.
    mutating func forget(_ keys: [MDNSTable.Key]) {
        for key in keys where !links.contains(where: { table[MDNSTable.Key(peer: key.peer, interface: $0.interface.id)] != nil }) {
            actions.append(.expired(key.peer))
        }
    }
}

/// One interface in use.
struct MDNSLink {
    let interface: MDNSInterface
    var announcement = MDNSAnnouncement()
    var nextQuery: Instant
    var queryInterval: Duration
    var answerAt: Instant?
    var lastAnswer: Instant?
    var announcementsLeft = 0
    /// The answer to "which services are there?".
    var serviceListAt: Instant?
    var lastServiceList: Instant?
    /// Packets read since the second began.
    var second = Instant.zero
    var packets = 0

    init(interface: MDNSInterface, nextQuery: Instant) {
        self.interface = interface
        self.nextQuery = nextQuery
        queryInterval = MDNSService.firstInterval
    }
}
