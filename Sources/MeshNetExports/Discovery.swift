public import CMeshNet
import Glibc
import MeshNetProtocol
import MeshNetSwarm
import MeshNetSystem

@c @implementation public func meshnet_discovery_configure(_ node: OpaquePointer?, _ options: UnsafePointer<meshnet_discovery_options_t>?) -> Int32 {
    answer(node) { node throws(Failure) in _ = try node.call(try configuring(node, options)) }
}

@c @implementation
public func meshnet_discovery_configure_start(_ node: OpaquePointer?, _ options: UnsafePointer<meshnet_discovery_options_t>?,
                                              _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    transfer(node, ticket) { node throws(Failure) in try node.start(try configuring(node, options)) }
}

private func configuring(_ node: NodeBox, _ options: UnsafePointer<meshnet_discovery_options_t>?) throws(Failure) -> Command {
    let wanted = try options.map { pointer throws(Failure) in try discovery(pointer) } ?? DiscoveryConfiguration()
    do { return try node.engine.configureDiscovery(wanted) } catch { throw .call(error) }
}

@c @implementation
public func meshnet_discovery_table(_ node: OpaquePointer?,
                                    _ table: UnsafeMutablePointer<UnsafeMutablePointer<meshnet_discovery_table_t>?>?) -> Int32 {
    table?.pointee = nil
    return answer(node) { node throws(Failure) in
        let place = try result(table, "table")
        guard let form = TableForm(try node.call(.discoveryTable)) else { return }
        place.pointee = try made(Block.make { $0.table(form) })
    }
}

@c @implementation public func meshnet_discovery_table_free(_ table: UnsafeMutablePointer<meshnet_discovery_table_t>?) { free(table) }

@c @implementation public func meshnet_discovery_table_start(_ node: OpaquePointer?, _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { .discoveryTable }
}

@c @implementation
public func meshnet_diagnose(_ node: OpaquePointer?, _ target: UnsafePointer<CChar>?, _ timeout: Int32,
                             _ diagnosis: UnsafeMutablePointer<UnsafeMutablePointer<meshnet_diagnosis_t>?>?) -> Int32 {
    diagnosis?.pointee = nil
    return answer(node) { node throws(Failure) in
        let place = try result(diagnosis, "diagnosis")
        let command = Command.diagnose(try text(target, "target"))
        guard let form = DiagnosisForm(try node.call(command, timeout: try waitingTime(timeout))) else { return }
        place.pointee = try made(Block.make { $0.diagnosis(form) })
    }
}

@c @implementation public func meshnet_diagnosis_free(_ diagnosis: UnsafeMutablePointer<meshnet_diagnosis_t>?) { free(diagnosis) }

@c @implementation public func meshnet_diagnose_start(_ node: OpaquePointer?, _ target: UnsafePointer<CChar>?,
                                                      _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in .diagnose(try text(target, "target")) }
}

@c @implementation public func meshnet_protect(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?, _ changed: UnsafeMutablePointer<Bool>?) -> Int32 {
    change(node, changed) { () throws(Failure) in .protect(try peerID(peer)) }
}

@c @implementation public func meshnet_unprotect(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?, _ changed: UnsafeMutablePointer<Bool>?) -> Int32 {
    change(node, changed) { () throws(Failure) in .unprotect(try peerID(peer)) }
}

@c @implementation public func meshnet_protect_start(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?,
                                                     _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in .protect(try peerID(peer)) }
}

@c @implementation public func meshnet_unprotect_start(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?,
                                                       _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in .unprotect(try peerID(peer)) }
}

// MARK: Names by number

private func name<Kind: RawRepresentable<UInt8>>(_ number: Int32, of kind: Kind.Type, _ word: (Kind) -> StaticString) -> UnsafePointer<CChar>? {
    UInt8(exactly: number).flatMap { Kind(rawValue: $0) }.map { word($0).cString }
}

@c @implementation public func meshnet_discovery_source_name(_ source: Int32) -> UnsafePointer<CChar>? {
    name(source, of: DiscoverySource.self, \.name)
}

@c @implementation public func meshnet_source_state_name(_ state: Int32) -> UnsafePointer<CChar>? {
    UInt32(exactly: state).flatMap { StateForm.name(meshnet_source_state($0)) }?.cString
}

@c @implementation public func meshnet_source_failure_name(_ failure: Int32) -> UnsafePointer<CChar>? {
    name(failure, of: SourceFailureKind.self, \.name)
}

@c @implementation public func meshnet_discovery_filter_name(_ filter: Int32) -> UnsafePointer<CChar>? {
    name(filter, of: DiscoveryFilter.self, \.name)
}

@c @implementation public func meshnet_entry_state_name(_ state: Int32) -> UnsafePointer<CChar>? {
    name(state, of: DiscoveryEntryState.self, \.name)
}

@c @implementation public func meshnet_diagnosis_cause_name(_ cause: Int32) -> UnsafePointer<CChar>? {
    name(cause, of: DiagnosisCause.self, \.name)
}
