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
    var account: ErrorAccount {
        switch self {
        case .closed: return ErrorAccount(MESHNET_ERROR_CLOSED, "the node is closed")
        case .timedOut: return ErrorAccount(MESHNET_ERROR_TIMED_OUT, "nothing happened in the time allowed")
        case .cancelled: return ErrorAccount(MESHNET_ERROR_CANCELLED, "the call was cancelled")
        case .notConnected(let peer): return ErrorAccount(MESHNET_ERROR_NOT_CONNECTED, "there is no connection with \(peer)")
        case .dial(let error): return error.account
        case .noPeersSubscribed(let topic): return ErrorAccount(MESHNET_ERROR_NO_PEERS_SUBSCRIBED, "no connected peer follows topic \"\(topic)\"")
        case .allQueuesFull(let topic): return ErrorAccount(MESHNET_ERROR_QUEUES_FULL, "every peer that follows topic \"\(topic)\" has a full queue")
        case .messageTooLarge(let size, let limit):
            return ErrorAccount(MESHNET_ERROR_MESSAGE_TOO_LARGE, "the message has \(size) bytes; at most \(limit) fit")
        case .duplicateMessage: return ErrorAccount(MESHNET_ERROR_DUPLICATE_MESSAGE, "a message with this content was published a short time ago")
        case .invalidTopic(let topic): return ErrorAccount(MESHNET_ERROR_INVALID_TOPIC, "\"\(topic)\" is no topic name")
        case .notSubscribed(let topic):
            return ErrorAccount(MESHNET_ERROR_NOT_SUBSCRIBED, "topic \"\(topic)\" is followed neither here nor by a connected peer")
        case .protocolNotSupported(let protocols):
            return ErrorAccount(MESHNET_ERROR_PROTOCOL_NOT_SUPPORTED, "the peer speaks none of \(protocols.joined(separator: ", "))")
        case .invalidProtocol(let text): return ErrorAccount(MESHNET_ERROR_INVALID_PROTOCOL, "\"\(text)\" is no protocol id")
        case .noSuchStream: return ErrorAccount(MESHNET_ERROR_NO_SUCH_STREAM, "the stream was never opened, or was closed here")
        case .streamReset: return ErrorAccount(MESHNET_ERROR_STREAM_RESET, "the peer reset the stream, or its connection was lost")
        case .streamClosed: return ErrorAccount(MESHNET_ERROR_STREAM_CLOSED, "the writing side of the stream is closed")
        case .limitReached(let name): return ErrorAccount(MESHNET_ERROR_LIMIT_REACHED, "limit reached: \(name)")
        case .invalidAddress(let text, let reason): return ErrorAccount(MESHNET_ERROR_INVALID_ADDRESS, "\"\(text)\": \(reason)")
        case .listenFailed(let address, EADDRINUSE):
            return ErrorAccount(MESHNET_ERROR_PORT_IN_USE, "\(address) is in use by another socket", errno: EADDRINUSE)
        case .listenFailed(let address, let errno):
            return ErrorAccount(MESHNET_ERROR_LISTEN_FAILED, "cannot listen on \(address): \(describe(errno: errno))", errno: errno)
        }
    }
}

extension DialError {
    var account: ErrorAccount {
        switch self {
        case .refused: return ErrorAccount(MESHNET_ERROR_REFUSED, "connection refused", errno: ECONNREFUSED)
        case .unreachable(let errno): return ErrorAccount(MESHNET_ERROR_UNREACHABLE, describe(errno: errno), errno: errno)
        case .timedOut(let time): return ErrorAccount(MESHNET_ERROR_TIMED_OUT, "no answer within \(time.milliseconds) ms")
        case .unresolved(let host, let reason): return ErrorAccount(MESHNET_ERROR_UNRESOLVED, "\(host): \(reason)")
        case .unsupportedAddress: return ErrorAccount(MESHNET_ERROR_UNSUPPORTED_ADDRESS, "no transport here speaks this address")
        case .wrongPeer(let expected, let actual):
            return ErrorAccount(MESHNET_ERROR_WRONG_PEER, "expected \(expected), but \(actual) answered")
        case .selfDial: return ErrorAccount(MESHNET_ERROR_SELF_DIAL, "the address is this node's own")
        case .handshakeFailed(let failure): return ErrorAccount(MESHNET_ERROR_HANDSHAKE_FAILED, failure.words)
        case .limitReached(let name): return ErrorAccount(MESHNET_ERROR_LIMIT_REACHED, "limit reached: \(name)")
        case .cancelled: return ErrorAccount(MESHNET_ERROR_CANCELLED, "the dial was cancelled")
        case .noAddresses: return ErrorAccount(MESHNET_ERROR_NO_ADDRESSES, "no address to dial")
        }
    }
}

extension HandshakeFailure {
    var words: String {
        switch self {
        case .closedDuring(let stage):
            return "the peer closed the connection during \(stage.name): typical of another private network key, or of none"
        case .timedOut(let stage): return "no answer in time during \(stage.name)"
        case .noCommonProtocol(let stage): return "no protocol in common for \(stage.name)"
        case .malformed(let stage, let what): return "unexpected bytes during \(stage.name): \(what)"
        case .notAuthentic(let what): return "not authentic: \(what)"
        case .wrongPeer(let expected, let actual): return "expected \(expected), but \(actual) answered"
        }
    }
}

extension HandshakeStage {
    var name: StaticString {
        switch self {
        case .privateNetwork: return "private network"
        case .security: return "security negotiation"
        case .noise: return "noise"
        case .muxer: return "muxer negotiation"
        }
    }
}

extension Duration {
    var milliseconds: Int64 { components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000 }
    var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
