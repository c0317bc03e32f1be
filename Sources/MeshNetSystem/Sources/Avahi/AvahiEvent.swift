/// What we publish.
struct AvahiPublication: Equatable, Sendable {
    struct Entry: Equatable, Sendable {
        /// The kernel's index.
        let interface: UInt32
        let port: UInt16
        let texts: [[UInt8]]
    }

    var name: String
    /// One for each interface: each is told its own addresses.
    var entries: [Entry]
}

/// A service as the daemon tells of it: once for each interface and family over which it was heard.
struct AvahiService: Hashable, Sendable {
    let name: String
    let interface: Int32
    let family: Int32
}

enum AvahiEvent: Equatable, Sendable {
    /// The bus is there, the daemon is not; it may come.
    case waiting
    case running
    case established
    /// Another has our name.
    case collision
    /// What we publish is not taken; browsing goes on.
    case refused(AvahiError)
    case found(AvahiService, interface: String, texts: [[UInt8]])
    case lost(AvahiService)
    /// It is there, and does not answer.
    case unresolved(AvahiService)
    /// All that is known at the start was told.
    case settled
    /// Nothing follows.
    case ended(AvahiError)
}

/// An error code of avahi-common/error.h, and the library's words.
struct AvahiError: Error, Equatable, Sendable {
    var code: Int32
    var text: String

    static let collision: Int32 = -8
    static let invalidServiceName: Int32 = -10
    static let invalidServiceType: Int32 = -11
    static let timedOut: Int32 = -15
    static let tooManyClients: Int32 = -16
    static let tooManyObjects: Int32 = -17
    static let tooManyEntries: Int32 = -18
    static let accessDenied: Int32 = -20
    static let busError: Int32 = -22
    static let disconnected: Int32 = -23
    static let noMemory: Int32 = -24
    static let noDaemon: Int32 = -26
    static let notPermitted: Int32 = -50
}
