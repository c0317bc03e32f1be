public import CMeshNet
import MeshNetProtocol
import MeshNetSwarm

@c @implementation public func meshnet_message_options_default(_ options: UnsafeMutablePointer<meshnet_message_options_t>?, _ size: Int) -> Int32 {
    answer { () throws(Failure) in try put(meshnet_message_options_t.defaults, in: options, size, "options", smallest: smallestOptions) }
}

@c @implementation public func meshnet_send_options_default(_ options: UnsafeMutablePointer<meshnet_send_options_t>?, _ size: Int) -> Int32 {
    answer { () throws(Failure) in try put(meshnet_send_options_t.defaults, in: options, size, "options", smallest: smallestOptions) }
}

extension meshnet_send_options_t {
    static var defaults: meshnet_send_options_t {
        let model = SendOptions()
        var options = meshnet_send_options_t()
        options.struct_size = UInt32(MemoryLayout<meshnet_send_options_t>.size)
        options.lane = Int32(model.lane.rawValue)
        options.deadline_ms = -1
        options.when_full = Int32(model.whenFull.rawValue)
        return options
    }
}

extension meshnet_message_options_t {
    static var defaults: meshnet_message_options_t {
        let model = MessageConfiguration()
        var options = meshnet_message_options_t()
        options.struct_size = UInt32(MemoryLayout<meshnet_message_options_t>.size)
        options.synchronizes_disk = model.synchronizesDisk
        options.queue_bytes = UInt64(clamping: model.queueBytes)
        options.queue_messages = UInt32(clamping: model.queueMessages)
        options.total_queue_bytes = UInt64(clamping: model.totalQueueBytes)
        options.receive_bytes = UInt64(clamping: model.receiveBytes)
        options.maximum_message_size = UInt64(clamping: model.maximumMessageSize)
        options.spool_threshold = UInt64(clamping: model.spoolThreshold)
        options.spool_bytes = UInt64(clamping: model.spoolBytes)
        options.acknowledgement_delay_ms = milliseconds(model.acknowledgementDelay)
        options.request_timeout_ms = milliseconds(model.requestTimeout)
        options.requests_per_peer = UInt32(clamping: model.requestsPerPeer)
        options.send_messages_per_second = UInt32(clamping: model.sendRate.messagesPerSecond)
        options.send_bytes_per_second = UInt64(clamping: model.sendRate.bytesPerSecond)
        options.receive_messages_per_second = UInt32(clamping: model.receiveRate.messagesPerSecond)
        options.receive_bytes_per_second = UInt64(clamping: model.receiveRate.bytesPerSecond)
        options.channels = UInt32(clamping: model.channels)
        options.fill(model.reconnect)
        options.fill(model.wake)
        return options
    }

    private mutating func fill(_ model: ReconnectConfiguration) {
        reconnect_first_ms = milliseconds(model.first)
        reconnect_cap_ms = milliseconds(model.cap)
        reconnect_factor = model.factor
        reconnect_attempts = UInt32(clamping: model.maximumAttempts)
        reconnect_lasting_ms = milliseconds(model.lastingTime)
        permanent_after = UInt32(clamping: model.permanentAfter)
        permanent_delay_ms = milliseconds(model.permanentDelay)
        dials_per_minute = UInt32(clamping: model.dialsPerMinute)
        stale_after_ms = milliseconds(model.staleAfter)
    }

    private mutating func fill(_ model: WakeConfiguration) {
        wake_interval_ms = milliseconds(model.interval)
        wake_jump_ms = milliseconds(model.jump)
        wake_stored_gap_ms = milliseconds(model.storedGap)
    }
}

// MARK: Reading what a caller filled in

func addMessages(_ config: meshnet_config_t, to made: inout Configuration) throws(Failure) {
    if let options = config.messages { made.messages = try messages(options) }
    made.keepalive.localIdle = .milliseconds(try positive(config.keepalive_local_idle_ms, "config.keepalive_local_idle_ms"))
    made.keepalive.localTimeout = .milliseconds(try positive(config.keepalive_local_timeout_ms, "config.keepalive_local_timeout_ms"))
    made.keepalive.remoteIdle = .milliseconds(try positive(config.keepalive_remote_idle_ms, "config.keepalive_remote_idle_ms"))
    made.keepalive.remoteTimeout = .milliseconds(try positive(config.keepalive_remote_timeout_ms, "config.keepalive_remote_timeout_ms"))
}

private func messages(_ pointer: UnsafePointer<meshnet_message_options_t>) throws(Failure) -> MessageConfiguration {
    let options = try take(pointer, over: meshnet_message_options_t.defaults, "messages", smallest: smallestOptions)
    var made = MessageConfiguration()
    if options.state_directory != nil { made.stateDirectory = try text(options.state_directory, "messages.state_directory") }
    made.synchronizesDisk = options.synchronizes_disk
    made.queueBytes = try size(options.queue_bytes, from: 1, "messages.queue_bytes")
    made.queueMessages = Int(try positive(options.queue_messages, "messages.queue_messages"))
    made.totalQueueBytes = try size(options.total_queue_bytes, from: 1, "messages.total_queue_bytes")
    made.receiveBytes = try size(options.receive_bytes, from: 1, "messages.receive_bytes")
    made.maximumMessageSize = try size(options.maximum_message_size, from: 1, "messages.maximum_message_size")
    made.spoolThreshold = try size(options.spool_threshold, from: 1, "messages.spool_threshold")
    made.spoolBytes = try size(options.spool_bytes, from: 0, "messages.spool_bytes")
    made.acknowledgementDelay = .milliseconds(options.acknowledgement_delay_ms)
    made.requestTimeout = .milliseconds(try positive(options.request_timeout_ms, "messages.request_timeout_ms"))
    made.requestsPerPeer = Int(try positive(options.requests_per_peer, "messages.requests_per_peer"))
    made.sendRate.messagesPerSecond = Int(options.send_messages_per_second)
    made.sendRate.bytesPerSecond = try size(options.send_bytes_per_second, from: 0, "messages.send_bytes_per_second")
    made.receiveRate.messagesPerSecond = Int(options.receive_messages_per_second)
    made.receiveRate.bytesPerSecond = try size(options.receive_bytes_per_second, from: 0, "messages.receive_bytes_per_second")
    made.channels = Int(try positive(options.channels, "messages.channels"))
    made.reconnect = try reconnect(options)
    made.wake.interval = .milliseconds(try positive(options.wake_interval_ms, "messages.wake_interval_ms"))
    made.wake.jump = .milliseconds(try positive(options.wake_jump_ms, "messages.wake_jump_ms"))
    made.wake.storedGap = .milliseconds(options.wake_stored_gap_ms)
    return made
}

private func reconnect(_ options: meshnet_message_options_t) throws(Failure) -> ReconnectConfiguration {
    var made = ReconnectConfiguration()
    made.first = .milliseconds(try positive(options.reconnect_first_ms, "messages.reconnect_first_ms"))
    made.cap = .milliseconds(try positive(options.reconnect_cap_ms, "messages.reconnect_cap_ms"))
    guard options.reconnect_factor >= 1, options.reconnect_factor <= 100 else {
        throw .argument("messages.reconnect_factor", "is \(options.reconnect_factor); it must be from 1 to 100")
    }
    made.factor = options.reconnect_factor
    made.maximumAttempts = Int(options.reconnect_attempts)
    made.lastingTime = .milliseconds(options.reconnect_lasting_ms)
    made.permanentAfter = Int(try positive(options.permanent_after, "messages.permanent_after"))
    made.permanentDelay = .milliseconds(try positive(options.permanent_delay_ms, "messages.permanent_delay_ms"))
    made.dialsPerMinute = Int(options.dials_per_minute)
    made.staleAfter = .milliseconds(options.stale_after_ms)
    return made
}

/// Sizes that a sum of two can still hold.
private func size(_ value: UInt64, from low: UInt64, _ name: StaticString) throws(Failure) -> Int {
    guard value >= low, value <= 1 << 62 else { throw .argument(name, "is \(value); it must be from \(low) to 2^62") }
    return Int(value)
}
