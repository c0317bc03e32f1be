import CSystem
import Foundation
@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

extension SystemTests {
    @Suite(.timeLimit(.minutes(3))) struct LifecycleTests {
        /// Open descriptors and resident KiB of this process.
        struct Footprint {
            let descriptors: Int
            let memory: Int

            init() {
                descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? -1
                let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
                let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
                memory = line.split(separator: " ").compactMap { Int($0) }.first ?? -1
            }
        }

        /// The reactor thread of a node, by its number: its name goes on to threads that others make when it wakes their tasks.
        struct ReactorTask {
            let path: String

            init(of engine: Engine) throws {
                let found = Waiter<String>()
                engine.submit(.peers) { _ in
                    let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/thread-self")
                    found.fulfil(link.map { .success("/proc/" + $0) } ?? .failure(.closed))
                }
                guard case .success(let path)? = found.wait(until: Instant.now() + TestNode.patience) else { throw CallError.timedOut }
                self.path = path
            }

            var name: String? { try? String(contentsOfFile: path + "/comm", encoding: .utf8) }

            /// Until it sleeps in the kernel; false when it never does.
            var fallsAsleep: Bool {
                let limit = Instant.now() + TestNode.patience
                while Instant.now() < limit {
                    let words = (try? String(contentsOfFile: path + "/stat", encoding: .utf8))?.split(separator: ")").last?.split(separator: " ")
                    if words?.first == "S" { return true }
                    sched_yield()
                }
                return false
            }

            /// A thread that was joined stays in /proc until the kernel has reaped it.
            var ends: Bool {
                let limit = Instant.now() + TestNode.patience
                while FileManager.default.fileExists(atPath: path) {
                    guard Instant.now() < limit else { return false }
                    sched_yield()
                }
                return true
            }
        }

        @Test func openAndCloseLeaveNothingBehind() throws {
            func cycle() throws {
                let pair = try TestPair()
                let (near, _) = try pair.stream()
                try pair.a.write(near, [1, 2, 3])
                let reactors = [try ReactorTask(of: pair.a.engine), try ReactorTask(of: pair.b.engine)]
                for reactor in reactors { #expect(reactor.name == "meshnet\n") }
                pair.close()
                for reactor in reactors { #expect(reactor.ends) }
            }
            for _ in 0..<20 { try cycle() }
            let before = Footprint()
            for _ in 0..<100 { try cycle() }
            let after = Footprint()
            #expect(after.descriptors == before.descriptors)
            #expect(after.memory - before.memory < 8_192, "KiB: \(before.memory), then \(after.memory)")
        }

        @Test func theReactorBlocksSignals() throws {
            let node = try TestNode()
            defer { node.engine.close() }
            let mask = Guarded<sigset_t?>(nil)
            node.engine.submit(.peers) { _ in
                var set = sigset_t()
                pthread_sigmask(SIG_BLOCK, nil, &set)
                mask.with { $0 = set }
                mask.wakeAll()
            }
            var set = try #require(mask.wait(until: Instant.now() + TestNode.patience) { (mask: inout sigset_t?) in mask })
            for signal in [SIGINT, SIGTERM, SIGPIPE, SIGUSR1, SIGCHLD] { #expect(sigismember(&set, signal) == 1) }
        }

        @Test func closeEndsEveryWaiter() throws {
            let pair = try TestPair()
            defer { pair.close() }
            let (near, far) = try pair.stream()
            let results = Guarded<[CallError?]>([])
            @Sendable func record(_ body: () throws -> Void) {
                var error: CallError?
                do { try body() } catch let thrown { error = thrown as? CallError }
                results.with { $0.append(error) }
            }
            let started = Guarded(0), b = pair.b
            let threads = [
                TestThread { started.with { $0 += 1 }; record { _ = try b.engine.readBlocking(far, into: scratch(), timeout: nil) } },
                TestThread { started.with { $0 += 1 }; record { while try b.engine.queue.next(timeout: nil) != nil {} } },
                TestThread {
                    started.with { $0 += 1 }
                    // A black hole: the dial lasts until its timeout.
                    record { _ = try b.engine.call(.connect(Multiaddr("/ip4/192.0.2.1/tcp/9")), timeout: nil) }
                },
                TestThread {
                    started.with { $0 += 1 }
                    let bytes = [UInt8](repeating: 0, count: 40 << 20)
                    record { try bytes.withUnsafeBytes { try b.engine.writeBlocking(far, $0, timeout: nil) } }
                },
            ]
            while started.with({ $0 }) < threads.count { sched_yield() }
            let start = Instant.now()
            b.engine.close()
            for thread in threads { thread.join() }
            #expect(Instant.now() - start < .seconds(1))
            // Without a route the dial may have failed on its own.
            let errors = results.with { $0 }
            #expect(errors.count == 4)
            #expect(errors.filter { $0 == .closed }.count >= 3, "\(errors)")
            #expect(throws: CallError.closed) { try b.engine.call(.peers, timeout: nil) }
            #expect(throws: CallError.closed) { _ = try b.engine.submit(.peers) }
            #expect(b.engine.listenAddresses().isEmpty)
            b.engine.close()
            _ = near
        }

        @Test func severalThreadsMayCloseAtOnce() throws {
            let node = try TestNode(), reactor = try ReactorTask(of: node.engine)
            let threads = (0..<8).map { _ in TestThread { node.engine.close() } }
            for thread in threads { thread.join() }
            #expect(reactor.ends)
        }

        @Test func aCompletionMayClose() throws {
            let node = try TestNode(), done = Waiter<Int>(), reactor = try ReactorTask(of: node.engine)
            node.engine.submit(.peers) { _ in
                node.engine.close()
                done.fulfil(.success(1))
            }
            #expect(done.wait(until: Instant.now() + TestNode.patience) == .success(1))
            node.engine.close()
            #expect(reactor.ends)
        }

        @Test func theLastReferenceMayGoInACompletion() throws {
            let held = Guarded<Engine?>(try TestNode().engine), done = Waiter<Int>()
            let reactor = try ReactorTask(of: #require(held.with { $0 }))
            held.with { $0 }?.submit(.peers) { _ in
                held.with { $0 = nil }
                done.fulfil(.success(1))
            }
            #expect(done.wait(until: Instant.now() + TestNode.patience) == .success(1))
            #expect(reactor.ends)
        }

        @Test func callsWithoutACloseEndWithTheEngine() throws {
            let before = Footprint(), reactor: ReactorTask
            do {
                let node = try TestNode()
                reactor = try ReactorTask(of: node.engine)
                _ = try node.engine.submit(.peers)
            }
            #expect(reactor.ends)
            #expect(Footprint().descriptors == before.descriptors)
        }

        /// ThreadSanitizer holds the alarm back that ends a child whose runtime was forked in the middle of something.
        @Test(.disabled(if: isThreadSanitized, "ThreadSanitizer holds back the alarm of a forked child; the suite system runs it"))
        func aForkedChildFindsItClosed() throws {
            var engine: Engine? = try TestNode().engine
            let descriptor = engine?.queue.descriptor
            let fork = unsafeBitCast(dlsym(nil, "fork"), to: (@convention(c) () -> pid_t).self)
            let child = fork()
            if child == 0 {
                // A hang ends by the alarm, which the parent sees in the status.
                alarm(10)
                var held: Int32 = 0
                do { _ = try engine?.call(.peers, timeout: nil) } catch { if error == .closed { held += 1 } }
                do { _ = try engine?.queue.next(timeout: nil) } catch { if error == .closed { held += 1 } }
                do { _ = try engine?.submit(.peers) } catch { if error == .closed { held += 1 } }
                if engine?.listenAddresses() == [], engine?.queue.descriptor == descriptor { held += 1 }
                engine?.close()
                engine = nil
                _exit(held == 4 ? 0 : 1)
            }
            var status: Int32 = -1
            #expect(waitpid(child, &status, 0) == child)
            #expect(status == 0, "wait status \(status)")
            guard case .peers = try engine?.call(.peers, timeout: TestNode.patience) else { return #expect(Bool(false)) }
            engine?.close()
        }

        /// ThreadSanitizer ends a forked child that starts a thread.
        static let isThreadSanitized = dlsym(nil, "__tsan_init") != nil

        @Test(.disabled(if: isThreadSanitized, "ThreadSanitizer ends a forked child that starts a thread")) func aForkedChildMayRunANodeOfItsOwn() throws {
            let node = try TestNode()
            defer { node.engine.close() }
            let fork = unsafeBitCast(dlsym(nil, "fork"), to: (@convention(c) () -> pid_t).self)
            let child = fork()
            if child == 0 {
                alarm(10)
                guard let own = try? TestNode(), case .peers = try? own.engine.call(.peers, timeout: TestNode.patience) else { _exit(1) }
                own.engine.close()
                _exit(0)
            }
            var status: Int32 = -1
            #expect(waitpid(child, &status, 0) == child)
            #expect(status == 0, "wait status \(status)")
        }

        /// What a turn holds at a fork stays locked in the child: a node of the child waited for ever for a lock of the Swift runtime.
        @Test(.disabled(if: isThreadSanitized, "ThreadSanitizer holds locks of its own while handlers of a fork run; the suite system runs it"))
        func noTurnIsUnderWayAtAFork() throws {
            let node = try TestNode(), done = Guarded(false)
            let callers = (0..<2).map { _ in
                TestThread { while !done.with({ $0 }) { _ = try? node.engine.call(.peers, timeout: TestNode.patience) } }
            }
            defer {
                done.with { $0 = true }
                for caller in callers { caller.join() }
                node.engine.close()
            }
            let fork = unsafeBitCast(dlsym(nil, "fork"), to: (@convention(c) () -> pid_t).self)
            for round in 0..<100 {
                let child = fork()
                if child == 0 { _exit(node.engine.helm.isInATurn ? 1 : 0) }
                var status: Int32 = -1
                #expect(waitpid(child, &status, 0) == child)
                #expect(status == 0, "round \(round): wait status \(status)")
            }
        }

        @Test(.disabled(if: isThreadSanitized, "ThreadSanitizer holds locks of its own while handlers of a fork run; the suite system runs it"))
        func aForkDoesNotWaitForATurnThatWaitsForIt() throws {
            let node = try TestNode(), isForked = Waiter<Bool>(), isInATurn = Waiter<Bool>(), wasInTime = Waiter<Bool>()
            node.engine.submit(.peers) { _ in
                isInATurn.fulfil(.success(true))
                wasInTime.fulfil(.success(isForked.wait(until: Instant.now() + TestNode.patience) != nil))
            }
            #expect(isInATurn.wait(until: Instant.now() + TestNode.patience) == .success(true))
            let fork = unsafeBitCast(dlsym(nil, "fork"), to: (@convention(c) () -> pid_t).self)
            let child = fork()
            if child == 0 { _exit(0) }
            isForked.fulfil(.success(true))
            var status: Int32 = -1
            #expect(waitpid(child, &status, 0) == child)
            #expect(status == 0)
            #expect(wasInTime.wait(until: Instant.now() + TestNode.patience) == .success(true))
            node.engine.close()
        }
    }
}

/// Memory for reads whose bytes do not matter.
private func scratch() -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: scratchMemory, count: 16)
}

private nonisolated(unsafe) let scratchMemory = UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 16)
