import CMeshNet
import Glibc
import MeshNetProtocol
import MeshNetSwarm

/// Lays a struct and everything it points to out in one allocation, so that one `free` releases it.
///
/// `make` runs `fill` twice: first without memory, to learn the size, then to write. `fill` must do the same both times.
struct Block {
    private let base: UnsafeMutableRawPointer?
    private var count = 0

    private init(base: UnsafeMutableRawPointer?) { self.base = base }

    /// Released by `free`. nil when there is no memory.
    static func make<T>(_ fill: (inout Block) -> T) -> UnsafeMutablePointer<T>? {
        var measure = Block(base: nil)
        _ = measure.space(T.self, 1)
        _ = fill(&measure)
        guard let memory = malloc(measure.count) else { return nil }
        var block = Block(base: memory)
        _ = block.space(T.self, 1)
        let root = fill(&block)
        let place = memory.bindMemory(to: T.self, capacity: 1)
        place.initialize(to: root)
        return place
    }

    /// The same in one run, for what comes often: `byteCount` bytes follow the struct, which begins empty.
    static func make<T>(_ empty: T, byteCount: Int, _ fill: (inout T, inout Block) -> Void) -> UnsafeMutablePointer<T>? {
        let size = MemoryLayout<T>.stride + byteCount
        guard let memory = malloc(size) else { return nil }
        var block = Block(base: memory)
        _ = block.space(T.self, 1)
        let place = memory.bindMemory(to: T.self, capacity: 1)
        place.initialize(to: empty)
        fill(&place.pointee, &block)
        precondition(block.count <= size, "the bytes were counted right")
        return place
    }

    mutating func bytes(_ bytes: SharedBytes) -> UnsafePointer<UInt8>? {
        let place = space(UInt8.self, bytes.count + 1)
        if let place {
            bytes.withBytes { UnsafeMutableRawBufferPointer(start: place, count: bytes.count).copyMemory(from: $0) }
            place[bytes.count] = 0
        }
        return UnsafePointer(place)
    }

    private mutating func space<T>(_ type: T.Type, _ elements: Int) -> UnsafeMutablePointer<T>? {
        let alignment = MemoryLayout<T>.alignment
        let offset = (count + alignment - 1) & ~(alignment - 1)
        count = offset + MemoryLayout<T>.stride * elements
        return base.map { ($0 + offset).bindMemory(to: T.self, capacity: elements) }
    }

    mutating func bytes(_ bytes: [UInt8]) -> UnsafePointer<UInt8>? {
        let place = space(UInt8.self, bytes.count + 1)
        if let place {
            bytes.withUnsafeBufferPointer { if let source = $0.baseAddress { place.update(from: source, count: bytes.count) } }
            place[bytes.count] = 0
        }
        return UnsafePointer(place)
    }

    mutating func text(_ text: String) -> UnsafePointer<CChar>? {
        let length = text.utf8.count
        let place = space(UInt8.self, length + 1)
        if let place { copyText(text, to: UnsafeMutableRawBufferPointer(start: place, count: length + 1)) }
        return place.map { UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self) }
    }

    mutating func text(_ text: String?) -> UnsafePointer<CChar>? {
        guard let text else { return nil }
        return self.text(text)
    }

    /// Items that C sees as an array of pointers, so that the item type can grow.
    mutating func pointers<T>(_ elements: Int, _ item: (inout Block, Int) -> T) -> UnsafePointer<UnsafePointer<T>?>? {
        let table = space(UnsafePointer<T>?.self, elements)
        for index in 0..<elements {
            let place = space(T.self, 1)
            let value = item(&self, index)
            place?.initialize(to: value)
            table?[index] = UnsafePointer(place)
        }
        return UnsafePointer(table)
    }

    mutating func strings(_ texts: [String]) -> meshnet_string_list_t {
        let table = space(UnsafePointer<CChar>?.self, texts.count)
        for (index, text) in texts.enumerated() {
            let place = self.text(text)
            table?[index] = place
        }
        return meshnet_string_list_t(count: texts.count, items: UnsafePointer(table))
    }

    mutating func peers(_ peers: [PeerRow]) -> meshnet_peer_list_t {
        let items = pointers(peers.count) { block, index in
            let peer = peers[index]
            return meshnet_peer_t(peer_id: block.text(peer.id), address: block.text(peer.address), direction: peer.direction)
        }
        return meshnet_peer_list_t(count: peers.count, items: items)
    }

    mutating func problems(_ problems: [ProblemRow]) -> meshnet_address_problem_list_t {
        let items = pointers(problems.count) { block, index in
            let problem = problems[index]
            return meshnet_address_problem_t(
                text: block.text(problem.text), reason: block.text(problem.reason), used_instead: block.text(problem.usedInstead))
        }
        return meshnet_address_problem_list_t(count: problems.count, items: items)
    }

    /// A value that the root points to.
    mutating func nested<T>(_ make: (inout Block) -> T) -> UnsafePointer<T>? {
        let place = space(T.self, 1)
        let value = make(&self)
        place?.initialize(to: value)
        return UnsafePointer(place)
    }
}

/// A connected peer in the words of C.
struct PeerRow {
    let id: String
    let address: String?
    let direction: Int32
}

/// An address problem in the words of C.
struct ProblemRow {
    let text: String
    let reason: String
    let usedInstead: String?

    init(_ problem: AddressProblem) {
        text = problem.text
        reason = problem.reason
        usedInstead = problem.usedInstead?.description
    }
}
