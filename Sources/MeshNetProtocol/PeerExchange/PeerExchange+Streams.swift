// What goes to neighbours, and what comes from them.
extension PeerExchange {
    /// Our stream to the peer stands: it is told everything.
    package mutating func opened(_ peer: PeerID, now: Instant) {
        self.now = now
        neighbours[peer]?.isOpen = true
        neighbours[peer]?.isWriting = false
        neighbours[peer]?.sentThrough = 0
        neighbours[peer]?.goal = change
        push(to: peer)
    }

    package mutating func closed(_ peer: PeerID) { neighbours[peer]?.isOpen = false }

    /// The stream took the last frame as a whole.
    package mutating func written(_ peer: PeerID, now: Instant) {
        self.now = now
        neighbours[peer]?.isWriting = false
        push(to: peer)
    }

    // MARK: - Out

    mutating func armFlush() {
        guard flushAt == nil else { return }
        let half = max(0, limits.coalescing.saturatedNanoseconds / 2)
        flushAt = now + .nanoseconds(half + Int64.random(in: 0...2 * half, using: &random))
    }

    mutating func flush() {
        flushAt = nil
        for peer in neighbours.keys.sorted() where neighbours[peer]?.isOpen == true {
            neighbours[peer]?.goal = change
            push(to: peer)
        }
    }

    /// One message with what the peer has not been told, oldest change first. The rest follows when it is written, or when the budget allows.
    private mutating func push(to peer: PeerID) {
        guard var neighbour = neighbours[peer], neighbour.isOpen, !neighbour.isWriting, neighbour.sentThrough < neighbour.goal else { return }
        defer { neighbours[peer] = neighbour }
        let news = entries.filter { isNews($0.value, of: $0.key, to: peer, neighbour) }.values.sorted { $0.change < $1.change }
        var message = PeerExchangeMessage(), size = 0, isCut = false
        for entry in news {
            size += entry.envelope.count + PeerExchangeMessage.recordOverhead
            guard message.records.count < PeerExchangeMessage.maximumRecords, size <= PeerExchangeMessage.maximumSentByteCount else {
                isCut = true
                break
            }
            guard neighbour.sending.take(now: now) else {
                isCut = true
                armFlush()
                break
            }
            // Rounded up, so that a record grows no younger from hop to hop.
            let age = (entry.age(now: now).saturatedNanoseconds + 999_999_999) / 1_000_000_000
            message.records.append(.init(envelope: entry.envelope, age: UInt64(age)))
            neighbour.sentThrough = entry.change
        }
        if !isCut { neighbour.sentThrough = neighbour.goal }
        guard !message.records.isEmpty else { return }
        neighbour.isWriting = true
        counters.messagesSent += 1
        counters.recordsSent += message.records.count
        actions.append(.send(peer, message.frame))
    }

    private func isNews(_ entry: PeerExchangeEntry, of subject: PeerID, to peer: PeerID, _ neighbour: PeerExchangeNeighbour) -> Bool {
        entry.change > neighbour.sentThrough && entry.change <= neighbour.goal && subject != peer && entry.newsFrom != peer
            && (entry.reach == .network || neighbour.isOnThisHost) && entry.age(now: now) < limits.expiry
    }

    // MARK: - In

    /// A message of a connected peer, without its length prefix.
    package mutating func receive(_ bytes: UnsafeRawBufferPointer, from peer: PeerID, now: Instant) {
        self.now = now
        guard neighbours[peer]?.isSilenced == false else { return }
        let message: PeerExchangeMessage
        do throws(PeerExchangeError) {
            message = try PeerExchangeMessage(decoding: bytes)
        } catch {
            actions.append(.malformed(peer))
            return fault(of: peer)
        }
        for record in message.records where neighbours[peer]?.isSilenced == false {
            counters.recordsHeard += 1
            if neighbours[peer]?.accepting.take(now: now) == true { take(record, from: peer) } else { drop(.rateLimited, from: peer) }
        }
    }

    private mutating func take(_ told: PeerExchangeMessage.Record, from teller: PeerID) {
        let age = Duration.seconds(Int64(clamping: min(told.age, UInt64(Int32.max))))
        guard age < limits.expiry else { return drop(.expired, from: teller) }
        let seenAt = now + (Duration.zero - age)
        if let known = verified[told.envelope] {
            if entries[known]?.state != .connected { sighted(known, at: seenAt, from: teller) }
            return
        }
        let record: PeerRecord
        counters.verified += 1
        do throws(PeerRecordError) {
            record = try PeerRecord(envelope: told.envelope)
        } catch {
            if case .envelope(.publicKey) = error { return drop(.unknownKey, from: teller) }
            drop(.notSigned, from: teller)
            return fault(of: teller)
        }
        take(record, told.envelope, seenAt: seenAt, from: teller)
    }

    private mutating func take(_ record: PeerRecord, _ envelope: [UInt8], seenAt: Instant, from teller: PeerID) {
        guard record.peer != localPeer else { return drop(.own, from: teller) }
        // A connected peer tells us itself.
        guard neighbours[record.peer] == nil, let neighbour = neighbours[teller] else { return }
        let old = entries[record.peer]
        if let old, old.sequence >= record.sequence { return }
        let (addresses, reach) = record.dialable(limit: limits.addressesPerEntry)
        guard reach == .network || reach == .host && neighbour.isOnThisHost else { return drop(.noAddress, from: teller) }
        let entry = PeerExchangeEntry(
            envelope: envelope, sequence: record.sequence, addresses: addresses, reach: reach, seenAt: max(seenAt, old?.seenAt ?? seenAt),
            toldSeenAt: seenAt, teller: teller, newsFrom: teller)
        guard store(entry, for: record.peer) else { return drop(.evicted, from: teller) }
        arm(entry.seenAt + limits.expiry)
        stamp(record.peer)
        if old?.isOut == true {
            // Dialled where it is no more: at once where it is now.
            entries[record.peer]?.state = .given
            announce(record.peer)
        } else {
            line(up: record.peer)
        }
        if let former = old?.teller { feed(former) }
    }

    /// What no neighbour does by mistake, since all verify before they pass on.
    private mutating func fault(of peer: PeerID) {
        guard let faults = neighbours[peer]?.faults else { return }
        neighbours[peer]?.faults = faults + 1
        guard faults + 1 >= limits.faults, neighbours[peer]?.isSilenced == false else { return }
        neighbours[peer]?.isSilenced = true
        actions.append(.silenced(peer))
    }
}
