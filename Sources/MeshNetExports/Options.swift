public import CMeshNet
import MeshNetProtocol
import MeshNetSwarm

@c @implementation public func meshnet_config_default(_ config: UnsafeMutablePointer<meshnet_config_t>?, _ structSize: Int) -> Int32 {
    answer { () throws(Failure) in try put(meshnet_config_t.defaults, in: config, structSize, "config", smallest: smallestConfig) }
}

@c @implementation
public func meshnet_gossipsub_options_default(_ options: UnsafeMutablePointer<meshnet_gossipsub_options_t>?, _ structSize: Int) -> Int32 {
    answer { () throws(Failure) in try put(meshnet_gossipsub_options_t.defaults, in: options, structSize, "options", smallest: smallestOptions) }
}

@c @implementation public func meshnet_limits_default(_ limits: UnsafeMutablePointer<meshnet_limits_t>?, _ structSize: Int) -> Int32 {
    answer { () throws(Failure) in try put(meshnet_limits_t.defaults, in: limits, structSize, "limits", smallest: smallestOptions) }
}

/// A configuration must reach at least to its required fields; the other structs at least to their first option.
private let smallestConfig = MemoryLayout<meshnet_config_t>.offset(of: \.listen_addresses)!
let smallestOptions = 2 * MemoryLayout<UInt32>.size

/// Fills the part of a struct that the caller's version has.
func put<T>(_ defaults: T, in place: UnsafeMutablePointer<T>?, _ size: Int, _ name: StaticString, smallest: Int) throws(Failure) {
    guard let place else { throw .argument(name, "is NULL") }
    guard size >= smallest, size <= MemoryLayout<T>.size else { throw .structSize(name, given: size, known: MemoryLayout<T>.size) }
    withUnsafeBytes(of: defaults) { UnsafeMutableRawPointer(place).copyMemory(from: $0.baseAddress!, byteCount: size) }
    UnsafeMutableRawPointer(place).storeBytes(of: UInt32(size), as: UInt32.self)
}

/// The caller's struct, with defaults behind the end of an older version.
func take<T>(_ place: UnsafePointer<T>, over defaults: T, _ name: StaticString, smallest: Int) throws(Failure) -> T {
    let size = Int(UnsafeRawPointer(place).load(as: UInt32.self))
    guard size >= smallest, size <= MemoryLayout<T>.size else { throw .structSize(name, given: size, known: MemoryLayout<T>.size) }
    var taken = defaults
    withUnsafeMutableBytes(of: &taken) { $0.copyMemory(from: UnsafeRawBufferPointer(start: place, count: size)) }
    return taken
}

extension meshnet_config_t {
    static var defaults: meshnet_config_t {
        let model = ConfigurationDefaults.value
        var config = meshnet_config_t()
        config.struct_size = UInt32(MemoryLayout<meshnet_config_t>.size)
        config.listens = model.listens
        config.ping_interval_ms = milliseconds(model.pingInterval)
        config.ping_timeout_ms = milliseconds(model.pingTimeout)
        config.dial_timeout_ms = milliseconds(model.dialTimeout)
        config.backoff_first_ms = milliseconds(model.backoffFirst)
        config.backoff_cap_ms = milliseconds(model.backoffCap)
        config.connections_low_water = UInt32(clamping: model.connectionManager.lowWater)
        config.connections_high_water = UInt32(clamping: model.connectionManager.highWater)
        config.trim_grace_ms = milliseconds(model.connectionManager.grace)
        config.reads_environment = model.readsEnvironment
        config.keepalive_local_idle_ms = milliseconds(model.keepalive.localIdle)
        config.keepalive_local_timeout_ms = milliseconds(model.keepalive.localTimeout)
        config.keepalive_remote_idle_ms = milliseconds(model.keepalive.remoteIdle)
        config.keepalive_remote_timeout_ms = milliseconds(model.keepalive.remoteTimeout)
        return config
    }
}

/// A configuration to read the defaults from; its identity is never used.
enum ConfigurationDefaults {
    static let value = Configuration(identity: KeyPair(secret: [UInt8](repeating: 1, count: KeyPair.secretByteCount))!, bootstrapPeers: [], listenPort: 0)
}

extension meshnet_gossipsub_options_t {
    static var defaults: meshnet_gossipsub_options_t {
        let model = GossipsubConfiguration()
        var options = meshnet_gossipsub_options_t()
        options.struct_size = UInt32(MemoryLayout<meshnet_gossipsub_options_t>.size)
        options.signing_policy = Int32(MESHNET_STRICT_SIGN.rawValue)
        options.maximum_message_size = UInt32(clamping: model.maximumMessageSize)
        options.heartbeat_interval_ms = milliseconds(model.heartbeatInterval)
        options.mesh_degree = UInt32(clamping: model.degree)
        options.mesh_degree_low = UInt32(clamping: model.degreeLow)
        options.mesh_degree_high = UInt32(clamping: model.degreeHigh)
        options.mesh_degree_lazy = UInt32(clamping: model.degreeLazy)
        options.mesh_outbound_minimum = UInt32(clamping: model.degreeOutbound)
        options.flood_publish = model.floodPublish
        return options
    }
}

extension meshnet_limits_t {
    static var defaults: meshnet_limits_t {
        let model = Limits()
        var limits = meshnet_limits_t()
        limits.struct_size = UInt32(MemoryLayout<meshnet_limits_t>.size)
        limits.connections = UInt32(clamping: model.connections)
        limits.pending_inbound_connections = UInt32(clamping: model.pendingInboundConnections)
        limits.pending_outbound_connections = UInt32(clamping: model.pendingOutboundConnections)
        limits.connections_per_peer = UInt32(clamping: model.connectionsPerPeer)
        limits.inbound_connections_per_address = UInt32(clamping: model.inboundConnectionsPerAddress)
        limits.streams_per_connection = UInt32(clamping: model.streamsPerConnection)
        limits.handshake_timeout_ms = milliseconds(model.handshakeTimeout)
        limits.stream_negotiation_timeout_ms = milliseconds(model.streamNegotiationTimeout)
        limits.maximum_stream_window = UInt32(clamping: model.maximumStreamWindow)
        limits.send_buffer = UInt32(clamping: model.sendBuffer)
        limits.event_queue_count = UInt32(clamping: model.eventQueueCount)
        limits.event_queue_bytes = UInt64(clamping: model.eventQueueBytes)
        limits.topics = UInt32(clamping: model.topics)
        limits.pending_accepts = UInt32(clamping: model.pendingAccepts)
        limits.inbound_rate_per_address = model.inboundRatePerAddress
        limits.inbound_rate_per_network = model.inboundRatePerNetwork
        limits.inbound_burst_per_address = UInt32(clamping: model.inboundBurstPerAddress)
        limits.inbound_burst_per_network = UInt32(clamping: model.inboundBurstPerNetwork)
        return limits
    }
}

func milliseconds(_ duration: Duration) -> UInt32 { UInt32(clamping: duration.milliseconds) }

// MARK: Reading what a caller filled in

func configuration(_ pointer: UnsafePointer<meshnet_config_t>?) throws(Failure) -> Configuration {
    guard let pointer else { throw .argument("config", "is NULL") }
    let config = try take(pointer, over: meshnet_config_t.defaults, "config", smallest: smallestConfig)
    var made = Configuration(
        identity: try keyPair(config.identity, "config.identity"),
        bootstrapPeers: try texts(config.bootstrap_peers, config.bootstrap_peer_count, "config.bootstrap_peers"),
        listenPort: config.listen_port)
    made.listenAddresses = try texts(config.listen_addresses, config.listen_address_count, "config.listen_addresses", MESHNET_ERROR_INVALID_ADDRESS)
    made.listens = config.listens
    made.preSharedKey = try preSharedKey(config)
    if config.agent_version != nil { made.agentVersion = try text(config.agent_version, "config.agent_version") }
    made.pingInterval = .milliseconds(config.ping_interval_ms)
    made.pingTimeout = .milliseconds(try positive(config.ping_timeout_ms, "config.ping_timeout_ms"))
    made.dialTimeout = .milliseconds(try positive(config.dial_timeout_ms, "config.dial_timeout_ms"))
    made.backoffFirst = .milliseconds(try positive(config.backoff_first_ms, "config.backoff_first_ms"))
    made.backoffCap = .milliseconds(try positive(config.backoff_cap_ms, "config.backoff_cap_ms"))
    if let options = config.gossipsub { made.gossipsub = try gossipsub(options) }
    if let chosen = config.limits { made.limits = try limits(chosen) }
    try addDiscovery(config, to: &made)
    try addMessages(config, to: &made)
    return made
}

private func preSharedKey(_ config: meshnet_config_t) throws(Failure) -> PreSharedKey? {
    guard config.pre_shared_key != nil || config.pre_shared_key_length != 0 else { return nil }
    let given = [UInt8](try bytes(config.pre_shared_key, config.pre_shared_key_length, "config.pre_shared_key"))
    if let key = PreSharedKey(bytes: given) { return key }
    do { return try PreSharedKey(keyFile: given) } catch {
        throw .key("config.pre_shared_key has \(given.count) bytes and is no swarm.key file: \(error)")
    }
}

private func gossipsub(_ pointer: UnsafePointer<meshnet_gossipsub_options_t>) throws(Failure) -> GossipsubConfiguration {
    let options = try take(pointer, over: meshnet_gossipsub_options_t.defaults, "config.gossipsub", smallest: smallestOptions)
    var made = GossipsubConfiguration()
    switch options.signing_policy {
    case Int32(MESHNET_STRICT_SIGN.rawValue): made.signaturePolicy = .strictSign
    case Int32(MESHNET_STRICT_NO_SIGN.rawValue): made.signaturePolicy = .strictNoSign
    default: throw .argument("gossipsub.signing_policy", "is \(options.signing_policy)")
    }
    made.maximumMessageSize = Int(try within(options.maximum_message_size, 1_024, 1 << 30, "gossipsub.maximum_message_size"))
    made.heartbeatInterval = .milliseconds(try within(options.heartbeat_interval_ms, 10, 3_600_000, "gossipsub.heartbeat_interval_ms"))
    made.degree = Int(try within(options.mesh_degree, 1, 1_000, "gossipsub.mesh_degree"))
    made.degreeLow = Int(try within(options.mesh_degree_low, 0, options.mesh_degree, "gossipsub.mesh_degree_low"))
    made.degreeHigh = Int(try within(options.mesh_degree_high, options.mesh_degree, 10_000, "gossipsub.mesh_degree_high"))
    made.degreeLazy = Int(try within(options.mesh_degree_lazy, 0, 1_000, "gossipsub.mesh_degree_lazy"))
    made.degreeOutbound = Int(try within(options.mesh_outbound_minimum, 0, options.mesh_degree / 2, "gossipsub.mesh_outbound_minimum"))
    made.floodPublish = options.flood_publish
    return made
}

private func limits(_ pointer: UnsafePointer<meshnet_limits_t>) throws(Failure) -> Limits {
    let given = try take(pointer, over: meshnet_limits_t.defaults, "config.limits", smallest: smallestOptions)
    var made = Limits()
    made.connections = Int(try positive(given.connections, "limits.connections"))
    made.pendingInboundConnections = Int(try positive(given.pending_inbound_connections, "limits.pending_inbound_connections"))
    made.pendingOutboundConnections = Int(try positive(given.pending_outbound_connections, "limits.pending_outbound_connections"))
    made.connectionsPerPeer = Int(try positive(given.connections_per_peer, "limits.connections_per_peer"))
    made.inboundConnectionsPerAddress = Int(try positive(given.inbound_connections_per_address, "limits.inbound_connections_per_address"))
    made.streamsPerConnection = Int(try positive(given.streams_per_connection, "limits.streams_per_connection"))
    made.handshakeTimeout = .milliseconds(try positive(given.handshake_timeout_ms, "limits.handshake_timeout_ms"))
    made.streamNegotiationTimeout = .milliseconds(try positive(given.stream_negotiation_timeout_ms, "limits.stream_negotiation_timeout_ms"))
    // Yamux starts every stream with 256 KiB; a smaller window cannot be announced.
    made.maximumStreamWindow = Int(try within(given.maximum_stream_window, 262_144, 1 << 30, "limits.maximum_stream_window"))
    made.sendBuffer = Int(try within(given.send_buffer, 65_536, 1 << 30, "limits.send_buffer"))
    made.eventQueueCount = Int(try positive(given.event_queue_count, "limits.event_queue_count"))
    guard given.event_queue_bytes > 0, let queueBytes = Int(exactly: given.event_queue_bytes) else {
        throw .argument("limits.event_queue_bytes", "is \(given.event_queue_bytes)")
    }
    made.eventQueueBytes = queueBytes
    made.topics = Int(try positive(given.topics, "limits.topics"))
    made.pendingAccepts = Int(try positive(given.pending_accepts, "limits.pending_accepts"))
    made.inboundRatePerAddress = try rate(given.inbound_rate_per_address, "limits.inbound_rate_per_address")
    made.inboundRatePerNetwork = try rate(given.inbound_rate_per_network, "limits.inbound_rate_per_network")
    made.inboundBurstPerAddress = Int(try positive(given.inbound_burst_per_address, "limits.inbound_burst_per_address"))
    made.inboundBurstPerNetwork = Int(try positive(given.inbound_burst_per_network, "limits.inbound_burst_per_network"))
    return made
}

private func rate(_ value: Double, _ name: StaticString) throws(Failure) -> Double {
    guard value >= 0, value <= 1_000_000 else { throw .argument(name, "is \(value); it must be from 0 to 1,000,000") }
    return value
}

func positive(_ value: UInt32, _ name: StaticString) throws(Failure) -> UInt32 {
    guard value > 0 else { throw .argument(name, "is 0") }
    return value
}

func within(_ value: UInt32, _ low: UInt32, _ high: UInt32, _ name: StaticString) throws(Failure) -> UInt32 {
    guard value >= low, value <= high else { throw .argument(name, "is \(value); it must be from \(low) to \(high)") }
    return value
}
