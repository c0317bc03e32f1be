import MeshNetProtocol

/// The lines in which targets wait for a dial: one for each source and each class, served in turn, so that neither a source that tells of thousands
/// nor invented peers keep a real one waiting for long.
struct TargetLines {
    /// How likely somebody is there, most likely first.
    enum Class: Int, CaseIterable {
        case wasConnected
        /// Told again since the last dial.
        case heardAgain
        case untried
        case failed
    }

    private struct Waiting {
        let id: TargetID
        let place: UInt64
    }

    private var lines: [[Fifo<Waiting>]]
    /// Places that count; others in the lines are of the past.
    private var valid: Set<UInt64> = []
    private var nextPlace: UInt64 = 1
    private var turn = 0
    private var lastSource: [Int]
    /// With those of the past.
    private(set) var storedCount = 0

    init() {
        let slots = (DiscoverySource.allCases.map { Int($0.rawValue) }.max() ?? 0) + 1
        lines = [[Fifo<Waiting>]](repeating: [Fifo<Waiting>](repeating: Fifo(), count: slots), count: Class.allCases.count)
        lastSource = [Int](repeating: 0, count: Class.allCases.count)
    }

    var count: Int { valid.count }

    /// The place to keep in the target.
    mutating func join(_ id: TargetID, source: DiscoverySource, as kind: Class) -> UInt64 {
        let place = nextPlace
        nextPlace += 1
        valid.insert(place)
        lines[kind.rawValue][Int(source.rawValue)].append(Waiting(id: id, place: place))
        storedCount += 1
        if storedCount > 2 * valid.count + 64 { sweep() }
        return place
    }

    mutating func left(_ place: UInt64) { valid.remove(place) }

    /// Every class gets a quarter of the turns, as long as somebody waits in it; what it does not use goes to the likelier ones.
    mutating func next() -> TargetID? {
        guard !valid.isEmpty else { return nil }
        let first = turn % Class.allCases.count
        turn = (turn + 1) % Class.allCases.count
        for kind in [first] + Class.allCases.map(\.rawValue).filter({ $0 != first }) {
            if let id = next(in: kind) { return id }
        }
        return nil
    }

    private mutating func next(in kind: Int) -> TargetID? {
        let slots = lines[kind].count
        for step in 1...slots {
            let slot = (lastSource[kind] + step) % slots
            while let waiting = lines[kind][slot].popFirst() {
                storedCount -= 1
                guard valid.remove(waiting.place) != nil else { continue }
                lastSource[kind] = slot
                return waiting.id
            }
        }
        return nil
    }

    private mutating func sweep() {
        storedCount = 0
        let valid = valid
        for kind in lines.indices {
            for slot in lines[kind].indices {
                lines[kind][slot].removeAll { !valid.contains($0.place) }
                storedCount += lines[kind][slot].count
            }
        }
    }
}
