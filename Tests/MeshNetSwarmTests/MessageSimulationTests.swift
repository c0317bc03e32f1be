import Foundation
import MeshNetSimulator
import Testing

@testable import MeshNetProtocol
@testable import MeshNetSwarm

/// Networks in trouble, one for each seed. `MESHNET_SEEDS=n` plays n of them, `MESHNET_SEED=x` one alone; optimised builds play 1,000.
@Suite struct MessageSimulationTests {
    static let batches = 10

    private static func number(_ variable: String) -> UInt64? { ProcessInfo.processInfo.environment[variable].flatMap { UInt64($0) } }

    #if DEBUG
    private static let defaultSeeds: UInt64 = 10
    #else
    private static let defaultSeeds: UInt64 = 1_000
    #endif

    private static var seeds: ClosedRange<UInt64> {
        if let one = number("MESHNET_SEED") { return one...one }
        return 1...max(1, number("MESHNET_SEEDS") ?? defaultSeeds)
    }

    /// In order and exactly once, every ticket ends once, bounds hold, nothing is left over.
    @Test(arguments: 0..<batches) func promisesHoldInEveryNetwork(batch: Int) {
        var ends: [String: Int] = [:]
        let seeds = Self.seeds.filter { Int($0 % UInt64(Self.batches)) == batch }
        for seed in seeds {
            let scenario = MessageScenario(seed: seed)
            let broken = scenario.run()
            ends.merge(scenario.checker.tally) { $0 + $1 }
            guard !broken.isEmpty else { continue }
            let again = "MESHNET_SEED=\(seed) swift test --filter MessageSimulationTests"
            Issue.record("seed \(seed): \(broken.joined(separator: "; "))\nfaults: \(scenario.faults.joined(separator: "; "))\nagain: \(again)")
        }
        // A hundred networks see the ways in which a message can end; a full disk in the wrong moment is rarer.
        guard seeds.count >= 100 else { return }
        let all = ["success", "expired", "displaced", "queueFull", "timedOut", "peerRestarted", "peerClosed", "cancelled", "messageTooLarge"]
        for end in all { #expect(ends[end, default: 0] > 0, "\(ends)") }
    }

    @Test(arguments: [1, 2, 3] as [UInt64]) func sameSeedSameTrace(seed: UInt64) {
        let first = MessageScenario(seed: seed), second = MessageScenario(seed: seed)
        #expect(first.run() == second.run())
        #expect(first.network.trace == second.network.trace)
        #expect(first.network.trace.count > 0)
    }
}
