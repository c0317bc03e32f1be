import Glibc
import MeshNet

/// Threads of their own for what blocks without an asynchronous form, so that Swift's few worker threads stay free.
enum Background {
    /// Lines of the standard input, until its end.
    static func lines() -> AsyncStream<String> {
        AsyncStream { continuation in
            start {
                while let line = readLine() { continuation.yield(line) }
                continuation.finish()
            }
        }
    }

    /// Closes the node at SIGINT, SIGTERM, or after some seconds.
    static func closeOnInterrupt(_ node: Node, after seconds: Int?) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return }
        interruptEnd = ends[1]
        for number in [SIGINT, SIGTERM] { signal(number, interrupted) }
        let readEnd = ends[0]
        start {
            var descriptor = pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0)
            while poll(&descriptor, 1, seconds.map { Int32(clamping: $0 * 1_000) } ?? -1) < 0, errno == EINTR {}
            node.close()
        }
    }

    private final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private static func start(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let work = Unmanaged.passRetained(Work(body)).toOpaque()
        let code = pthread_create(&thread, nil, { context in
            if let context { Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body() }
            return nil
        }, work)
        if code == 0 { pthread_detach(thread) } else { Unmanaged<Work>.fromOpaque(work).release() }
    }
}

/// Where the signal handler, which may run on any thread, writes one byte.
private nonisolated(unsafe) var interruptEnd: Int32 = -1

private func interrupted(_ number: Int32) {
    var byte: UInt8 = 1
    _ = write(interruptEnd, &byte, 1)
}
