import CSystem
import Glibc

/// One session with avahi-daemon, on a thread of its own.
///
/// libavahi-client waits for each answer of the daemon, up to the 25 s of D-Bus, and neither can be changed: on the reactor thread a daemon that
/// hangs would stop the node. So the library lives here, and the reactor sees a mailbox. `stop` gets the thread out of a call by cutting its bus
/// connection.
final class AvahiWorker: Sendable {
    /// Events that wait for the reactor. A network has hundreds of services; more come when somebody floods it, and end the session.
    static let maximumEvents = 4_096
    /// `stop` waits so long for the daemon, and so long again after it cut the connection. A thread that hangs nevertheless ends by itself later.
    static let patience: Duration = .milliseconds(150)

    struct Shared {
        var publication: AvahiPublication?
        var isPublicationNew = false
        var isStopping = false
        var hasEnded = false
        var events: [AvahiEvent] = []
        /// The library's loop, while it may be woken.
        var poll: OpaquePointer?
        /// A copy of the bus connection's descriptor: the library may close its own at any time.
        var bus: Descriptor?

        /// False where there is no room: then the last event is the end of the session.
        mutating func append(_ event: AvahiEvent) -> Bool {
            guard events.count < AvahiWorker.maximumEvents else {
                events.append(.ended(AvahiError(code: AvahiError.tooManyObjects, text: "\(events.count) events waited")))
                return false
            }
            events.append(event)
            return true
        }
    }

    // The pointer in it is used under the lock.
    private let shared: Guarded<Shared>
    private let library: AvahiLibrary
    private let events: Wakeup
    private let thread: ReactorThread

    /// Watch it for `take`.
    var descriptor: Int32 { events.descriptor }

    /// `type`: of the services to publish and to browse for, such as `_p2p._udp`.
    init(_ library: AvahiLibrary, type: String, publication: AvahiPublication?) throws(SystemError) {
        let shared = Guarded(Shared(publication: publication, isPublicationNew: publication != nil)), events = try Wakeup()
        self.library = library
        self.shared = shared
        self.events = events
        thread = try ReactorThread(name: "meshnet-avahi") {
            AvahiSession(library, type: type, shared: shared, events: events).run()
            shared.with { $0.hasEnded = true }
            shared.wakeAll()
        }
    }

    func publish(_ publication: AvahiPublication) {
        shared.with {
            $0.publication = publication
            $0.isPublicationNew = true
            wake($0)
        }
    }

    func take() -> [AvahiEvent] {
        events.clear()
        return shared.with { shared in
            defer { shared.events = [] }
            return shared.events
        }
    }

    /// Withdraws what was published, and ends the thread. Waits for twice `patience` at most.
    func stop() {
        shared.with {
            $0.isStopping = true
            wake($0)
        }
        if hasEnded(within: Self.patience) { return thread.join() }
        shared.with { if let bus = $0.bus { _ = shutdown(bus.number, Int32(SHUT_RDWR)) } }
        if hasEnded(within: Self.patience) { return thread.join() }
        thread.detach()
    }

    private func hasEnded(within time: Duration) -> Bool {
        shared.wait(until: .deadline(after: time)) { (shared: inout Shared) -> Bool? in shared.hasEnded ? true : nil } ?? false
    }

    private func wake(_ shared: Shared) {
        if let poll = shared.poll { library.pollWakeup(poll) }
    }
}
