import Testing
@testable import MeshNetProtocol

@Suite struct RandomSourceTests {
    @Test func sameSeedSameBytes() {
        var a = RandomSource(testSeed: 7), b = RandomSource(testSeed: 7)
        #expect(a.bytes(2_000) == b.bytes(2_000))
    }

    @Test func outputDoesNotDependOnHowItIsCut() {
        var a = RandomSource(testSeed: 1), b = RandomSource(testSeed: 1)
        #expect(a.bytes(100) + a.bytes(700) == b.bytes(800))
    }

    @Test func forksAreIndependent() {
        var a = RandomSource(testSeed: 3)
        var fork = a.fork()
        #expect(fork.bytes(32) != a.bytes(32))
    }
}
