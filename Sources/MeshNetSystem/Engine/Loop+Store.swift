import MeshNetProtocol
import MeshNetSwarm

// What outlives the process, and the files of large messages, between the swarm and the disk.
extension Loop {
    /// Bytes of a file that are read for the swarm at once (`SpoolWork.read`).
    static let spoolReadByteCount = 1 << 20

    /// Before the first `poll()` of the swarm.
    func restoreMessages() {
        if let state = storage.takeRestored() { swarm.restore(state, now: now) }
        for problem in storage.problems { announce(.storage(problem)) }
    }

    // MARK: Changes

    /// Ends the transaction of the turn; false when there is none, or when it has to wait after a failure.
    func commitChanges() -> Bool {
        guard storage.wantsCommit(now: now) || storage.isActivityDue(now: now) else { return false }
        do throws(StorageProblem) {
            try storage.commit(now: now, wallClock: WallClock.sinceEpoch())
            swarm.committed(now: now)
        } catch {
            // Which also makes an event of it.
            swarm.commitFailed(error, now: now)
        }
        drain()
        return true
    }

    // MARK: Files

    func carryOut(_ work: SpoolWork, on spool: SpoolID) {
        do throws(StorageProblem) {
            switch work {
            case .begin(let byteCount): try storage.spool.begin(spool, byteCount: byteCount)
            case .append(let bytes): try storage.spool.append(spool, bytes)
            // The answer is a call on the swarm, which has more to say first.
            case .read(let offset, let count): deferred.append(.spoolRead(spool, offset: offset, count: count))
            case .discard: storage.discard(spool)
            }
        } catch {
            announce(.storage(error))
            deferred.append(.spoolFailed(spool, error))
        }
    }

    func readSpool(_ spool: SpoolID, _ offset: Int, _ count: Int) {
        // Discarded meanwhile: nobody waits for it.
        guard storage.spool.holds(spool) else { return }
        let wanted = max(0, min(count, Self.spoolReadByteCount))
        do throws(StorageProblem) {
            let memory = storage.readBuffer(wanted)
            let filled = try storage.spool.read(spool, offset: offset, into: memory)
            swarm.spoolRead(spool, offset: offset, UnsafeRawBufferPointer(rebasing: memory[..<filled]), now: now)
        } catch {
            announce(.storage(error))
            swarm.spoolFailed(spool, error, now: now)
        }
    }
}
