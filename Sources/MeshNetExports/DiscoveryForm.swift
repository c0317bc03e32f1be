import CMeshNet
import MeshNetProtocol
import MeshNetSwarm
import MeshNetSystem

// The table, the diagnosis and their events in the words of C. Texts are made once, although a block is laid out twice.

/// A failure of a source or of an interface.
struct FailureForm {
    let kind: Int32
    let detail: String
    let hint: String

    init(_ failure: SourceFailure) {
        kind = Int32(failure.kind.rawValue)
        detail = failure.detail
        hint = failure.hint
    }
}

struct StateForm {
    let state: meshnet_source_state
    var failure: FailureForm?
    var retryAfter: Int64 = -1

    init(_ source: SourceState) {
        switch source {
        case .off: state = MESHNET_SOURCE_STATE_OFF
        case .starting: state = MESHNET_SOURCE_STATE_STARTING
        case .running: state = MESHNET_SOURCE_STATE_RUNNING
        case .failed(let reason, let delay):
            state = MESHNET_SOURCE_STATE_FAILED
            failure = FailureForm(reason)
            retryAfter = delay?.milliseconds ?? -1
        }
    }
}

extension StateForm {
    static func name(_ state: meshnet_source_state) -> StaticString? {
        switch state {
        case MESHNET_SOURCE_STATE_OFF: "off"
        case MESHNET_SOURCE_STATE_STARTING: "starting"
        case MESHNET_SOURCE_STATE_RUNNING: "running"
        case MESHNET_SOURCE_STATE_FAILED: "failed"
        default: nil
        }
    }
}

/// Counters in ascending order of their kind.
private func counts<Kind: RawRepresentable<UInt8>>(_ counters: [Kind: Int]) -> [meshnet_count_t] {
    counters.map { meshnet_count_t(kind: Int32($0.key.rawValue), count: UInt64(clamping: $0.value)) }.sorted { $0.kind < $1.kind }
}

struct TableForm {
    struct Source {
        let status: SourceStatus
        let state: StateForm
        let filtered: [meshnet_count_t]
        let failed: [meshnet_count_t]

        init(_ status: SourceStatus) {
            self.status = status
            state = StateForm(status.state)
            filtered = counts(status.filtered)
            failed = counts(status.failed)
        }
    }

    struct Entry {
        let entry: DiscoveryEntry
        let peer: String?
        let address: String
        let cause: Int32
        let detail: String?

        init(_ entry: DiscoveryEntry) {
            self.entry = entry
            peer = entry.peer?.description
            address = entry.address.description
            cause = entry.lastFailure.map { Int32($0.form.rawValue) } ?? 0
            detail = entry.lastFailure?.description
        }
    }

    let sources: [Source]
    let entries: [Entry]

    init(_ table: DiscoveryTable) {
        sources = table.sources.map(Source.init)
        entries = table.entries.map(Entry.init)
    }

    init?(_ outcome: Outcome) {
        guard case .discovery(let table) = outcome else { return nil }
        self.init(table)
    }
}

struct DiagnosisForm {
    let diagnosis: Diagnosis
    let peer: String?

    init?(_ outcome: Outcome) {
        guard case .diagnosis(let found) = outcome else { return nil }
        diagnosis = found
        peer = found.peer?.description
    }
}

extension Block {
    mutating func table(_ form: TableForm) -> meshnet_discovery_table_t {
        let sources = pointers(form.sources.count) { block, index in block.source(form.sources[index]) }
        let entries = pointers(form.entries.count) { block, index in block.entry(form.entries[index]) }
        return meshnet_discovery_table_t(source_count: form.sources.count, sources: sources, entry_count: form.entries.count, entries: entries)
    }

    private mutating func source(_ form: TableForm.Source) -> meshnet_source_status_t {
        let status = form.status
        var made = meshnet_source_status_t()
        made.source = Int32(status.source.rawValue)
        made.state = Int32(form.state.state.rawValue)
        made.failure = form.state.failure?.kind ?? 0
        made.detail = text(form.state.failure?.detail)
        made.hint = text(form.state.failure?.hint)
        made.retry_after_ms = form.state.retryAfter
        made.heard = UInt64(clamping: status.heard)
        made.dialled = UInt64(clamping: status.dialled)
        made.succeeded = UInt64(clamping: status.succeeded)
        made.filtered = countList(form.filtered)
        made.failed = countList(form.failed)
        made.last_heard_ms = status.lastHeard?.milliseconds ?? -1
        made.last_success_ms = status.lastSuccess?.milliseconds ?? -1
        made.interface_count = status.interfaces.count
        made.interfaces = pointers(status.interfaces.count) { block, index in block.interface(status.interfaces[index]) }
        return made
    }

    private mutating func countList(_ counts: [meshnet_count_t]) -> meshnet_count_list_t {
        meshnet_count_list_t(count: counts.count, items: pointers(counts.count) { _, index in counts[index] })
    }

    private mutating func interface(_ status: InterfaceStatus) -> meshnet_interface_status_t {
        meshnet_interface_status_t(
            name: text(status.name), sent: UInt64(clamping: status.sent), heard: UInt64(clamping: status.heard),
            failure: status.failure.map { Int32($0.kind.rawValue) } ?? 0, detail: text(status.failure?.detail), hint: text(status.failure?.hint))
    }

    private mutating func entry(_ form: TableForm.Entry) -> meshnet_discovery_entry_t {
        let entry = form.entry
        var made = meshnet_discovery_entry_t()
        made.peer_id = text(form.peer)
        made.address = text(form.address)
        made.source = Int32(entry.source.rawValue)
        made.state = Int32(entry.state.rawValue)
        made.filter = entry.filter.map { Int32($0.rawValue) } ?? 0
        made.interface_name = text(entry.interface)
        made.heard_ms = entry.heard.milliseconds
        made.expires_ms = entry.expires?.milliseconds ?? -1
        made.attempts = UInt64(clamping: entry.attempts)
        made.last_cause = form.cause
        made.last_detail = text(form.detail)
        made.next_try_ms = entry.nextTry?.milliseconds ?? -1
        return made
    }

    mutating func diagnosis(_ form: DiagnosisForm) -> meshnet_diagnosis_t {
        let findings = form.diagnosis.findings
        var made = meshnet_diagnosis_t()
        made.target = text(form.diagnosis.target)
        made.peer_id = text(form.peer)
        made.finding_count = findings.count
        made.findings = pointers(findings.count) { block, index in
            meshnet_finding_t(
                cause: Int32(findings[index].cause.rawValue), evidence: block.text(findings[index].evidence), remedy: block.text(findings[index].remedy))
        }
        return made
    }
}

// MARK: Events

func makeDiscovered(_ discovery: Discovery) -> UnsafeMutablePointer<meshnet_event_t>? {
    let peer = discovery.peer?.description, addresses = discovery.addresses.map(\.description)
    return Block.make { block in
        var event = meshnet_event_t(MESHNET_EVENT_DISCOVERED)
        event.peer_id = block.text(peer)
        event.addresses = block.nested { $0.strings(addresses) }
        event.source = Int32(discovery.source.rawValue)
        event.interface_name = block.text(discovery.interface)
        return event
    }
}

func makeDiscoverySource(_ source: DiscoverySource, _ form: StateForm) -> UnsafeMutablePointer<meshnet_event_t>? {
    Block.make { block in
        var event = meshnet_event_t(MESHNET_EVENT_DISCOVERY_SOURCE)
        event.source = Int32(source.rawValue)
        event.source_state = Int32(form.state.rawValue)
        guard let failure = form.failure else { return event }
        event.source_failure = failure.kind
        event.detail = block.text(failure.detail)
        event.hint = block.text(failure.hint)
        event.retry_after_ms = form.retryAfter
        return event
    }
}

func makeDuplicateIdentity(_ duplicate: DuplicateIdentity) -> UnsafeMutablePointer<meshnet_event_t>? {
    let address = duplicate.address.description, detail = duplicate.description
    return Block.make { block in
        var event = meshnet_event_t(MESHNET_EVENT_DUPLICATE_IDENTITY)
        event.address = block.text(address)
        event.detail = block.text(detail)
        event.hint = block.text(DuplicateIdentity.hint)
        return event
    }
}
