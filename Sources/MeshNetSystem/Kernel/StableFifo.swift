/// A first-in-first-out list with stable positions: an element can be taken out of the middle, as long as it waits.
package struct StableFifo<Element> {
    private var slots: [Element?] = []
    private var head = 0
    /// The position of `slots[0]`.
    private var base: UInt64 = 0
    package private(set) var count = 0

    package init() {}

    package var isEmpty: Bool { count == 0 }

    /// Returns the position.
    @discardableResult
    package mutating func append(_ element: Element) -> UInt64 {
        slots.append(element)
        count += 1
        return base + UInt64(slots.count - 1)
    }

    package mutating func popFirst() -> Element? {
        guard !slots.isEmpty else { return nil }
        while head < slots.count {
            let element = slots[head].take()
            head += 1
            if let element {
                count -= 1
                compact()
                return element
            }
        }
        compact()
        return nil
    }

    package var first: Element? {
        get {
            for index in head..<slots.count { if let element = slots[index] { return element } }
            return nil
        }
        set {
            for index in head..<slots.count where slots[index] != nil {
                if newValue == nil { count -= 1 }
                slots[index] = newValue
                return
            }
        }
    }

    package func holds(_ position: UInt64) -> Bool {
        position >= base + UInt64(head) && position < base + UInt64(slots.count) && slots[Int(position - base)] != nil
    }

    /// Takes the element at a position out; nil when it is gone.
    package mutating func remove(at position: UInt64) -> Element? {
        guard holds(position) else { return nil }
        let element = slots[Int(position - base)].take()
        count -= 1
        return element
    }

    /// Takes out the first element that fits.
    package mutating func removeFirst(where fits: (Element) -> Bool) -> Element? {
        for index in head..<slots.count {
            guard let element = slots[index], fits(element) else { continue }
            slots[index] = nil
            count -= 1
            return element
        }
        return nil
    }

    /// Amortised constant: the front is cut off when it is at least as long as the rest.
    private mutating func compact() {
        if head == slots.count {
            base += UInt64(head)
            slots.removeAll(keepingCapacity: slots.capacity <= 1_024)
            head = 0
        } else if head >= 64, head * 2 >= slots.count {
            slots.removeFirst(head)
            base += UInt64(head)
            head = 0
        }
    }
}
