// What is heard: questions about us, and what others say of themselves.
extension MDNSService {
    /// All services of a network are listed under this name (RFC 6763, 9).
    private static let serviceListName = DNSName("_services._dns-sd._udp.local")
    /// How long an answer waits when the known answers of the question go on in another packet (RFC 6762, 7.2).
    private static let truncatedDelay: Duration = .milliseconds(400)

    /// One packet, heard on an interface.
    package mutating func receive(_ packet: UnsafeRawBufferPointer, interface: UInt32, now: Instant) {
        guard !isClosed else { return }
        counters.packetsHeard += 1
        guard let index = links.firstIndex(where: { $0.interface.id == interface }) else { return counters.drop(.unknownInterface) }
        guard takesPacket(index, now: now) else { return counters.drop(.rateLimited) }
        let message: DNSMessage
        do {
            message = try DNSMessage(decoding: packet)
        } catch {
            counters.lastError = error
            return counters.drop(.malformed)
        }
        guard message.isStandard else { return counters.drop(.unsupported) }
        if message.isResponse {
            receiveResponse(message, on: index, now: now)
        } else {
            receiveQuery(message, on: index, now: now)
        }
    }

    private mutating func takesPacket(_ index: Int, now: Instant) -> Bool {
        if now - links[index].second >= .seconds(1) {
            links[index].second = now
            links[index].packets = 0
        }
        links[index].packets += 1
        return links[index].packets <= limits.packetsPerSecond
    }

    // MARK: - Questions

    private mutating func receiveQuery(_ message: DNSMessage, on index: Int, now: Instant) {
        var isForUs = false
        for question in message.questions {
            switch question.name {
            case service where question.asks(for: DNSType.pointer):
                isForUs = true
                if !knowsUs(message) { answer(on: index, after: delay(message), now: now) }
            case instance where question.asks(for: DNSType.text) || question.asks(for: DNSType.service),
                host where question.asks(for: DNSType.a) || question.asks(for: DNSType.aaaa):
                isForUs = true
                answer(on: index, after: delay(message), now: now)
            case let name where name == Self.serviceListName && question.asks(for: DNSType.pointer):
                isForUs = true
                listServices(on: index, after: delay(message), now: now)
            default: continue
            }
        }
        if !isForUs { counters.drop(.otherService) }
    }

    private mutating func delay(_ message: DNSMessage) -> Duration { message.isTruncated ? Self.truncatedDelay + jitter() : jitter() }

    /// Who asks lists us among the answers that it has, with at least half of their time left (RFC 6762, 7.1).
    private func knowsUs(_ message: DNSMessage) -> Bool {
        message.answers.contains { $0.name == service && $0.content == .pointer(instance) && $0.timeToLive >= Self.timeToLive / 2 }
    }

    private mutating func listServices(on index: Int, after delay: Duration, now: Instant) {
        guard !links[index].announcement.isEmpty, links[index].serviceListAt == nil else { return }
        links[index].serviceListAt = max(now + delay, links[index].lastServiceList.map { $0 + Self.answerInterval } ?? now)
    }

    var serviceList: DNSMessage {
        var message = DNSMessage(isResponse: true)
        if let name = Self.serviceListName {
            message.answers = [DNSRecord(name: name, timeToLive: Self.timeToLive, flushesCache: false, content: .pointer(service))]
        }
        return message
    }

    // MARK: - Announcements

    private mutating func receiveResponse(_ message: DNSMessage, on index: Int, now: Instant) {
        let records = message.answers + message.additionals
        var instances: [(name: DNSName, timeToLive: UInt32)] = [], seen: Set<DNSName> = []
        for record in records where record.name == service {
            guard case .pointer(let name) = record.content, seen.insert(name).inserted else { continue }
            instances.append((name, record.timeToLive))
        }
        if instances.isEmpty { return receiveForeign(records, on: index) }
        var texts: [DNSName: MDNSTexts] = [:]
        for record in records {
            guard case .text(let strings) = record.content else { continue }
            texts[record.name, default: MDNSTexts()].strings += strings
            if record.flushesCache { texts[record.name]?.isComplete = true }
        }
        for (name, timeToLive) in instances {
            if name == instance {
                counters.drop(.own)
            } else if timeToLive == 0 {
                forget(table.remove(name: name, interface: links[index].interface.id))
            } else {
                announced(name, texts[name] ?? MDNSTexts(), timeToLive: timeToLive, on: index, now: now)
            }
        }
    }

    /// Nothing about our service. Peers of another one are worth a word: most often their tag is one by mistake.
    private mutating func receiveForeign(_ records: [DNSRecord], on index: Int) {
        for record in records {
            guard case .pointer(let instance) = record.content else { continue }
            let isPeer = records.contains { other in
                guard other.name == instance, case .text(let strings) = other.content else { return false }
                return strings.contains { MDNSTexts.value(of: .address, in: $0) != nil }
            }
            guard isPeer else { continue }
            return ignore(.otherTag, what: record.name.description, on: index)
        }
        counters.drop(.otherService)
    }

    private mutating func ignore(_ reason: MDNSDrop, what: String, on index: Int) {
        counters.drop(reason)
        actions.append(.ignored(reason, what: what, interface: links[index].interface.id))
    }

    private mutating func announced(_ name: DNSName, _ texts: MDNSTexts, timeToLive: UInt32, on index: Int, now: Instant) {
        let found = texts.addressesByPeer(on: links[index].interface)
        if found.isEmpty { ignore(.noAddress, what: name.description, on: index) }
        let appID = texts.text(of: .appID)
        let lifetime = min(.seconds(Int64(timeToLive)), limits.longestTimeToLive)
        for (peer, addresses) in found {
            guard peer != localPeer else {
                counters.drop(.own)
                actions.append(.ownIdentity(addresses))
                continue
            }
            let key = MDNSTable.Key(peer: peer, interface: links[index].interface.id)
            guard attributes.appID == nil || attributes.appID == appID else {
                forget(table.remove(key))
                ignore(.otherApp, what: "\(peer) (\(appID.map { "app_id " + $0.quoted } ?? "no app_id"))", on: index)
                continue
            }
            let evicted = table.merge(key, name: name, addresses: addresses, isComplete: texts.isComplete, timeToLive: lifetime, now: now)
            if let evicted {
                counters.drop(.evicted)
                forget([evicted])
            }
            let known = self.addresses(of: peer, on: links[index].interface)
            var discovery = MDNSDiscovery(peer: peer, addresses: known, interface: key.interface, timeToLive: lifetime)
            discovery.appID = appID
            discovery.endpointID = texts.text(of: .endpointID)
            actions.append(.discovered(discovery))
        }
    }

    /// Those in a subnet of the interface first: no router is needed to reach them.
    func addresses(of peer: PeerID, on interface: MDNSInterface) -> [Multiaddr] {
        guard let entry = table[MDNSTable.Key(peer: peer, interface: interface.id)] else { return [] }
        var near: [Multiaddr] = [], far: [Multiaddr] = []
        for (address, _) in entry.addresses {
            let isNear = address.ip.map { ip in interface.addresses.contains { $0.isSameSubnet(as: ip) } } ?? false
            if isNear { near.append(address) } else { far.append(address) }
        }
        return near + far
    }
}

extension DNSQuestion {
    fileprivate func asks(for wanted: UInt16) -> Bool { type == wanted || type == DNSType.any }
}

extension Multiaddr {
    /// Of its first component, behind a zone.
    var ip: [UInt8]? {
        for component in components {
            switch component {
            case .ip6zone: continue
            case .ip4(let ip), .ip6(let ip): return ip
            default: return nil
            }
        }
        return nil
    }

    /// Loopback addresses of another host would lead to ourselves; on the loopback there is no other host.
    func canLead(over interface: MDNSInterface) -> Bool {
        guard let ip else { return true }
        guard ip.count == 4 ? ip[0] != 0 : ip.contains(where: { $0 != 0 }) else { return false }
        let isLoopback = ip.count == 4 ? ip[0] == 127 : ip.dropLast().allSatisfy { $0 == 0 } && ip[15] == 1
        return !isLoopback || interface.isLoopback
    }
}
