/// A first-in-first-out queue for what may become long. It lies in pieces: growing moves nothing, and memory is given back piece by piece. An element is let
/// go of as soon as it is taken out.
struct LongFifo<Element> {
    private static var pieceCount: Int { 1_024 }

    private var pieces = Fifo<[Element?]>()
    /// In the first piece.
    private var head = 0
    private(set) var count = 0

    init() {}

    var isEmpty: Bool { count == 0 }

    var first: Element? { isEmpty ? nil : self[0] }

    /// Element `offset` from the front.
    subscript(offset: Int) -> Element {
        precondition(offset >= 0 && offset < count, "an element lies within")
        let place = head + offset
        return pieces[place / Self.pieceCount][place % Self.pieceCount]!
    }

    mutating func append(_ element: consuming Element) {
        if head + count == pieces.count * Self.pieceCount {
            var piece: [Element?] = []
            piece.reserveCapacity(Self.pieceCount)
            pieces.append(piece)
        }
        pieces[pieces.count - 1].append(element)
        count += 1
    }

    mutating func popFirst() -> Element? {
        guard count > 0 else { return nil }
        let element = pieces[0][head].take()
        head += 1
        count -= 1
        if head == Self.pieceCount {
            _ = pieces.popFirst()
            head = 0
        }
        return element
    }
}

extension LongFifo: Sendable where Element: Sendable {}
