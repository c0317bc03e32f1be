import Glibc
package import MeshNetProtocol
package import MeshNetSwarm

/// A running node: one swarm, run by one thread at a time (`Helm`).
///
/// Every method may be called from any thread. Completions run on the reactor thread, or in a blocking method on its caller's, and must not block; they
/// may call any method here but the blocking ones (`call`, `readBlocking`, `writeBlocking`), which would wait for themselves: that is a precondition.
/// In a child after `fork` every call fails with `.closed`, at once and without a lock; the parent's node goes on.
package final class Engine: Sendable {
    package typealias Completion<Value> = @Sendable (Result<Value, CallError>) -> Void

    package let localPeer: PeerID
    package let queue: EventQueue
    package let inbox: Inbox
    let mailbox: Mailbox
    let thread: ReactorThread
    let helm: Helm
    package let bodies: BodyMaker
    /// What is accepted is on disk.
    let hasStore: Bool
    /// The environment as it was at the start; nil: not looked at.
    private let settings: Settings?

    /// Binds, starts the reactor thread, and returns when it listens. Throws `.listenFailed`, `.invalidAddress`, `.invalidSetting`, `.invalidNetwork`,
    /// `.storage` when the state directory cannot be used, and `.limitReached` when the kernel has no descriptor, memory or thread left. A passphrase
    /// takes about 0.2 s and 64 MiB, before the thread starts; a state directory with much in it is read and checked before that, too.
    package convenience init(_ configuration: Configuration) throws(CallError) {
        try self.init(configuration, system: .kernel, nameServers: nil)
    }

    /// For tests: `system` provokes failures of the kernel; `nameServers` are asked instead of those in resolv.conf ("address:port,…").
    package init(_ configuration: Configuration, system: SystemCalls, nameServers: String? = nil) throws(CallError) {
        var configuration = configuration
        settings = configuration.readsEnvironment ? .environment() : nil
        if let settings { try configuration.apply(settings) }
        configuration.discovery = try Self.resolved(configuration.discovery)
        guard Libraries.areReady else { throw .limitReached("the cryptographic libraries cannot start") }
        do throws(NetworkKeyError) { try configuration.deriveNetworkKey() } catch { throw .invalidNetwork(error) }
        if configuration.preSharedKey == nil, let forced = getenv("LIBP2P_FORCE_PNET"), String(cString: forced) == "1" { throw .privateNetworkRequired }
        let listeners = try Listeners.open(configuration, system: system)
        localPeer = configuration.identity.peerID
        let storage = try Self.openStorage(configuration.messages)
        hasStore = configuration.messages.stateDirectory != nil
        bodies = BodyMaker(configuration.messages, storage.spool.folder)
        do throws(SystemError) {
            let mailbox = try Mailbox(), helm = try Helm(mailbox: mailbox, system: system)
            let queue = try EventQueue(limits: configuration.limits, helm: helm)
            let inbox = try Inbox(settlements: Settlements(wakeup: mailbox.wakeup), helm: helm)
            helm.give(try Loop(
                configuration, mailbox: mailbox, readiness: helm.readiness, queue: queue, inbox: inbox, storage: storage, listeners: listeners,
                system: system, nameServers: nameServers))
            thread = try ReactorThread(name: "meshnet") { helm.run() }
            self.helm = helm
            self.queue = queue
            self.inbox = inbox
            self.mailbox = mailbox
        } catch {
            switch error {
            case .failed(let call, let code): throw .limitReached("\(call): \(describe(errno: code))")
            }
        }
    }

    private static func openStorage(_ configuration: MessageConfiguration) throws(CallError) -> Storage {
        do throws(StorageProblem) { return try Storage(configuration, now: .now(), wallClock: WallClock.sinceEpoch()) } catch { throw .storage(error) }
    }

    deinit {
        guard !mailbox.ownerProcessIsGone else { return }
        close()
        // The last reference went in a completion: nobody can join any more.
        if thread.isCurrent { thread.detach() }
    }

    /// With the real port, wildcards expanded to the addresses of the interfaces, loopback last. Empty after close.
    package func listenAddresses() -> [Multiaddr] { mailbox.addresses }

    /// Idempotent, from any thread, also from a completion; under 1 s. All waiters end with `.closed`. Returns when the reactor thread is gone,
    /// except in a completion.
    package func close() {
        guard !mailbox.ownerProcessIsGone else { return }
        mailbox.requestClose()
        if !helm.isSteeredHere { thread.join() }
    }

    /// For a loop that is about to sleep: serves the node for up to `Looking.longest`, without sleeping. True: an event or a message waits, or the node is
    /// closed. Throws `.closed` in a forked child.
    package func look() throws(CallError) -> Bool {
        guard !mailbox.ownerProcessIsGone else { throw .closed }
        return helm.look { queue.isReady || inbox.isReady }
    }

    /// Bytes that the caller's thread seals and sends itself. More is the reactor thread's, so that the caller goes on meanwhile.
    static let largestServedHere = 16_384

    // MARK: Commands

    /// `Command.configureDiscovery` for a configuration as an application gives it: with what the environment adds, and checked.
    package func configureDiscovery(_ discovery: DiscoveryConfiguration) throws(CallError) -> Command {
        var discovery = discovery
        if let settings { try discovery.apply(settings) }
        return .configureDiscovery(try Self.resolved(discovery))
    }

    private static func resolved(_ discovery: DiscoveryConfiguration) throws(CallError) -> DiscoveryConfiguration {
        var discovery = discovery
        discovery.modes = discovery.modes ?? .standard
        try discovery.check()
        return discovery
    }

    /// The ticket is for `cancel`.
    @discardableResult
    package func submit(_ command: Command, completion: @escaping Completion<Outcome>) -> Ticket {
        let ticket = mailbox.makeTicket()
        if let error = mailbox.post(.command(command, ticket, completion)) { completion(.failure(error)) }
        return ticket
    }

    /// The result arrives in `queue` as `.completion`. Throws `.closed` and `.limitReached`.
    package func submit(_ command: Command) throws(CallError) -> Ticket {
        let ticket = mailbox.makeTicket()
        if let error = mailbox.post(.command(command, ticket, nil)) { throw error }
        return ticket
    }

    /// Blocks the caller; nil: without limit. Throws `.timedOut`; what a command that timed out achieves later is undone if it is a stream.
    package func call(_ command: Command, timeout: Duration?) throws(CallError) -> Outcome {
        // Before any generic code: in a forked child a lock of the runtime may be held by a thread that is not there.
        guard !mailbox.ownerProcessIsGone else { throw .closed }
        return try block(timeout: timeout) { ticket, completion in .command(command, ticket, completion) }
    }

    /// Publishes messages in order, up to the first that cannot be, at the cost of one call. Blocks for a turn of the loop for each
    /// `publishedAtOnce`; the memory is free when this returns. The failure may also be `.closed` or `.limitReached`.
    package func publish(_ topic: String, _ bodies: [UnsafeRawBufferPointer]) -> PublishReport {
        guard !mailbox.ownerProcessIsGone else { return PublishReport(count: 0, failure: .closed) }
        var total = PublishReport(count: 0)
        while total.count < bodies.count, total.failure == nil {
            let part = CallerMemory(buffer: Array(bodies[total.count..<min(bodies.count, total.count + Self.publishedAtOnce)]))
            do throws(CallError) {
                let report: PublishReport = try block(timeout: nil) { .publish(topic: topic, part, $0, $1) }
                total = PublishReport(count: total.count + report.count, failure: report.failure)
            } catch { total.failure = error }
        }
        return total
    }

    /// The same for at most `publishedAtOnce` messages, without blocking. The memory must stay until the completion.
    package func publish(_ topic: String, _ bodies: [UnsafeRawBufferPointer], completion: @escaping Completion<PublishReport>) {
        precondition(bodies.count <= Self.publishedAtOnce, "more than one turn publishes")
        if let error = mailbox.post(.publish(topic: topic, CallerMemory(buffer: bodies), mailbox.makeTicket(), completion)) { completion(.failure(error)) }
    }

    /// Messages that are signed, encrypted and sent in one turn, so that others are served in between.
    package static let publishedAtOnce = 256

    /// Ends a command, read or write early: its completion comes with `error` unless it was about to complete anyway; after it the memory is free.
    /// Bytes of a cancelled write may have been sent; a cancelled read took none.
    package func cancel(_ ticket: Ticket, as error: CallError = .cancelled) { _ = mailbox.post(.cancel(ticket, error)) }

    // MARK: Streams

    /// Completes with the bytes read (at least one), or 0 at the end of the stream and for empty memory. The memory must stay until the completion.
    /// Reads of one stream are served in order.
    @discardableResult
    package func read(_ stream: StreamID, into memory: UnsafeMutableRawBufferPointer, completion: @escaping Completion<Int>) -> Ticket {
        let ticket = mailbox.makeTicket()
        if let error = mailbox.post(.read(stream, CallerMemory(buffer: memory), ticket, completion), wakes: false) {
            completion(.failure(error))
        } else {
            helm.serve()
        }
        return ticket
    }

    /// Completes with the byte count when every byte is in the connection's send buffer. The memory must stay until the completion.
    /// Writes of one stream are served in order.
    @discardableResult
    package func write(_ stream: StreamID, _ bytes: UnsafeRawBufferPointer, completion: @escaping Completion<Int>) -> Ticket {
        let ticket = mailbox.makeTicket()
        if let error = mailbox.post(.write(stream, CallerMemory(buffer: bytes), ticket, completion)) { completion(.failure(error)) }
        return ticket
    }

    /// Blocks; throws `.timedOut` without having taken bytes from the stream.
    package func readBlocking(_ stream: StreamID, into memory: UnsafeMutableRawBufferPointer, timeout: Duration?) throws(CallError) -> Int {
        try block(timeout: timeout) { ticket, completion in .read(stream, CallerMemory(buffer: memory), ticket, completion) }
    }

    /// Blocks; after `.timedOut` a part of the bytes may have been sent.
    package func writeBlocking(_ stream: StreamID, _ bytes: UnsafeRawBufferPointer, timeout: Duration?) throws(CallError) {
        let _: Int = try block(timeout: timeout, runsLoop: bytes.count <= Self.largestServedHere) { ticket, completion in
            .write(stream, CallerMemory(buffer: bytes), ticket, completion)
        }
    }

    /// Nothing more will be written; what was written is sent first. Reading goes on.
    package func closeWrite(_ stream: StreamID) { _ = mailbox.post(.closeWrite(stream)) }
    /// Both directions, in order: what was written is still sent, what arrives is discarded. Waiting reads end with `.streamClosed`.
    package func closeStream(_ stream: StreamID) { _ = mailbox.post(.closeStream(stream)) }
    /// Both directions at once, unsent bytes are lost. Waiting reads and writes end with `.streamClosed`.
    package func resetStream(_ stream: StreamID) { _ = mailbox.post(.resetStream(stream)) }

    /// After a timeout the completion is still awaited: the reactor answers a cancellation in its next turn, and until then it may use the memory.
    private func block<Value: Sendable>(
        timeout: Duration?, runsLoop: Bool = true, _ request: (Ticket, @escaping Completion<Value>) -> Request
    ) throws(CallError) -> Value {
        guard !mailbox.ownerProcessIsGone else { throw .closed }
        precondition(!helm.isSteeredHere, "a completion must not block")
        let waiter = Waiter<Value>(helm: runsLoop ? helm : nil), ticket = mailbox.makeTicket()
        if let error = mailbox.post(request(ticket, { waiter.fulfil($0) }), wakes: !runsLoop) { throw error }
        if runsLoop { helm.serve() }
        if let result = waiter.wait(until: .deadline(after: timeout)) { return try result.get() }
        cancel(ticket, as: .timedOut)
        return try waiter.wait(until: nil)!.get()
    }
}
