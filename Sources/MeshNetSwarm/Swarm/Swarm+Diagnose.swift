import MeshNetProtocol

struct DiagnosisID: Hashable { let rawValue: UInt64 }

extension Swarm {
    mutating func diagnosisProbe(_ diagnosis: DiagnosisID, _ dial: DialID, _ result: Result<PeerID, DialError>) {}
}
