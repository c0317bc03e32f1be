import MeshNetProtocol

/// What a failed round of dialling says about the next one.
enum FailureClass: Equatable {
    /// May be over in a moment: silence, a handshake that broke.
    case transient
    /// Will come again if the world stays as it is; so many of one kind in a row are taken to be permanent.
    case patterned(DialErrorKind)
    /// A limit of ours: nothing was tried, so nothing is counted.
    case policy
    /// Our own doing.
    case cancelled

    init(_ error: DialError) {
        self =
            switch error {
            case .refused, .unreachable, .unresolved, .wrongPeer, .otherNetwork, .unsupportedAddress, .selfDial, .noAddresses: .patterned(error.kind)
            case .timedOut, .handshakeFailed: .transient
            case .limitReached: .policy
            case .cancelled: .cancelled
            }
    }

    /// Of all addresses of one round: patterned only where all failed in one way, since the other way may be the passing one.
    init(round failures: [DialError]) {
        let classes = failures.map { FailureClass($0) }
        guard let first = classes.first else { self = .patterned(.noAddresses); return }
        self = classes.allSatisfy { $0 == first } ? first : .transient
    }
}

/// Finds failures that look permanent: so many rounds in a row that failed in one way.
struct FailurePattern {
    private(set) var kind: DialErrorKind?
    private(set) var count = 0

    /// True when the pattern stands: `after` or more in a row.
    mutating func add(_ failure: FailureClass, after: Int) -> Bool {
        switch failure {
        case .policy, .cancelled: break
        case .transient: self = FailurePattern()
        case .patterned(let kind):
            count = self.kind == kind ? count + 1 : 1
            self.kind = kind
        }
        return after > 0 && count >= after
    }
}
