import CMeshNet
import Glibc
import MeshNetProtocol
import MeshNetSystem
import Synchronization

/// Memory of small messages that C received together: a `MessageHead` and the bytes of each. It goes with the last of them, so one that is kept keeps
/// no more than `largest`, or than itself.
final class MessageSlab: Sendable {
    private static let largest = 16_384
    private static let headSize = MemoryLayout<MessageHead>.stride

    private let source: MessageSource
    private let lane: Lane
    private let settlements: Settlements
    nonisolated(unsafe) private let memory: UnsafeMutableRawPointer
    /// Messages that were not freed.
    private let left = Atomic(0)

    private init(_ run: DeliveryRun, _ settlements: Settlements, _ memory: UnsafeMutableRawPointer) {
        source = run.source
        lane = run.lane
        self.settlements = settlements
        self.memory = memory
    }

    deinit { Glibc.free(memory) }

    /// Writes the messages at the front of a run to `places`, as many as one slab holds. Gives how many; nil when there is no memory.
    static func fill(
        _ places: UnsafeMutablePointer<UnsafeMutablePointer<meshnet_message_t>?>, _ run: inout DeliveryRun, _ settlements: Settlements
    ) -> Int? {
        let capacity = min(max(largest, size(run.firstByteCount)), run.frameByteCount + run.count * size(0))
        guard let memory = malloc(capacity) else { return nil }
        let slab = MessageSlab(run, settlements, memory), reference = Unmanaged.passRetained(slab)
        var form = meshnet_message_t()
        form.peer_id = run.source.peerText
        form.incarnation = run.source.incarnationText
        form.lane = Int32(run.lane.rawValue)
        var sequence = run.sequence, position = 0, count = 0
        run.takeBodies { body in
            guard position + size(body.count) <= capacity else { return false }
            let place = memory + position, data = place + headSize
            data.copyMemory(from: body.baseAddress!, byteCount: body.count)
            data.storeBytes(of: 0, toByteOffset: body.count, as: UInt8.self)
            form.data = UnsafePointer(data.assumingMemoryBound(to: UInt8.self))
            form.data_length = body.count
            form.sequence = sequence
            place.initializeMemory(as: MessageHead.self, to: MessageHead(form: form, slab: reference))
            places[count] = place.assumingMemoryBound(to: meshnet_message_t.self)
            sequence += 1
            count += 1
            position += size(body.count)
            return true
        }
        slab.left.store(count, ordering: .relaxed)
        return count
    }

    /// With a NUL behind the bytes.
    private static func size(_ byteCount: Int) -> Int { headSize + (byteCount + 8) & ~7 }

    /// The application is done with so many of its messages, which are gone then.
    static func free(_ slab: Unmanaged<MessageSlab>, _ count: Int, _ byteCount: Int) {
        let isLast = slab._withUnsafeGuaranteedRef { slab in
            slab.settlements.settle(slab.source, slab.lane, count: count, byteCount: byteCount)
            return slab.left.subtract(count, ordering: .acquiringAndReleasing).newValue == 0
        }
        if isLast { slab.release() }
    }
}

extension Unmanaged where Instance == MessageSlab {
    static func == (left: Self, right: Self) -> Bool { left.toOpaque() == right.toOpaque() }
}
