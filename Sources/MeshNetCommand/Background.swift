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

    /// Closes the node at SIGINT, SIGTERM, or after some seconds. Call it before other threads start.
    static func closeOnInterrupt(_ node: Node, after seconds: Int?) {
        start {
            var signals = interrupts, number: Int32 = 0
            if let seconds {
                var time = timespec(tv_sec: seconds, tv_nsec: 0)
                while sigtimedwait(&signals, nil, &time) < 0, errno == EINTR {}
            } else {
                sigwait(&signals, &number)
            }
            node.close()
        }
    }

    /// Keeps SIGINT and SIGTERM for `closeOnInterrupt`: every thread that starts later inherits this.
    static func holdInterrupts() {
        var signals = interrupts
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    private static var interrupts: sigset_t {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGINT)
        sigaddset(&signals, SIGTERM)
        return signals
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
