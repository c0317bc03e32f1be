import MeshNetProtocol

/// Identify and identify-push (libp2p specs, identify).
enum IdentifyService {
    static let protocolID = "/ipfs/id/1.0.0"
    static let pushProtocolID = "/ipfs/id/push/1.0.0"
    static let protocolVersion = "ipfs/0.1.0"
    /// Messages of one answer. go: 10.
    static let maximumMessages = 10
    /// Bytes of one message. go: 8 KiB.
    static let maximumMessageSize = 8_192
}

/// What the peer says of itself, in the making.
struct IdentifyInput {
    var frames = LengthPrefixedFrames(limit: IdentifyService.maximumMessageSize)
    var message = IdentifyMessage()
    var count = 0
}

extension Swarm {
    mutating func queryIdentify(_ id: ConnectionID) {
        guard let stream = try? connections[id]?.pipeline?.openStream([IdentifyService.protocolID], now: now) else { return }
        connections[id]?.identifyInputs[stream] = IdentifyInput()
        use(stream, for: .identifyQuery, on: id)
        connections[id]?.pipeline?.closeWrite(stream)
        touch(id)
    }

    mutating func answerIdentify(_ stream: PipelineStream, on id: ConnectionID) {
        use(stream, for: .identifyAnswer, on: id)
        send(identifyFrame(for: id), on: stream, of: id, thenClose: true)
    }

    mutating func receiveIdentifyPush(_ stream: PipelineStream, on id: ConnectionID) {
        connections[id]?.identifyInputs[stream] = IdentifyInput()
        use(stream, for: .identifyPushIn, on: id)
    }

    /// Tells every peer that understands it what changed.
    mutating func pushIdentify() {
        for peer in peers.keys.sorted() {
            guard let id = peers[peer]?.primary, peers[peer]?.identity?.protocols.contains(IdentifyService.pushProtocolID) == true,
                let stream = try? connections[id]?.pipeline?.openStream([IdentifyService.pushProtocolID], now: now)
            else { continue }
            use(stream, for: .identifyPushOut, on: id)
            send(identifyFrame(for: id), on: stream, of: id, thenClose: true)
        }
    }

    mutating func identifyBytes(_ stream: PipelineStream, _ bytes: UnsafeRawBufferPointer, on id: ConnectionID) {
        guard var input = connections[id]?.identifyInputs[stream] else { return }
        var rest = bytes
        var isGood = true
        do throws(WireError) {
            while let frame = try input.frames.next(&rest) {
                input.count += 1
                guard input.count <= IdentifyService.maximumMessages, input.message.merge(frame) else {
                    isGood = false
                    break
                }
            }
        } catch {
            isGood = false
        }
        if isGood {
            connections[id]?.identifyInputs[stream] = input
        } else {
            connections[id]?.identifyInputs[stream] = nil
            connections[id]?.streams[stream] = nil
            connections[id]?.pipeline?.reset(stream)
        }
    }

    mutating func identifyEnded(_ stream: PipelineStream, on id: ConnectionID) {
        let input = connections[id]?.identifyInputs.removeValue(forKey: stream)
        let isPush = connections[id]?.streams[stream] == .identifyPushIn
        connections[id]?.streams[stream] = .finished
        connections[id]?.pipeline?.closeWrite(stream)
        guard let input, input.count > 0, let peer = connections[id]?.peer, peers[peer] != nil else { return }
        learn(input.message, of: peer, isPush: isPush, through: id)
    }

    /// Addresses are believed if the peer signed them itself, or if it says them on its own authenticated connection.
    private mutating func learn(_ message: IdentifyMessage, of peer: PeerID, isPush: Bool, through id: ConnectionID) {
        let before = isPush ? peers[peer]?.identity : nil
        let addresses = message.certifiedAddresses(of: peer) ?? message.listenAddresses
        let identity = PeerIdentity(
            peer: peer, agentVersion: message.agentVersion ?? before?.agentVersion ?? "",
            protocolVersion: message.protocolVersion ?? before?.protocolVersion ?? "",
            protocols: message.protocols.isEmpty ? before?.protocols ?? [] : message.protocols,
            listenAddresses: addresses.isEmpty ? before?.listenAddresses ?? [] : addresses,
            observedAddress: message.observedAddress ?? before?.observedAddress)
        peers[peer]?.identity = identity
        let working = connections[id]?.direction == .outbound ? connections[id]?.remote : nil
        addressBook.replace(identity.listenAddresses, for: peer, keeping: working)
        emit(.identified(identity))
    }

    private mutating func identifyFrame(for id: ConnectionID) -> [UInt8] {
        var message = IdentifyMessage()
        message.protocolVersion = IdentifyService.protocolVersion
        message.agentVersion = configuration.agentVersion
        message.publicKey = configuration.identity.publicKey
        message.listenAddresses = listenAddresses
        message.observedAddress = connections[id]?.remote
        message.protocols = protocols
        message.signedPeerRecord = signedPeerRecord()
        return message.framed
    }

    /// Our addresses under our signature; every change of the addresses has a higher sequence number.
    private func signedPeerRecord() -> [UInt8] {
        PeerRecord(peer: localPeer, sequence: recordSequence, addresses: listenAddresses).sealed(by: configuration.identity)
    }
}
