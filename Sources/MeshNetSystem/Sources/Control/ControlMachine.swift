import MeshNetProtocol
import MeshNetSwarm

/// What a machine cannot know by itself.
struct ControlSurroundings: Equatable {
    /// Seconds since 1970 by our clock.
    var wallClock: Int64
    /// Addresses of this machine's interfaces.
    var addresses: [[UInt8]] = []
    /// The path of a socket where tailscaled may answer.
    var tailscaledSocket: String?
}

enum ControlAction: Equatable {
    /// Answered by one `receive`, before which no other request is made.
    case request(HTTPRequest)
    case report(SourceReport)
}

/// Asks a control server for nodes, one request at a time. Call `poll()` until nil after each other call.
protocol ControlMachine {
    var deadline: Instant? { get }
    mutating func handleTimeout(_ surroundings: ControlSurroundings, now: Instant)
    mutating func receive(_ answer: Result<HTTPResponse, HTTPFailure>, _ surroundings: ControlSurroundings, now: Instant)
    /// The addresses where we listen, those of other machines first.
    mutating func listening(on addresses: [Multiaddr])
    mutating func connectedPeers(_ count: Int, now: Instant)
    mutating func poll() -> ControlAction?
}

extension OwnPlace {
    /// TCP addresses of ours.
    static func places(_ addresses: [Multiaddr]) -> [(ip: [UInt8], port: UInt16)] {
        addresses.compactMap { address in
            var ip: [UInt8]?
            for component in address.components {
                switch component {
                case .ip4(let bytes), .ip6(let bytes): ip = bytes
                case .tcp(let port): return ip.map { ($0, port) }
                default: break
                }
            }
            return nil
        }
    }
}
