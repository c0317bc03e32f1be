@testable import MeshNetProtocol
@testable import MeshNetSwarm
@testable import MeshNetSystem
import Testing

/// The tags that a node writes for itself.
@Suite struct HeadscaleTaggingTests {
    let local = KeyPair.generate().peerID
    var own: [String] { ["tag:meshnet-peer-\(local.base36)", "tag:meshnet-port-4001"] }

    func harness(tagsItself: Bool = true) -> ControlHarness<HeadscaleMachine> {
        var configuration = HeadscaleConfiguration(apiBaseURL: "https://hs.example.com", apiKey: APIKey("abc.def"), port: 4_001)
        configuration.tagsItself = tagsItself
        var machine = ControlHarness(HeadscaleMachine(configuration, localPeer: local, random: RandomSource(testSeed: 7), now: .zero))
        machine.surroundings.addresses = [[100, 64, 0, 3]]
        machine.machine.listening(on: [Multiaddr(ip: [10, 0, 0, 1], tcpPort: 4_001)!])
        _ = machine.nextRequest()
        return machine
    }

    func list(_ field: String, _ tags: [String], valid: [String] = []) -> String {
        #"{"nodes":[{"id":"3","ipAddresses":["100.64.0.3"],"name":"a","\#(field)":\#(JSONText.array(tags)),"validTags":\#(JSONText.array(valid))}]}"#
    }

    func body(_ tags: [String]) -> String { #"{"tags":\#(JSONText.array(tags))}"# }

    /// Before 0.28 what a write replaces is forcedTags: a tag that a client asked for must not become a forced one.
    @Test(arguments: ["forcedTags", "tags"]) func otherTagsAreKeptAndStaleOnesReplaced(_ field: String) {
        var machine = harness()
        let request = machine.answer(200, list(field, ["tag:exo", "tag:meshnet-peer-k51old", "tag:meshnet-port-1"], valid: ["tag:asked-for"]))
        #expect(request?.path == "/api/v1/node/3/tags")
        #expect(request?.content?.text.text == body(["tag:exo"] + own))
        #expect(request?.content?.type == "application/json")
        // The answer of some servers says that the node is offline: it is not read.
        machine.answer(200, #"{"node":{"online":false}}"#)
        _ = machine.nextRequest()
        #expect(machine.answer(200, list(field, ["tag:exo"] + own)) == nil)
        // Never again, also when somebody takes the tags away later.
        _ = machine.nextRequest()
        #expect(machine.answer(200, list(field, [])) == nil)
    }

    @Test func theFormIsLegalOnBothServers() {
        for tag in TailnetTags.own(local, port: 4_001) {
            #expect(tag.hasPrefix("tag:"))
            #expect(tag.dropFirst(4).first?.isLetter == true)
            #expect(tag.dropFirst(4).allSatisfy { "abcdefghijklmnopqrstuvwxyz0123456789-".contains($0) })
        }
    }

    @Test func nothingIsWrittenWhenTheTagsAreThereOrNotWanted() {
        var machine = harness()
        #expect(machine.answer(200, list("tags", own.reversed() + ["tag:x"])) == nil)
        var unwanted = harness(tagsItself: false)
        #expect(unwanted.answer(200, list("tags", [])) == nil)
    }

    @Test func aNodeThatIsNotListedYetIsAwaited() {
        var machine = harness()
        #expect(machine.answer(200, #"{"nodes":[]}"#) == nil)
        _ = machine.nextRequest()
        #expect(machine.answer(200, list("tags", []))?.path == "/api/v1/node/3/tags")
    }

    @Test func tagsThatOthersOverwriteAreWrittenAFewTimes() {
        var machine = harness(), writes = 0
        for _ in 0..<10 {
            if machine.answer(200, list("tags", [])) != nil {
                writes += 1
                machine.answer(200, "{}")
            }
            _ = machine.nextRequest()
        }
        #expect(writes == HeadscaleMachine.maximumWrites)
    }

    @Test(arguments: [
        (400, #"{"code":3,"message":"requested tags [tag:x] are invalid or not permitted","details":[]}"#, "not permitted"),
        (500, #"{"code":2,"message":"tag should be lowercase","details":[]}"#, "tag should be lowercase"),
        (400, #"{"title":"Bad Request","status":400,"detail":"requested tags are invalid"}"#, "requested tags are invalid"),
    ])
    func refusalsAreToldWithThePolicy(_ status: Int, _ answer: String, _ words: String) {
        var machine = harness()
        _ = machine.answer(200, list("tags", []))
        machine.answer(status, answer)
        #expect(machine.failure?.kind == .permission)
        #expect(machine.failure?.detail.contains(words) == true)
        #expect(machine.failure?.hint.contains("tagOwners") == true)
        #expect(machine.failure?.hint.contains(own[0]) == true)
        _ = machine.nextRequest()
        #expect(machine.answer(200, list("tags", [])) == nil)
        #expect(machine.reports.first == .running)
    }

    @Test func aNodeWithMoreTagsThanAWriteMayKeepIsNotTagged() {
        var machine = harness()
        #expect(machine.answer(200, list("tags", (1...HeadscaleMachine.maximumWrittenTags).map { "tag:t\($0)" })) == nil)
    }

    @Test func anIdThatIsNoNumberGoesIntoNoPath() {
        var machine = harness()
        #expect(machine.answer(200, #"{"nodes":[{"id":"../../x","ipAddresses":["100.64.0.3"],"tags":[]}]}"#) == nil)
    }
}
