/// A queue in one array: taking from the front moves an index, and the space is reused once the queue is empty.
struct FIFO<Element> {
    private var elements: [Element?] = []
    private var head = 0

    var count: Int { elements.count - head }
    var isEmpty: Bool { count == 0 }
    var first: Element? { isEmpty ? nil : elements[head] }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func popFirst() -> Element? {
        guard head < elements.count else { return nil }
        defer {
            elements[head] = nil
            head += 1
            compact()
        }
        return elements[head]
    }

    mutating func removeAll() {
        elements.removeAll()
        head = 0
    }

    private mutating func compact() {
        if head == elements.count {
            elements.removeAll(keepingCapacity: elements.count <= 1_024)
            head = 0
        } else if head > 4_096, head * 2 > elements.count {
            elements.removeSubrange(..<head)
            head = 0
        }
    }
}
