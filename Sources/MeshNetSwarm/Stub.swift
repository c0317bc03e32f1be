import MeshNetProtocol
enum BootstrapAddress { case address(Multiaddr), reinterpreted(Multiaddr, reason: String), unusable(reason: String)
  init(_ t: String) { if let a = try? Multiaddr(t) { self = .address(a) } else { self = .unusable(reason: "bad") } } }
struct IdentifyMessage { var agentVersion: String?; var protocolVersion: String?; var protocols: [String] = []; var listenAddresses: [Multiaddr] = []; var observedAddress: Multiaddr?; var publicKey: PublicKey?; var signedPeerRecord: [UInt8]?
 mutating func merge(_ f: [UInt8]) -> Bool { true }; func certifiedAddresses(of: PeerID) -> [Multiaddr]? { nil }; var framed: [UInt8] { [1,0x32+0] } }
struct PeerRecord { var peer: PeerID, sequence: UInt64, addresses: [Multiaddr]; func sealed(by: KeyPair) -> [UInt8] { [] } }
