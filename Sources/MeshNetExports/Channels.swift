public import CMeshNet
import Glibc
import MeshNetProtocol
import MeshNetSwarm

@c @implementation
public func meshnet_reconnect(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?, _ addresses: UnsafePointer<UnsafePointer<CChar>?>?,
                              _ count: Int) -> Int32 {
    answer(node) { node throws(Failure) in _ = try node.call(try reconnecting(peer, addresses, count)) }
}

@c @implementation
public func meshnet_reconnect_start(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?, _ addresses: UnsafePointer<UnsafePointer<CChar>?>?,
                                    _ count: Int, _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in try reconnecting(peer, addresses, count) }
}

private func reconnecting(_ peer: UnsafePointer<CChar>?, _ addresses: UnsafePointer<UnsafePointer<CChar>?>?, _ count: Int) throws(Failure) -> Command {
    let peer = try peerID(peer)
    var found: [Multiaddr] = []
    _ = try texts(addresses, count, "addresses", MESHNET_ERROR_INVALID_ADDRESS)
    for index in 0..<count { found.append(try multiaddr(addresses?[index])) }
    return .reconnect(peer, found)
}

@c @implementation
public func meshnet_close_peer(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?, _ reason: UnsafePointer<CChar>?) -> Int32 {
    answer(node) { node throws(Failure) in _ = try node.call(try closing(peer, reason)) }
}

@c @implementation
public func meshnet_close_peer_start(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?, _ reason: UnsafePointer<CChar>?,
                                     _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in try closing(peer, reason) }
}

private func closing(_ peer: UnsafePointer<CChar>?, _ reason: UnsafePointer<CChar>?) throws(Failure) -> Command {
    .close(try peerID(peer), reason: reason == nil ? "" : try text(reason, "reason"))
}

@c @implementation
public func meshnet_channels(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?,
                             _ channels: UnsafeMutablePointer<UnsafeMutablePointer<meshnet_channel_list_t>?>?) -> Int32 {
    channels?.pointee = nil
    return answer(node) { node throws(Failure) in
        let place = try result(channels, "channels")
        guard let form = ChannelListForm(try node.call(try listing(peer))) else { return }
        place.pointee = try made(Block.make { form.layOut(&$0) })
    }
}

@c @implementation
public func meshnet_channels_start(_ node: OpaquePointer?, _ peer: UnsafePointer<CChar>?, _ ticket: UnsafeMutablePointer<meshnet_ticket_t>?) -> Int32 {
    start(node, ticket) { () throws(Failure) in try listing(peer) }
}

private func listing(_ peer: UnsafePointer<CChar>?) throws(Failure) -> Command { .channels(peer == nil ? nil : try peerID(peer)) }

@c @implementation public func meshnet_channel_list_free(_ list: UnsafeMutablePointer<meshnet_channel_list_t>?) { free(list) }

// MARK: Names by number

private let laneNames: [StaticString] = ["control", "normal", "bulk"]
private let changeNames: [StaticString] = ["resumed", "peer restarted", "closed", "gave up", "limited"]
private let stateNames: [StaticString] = ["connected", "connecting", "waiting", "gave up", "closed", "idle"]
private let problemNames: [StaticString] = ["full", "damaged", "failed", "in use"]

private func name(_ number: Int32, from first: Int32, _ names: [StaticString]) -> UnsafePointer<CChar>? {
    let index = Int(number) - Int(first)
    return names.indices.contains(index) ? names[index].cString : nil
}

@c @implementation public func meshnet_lane_name(_ lane: Int32) -> UnsafePointer<CChar>? { name(lane, from: 0, laneNames) }

@c @implementation public func meshnet_channel_change_name(_ change: Int32) -> UnsafePointer<CChar>? { name(change, from: 1, changeNames) }

@c @implementation public func meshnet_channel_state_name(_ state: Int32) -> UnsafePointer<CChar>? { name(state, from: 1, stateNames) }

@c @implementation public func meshnet_storage_problem_name(_ problem: Int32) -> UnsafePointer<CChar>? { name(problem, from: 1, problemNames) }
