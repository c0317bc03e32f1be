import MeshNetProtocol

/// What a dial is for that nobody but the node itself waits for.
enum ProbePurpose: Equatable {
    /// Whether another node lives with our identity.
    case clone
    /// One address of a diagnosis.
    case diagnosis(DiagnosisID, number: Int)
}

// A probe dials one address beside whatever other dials are under way, and is not told to the application.
extension Swarm {
    /// `peer`: who must prove to be there; nil takes whoever answers.
    @discardableResult
    mutating func probe(_ address: Multiaddr, expecting peer: PeerID?, for purpose: ProbePurpose) -> DialID {
        let id = DialID(rawValue: nextDialID)
        nextDialID += 1
        var dial = Dial(id: id, peer: peer, target: address, nextAttempt: now)
        dial.probe = purpose
        dials[id] = dial
        addTarget(address, to: id)
        continueDial(id)
        return id
    }

    mutating func probeFailed(_ dial: Dial, _ error: DialError) {
        switch dial.probe {
        case .diagnosis(let diagnosis, let number): diagnosisProbe(diagnosis, number: number, .failure(error))
        case .clone, nil: break
        }
    }

    mutating func probeSucceeded(_ dial: Dial, _ peer: PeerID) {
        switch dial.probe {
        case .diagnosis(let diagnosis, let number): diagnosisProbe(diagnosis, number: number, .success(peer))
        case .clone, nil: break
        }
    }
}
