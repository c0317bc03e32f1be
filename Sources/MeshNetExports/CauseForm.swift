import CMeshNet
import MeshNetSwarm
import MeshNetSystem

/// A `DisconnectCause` in the words of C.
struct DisconnectForm {
    let cause: meshnet_disconnect_cause
    let detail: String
    let errno: Int32

    init(_ cause: DisconnectCause) {
        detail = cause.description
        (self.cause, errno) = Self.number(cause)
    }

    private static func number(_ cause: DisconnectCause) -> (meshnet_disconnect_cause, Int32) {
        switch cause {
        case .closedByUs: (MESHNET_DISCONNECT_CLOSED_BY_US, 0)
        case .shutdown: (MESHNET_DISCONNECT_SHUTDOWN, 0)
        case .closedByPeer: (MESHNET_DISCONNECT_CLOSED_BY_PEER, 0)
        case .connectionLost(let errno): (MESHNET_DISCONNECT_CONNECTION_LOST, errno)
        case .timedOut: (MESHNET_DISCONNECT_TIMED_OUT, 0)
        case .protocolViolation: (MESHNET_DISCONNECT_PROTOCOL_VIOLATION, 0)
        case .duplicate: (MESHNET_DISCONNECT_DUPLICATE, 0)
        case .limitReached: (MESHNET_DISCONNECT_LIMIT_REACHED, 0)
        }
    }
}

extension DialError {
    var form: meshnet_dial_cause {
        switch self {
        case .refused: return MESHNET_DIAL_REFUSED
        case .unreachable: return MESHNET_DIAL_UNREACHABLE
        case .timedOut: return MESHNET_DIAL_TIMED_OUT
        case .unresolved: return MESHNET_DIAL_UNRESOLVED
        case .unsupportedAddress: return MESHNET_DIAL_UNSUPPORTED_ADDRESS
        case .wrongPeer: return MESHNET_DIAL_WRONG_PEER
        case .selfDial: return MESHNET_DIAL_SELF_DIAL
        case .handshakeFailed: return MESHNET_DIAL_HANDSHAKE_FAILED
        case .limitReached: return MESHNET_DIAL_LIMIT_REACHED
        case .cancelled: return MESHNET_DIAL_CANCELLED
        case .noAddresses: return MESHNET_DIAL_NO_ADDRESSES
        case .otherNetwork: return MESHNET_DIAL_OTHER_NETWORK
        }
    }
}

/// Names by number: index 0 belongs to no value.
private let eventTypeNames: [StaticString] = [
    "", "listening", "connected", "disconnected", "message", "subscription", "identified", "stream opened", "dial failed", "address problem",
    "messages dropped", "completed", "closed", "discovered", "discovery source", "duplicate identity", "channel", "members", "woke", "storage",
    "accepted",
]
private let disconnectCauseNames: [StaticString] = [
    "", "closed by us", "shutdown", "closed by peer", "connection lost", "timed out", "protocol violation", "duplicate", "limit reached",
]
private let dialCauseNames: [StaticString] = [
    "", "refused", "unreachable", "timed out", "unresolved", "unsupported address", "wrong peer", "self dial", "handshake failed", "limit reached",
    "cancelled", "no addresses", "other network",
]

private func name(_ number: Int32, in names: [StaticString]) -> UnsafePointer<CChar>? {
    number > 0 && number < names.count ? names[Int(number)].cString : nil
}

@c @implementation public func meshnet_event_type_name(_ type: Int32) -> UnsafePointer<CChar>? { name(type, in: eventTypeNames) }

@c @implementation
public func meshnet_disconnect_cause_name(_ cause: Int32) -> UnsafePointer<CChar>? { name(cause, in: disconnectCauseNames) }

@c @implementation public func meshnet_dial_cause_name(_ cause: Int32) -> UnsafePointer<CChar>? { name(cause, in: dialCauseNames) }
