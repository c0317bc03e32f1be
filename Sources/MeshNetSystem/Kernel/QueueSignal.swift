import CSystem
import Glibc

/// The eventfd of a queue, readable while there is something to take. Under the queue's lock.
struct QueueSignal {
    private let event: Int32
    /// Whether anybody asked for the descriptor: before, no system call is spent on it.
    private var isWatched = false
    private var isReadable = false

    init(event: Int32) { self.event = event }

    /// From now on the descriptor follows the state.
    mutating func watch(_ wanted: Bool) {
        isWatched = true
        update(wanted)
    }

    mutating func update(_ wanted: Bool) {
        guard isWatched, wanted != isReadable else { return }
        isReadable = wanted
        if wanted {
            eventfd_write(event, 1)
        } else {
            var count: eventfd_t = 0
            eventfd_read(event, &count)
        }
    }
}
