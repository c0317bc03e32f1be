public import CMeshNet
import MeshNetProtocol
import MeshNetSwarm

@c @implementation public func meshnet_discovery_options_default(_ options: UnsafeMutablePointer<meshnet_discovery_options_t>?, _ size: Int) -> Int32 {
    answer { () throws(Failure) in try put(meshnet_discovery_options_t.defaults, in: options, size, "options", smallest: smallestOptions) }
}

@c @implementation public func meshnet_headscale_options_default(_ options: UnsafeMutablePointer<meshnet_headscale_options_t>?, _ size: Int) -> Int32 {
    answer { () throws(Failure) in try put(meshnet_headscale_options_t.defaults, in: options, size, "options", smallest: smallestOptions) }
}

@c @implementation public func meshnet_tailscale_options_default(_ options: UnsafeMutablePointer<meshnet_tailscale_options_t>?, _ size: Int) -> Int32 {
    answer { () throws(Failure) in try put(meshnet_tailscale_options_t.defaults, in: options, size, "options", smallest: smallestOptions) }
}

extension meshnet_discovery_options_t {
    static var defaults: meshnet_discovery_options_t {
        let model = DiscoveryConfiguration()
        var options = meshnet_discovery_options_t()
        options.struct_size = UInt32(MemoryLayout<meshnet_discovery_options_t>.size)
        options.modes = Int32(MESHNET_DISCOVER_DEFAULT.rawValue)
        options.mdns_backend = Int32(MESHNET_MDNS_AUTO.rawValue)
        options.policy = Int32(MESHNET_POLICY_DIAL.rawValue)
        options.interval_ms = milliseconds(model.interval)
        options.offer_queue = UInt32(clamping: model.offerQueue)
        return options
    }
}

extension meshnet_headscale_options_t {
    static var defaults: meshnet_headscale_options_t {
        let model = HeadscaleConfiguration(apiBaseURL: "", apiKey: APIKey(""), port: 0)
        var options = meshnet_headscale_options_t()
        options.struct_size = UInt32(MemoryLayout<meshnet_headscale_options_t>.size)
        options.poll_interval_secs = milliseconds(model.pollInterval) / 1_000
        options.tags_itself = model.tagsItself
        return options
    }
}

extension meshnet_tailscale_options_t {
    static var defaults: meshnet_tailscale_options_t {
        let model = TailscaleConfiguration()
        var options = meshnet_tailscale_options_t()
        options.struct_size = UInt32(MemoryLayout<meshnet_tailscale_options_t>.size)
        options.poll_interval_secs = milliseconds(model.pollInterval) / 1_000
        options.port = model.port
        return options
    }
}

// MARK: Reading what a caller filled in

func addDiscovery(_ config: meshnet_config_t, to made: inout Configuration) throws(Failure) {
    if let options = config.discovery { made.discovery = try discovery(options) }
    made.network = try optionalText(config.network, "config.network")
    made.secret = try optionalText(config.secret, "config.secret").map { APIKey($0) }
    made.protectedPeers = try peerIDs(config.protected_peers, config.protected_peer_count, "config.protected_peers")
    made.connectionManager.lowWater = Int(config.connections_low_water)
    made.connectionManager.highWater = Int(try within(
        config.connections_high_water, max(1, config.connections_low_water), .max, "config.connections_high_water"))
    made.connectionManager.grace = .milliseconds(config.trim_grace_ms)
    made.readsEnvironment = config.reads_environment
}

func discovery(_ pointer: UnsafePointer<meshnet_discovery_options_t>) throws(Failure) -> DiscoveryConfiguration {
    let options = try take(pointer, over: meshnet_discovery_options_t.defaults, "discovery", smallest: smallestOptions)
    var made = DiscoveryConfiguration()
    made.modes = try modes(options.modes)
    switch options.mdns_backend {
    case Int32(MESHNET_MDNS_AUTO.rawValue): made.mdnsBackend = .auto
    case Int32(MESHNET_MDNS_EMBEDDED.rawValue): made.mdnsBackend = .embedded
    case Int32(MESHNET_MDNS_AVAHI.rawValue): made.mdnsBackend = .avahi
    default: throw .argument("discovery.mdns_backend", "is \(options.mdns_backend)")
    }
    switch options.policy {
    case Int32(MESHNET_POLICY_DIAL.rawValue): made.policy = .dial
    case Int32(MESHNET_POLICY_OFFER.rawValue): made.policy = .offer
    default: throw .argument("discovery.policy", "is \(options.policy)")
    }
    made.serviceTag = try optionalText(options.service_tag, "discovery.service_tag")
    made.appID = try optionalText(options.app_id, "discovery.app_id")
    made.endpointID = try optionalText(options.endpoint_id, "discovery.endpoint_id")
    made.dnsServices = try texts(options.dns_services, options.dns_service_count, "discovery.dns_services")
    made.interval = .milliseconds(options.interval_ms)
    made.offerQueue = Int(options.offer_queue)
    made.allowedNetworks = try texts(options.allowed_networks, options.allowed_network_count, "discovery.allowed_networks")
    made.deniedNetworks = try texts(options.denied_networks, options.denied_network_count, "discovery.denied_networks")
    made.allowedInterfaces = try texts(options.allowed_interfaces, options.allowed_interface_count, "discovery.allowed_interfaces")
    made.deniedInterfaces = try texts(options.denied_interfaces, options.denied_interface_count, "discovery.denied_interfaces")
    made.allowedPeers = try peerIDs(options.allowed_peers, options.allowed_peer_count, "discovery.allowed_peers")
    if let chosen = options.headscale { made.headscale = try headscale(chosen) }
    if let chosen = options.tailscale { made.tailscale = try tailscale(chosen) }
    return made
}

private func modes(_ number: Int32) throws(Failure) -> DiscoveryModes? {
    if number == Int32(MESHNET_DISCOVER_DEFAULT.rawValue) { return nil }
    let known = DiscoveryModes.names.reduce(into: DiscoveryModes()) { $0.formUnion($1.mode) }
    guard number >= 0, UInt32(number) & ~known.rawValue == 0 else {
        throw .argument("discovery.modes", "is \(number): add up values of enum meshnet_discovery_mode, or leave it at MESHNET_DISCOVER_DEFAULT")
    }
    return DiscoveryModes(rawValue: UInt32(number))
}

private func headscale(_ pointer: UnsafePointer<meshnet_headscale_options_t>) throws(Failure) -> HeadscaleConfiguration {
    let options = try take(pointer, over: meshnet_headscale_options_t.defaults, "headscale", smallest: smallestOptions)
    var made = HeadscaleConfiguration(
        apiBaseURL: try text(options.api_base_url, "headscale.api_base_url"), apiKey: APIKey(try text(options.api_key, "headscale.api_key")),
        port: options.port)
    made.pollInterval = .seconds(options.poll_interval_secs)
    made.requiredTag = try optionalText(options.required_tag, "headscale.required_tag")
    made.tagsItself = options.tags_itself
    made.certificateAuthorityFile = try optionalText(options.certificate_authority_file, "headscale.certificate_authority_file")
    return made
}

private func tailscale(_ pointer: UnsafePointer<meshnet_tailscale_options_t>) throws(Failure) -> TailscaleConfiguration {
    let options = try take(pointer, over: meshnet_tailscale_options_t.defaults, "tailscale", smallest: smallestOptions)
    var made = TailscaleConfiguration()
    made.socketPath = try optionalText(options.socket_path, "tailscale.socket_path")
    if let url = try optionalText(options.api_base_url, "tailscale.api_base_url") { made.apiBaseURL = url }
    made.apiKey = try optionalText(options.api_key, "tailscale.api_key").map { APIKey($0) }
    made.clientID = try optionalText(options.client_id, "tailscale.client_id")
    made.clientSecret = try optionalText(options.client_secret, "tailscale.client_secret").map { APIKey($0) }
    made.pollInterval = .seconds(options.poll_interval_secs)
    made.port = options.port
    made.requiredTag = try optionalText(options.required_tag, "tailscale.required_tag")
    made.certificateAuthorityFile = try optionalText(options.certificate_authority_file, "tailscale.certificate_authority_file")
    return made
}

private func optionalText(_ pointer: UnsafePointer<CChar>?, _ name: StaticString) throws(Failure) -> String? {
    pointer == nil ? nil : try text(pointer, name)
}

private func peerIDs(_ pointer: UnsafePointer<UnsafePointer<CChar>?>?, _ count: Int, _ name: StaticString) throws(Failure) -> [PeerID] {
    var peers: [PeerID] = []
    for words in try texts(pointer, count, name, MESHNET_ERROR_INVALID_PEER_ID) {
        do { peers.append(try PeerID(words)) } catch { throw .text(MESHNET_ERROR_INVALID_PEER_ID, name, "\"\(words)\": \(error)") }
    }
    return peers
}
