import Glibc
import MeshNetProtocol
import MeshNetSwarm

/// mDNS through avahi-daemon: publishes our service there, so that others see it with its tools, and hears what it hears.
final class AvahiSource: ExternalSource {
    let source = DiscoverySource.avahi
    private let context: SourceContext
    private let library: AvahiLibrary?
    private let type: String
    private let attributes: MDNSAttributes
    private var plan: AvahiPlan
    private var worker: AvahiWorker?

    /// nil where Avahi is not wanted, and where it is one of two ways and not installed.
    static func make(_ context: SourceContext) -> (any ExternalSource)? {
        let wanted = context.configuration
        guard wanted.modes?.contains(.mdns) == true, wanted.mdnsBackend != .embedded else { return nil }
        let library = AvahiLibrary.shared
        guard library != nil || wanted.mdnsBackend == .avahi else { return nil }
        let tag = wanted.serviceTag ?? context.preSharedKey.map(MDNSService.tag) ?? MDNSService.defaultTag
        // Reported with the other problems of the configuration.
        let attributes = MDNSAttributes(appID: wanted.appID, endpointID: wanted.endpointID)
        guard attributes.areValid, let type = MDNSService.serviceType(tag) else { return nil }
        return AvahiSource(context, library: library, type: type, attributes: attributes)
    }

    private init(_ context: SourceContext, library: AvahiLibrary?, type: String, attributes: MDNSAttributes) {
        self.context = context
        self.library = library
        self.type = type
        self.attributes = attributes
        plan = AvahiPlan(
            localPeer: context.localPeer, appID: attributes.appID, isForced: context.configuration.mdnsBackend == .avahi, random: context.random)
        if library == nil { plan.cannotStart() } else { plan.start() }
    }

    var deadline: Instant? { plan.deadline }

    func handleTimeout(now: Instant) {
        self.now = now
        plan.handleTimeout(now: now)
    }

    func ready(_ descriptor: Int32, readable: Bool, writable: Bool, now: Instant) {
        self.now = now
        guard let worker, worker.descriptor == descriptor else { return }
        for event in worker.take() { plan.receive(event, now: now) }
    }

    func listening(on addresses: [Multiaddr], now: Instant) {
        self.now = now
        let configuration = context.configuration
        let (interfaces, _) = MulticastInterfaces.usable(
            MulticastInterfaces.all(), allowed: configuration.allowedInterfaces, denied: configuration.deniedInterfaces)
        plan.setEntries(interfaces.compactMap { interface in
            let link = MDNSInterface(id: interface.index, name: interface.name, addresses: interface.addresses)
            guard let told = MDNSService.announcement(of: context.localPeer, attributes, addresses, on: link) else { return nil }
            return AvahiPublication.Entry(interface: interface.index, port: told.port, texts: told.texts)
        })
    }

    func connectedPeers(_ count: Int, now: Instant) {}

    func poll() -> SourceReport? {
        while let action = plan.poll() {
            switch action {
            case .start(let publication): start(publication)
            case .publish(let publication): worker?.publish(publication)
            case .collect: stopWorker()
            case .report(let report): return report
            }
        }
        return nil
    }

    private lazy var now = context.now

    private func start(_ publication: AvahiPublication?) {
        stopWorker()
        guard let library else { return }
        do throws(SystemError) {
            let worker = try AvahiWorker(library, type: type, publication: publication)
            self.worker = worker
            try context.readiness.add(worker.descriptor, token: context.tokenBase + UInt64(worker.descriptor), .readable)
        } catch {
            stopWorker()
            plan.couldNotStart(error, now: now)
        }
    }

    private func stopWorker() {
        guard let worker else { return }
        self.worker = nil
        context.readiness.remove(worker.descriptor)
        worker.stop()
    }

    func close() { stopWorker() }
}
