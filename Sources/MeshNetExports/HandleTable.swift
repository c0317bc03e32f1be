import Glibc
import MeshNetProtocol

/// Maps the handles of the C interface to objects.
///
/// A handle looks like a pointer and is a number: it is looked up and never followed, and no number is given out twice, so that a handle used after its
/// `_free`, freed twice or made up is found out. Bits above the address space keep numbers and real pointers apart.
enum HandleTable {
    enum Entry {
        case node(NodeBox)
        case keyPair(KeyPair)
    }

    private static let mark: UInt = 0x6D6E_0000_0000_0000
    /// Handles are as far apart as allocations would be.
    private static let step: UInt = 16

    private struct State {
        var entries: [UInt: Entry] = [:]
        var next: UInt = mark + step
    }

    /// Shared by both kinds and held over `fork`, so that the table of a child is whole.
    private nonisolated(unsafe) static var state = State()
    private static let lock = ForkLock()

    static func insert(_ entry: Entry) -> OpaquePointer {
        lock.acquire()
        defer { lock.release() }
        let handle = state.next
        state.next += step
        state.entries[handle] = entry
        return OpaquePointer(bitPattern: handle)!
    }

    static func find(_ handle: OpaquePointer) -> Entry? {
        lock.acquire()
        defer { lock.release() }
        return state.entries[UInt(bitPattern: handle)]
    }

    static func removeNode(_ handle: OpaquePointer) -> NodeBox? {
        lock.acquire()
        defer { lock.release() }
        guard case .node(let node) = state.entries[UInt(bitPattern: handle)] else { return nil }
        state.entries[UInt(bitPattern: handle)] = nil
        return node
    }

    static func removeKeyPair(_ handle: OpaquePointer) -> KeyPair? {
        lock.acquire()
        defer { lock.release() }
        guard case .keyPair(let keyPair) = state.entries[UInt(bitPattern: handle)] else { return nil }
        state.entries[UInt(bitPattern: handle)] = nil
        return keyPair
    }
}

enum HandleKind {
    case node, keyPair
    var name: StaticString { self == .node ? "node" : "key pair" }
}

/// How often this process came out of `fork`: 0 in the first one. What was made under another number belongs to an ancestor.
enum Generation {
    fileprivate nonisolated(unsafe) static var forks: UInt = 0
    /// Written by the fork handler only, when its process has one thread.
    static var current: UInt { forks }
}

/// A lock that `fork` takes and both processes let go, so that a child never finds it held by a thread that it does not have.
private final class ForkLock: @unchecked Sendable {
    private static let mutex = {
        let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_atfork({ ForkLock.take() }, { ForkLock.give() }, { Generation.forks += 1; ForkLock.give() })
        return SharedPointer(mutex)
    }()

    private struct SharedPointer: @unchecked Sendable {
        let value: UnsafeMutablePointer<pthread_mutex_t>
        init(_ value: UnsafeMutablePointer<pthread_mutex_t>) { self.value = value }
    }

    private static func take() { pthread_mutex_lock(mutex.value) }
    private static func give() { pthread_mutex_unlock(mutex.value) }

    func acquire() { Self.take() }
    func release() { Self.give() }
}
