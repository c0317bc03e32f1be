@testable import MeshNetProtocol
@testable import MeshNetSystem
import Testing

/// When a caller that waits looks before it sleeps.
@Suite struct LookingTests {
    private func looks(after waits: [Duration]) -> Bool {
        var looking = Looking()
        for wait in waits { looking.waited(wait) }
        return looking.isWorthwhile
    }

    private let quick = Duration.microseconds(100)

    @Test func onlyAfterSeveralQuickWaits() {
        for count in 0..<Looking.needed { #expect(!looks(after: Array(repeating: quick, count: count))) }
        #expect(looks(after: Array(repeating: quick, count: Looking.needed)))
    }

    /// However long it went well before, two looks in vain are the last for as many quick waits as it took to begin.
    @Test func looksInVainEndIt() {
        let vain = Looking.longest + .microseconds(1)
        var waits = Array(repeating: quick, count: 1_000) + [vain, vain]
        #expect(!looks(after: waits))
        waits += Array(repeating: quick, count: Looking.needed - 1)
        #expect(!looks(after: waits))
        waits.append(quick)
        #expect(looks(after: waits))
    }

    @Test func whoWaitsForSomethingRareNeverLooks() {
        var looking = Looking(), looks = 0
        for index in 0..<1_000 {
            if looking.isWorthwhile { looks += 1 }
            looking.waited(index % 4 == 0 ? .milliseconds(1) : quick)
        }
        #expect(looks == 0)
    }

    @Test func aProcessorThatOthersWantIsLeftAtOnce() {
        var looking = Looking()
        for _ in 0..<100 { looking.waited(quick) }
        looking.disturbed()
        #expect(!looking.isWorthwhile)
    }
}
