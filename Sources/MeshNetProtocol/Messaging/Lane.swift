/// Importance of a message. Each lane of a peer keeps its order; a more important one overtakes the others.
public enum Lane: UInt8, CaseIterable, Sendable, Hashable, Comparable {
    case control = 0
    case normal = 1
    case bulk = 2

    public static func < (a: Lane, b: Lane) -> Bool { a.rawValue < b.rawValue }
}
