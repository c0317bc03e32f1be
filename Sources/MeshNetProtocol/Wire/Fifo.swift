/// A first-in-first-out queue that keeps its own memory, so that appending and removing allocate nothing once it has been as long as it
/// gets, and lets go of an element as soon as it is taken out. Inlinable, because the data path uses it across modules.
public struct Fifo<Element> {
    @usableFromInline var elements: [Element?] = []
    @usableFromInline var head = 0

    @inlinable public init() {}

    @inlinable public var count: Int { elements.count - head }
    @inlinable public var isEmpty: Bool { head == elements.count }

    @inlinable public var first: Element? { isEmpty ? nil : elements[head] }

    @inlinable public var last: Element? { isEmpty ? nil : elements[elements.count - 1] }

    /// Element `offset` from the front. In-place changes copy nothing.
    @inlinable public subscript(offset: Int) -> Element {
        _read { yield elements[head + offset]! }
        _modify { yield &elements[head + offset]! }
    }

    @inlinable public mutating func append(_ element: consuming Element) {
        // Moving the rest down is paid for by the removals before it: each element moves at most once for each one that left.
        if head > 0, head >= elements.count - head, elements.count == elements.capacity { compact() }
        elements.append(element)
    }

    @inlinable public mutating func popFirst() -> Element? {
        guard head < elements.count else { return nil }
        let element = elements[head].take()
        head += 1
        if head == elements.count { removeAll() }
        return element
    }

    /// The newest one.
    @inlinable public mutating func popLast() -> Element? {
        guard head < elements.count, let element = elements.removeLast() else { return nil }
        if head == elements.count { removeAll() }
        return element
    }

    @inlinable public mutating func removeAll(where condition: (Element) -> Bool) {
        if isEmpty { return }
        compact()
        elements.removeAll { $0.map(condition) ?? false }
    }

    @inlinable public mutating func removeAll() {
        elements.removeAll(keepingCapacity: true)
        head = 0
    }

    @usableFromInline mutating func compact() {
        elements.removeSubrange(..<head)
        head = 0
    }
}

extension Fifo: Sendable where Element: Sendable {}
