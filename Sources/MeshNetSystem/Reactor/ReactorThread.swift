import CSystem
import Glibc
import Synchronization

/// One thread with every signal blocked, so that handlers of the application never run on it.
package final class ReactorThread: Sendable {
    private enum Ending { case running, joining, gone }
    private let ending = Guarded(Ending.running)
    private let thread: Atomic<UInt>

    /// Runs `body` on a new thread.
    package init(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        thread = Atomic(0)
        let start = Unmanaged.passRetained(Start(body))
        var every = sigset_t(), before = sigset_t()
        sigfillset(&every)
        pthread_sigmask(SIG_SETMASK, &every, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var created = pthread_t()
        let code = pthread_create(&created, nil, { pointer in
            Unmanaged<Start>.fromOpaque(pointer!).takeRetainedValue().body()
            return nil
        }, start.toOpaque())
        guard code == 0 else {
            start.release()
            throw .failed(call: "pthread_create", errno: code)
        }
        _ = pthread_setname_np(created, name)
        thread.store(UInt(created), ordering: .releasing)
    }

    package var isCurrent: Bool { pthread_equal(pthread_self(), pthread_t(thread.load(ordering: .acquiring))) != 0 }

    /// Returns when the thread is gone, whoever joined it; at once on the thread itself.
    package func join() {
        guard !isCurrent else { return }
        let mine = ending.wait(until: nil) { (state: inout Ending) -> Bool? in
            switch state {
            case .running: state = .joining; return true
            case .joining: return nil
            case .gone: return false
            }
        }
        guard mine == true else { return }
        pthread_join(pthread_t(thread.load(ordering: .acquiring)), nil)
        ending.with { $0 = .gone }
        ending.wakeAll()
    }

    /// Nobody will join: the kernel takes the thread back by itself.
    package func detach() {
        let mine = ending.with { state in
            defer { if state == .running { state = .gone } }
            return state == .running
        }
        if mine { pthread_detach(pthread_t(thread.load(ordering: .acquiring))) }
    }
}

private final class Start: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}
