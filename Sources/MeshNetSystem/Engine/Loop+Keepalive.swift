import Glibc
import MeshNetProtocol
import MeshNetSwarm

// Connections that the kernel asks about while they are idle, and that are looked at here while bytes are under way.
extension Loop {
    /// Once the remote address is known.
    func keepAlive(_ connection: Connection, to remote: SocketAddress) {
        connection.keepalive = Keepalive(swarm.configuration.keepalive, isLocal: Keepalive.isLocal(remote, interfaces))
        connection.keepalive?.set(on: connection.descriptor)
    }

    /// Bytes went out: whether they arrive is looked at until all of them did.
    func watchProgress(of connection: Connection) {
        guard !connection.isUnderWay, connection.keepalive != nil else { return }
        connection.isUnderWay = true
        underWay.append(connection)
        if progressDueAt == nil { progressDueAt = now + Keepalive.lookInterval }
    }

    func serveProgress() {
        guard let due = progressDueAt, due <= now else { return }
        progressDueAt = nil
        let looked = underWay
        underWay.removeAll(keepingCapacity: true)
        for connection in looked {
            connection.isUnderWay = false
            guard connection.isOpen, !connection.hasEnded, let keepalive = connection.keepalive, let progress = Keepalive.Progress(of: connection.descriptor),
                progress.bytesUnderWay > 0
            else { continue }
            if keepalive.isDead(progress) { lost(connection) } else { watchProgress(of: connection) }
        }
    }
}
