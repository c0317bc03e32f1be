import TestSupport
import Testing
@testable import MeshNetProtocol

@Suite struct IdentifyTests {
    private let identity = KeyPair(secret: [UInt8](repeating: 7, count: 32))!
    private let address = Multiaddr(ip: [192, 168, 1, 7], tcpPort: 4001)!

    private var full: IdentifyMessage {
        var message = IdentifyMessage()
        message.protocolVersion = "ipfs/0.1.0"
        message.agentVersion = "meshnet/0.1.0"
        message.publicKey = identity.publicKey
        message.listenAddresses = [address]
        message.observedAddress = Multiaddr(ip: [10, 0, 0, 1], tcpPort: 7)
        message.protocols = ["/ipfs/ping/1.0.0", "/meshsub/1.1.0"]
        message.signedPeerRecord = PeerRecord.sealed(by: identity, sequence: 1, addresses: [address])
        return message
    }

    private func read(_ stream: [UInt8], pieces: Int = .max) throws(IdentifyError) -> IdentifyMessage {
        var reader = IdentifyReader(), rest = stream[...]
        while !rest.isEmpty {
            let piece = Array(rest.prefix(pieces))
            rest = rest.dropFirst(pieces)
            try piece.withView { view throws(IdentifyError) in try reader.receive(view) }
        }
        return try reader.finish()
    }

    private func frame(_ bytes: [UInt8]) -> [UInt8] { Varint.encoded(UInt64(bytes.count)) + bytes }

    private func repeated(_ field: UInt64, _ value: [UInt8], _ count: Int) -> [UInt8] {
        var writer = ProtobufWriter()
        for _ in 0..<count { writer.bytes(field, value) }
        return writer.bytes
    }

    @Test func fieldNumbers() {
        var message = IdentifyMessage()
        message.protocolVersion = "v"
        message.agentVersion = "a"
        message.protocols = ["p"]
        message.listenAddresses = [address]
        message.observedAddress = address
        message.signedPeerRecord = [1]
        #expect(message.frames.hex == "20" + "120804c0a80107060fa1" + "1a0170" + "220804c0a80107060fa1" + "2a0176" + "320161" + "420101")
    }

    @Test func roundTripHoweverItIsCut() throws {
        for pieces in [1, 2, 3, 7, 100, .max] { #expect(try read(full.frames, pieces: pieces) == full) }
        #expect(try full.peerRecord(from: identity.peerID)?.addresses == [address])
    }

    @Test func recordOfAnotherPeerIsNotTaken() {
        let other = KeyPair(secret: [UInt8](repeating: 8, count: 32))!.peerID
        #expect(throws: PeerRecordError.wrongPeer(expected: other, actual: identity.peerID)) { try full.peerRecord(from: other) }
    }

    @Test func severalMessagesAreMerged() throws {
        var first = IdentifyMessage(), second = IdentifyMessage()
        first.protocols = ["/a"]
        first.agentVersion = "old"
        second.protocols = ["/b"]
        second.agentVersion = "new"
        let merged = try read(first.frames + second.frames, pieces: 3)
        #expect(merged.protocols == ["/a", "/b"])
        #expect(merged.agentVersion == "new")
    }

    /// go-libp2p #3501: unlimited protocols through identify in chunks.
    @Test func protocolsAreCountedOverAllMessages_go_3501() throws {
        let half = frame(repeated(3, Array("/p".utf8), IdentifyMessage.maximumProtocols / 2))
        #expect(try read(half + half).protocols.count == IdentifyMessage.maximumProtocols)
        #expect(throws: IdentifyError.tooManyProtocols(limit: IdentifyMessage.maximumProtocols)) {
            try read(half + half + frame(repeated(3, [], 1)))
        }
    }

    @Test func addressesAreCountedOverAllMessages() throws {
        let half = frame(repeated(2, address.bytes, IdentifyMessage.maximumAddresses / 2))
        #expect(try read(half + half).listenAddresses.count == IdentifyMessage.maximumAddresses)
        // Unreadable ones count as well.
        #expect(throws: IdentifyError.tooManyAddresses(limit: IdentifyMessage.maximumAddresses)) {
            try read(half + half + frame(repeated(2, [0xff], 1)))
        }
    }

    @Test func messagesAreCounted() throws {
        let empty: [UInt8] = [0]
        #expect(try read([UInt8](repeating: 0, count: IdentifyMessage.maximumMessages)) == IdentifyMessage())
        #expect(throws: IdentifyError.tooManyMessages(limit: IdentifyMessage.maximumMessages)) {
            try read([UInt8](repeating: 0, count: IdentifyMessage.maximumMessages) + empty)
        }
    }

    @Test func longMessagesAreRefusedByTheirLength() throws {
        let largest = IdentifyMessage.maximumAcceptedByteCount
        #expect(try read(frame([0x7a, 0xfd, 0x3f] + [UInt8](repeating: 1, count: largest - 3))) == IdentifyMessage())
        #expect(throws: IdentifyError.wire(.tooLarge(announced: UInt64(largest + 1), limit: largest))) {
            try read(Varint.encoded(UInt64(largest + 1)))
        }
        #expect(throws: IdentifyError.wire(.varintTooLong)) { try read([UInt8](repeating: 0xff, count: 9)) }
    }

    @Test func cutStreamsAreErrors() {
        let stream = full.frames
        for count in 0..<stream.count {
            #expect(throws: IdentifyError.endedEarly, "cut at \(count)") { try read(Array(stream[..<count])) }
        }
    }

    @Test func unreadableAddressesAreLeftOut() throws {
        let bytes = repeated(2, [0xff, 0xff], 1) + repeated(2, address.bytes, 1) + repeated(4, [9], 1)
        let message = try read(frame(bytes))
        #expect(message.listenAddresses == [address])
        #expect(message.observedAddress == nil)
    }

    @Test func longMessagesAreSentInTwoAndTrimmed() throws {
        var message = full
        message.listenAddresses = [Multiaddr](repeating: address, count: 480)
        message.signedPeerRecord = PeerRecord.sealed(by: identity, sequence: 1, addresses: [Multiaddr](repeating: address, count: 200))
        let received = try read(message.frames)
        #expect(received.listenAddresses.count > 300 && received.listenAddresses.count < 480)
        #expect(received.protocols == message.protocols)
        #expect(received.signedPeerRecord == message.signedPeerRecord)
        #expect(message.frames.count <= 2 * (IdentifyMessage.maximumSentByteCount + 2))

        message.protocols = [String](repeating: "/a/protocol/with/a/long/name", count: 400)
        #expect(try read(message.frames).listenAddresses.isEmpty)
        #expect(try read(message.frames).protocols.count < 400)
        message.signedPeerRecord = [UInt8](repeating: 0, count: IdentifyMessage.maximumSentByteCount)
        #expect(try read(message.frames).signedPeerRecord == nil)
    }
}
