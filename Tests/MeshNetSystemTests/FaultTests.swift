import CSystem
import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Synchronization
import Testing

extension SystemTests {
    /// The engine on a kernel that interrupts, refuses and does everything by halves.
    @Suite(.timeLimit(.minutes(3))) struct FaultTests {
        /// Every call fails now and then, and moves at most `step` bytes.
        static func stubborn(step: Int) -> SystemCalls {
            let kernel = SystemCalls.kernel, counter = Counter()
            var system = kernel
            system.wait = { epoll, events, timeout in
                if counter.next() % 5 == 0 { return -Int(EINTR) }
                // One report at a time.
                return kernel.wait(epoll, UnsafeMutableBufferPointer(rebasing: events[..<1]), timeout)
            }
            system.receive = { socket, memory in
                switch counter.next() % 7 {
                case 0: -Int(EINTR)
                case 1: -Int(EAGAIN)
                default: kernel.receive(socket, UnsafeMutableRawBufferPointer(rebasing: memory[..<min(step, memory.count)]))
                }
            }
            system.send = { socket, pieces in
                switch counter.next() % 7 {
                case 0: return -Int(EINTR)
                case 1: return -Int(EAGAIN)
                default:
                    var piece = [iovec(iov_base: pieces[0].iov_base, iov_len: min(step, pieces[0].iov_len))]
                    return piece.withUnsafeMutableBufferPointer { kernel.send(socket, $0) }
                }
            }
            system.accept = { listener, address in
                switch counter.next() % 3 {
                case 0: -Int(EINTR)
                case 1: -Int(ECONNABORTED)
                default: kernel.accept(listener, address)
                }
            }
            system.connect = { socket, address, length in
                let result = kernel.connect(socket, address, length)
                return result == -Int(EINPROGRESS) ? -Int(EINTR) : result
            }
            return system
        }

        @Test(arguments: [1, 7, 1_000]) func streamsSurviveAStubbornKernel(step: Int) throws {
            let pair = try TestPair(system: Self.stubborn(step: step))
            defer { pair.close() }
            let (near, far) = try pair.stream()
            var random = RandomSource(testSeed: UInt64(step))
            let bytes = random.bytes(step * 500 + 5_000), b = pair.b
            let echo = TestThread {
                while let piece = try? b.read(far, 4_096), !piece.isEmpty { try? b.write(far, piece) }
                b.engine.closeWrite(far)
            }
            let a = pair.a
            let writer = TestThread {
                try? a.write(near, bytes)
                a.engine.closeWrite(near)
            }
            #expect(try pair.a.readExactly(near, bytes.count + 1) == bytes)
            writer.join()
            echo.join()
        }

        @Test func listenersPauseWithoutDescriptorsAndGoOn() throws {
            let kernel = SystemCalls.kernel, refusals = Counter()
            var system = kernel
            system.accept = { listener, address in refusals.next() <= 3 ? -Int(EMFILE) : kernel.accept(listener, address) }
            let a = try TestNode(), b = try TestNode(system: system)
            defer { a.engine.close(); b.engine.close() }
            let start = Instant.now()
            try a.connect(to: b)
            #expect(Instant.now() - start >= Listener.pause)
            #expect(refusals.next() > 4)
        }

        @Test(arguments: [ECONNRESET, EPIPE, ETIMEDOUT, EBADF]) func brokenSocketsEndTheirConnection(code: Int32) throws {
            let kernel = SystemCalls.kernel, broken = Atomic(false)
            let flag = Shared(broken)
            var system = kernel
            system.receive = { socket, memory in flag.value.load(ordering: .relaxed) ? -Int(code) : kernel.receive(socket, memory) }
            let a = try TestNode(), b = try TestNode(system: system)
            defer { a.engine.close(); b.engine.close() }
            try a.connect(to: b)
            try b.awaitConnected()
            flag.value.store(true, ordering: .relaxed)
            _ = try? a.engine.call(.ping(b.engine.localPeer), timeout: .milliseconds(10))
            let cause = try b.event { if case .disconnected(_, let cause) = $0 { cause } else { nil } }
            #expect(cause == .connectionLost(errno: code))
        }

        @Test func socketsThatCannotBeHadFailTheDial() throws {
            var system = SystemCalls.kernel
            let a = try TestNode()
            defer { a.engine.close() }
            system.socket = { _ in -Int(EMFILE) }
            let b = try TestNode(system: system) { $0.listens = false }
            defer { b.engine.close() }
            #expect(throws: CallError.self) { try b.engine.call(.connect(a.address), timeout: TestNode.patience) }
            #expect(throws: CallError.listenFailed(address: "/ip4/127.0.0.1/tcp/0", errno: EMFILE)) { try TestNode(system: system) }
        }
    }
}

final class Counter: Sendable {
    private let value = Atomic(0)
    func next() -> Int { value.wrappingAdd(1, ordering: .relaxed).newValue }
}

final class Shared: Sendable {
    let value: Atomic<Bool>
    init(_ value: consuming Atomic<Bool>) { self.value = value }
}
