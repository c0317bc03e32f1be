import CMeshNet
import Glibc
import MeshNetProtocol
import MeshNetSwarm
import MeshNetSystem

/// What a call of the C interface can answer besides success.
enum Failure: Error {
    case call(CallError)
    /// The argument of this name is NULL or has a value that is not taken.
    case argument(StaticString, String)
    case handle(HandleKind)
    case structSize(StaticString, given: Int, known: Int)
    /// The text of an argument is not what the code asks for; the reason in the parser's words.
    case text(meshnet_error, StaticString, String)
    case bufferTooSmall(needed: Int, capacity: Int)
    case key(String)
    case keyFile(path: String, reason: String, errno: Int32)
    case busy(StaticString)
    case system(StaticString, errno: Int32)
    /// A file of the application, or of ours where there is no path.
    case failed(SystemError, path: String?)
    case noMemory

    /// Code, errno and words: what reaches the caller.
    var account: ErrorAccount {
        switch self {
        case .call(let error): return error.account
        case .argument(let name, let reason): return ErrorAccount(MESHNET_ERROR_INVALID_ARGUMENT, "\(name) \(reason)")
        case .handle(let kind): return ErrorAccount(MESHNET_ERROR_INVALID_HANDLE, "the value is not a live \(kind.name)")
        case .structSize(let name, let given, let known):
            return ErrorAccount(MESHNET_ERROR_STRUCT_SIZE, "\(name) says it has \(given) bytes; this library knows up to \(known)")
        case .text(let code, let name, let reason): return ErrorAccount(code, "\(name): \(reason)")
        case .bufferTooSmall(let needed, let capacity):
            return ErrorAccount(MESHNET_ERROR_BUFFER_TOO_SMALL, "\(needed) bytes are needed and \(capacity) were given")
        case .key(let reason): return ErrorAccount(MESHNET_ERROR_INVALID_KEY, reason)
        case .keyFile(let path, let reason, let errno): return ErrorAccount(MESHNET_ERROR_KEY_FILE, "\(path): \(reason)", errno: errno)
        case .busy(let what): return ErrorAccount(MESHNET_ERROR_BUSY, "another \(what) of this stream is under way")
        case .system(let call, let errno): return ErrorAccount(MESHNET_ERROR_SYSTEM, "\(call): \(describe(errno: errno))", errno: errno)
        case .failed(.failed(let call, let errno), let path):
            return ErrorAccount(MESHNET_ERROR_SYSTEM, "\(path.map { "\($0): " } ?? "")\(call): \(describe(errno: errno))", errno: errno)
        case .noMemory: return ErrorAccount(MESHNET_ERROR_NO_MEMORY, "the memory for the result could not be had")
        }
    }
}

/// A code with its evidence.
struct ErrorAccount {
    let code: meshnet_error
    let systemErrno: Int32
    let detail: String

    init(_ code: meshnet_error, _ detail: String, errno: Int32 = 0) {
        self.code = code
        self.detail = detail
        systemErrno = errno
    }

    var hint: StaticString { ErrorRow.find(code.rawValue)?.hint ?? ErrorRow.none }
}

extension CallError {
    /// The code; the words are the error's own.
    var account: ErrorAccount {
        let (code, errno) = codeAndErrno
        return ErrorAccount(code, description, errno: errno)
    }

    private var codeAndErrno: (meshnet_error, Int32) {
        switch self {
        case .closed: (MESHNET_ERROR_CLOSED, 0)
        case .timedOut: (MESHNET_ERROR_TIMED_OUT, 0)
        case .cancelled: (MESHNET_ERROR_CANCELLED, 0)
        case .notConnected: (MESHNET_ERROR_NOT_CONNECTED, 0)
        case .dial(let error, _): error.codeAndErrno
        case .noPeersSubscribed: (MESHNET_ERROR_NO_PEERS_SUBSCRIBED, 0)
        case .allQueuesFull: (MESHNET_ERROR_QUEUES_FULL, 0)
        case .messageTooLarge: (MESHNET_ERROR_MESSAGE_TOO_LARGE, 0)
        case .duplicateMessage: (MESHNET_ERROR_DUPLICATE_MESSAGE, 0)
        case .invalidTopic: (MESHNET_ERROR_INVALID_TOPIC, 0)
        case .notSubscribed: (MESHNET_ERROR_NOT_SUBSCRIBED, 0)
        case .protocolNotSupported: (MESHNET_ERROR_PROTOCOL_NOT_SUPPORTED, 0)
        case .invalidProtocol: (MESHNET_ERROR_INVALID_PROTOCOL, 0)
        case .noSuchStream: (MESHNET_ERROR_NO_SUCH_STREAM, 0)
        case .streamReset: (MESHNET_ERROR_STREAM_RESET, 0)
        case .streamClosed: (MESHNET_ERROR_STREAM_CLOSED, 0)
        case .limitReached: (MESHNET_ERROR_LIMIT_REACHED, 0)
        case .invalidAddress: (MESHNET_ERROR_INVALID_ADDRESS, 0)
        case .invalidSetting: (MESHNET_ERROR_INVALID_ARGUMENT, 0)
        case .invalidNetwork: (MESHNET_ERROR_INVALID_KEY, 0)
        case .privateNetworkRequired: (MESHNET_ERROR_INVALID_KEY, 0)
        case .expired: (MESHNET_ERROR_EXPIRED, 0)
        case .queueFull: (MESHNET_ERROR_QUEUE_FULL, 0)
        case .displaced: (MESHNET_ERROR_DISPLACED, 0)
        case .peerRestarted: (MESHNET_ERROR_PEER_RESTARTED, 0)
        case .peerClosed: (MESHNET_ERROR_PEER_CLOSED, 0)
        case .gaveUp: (MESHNET_ERROR_GAVE_UP, 0)
        case .storage: (MESHNET_ERROR_STORAGE, 0)
        case .listenFailed(_, EADDRINUSE): (MESHNET_ERROR_PORT_IN_USE, EADDRINUSE)
        case .listenFailed(_, let errno): (MESHNET_ERROR_LISTEN_FAILED, errno)
        }
    }
}

extension DialError {
    var account: ErrorAccount { ErrorAccount(codeAndErrno.0, description, errno: codeAndErrno.1) }

    fileprivate var codeAndErrno: (meshnet_error, Int32) {
        switch self {
        case .refused: (MESHNET_ERROR_REFUSED, ECONNREFUSED)
        case .unreachable(let errno): (MESHNET_ERROR_UNREACHABLE, errno)
        case .timedOut: (MESHNET_ERROR_TIMED_OUT, 0)
        case .unresolved: (MESHNET_ERROR_UNRESOLVED, 0)
        case .unsupportedAddress: (MESHNET_ERROR_UNSUPPORTED_ADDRESS, 0)
        case .wrongPeer: (MESHNET_ERROR_WRONG_PEER, 0)
        case .selfDial: (MESHNET_ERROR_SELF_DIAL, 0)
        case .otherNetwork: (MESHNET_ERROR_OTHER_NETWORK, 0)
        case .handshakeFailed: (MESHNET_ERROR_HANDSHAKE_FAILED, 0)
        case .limitReached: (MESHNET_ERROR_LIMIT_REACHED, 0)
        case .cancelled: (MESHNET_ERROR_CANCELLED, 0)
        case .noAddresses: (MESHNET_ERROR_NO_ADDRESSES, 0)
        }
    }
}

extension Duration {
    var milliseconds: Int64 { components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000 }
    var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
