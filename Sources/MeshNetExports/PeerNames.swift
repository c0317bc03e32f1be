import Glibc
import MeshNetProtocol
import Synchronization

/// The peers that an application named last, and those that it was told of, so that a peer id is neither read nor written anew for each request or
/// connection: base58 takes a sixth of a request.
///
/// Of one node, whose lock no forked child touches.
final class PeerNames: Sendable {
    /// Peers of each kind that are kept; the first one goes.
    static let maximum = 8

    private struct Name {
        /// As it was given, with its NUL.
        let given: ContiguousArray<CChar>
        let peer: PeerID
        /// As we write it.
        let text: String
    }

    private struct State {
        var names: [Name] = []
        var next = 0
        var written: [(peer: PeerID, text: String)] = []
        var nextWritten = 0
    }

    private let state = Mutex(State())

    /// The peer of a text argument.
    func peer(_ pointer: UnsafePointer<CChar>?) throws(Failure) -> PeerID {
        if let pointer, let known = find(pointer) { return known }
        let peer = try peerID(pointer)
        if let pointer {
            let given = UnsafeBufferPointer(start: pointer, count: strlen(pointer) + 1)
            keep(Name(given: ContiguousArray(given), peer: peer, text: peer.description))
        }
        return peer
    }

    func text(of peer: PeerID) -> String {
        state.withLock { state in
            if let written = state.written.first(where: { $0.peer == peer }) { return written.text }
            let text = state.names.first { $0.peer == peer }?.text ?? peer.description
            if state.written.count < Self.maximum {
                state.written.append((peer, text))
            } else {
                state.written[state.nextWritten] = (peer, text)
                state.nextWritten = (state.nextWritten + 1) % Self.maximum
            }
            return text
        }
    }

    private func find(_ pointer: UnsafePointer<CChar>) -> PeerID? {
        state.withLock { state in
            state.names.first { name in name.given.withUnsafeBufferPointer { strcmp($0.baseAddress!, pointer) == 0 } }?.peer
        }
    }

    private func keep(_ name: Name) {
        state.withLock { state in
            if state.names.count < Self.maximum {
                state.names.append(name)
            } else {
                state.names[state.next] = name
                state.next = (state.next + 1) % Self.maximum
            }
        }
    }
}
