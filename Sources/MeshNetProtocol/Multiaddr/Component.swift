extension Multiaddr {
    /// One protocol of an address with its value.
    public enum Component: Hashable, Sendable {
        /// 4 bytes in network order.
        case ip4([UInt8])
        /// 16 bytes in network order.
        case ip6([UInt8])
        case ip6zone(String)
        case ipcidr(UInt8)
        case dns(String), dns4(String), dns6(String), dnsaddr(String)
        case tcp(UInt16), udp(UInt16), dccp(UInt16), sctp(UInt16)
        case p2p(PeerID), p2pCircuit
        case quic, quicV1, webtransport
        /// A multihash of a certificate.
        case certhash([UInt8])
        case ws, wss, tls, noise, http, https
        case sni(String)
        case httpPath(String)
        /// An absolute path; always the last component of a text.
        case unix(String)
        case memory(UInt64)
        case udt, utp, webrtc, webrtcDirect, p2pWebRTCStar, p2pWebRTCDirect, p2pWebsocketStar
        /// 10 bytes of name, 2 of port.
        case onion([UInt8])
        /// 35 bytes of name, 2 of port.
        case onion3([UInt8])
        case garlic64([UInt8]), garlic32([UInt8])
    }
}

extension Multiaddr.Component {
    package var addressProtocol: AddressProtocol {
        switch self {
        case .ip4: .ip4
        case .ip6: .ip6
        case .ip6zone: .ip6zone
        case .ipcidr: .ipcidr
        case .dns: .dns
        case .dns4: .dns4
        case .dns6: .dns6
        case .dnsaddr: .dnsaddr
        case .tcp: .tcp
        case .udp: .udp
        case .dccp: .dccp
        case .sctp: .sctp
        case .p2p: .p2p
        case .p2pCircuit: .p2pCircuit
        case .quic: .quic
        case .quicV1: .quicV1
        case .webtransport: .webtransport
        case .certhash: .certhash
        case .ws: .ws
        case .wss: .wss
        case .tls: .tls
        case .noise: .noise
        case .http: .http
        case .https: .https
        case .sni: .sni
        case .httpPath: .httpPath
        case .unix: .unix
        case .memory: .memory
        case .udt: .udt
        case .utp: .utp
        case .webrtc: .webrtc
        case .webrtcDirect: .webrtcDirect
        case .p2pWebRTCStar: .p2pWebRTCStar
        case .p2pWebRTCDirect: .p2pWebRTCDirect
        case .p2pWebsocketStar: .p2pWebsocketStar
        case .onion: .onion
        case .onion3: .onion3
        case .garlic64: .garlic64
        case .garlic32: .garlic32
        }
    }

    /// The component of a protocol without a value; nil for the others.
    init?(valueless kind: AddressProtocol) {
        switch kind {
        case .p2pCircuit: self = .p2pCircuit
        case .quic: self = .quic
        case .quicV1: self = .quicV1
        case .webtransport: self = .webtransport
        case .ws: self = .ws
        case .wss: self = .wss
        case .tls: self = .tls
        case .noise: self = .noise
        case .http: self = .http
        case .https: self = .https
        case .udt: self = .udt
        case .utp: self = .utp
        case .webrtc: self = .webrtc
        case .webrtcDirect: self = .webrtcDirect
        case .p2pWebRTCStar: self = .p2pWebRTCStar
        case .p2pWebRTCDirect: self = .p2pWebRTCDirect
        case .p2pWebsocketStar: self = .p2pWebsocketStar
        default: return nil
        }
    }
}
