import CSystem
import Glibc

/// The client of one session; everything here happens on the worker's thread.
final class AvahiSession {
    /// Services that are kept resolved. The daemon allows a client 1,024 objects.
    static let maximumServices = 512
    /// The client waits for a daemon that is not there yet (AVAHI_CLIENT_NO_FAIL).
    private static let waitsForDaemon: Int32 = 2
    private static let anyInterface: Int32 = -1
    private static let anyFamily: Int32 = -1
    /// Where a peer is reached, its texts say (AVAHI_LOOKUP_NO_ADDRESS).
    private static let withoutAddress: Int32 = 8

    private let library: AvahiLibrary
    private let type: String
    private let shared: Guarded<AvahiWorker.Shared>
    private let events: Wakeup
    private var client: OpaquePointer?
    private var browser: OpaquePointer?
    private var groups: [OpaquePointer] = []
    private var resolvers: [AvahiService: OpaquePointer] = [:]
    private var isRunning = false
    private var hasEnded = false
    private var busNumber: Int32 = -1

    init(_ library: AvahiLibrary, type: String, shared: Guarded<AvahiWorker.Shared>, events: Wakeup) {
        self.library = library
        self.type = type
        self.shared = shared
        self.events = events
    }

    func run() {
        guard let poll = library.pollNew() else { return end(AvahiError.noMemory) }
        let me = Unmanaged.passUnretained(self).toOpaque()
        library.pollSetFunction(poll, onPoll, me)
        shared.with { $0.poll = poll }
        var code: Int32 = 0
        client = library.clientNew(library.pollInterface(poll), Self.waitsForDaemon, onClient, me, &code)
        if client == nil { end(code) }
        while !hasEnded, !isStopping {
            publishWhatIsNew()
            guard !hasEnded, !isStopping else { break }
            if library.pollIterate(poll, -1) != 0 { end(AvahiError.disconnected) }
        }
        hasEnded = true
        if let client { library.clientFree(client) }
        shared.with {
            $0.poll = nil
            $0.bus = nil
        }
        library.pollFree(poll)
    }

    private var isStopping: Bool { shared.with { $0.isStopping } }

    // MARK: Events

    private func tell(_ event: AvahiEvent) {
        guard !hasEnded else { return }
        if !shared.with({ $0.append(event) }) { hasEnded = true }
        events.signal()
    }

    private func end(_ code: Int32) {
        guard !hasEnded else { return }
        tell(.ended(error(code)))
        hasEnded = true
    }

    private func error(_ code: Int32) -> AvahiError {
        AvahiError(code: code, text: library.errorText(code).map { String(cString: $0) } ?? "error \(code)")
    }

    private var lastError: Int32 { client.map { library.clientError($0) } ?? AvahiError.disconnected }

    // MARK: The client

    /// Called for the first time before `clientNew` returns.
    fileprivate func changed(_ client: OpaquePointer?, _ state: Int32) {
        guard !hasEnded, let client else { return }
        self.client = client
        switch state {
        case 2:  // AVAHI_CLIENT_S_RUNNING
            isRunning = true
            tell(.running)
            browse()
            shared.with { $0.isPublicationNew = $0.publication != nil }
        case 1, 3:  // S_REGISTERING, S_COLLISION: the daemon settles its own name, and withdraws what was published with the old one.
            isRunning = false
            withdraw()
        case 100:  // AVAHI_CLIENT_FAILURE
            end(library.clientError(client))
        case 101:  // AVAHI_CLIENT_CONNECTING
            tell(.waiting)
        default: break
        }
    }

    fileprivate func wait(_ descriptors: UnsafeMutablePointer<pollfd>?, _ count: UInt32, _ timeout: Int32) -> Int32 {
        // The first is the loop's own pipe.
        if count > 1, let number = descriptors?[1].fd, number != busNumber {
            busNumber = number
            let copy = fcntl(number, F_DUPFD_CLOEXEC, 0)
            shared.with { $0.bus = copy < 0 ? nil : Descriptor(owning: copy) }
        }
        return poll(descriptors, nfds_t(count), timeout)
    }

    // MARK: Publishing

    private func withdraw() {
        for group in groups { _ = library.groupFree(group) }
        groups = []
    }

    /// One group for each interface: the daemon allows a group 32 records, and a collision or refusal on one interface leaves the others alone.
    private func publishWhatIsNew() {
        guard isRunning else { return }
        let publication = shared.with { shared -> AvahiPublication? in
            guard shared.isPublicationNew else { return nil }
            shared.isPublicationNew = false
            return shared.publication
        }
        guard let publication else { return }
        withdraw()
        for entry in publication.entries where !hasEnded { add(entry, name: publication.name) }
    }

    private func add(_ entry: AvahiPublication.Entry, name: String) {
        guard let group = library.groupNew(client, onGroup, Unmanaged.passUnretained(self).toOpaque()) else { return end(lastError) }
        groups.append(group)
        // Each goes in front of the list.
        var texts: OpaquePointer?
        for text in entry.texts.reversed() { texts = text.withUnsafeBufferPointer { library.listAdd(texts, $0.baseAddress, $0.count) } }
        defer { library.listFree(texts) }
        var code = library.groupAddService(
            group, Int32(bitPattern: entry.interface), Self.anyFamily, 0, name, type, nil, nil, entry.port, texts)
        if code == 0 { code = library.groupCommit(group) }
        switch code {
        case 0...: break
        case AvahiError.collision: tell(.collision)
        case AvahiError.busError, AvahiError.disconnected: end(code)
        default: tell(.refused(error(code)))
        }
    }

    fileprivate func groupChanged(_ state: Int32) {
        guard !hasEnded else { return }
        switch state {
        case 2: tell(.established)
        case 3: tell(.collision)
        case 4: tell(.refused(error(lastError)))
        default: break
        }
    }

    // MARK: Browsing

    private func browse() {
        guard browser == nil else { return }
        browser = library.browserNew(
            client, Self.anyInterface, Self.anyFamily, type, nil, 0, onBrowser, Unmanaged.passUnretained(self).toOpaque())
        if browser == nil { end(lastError) }
    }

    /// The texts are the library's, and hold for this call.
    fileprivate func browsed(_ event: Int32, _ service: AvahiService, type: UnsafePointer<CChar>?, domain: UnsafePointer<CChar>?, flags: Int32) {
        guard !hasEnded else { return }
        switch event {
        case 0:  // NEW. Flag 16: it is ours.
            guard flags & 16 == 0, resolvers[service] == nil, resolvers.count < Self.maximumServices else { return }
            let me = Unmanaged.passUnretained(self).toOpaque()
            guard let resolver = library.resolverNew(
                client, service.interface, service.family, service.name, type, domain, Self.anyFamily, Self.withoutAddress, onResolver, me)
            else { return end(lastError) }
            resolvers[service] = resolver
        case 1:  // REMOVE
            guard let resolver = resolvers.removeValue(forKey: service) else { return }
            _ = library.resolverFree(resolver)
            tell(.lost(service))
        case 3: tell(.settled)
        case 4: end(lastError)
        default: break
        }
    }

    fileprivate func resolved(_ event: Int32, _ service: AvahiService, texts list: OpaquePointer?) {
        guard !hasEnded, resolvers[service] != nil else { return }
        guard event == 0 else { return tell(.unresolved(service)) }
        var texts: [[UInt8]] = [], next = list
        while let item = next {
            texts.append(Array(UnsafeBufferPointer(start: library.listText(item), count: library.listSize(item))))
            next = library.listNext(item)
        }
        tell(.found(service, interface: Self.name(ofInterface: service.interface), texts: texts))
    }

    private static func name(ofInterface index: Int32) -> String {
        var name = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
        guard if_indextoname(UInt32(bitPattern: index), &name) != nil else { return String(index) }
        return name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }
}

// What the library calls, with the session as its user data.

private func session(_ data: UnsafeMutableRawPointer?) -> AvahiSession? {
    data.map { Unmanaged<AvahiSession>.fromOpaque($0).takeUnretainedValue() }
}

private func service(_ name: UnsafePointer<CChar>?, _ interface: Int32, _ family: Int32) -> AvahiService {
    AvahiService(name: name.map { String(cString: $0) } ?? "", interface: interface, family: family)
}

private let onPoll: AvahiLibrary.PollFunction = { session($3)?.wait($0, $1, $2) ?? -1 }
private let onClient: AvahiLibrary.ClientCallback = { session($2)?.changed($0, $1) }
private let onGroup: AvahiLibrary.GroupCallback = { session($2)?.groupChanged($1) }
private let onBrowser: AvahiLibrary.BrowserCallback = { _, interface, family, event, name, type, domain, flags, data in
    session(data)?.browsed(event, service(name, interface, family), type: type, domain: domain, flags: flags)
}
private let onResolver: AvahiLibrary.ResolverCallback = { _, interface, family, event, name, _, _, _, _, _, texts, _, data in
    session(data)?.resolved(event, service(name, interface, family), texts: texts)
}
