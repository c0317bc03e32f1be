@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

private struct AvahiHarness {
    static let me = KeyPair(secret: [UInt8](repeating: 1, count: 32))!.peerID
    static let other = KeyPair(secret: [UInt8](repeating: 2, count: 32))!.peerID
    static let service = AvahiService(name: "somebody", interface: 2, family: 0)
    static let entry = AvahiPublication.Entry(interface: 2, port: 4001, texts: [Array("dnsaddr=x".utf8)])

    var plan: AvahiPlan
    var now = Instant(nanoseconds: 1_000_000_000)
    var starts: [AvahiPublication?] = [], published: [AvahiPublication] = [], collected = 0
    var reports: [SourceReport] = []

    init(isForced: Bool = true, appID: String? = nil) {
        plan = AvahiPlan(localPeer: Self.me, appID: appID, isForced: isForced, random: RandomSource(testSeed: 1))
        plan.start()
        drain()
    }

    mutating func drain() {
        while let action = plan.poll() {
            switch action {
            case .start(let publication): starts.append(publication)
            case .publish(let publication): published.append(publication)
            case .collect: collected += 1
            case .report(let report): reports.append(report)
            }
        }
    }

    mutating func receive(_ events: AvahiEvent...) {
        for event in events { plan.receive(event, now: now) }
        drain()
    }

    mutating func wait(_ duration: Duration) {
        let end = now + duration
        while let next = plan.deadline, next <= end {
            now = max(now, next)
            plan.handleTimeout(now: now)
            drain()
        }
        now = end
    }

    static func texts(_ peer: PeerID = other, _ more: String...) -> [[UInt8]] {
        [Array("dnsaddr=/ip4/192.0.2.9/tcp/4001/p2p/\(peer)".utf8)] + more.map { Array($0.utf8) }
    }

    mutating func find(_ texts: [[UInt8]], _ service: AvahiService = Self.service) {
        receive(.found(service, interface: "eth0", texts: texts))
    }

    var found: [Candidate] { reports.compactMap { if case .found(let candidate) = $0 { candidate } else { nil } } }
    var lost: [String] { reports.compactMap { if case .lost(let key) = $0 { key } else { nil } } }
    var filtered: [DiscoveryFilter] { reports.compactMap { if case .filtered(let reason, _, _) = $0 { reason } else { nil } } }
    var failures: [SourceFailureKind] { reports.compactMap { if case .failed(let failure, _) = $0 { failure.kind } else { nil } } }
}

extension SystemTests {
    @Suite struct AvahiPlanTests {
        @Test func whatIsFoundIsToldUntilItIsLost() {
            var harness = AvahiHarness()
            harness.receive(.running)
            harness.find(AvahiHarness.texts())
            #expect(harness.found.map(\.peer) == [AvahiHarness.other])
            #expect(harness.found.first?.interface == "eth0" && harness.found.first?.addresses.count == 1)
            harness.receive(.lost(AvahiHarness.service))
            #expect(harness.lost == harness.found.map(\.key))
            harness.receive(.lost(AvahiHarness.service))
            #expect(harness.lost.count == 1)
        }

        /// Our own responder announces us on the same wire: Avahi hears it.
        @Test func ourselvesAndOtherApplicationsAreFiltered() {
            var harness = AvahiHarness(appID: "peat")
            harness.find(AvahiHarness.texts(AvahiHarness.me))
            harness.find(AvahiHarness.texts(AvahiHarness.other, "app_id=chorus"))
            harness.find([Array("color=yes".utf8)])
            #expect(harness.filtered == [.own, .appID, .noAddress] && harness.found.isEmpty)
            harness.find(AvahiHarness.texts(AvahiHarness.other, "app_id=peat"))
            #expect(harness.found.count == 1)
            // It changes its mind.
            harness.find(AvahiHarness.texts(AvahiHarness.other, "app_id=chorus"))
            #expect(harness.lost.count == 1)
        }

        @Test func aSessionThatEndsIsBegunAgainForEver() {
            var harness = AvahiHarness()
            harness.plan.setEntries([AvahiHarness.entry])
            harness.drain()
            harness.receive(.running)
            for _ in 0..<10 {
                harness.receive(.ended(AvahiError(code: AvahiError.disconnected, text: "Daemon connection failed")))
                harness.wait(AvahiPlan.longestRetry)
            }
            #expect(harness.collected == 10 && harness.starts.count == 11)
            #expect(harness.starts.last??.entries == [AvahiHarness.entry])
            #expect(harness.failures == [SourceFailureKind](repeating: .notAvailable, count: 10))
            let delays = harness.reports.compactMap { if case .failed(_, let delay) = $0 { delay } else { nil } }
            #expect(delays.first == AvahiPlan.firstRetry && delays.last == AvahiPlan.longestRetry)
        }

        @Test func whatTheOldDaemonKnewHoldsUntilTheNewOneHasSettled() {
            let second = AvahiService(name: "another", interface: 2, family: 1)
            var harness = AvahiHarness()
            harness.receive(.running)
            harness.find(AvahiHarness.texts())
            harness.find(AvahiHarness.texts(), second)
            harness.receive(.ended(AvahiError(code: AvahiError.disconnected, text: "")))
            harness.wait(AvahiPlan.firstRetry)
            harness.receive(.waiting, .running)
            harness.find(AvahiHarness.texts(), second)
            harness.receive(.settled)
            #expect(harness.lost.isEmpty)
            harness.wait(AvahiPlan.settling)
            #expect(harness.lost == [harness.found[0].key])
        }

        @Test func besideOurOwnResponderAMissingDaemonIsNoFailure() {
            var harness = AvahiHarness(isForced: false)
            harness.receive(.waiting)
            harness.receive(.ended(AvahiError(code: AvahiError.busError, text: "no bus")))
            harness.wait(.seconds(60))
            #expect(harness.reports.isEmpty && harness.starts.count > 1)
            harness.receive(.running, .ended(AvahiError(code: AvahiError.disconnected, text: "")))
            #expect(harness.failures == [.notAvailable])
            harness.plan.cannotStart()
            harness.drain()
            #expect(harness.failures.count == 1)
        }

        @Test func withoutTheLibraryTheSourceSaysWhatToInstall() {
            var plan = AvahiPlan(localPeer: AvahiHarness.me, appID: nil, isForced: true, random: RandomSource(testSeed: 1))
            plan.cannotStart()
            guard case .report(.failed(let failure, nil))? = plan.poll() else {
                Issue.record("nothing was said")
                return
            }
            #expect(failure.kind == .notAvailable && failure.hint.contains("avahi-daemon"))
            #expect(plan.deadline == nil)
        }

        @Test func aNameThatIsTakenIsChanged() {
            var harness = AvahiHarness()
            harness.plan.setEntries([AvahiHarness.entry])
            harness.receive(.running, .collision)
            #expect(harness.published.count == 2)
            #expect(harness.published[0].name != harness.published[1].name)
            // Somebody who takes every name does not keep us busy for ever.
            for _ in 0..<1_000 { harness.receive(.collision) }
            #expect(harness.published.count == 1 + AvahiPlan.maximumRenames)
        }

        @Test func changedAddressesArePublishedAgain() {
            var harness = AvahiHarness()
            for _ in 0..<3 { harness.plan.setEntries([AvahiHarness.entry]) }
            harness.drain()
            #expect(harness.published.count == 1)
            harness.plan.setEntries([])
            harness.drain()
            #expect(harness.published.last?.entries.isEmpty == true)
        }

        @Test func tenThousandServicesTakeBoundedMemory() {
            var harness = AvahiHarness()
            for number in 0..<10_000 { harness.find(AvahiHarness.texts(), AvahiService(name: "fake\(number)", interface: 2, family: 0)) }
            #expect(harness.found.count == AvahiSession.maximumServices)
            #expect(harness.filtered.count == 10_000 - AvahiSession.maximumServices)
            harness.receive(.lost(AvahiService(name: "fake0", interface: 2, family: 0)))
            harness.find(AvahiHarness.texts(), AvahiService(name: "late", interface: 2, family: 0))
            #expect(harness.found.count == AvahiSession.maximumServices + 1)
        }

        @Test func moreEventsThanTheReactorTakesEndTheSession() {
            var shared = AvahiWorker.Shared()
            for _ in 0..<AvahiWorker.maximumEvents {
                let taken = shared.append(.found(AvahiHarness.service, interface: "eth0", texts: []))
                #expect(taken)
            }
            let taken = shared.append(.settled)
            #expect(!taken)
            guard case .ended(let error)? = shared.events.last else {
                Issue.record("no end")
                return
            }
            #expect(AvahiPlan.describe(error).kind == .limitReached)
        }

        @Test(arguments: [
            (AvahiError.accessDenied, SourceFailureKind.permission), (AvahiError.tooManyObjects, .limitReached), (AvahiError.timedOut, .timedOut),
            (AvahiError.invalidServiceType, .badConfiguration), (-1, .system),
        ])
        func failuresAreNamed(_ code: Int32, _ kind: SourceFailureKind) {
            var harness = AvahiHarness()
            harness.receive(.refused(AvahiError(code: code, text: "words")))
            #expect(harness.failures == [kind])
            harness.receive(.established)
            #expect(harness.reports.last == .running)
        }
    }
}
