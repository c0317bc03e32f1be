/// The protocols that a multiaddr can name, by their code (multiaddr specification, protocols.csv).
package enum AddressProtocol: UInt64, Sendable, CaseIterable {
    case ip4 = 4, tcp = 6, dccp = 33, ip6 = 41, ip6zone = 42, ipcidr = 43
    case dns = 53, dns4 = 54, dns6 = 55, dnsaddr = 56
    case sctp = 132, udp = 273, p2pWebRTCStar = 275, p2pWebRTCDirect = 276, webrtcDirect = 280, webrtc = 281
    case p2pCircuit = 290, udt = 301, utp = 302
    case unix = 400, p2p = 421, https = 443, onion = 444, onion3 = 445, garlic64 = 446, garlic32 = 447
    case tls = 448, sni = 449, noise = 454, quic = 460, quicV1 = 461, webtransport = 465, certhash = 466
    case ws = 477, wss = 478, p2pWebsocketStar = 479, http = 480, httpPath = 481
    case memory = 777

    package var name: String { Self.names[self] ?? spelling }

    // Made once: the name of a case is looked up by reflection.
    private static let names = Dictionary(uniqueKeysWithValues: allCases.map { ($0, $0.spelling) })
    private static let named = Dictionary(uniqueKeysWithValues: allCases.map { ($0.spelling, $0) })

    private var spelling: String {
        switch self {
        case .p2pWebRTCStar: "p2p-webrtc-star"
        case .p2pWebRTCDirect: "p2p-webrtc-direct"
        case .webrtcDirect: "webrtc-direct"
        case .p2pCircuit: "p2p-circuit"
        case .quicV1: "quic-v1"
        case .p2pWebsocketStar: "p2p-websocket-star"
        case .httpPath: "http-path"
        default: "\(self)"
        }
    }

    /// `ipfs` is the old name of `p2p`: read, never written.
    package init?(name: some StringProtocol) {
        guard let found = name == "ipfs" ? .p2p : Self.named[String(name)] else { return nil }
        self = found
    }

    package enum ValueSize: Equatable, Sendable {
        /// Bytes of a value whose length its protocol fixes; 0 means that there is no value.
        case fixed(Int)
        /// A varint length stands before the value.
        case prefixed
    }

    package var valueSize: ValueSize {
        switch self {
        case .ip4: .fixed(4)
        case .ip6: .fixed(16)
        case .ipcidr: .fixed(1)
        case .tcp, .udp, .dccp, .sctp: .fixed(2)
        case .memory: .fixed(8)
        case .onion: .fixed(12)
        case .onion3: .fixed(37)
        case .ip6zone, .dns, .dns4, .dns6, .dnsaddr, .unix, .p2p, .garlic64, .garlic32, .sni, .certhash, .httpPath: .prefixed
        case .p2pWebRTCStar, .p2pWebRTCDirect, .webrtcDirect, .webrtc, .p2pCircuit, .udt, .utp, .https, .tls, .noise, .quic, .quicV1,
            .webtransport, .ws, .wss, .p2pWebsocketStar, .http:
            .fixed(0)
        }
    }
}
