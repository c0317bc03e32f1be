import MeshNetProtocol

extension Swarm {
    mutating func queryIdentify(_ id: ConnectionID) {
        guard let stream = try? connections[id]?.pipeline?.openStream([IdentifyMessage.identifyProtocol], now: now) else { return }
        connections[id]?.identifyInputs[stream] = IdentifyReader()
        use(stream, for: .identifyQuery, on: id)
        connections[id]?.pipeline?.closeWrite(stream)
        touch(id)
    }

    mutating func answerIdentify(_ stream: PipelineStream, on id: ConnectionID) {
        use(stream, for: .identifyAnswer, on: id)
        if let peer = connections[id]?.peer { peers[peer]?.toldRevision = identifyRevision }
        send(identifyFrame(for: id), on: stream, of: id, thenClose: true)
    }

    mutating func receiveIdentifyPush(_ stream: PipelineStream, on id: ConnectionID) {
        connections[id]?.identifyInputs[stream] = IdentifyReader()
        use(stream, for: .identifyPushIn, on: id)
    }

    /// What identify tells has changed: every peer that is known to understand it hears of it now.
    mutating func pushIdentify() {
        identifyRevision += 1
        for peer in peers.keys.sorted() { pushIdentify(to: peer) }
    }

    private mutating func pushIdentify(to peer: PeerID) {
        guard let id = peers[peer]?.primary, peers[peer]?.identity?.protocols.contains(IdentifyMessage.pushProtocol) == true,
            let stream = try? connections[id]?.pipeline?.openStream([IdentifyMessage.pushProtocol], now: now)
        else { return }
        peers[peer]?.toldRevision = identifyRevision
        use(stream, for: .identifyPushOut, on: id)
        send(identifyFrame(for: id), on: stream, of: id, thenClose: true)
    }

    mutating func identifyBytes(_ stream: PipelineStream, _ bytes: UnsafeRawBufferPointer, on id: ConnectionID) {
        do throws(IdentifyError) {
            try connections[id]?.identifyInputs[stream]?.receive(bytes)
        } catch {
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
        guard let message = try? input?.finish(), let peer = connections[id]?.peer, peers[peer] != nil else { return }
        learn(message, of: peer, isPush: isPush, through: id)
    }

    /// Addresses are believed if the peer signed them itself, or if it says them on its own authenticated connection.
    private mutating func learn(_ message: IdentifyMessage, of peer: PeerID, isPush: Bool, through id: ConnectionID) {
        let before = isPush ? peers[peer]?.identity : nil
        let record = try? message.peerRecord(from: peer, proven: provenSignatures)
        let certified = record?.addresses ?? []
        if let record, let envelope = message.signedPeerRecord { peers[peer]?.sealedRecord = (record, envelope) }
        // Some (py-libp2p) repeat their own id at the end of each address.
        let addresses = (certified.isEmpty ? message.listenAddresses : certified).compactMap { $0.peerID == peer ? $0.withoutPeerID : $0 }
        let identity = PeerIdentity(
            peer: peer, agentVersion: message.agentVersion ?? before?.agentVersion ?? "",
            protocolVersion: message.protocolVersion ?? before?.protocolVersion ?? "",
            protocols: message.protocols.isEmpty ? before?.protocols ?? [] : message.protocols,
            listenAddresses: addresses.isEmpty ? before?.listenAddresses ?? [] : addresses,
            observedAddress: message.observedAddress ?? before?.observedAddress)
        peers[peer]?.identity = identity
        let working = connections[id]?.direction == .outbound ? connections[id]?.remote : nil
        addressBook.replace(identity.listenAddresses, for: peer, keeping: working)
        channelStateChanged(peer)
        emit(.identified(identity))
        // What we said before we knew that the peer understands a push may be out of date.
        if let told = peers[peer]?.toldRevision, told < identifyRevision { pushIdentify(to: peer) }
        exchangeIdentified(peer)
        retainedIdentified(peer)
    }

    /// Signed once for each list of addresses: a peer that asks again and again shall not make us sign again and again.
    private mutating func ownRecord() -> [UInt8] {
        if let sealedRecord { return sealedRecord }
        let record = PeerRecord.sealed(by: configuration.identity, sequence: recordSequence, addresses: listenAddresses)
        sealedRecord = record
        return record
    }

    private mutating func identifyFrame(for id: ConnectionID) -> [UInt8] {
        var message = IdentifyMessage()
        message.protocolVersion = "ipfs/0.1.0"
        message.agentVersion = configuration.agentVersion
        message.publicKey = configuration.identity.publicKey
        message.listenAddresses = listenAddresses
        message.observedAddress = connections[id]?.remote
        message.protocols = protocols
        message.signedPeerRecord = ownRecord()
        return message.frames
    }
}
