import MeshNetProtocol
import MeshNetSwarm

enum MulticastFamily: Int, CaseIterable, Sendable { case ipv4, ipv6 }

/// One socket: a group on an interface.
struct MulticastChannel: Hashable, Sendable {
    let interface: UInt32
    let family: MulticastFamily
    let isLoopback: Bool
}

/// What the driver does for the plan.
enum MulticastAction: Equatable {
    /// Answer with `opened`.
    case open(MulticastChannel)
    case close(MulticastChannel)
    /// The swarm uses these now.
    case name([MDNSInterface])
    /// Packets go out on the interface again, after some that did not: the swarm asks and announces anew.
    case restart(UInt32)
    case report(SourceReport)
}

/// Decides which interfaces have mDNS sockets, when one that failed is tried again, and what is told of each; does no I/O.
///
/// No interface is given up: one that cannot be opened is tried again with backoff and at every change of the network, and a packet that cannot be
/// sent says nothing about the next one.
struct MulticastPlan {
    /// Between two tries to open a socket; doubled up to the longest.
    static let firstRetry: Duration = .seconds(1)
    static let longestRetry: Duration = .seconds(30)
    /// Counts of packets are reported once in this time.
    static let reportInterval: Duration = .seconds(1)
    /// Between two restarts of an interface, however often sending fails and works.
    static let restartInterval: Duration = .seconds(5)

    private struct Socket {
        let channel: MulticastChannel
        var isOpen = false
        var retryAt: Instant?
        /// Waited before the next try.
        var delay = Duration.zero
        /// Of the last try to open or send.
        var error: MulticastError?
        var echoes = MulticastEchoes()

        mutating func fail(_ error: MulticastError, now: Instant) {
            self.error = error
            isOpen = false
            delay = delay == .zero ? MulticastPlan.firstRetry : min(delay * 2, MulticastPlan.longestRetry)
            retryAt = now + delay
        }
    }

    private struct Link {
        var interface: HostInterface
        var sockets: [Socket] = []
        var sent = 0
        var heard = 0
        var reportedFailure: SourceFailure?
        var mayRestartAt: Instant?

        var isOpen: Bool { sockets.contains(where: \.isOpen) }
        /// nil while one family works.
        var failure: SourceFailure? {
            sockets.contains { $0.error == nil } ? nil : sockets.first?.error.map { MulticastFailures.describe($0, on: interface.name) }
        }
    }

    private var links: [Link] = []
    private var linkLocalPort: UInt16?
    private var leftOut: [String] = []
    private var actions = Fifo<MulticastAction>()
    private var named: [MDNSInterface]?
    private var reportedState: SourceReport?
    private var reportAt: Instant?
    /// Names and state may have changed since they were told.
    private var isDirty = true

    // MARK: Inputs

    /// The interfaces to use now, and the names of those for which there is no room. Called again at every change of the network: what failed is
    /// tried again at once. `linkLocalPort`: where the node listens on every IPv6 address, and so on the link-local ones too.
    mutating func setInterfaces(_ interfaces: [HostInterface], leftOut names: [String], linkLocalPort: UInt16? = nil) {
        isDirty = true
        self.linkLocalPort = linkLocalPort
        for link in links where !interfaces.contains(where: link.interface.isSame) { close(link.sockets) }
        links = interfaces.map { interface in
            var link = links.first { $0.interface.isSame(as: interface) } ?? Link(interface: interface)
            link.interface = interface
            return link
        }
        for index in links.indices { openMissing(index) }
        for name in names where !leftOut.contains(name) { actions.append(.report(.filtered(.limit, what: name, interface: name))) }
        leftOut = names
    }

    private mutating func openMissing(_ index: Int) {
        let interface = links[index].interface
        // The kernel has no route for ff02::/16 on the loopback.
        let families = MulticastFamily.allCases.filter { $0 == .ipv4 ? interface.hasIPv4 : interface.hasIPv6 && !interface.isLoopback }
        close(links[index].sockets.filter { !families.contains($0.channel.family) })
        links[index].sockets.removeAll { !families.contains($0.channel.family) }
        for family in families {
            if let known = links[index].sockets.firstIndex(where: { $0.channel.family == family }) {
                guard links[index].sockets[known].retryAt != nil else { continue }
                links[index].sockets[known].retryAt = nil
                links[index].sockets[known].delay = .zero
                actions.append(.open(links[index].sockets[known].channel))
            } else {
                let channel = MulticastChannel(interface: interface.index, family: family, isLoopback: interface.isLoopback)
                links[index].sockets.append(Socket(channel: channel))
                actions.append(.open(channel))
            }
        }
    }

    private mutating func close(_ sockets: [Socket]) {
        for socket in sockets where socket.isOpen { actions.append(.close(socket.channel)) }
    }

    /// The answer to `.open`.
    mutating func opened(_ channel: MulticastChannel, _ error: MulticastError?, now: Instant) {
        change(channel) { socket, _ in
            if let error {
                socket.fail(error, now: now)
            } else {
                socket.isOpen = true
                socket.delay = .zero
                socket.error = nil
            }
        }
    }

    /// An open socket that reads no more; the driver closed it.
    mutating func broke(_ channel: MulticastChannel, _ error: MulticastError, now: Instant) {
        change(channel) { socket, _ in socket.fail(error, now: now) }
    }

    /// A packet was sent, or was not.
    mutating func sent(_ packet: [UInt8], on channel: MulticastChannel, _ error: MulticastError?, now: Instant) {
        var restarts = false
        change(channel) { socket, link in
            let isRecovered = socket.error != nil && error == nil
            socket.error = error
            guard error == nil else { return }
            socket.echoes.sent(packet, now: now)
            link.sent += 1
            guard isRecovered, link.mayRestartAt.map({ $0 <= now }) ?? true else { return }
            link.mayRestartAt = now + Self.restartInterval
            restarts = true
        }
        if restarts { actions.append(.restart(channel.interface)) }
        planReport(now: now)
    }

    /// A packet was heard; false when it is one of ours that came back, which is nobody's business.
    mutating func heard(_ packet: UnsafeRawBufferPointer, on channel: MulticastChannel, now: Instant) -> Bool {
        guard let index = links.firstIndex(where: { $0.interface.index == channel.interface }),
            let socket = links[index].sockets.firstIndex(where: { $0.channel == channel })
        else { return false }
        if links[index].sockets[socket].echoes.takes(packet, now: now) { return false }
        links[index].heard += 1
        planReport(now: now)
        return true
    }

    private mutating func change(_ channel: MulticastChannel, _ body: (inout Socket, inout Link) -> Void) {
        guard let index = links.firstIndex(where: { $0.interface.index == channel.interface }),
            let position = links[index].sockets.firstIndex(where: { $0.channel == channel })
        else { return }
        var socket = links[index].sockets[position]
        body(&socket, &links[index])
        links[index].sockets[position] = socket
        isDirty = true
    }

    // MARK: Time

    /// `mutating`, to be read in place: otherwise each turn of the loop copied the plan.
    var deadline: Instant? {
        mutating get {
            var time = reportAt
            for link in links {
                for socket in link.sockets { time = earlier(time, socket.retryAt) }
            }
            return time
        }
    }

    mutating func handleTimeout(now: Instant) {
        for index in links.indices {
            for position in links[index].sockets.indices {
                guard let due = links[index].sockets[position].retryAt, due <= now else { continue }
                links[index].sockets[position].retryAt = nil
                actions.append(.open(links[index].sockets[position].channel))
            }
        }
        if let due = reportAt, due <= now {
            reportAt = nil
            for index in links.indices where links[index].sent + links[index].heard > 0 { reportTraffic(index) }
        }
    }

    private mutating func planReport(now: Instant) {
        if reportAt == nil { reportAt = now + Self.reportInterval }
    }

    private mutating func reportTraffic(_ index: Int) {
        let link = links[index]
        actions.append(.report(.traffic(interface: link.interface.name, sent: link.sent, heard: link.heard, failure: link.failure)))
        links[index].sent = 0
        links[index].heard = 0
        links[index].reportedFailure = link.failure
    }

    // MARK: Outputs

    mutating func poll() -> MulticastAction? {
        if let action = actions.popFirst() { return action }
        guard isDirty else { return nil }
        // What was asked for is done: now it shows what works.
        isDirty = false
        nameInterfaces()
        for index in links.indices where links[index].failure != links[index].reportedFailure { reportTraffic(index) }
        let state = self.state
        if state != reportedState {
            reportedState = state
            actions.append(.report(state))
        }
        return actions.popFirst()
    }

    private mutating func nameInterfaces() {
        let open = links.filter(\.isOpen).map { described($0.interface) }
        guard open != named else { return }
        named = open
        actions.append(.name(open))
        // Who gets interfaces takes the source for running.
        reportedState = nil
    }

    private func described(_ interface: HostInterface) -> MDNSInterface {
        var described = MDNSInterface(id: interface.index, name: interface.name, addresses: interface.addresses)
        if let linkLocalPort {
            let ips = interface.addresses.filter(\.isLinkLocalIPv6).map(\.ip)
            described.linkLocalAddresses = ips.compactMap { Multiaddr(ip: $0, tcpPort: linkLocalPort, zone: nil) }
        }
        return described
    }

    /// What of the sockets' errors is the matter of the source as a whole.
    private var state: SourceReport {
        let outward = links.filter { !$0.interface.isLoopback }
        if outward.contains(where: { $0.isOpen && $0.failure == nil }) { return .running }
        guard let failed = outward.first(where: { $0.failure != nil }), let failure = failed.failure else {
            return .failed(MulticastFailures.noInterface(hasLoopback: links.contains(where: \.isOpen)), retryAfter: nil)
        }
        let delay = failed.sockets.map(\.delay).filter { $0 > .zero }.min()
        return .failed(failure, retryAfter: delay)
    }
}
