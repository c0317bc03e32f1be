import CSystem
import Glibc
import MeshNetProtocol
import MeshNetSwarm

// Listening, connecting, reading and writing.
extension Loop {
    // MARK: Listening

    func accept(on index: Int) {
        guard listeners.indices.contains(index) else { return }
        let listener = listeners[index]
        for _ in 0..<Listener.acceptsPerTurn {
            switch listener.accept(now: now) {
            case .none: return
            case .paused:
                try? readiness.change(listener.descriptor, token: Token.listener.rawValue + UInt64(index), [])
                return
            case .connection(let descriptor, let from): accepted(descriptor, from: from, on: listener)
            }
        }
    }

    private func accepted(_ descriptor: Int32, from: SocketAddress, on listener: Listener) {
        let local = Socket.localAddress(descriptor) ?? listener.address
        guard let id = swarm.accepted(from: from, to: local, roundTrip: Socket.roundTrip(descriptor), now: now) else {
            Socket.close(descriptor)
            return noteRefusal(of: from)
        }
        let connection = Connection(id, descriptor, isConnecting: false)
        connection.isWithinHost = swarm.isWithinHost(id)
        keepAlive(connection, to: from)
        open(connection)
        drain()
    }

    /// One line a second at most: a flood must not write a log.
    private func noteRefusal(of remote: SocketAddress) {
        let (count, last) = swarm.inboundRefusals
        guard let last, refusalLoggedAt.map({ now - $0 >= .seconds(1) }) ?? true else { return }
        refusalLoggedAt = now
        log.refused(remote, last, count: count)
    }

    func resumeListeners() {
        for (index, listener) in listeners.enumerated() {
            guard let time = listener.resumesAt, time <= now else { continue }
            listener.resume()
            try? readiness.change(listener.descriptor, token: Token.listener.rawValue + UInt64(index), .readable)
        }
    }

    func addressesChanged() {
        addressWatch?.clear()
        if refreshAddressesAt == nil { refreshAddressesAt = now + AddressWatch.settling }
    }

    func announceAddresses() {
        noteInterfaces(Interfaces.list())
        let addresses = Listeners.reachable(listeners, over: Interfaces.addresses())
        guard addresses != mailbox.addresses else { return }
        mailbox.publish(addresses: addresses)
        swarm.listening(on: addresses, now: now)
        for source in sources { source.listening(on: addresses, now: now) }
    }

    /// What came may lead to peers that could not be reached; what went takes connections with it, and the kernel says nothing about that.
    private func noteInterfaces(_ list: [NetworkInterface]) {
        let known = Set(interfaces.flatMap(\.addresses).map(\.ip)), current = Set(list.flatMap(\.addresses).map(\.ip))
        let isFirst = interfaces.isEmpty && turnNumber == 0
        interfaces = list
        swarm.setInterfaces(list, now: now)
        guard !isFirst else { return }
        if !current.isSubset(of: known) { swarm.networkChanged(now: now) }
        if !known.isSubset(of: current) { swarm.linksInDoubt(now: now) }
    }

    /// The machine slept, or the process stood still.
    func serveWake() {
        guard let pause = wakeWatch?.look() else { return }
        swarm.woke(after: pause, now: now)
        drain()
    }

    // MARK: Connecting

    func connect(_ id: ConnectionID, _ address: SocketAddress) {
        switch Socket.connect(to: address, system: system) {
        case .failed(let code): deferred.append(.connectFailed(id, errno: code))
        case .underWay(let descriptor): openOutbound(id, descriptor, address)
        case .connected(let descriptor):
            openOutbound(id, descriptor, address)
            deferred.append(.connected(id))
        }
    }

    private func openOutbound(_ id: ConnectionID, _ descriptor: Int32, _ address: SocketAddress) {
        let connection = Connection(id, descriptor, isConnecting: true)
        keepAlive(connection, to: address)
        open(connection)
    }

    private func open(_ connection: Connection) {
        connections[connection.id] = connection
        do {
            try readiness.add(connection.descriptor, token: Token.connection.rawValue + connection.id.rawValue, connection.interest)
        } catch {
            // Out of memory or over the kernel's limit of watches: the connection cannot be served.
            let code = switch error { case .failed(_, let code): code }
            if connection.isConnecting {
                drop(connection)
                deferred.append(.connectFailed(connection.id, errno: code))
            } else {
                end(connection, .failed(errno: code))
            }
        }
    }

    func connected(_ id: ConnectionID) {
        guard let connection = connections[id], connection.isConnecting, let local = Socket.localAddress(connection.descriptor) else { return }
        connection.isConnecting = false
        watch(connection)
        swarm.connected(id, local: local, roundTrip: Socket.roundTrip(connection.descriptor), now: now)
        connection.isWithinHost = swarm.isWithinHost(id)
    }

    private func finishConnecting(_ connection: Connection) {
        let code = Socket.pendingError(connection.descriptor)
        if code == 0 {
            connected(connection.id)
        } else {
            drop(connection)
            swarm.connectFailed(connection.id, errno: code, now: now)
        }
        drain()
    }

    // MARK: Connections

    func serve(_ id: ConnectionID, _ report: Ready) {
        guard let connection = connections[id] else { return }
        now = .now()
        if connection.isConnecting {
            if report.writable || report.failed { finishConnecting(connection) }
            return
        }
        if report.writable, connection.isFull {
            connection.isFull = false
            enqueue(connection)
        }
        guard connection.isOpen, report.readable || report.failed else { return }
        if connection.wantedInterest.contains(.readable) {
            receive(connection)
        } else if report.failed {
            // Reported whether asked for or not, again and again: only the end of the socket stops it.
            let code = Socket.pendingError(connection.descriptor)
            end(connection, .failed(errno: code == 0 ? ECONNRESET : code))
            if connection.isOpen { readiness.remove(connection.descriptor) }
        }
    }

    func setReading(_ id: ConnectionID, _ wanted: Bool) {
        guard let connection = connections[id] else { return }
        connection.wantsBytes = wanted
        watch(connection)
    }

    /// Reads until the socket is empty, the swarm wants no more, the connection had its share of the turn, or somebody waits for what came.
    private func receive(_ connection: Connection) {
        let isShort = express.isUnderWay(now: now)
        var share = isShort ? Express.bytesPerTurn : Self.receivedPerTurn
        express.isHandedOver = false
        while share > 0, connection.isOpen, connection.wantedInterest.contains(.readable) {
            guard var space = swarm.receiveSpace(connection.id), !space.isEmpty else {
                // The connection ends, or is full: without a word of the swarm there is nothing to read for.
                setReading(connection.id, false)
                break
            }
            if isShort { space = UnsafeMutableRawBufferPointer(rebasing: space.prefix(Express.bytesPerRead)) }
            var result = system.receive(connection.descriptor, space)
            while result == -Int(EINTR) { result = system.receive(connection.descriptor, space) }
            express.moved(max(result, 0), isWithinHost: connection.isWithinHost)
            swarm.received(connection.id, count: max(result, 0), now: now)
            drain()
            if let code = failure(result) {
                if code != EAGAIN { end(connection, .failed(errno: code)) }
                break
            }
            if result == 0 {
                end(connection, .endOfStream)
                break
            }
            share -= result
            if result < space.count || express.isHandedOver { break }
        }
    }

    /// Nobody answers any more.
    func lost(_ connection: Connection) {
        end(connection, .failed(errno: ETIMEDOUT))
        if connection.isOpen { readiness.remove(connection.descriptor) }
    }

    private func end(_ connection: Connection, _ end: SocketEnd) {
        guard connection.isOpen, !connection.hasEnded else { return }
        connection.hasEnded = true
        watch(connection)
        swarm.receivedEnd(connection.id, end, now: now)
        drain()
    }

    // MARK: Sending

    func enqueue(_ connection: Connection) {
        guard !connection.isQueued, !connection.isFull, !connection.isConnecting, connection.isOpen else { return }
        connection.isQueued = true
        transmits.append(connection)
    }

    /// Writes until nothing waits, the socket is full, or the connection had its share of the turn.
    func transmit(_ connection: Connection) {
        let share = express.isUnderWay(now: now) ? Express.bytesPerTurn : Self.sentPerTurn
        while connection.isOpen, !connection.isFull {
            guard connection.sent(inTurn: turnNumber) < share else {
                if swarm.hasOutput(connection.id) { carriedOver.append(connection) }
                return
            }
            let (offered, result) = send(connection)
            guard offered > 0 else { return watch(connection) }
            if let code = failure(result), code != EAGAIN { return end(connection, .failed(errno: code)) }
            connection.count(sent: max(result, 0), inTurn: turnNumber)
            express.moved(max(result, 0), isWithinHost: connection.isWithinHost)
            if connection.bulkWriting.sent(max(result, 0), of: offered, now: now) { connection.bulkWriting.apply(to: connection.descriptor) }
            watchProgress(of: connection)
            connection.isFull = result < offered
            if connection.isFull { watch(connection) }
            drain()
        }
    }

    private func send(_ connection: Connection) -> (offered: Int, result: Int) {
        var offered = 0, result = 0
        swarm.withTransmitBuffers(connection.id, { [system] buffers in
            withUnsafeTemporaryAllocation(of: iovec.self, capacity: max(buffers.count, 1)) { pieces in
                for (index, buffer) in buffers.enumerated() {
                    let base = UnsafeMutableRawPointer(mutating: buffer.baseAddress)
                    pieces.initializeElement(at: index, to: iovec(iov_base: base, iov_len: buffer.count))
                    offered += buffer.count
                }
                guard offered > 0 else { return }
                let filled = UnsafeMutableBufferPointer(rebasing: pieces[..<buffers.count])
                repeat { result = system.send(connection.descriptor, filled) } while result == -Int(EINTR)
            }
            return max(result, 0)
        }, now: now)
        return (offered, result)
    }

    // MARK: Ending

    func close(_ id: ConnectionID) {
        guard let connection = connections[id] else { return }
        drop(connection)
    }

    private func drop(_ connection: Connection) {
        connections[connection.id] = nil
        connection.isOpen = false
        readiness.remove(connection.descriptor)
        Socket.close(connection.descriptor)
    }

    private func watch(_ connection: Connection) {
        let wanted = connection.wantedInterest
        guard connection.isOpen, wanted != connection.interest else { return }
        connection.interest = wanted
        try? readiness.change(connection.descriptor, token: Token.connection.rawValue + connection.id.rawValue, wanted)
    }
}
